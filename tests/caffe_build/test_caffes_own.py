"""BVLC Caffe's own tests, scripts and notebooks, unchanged, over the project's Caffe."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from caffe_sources import (
    CAFFENET,
    UNIT_TESTS,
    archive,
    replace_downloads,
    run_notebook,
    run_python,
    run_unit_test,
    unpack,
)

pytestmark = [pytest.mark.caffe, pytest.mark.usefixtures("project_caffe")]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tarball = archive()
    if tarball is None:
        pytest.skip("Caffe's source tarball (../shared/sources) is not here")
    folder = tmp_path_factory.mktemp("checkout")
    unpack(tarball, folder)
    return folder


@pytest.fixture(scope="module")
def checkout_with_weights(checkout: Path) -> Path:
    replace_downloads(checkout)
    return checkout


def test_no_test_of_caffes_is_left_out(checkout) -> None:
    modules = {path.stem for path in (checkout / "python" / "caffe" / "test").glob("*.py")}
    assert modules == set(UNIT_TESTS)


@pytest.mark.slow
@pytest.mark.parametrize("module", UNIT_TESTS)
def test_caffes_own_tests_pass(module, checkout) -> None:
    finished = run_unit_test(checkout, module)
    assert finished.returncode == 0, finished.stdout
    assert re.search(r"^Ran [1-9]\d* tests?", finished.stdout, re.MULTILINE)


@pytest.mark.slow
def test_classify_writes_probabilities(checkout_with_weights, tmp_path) -> None:
    root = checkout_with_weights
    picture, output = root / "examples" / "images" / "cat.jpg", tmp_path / "scores.npy"
    finished = run_python((root / "python" / "classify.py", picture, output), tmp_path)
    assert finished.returncode == 0, finished.stdout
    scores = np.load(output)
    assert scores.shape == (1, 1000)
    assert scores.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
def test_draw_net_draws_a_picture(checkout, tmp_path) -> None:
    prototxt, output = checkout / CAFFENET / "train_val.prototxt", tmp_path / "net.png"
    finished = run_python((checkout / "python" / "draw_net.py", prototxt, output), tmp_path)
    assert finished.returncode == 0, finished.stdout
    assert output.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_the_example_of_a_net_spec_writes_both_networks(checkout, tmp_path) -> None:
    finished = run_python((checkout / "examples" / "pycaffe" / "caffenet.py",), tmp_path)
    assert finished.returncode == 0, finished.stdout
    assert 'type: "SoftmaxWithLoss"' in (tmp_path / "train.prototxt").read_text()


@pytest.mark.slow
def test_the_example_of_a_python_layer_gives_the_loss_of_caffes_own_layer(checkout) -> None:
    folder = checkout / "examples" / "pycaffe"
    script = (
        "import caffe; net = caffe.Net('linreg.prototxt', caffe.TRAIN); net.forward()\n"
        "differences = net.blobs['ipx'].data - net.blobs['ipy'].data\n"
        "print(float(net.blobs['loss'].data[0]) / (differences**2).sum() * 2 * len(differences))\n"
    )
    finished = run_python(("-c", script), folder, [folder / "layers"])
    assert finished.returncode == 0, finished.stdout
    assert float(finished.stdout.split()[-1]) == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
def test_the_classification_notebook_runs(checkout_with_weights) -> None:
    finished = run_notebook(checkout_with_weights, "00-classification")
    assert finished.returncode == 0, finished.stdout
    predicted = int(re.findall(r"predicted class is: (\d+)", finished.stdout)[0])
    names = (checkout_with_weights / "data/ilsvrc12/synset_words.txt").read_text().splitlines()
    assert f"output label: {names[predicted]}\n" in finished.stdout
    assert "conv1\t(50, 96, 55, 55)\n" in finished.stdout
    assert "fc8\t(1000, 4096) (1000,)\n" in finished.stdout


@pytest.mark.slow
def test_the_net_surgery_notebook_runs(checkout_with_weights) -> None:
    finished = run_notebook(checkout_with_weights, "net_surgery")
    assert finished.returncode == 0, finished.stdout
    # The notebook adds one to the filter's bias in between.
    before, after = map(float, re.findall(r"-surgery output mean (\S+)", finished.stdout))
    assert after - before == pytest.approx(1, abs=0.011)
    assert (
        checkout_with_weights / "examples/net_surgery/bvlc_caffenet_full_conv.caffemodel"
    ).exists()
    rows = finished.stdout[finished.stdout.index("[[") :].splitlines()
    assert [len(re.findall(r"\d+", row)) for row in rows[:8]] == [8] * 8
