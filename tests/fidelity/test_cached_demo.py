from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from file_server import FileServer, serve

import cam
from cam import zoo
from cam.caffe.network import load_network as read_network
from cam.cli import main
from cam.fidelity import Tolerance, compare_files, demo_files
from cam.fidelity.cached_demo import crop_of_maps, explain_features, score_residual
from cam.fidelity.demo_files import fetch_demo_file
from cam.files import models_folder
from cam.matlab import imresize, load_features, load_network, save_features, save_network, write_mat


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def of_one_network(
    crops: int = 10, size: int = 14, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return activations, scores and class weights of a network with 16 channels, 20 classes."""
    random = np.random.default_rng(seed)
    activations = np.maximum(random.standard_normal((crops, 16, size, size)), 0)
    weights, bias = random.standard_normal((20, 16)), random.standard_normal(20)
    logits = activations.mean(axis=(2, 3)) @ weights.T + bias
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return activations, scores, weights


@pytest.fixture
def files(tmp_path: Path, coffee: Path) -> dict[str, Path]:
    activations, scores, weights = of_one_network()
    save_features(tmp_path / "img.mat", activations, scores)
    save_network(tmp_path / "net.mat", weights, [f"n{index:08d} thing" for index in range(20)])
    return {"features": tmp_path / "img.mat", "network": tmp_path / "net.mat", "image": coffee}


def test_img1_comes_out_as_the_originals_functions_give_it(
    shared_data: Path, tmp_path: Path, capsys: Any
) -> None:
    names = {"features": "data_img1.mat", "net": "data_net.mat", "image": "img1.jpg"}
    options = [part for key, name in names.items() for part in (f"--{key}", shared_data / name)]
    assert run("matlab-demo", *options, "-o", tmp_path) == 0
    printed = capsys.readouterr()
    best = printed.out.splitlines()[2].split()
    assert best == ["0.2337", "969", "968", "n07930864", "cup"]
    assert printed.err == ""

    folder = tmp_path / "img1"
    assert {"result.jpg", "montage.png", "maps.npz"} <= {path.name for path in folder.iterdir()}
    outcome = compare_files(folder, shared_data / "octave_img1.mat", Tolerance(share=1.0))
    found = outcome.differences
    assert outcome.within
    assert outcome.ranking is not None
    assert [index + 1 for index in outcome.ranking.ours] == [969, 968, 970, 551, 810]
    assert found["maps"].max_abs <= 1e-4
    assert found["maps"].shape == (5, 10, 14, 14)
    assert found["merged"].relative <= 1e-3
    assert found["heat_maps"].within_levels == 1.0
    # A level of the colour map is four levels of a channel.
    assert found["heat_pictures"].max_abs <= 4
    assert found["probabilities"].relative <= 1e-6


def test_the_same_classes_and_probabilities_follow_from_the_features_alone(
    shared_data: Path, tmp_path: Path, capsys: Any
) -> None:
    files = (shared_data / "data_img1.mat", shared_data / "octave_img1.mat")
    assert run("compare", *files, "-o", tmp_path) == 0


def test_features_give_what_the_network_gives(coffee: Path, tmp_path: Path) -> None:
    model = cam.load("efficientnet-lite0", engine="openvino")
    expected = model.explain(coffee, top=3, style="matlab")
    expected.to_mat(tmp_path / "img.mat")
    save_network(tmp_path / "net.mat", model.class_weights, model.class_names)
    result = explain_features(tmp_path / "img.mat", tmp_path / "net.mat", coffee, top=3)
    assert result.names == expected.names
    np.testing.assert_array_equal(result.scores, expected.scores)
    np.testing.assert_array_equal(result.maps, expected.maps)
    np.testing.assert_array_equal(result.montage(), expected.montage())


def test_the_record_says_where_the_features_came_from(files: dict[str, Path]) -> None:
    result = explain_features(**files)
    assert result.record["features"] == "img.mat"
    assert len(result.record["features_sha256"]) == len(result.record["network_sha256"]) == 64
    assert result.record["style"] == "matlab"
    assert result.record["score_residual"] < 1e-4


def test_the_first_crop_alone_can_order_the_classes(files: dict[str, Path]) -> None:
    first = load_features(files["features"]).scores[0]
    result = explain_features(**files, first_crop=True)
    np.testing.assert_array_equal(result.indices, np.argsort(-first)[:5])
    np.testing.assert_array_equal(result.probabilities, np.sort(first)[::-1][:5])
    assert result.record["scores"] == "of the first crop"


def test_scores_follow_from_activations_and_class_layer(shared_data: Path) -> None:
    class_weights = load_network(shared_data / "data_net.mat").class_weights
    activations, scores = load_features(shared_data / "data_img1.mat")
    assert score_residual(activations, scores, class_weights) < 2e-5
    assert score_residual(activations[:, ::-1], scores, class_weights) > 1


def test_scores_that_vanish_are_passed_over() -> None:
    activations, scores, weights = of_one_network()
    scores[3, 5] = 0
    assert score_residual(activations, scores, weights) < 1e-9


def test_features_of_another_snapshot_are_pointed_out(
    files: dict[str, Path], tmp_path: Path, capsys: Any
) -> None:
    activations, scores, _ = of_one_network()
    noise = np.exp(np.random.default_rng(0).normal(0, 0.1, scores.shape))
    save_features(files["features"], activations, scores * noise)
    options = ("--features", files["features"], "--net", files["network"])
    assert run("matlab-demo", *options, "--image", files["image"], "-o", tmp_path, "--json") == 0
    printed = capsys.readouterr()
    assert "another snapshot of the network" in " ".join(printed.err.split())
    assert json.loads(printed.out)["record"]["score_residual"] > 0.1


@pytest.mark.parametrize(
    ("crops", "size", "message"),
    [
        (1, 14, r"features of 1 crops.*cam run --style matlab --save-mat"),
        (10, 13, r"maps of 13 rows.*--crop"),
    ],
)
def test_features_that_the_original_could_not_merge_are_refused(
    files: dict[str, Path], crops: int, size: int, message: str
) -> None:
    activations, scores, _ = of_one_network(crops, size)
    save_features(files["features"], activations, scores)
    with pytest.raises(cam.CamError, match=message):
        explain_features(**files)


def test_crops_of_another_size_can_be_named(files: dict[str, Path]) -> None:
    activations, scores, _ = of_one_network(size=13)
    save_features(files["features"], activations, scores)
    assert explain_features(**files, crop=208).merged.shape == (5, 256, 256)


@pytest.mark.parametrize("model", zoo.ZOO, ids=lambda model: model.name)
def test_the_size_of_a_models_crops_follows_from_the_size_of_its_maps(model: zoo.ZooModel) -> None:
    network = read_network(models_folder() / model.prototxt)
    assert crop_of_maps(network.blob_shapes[model.last_conv][2]) == model.crop_size


def test_features_and_class_layer_must_fit(files: dict[str, Path]) -> None:
    save_network(files["network"], np.ones((20, 15)), [""] * 20)
    with pytest.raises(cam.CamError, match="do not fit each other: 16 channels"):
        explain_features(**files)


@pytest.mark.parametrize("top", [0, 21])
def test_more_classes_than_there_are_are_refused(files: dict[str, Path], top: int) -> None:
    with pytest.raises(cam.CamError, match=f"top {top} of 20 classes"):
        explain_features(**files, top=top)


def test_a_class_layer_without_names_numbers_its_classes(files: dict[str, Path]) -> None:
    weights = load_network(files["network"]).class_weights
    write_mat(files["network"], {"weights_LR": weights.T})
    result = explain_features(**files)
    assert result.names[0] == f"class {result.indices[0]}"


def test_without_files_the_command_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("cam.fidelity.demo_files.demo_folder", lambda: tmp_path)
    assert run("matlab-demo") == 2
    assert "get it with cam fetch-demo" in capsys.readouterr().err
    assert run("matlab-demo", "--features", "x.mat") == 2
    assert "--features and --image belong together" in capsys.readouterr().err


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve() as running:
        monkeypatch.setattr(demo_files, "SOURCES", (running.url("old/"), running.url("new/")))
        yield running


def test_demo_files_come_from_either_address_and_make_the_demo_run(
    server: FileServer,
    shared_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    monkeypatch.setattr("cam.fidelity.demo_files.demo_folder", lambda: tmp_path / "demo")
    names = ("data_net.mat", "data_img1.mat", "img1.jpg", "categories1000.mat")
    for name in names:
        server.files[f"new/{name}"] = (shared_data / name).read_bytes()
    assert run("fetch-demo", *names) == 0
    assert server.requests[:2] == [("old/data_net.mat", None), ("new/data_net.mat", None)]
    assert run("matlab-demo", "-o", tmp_path) == 0
    assert (tmp_path / "img1" / "result.jpg").is_file()
    assert run("fetch-demo") == 3
    assert "could not fetch data_img2.mat" in capsys.readouterr().err
    assert run("fetch-demo", "img2.jpg") == 2
    assert "could not fetch img2.jpg" in capsys.readouterr().err
    assert run("fetch-demo", "data_img3.mat") == 2
    assert "nearest: data_img" in capsys.readouterr().err


def test_a_folder_without_some_of_the_files_gives_the_others(
    shared_data: Path, tmp_path: Path, capsys: Any
) -> None:
    source, demo = tmp_path / "source", tmp_path / "demo"
    source.mkdir()
    for name in ("data_net.mat", "img1.jpg", "img2.jpg"):
        shutil.copyfile(shared_data / name, source / name)
    (source / "img1.jpg").write_bytes(b"<html>Moved</html>")
    assert run("fetch-demo", "--from", source, "-o", demo) == 3
    printed = capsys.readouterr()
    assert printed.out.split() == [str(demo / "data_net.mat"), str(demo / "img2.jpg")]
    assert "not fetched: data_img1.mat, data_img2.mat, img1.jpg, categories1000.mat" in printed.err
    assert f"{source / 'data_img1.mat'}: there is no such file" in printed.err
    assert f"{source / 'img1.jpg'}: not a picture" in printed.err
    assert run("fetch-demo", "--from", tmp_path / "nowhere", "-o", tmp_path / "other") == 2
    assert not list((tmp_path / "other").glob("*.mat"))


def test_fetched_files_are_found_by_their_names_alone(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr("cam.fidelity.demo_files.demo_folder", lambda: tmp_path / "demo")
    assert run("compare", "data_img1.mat", "maps.mat", "--net", "data_net.mat") == 2
    assert "get it with cam fetch-demo" in capsys.readouterr().err
    names = ("data_net.mat", "data_img1.mat", "img1.jpg")
    assert run("fetch-demo", *names, "--from", (shared_data / "img1.jpg").parent) == 0
    # The commands of docs/matlab.md, with the features that are at hand.
    assert run("matlab-demo", "-o", "out") == 0
    assert run("matlab-demo", "--features", "data_img1.mat", "--image", "img1.jpg", "-o", "o") == 0
    shutil.copy(shared_data / "octave_img1.mat", "maps.mat")
    assert run("compare", "data_img1.mat", "maps.mat", "--net", "data_net.mat") == 0
    # A file here goes before a fetched one, and other names have no second meaning.
    Path("img1.jpg").write_bytes(b"not a picture")
    assert run("matlab-demo", "--features", "data_img1.mat", "--image", "img1.jpg") == 2
    assert "img1.jpg: not a picture" in capsys.readouterr().err
    assert run("compare", "other/data_img1.mat", "maps.mat") == 2
    assert "no such file" in capsys.readouterr().err


def test_demo_files_come_from_a_folder(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "img1.jpg"
    path = fetch_demo_file("img1.jpg", tmp_path, str(source.parent))
    assert path.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("name", demo_files.DEMO_FILES)
def test_a_demo_file_that_is_something_else_is_refused(
    name: str, tmp_path: Path, files: dict[str, Path]
) -> None:
    wrong = {"data_net.mat": files["network"], "data_img1.mat": files["features"]}
    source = tmp_path / "source"
    source.mkdir()
    if name in wrong:
        shutil.copy(wrong[name], source / name)
    elif name == "categories1000.mat":
        write_mat(source / name, {"categories": ["cup", "eggnog"]})
    else:
        (source / name).write_bytes(b"<html>Moved</html>")
    with pytest.raises(cam.CamError):
        fetch_demo_file(name, tmp_path / "demo", str(source))
    assert not (tmp_path / "demo" / name).exists()


def test_crops_of_the_pictures_size_are_laid_over_all_of_it(files: dict[str, Path]) -> None:
    # As the revision of demo.m does that enlarges the maps of the crops to 256 x 256.
    result = explain_features(**files, crop=256)
    enlarged = np.abs(imresize(result.maps.transpose(2, 3, 0, 1), (256, 256)))
    upright = np.concatenate([enlarged[:, :, :5], enlarged[:, ::-1, 5:]], axis=2)
    expected = 3 * upright.sum(axis=2).transpose(2, 0, 1)
    np.testing.assert_allclose(result.merged, expected, rtol=1e-5)
