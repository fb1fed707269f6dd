"""The layers that segment, cut, choose and measure, as ONNX, against plain NumPy and Caffe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
import reference
from numpy.typing import NDArray

from cam.caffe.network import Network, connect_layers, selected_layers
from cam.caffe.prototxt import parse_prototxt
from cam.engines.onnx_graph import to_onnx
from cam.errors import CamError

INPUT = 'input: "data" input_shape { dim: 2 dim: 4 dim: 5 dim: 6 } '
LABELS = 'input: "label" input_shape { dim: 2 } '
PIXEL_LABELS = 'input: "label" input_shape { dim: 2 dim: 1 dim: 5 dim: 6 } '


def layer(kind: str, parameters: str = "", bottoms: str = "data", tops: str = "out") -> str:
    names = [f'bottom: "{name}"' for name in bottoms.split()]
    names += [f'top: "{name}"' for name in tops.split()]
    return f'layer {{ name: "the {kind}" type: "{kind}" {" ".join(names)} {parameters} }} '


SCORES = layer("InnerProduct", "inner_product_param { num_output: 5 }", tops="scores")
POSITIVE = layer("AbsVal", tops="positive")

NETWORKS = {
    "argmax": INPUT + layer("ArgMax"),
    "argmax of three": INPUT + layer("ArgMax", "argmax_param { top_k: 3 }"),
    "argmax with values": INPUT + layer("ArgMax", "argmax_param { out_max_val: true top_k: 2 }"),
    "argmax of numbers that are equal": INPUT
    + layer("Threshold", "threshold_param { threshold: 0.2 }", tops="steps")
    + layer("ArgMax", "argmax_param { top_k: 3 }", "steps"),
    "argmax of equal numbers of a row": INPUT
    + layer("ReLU", tops="steps")
    + layer("ArgMax", "argmax_param { axis: -1 top_k: 4 }", "steps"),
    "argmax of channels": INPUT + layer("ArgMax", "argmax_param { axis: 1 top_k: 2 }"),
    "maximum of channels": INPUT + layer("ArgMax", "argmax_param { axis: 1 out_max_val: true }"),
    "bnll": INPUT + layer("BNLL"),
    "clip": INPUT + layer("Clip", "clip_param { min: -0.5 max: 0.25 }"),
    "crop": INPUT
    + layer("Pooling", "pooling_param { kernel_size: 3 }", tops="small")
    + layer("Crop", "crop_param { offset: 1 offset: 2 }", "data small"),
    "crop of an axis": INPUT
    + layer("Pooling", "pooling_param { kernel_h: 1 kernel_w: 4 }", tops="small")
    + layer("Crop", "crop_param { axis: 3 offset: 3 }", "data small"),
    "deconvolution": INPUT
    + layer("Deconvolution", "convolution_param { num_output: 3 kernel_size: 3 }"),
    "deconvolution with stride and pad": INPUT
    + layer(
        "Deconvolution",
        "convolution_param { num_output: 6 kernel_size: 4 stride: 2 pad: 1 group: 2 "
        "bias_term: false }",
    ),
    "dilated deconvolution": INPUT
    + layer(
        "Deconvolution",
        "convolution_param { num_output: 2 kernel_h: 2 kernel_w: 3 dilation: 2 stride_h: 1 "
        "stride_w: 3 }",
    ),
    "euclidean loss": INPUT + POSITIVE + layer("EuclideanLoss", bottoms="data positive"),
    "exp": INPUT + layer("Exp"),
    "exp of base 2": INPUT + layer("Exp", "exp_param { base: 2 scale: 0.5 shift: 1 }"),
    "exp in place": INPUT + POSITIVE + layer("Exp", "", "positive", "positive"),
    "log": INPUT + POSITIVE + layer("Log", "log_param { shift: 0.5 }", "positive"),
    "log of base 10": INPUT
    + POSITIVE
    + layer("Log", "log_param { base: 10 scale: 2 shift: 1 }", "positive"),
    "lrn within a channel": INPUT
    + layer("LRN", "lrn_param { norm_region: WITHIN_CHANNEL local_size: 3 alpha: 0.5 k: 2 }"),
    "silence": INPUT + POSITIVE + layer("Silence", bottoms="positive", tops=""),
    "slice": INPUT + layer("Slice", tops="a b"),
    "slice at points": INPUT
    + layer("Slice", "slice_param { axis: 3 slice_point: 1 slice_point: 4 }", tops="a b c"),
    "slice by the older field": INPUT + layer("Slice", "slice_param { slice_dim: 1 }", tops="a b"),
    "threshold": INPUT + layer("Threshold", "threshold_param { threshold: 0.3 }"),
    "accuracy": INPUT + LABELS + SCORES + layer("Accuracy", "", "scores label"),
    "accuracy of two guesses": INPUT
    + LABELS
    + SCORES
    + layer("Accuracy", "accuracy_param { top_k: 2 }", "scores label"),
    "accuracy of pixels": INPUT
    + PIXEL_LABELS
    + layer("Accuracy", "accuracy_param { ignore_label: 3 }", "data label"),
    "softmax loss": INPUT + LABELS + SCORES + layer("SoftmaxWithLoss", "", "scores label"),
    **{
        f"softmax loss of pixels, {kind}": INPUT
        + PIXEL_LABELS
        + layer("SoftmaxWithLoss", f"loss_param {{ {kind} }}", "data label")
        for kind in (
            "normalization: FULL",
            "normalization: VALID",
            "normalization: BATCH_SIZE",
            "normalization: NONE",
            "normalize: false",
            "normalize: true",
            "ignore_label: 2",
            "ignore_label: 2 normalization: FULL",
        )
    },
}


def connected(text: str) -> Network:
    net = parse_prototxt(text)
    inputs = {
        name: tuple(shape.dim) for name, shape in zip(net.input, net.input_shape, strict=True)
    }
    return connect_layers(net, "prototxt", selected_layers(net, "prototxt"), inputs)


def inputs_for(network: Network) -> dict[str, NDArray[np.float32]]:
    generator = np.random.default_rng(8)
    values = {name: generator.standard_normal(network.blob_shapes[name]) for name in network.inputs}
    if "label" in values:
        values["label"] = generator.integers(0, 4, values["label"].shape).astype(np.float64)
    return {name: value.astype(np.float32) for name, value in values.items()}


Weights = Mapping[str, tuple[NDArray[np.float32], ...]]
Blobs = dict[str, NDArray[Any]]


def by_openvino(network: Network, weights: Weights, inputs: Blobs) -> Blobs:
    wanted = [blob for blob in network.blob_shapes if blob not in network.inputs]
    model = to_onnx(network, weights, wanted, any_batch=False)
    core = openvino.Core()
    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(model.SerializeToString(), b""), "CPU", hint)
    results = compiled([inputs[name] for name in network.inputs])
    return {blob: np.array(results[index]) for index, blob in enumerate(wanted)}


def by_caffe(
    caffe: Any, text: str, folder: Path, weights: Weights, inputs: Blobs, wanted: list[str]
) -> Blobs:
    prototxt = folder / "net.prototxt"
    prototxt.write_text(text, encoding="utf-8")
    net = caffe.Net(str(prototxt), caffe.TEST)
    for name, blobs in weights.items():
        for destination, values in zip(net.params[name], blobs, strict=True):
            destination.data[...] = values
    for name, values in inputs.items():
        net.blobs[name].data[...] = values
    net.forward()
    return {blob: net.blobs[blob].data.copy() for blob in wanted}


@pytest.mark.parametrize("other", ["NumPy", pytest.param("Caffe", marks=pytest.mark.caffe)])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_layer_gives_what_caffe_gives(
    name: str, other: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    network = connected(NETWORKS[name])
    messages = [each.message for each in network.layers]
    weights = reference.random_weights(messages, network.weight_shapes, seed=7)
    inputs = inputs_for(network)
    ours = by_openvino(network, weights, inputs)
    if other == "NumPy":
        expected: Blobs = dict(reference.forward(messages, inputs, weights))
    else:
        caffe = request.getfixturevalue("pycaffe")
        expected = by_caffe(caffe, NETWORKS[name], tmp_path, weights, inputs, list(ours))
    for blob, values in ours.items():
        assert values.shape == expected[blob].shape == network.blob_shapes[blob]
        atol = 1e-5 * max(float(np.abs(expected[blob]).max()), 1e-6)
        np.testing.assert_allclose(values, expected[blob], rtol=0, atol=atol)


REFUSED = {
    "accuracy along another axis": LABELS
    + layer("Accuracy", "accuracy_param { axis: 2 }", "data label"),
    "accuracy of too few labels": LABELS + layer("Accuracy", "", "data label"),
    "argmax of more than there are": layer("ArgMax", "argmax_param { axis: 1 top_k: 5 }"),
    "accuracy of more classes than there are": LABELS
    + SCORES
    + layer("Accuracy", "accuracy_param { top_k: 6 }", "scores label"),
    "scale of a single number that has no axis": SCORES
    + layer("EuclideanLoss", "", "scores scores", "loss")
    + layer("Scale", "scale_param { num_axes: 0 }", "loss"),
    "slice into one, of which both are read when one has changed": layer("Slice", tops="same")
    + layer("Softmax", "", "same", "same")
    + layer("AbsVal", "", "data"),
    "reshape of a single number that has no axis": SCORES
    + layer("EuclideanLoss", "", "scores scores", "loss")
    + layer("Reshape", "reshape_param { shape { dim: 1 } }", "loss"),
    "batch norm of a single number that has no axis": SCORES
    + layer("EuclideanLoss", "", "scores scores", "loss")
    + layer("BatchNorm", "", "loss"),
    "argmax of a single number that has no axis": SCORES
    + layer("EuclideanLoss", "", "scores scores", "loss")
    + layer("ArgMax", "", "loss"),
    "euclidean loss of single numbers that have no axis": SCORES
    + layer("EuclideanLoss", "", "scores scores", "loss")
    + layer("EuclideanLoss", "", "loss loss"),
    "argmax of none": layer("ArgMax", "argmax_param { top_k: 0 }"),
    "crop beyond the picture": layer("AbsVal", tops="same")
    + layer("Crop", "crop_param { offset: 1 }", "data same"),
    "crop with too many offsets": layer("AbsVal", tops="same")
    + layer("Crop", "crop_param { offset: 0 offset: 0 offset: 0 }", "data same"),
    "crop to fewer axes": layer("Flatten", tops="flat") + layer("Crop", "", "data flat"),
    "slice into nothing": layer("Slice", tops=""),
    "deconvolution in groups that do not divide": layer(
        "Deconvolution", "convolution_param { num_output: 3 kernel_size: 2 group: 2 }"
    ),
    "euclidean loss of unlike shapes": LABELS + layer("EuclideanLoss", "", "data label"),
    "slice into unequal parts": layer("Slice", tops="a b c"),
    "slice at a point behind the end": layer("Slice", "slice_param { slice_point: 5 }", tops="a b"),
    "softmax loss of too few labels": LABELS + layer("SoftmaxWithLoss", "", "data label"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_caffe_would_end_the_process_on_is_refused(name: str) -> None:
    with pytest.raises(CamError, match="layer 'the"):
        connected(INPUT + REFUSED[name])


def test_a_clip_without_a_limit_is_refused() -> None:
    network = connected(INPUT + layer("Clip", "clip_param { min: 0 }"))
    with pytest.raises(CamError, match="needs both min and max"):
        to_onnx(network, {}, ["out"])
