from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import cam
from cam import zoo
from cam.caffe.caffemodel import CaffeModel, write_caffemodel
from cam.caffe.network import load_network
from cam.caffe.prototxt import read_prototxt
from cam.cli import main
from cam.explain.model import CamModel
from cam.fidelity.original_weights import verify
from cam.files import models_folder
from cam.matlab import load_features, save_features, save_network
from cam.matlab import load_network as load_class_layer

GOOGLENET = zoo.get("googlenet")
NAMES = [f"n{index:08d} thing" for index in range(1000)]


def seeded_weights(path: Path, class_weights: np.ndarray | None = None) -> None:
    """Write a caffemodel of GoogLeNet-CAM with random weights, and maybe a given class layer."""
    random = np.random.default_rng(0)
    prototxt = models_folder() / GOOGLENET.prototxt
    blobs = {}
    for name, shapes in load_network(prototxt).weight_shapes.items():
        spread = np.sqrt(2 / np.prod(shapes[0][1:]))
        weights = random.standard_normal(shapes[0], np.float32) * np.float32(spread)
        blobs[name] = (weights, *(np.zeros(shape, np.float32) for shape in shapes[1:]))
    if class_weights is not None:
        blobs[GOOGLENET.class_layer] = (class_weights, *blobs[GOOGLENET.class_layer][1:])
    write_caffemodel(path, CaffeModel(read_prototxt(prototxt), blobs))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    seeded_weights(folder / GOOGLENET.caffemodel)
    return folder


@pytest.fixture(scope="module")
def model(weights: Path) -> Iterator[CamModel]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAM_MODELS", str(weights))
        yield cam.load("googlenet", engine="openvino")


@pytest.fixture(scope="module")
def made(model: CamModel, coffee: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the demo's files as the seeded network would have made them."""
    folder = tmp_path_factory.mktemp("demo")
    cv2.imwrite(str(folder / "img1.jpg"), cv2.imread(str(coffee)))
    model.explain(folder / "img1.jpg", style="matlab").to_mat(folder / "data_img1.mat")
    save_network(folder / "data_net.mat", model.class_weights, NAMES)
    return folder


@pytest.fixture
def reference(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "demo"))


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def test_the_network_that_made_the_reference_passes(
    weights: Path, made: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("CAM_MODELS", str(weights))
    code = run("verify", "googlenet", "--demo-files", made, "--engine", "openvino", "--json")
    report = json.loads(capsys.readouterr().out)
    assert code == 0
    assert report["passed"]
    assert len(report["checks"]) == 4
    for check in report["checks"]:
        assert check["passed"]
        assert check["difference"]["relative"] < 1e-5
    assert report["ours"] == report["theirs"]


def test_the_real_class_layer_on_other_layers_passes_and_fails(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    class_weights = load_class_layer(shared_data / "data_net.mat").class_weights
    seeded_weights(tmp_path / GOOGLENET.caffemodel, class_weights)
    monkeypatch.setenv("CAM_MODELS", str(tmp_path))
    code = run("verify", "googlenet", "--demo-files", shared_data, "--engine", "openvino")
    lines = capsys.readouterr().out.splitlines()
    assert code == 1
    assert lines[1].startswith("class layer")
    assert lines[1].endswith("passed")
    assert lines[2].startswith("activations")
    assert lines[2].endswith("FAILED")
    assert "top 5 original (from 1, as MATLAB): 969 968 970 551 810" in lines
    assert lines[-1].startswith("This is not the original network")


def test_one_other_weight_in_the_class_layer_fails(model: CamModel, reference: Path) -> None:
    changed = model.class_weights.copy()
    changed[3, 4] += 1e-4
    save_network(reference / "data_net.mat", changed, NAMES)
    outcome = verify(model, reference)
    assert [check.passed for check in outcome.checks] == [False, True, True, True]
    assert not outcome.passed


def test_scores_of_another_snapshot_are_no_reference(model: CamModel, reference: Path) -> None:
    activations, scores = load_features(reference / "data_img1.mat")
    noise = np.exp(np.random.default_rng(0).normal(0, 0.1, scores.shape))
    save_features(reference / "data_img1.mat", activations, scores * noise)
    with pytest.raises(cam.CamError, match=r"not of one network.*img2 come from another snapshot"):
        verify(model, reference)


def test_references_of_another_shape_are_refused(model: CamModel, reference: Path) -> None:
    save_network(reference / "data_net.mat", np.ones((5, 1024)), NAMES[:5])
    with pytest.raises(cam.CamError, match=r"class layer of shape \(1000, 1024\).*\(5, 1024\)"):
        verify(model, reference)


@pytest.mark.parametrize("name", ["data_net.mat", "data_img1.mat", "img1.jpg"])
def test_a_missing_reference_says_how_to_get_it(
    model: CamModel, reference: Path, name: str
) -> None:
    (reference / name).unlink()
    with pytest.raises(cam.CamError, match=f"{name} is not in .*cam fetch-demo"):
        verify(model, reference)


def test_missing_weights_are_bad_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("cam.zoo.weights.weights_folders", lambda: [tmp_path])
    assert run("verify", "googlenet") == 2
    assert "get it with: cam models fetch googlenet" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["alexnet", "efficientnet-lite0"])
def test_other_models_have_no_reference(name: str, capsys: Any) -> None:
    assert run("verify", name) == 2
    assert "features of googlenet only" in capsys.readouterr().err
