"""The interface, over pycaffe and over the project's module: the same calls, the same values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import reference
from numpy.typing import NDArray

from cam.caffe.caffemodel import CaffeModel, write_caffemodel
from cam.caffe.network import load_network
from cam.caffe.prototxt import parse_prototxt, upgraded
from cam.caffe.random_weights import seeded_weights
from cam.pycaffe import modules

TOLERANCE = 1e-5
"""Of a blob's largest value."""

NETWORK = """
name: "small"
input: "data" input_shape { dim: 2 dim: 3 dim: 8 dim: 8 }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
  pooling_param { pool: AVE global_pooling: true } }
layer { name: "top" type: "Pooling" bottom: "conv" top: "most"
  pooling_param { global_pooling: true } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
  inner_product_param { num_output: 5 } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""
SPLIT = "conv_relu_0_split"
"""What Caffe puts behind the in-place layer, since two layers read its blob."""

CONVOLUTION = """
input: "data" input_dim: 1 input_dim: 1 input_dim: 6 input_dim: 6
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 2 kernel_size: 3 } }
"""

Blobs = dict[str, NDArray[Any]]


@pytest.fixture(params=[pytest.param("pycaffe", marks=pytest.mark.caffe), "module"])
def caffe(request: pytest.FixtureRequest) -> Any:
    if request.param == "pycaffe":
        return request.getfixturevalue("pycaffe")
    return modules()["caffe"]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], str]:
    def write_text(text: str) -> str:
        path = tmp_path / f"net{len(list(tmp_path.iterdir()))}.prototxt"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write_text


def weights_for(text: str, seed: int = 3) -> dict[str, tuple[NDArray[np.float32], ...]]:
    from cam.caffe.network import parse_network

    network = parse_network(text)
    layers = [layer.message for layer in network.layers]
    return reference.random_weights(layers, network.weight_shapes, seed)


def caffemodel(text: str, path: Path, seed: int = 3) -> str:
    write_caffemodel(path, CaffeModel(upgraded(parse_prototxt(text)), weights_for(text, seed)))
    return str(path)


@pytest.fixture
def weights(tmp_path: Path) -> str:
    return caffemodel(NETWORK, tmp_path / "small.caffemodel")


@pytest.fixture
def net(caffe: Any, write: Callable[[str], str], weights: str) -> Any:
    return caffe.Net(write(NETWORK), caffe.TEST, weights=weights)


def inputs(shape: tuple[int, ...], seed: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def expected(text: str, x: NDArray[np.float32], seed: int = 3) -> Blobs:
    messages = parse_prototxt(text).layer
    return dict(reference.forward(messages, {"data": x}, weights_for(text, seed)))


def assert_close(actual: NDArray[Any], wanted: NDArray[Any]) -> None:
    assert actual.shape == wanted.shape
    assert actual.dtype == np.float32
    atol = TOLERANCE * max(float(np.abs(wanted).max()), 1e-6)
    np.testing.assert_allclose(actual, wanted, rtol=0, atol=atol)


# --- what a network says of itself ---------------------------------------------------------------


def test_names_are_caffes_with_the_layers_that_it_adds(net: Any) -> None:
    layers = ["input", "conv", "relu", SPLIT, "pool", "top", "fc", "prob"]
    assert list(net._layer_names) == layers
    assert [layer.type for layer in net.layers] == [
        *("Input", "Convolution", "ReLU", "Split", "Pooling", "Pooling", "InnerProduct", "Softmax")
    ]
    assert list(net.blobs) == [
        *("data", "conv", f"{SPLIT}_0", f"{SPLIT}_1", "pool", "most", "fc", "prob")
    ]
    assert net.inputs == ["data"]
    assert net.outputs == ["most", "prob"]
    assert list(net.bottom_names.items())[3:5] == [(SPLIT, ["conv"]), ("pool", [f"{SPLIT}_0"])]
    assert net.top_names[SPLIT] == [f"{SPLIT}_0", f"{SPLIT}_1"]
    assert list(net.layer_dict) == layers


def test_shapes(net: Any) -> None:
    data, fc = net.blobs["data"], net.blobs["fc"]
    assert list(data.shape) == [2, 3, 8, 8]
    assert (data.num, data.channels, data.height, data.width, data.count) == (2, 3, 8, 8, 384)
    assert list(fc.shape) == [2, 5]
    assert (fc.num, fc.channels, fc.height, fc.width, fc.count) == (2, 5, 1, 1, 10)
    assert data.data.shape == data.diff.shape == (2, 3, 8, 8)
    assert data.data.dtype == data.diff.dtype == np.float32


def test_params_are_the_layers_blobs(net: Any) -> None:
    assert list(net.params) == ["conv", "fc"]
    assert [list(blob.shape) for blob in net.params["conv"]] == [[4, 3, 3, 3], [4]]
    assert [len(layer.blobs) for layer in net.layers] == [0, 2, 0, 0, 0, 0, 2, 0]
    np.testing.assert_array_equal(net.params["fc"][0].data, weights_for(NETWORK)["fc"][0])
    net.params["fc"][0].data[...] = 2
    assert (net.layers[6].blobs[0].data == 2).all()


def test_both_orders_of_arguments(caffe: Any, write: Callable[[str], str], weights: str) -> None:
    prototxt = write(NETWORK)
    nets = [
        caffe.Net(prototxt, weights, caffe.TEST),
        caffe.Net(prototxt, caffe.TEST, weights=weights),
        caffe.Net(prototxt, caffe.TEST, 0, [], weights),
        caffe.Net(network_file=prototxt, phase=caffe.TEST, level=0, stages=None, weights=weights),
    ]
    for net in nets:
        np.testing.assert_array_equal(net.params["conv"][1].data, weights_for(NETWORK)["conv"][1])


def test_a_network_without_weights_has_what_its_fillers_say(
    caffe: Any, write: Callable[[str], str]
) -> None:
    filled = CONVOLUTION.replace(
        "kernel_size: 3",
        'kernel_size: 3 weight_filler { type: "constant" value: 0.5 } '
        'bias_filler { type: "constant" value: -1 }',
    )
    weight, bias = caffe.Net(write(filled), caffe.TEST).params["conv"]
    assert (weight.data == 0.5).all()
    assert (bias.data == -1).all()
    weight, bias = caffe.Net(write(CONVOLUTION), caffe.TEST).params["conv"]
    assert not weight.data.any()
    assert not bias.data.any()


@pytest.mark.parametrize(
    ("filler", "lowest", "highest", "spread"),
    [
        ('type: "uniform" min: -2 max: 4', -2, 4, 6 / 12**0.5),
        ('type: "gaussian" mean: 1 std: 0.5', -2, 4, 0.5),
        ('type: "xavier"', -((3 / 250) ** 0.5), (3 / 250) ** 0.5, 250**-0.5),
        ('type: "msra"', -1, 1, (2 / 250) ** 0.5),
        ('type: "msra" variance_norm: FAN_OUT', -1, 1, (2 / 1000) ** 0.5),
        ('type: "positive_unitball"', 0, 0.1, 1 / 250 / 3**0.5),
    ],
)
def test_random_fillers_draw_from_caffes_distributions(
    caffe: Any,
    write: Callable[[str], str],
    filler: str,
    lowest: float,
    highest: float,
    spread: float,
) -> None:
    caffe.set_random_seed(5)
    net = caffe.Net(
        write(
            f"""
            layer {{ name: "i" type: "Input" top: "data"
              input_param {{ shape {{ dim: 1 dim: 10 dim: 9 dim: 9 }} }} }}
            layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv"
              convolution_param {{ num_output: 40 kernel_size: 5 weight_filler {{ {filler} }} }} }}
            """
        ),
        caffe.TEST,
    )
    drawn = net.params["conv"][0].data
    assert lowest <= drawn.min() < drawn.max() <= highest
    assert drawn.std() == pytest.approx(spread, rel=0.05)


def test_the_bilinear_filler_enlarges(caffe: Any, write: Callable[[str], str]) -> None:
    net = caffe.Net(
        write(
            """
            layer { name: "i" type: "Input" top: "data"
              input_param { shape { dim: 1 dim: 1 dim: 3 dim: 3 } } }
            layer { name: "up" type: "Deconvolution" bottom: "data" top: "up"
              convolution_param { num_output: 1 kernel_size: 4 stride: 2 pad: 1 bias_term: false
                weight_filler { type: "bilinear" } } }
            """
        ),
        caffe.TEST,
    )
    line = np.array([0.25, 0.75, 0.75, 0.25])
    np.testing.assert_array_equal(net.params["up"][0].data[0, 0], np.outer(line, line))


def test_layers_of_one_parameter_name_share_their_weights(
    caffe: Any, write: Callable[[str], str]
) -> None:
    product = """
        layer {{ name: "{0}" type: "InnerProduct" bottom: "{1}" top: "{0}"
          param {{ name: "w" }} param {{ name: "b" }}
          inner_product_param {{ num_output: 2 }} }}
        """
    shape = "input_shape { dim: 1 dim: 2 }"
    given = f'input: "data" {shape} input: "other" {shape}'
    net = caffe.Net(write(given + product.format("a", "data") + product.format("b", "other")), 1)
    net.params["a"][0].data[...] = [[1, 2], [3, 4]]
    net.params["b"][1].data[...] = 10
    out = net.forward(data=np.array([[1, 1]]), other=np.array([[0, 1]]))
    assert out["a"].tolist() == [[13, 17]]
    assert out["b"].tolist() == [[12, 14]]


# --- forward passes ------------------------------------------------------------------------------


def test_every_blob_has_its_final_value_after_a_pass(net: Any) -> None:
    x = inputs((2, 3, 8, 8))
    net.blobs["data"].data[...] = x
    out = net.forward()
    wanted = expected(NETWORK, x)
    assert set(out) == {"most", "prob"}
    for name in ("prob", "most"):
        assert_close(out[name], wanted[name])
    for name in net.blobs:
        assert_close(net.blobs[name].data, wanted["conv" if "split" in name else name])


def test_before_a_pass_blobs_are_zero(net: Any) -> None:
    assert not any(blob.data.any() for blob in net.blobs.values())


def test_what_forward_returns_is_the_blobs_own_memory(net: Any) -> None:
    first = net.forward(data=inputs((2, 3, 8, 8)))["prob"]
    before = first.copy()
    net.forward(data=inputs((2, 3, 8, 8), seed=2))
    assert (first != before).any()
    assert np.shares_memory(first, net.blobs["prob"].data)


def test_a_view_that_is_kept_sees_the_next_pass(net: Any) -> None:
    net.forward(data=inputs((2, 3, 8, 8)))
    view = net.blobs["conv"].data[1, 2:]
    x = inputs((2, 3, 8, 8), seed=2)
    net.forward(data=x)
    assert_close(view, expected(NETWORK, x)["conv"][1, 2:])


def test_a_changed_input_counts_from_the_next_pass_on(net: Any) -> None:
    x = inputs((2, 3, 8, 8))
    net.forward(data=x)
    net.blobs["data"].data[...] = 0
    assert_close(net.blobs["pool"].data, expected(NETWORK, x)["pool"])
    net.forward()
    assert_close(net.blobs["pool"].data, expected(NETWORK, np.zeros_like(x))["pool"])


def test_changed_weights_count_from_the_next_pass_on(net: Any) -> None:
    x = inputs((2, 3, 8, 8))
    before = net.forward(data=x)["prob"].copy()
    kept = net.params["fc"][1].data
    net.params["fc"][0].data[...] = 0
    assert_close(net.blobs["fc"].data, expected(NETWORK, x)["fc"])
    assert_close(net.blobs["prob"].data, before)
    bias = weights_for(NETWORK)["fc"][1]
    net.forward()
    assert_close(net.blobs["fc"].data, np.tile(bias, (2, 1)))
    kept[:] = 7
    net.forward()
    assert (net.blobs["fc"].data == 7).all()


def test_a_written_blob_is_where_a_later_start_begins(net: Any) -> None:
    pool = inputs((2, 4, 1, 1))
    net.blobs["pool"].data[...] = pool
    weight, bias = weights_for(NETWORK)["fc"]
    out = net.forward(start="fc", end="fc")
    assert list(out) == ["fc"]
    assert_close(out["fc"], pool.reshape(2, 4) @ weight.T + bias)
    assert not net.blobs["prob"].data.any()


def test_an_end_before_the_layer_in_place_gives_what_is_there_then(net: Any) -> None:
    x = inputs((2, 3, 8, 8))
    net.blobs["data"].data[...] = x
    below = net.forward(end="conv")["conv"].copy()
    assert (below < 0).any()
    net.forward(start="relu", end="relu")
    assert_close(net.blobs["conv"].data, np.maximum(below, 0))
    assert_close(net.blobs["conv"].data, expected(NETWORK, x)["conv"])


def test_more_blobs_are_returned_on_request(net: Any) -> None:
    x = inputs((2, 3, 8, 8))
    out = net.forward(blobs=["conv", "fc"], data=x)
    assert set(out) == {"most", "prob", "conv", "fc"}
    assert_close(out["conv"], expected(NETWORK, x)["conv"])
    out = net.forward(["conv"], end="pool")
    assert set(out) == {"pool", "conv"}


@pytest.mark.parametrize(
    "arguments", [{"dat": np.zeros((2, 3, 8, 8))}, {"data": np.zeros((3, 3, 8, 8))}]
)
def test_inputs_that_do_not_fit_are_refused(net: Any, arguments: Blobs) -> None:
    with pytest.raises(Exception, match=r"[iI]nput"):
        net.forward(**arguments)


def test_a_layer_that_is_not_there_is_refused(net: Any) -> None:
    with pytest.raises(ValueError, match="cnv"):
        net.forward(end="cnv")


def test_forward_all_takes_any_number_of_inputs(net: Any) -> None:
    x = inputs((5, 3, 8, 8))
    out = net.forward_all(blobs=["conv"], data=x)
    wanted = expected(NETWORK, x)
    assert set(out) == {"most", "prob", "conv"}
    for name, values in out.items():
        assert_close(values, wanted[name])


def test_another_size_of_the_input(caffe: Any, write: Callable[[str], str], tmp_path: Path) -> None:
    model = caffemodel(CONVOLUTION, tmp_path / "conv.caffemodel")
    net = caffe.Net(write(CONVOLUTION), model, caffe.TEST)
    x = inputs((3, 1, 9, 7))
    net.blobs["data"].reshape(*x.shape)
    net.blobs["data"].data[...] = x
    assert_close(net.forward()["conv"], expected(CONVOLUTION, x)["conv"])
    net.blobs["data"].reshape(1, 1, 4, 5)
    assert net.blobs["conv"].data.shape == (3, 2, 7, 5)
    net.reshape()
    assert net.blobs["conv"].data.shape == (1, 2, 2, 3)


def test_a_blob_keeps_its_numbers_when_it_is_reshaped(net: Any) -> None:
    blob = net.blobs["data"]
    blob.data[...] = np.arange(384).reshape(2, 3, 8, 8)
    blob.reshape(1, 3, 8, 8)
    assert blob.data.ravel().tolist() == list(range(192))
    blob.reshape(4, 96)
    assert blob.data.ravel().tolist() == list(range(384))


def test_made_up_data_and_a_loss_in_the_training_phase(
    caffe: Any, write: Callable[[str], str]
) -> None:
    text = """
        layer { name: "data" type: "DummyData" top: "data" top: "label"
          dummy_data_param { num: 4 channels: 3 height: 1 width: 1 num: 4 channels: 1 height: 1
            width: 1 data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" } } }
        layer { name: "loss" type: "SoftmaxWithLoss" bottom: "data" bottom: "label" top: "loss" }
        layer { name: "accuracy" type: "Accuracy" bottom: "data" bottom: "label" top: "accuracy"
          include { phase: TEST } }
        """
    net = caffe.Net(write(text), caffe.TRAIN)
    assert net.inputs == []
    assert net.outputs == ["loss"]
    net.blobs["label"].data[...] = np.array([0, 2, 1, 0]).reshape(4, 1, 1, 1)
    losses = []
    for _ in range(2):
        out = net.forward()
        x = net.blobs["data"].data.reshape(4, 3).astype(np.float64)
        shares = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        loss = -np.log(shares[range(4), [0, 2, 1, 0]]).mean()
        assert out["loss"].shape == ()
        assert float(out["loss"]) == pytest.approx(loss, rel=1e-5)
        losses.append(float(loss))
    assert losses[0] != losses[1]
    assert net.blobs["label"].data.ravel().tolist() == [0, 2, 1, 0]
    test_net = caffe.Net(write(text), caffe.TEST)
    assert sorted(test_net.outputs) == ["accuracy", "loss"]


# --- files ---------------------------------------------------------------------------------------


def test_saved_weights_are_what_is_loaded(
    caffe: Any, write: Callable[[str], str], net: Any, tmp_path: Path
) -> None:
    net.params["conv"][0].data[0] = 5
    saved = str(tmp_path / "saved.caffemodel")
    net.save(saved)
    other = caffe.Net(write(NETWORK), saved, caffe.TEST)
    for name, blobs in net.params.items():
        for blob, loaded in zip(blobs, other.params[name], strict=True):
            np.testing.assert_array_equal(blob.data, loaded.data)
    assert (other.params["conv"][0].data[0] == 5).all()


def test_only_layers_of_the_same_name_are_copied(
    caffe: Any, write: Callable[[str], str], weights: str
) -> None:
    net = caffe.Net(write(NETWORK.replace('name: "fc"', 'name: "fresh"')), caffe.TEST)
    kept = net.params["conv"][1].data
    net.copy_from(weights)
    np.testing.assert_array_equal(net.params["conv"][0].data, weights_for(NETWORK)["conv"][0])
    np.testing.assert_array_equal(kept, weights_for(NETWORK)["conv"][1])
    assert not net.params["fresh"][0].data.any()


def test_weights_may_be_kept_in_hdf5(
    caffe: Any, write: Callable[[str], str], net: Any, tmp_path: Path
) -> None:
    pytest.importorskip("h5py")
    saved = str(tmp_path / "saved.caffemodel.h5")
    net.save_hdf5(saved)
    other = caffe.Net(write(NETWORK), caffe.TEST)
    other.load_hdf5(saved)
    np.testing.assert_array_equal(other.params["fc"][0].data, net.params["fc"][0].data)
    third = caffe.Net(write(NETWORK), caffe.TEST, weights=saved)
    np.testing.assert_array_equal(third.params["conv"][1].data, net.params["conv"][1].data)


def test_shared_weights_change_in_both_networks(
    caffe: Any, write: Callable[[str], str], net: Any
) -> None:
    other = caffe.Net(write(NETWORK), caffe.TEST)
    other.share_with(net)
    net.params["fc"][0].data[...] = 0
    other.params["fc"][1].data[...] = 3
    for each in (net, other):
        each.forward()
        assert (each.blobs["fc"].data == 3).all()


def test_files_that_are_not_there_are_refused(caffe: Any, write: Callable[[str], str]) -> None:
    with pytest.raises(Exception, match=r"none\.prototxt"):
        caffe.Net("none.prototxt", caffe.TEST)
    with pytest.raises(Exception, match=r"none\.caffemodel"):
        caffe.Net(write(NETWORK), "none.caffemodel", caffe.TEST)


# --- caffe.io ------------------------------------------------------------------------------------


@pytest.fixture
def picture(tmp_path: Path) -> tuple[str, NDArray[np.uint8]]:
    """Return a PNG file and its pixels in RGB."""
    pixels = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), pixels[:, :, ::-1])
    return str(path), pixels


def test_load_image_gives_shares_in_rgb(caffe: Any, picture: tuple[str, NDArray[np.uint8]]) -> None:
    path, pixels = picture
    image = caffe.io.load_image(path)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, pixels / 255, atol=1e-6)
    grey = caffe.io.load_image(path, color=False)
    np.testing.assert_allclose(
        grey[:, :, 0], pixels / 255 @ np.array([0.2125, 0.7154, 0.0721]), atol=1e-6
    )


def test_load_image_takes_grey_transparent_and_deep_pictures(caffe: Any, tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    grey = generator.integers(0, 256, (5, 6), dtype=np.uint8)
    deep = generator.integers(0, 65536, (5, 6), dtype=np.uint16)
    clear = generator.integers(0, 256, (5, 6, 4), dtype=np.uint8)
    for name, pixels in (("grey", grey), ("deep", deep), ("clear", clear)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), pixels)

    def load(name: str, color: bool) -> NDArray[Any]:
        image: NDArray[Any] = caffe.io.load_image(str(tmp_path / f"{name}.png"), color=color)
        return image

    np.testing.assert_allclose(load("grey", True), np.dstack([grey] * 3) / 255, atol=1e-6)
    np.testing.assert_allclose(load("grey", False), grey[:, :, np.newaxis] / 255, atol=1e-6)
    np.testing.assert_allclose(load("deep", False), deep[:, :, np.newaxis] / 65535, atol=1e-6)
    rgb, alpha = clear[:, :, 2::-1] / 255, clear[:, :, 3:] / 255
    np.testing.assert_allclose(load("clear", True), rgb, atol=1e-6)
    on_white = rgb * alpha + 1 - alpha
    np.testing.assert_allclose(
        load("clear", False)[:, :, 0], on_white @ np.array([0.2125, 0.7154, 0.0721]), atol=1e-6
    )


def test_resize_image_takes_pixels_where_they_lie(caffe: Any) -> None:
    image = np.arange(12, dtype=np.float32).reshape(3, 4, 1)
    # Twice as large: a quarter and three quarters between the centers, the border repeated at zero.
    enlarged = caffe.io.resize_image(image, (3, 8))[1, :, 0]
    np.testing.assert_allclose(enlarged[1:-1], [4.25, 4.75, 5.25, 5.75, 6.25, 6.75], atol=1e-5)
    # Half as large, without smoothing: the mean of the two nearest.
    np.testing.assert_allclose(
        caffe.io.resize_image(np.tile(image, 3), (3, 2))[0, :, 1], [0.5, 2.5], atol=1e-5
    )
    constant = caffe.io.resize_image(np.full((4, 4, 3), 7.0), (2, 5))
    np.testing.assert_array_equal(constant, np.full((2, 5, 3), 7, np.float32))
    five_channels = caffe.io.resize_image(np.tile(image, 5), (5, 7))
    assert five_channels.shape == (5, 7, 5)
    np.testing.assert_allclose(five_channels[2, :, 0], np.linspace(4, 7, 7), atol=1e-5)


def test_oversample_gives_corners_center_and_mirrors(caffe: Any) -> None:
    images = [np.arange(60.0).reshape(4, 5, 3), np.ones((4, 5, 3))]
    crops = caffe.io.oversample(images, (2, 3))
    assert crops.shape == (20, 2, 3, 3)
    first = images[0]
    cuts = [first[:2, :3], first[:2, 2:], first[2:, :3], first[2:, 2:], first[1:3, 1:4]]
    np.testing.assert_array_equal(crops[:5], cuts)
    np.testing.assert_array_equal(crops[5:10], np.array(cuts)[:, :, ::-1])


def test_transformer_does_its_steps_and_undoes_them(caffe: Any) -> None:
    transformer = caffe.io.Transformer({"data": (1, 3, 4, 4)})
    transformer.set_transpose("data", (2, 0, 1))
    transformer.set_channel_swap("data", (2, 1, 0))
    transformer.set_raw_scale("data", 255)
    transformer.set_mean("data", np.array([104.0, 117.0, 123.0]))
    transformer.set_input_scale("data", 0.5)
    image = np.random.default_rng(2).random((4, 4, 3))
    wanted = (image.transpose(2, 0, 1)[::-1] * 255 - np.array([[[104]], [[117]], [[123]]])) * 0.5
    result = transformer.preprocess("data", image)
    np.testing.assert_allclose(result, wanted, atol=1e-4)
    np.testing.assert_allclose(transformer.deprocess("data", result[np.newaxis]), image, atol=1e-6)


def test_transformer_resizes_pictures_and_means(caffe: Any) -> None:
    transformer = caffe.io.Transformer({"data": (1, 3, 4, 4)})
    transformer.set_transpose("data", (2, 0, 1))
    image = np.random.default_rng(2).random((8, 8, 3))
    np.testing.assert_array_equal(
        transformer.preprocess("data", image),
        caffe.io.resize_image(image.astype(np.float32), (4, 4)).transpose(2, 0, 1),
    )
    transformer.set_mean("data", np.random.default_rng(3).random((3, 8, 8)))
    assert transformer.mean["data"].shape == (3, 4, 4)
    for mean in (np.zeros(2), np.zeros((1, 3, 4, 4))):
        with pytest.raises(ValueError, match=r"[mM]ean"):
            transformer.set_mean("data", mean)
    with pytest.raises(Exception, match="dta"):
        transformer.preprocess("dta", image)


def test_arrays_become_messages_and_back(caffe: Any) -> None:
    array = np.random.default_rng(4).random((2, 3, 4)).astype(np.float32)
    blob = caffe.io.array_to_blobproto(array, diff=-array)
    np.testing.assert_array_equal(caffe.io.blobproto_to_array(blob), array)
    np.testing.assert_array_equal(caffe.io.blobproto_to_array(blob, return_diff=True), -array)
    serialized = caffe.io.arraylist_to_blobprotovector_str([array, array[0]])
    for found, wanted in zip(
        caffe.io.blobprotovector_str_to_arraylist(serialized), (array, array[0]), strict=True
    ):
        np.testing.assert_array_equal(found, wanted)
    datum = caffe.io.array_to_datum(array, label=3)
    assert datum.label == 3
    np.testing.assert_allclose(caffe.io.datum_to_array(datum), array)
    pixels = (array * 255).astype(np.uint8)
    np.testing.assert_array_equal(caffe.io.datum_to_array(caffe.io.array_to_datum(pixels)), pixels)
    with pytest.raises(ValueError, match="shape"):
        caffe.io.array_to_datum(array[0])


# --- classifying, detecting, describing ----------------------------------------------------------


def test_a_classifier_averages_ten_crops(
    caffe: Any, write: Callable[[str], str], weights: str
) -> None:
    classifier = caffe.Classifier(
        write(NETWORK.replace('top: "most"', 'top: "xmost"')),
        weights,
        image_dims=[12, 10],
        mean=np.array([0.1, 0.2, 0.3]),
        raw_scale=2,
        channel_swap=(2, 1, 0),
    )
    images = [np.random.default_rng(i).random((20, 16, 3)).astype(np.float32) for i in range(3)]
    assert classifier.outputs[0] == "prob"
    resized = [caffe.io.resize_image(image, (12, 10)) for image in images]
    crops = caffe.io.oversample(resized, (8, 8))
    x = crops.transpose(0, 3, 1, 2)[:, ::-1] * 2 - np.array([0.1, 0.2, 0.3]).reshape(3, 1, 1)
    each = expected(NETWORK, x.astype(np.float32))["prob"]
    assert_close(classifier.predict(images), each.reshape(3, 10, -1).mean(axis=1))
    assert_close(classifier.predict(images, oversample=False), each[4::10])


def test_a_detector_classifies_windows(
    caffe: Any,
    write: Callable[[str], str],
    weights: str,
    picture: tuple[str, NDArray[np.uint8]],
) -> None:
    path, _ = picture
    prototxt = write(NETWORK.replace('top: "most"', 'top: "xmost"'))
    detector = caffe.Detector(prototxt, weights, raw_scale=3, channel_swap=(2, 1, 0))
    windows = [np.array([0, 0, 8, 8]), np.array([1, 2, 9, 12])]
    found = detector.detect_windows([(path, windows)])
    image = caffe.io.load_image(path)
    cuts = [image[:8, :8], caffe.io.resize_image(image[1:9, 2:12], (8, 8))]
    x = np.stack(cuts).transpose(0, 3, 1, 2)[:, ::-1] * np.float32(3)
    assert [detection["filename"] for detection in found] == [path, path]
    assert_close(
        np.stack([detection["prediction"] for detection in found]), expected(NETWORK, x)["prob"]
    )


def test_netspec_writes_a_network(caffe: Any, write: Callable[[str], str]) -> None:
    layers, params = caffe.layers, caffe.params
    n = caffe.NetSpec()
    n.data = layers.Input(shape=dict(dim=[1, 3, 6, 6]))  # noqa: C408 - as scripts write it
    n.conv = layers.Convolution(n.data, num_output=2, kernel_size=3, bias_term=False)
    n.relu = layers.ReLU(n.conv, in_place=True)
    n.pool = layers.Pooling(n.relu, pool=params.Pooling.AVE, global_pooling=True)
    n["prob"] = layers.Softmax(n.pool)
    message = n.to_proto()
    assert [
        (each.name, each.type, list(each.bottom), list(each.top)) for each in message.layer
    ] == [
        ("data", "Input", [], ["data"]),
        ("conv", "Convolution", ["data"], ["conv"]),
        ("relu", "ReLU", ["conv"], ["conv"]),
        ("pool", "Pooling", ["conv"], ["pool"]),
        ("prob", "Softmax", ["pool"], ["prob"]),
    ]
    assert list(message.layer[1].convolution_param.kernel_size) == [3]
    net = caffe.Net(write(str(message)), caffe.TEST)
    assert net.outputs == ["prob"]
    unnamed = layers.ReLU(layers.ReLU(layers.Input(ntop=1))).to_proto()
    assert [each.name for each in unnamed.layer] == ["Input1", "ReLU1", "ReLU2"]


def test_messages_and_constants(caffe: Any) -> None:
    messages = caffe.proto.caffe_pb2
    assert (caffe.TRAIN, caffe.TEST) == (messages.TRAIN, messages.TEST) == (0, 1)
    assert messages.PoolingParameter.AVE == 1
    assert messages.ConvolutionParameter.CUDNN == 2
    assert messages.Phase.Name(1) == "TEST"
    net = messages.NetParameter(name="a")
    net.layer.add(name="b", type="ReLU", include=[messages.NetStateRule(phase=messages.TRAIN)])
    assert messages.NetParameter.FromString(net.SerializeToString()) == net
    assert {"Convolution", "Data", "InnerProduct", "Softmax"} <= set(caffe.layer_type_list())


# --- real networks -------------------------------------------------------------------------------


def embedded(models: Path, folder: Path) -> tuple[Path, Path]:
    return models / "efficientnet-lite0.prototxt", models / "efficientnet-lite0.caffemodel"


def seeded(name: str) -> Callable[[Path, Path], tuple[Path, Path]]:
    def write(models: Path, folder: Path) -> tuple[Path, Path]:
        prototxt, path = models / f"deploy_{name}.prototxt", folder / f"{name}.caffemodel"
        network = load_network(prototxt)
        weights = seeded_weights(network)
        write_caffemodel(path, CaffeModel(upgraded(network.message), weights))
        return prototxt, path

    return write


NETWORKS: dict[str, Callable[[Path, Path], tuple[Path, Path]]] = {
    "embedded": embedded,
    "googlenet": seeded("googlenetCAM"),
    "alexnet": seeded("alexnetplusCAM_imagenet"),
}


def assert_same_blobs(pycaffe: Any, prototxt: Path, weights: Path, scale: float) -> None:
    ours = modules()["caffe"]
    nets = [each.Net(str(prototxt), str(weights), each.TEST) for each in (pycaffe, ours)]
    shape = (1, *nets[0].blobs["data"].data.shape[1:])
    x = inputs(shape) * scale
    for net in nets:
        net.blobs["data"].reshape(*shape)
        net.blobs["data"].data[...] = x
        net.forward()
    theirs, own = nets
    assert list(theirs._layer_names) == own._layer_names
    assert list(theirs.blobs) == list(own.blobs)
    assert theirs.bottom_names == own.bottom_names
    for name, blob in theirs.blobs.items():
        # What ReLU6 cuts off at 6 is as exact as the sums before it: Caffe's own differ from sums
        # in double precision by 1.7e-5 of the 6.
        before = theirs.blobs[name.removesuffix("/relu6").removesuffix("/below6")].data
        largest = max(float(np.abs(before).max()), 1e-6)
        assert own.blobs[name].data.shape == blob.data.shape
        np.testing.assert_allclose(
            own.blobs[name].data, blob.data, rtol=0, atol=TOLERANCE * largest, err_msg=name
        )


@pytest.mark.caffe
@pytest.mark.parametrize("name", NETWORKS)
def test_every_blob_of_a_real_network_is_caffes(
    name: str, pycaffe: Any, models: Path, tmp_path: Path
) -> None:
    prototxt, weights = NETWORKS[name](models, tmp_path)
    assert_same_blobs(pycaffe, prototxt, weights, 1 if name == "embedded" else 60)


@pytest.mark.caffe
def test_every_blob_of_squeezenet_is_caffes(pycaffe: Any, shared_data: Path) -> None:
    prototxt = shared_data / "squeezenet_v1.0.prototxt"
    assert_same_blobs(pycaffe, prototxt, prototxt.with_suffix(".caffemodel"), 60)


@pytest.mark.caffe
def test_pictures_are_prepared_bit_for_bit(pycaffe: Any, shared_data: Path, models: Path) -> None:
    ours = modules()["caffe"]
    mean = np.load(models / "ilsvrc_2012_mean.npy")
    paths = [shared_data / "img2.jpg", *sorted((shared_data / "ilsvrc_val").glob("*.JPEG"))[:5]]
    for path, shape in zip(paths, [(1, 3, 224, 224), (10, 3, 227, 227)] * 3, strict=True):
        images = [each.io.load_image(str(path)) for each in (pycaffe, ours)]
        np.testing.assert_allclose(images[0], images[1], rtol=0, atol=1e-6)
        for chosen in (mean, mean.mean(1).mean(1)):
            prepared = []
            for each in (pycaffe, ours):
                transformer = each.io.Transformer({"data": shape})
                transformer.set_transpose("data", (2, 0, 1))
                transformer.set_mean("data", chosen)
                transformer.set_raw_scale("data", 255)
                transformer.set_channel_swap("data", (2, 1, 0))
                prepared.append(transformer.preprocess("data", images[0].copy()))
            assert prepared[0].tobytes() == prepared[1].tobytes()
