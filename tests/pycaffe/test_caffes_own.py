"""Caffe's own tests and examples, as they lie in its source archive, over both engines.

What needs training, gradients or layers in Python is left out over the module, by name: the list
is the one in docs/scripts.md.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import script_runs
from locations import REPOSITORY

from cam.caffe.caffemodel import CaffeModel, write_caffemodel
from cam.caffe.network import load_network
from cam.caffe.prototxt import upgraded

TESTS = (
    "test_coord_map",
    "test_draw",
    "test_io",
    "test_layer_type_list",
    "test_nccl",
    "test_net",
    "test_net_spec",
)
GRADIENTS = (
    "test_net.TestNet.test_backward_start_end",
    "test_net.TestNet.test_clear_param_diffs",
    "test_net.TestNet.test_forward_backward",
)
NEEDING_CAFFE = (
    *GRADIENTS,
    "test_python_layer",
    "test_python_layer_with_param_str",
    "test_solver",
)
"""What runs over Caffe itself only, as docs/scripts.md lists it."""


@pytest.fixture(params=[pytest.param("caffe", marks=pytest.mark.caffe), "openvino"])
def engine(request: pytest.FixtureRequest) -> str:
    """Return each engine, pycaffe where it is installed."""
    if request.param == "caffe":
        request.getfixturevalue("pycaffe")
    return str(request.param)


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    for package in ("six", "h5py"):
        pytest.importorskip(package, reason=f"Caffe's tests need {package}")
    return script_runs.unpacked(tmp_path)


def need_programs() -> None:
    if shutil.which("dot") is None:
        pytest.skip("test_draw needs Graphviz's dot")


def results(output: str) -> dict[str, str]:
    """Return the outcome of each test that unittest reports."""
    return dict(re.findall(r"\((test_\w+\.\w+\.test_\w+)\).*?\.\.\. (\w+)", output, re.DOTALL))


def test_caffes_own_tests_pass_over_the_module_but_for_gradients(sources: Path) -> None:
    need_programs()
    finished = script_runs.run_unittests(sources, TESTS, engine="openvino")
    found = results(finished.stderr)
    assert len(found) > 35, finished.stderr
    failed = {name for name, outcome in found.items() if outcome != "ok"}
    assert failed == set(GRADIENTS), finished.stderr
    assert finished.stderr.count("needs Caffe itself (the caffe engine)") == len(GRADIENTS)


def test_caffes_tests_of_layers_in_python_are_skipped_over_the_module(sources: Path) -> None:
    tests = ("test_python_layer", "test_python_layer_with_param_str")
    finished = script_runs.run_unittests(sources, tests, engine="openvino")
    assert finished.returncode == 0, finished.stderr
    assert set(results(finished.stderr).values()) == {"skipped"}


def test_the_docs_name_what_runs_over_caffe_only() -> None:
    text = (REPOSITORY / "docs" / "scripts.md").read_text(encoding="utf-8")
    for name in NEEDING_CAFFE:
        assert name.rpartition(".")[2] in text


@pytest.mark.slow
@pytest.mark.caffe
def test_caffes_own_tests_pass_over_caffe(sources: Path, pycaffe: Any) -> None:
    need_programs()
    tests = (*TESTS, "test_python_layer", "test_python_layer_with_param_str", "test_solver")
    finished = script_runs.run_unittests(sources, tests, engine="caffe")
    assert finished.returncode == 0, finished.stderr


def test_caffes_classify_program(engine: str, sources: Path, models: Path, coffee: Path) -> None:
    picture = sources / "coffee.png"
    shutil.copy(coffee, picture)
    finished = script_runs.run_script(
        sources / "python" / "classify.py",
        [
            picture,
            sources / "out.npy",
            *("--model_def", models / "efficientnet-lite0.prototxt"),
            *("--pretrained_model", models / "efficientnet-lite0.caffemodel"),
            *("--mean_file", "", "--raw_scale", 2, "--channel_swap", "0,1,2"),
        ],
        engine=engine,
        folder=sources,
    )
    assert finished.returncode == 0, finished.stderr
    assert "Classifying 1 inputs." in finished.stdout
    probabilities = np.load(sources / "out.npy")
    assert probabilities.shape == (1, 1000)
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_caffes_draw_program(engine: str, sources: Path) -> None:
    need_programs()
    prototxt = sources / "models" / "bvlc_googlenet" / "train_val.prototxt"
    finished = script_runs.run_script(
        sources / "python" / "draw_net.py",
        [prototxt, "net.png", "--phase", "TEST", "--rankdir", "TB", "--display_lrm"],
        engine=engine,
        folder=sources,
    )
    assert finished.returncode == 0, finished.stderr
    assert (sources / "net.png").read_bytes().startswith(b"\x89PNG")


def prepare_notebooks(sources: Path) -> None:
    """Put seeded weights, labels and a picture where the notebooks would download them."""
    folder = sources / "models" / "bvlc_reference_caffenet"
    network = load_network(folder / "deploy.prototxt")
    generator = np.random.default_rng(0)
    weights = {
        name: tuple(
            generator.standard_normal(shape, dtype=np.float32)
            * np.float32(np.sqrt(2 / np.prod(shape[1:])))
            if len(shape) > 1
            else np.zeros(shape, np.float32)
            for shape in shapes
        )
        for name, shapes in network.weight_shapes.items()
    }
    write_caffemodel(
        folder / "bvlc_reference_caffenet.caffemodel",
        CaffeModel(upgraded(network.message), weights),
    )
    labels = sources / "data" / "ilsvrc12" / "synset_words.txt"
    labels.parent.mkdir(parents=True)
    shutil.copy(REPOSITORY / "models" / "categories1000.txt", labels)
    shutil.copy(sources / "examples" / "images" / "cat.jpg", sources / "examples" / "image.jpg")


@pytest.mark.slow
def test_caffes_notebooks(engine: str, sources: Path) -> None:
    for package in ("matplotlib", "fissix"):
        pytest.importorskip(package)
    prepare_notebooks(sources)
    folder = sources / "examples"
    outputs = []
    for name in ("00-classification", "net_surgery"):
        script = script_runs.notebook_script(folder / f"{name}.ipynb")
        finished = script_runs.run_script(script, engine=engine, folder=folder)
        assert finished.returncode == 0, finished.stderr
        outputs.append(finished.stdout)
    classification, surgery = outputs
    assert "predicted class is: 398" in classification
    assert "fc8\t(50, 1000)" in classification
    assert "fc6-conv weights are (4096, 256, 6, 6) dimensional" in surgery
    before, after = re.findall(r"surgery output mean (-?\d\.\d\d)", surgery)
    assert float(after) - float(before) == pytest.approx(1, abs=0.011)
    assert "[[398 398 398 398 519 398 398 398]" in surgery
