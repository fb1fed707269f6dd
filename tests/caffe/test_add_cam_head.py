from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from locations import REPOSITORY

import cam
from cam.caffe.caffemodel import CaffeModel, write_caffemodel
from cam.caffe.network import load_network
from cam.caffe.prototxt import read_prototxt
from cam.explain.model import CamModel
from cam.explain.saliency import explain_by_backpropagation
from cam.explain.styles import get_style
from cam.pictures.reading import read_picture

SCRIPT = REPOSITORY / "scripts" / "add_cam_head.py"

# AlexNet's plan, small: maps of 5×5 flattened, two hidden inner products, classes.
PROTOTXT = """
name: "small"
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 1 dim: 3 dim: 40 dim: 40 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
        convolution_param { num_output: 6 kernel_size: 5 stride: 4 } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
        pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "fc6" type: "InnerProduct" bottom: "pool1" top: "fc6"
        inner_product_param { num_output: 20 } }
layer { name: "relu6" type: "ReLU" bottom: "fc6" top: "fc6" }
layer { name: "drop6" type: "Dropout" bottom: "fc6" top: "fc6" }
layer { name: "fc7" type: "InnerProduct" bottom: "fc6" top: "fc7"
        inner_product_param { num_output: 15 } }
layer { name: "relu7" type: "ReLU" bottom: "fc7" top: "fc7" }
layer { name: "fc8" type: "InnerProduct" bottom: "fc7" top: "fc8"
        inner_product_param { num_output: 7 } }
layer { name: "prob" type: "Softmax" bottom: "fc8" top: "prob" }
"""


# NIN's end: a map a class, global pooling, softmax.
NIN_PROTOTXT = """
name: "nin"
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 1 dim: 3 dim: 40 dim: 40 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
        convolution_param { num_output: 7 kernel_size: 5 stride: 4 } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool" type: "Pooling" bottom: "conv1" top: "pool"
        pooling_param { pool: AVE kernel_size: 9 } }
layer { name: "prob" type: "Softmax" bottom: "pool" top: "prob" }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with networks as they were (small, nin) and rewritten (..._cam)."""
    target = tmp_path_factory.mktemp("networks")
    generator = np.random.default_rng(0)
    for stem, text in (("small", PROTOTXT), ("nin", NIN_PROTOTXT)):
        prototxt, caffemodel = target / f"{stem}.prototxt", target / f"{stem}.caffemodel"
        prototxt.write_text(text)
        blobs = {
            name: tuple(
                generator.normal(0, math.sqrt(2 / math.prod(shape[1:] or (10,))), shape).astype(
                    "f4"
                )
                for shape in shapes
            )
            for name, shapes in load_network(prototxt).weight_shapes.items()
        }
        write_caffemodel(caffemodel, CaffeModel(read_prototxt(prototxt), blobs))
        arguments = [prototxt, caffemodel, target / f"{stem}_cam"]
        subprocess.run([sys.executable, SCRIPT, *arguments], check=True)
    return target


def load(folder: Path, stem: str, engine: str) -> CamModel:
    files = (folder / f"{stem}_cam.prototxt", folder / f"{stem}_cam.caffemodel")
    return cam.load_files(*files, engine=engine)


def net_before(pycaffe: Any, folder: Path, stem: str, header: str = "") -> Any:
    prototxt = folder / "before.prototxt"
    prototxt.write_text(header + (folder / f"{stem}.prototxt").read_text())
    return pycaffe.Net(str(prototxt), pycaffe.TEST, weights=str(folder / f"{stem}.caffemodel"))


@pytest.mark.parametrize("stem", ["small", "nin"])
@pytest.mark.parametrize("engine", ["openvino", "caffe:cpu"])
def test_caffe_gives_the_same_probabilities_before_and_after(
    folder: Path, pycaffe: Any, engine: str, stem: str
) -> None:
    model = load(folder, stem, engine)
    before = net_before(pycaffe, folder, stem)
    batch = np.random.default_rng(1).normal(0, 50, (4, 3, 40, 40)).astype(np.float32)
    before.blobs["data"].reshape(*batch.shape)
    before.blobs["data"].data[...] = batch
    expected = before.forward()["prob"].reshape(4, 7)
    # Scores of a hundred, rounded to single precision, differ by 1e-5 between the engines.
    np.testing.assert_allclose(model.engine.forward(batch).scores, expected, atol=1e-5)
    assert expected.std() > 0.1


def test_saliency_is_that_of_the_network_before(folder: Path, pycaffe: Any, coffee: Path) -> None:
    model = load(folder, "small", "caffe:cpu")
    result = explain_by_backpropagation(model, coffee, 1)
    before = net_before(pycaffe, folder, "small", "force_backward: true\n")
    prepared = get_style("pycaffe").prepare(
        read_picture(coffee), model.crop_size, model.preprocessing
    )
    before.blobs["data"].data[...] = prepared.batch
    before.forward()
    before.blobs["fc8"].diff[...] = np.eye(7)[result.indices]
    gradient = before.backward(start="fc8")["data"]
    np.testing.assert_allclose(
        result.maps[:, 0], np.abs(gradient).max(axis=1), atol=1e-6 * np.abs(gradient).max()
    )


def test_the_class_activation_maps_of_nin_are_its_last_maps(folder: Path, coffee: Path) -> None:
    result = load(folder, "nin", "openvino").explain(coffee, top=7)
    np.testing.assert_array_equal(result.maps[0], result.output.activations[0, result.indices])


def test_a_network_of_neither_kind_is_refused(tmp_path: Path, folder: Path) -> None:
    before, _ = NIN_PROTOTXT.split('layer { name: "pool"')
    (tmp_path / "other.prototxt").write_text(before)
    finished = subprocess.run(
        [sys.executable, SCRIPT, tmp_path / "other.prototxt", folder / "nin.caffemodel", "out"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 1
    assert "no inner product, and does not end in global pooling" in finished.stderr
