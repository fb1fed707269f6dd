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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a network as it was (small) and rewritten (small_cam)."""
    target = tmp_path_factory.mktemp("networks")
    generator = np.random.default_rng(0)
    prototxt, caffemodel = target / "small.prototxt", target / "small.caffemodel"
    prototxt.write_text(PROTOTXT)
    blobs = {
        name: tuple(
            generator.normal(0, math.sqrt(2 / math.prod(shape[1:] or (10,))), shape).astype("f4")
            for shape in shapes
        )
        for name, shapes in load_network(prototxt).weight_shapes.items()
    }
    write_caffemodel(caffemodel, CaffeModel(read_prototxt(prototxt), blobs))
    subprocess.run([sys.executable, SCRIPT, prototxt, caffemodel, target / "small_cam"], check=True)
    return target


def load(folder: Path, engine: str) -> CamModel:
    files = (folder / "small_cam.prototxt", folder / "small_cam.caffemodel")
    return cam.load_files(*files, engine=engine)


def net_before(pycaffe: Any, folder: Path, header: str = "") -> Any:
    prototxt = folder / "before.prototxt"
    prototxt.write_text(header + PROTOTXT)
    return pycaffe.Net(str(prototxt), pycaffe.TEST, weights=str(folder / "small.caffemodel"))


@pytest.mark.parametrize("engine", ["openvino", "caffe:cpu"])
def test_caffe_gives_the_same_probabilities_before_and_after(
    folder: Path, pycaffe: Any, engine: str
) -> None:
    model = load(folder, engine)
    before = net_before(pycaffe, folder)
    batch = np.random.default_rng(1).normal(0, 50, (4, 3, 40, 40)).astype(np.float32)
    before.blobs["data"].reshape(*batch.shape)
    before.blobs["data"].data[...] = batch
    expected = before.forward()["prob"].reshape(4, 7)
    # Scores of a hundred, rounded to single precision, differ by 1e-5 between the engines.
    np.testing.assert_allclose(model.engine.forward(batch).scores, expected, atol=1e-5)
    assert expected.std() > 0.1


def test_saliency_is_that_of_the_network_before(folder: Path, pycaffe: Any, coffee: Path) -> None:
    model = load(folder, "caffe:cpu")
    result = explain_by_backpropagation(model, coffee, 1)
    before = net_before(pycaffe, folder, "force_backward: true\n")
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


def test_a_network_without_inner_products_is_refused(tmp_path: Path, folder: Path) -> None:
    before, _ = PROTOTXT.split('layer { name: "fc6"')
    (tmp_path / "other.prototxt").write_text(before)
    finished = subprocess.run(
        [sys.executable, SCRIPT, tmp_path / "other.prototxt", folder / "small.caffemodel", "out"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 1
    assert "has no inner product" in finished.stderr
