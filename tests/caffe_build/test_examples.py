"""What scripts of Caffe's time call, in the way that Caffe's own examples do."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

pytestmark = [pytest.mark.caffe, pytest.mark.usefixtures("project_caffe")]

PROTOTXT = """
input: "data" input_shape { dim: 4 dim: 3 dim: 8 dim: 8 }
layer { type: "InnerProduct" name: "fc" bottom: "data" top: "fc" inner_product_param {
  num_output: 5 weight_filler { type: "gaussian" std: 0.01 } } }
layer { type: "Softmax" name: "prob" bottom: "fc" top: "prob" }
"""


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)


@pytest.fixture(scope="module")
def picture(pixels, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "picture.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="module")
def files(pycaffe, tmp_path_factory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("network")
    prototxt, caffemodel = folder / "deploy.prototxt", folder / "net.caffemodel"
    prototxt.write_text(PROTOTXT)
    pycaffe.set_random_seed(1)
    pycaffe.Net(str(prototxt), pycaffe.TEST).save(str(caffemodel))
    return str(prototxt), str(caffemodel)


def scores(pycaffe, files, pictures) -> np.ndarray:
    """Return the network's scores of RGB pictures in [0, 1], which it takes as BGR in [0, 255]."""
    net = pycaffe.Net(*files, pycaffe.TEST)
    batch = np.stack([picture.transpose(2, 0, 1)[::-1] * 255 for picture in pictures])
    net.blobs["data"].reshape(*batch.shape)
    net.blobs["data"].data[...] = batch
    return net.forward()["prob"].copy()


def test_load_image_gives_rgb_from_0_to_1(pycaffe, picture, pixels) -> None:
    image = pycaffe.io.load_image(str(picture))
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, pixels / 255, atol=1e-7)


def test_load_image_without_color_gives_the_luminance(pycaffe, picture, pixels) -> None:
    image = pycaffe.io.load_image(str(picture), color=False)
    expected = pixels / 255 @ [0.2125, 0.7154, 0.0721]
    np.testing.assert_allclose(image, expected[:, :, np.newaxis], atol=1e-6)


def test_resize_image_does_not_smooth(pycaffe, picture) -> None:
    image = pycaffe.io.load_image(str(picture))
    # At a third of the size, bilinear samples lie on each block's central pixel.
    np.testing.assert_allclose(
        pycaffe.io.resize_image(image[:, :39], (10, 13)), image[1::3, 1:39:3], atol=1e-6
    )


def test_oversample_takes_corners_center_and_mirrors(pycaffe, picture) -> None:
    image = pycaffe.io.load_image(str(picture))
    crops = pycaffe.io.oversample([image], (8, 10))
    starts = ((0, 0), (0, 30), (22, 0), (22, 30), (11, 15))
    expected = np.stack([image[row : row + 8, column : column + 10] for row, column in starts])
    np.testing.assert_array_equal(crops[:5], expected)
    np.testing.assert_array_equal(crops[5:], expected[:, :, ::-1])


@pytest.mark.parametrize("oversample", [True, False])
def test_classifier_averages_the_crops(oversample, pycaffe, files, picture) -> None:
    options = {"image_dims": [12, 12], "raw_scale": 255, "channel_swap": (2, 1, 0)}
    classifier = pycaffe.Classifier(*files, mean=np.zeros(3), **options)
    image = pycaffe.io.load_image(str(picture))
    small = pycaffe.io.resize_image(image, (12, 12))
    crops = pycaffe.io.oversample([small], (8, 8)) if oversample else [small[2:10, 2:10]]
    predicted = classifier.predict([image], oversample=oversample)
    expected = scores(pycaffe, files, crops).mean(0)
    np.testing.assert_allclose(predicted, expected[np.newaxis], atol=1e-6)


def detector_of(pycaffe, files, **options):
    return pycaffe.Detector(*files, raw_scale=255, channel_swap=(2, 1, 0), **options)


def test_detector_classifies_each_window(pycaffe, files, picture) -> None:
    windows = np.array([[2, 3, 20, 30], [0, 0, 30, 40], [5, 5, 9, 11]])
    found = detector_of(pycaffe, files).detect_windows([(str(picture), windows)])
    image = pycaffe.io.load_image(str(picture))
    crops = [image[top:bottom, left:right] for top, left, bottom, right in windows]
    resized = [pycaffe.io.resize_image(crop, (8, 8)) for crop in crops]
    assert [each["window"].tolist() for each in found] == windows.tolist()
    np.testing.assert_allclose(
        [each["prediction"] for each in found], scores(pycaffe, files, resized), atol=1e-6
    )


def test_detector_adds_context_and_the_mean_outside_of_the_picture(pycaffe, files, pixels) -> None:
    mean = np.array([10.0, 20.0, 30.0])
    detector = detector_of(pycaffe, files, mean=mean, context_pad=2)
    image = np.float32(pixels / 255)
    # Two of the eight pixels on each side are context: twice the window, about its center.
    inside = detector.crop(image, np.array([10, 10, 19, 19]))
    np.testing.assert_array_equal(inside, pycaffe.io.resize_image(image[5:25, 5:25], (8, 8)))
    corner = detector.crop(image, np.array([0, 0, 9, 9]))
    outside = np.broadcast_to(mean[::-1] / 255, (2, 8, 3))
    np.testing.assert_allclose(corner[:2], outside, atol=1e-6)
    np.testing.assert_allclose(corner[:, :2], outside.transpose(1, 0, 2), atol=1e-6)
    np.testing.assert_array_equal(corner[2:, 2:], pycaffe.io.resize_image(image[:15, :15], (6, 6)))


def test_detector_takes_windows_of_selective_search(pycaffe, files, picture, monkeypatch) -> None:
    windows = [np.array([[2.0, 3.0, 20.0, 30.0]])]
    module = SimpleNamespace(get_windows=lambda names, cmd: windows)
    monkeypatch.setitem(sys.modules, "selective_search_ijcv_with_python", module)
    detector = detector_of(pycaffe, files)
    found = detector.detect_selective_search([str(picture)])
    expected = detector.detect_windows([(str(picture), np.array([[2, 3, 20, 30]]))])
    np.testing.assert_array_equal(found[0]["prediction"], expected[0]["prediction"])


def test_draw_names_every_layer(pycaffe, tmp_path) -> None:
    import caffe.draw
    from google.protobuf import text_format

    net = pycaffe.proto.caffe_pb2.NetParameter()
    text_format.Merge(PROTOTXT, net)
    caffe.draw.draw_net_to_file(net, str(tmp_path / "net.svg"), rankdir="TB")
    drawing = (tmp_path / "net.svg").read_text()
    assert "fc (InnerProduct)" in drawing
    assert "prob (Softmax)" in drawing


def test_a_net_spec_is_trained_by_get_solver(pycaffe, tmp_path) -> None:
    layers, spec = pycaffe.layers, pycaffe.NetSpec()
    spec.data, spec.label = layers.DummyData(
        shape=[{"dim": [8, 3]}, {"dim": [8, 1]}],
        data_filler=[{"type": "constant", "value": 1}, {"type": "constant", "value": 2}],
        ntop=2,
    )
    spec.score = layers.InnerProduct(spec.data, num_output=1, weight_filler={"type": "xavier"})
    spec.loss = layers.EuclideanLoss(spec.score, spec.label)
    (tmp_path / "train.prototxt").write_text(str(spec.to_proto()))
    parameters = pycaffe.proto.caffe_pb2.SolverParameter(
        train_net=str(tmp_path / "train.prototxt"), base_lr=0.1, lr_policy="fixed"
    )
    (tmp_path / "solver.prototxt").write_text(str(parameters))
    solver = pycaffe.get_solver(str(tmp_path / "solver.prototxt"))
    solver.step(100)
    weights, bias = solver.net.params["score"]
    assert weights.data.sum() + bias.data[0] == pytest.approx(2, abs=1e-4)
    assert solver.net.blobs["loss"].data == pytest.approx(0, abs=1e-6)
