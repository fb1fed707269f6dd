"""Each layer type, run as an ONNX graph, against plain NumPy and against Caffe itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import reference
from networks import loaded
from numpy.typing import NDArray

from cam.caffe.head import Head
from cam.caffe.network import Network, parse_network
from cam.engines.onnx_graph import to_onnx
from cam.engines.openvino import OpenVinoEngine
from cam.errors import CamError

TOLERANCE = 1e-5
"""Of a blob's maximum: float32 sums in another order than the reference's double ones."""

BATCH = 2

Weights = dict[str, tuple[NDArray[np.float32], ...]]
RunNetwork = Callable[[str, Weights, NDArray[np.float32], str], NDArray[Any]]


def wrapped(layers: str, size: tuple[int, ...] = (5, 6), channels: int = 4) -> str:
    """Put layers that read "data" and write "out" into a network with a class layer."""
    dims = " ".join(f"dim: {dim}" for dim in (BATCH, channels, *size))
    return f"""
        input: "data" input_shape {{ {dims} }}
        {layers}
        layer {{
          name: "class layer" type: "InnerProduct" bottom: "data" top: "fc"
          inner_product_param {{ num_output: 3 }}
        }}
        layer {{ name: "prob" type: "Softmax" bottom: "fc" top: "prob" }}
        """


def layer(kind: str, parameters: str = "", bottoms: str = "data", top: str = "out") -> str:
    """Return one layer as text, named after its type."""
    read = " ".join(f'bottom: "{bottom}"' for bottom in bottoms.split())
    return f'layer {{ name: "{kind} {top}" type: "{kind}" {read} top: "{top}" {parameters} }}\n'


def messages(network: Network) -> list[Any]:
    return [each.message for each in network.layers]


def weights_for(network: Network) -> Weights:
    return reference.random_weights(messages(network), network.weight_shapes, seed=7)


def input_for(network: Network) -> NDArray[np.float32]:
    return np.random.default_rng(8).standard_normal(network.input_shape).astype(np.float32)


def by_the_engine(text: str, weights: Weights, x: NDArray[np.float32], blob: str) -> NDArray[Any]:
    engine = OpenVinoEngine(
        loaded(parse_network(text), weights, Head(blob, "class layer", "prob")), 1
    )
    return engine.forward(x).activations


def by_the_reference(
    text: str, weights: Weights, x: NDArray[np.float32], blob: str
) -> NDArray[Any]:
    return reference.forward(messages(parse_network(text)), {"data": x}, weights)[blob]


@pytest.fixture(params=["NumPy", pytest.param("Caffe", marks=pytest.mark.caffe)])
def run_otherwise(request: pytest.FixtureRequest, tmp_path: Path) -> RunNetwork:
    """Return what else runs a network, independently of the project."""
    if request.param == "NumPy":
        return by_the_reference
    caffe = request.getfixturevalue("pycaffe")

    def by_caffe(text: str, weights: Weights, x: NDArray[np.float32], blob: str) -> NDArray[Any]:
        prototxt = tmp_path / "net.prototxt"
        prototxt.write_text(text, encoding="utf-8")
        net = caffe.Net(str(prototxt), caffe.TEST)
        for name, blobs in weights.items():
            for destination, values in zip(net.params[name], blobs, strict=True):
                destination.data[...] = values
        net.blobs["data"].data[...] = x
        net.forward()
        result: NDArray[Any] = net.blobs[blob].data.copy()
        return result

    return by_caffe


def assert_close(actual: NDArray[Any], expected: NDArray[Any]) -> None:
    assert actual.shape == expected.shape
    assert actual.dtype == np.float32
    np.testing.assert_allclose(
        actual, expected, rtol=0, atol=TOLERANCE * max(float(np.abs(expected).max()), 1e-6)
    )


def assert_same(text: str, run_otherwise: RunNetwork, blob: str = "out") -> None:
    """Compare a blob on the engine and otherwise, with seeded weights and input."""
    network = parse_network(text)
    weights, x = weights_for(network), input_for(network)
    expected = run_otherwise(text, weights, x, blob)
    assert network.blob_shapes[blob] == expected.shape
    assert_close(by_the_engine(text, weights, x, blob), expected)


LAYERS = {
    "absolute value": layer("AbsVal"),
    "batch norm": layer("BatchNorm"),
    "batch norm with eps": layer("BatchNorm", "batch_norm_param { eps: 0.1 }"),
    "batch norm told to use its statistics": layer(
        "BatchNorm", "batch_norm_param { use_global_stats: true }"
    ),
    "bias of the channels": layer("Bias"),
    "bias from axis -1": layer("Bias", "bias_param { axis: -1 }"),
    "bias of two axes": layer("Bias", "bias_param { axis: 1 num_axes: 2 }"),
    "bias, a single number": layer("Bias", "bias_param { num_axes: 0 }"),
    "concat of channels": layer("Concat", bottoms="data data data"),
    "concat of one": layer("Concat"),
    "concat by the older field": layer("Concat", "concat_param { concat_dim: 3 }", "data data"),
    "concat by a negative axis": layer("Concat", "concat_param { axis: -2 }", "data data"),
    "convolution": layer("Convolution", "convolution_param { num_output: 5 kernel_size: 3 }"),
    "convolution without bias": layer(
        "Convolution", "convolution_param { num_output: 5 kernel_size: 1 bias_term: false }"
    ),
    "convolution with stride and pad": layer(
        "Convolution", "convolution_param { num_output: 5 kernel_size: 3 stride: 2 pad: 2 }"
    ),
    "convolution of single pixels with stride and pad": layer(
        "Convolution", "convolution_param { num_output: 5 kernel_size: 1 stride: 2 pad: 3 }"
    ),
    "convolution of single pixels with another stride along rows": layer(
        "Convolution", "convolution_param { num_output: 5 kernel_size: 1 stride_h: 2 stride_w: 1 }"
    ),
    "convolutions of single pixels, padded before a stride": layer("ReLU", top="positive")
    + layer(
        "Convolution", "convolution_param { num_output: 4 kernel_size: 1 pad: 1 }", "positive", "a"
    )
    + layer("ReLU", bottoms="a", top="b")
    + layer("Convolution", "convolution_param { num_output: 5 kernel_size: 1 stride: 2 }", "b"),
    "argmax of numbers of which many are equal": layer(
        "Threshold", "threshold_param { threshold: 0.1 }", top="many"
    )
    + layer("Flatten", bottoms="many", top="flat")
    + layer("ArgMax", "argmax_param { axis: 1 }", "flat"),
    "convolution in groups": layer(
        "Convolution", "convolution_param { num_output: 6 kernel_size: 3 pad: 1 group: 2 }"
    ),
    "depthwise convolution": layer(
        "Convolution", "convolution_param { num_output: 4 kernel_size: 3 pad: 1 group: 4 }"
    ),
    "dilated convolution": layer(
        "Convolution", "convolution_param { num_output: 5 kernel_size: 3 dilation: 2 pad: 2 }"
    ),
    "convolution dilated by axis": layer(
        "Convolution",
        "convolution_param { num_output: 5 kernel_size: 2 dilation: 3 dilation: 1 stride: 2 }",
    ),
    "convolution with a side each": layer(
        "Convolution",
        "convolution_param { num_output: 5 kernel_h: 1 kernel_w: 4 stride_h: 2 stride_w: 1 "
        "pad_h: 0 pad_w: 2 }",
    ),
    "convolution with repeated fields": layer(
        "Convolution",
        "convolution_param { num_output: 5 kernel_size: 4 kernel_size: 2 stride: 1 stride: 2 "
        "pad: 1 pad: 0 }",
    ),
    "dropout": layer("Dropout", "dropout_param { dropout_ratio: 0.7 }"),
    "elu": layer("ELU"),
    "elu with alpha": layer("ELU", "elu_param { alpha: 0.3 }"),
    "eltwise sum": layer("Eltwise", bottoms="data data"),
    "eltwise sum with coefficients": layer(
        "Eltwise", "eltwise_param { coeff: 1 coeff: -0.5 coeff: 2 }", "data x data"
    ),
    "eltwise difference": layer("Eltwise", "eltwise_param { coeff: 1 coeff: -1 }", "data x"),
    "eltwise product": layer("Eltwise", "eltwise_param { operation: PROD }", "data x"),
    "eltwise product of three": layer("Eltwise", "eltwise_param { operation: PROD }", "data x x"),
    "eltwise maximum": layer("Eltwise", "eltwise_param { operation: MAX }", "x data"),
    "eltwise maximum of three": layer("Eltwise", "eltwise_param { operation: MAX }", "x data y"),
    "eltwise sum of three": layer("Eltwise", bottoms="x data y"),
    "flatten": layer("Flatten"),
    "flatten of two axes": layer("Flatten", "flatten_param { axis: 1 end_axis: 2 }"),
    "flatten from behind": layer("Flatten", "flatten_param { axis: -2 }"),
    "inner product": layer("InnerProduct", "inner_product_param { num_output: 7 }"),
    "inner product without bias": layer(
        "InnerProduct", "inner_product_param { num_output: 7 bias_term: false }"
    ),
    "inner product, transposed": layer(
        "InnerProduct", "inner_product_param { num_output: 7 transpose: true }"
    ),
    "lrn": layer("LRN"),
    "lrn of GoogLeNet": layer("LRN", "lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }"),
    "lrn with k": layer("LRN", "lrn_param { local_size: 3 alpha: 0.5 beta: 0.6 k: 2 }"),
    "lrn over more channels than there are": layer("LRN", "lrn_param { local_size: 11 }"),
    "lrn of a single channel": layer("LRN", "lrn_param { local_size: 1 }"),
    "prelu": layer("PReLU"),
    "prelu with a shared slope": layer("PReLU", "prelu_param { channel_shared: true }"),
    "power of nothing": layer("Power"),
    "power scale": layer("Power", "power_param { scale: -0.5 }"),
    "power shift": layer("Power", "power_param { shift: 0.25 }"),
    "power square": layer("Power", "power_param { power: 2 scale: 3 shift: -1 }"),
    "power cube": layer("Power", "power_param { power: 3 }"),
    "power zero": layer("Power", "power_param { power: 0 scale: 2 }"),
    "power scale zero": layer("Power", "power_param { power: 2 scale: 0 shift: 3 }"),
    "power root": layer("AbsVal", top="x2")
    + layer("Power", "power_param { power: 0.5 shift: 0.1 }", bottoms="x2"),
    "power reciprocal": layer("AbsVal", top="x2")
    + layer("Power", "power_param { power: -1 shift: 0.1 }", bottoms="x2"),
    "relu": layer("ReLU"),
    "leaky relu": layer("ReLU", "relu_param { negative_slope: 0.1 }"),
    "relu with a slope above one": layer("ReLU", "relu_param { negative_slope: 1.5 }"),
    "relu with a negative slope": layer("ReLU", "relu_param { negative_slope: -0.5 }"),
    "reshape": layer("Reshape", "reshape_param { shape { dim: 0 dim: -1 } }"),
    "reshape that copies": layer(
        "Reshape", "reshape_param { shape { dim: 0 dim: 2 dim: -1 dim: 6 } }"
    ),
    "reshape said in full": layer(
        "Reshape", "reshape_param { shape { dim: 2 dim: 6 dim: 5 dim: 4 } }"
    ),
    "scale of the channels": layer("Scale"),
    "scale with bias": layer("Scale", "scale_param { bias_term: true }"),
    "scale from axis 2": layer("Scale", "scale_param { axis: 2 bias_term: true }"),
    "scale from axis -1": layer("Scale", "scale_param { axis: -1 bias_term: true }"),
    "scale of two axes": layer("Scale", "scale_param { axis: 1 num_axes: 2 bias_term: true }"),
    "scale of all axes": layer("Scale", "scale_param { axis: 1 num_axes: -1 bias_term: true }"),
    "scale, a single number": layer("Scale", "scale_param { num_axes: 0 bias_term: true }"),
    "sigmoid": layer("Sigmoid"),
    "softmax": layer("Softmax"),
    "softmax over columns": layer("Softmax", "softmax_param { axis: -1 }"),
    "split": 'layer { name: "s" type: "Split" bottom: "data" top: "a" top: "out" }',
    "tanh": layer("TanH"),
}

TWO_MORE_BLOBS = layer("Power", "power_param { scale: -1 shift: 0.3 }", top="x") + layer(
    "Power", "power_param { scale: 0.5 }", top="y"
)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_gives_what_caffe_gives(name: str, run_otherwise: RunNetwork) -> None:
    assert_same(wrapped(TWO_MORE_BLOBS + LAYERS[name]), run_otherwise)


IN_PLACE = ["BatchNorm", "Bias", "Dropout", "ELU", "PReLU", "Power", "ReLU", "Scale", "Sigmoid"]


@pytest.mark.parametrize("kind", [*IN_PLACE, "Softmax", "TanH"])
def test_a_layer_runs_in_place(kind: str, run_otherwise: RunNetwork) -> None:
    first = layer("Power", "power_param { scale: 2 shift: 0.1 }")
    assert_same(wrapped(first + layer(kind, bottoms="out")), run_otherwise)


def test_layers_run_in_place_one_after_the_other(run_otherwise: RunNetwork) -> None:
    convolution = layer("Convolution", "convolution_param { num_output: 6 kernel_size: 3 }")
    in_place = "".join(layer(kind, bottoms="out") for kind in ("BatchNorm", "Scale", "ReLU"))
    assert_same(wrapped(convolution + in_place), run_otherwise)


def test_names_of_layers_do_not_clash_with_names_of_their_weights(
    run_otherwise: RunNetwork,
) -> None:
    # The blob "out" is written by a layer "out" with weights and then by layers with such names.
    names = ("scale", "shift", "bias", "scaled", "weight", "relu")
    layers = 'layer { name: "out" type: "BatchNorm" bottom: "data" top: "out" }'
    for name in names:
        kind = "ReLU" if name == "relu" else "Scale"
        layers += f'layer {{ name: "{name}" type: "{kind}" bottom: "out" top: "out" }}'
    assert_same(wrapped(layers), run_otherwise)


def test_layers_without_weights_may_share_a_name(run_otherwise: RunNetwork) -> None:
    power = 'layer {{ name: "same" type: "Power" bottom: "{}" top: "out" power_param {{ {} }} }}'
    layers = power.format("data", "scale: 2 shift: 1") + power.format("out", "scale: -1 shift: 3")
    assert_same(wrapped(layers), run_otherwise)


def test_a_blob_may_be_read_before_and_after_another_is_changed_in_place(
    run_otherwise: RunNetwork,
) -> None:
    layers = (
        layer("Power", "power_param { scale: 2 }", top="a")
        + layer("Split", "", "a", "b")
        + layer("ReLU", "", "b", "b")
        + layer("Eltwise", "", "data b")
    )
    assert_same(wrapped(layers), run_otherwise)


def test_the_given_blob_is_what_it_holds_at_the_end(run_otherwise: RunNetwork) -> None:
    # Dropout in place writes the blob last, but changes nothing.
    layers = layer("Power", "power_param { shift: 1 }") + layer("ReLU", "", "out")
    assert_same(wrapped(layers + layer("Dropout", "", "out")), run_otherwise)


def test_an_input_layer_is_the_input(run_otherwise: RunNetwork) -> None:
    text = wrapped(layer("AbsVal"))
    declared = text[text.index("input:") : text.index("layer {")]
    dims = "dim: 2 dim: 4 dim: 5 dim: 6"
    for other in (
        f'layer {{ name: "i" type: "Input" top: "data" input_param {{ shape {{ {dims} }} }} }} ',
        'input: "data" input_dim: 2 input_dim: 4 input_dim: 5 input_dim: 6 ',
    ):
        assert_same(text.replace(declared, other), run_otherwise)


# --- pooling -------------------------------------------------------------------------------------


def pooling_parameters(size: tuple[int, int]) -> list[str]:
    """Return square poolings with every pad, stride and rounding, and some that are not square."""
    found = []
    for kernel in range(1, 5):
        for stride in range(1, 6):
            for pad in range(kernel):
                for rounding in ("", " round_mode: FLOOR"):
                    found.append(f"kernel_size: {kernel} stride: {stride} pad: {pad}{rounding}")
    generator = np.random.default_rng(5)
    for _ in range(60):
        kernel_h, kernel_w = generator.integers(1, 5, 2)
        stride_h, stride_w = generator.integers(1, 5, 2)
        pad_h, pad_w = generator.integers(0, [kernel_h, kernel_w])
        found.append(
            f"kernel_h: {kernel_h} kernel_w: {kernel_w} stride_h: {stride_h} stride_w: {stride_w} "
            f"pad_h: {pad_h} pad_w: {pad_w}"
        )
    return [*found, "global_pooling: true"]


def can_be_pooled(parameters: str, size: tuple[int, int]) -> bool:
    try:
        parse_network(wrapped(layer("Pooling", f"pooling_param {{ {parameters} }}"), size))
    except CamError:
        return False
    return True


@pytest.mark.parametrize("size", [(5, 8), (7, 6), (9, 3), (1, 4), (14, 14)], ids=str)
@pytest.mark.parametrize("method", ["MAX", "AVE"])
def test_pooling_windows_lie_and_divide_as_in_caffe(
    method: str, size: tuple[int, int], run_otherwise: RunNetwork
) -> None:
    # All geometries in one network, flattened and joined, since compiling one takes the time.
    candidates = [f"pool: {method} {each}" for each in pooling_parameters(size)]
    geometries = [each for each in candidates if can_be_pooled(each, size)]
    assert len(geometries) > len(candidates) // 3
    text = ""
    for index, parameters in enumerate(geometries):
        text += layer("Pooling", f"pooling_param {{ {parameters} }}", "data", f"p{index}")
        text += layer("Flatten", "", f"p{index}", f"f{index}")
    text = wrapped(
        text + layer("Concat", "", " ".join(f"f{i}" for i in range(len(geometries)))), size, 2
    )
    network = parse_network(text)
    x, weights = input_for(network), weights_for(network)
    expected = run_otherwise(text, weights, x, "out")
    actual = by_the_engine(text, weights, x, "out")
    assert actual.shape == expected.shape
    ends = np.cumsum([network.blob_shapes[f"f{i}"][1] for i in range(len(geometries))])
    wrong = [
        f"{parameters} -> {network.blob_shapes[f'p{i}'][2:]}"
        for i, (parameters, got, wanted) in enumerate(
            zip(
                geometries,
                np.split(actual, ends[:-1], axis=1),
                np.split(expected, ends[:-1], axis=1),
                strict=True,
            )
        )
        if not np.allclose(got, wanted, rtol=1e-6, atol=1e-6)
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("parameters", "size", "pooled"),
    [
        ("kernel_size: 3 stride: 2", (112, 112), (56, 56)),  # 55.5 rounded up
        ("kernel_size: 3 stride: 2", (113, 113), (56, 56)),
        ("kernel_size: 3 stride: 2 round_mode: FLOOR", (112, 112), (55, 55)),
        ("kernel_size: 2 stride: 2 pad: 1", (5, 5), (3, 3)),  # four, less one behind the picture
        ("kernel_size: 14 stride: 14", (14, 14), (1, 1)),
        # A pad of either axis makes the rule for the last window hold for both.
        ("kernel_h: 1 kernel_w: 3 stride_h: 3 stride_w: 2 pad_h: 0 pad_w: 1", (6, 6), (2, 4)),
        ("kernel_size: 1 stride: 3", (6, 6), (3, 3)),
    ],
)
def test_pooled_size_by_hand(
    parameters: str, size: tuple[int, int], pooled: tuple[int, int]
) -> None:
    network = parse_network(wrapped(layer("Pooling", f"pooling_param {{ {parameters} }}"), size))
    assert network.blob_shapes["out"] == (BATCH, 4, *pooled)


# --- a small ResNet ------------------------------------------------------------------------------


def convolution_block(name: str, bottom: str, parameters: str, relu: bool = True) -> str:
    text = (
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" '
        f"convolution_param {{ bias_term: false {parameters} }} }}\n"
        f'layer {{ name: "{name}/bn" type: "BatchNorm" bottom: "{name}" top: "{name}" }}\n'
        f'layer {{ name: "{name}/scale" type: "Scale" bottom: "{name}" top: "{name}" '
        "scale_param { bias_term: true } }\n"
    )
    if relu:
        text += f'layer {{ name: "{name}/relu" type: "ReLU" bottom: "{name}" top: "{name}" }}\n'
    return text


def resnet() -> str:
    """Return two residual blocks in the shape that the released ResNet prototxts have."""
    wide = "num_output: 16 kernel_size: 3 pad: 1"
    text = 'name: "ResNet" input: "data" input_dim: 1 input_dim: 3 input_dim: 48 input_dim: 48\n'
    text += convolution_block("conv1", "data", "num_output: 12 kernel_size: 7 stride: 2 pad: 3")
    text += layer("Pooling", "pooling_param { kernel_size: 3 stride: 2 }", "conv1", "pool1")
    bottom = "pool1"
    for block, stride in (("a", 1), ("b", 2)):
        text += convolution_block(f"{block}1", bottom, f"{wide} stride: {stride}")
        text += convolution_block(f"{block}2", f"{block}1", wide, relu=False)
        shortcut = f"num_output: 16 kernel_size: 1 stride: {stride}"
        text += convolution_block(f"{block}0", bottom, shortcut, relu=False)
        text += layer("Eltwise", "", f"{block}0 {block}2", f"res{block}")
        text += layer("ReLU", "", f"res{block}", f"res{block}")
        bottom = f"res{block}"
    return (
        text
        + layer("Pooling", "pooling_param { pool: AVE kernel_size: 6 }", bottom, "pool5")
        + 'layer { name: "class layer" type: "InnerProduct" bottom: "pool5" top: "fc" '
        "inner_product_param { num_output: 10 } }\n" + layer("Softmax", "", "fc", "prob")
    )


@pytest.mark.parametrize("blob", ["resb", "prob"])
def test_a_residual_network_runs_as_in_caffe(blob: str, run_otherwise: RunNetwork) -> None:
    network = parse_network(resnet())
    weights, x = weights_for(network), input_for(network)
    engine = OpenVinoEngine(loaded(network, weights, Head("resb", "class layer", "prob")), 1)
    result = engine.forward(x)
    got = {"resb": result.activations, "prob": result.scores}[blob]
    assert_close(got, run_otherwise(resnet(), weights, x, blob))


# --- the ONNX model ------------------------------------------------------------------------------


def test_the_onnx_model_has_one_input_two_outputs_and_any_batch() -> None:
    network = parse_network(resnet())
    model = to_onnx(network, weights_for(network), ("resb", "prob"))
    onnx.checker.check_model(model, full_check=True)
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in [*model.graph.input, *model.graph.output]
    }
    assert shapes == {"data": ["N", 3, 48, 48], "resb": ["N", 16, 6, 6], "prob": ["N", 10]}
    assert [value.name for value in model.graph.output] == ["resb", "prob"]


def test_the_onnx_model_holds_float32_weights_only() -> None:
    network = parse_network(resnet())
    model = to_onnx(network, weights_for(network), ("resb", "prob"))
    # Where a Slice begins and ends, for example, is said in a few integers.
    large = [tensor for tensor in model.graph.initializer if np.prod(tensor.dims) > 4]
    assert len(large) >= len(network.weight_shapes)
    assert {tensor.data_type for tensor in large} == {onnx.TensorProto.FLOAT}


def test_onnx_runs_by_its_own_reference_evaluator() -> None:
    # A second ONNX runtime, so that the model is right by the standard and not by OpenVINO.
    from onnx.reference import ReferenceEvaluator

    poolings = "".join(
        layer("Pooling", f"pooling_param {{ pool: {method} {rest} }}", "data", f"p{method}")
        + layer("Flatten", "", f"p{method}", f"f{method}")
        for method, rest in (("MAX", "kernel_size: 3 stride: 2 pad: 1"), ("AVE", "kernel_size: 2"))
    )
    text = wrapped(poolings + layer("Concat", "", "fMAX fAVE"))
    network = parse_network(text)
    weights, x = weights_for(network), input_for(network)
    model = to_onnx(network, weights, ("out", "prob"))
    out, prob = ReferenceEvaluator(model).run(None, {"data": x})
    assert_close(np.asarray(out), by_the_reference(text, weights, x, "out"))
    assert_close(np.asarray(prob), by_the_reference(text, weights, x, "prob"))


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        (layer("Pooling", "pooling_param { pool: STOCHASTIC kernel_size: 2 }"), "STOCHASTIC"),
        (layer("InnerProduct", "inner_product_param { num_output: 2 axis: 2 }"), "axis 2"),
        (layer("BatchNorm", "batch_norm_param { use_global_stats: false }"), "use_global_stats"),
        (layer("Flatten", "flatten_param { axis: 0 }"), "batch"),
        (layer("Concat", "concat_param { axis: 0 }", "data data"), "batch"),
        (layer("Scale", "scale_param { axis: 0 }"), "batch"),
        (layer("Softmax", "softmax_param { axis: 0 }"), "batch"),
    ],
)
def test_what_cannot_be_run_names_the_layer(layers: str, words: str) -> None:
    kind = layers.split('"')[1]
    with pytest.raises(CamError, match=f"prototxt: layer '{kind}' of type .*{words}"):
        network = parse_network(wrapped(layers))
        to_onnx(network, weights_for(network), ("out", "prob"))


def test_a_layer_may_change_the_input_in_place(run_otherwise: RunNetwork) -> None:
    text = layer("ReLU", bottoms="data", top="data") + layer("TanH")
    assert_same(wrapped(text), run_otherwise)


@pytest.mark.parametrize("kind", ["Flatten", "Split", "Concat"])
def test_a_blob_in_shared_memory_may_change_where_no_other_is_read_later(
    kind: str, run_otherwise: RunNetwork
) -> None:
    text = layer("TanH", top="mid") + layer(kind, bottoms="mid")
    text += layer("ReLU", bottoms="out").replace("ReLU out", "in place")
    assert_same(wrapped(text), run_otherwise)
