"""A Caffe network as an ONNX graph.

Each layer type of `cam.caffe.network` has one function here that writes the ONNX nodes with the
same arithmetic, Caffe's own rules included: pooling windows rounded up and cut off, average pooling
that divides by the window's size with its padding, and in-place layers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from cam.caffe.caffemodel import Blobs
from cam.caffe.layers import Layer, Shape, concat_axis, convolution_geometry, pooling_geometry
from cam.caffe.network import Network
from cam.errors import CamError

__all__ = ["to_onnx"]

OPSET = 13
"""Old enough for every ONNX runtime in use; has all the operators that are needed."""
IR_VERSION = 8


def to_onnx(
    network: Network, weights: Mapping[str, Blobs], outputs: Sequence[str]
) -> onnx.ModelProto:
    """Write a network as an ONNX model.

    Parameters
    ----------
    network : Network
        The network.
    weights : mapping of str to tuple of numpy.ndarray
        Each layer's weights, in the shapes that `network` asks for.
    outputs : sequence of str
        Which blobs to give out.

    Returns
    -------
    onnx.ModelProto
        A float32 model. Its input has the name of the network's input and any batch size; its
        outputs are the blobs' final values, after in-place layers, named like the blobs.

    Raises
    ------
    CamError
        If a layer has parameters that cannot be expressed; the message names the layer.
    """
    graph = _Graph(network)
    for layer in network.layers:
        inputs = [graph.tensors[blob] for blob in layer.bottoms]
        bottoms = [graph.shapes[blob] for blob in layer.bottoms]
        try:
            _WRITERS[layer.type](graph, layer, inputs, bottoms, weights.get(layer.name, ()))
        except _UnsupportedError as error:
            raise CamError(f"{network.source}: {layer}: {error}") from error
    described = [graph.output(blob) for blob in outputs]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            network.name or "network",
            [_value_info(network.input_name, network.input_shape)],
            described,
            graph.initializers,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="cam",
    )
    onnx.checker.check_model(model)
    return model


class _UnsupportedError(Exception):
    """A parameter that cannot be expressed; the caller adds the layer's name."""


def _value_info(name: str, shape: Shape) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", *shape[1:]])


@dataclass
class _Graph:
    """The nodes written so far, and which tensor holds each of Caffe's blobs at this point."""

    network: Network
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[onnx.TensorProto] = field(default_factory=list)
    tensors: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.tensors = {self.network.input_name: self.network.input_name}
        self.last_writers = {
            top: layer
            for layer in self.network.layers
            if layer.type not in _IDENTITIES
            for top in layer.tops
        }
        self.names = set(self.network.blob_shapes)

    @property
    def shapes(self) -> Mapping[str, Shape]:
        return self.network.blob_shapes

    def node(
        self, operator: str, layer: Layer, inputs: Sequence[str], step: str = "", **attributes: Any
    ) -> str:
        """Add a node and return its output; without a `step` name it is the layer's last one."""
        blob = layer.tops[0]
        if step:
            name = output = self._unique(f"{layer.name}:{step}")
        else:
            name = layer.name
            # ONNX tensors are written once: all but the last writer of an in-place blob get
            # another name, so that the blob's own name stands for its final value.
            is_last = self.last_writers[blob] is layer and blob != self.network.input_name
            output = blob if is_last else self._unique(f"{blob}:{layer.name}")
            self.tensors[blob] = output
        self.nodes.append(helper.make_node(operator, inputs, [output], name=name, **attributes))
        return output

    def constant(self, layer: Layer, name: str, values: Any, dtype: Any = np.float32) -> str:
        """Add an initializer and return its name."""
        full_name = self._unique(f"{layer.name}:{name}")
        array: NDArray[Any] = np.ascontiguousarray(values, dtype=dtype)
        array = array.reshape(np.shape(values))
        self.initializers.append(numpy_helper.from_array(array, full_name))
        return full_name

    def _unique(self, name: str) -> str:
        """Return a name for a tensor that no other has, and keep it."""
        while name in self.names:
            name += "'"
        self.names.add(name)
        return name

    def output(self, blob: str) -> onnx.ValueInfoProto:
        """Return a graph output with the blob's name, or nearly so for the network's input."""
        name = self._unique(blob) if blob == self.network.input_name else blob
        if self.tensors[blob] != name:
            self.nodes.append(helper.make_node("Identity", [self.tensors[blob]], [name]))
        return _value_info(name, self.shapes[blob])


def _onnx_pads(begin: Sequence[int], end: Sequence[int]) -> list[int]:
    return [*begin, *end]


def _identity(
    graph: _Graph, layer: Layer, inputs: list[str], bottoms: list[Shape], weights: Blobs
) -> None:
    for top in layer.tops:
        graph.tensors[top] = inputs[0]


def _convolution(
    graph: _Graph, layer: Layer, inputs: list[str], bottoms: list[Shape], weights: Blobs
) -> None:
    geometry = convolution_geometry(layer)
    names = ("weight", "bias")
    constants = [graph.constant(layer, n, w) for n, w in zip(names, weights, strict=False)]
    graph.node(
        "Conv",
        layer,
        [*inputs, *constants],
        kernel_shape=geometry.kernel,
        strides=geometry.stride,
        dilations=geometry.dilation,
        pads=_onnx_pads(geometry.pad, geometry.pad),
        group=layer.message.convolution_param.group,
    )


def _pooling(
    graph: _Graph, layer: Layer, inputs: list[str], bottoms: list[Shape], weights: Blobs
) -> None:
    method = layer.message.pooling_param.PoolMethod.Name(layer.message.pooling_param.pool)
    geometry = pooling_geometry(layer, bottoms[0])
    padded = [size + pad for size, pad in zip(bottoms[0][2:], geometry.pad, strict=True)]
    # What the last window reaches beyond the picture: with it as the pad behind, rounding down
    # gives Caffe's size.
    behind = [
        max(0, (count - 1) * stride + kernel - size)
        for count, stride, kernel, size in zip(
            geometry.output, geometry.stride, geometry.kernel, padded, strict=True
        )
    ]
    window: dict[str, Any] = {"kernel_shape": geometry.kernel, "strides": geometry.stride}
    if method == "MAX":
        graph.node("MaxPool", layer, inputs, pads=_onnx_pads(geometry.pad, behind), **window)
    elif method == "AVE":
        # Caffe divides by the window's size with the declared padding but without what lies
        # beyond it: the padding becomes zeros of the picture, the rest is not counted.
        beyond = [max(0, b - pad) for b, pad in zip(behind, geometry.pad, strict=True)]
        if any(geometry.pad):
            pads = [0, 0, *geometry.pad, 0, 0, *geometry.pad]
            pads_name = graph.constant(layer, "pads", pads, np.int64)
            inputs = [graph.node("Pad", layer, [inputs[0], pads_name], "padded")]
        graph.node("AveragePool", layer, inputs, pads=_onnx_pads((0, 0), beyond), **window)
    else:
        raise _UnsupportedError(f"pool {method} is not supported; MAX and AVE are")


def _lrn(
    graph: _Graph, layer: Layer, inputs: list[str], bottoms: list[Shape], weights: Blobs
) -> None:
    param = layer.message.lrn_param
    if param.NormRegion.Name(param.norm_region) != "ACROSS_CHANNELS":
        raise _UnsupportedError("norm_region WITHIN_CHANNEL is not supported")
    graph.node(
        "LRN",
        layer,
        inputs,
        size=param.local_size,
        alpha=param.alpha,
        beta=param.beta,
        bias=param.k,
    )


def _inner_product(
    graph: _Graph, layer: Layer, inputs: list[str], bottoms: list[Shape], weights: Blobs
) -> None:
    param = layer.message.inner_product_param
    if param.axis != 1:
        raise _UnsupportedError(f"axis {param.axis} is not supported; 1 is")
    flat = graph.node("Flatten", layer, inputs, "flat", axis=1)
    names = ("weight", "bias")
    constants = [graph.constant(layer, n, w) for n, w in zip(names, weights, strict=False)]
    graph.node("Gemm", layer, [flat, *constants], transB=int(not param.transpose))


def _softmax(
    graph: _Graph, layer: Layer, inputs: list[str], bottoms: list[Shape], weights: Blobs
) -> None:
    graph.node("Softmax", layer, inputs, axis=layer.message.softmax_param.axis)


def _concat(
    graph: _Graph, layer: Layer, inputs: list[str], bottoms: list[Shape], weights: Blobs
) -> None:
    graph.node("Concat", layer, inputs, axis=concat_axis(layer, bottoms[0]))


def _eltwise(
    graph: _Graph, layer: Layer, inputs: list[str], bottoms: list[Shape], weights: Blobs
) -> None:
    param = layer.message.eltwise_param
    operation = param.EltwiseOp.Name(param.operation)
    if operation == "SUM":
        inputs = [
            graph.node(
                "Mul", layer, [name, graph.constant(layer, f"coeff{i}", factor)], f"scaled{i}"
            )
            if factor != 1
            else name
            for i, (name, factor) in enumerate(
                zip(inputs, param.coeff or [1.0] * len(inputs), strict=True)
            )
        ]
    operator = {"SUM": "Add", "PROD": "Mul", "MAX": "Max"}[operation]
    result = inputs[0]
    for i, other in enumerate(inputs[1:-1]):
        result = graph.node(operator, layer, [result, other], f"partial{i}")
    if inputs[1:]:
        graph.node(operator, layer, [result, inputs[-1]])
    else:
        graph.node("Identity", layer, inputs)


def _relu(
    graph: _Graph, layer: Layer, inputs: list[str], bottoms: list[Shape], weights: Blobs
) -> None:
    slope = layer.message.relu_param.negative_slope
    if slope:
        graph.node("LeakyRelu", layer, inputs, alpha=slope)
    else:
        graph.node("Relu", layer, inputs)


def _prelu(
    graph: _Graph, layer: Layer, inputs: list[str], bottoms: list[Shape], weights: Blobs
) -> None:
    slope = _spread(weights[0], 1, bottoms[0])
    graph.node("PRelu", layer, [*inputs, graph.constant(layer, "slope", slope)])


def _elu(
    graph: _Graph, layer: Layer, inputs: list[str], bottoms: list[Shape], weights: Blobs
) -> None:
    graph.node("Elu", layer, inputs, alpha=layer.message.elu_param.alpha)


def _unary(operator: str) -> Writer:
    def write(
        graph: _Graph, layer: Layer, inputs: list[str], bottoms: list[Shape], weights: Blobs
    ) -> None:
        graph.node(operator, layer, inputs)

    return write


def _power(
    graph: _Graph, layer: Layer, inputs: list[str], bottoms: list[Shape], weights: Blobs
) -> None:
    param = layer.message.power_param
    steps = [
        (operator, name, value)
        for operator, name, value, neutral in (
            ("Mul", "scale", param.scale, 1),
            ("Add", "shift", param.shift, 0),
            ("Pow", "power", param.power, 1),
        )
        if value != neutral
    ]
    _chain(graph, layer, inputs[0], steps)


def _batch_norm(
    graph: _Graph, layer: Layer, inputs: list[str], bottoms: list[Shape], weights: Blobs
) -> None:
    param = layer.message.batch_norm_param
    if param.HasField("use_global_stats") and not param.use_global_stats:
        raise _UnsupportedError("use_global_stats: false is not supported at test time")
    mean, variance, count = (np.asarray(blob, np.float64) for blob in weights)
    # Caffe stores sums of the running mean and variance beside the factor to divide them by.
    factor = 1 / count[0] if count[0] else 0.0
    scale = 1 / np.sqrt(variance * factor + param.eps)
    steps = [
        ("Mul", "scale", _spread(scale, 1, bottoms[0])),
        ("Add", "shift", _spread(-mean * factor * scale, 1, bottoms[0])),
    ]
    _chain(graph, layer, inputs[0], steps)


def _scale(
    graph: _Graph, layer: Layer, inputs: list[str], bottoms: list[Shape], weights: Blobs
) -> None:
    axis = layer.message.scale_param.axis
    steps = [
        (operator, name, _spread(blob, axis, bottoms[0]))
        for operator, name, blob in zip(("Mul", "Add"), ("scale", "bias"), weights, strict=False)
    ]
    _chain(graph, layer, inputs[0], steps)


def _bias(
    graph: _Graph, layer: Layer, inputs: list[str], bottoms: list[Shape], weights: Blobs
) -> None:
    axis = layer.message.bias_param.axis
    _chain(graph, layer, inputs[0], [("Add", "bias", _spread(weights[0], axis, bottoms[0]))])


def _flatten(
    graph: _Graph, layer: Layer, inputs: list[str], bottoms: list[Shape], weights: Blobs
) -> None:
    shape = graph.shapes[layer.tops[0]]
    if shape[0] != bottoms[0][0]:
        raise _UnsupportedError("it joins pictures of a batch")
    # A zero keeps the batch's size, whatever it is.
    graph.node(
        "Reshape", layer, [*inputs, graph.constant(layer, "shape", [0, *shape[1:]], np.int64)]
    )


def _spread(blob: NDArray[Any], axis: int, bottom: Shape) -> NDArray[Any]:
    """Shape weights that begin at an axis of the bottom so that they broadcast over it."""
    axis %= len(bottom)
    trailing = len(bottom) - axis - blob.ndim
    return blob.reshape(blob.shape + (1,) * trailing)


def _chain(graph: _Graph, layer: Layer, tensor: str, steps: Sequence[tuple[str, str, Any]]) -> None:
    """Apply operators with one constant each; the last one writes the layer's top."""
    if not steps:
        graph.node("Identity", layer, [tensor])
    for index, (operator, name, value) in enumerate(steps):
        step = f"{name}d" if index < len(steps) - 1 else ""
        constant = graph.constant(layer, name, value)
        tensor = graph.node(operator, layer, [tensor, constant], step)


Writer = Callable[[_Graph, Layer, list[str], list[Shape], Blobs], None]

_IDENTITIES = frozenset({"Dropout", "Split"})

_WRITERS: Mapping[str, Writer] = {
    "AbsVal": _unary("Abs"),
    "BatchNorm": _batch_norm,
    "Bias": _bias,
    "Concat": _concat,
    "Convolution": _convolution,
    "Dropout": _identity,
    "ELU": _elu,
    "Eltwise": _eltwise,
    "Flatten": _flatten,
    "InnerProduct": _inner_product,
    "LRN": _lrn,
    "PReLU": _prelu,
    "Pooling": _pooling,
    "Power": _power,
    "ReLU": _relu,
    "Reshape": _flatten,
    "Scale": _scale,
    "Sigmoid": _unary("Sigmoid"),
    "Softmax": _softmax,
    "Split": _identity,
    "TanH": _unary("Tanh"),
}
