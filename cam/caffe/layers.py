"""The layer types that can be run: their geometry, and the shapes of their blobs and weights.

The rules are those of Caffe's layers (``Reshape`` and ``LayerSetUp`` of each), so that what Caffe
would end the process on is found before anything runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cam.errors import nearest_names

__all__ = [
    "IN_PLACE_TYPES",
    "SHARING_TYPES",
    "Layer",
    "PoolingGeometry",
    "Shape",
    "ShapeError",
    "SpatialGeometry",
    "concat_axis",
    "convolution_geometry",
    "layer_shapes",
    "pooling_geometry",
]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """One layer of a network, in the order in which they run.

    Attributes
    ----------
    name, type : str
        As the prototxt says.
    bottoms, tops : tuple of str
        The names of the blobs that it reads and writes; one name in both means in place.
    message : protobuf message
        The ``LayerParameter``, for the parameters of its type.
    """

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    message: Any

    def __str__(self) -> str:
        return f"layer {self.name!r} of type {self.type!r}"


class ShapeError(Exception):
    """Shapes or parameters of one layer do not fit; the caller adds the layer's name."""


@dataclass(frozen=True)
class SpatialGeometry:
    """Kernel, stride, pad and dilation of a layer, each as (vertical, horizontal)."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    pad: tuple[int, int]
    dilation: tuple[int, int] = (1, 1)

    def extent(self, axis: int) -> int:
        """Return how many pixels the dilated kernel covers along an axis (0 or 1)."""
        return self.dilation[axis] * (self.kernel[axis] - 1) + 1


@dataclass(frozen=True)
class PoolingGeometry(SpatialGeometry):
    """Geometry of a pooling layer.

    Attributes
    ----------
    output : tuple of int
        (h, w) by Caffe's rule: rounded up, less the windows that would begin in the padding
        behind the picture.
    """

    output: tuple[int, int] = (1, 1)


def convolution_geometry(layer: Layer) -> SpatialGeometry:
    """Return the geometry of a convolution.

    Parameters
    ----------
    layer : Layer
        A layer with a ``convolution_param``; the repeated fields and the ``_h``/``_w`` ones are
        both understood.

    Returns
    -------
    SpatialGeometry
        The geometry.
    """
    param = layer.message.convolution_param

    def pair(name: str, default: int, sides: tuple[str, str] | None) -> tuple[int, int]:
        values = list(getattr(param, name))
        if sides and any(map(param.HasField, sides)):
            if values:
                raise ShapeError(f"{name} is given, and {sides[0]} or {sides[1]} as well")
            return getattr(param, sides[0]), getattr(param, sides[1])
        values = values or [default]
        if len(values) > 2:
            raise ShapeError(f"{name} has {len(values)} values; two spatial axes are supported")
        return values[0], values[-1]

    return SpatialGeometry(
        kernel=pair("kernel_size", 0, ("kernel_h", "kernel_w")),
        stride=pair("stride", 1, ("stride_h", "stride_w")),
        pad=pair("pad", 0, ("pad_h", "pad_w")),
        dilation=pair("dilation", 1, None),
    )


def pooling_geometry(layer: Layer, bottom: Shape) -> PoolingGeometry:
    """Return the geometry of a pooling layer (``PoolingLayer::Reshape``).

    Parameters
    ----------
    layer : Layer
        A layer with a ``pooling_param``.
    bottom : tuple of int
        Shape (N, C, H, W) of what it reads.

    Returns
    -------
    PoolingGeometry
        The geometry with the output's size.
    """
    param = layer.message.pooling_param

    def pair(name: str, vertical: str, horizontal: str) -> tuple[int, int]:
        given = [param.HasField(field) for field in (name, vertical, horizontal)]
        if given[1:] == [False, False]:
            return (getattr(param, name),) * 2
        if given != [False, True, True]:
            raise ShapeError(f"it takes {name}, or both {vertical} and {horizontal}")
        return getattr(param, vertical), getattr(param, horizontal)

    kernel = pair("kernel_size", "kernel_h", "kernel_w")
    stride, pad = pair("stride", "stride_h", "stride_w"), pair("pad", "pad_h", "pad_w")
    if param.global_pooling:
        if kernel != (0, 0) or stride != (1, 1) or pad != (0, 0):
            raise ShapeError("global_pooling goes with no kernel, stride or pad")
        kernel = (bottom[2], bottom[3])
    if min(kernel) < 1 or min(stride) < 1 or pad[0] >= kernel[0] or pad[1] >= kernel[1]:
        raise ShapeError(f"kernel {kernel}, stride {stride}, pad {pad} do not make a pooling")
    floor = param.RoundMode.Name(param.round_mode) == "FLOOR"
    output = []
    for size, k, s, p in zip(bottom[2:], kernel, stride, pad, strict=True):
        span = size + 2 * p - k
        pooled = (span // s if floor else -(-span // s)) + 1
        if (pooled - 1) * s >= size + p:
            # A pad of either axis makes Caffe leave such windows out on both.
            if any(pad):
                pooled -= 1
            elif param.PoolMethod.Name(param.pool) == "AVE":
                raise ShapeError("its last windows lie beside the picture and have no average")
        output.append(pooled)
    return PoolingGeometry(kernel, stride, pad, output=(output[0], output[1]))


ShapeRule = Callable[[Layer, list[Shape]], tuple[list[Shape], tuple[Shape, ...]]]


def layer_shapes(layer: Layer, bottoms: list[Shape]) -> tuple[list[Shape], tuple[Shape, ...]]:
    """Return the shapes of what a layer writes and of its weights.

    Parameters
    ----------
    layer : Layer
        The layer.
    bottoms : list of tuple of int
        The shapes of what it reads.

    Returns
    -------
    tops : list of tuple of int
        The shape of each top.
    weights : tuple of tuple of int
        The shape of each blob of weights; empty if it has none.

    Raises
    ------
    ShapeError
        If the type is not known, or its parameters or bottoms are not what Caffe takes.
    """
    rule = _SHAPE_RULES.get(layer.type)
    if rule is None:
        known = nearest_names(layer.type, _SHAPE_RULES)
        raise ShapeError(f"this type cannot be run{known}")
    fewest, most = _BOTTOMS.get(layer.type, (1, 1))
    if not fewest <= len(bottoms) <= most:
        raise ShapeError(f"{len(bottoms)} bottoms")
    return rule(layer, bottoms)


_BOTTOMS: Mapping[str, tuple[int, float]] = {"Concat": (1, math.inf), "Eltwise": (2, math.inf)}
"""How many bottoms a layer may have, at least and at most, where it is not one."""

IN_PLACE_TYPES = frozenset(
    {
        "BatchNorm",
        "Bias",
        "Dropout",
        "ELU",
        "PReLU",
        "Power",
        "ReLU",
        "Scale",
        "Sigmoid",
        "Softmax",
        "TanH",
    }
)
"""The types that Caffe can run in place and get right."""

SHARING_TYPES = frozenset({"Flatten", "Reshape", "Split"})
"""The types whose tops lie in their bottom's memory in Caffe."""


def _need_spatial(bottom: Shape) -> None:
    if len(bottom) != 4:
        raise ShapeError(f"its bottom has the shape {bottom}, not (N, C, H, W)")


def _axis(axis: int, shape: Shape) -> int:
    if not -len(shape) <= axis < len(shape):
        raise ShapeError(f"axis {axis} of a blob of shape {shape}")
    return axis % len(shape)


def _own_axis(axis: int, shape: Shape) -> int:
    """Return an axis of one picture's numbers, and not the one along the batch."""
    found = _axis(axis, shape)
    if found == 0:
        raise ShapeError(f"axis {axis}, along the batch, is not supported")
    return found


def _unchanged(layer: Layer, bottoms: list[Shape]) -> tuple[list[Shape], tuple[Shape, ...]]:
    return [bottoms[0]], ()


def _split(layer: Layer, bottoms: list[Shape]) -> tuple[list[Shape], tuple[Shape, ...]]:
    return [bottoms[0]] * len(layer.tops), ()


def _lrn(layer: Layer, bottoms: list[Shape]) -> tuple[list[Shape], tuple[Shape, ...]]:
    _need_spatial(bottoms[0])
    if layer.message.lrn_param.local_size % 2 == 0:
        raise ShapeError(f"local_size {layer.message.lrn_param.local_size}; it must be odd")
    return [bottoms[0]], ()


def _softmax(layer: Layer, bottoms: list[Shape]) -> tuple[list[Shape], tuple[Shape, ...]]:
    _own_axis(layer.message.softmax_param.axis, bottoms[0])
    return [bottoms[0]], ()


def _convolution(layer: Layer, bottoms: list[Shape]) -> tuple[list[Shape], tuple[Shape, ...]]:
    param, bottom = layer.message.convolution_param, bottoms[0]
    _need_spatial(bottom)
    if param.axis != 1:
        raise ShapeError(f"axis {param.axis}; only 1 is supported")
    geometry = convolution_geometry(layer)
    if not param.num_output or min(geometry.kernel + geometry.stride + geometry.dilation) < 1:
        raise ShapeError("num_output, kernel_size, stride and dilation must be positive")
    if bottom[1] % max(param.group, 1) or param.num_output % max(param.group, 1):
        raise ShapeError(
            f"group {param.group} does not divide its {bottom[1]} input channels "
            f"and {param.num_output} outputs"
        )
    size = tuple(
        (bottom[2 + axis] + 2 * geometry.pad[axis] - geometry.extent(axis)) // geometry.stride[axis]
        + 1
        for axis in (0, 1)
    )
    weights = (param.num_output, bottom[1] // max(param.group, 1), *geometry.kernel)
    bias = ((param.num_output,),) if param.bias_term else ()
    return [(bottom[0], param.num_output, *size)], (weights, *bias)


def _pooling(layer: Layer, bottoms: list[Shape]) -> tuple[list[Shape], tuple[Shape, ...]]:
    _need_spatial(bottoms[0])
    return [(*bottoms[0][:2], *pooling_geometry(layer, bottoms[0]).output)], ()


def _inner_product(layer: Layer, bottoms: list[Shape]) -> tuple[list[Shape], tuple[Shape, ...]]:
    param, bottom = layer.message.inner_product_param, bottoms[0]
    axis = _own_axis(param.axis, bottom)
    inputs = math.prod(bottom[axis:])
    if not param.num_output:
        raise ShapeError("num_output must be positive")
    weights = (inputs, param.num_output) if param.transpose else (param.num_output, inputs)
    bias = ((param.num_output,),) if param.bias_term else ()
    return [(*bottom[:axis], param.num_output)], (weights, *bias)


def _concat(layer: Layer, bottoms: list[Shape]) -> tuple[list[Shape], tuple[Shape, ...]]:
    axis = concat_axis(layer, bottoms[0])
    others = {shape[:axis] + shape[axis + 1 :] for shape in bottoms}
    if len(others) > 1 or len({len(shape) for shape in bottoms}) > 1:
        raise ShapeError(f"its bottoms have the shapes {bottoms}, which differ off axis {axis}")
    total = sum(shape[axis] for shape in bottoms)
    return [(*bottoms[0][:axis], total, *bottoms[0][axis + 1 :])], ()


def concat_axis(layer: Layer, bottom: Shape) -> int:
    """Return the axis of a Concat layer, whichever of its two fields says it."""
    param = layer.message.concat_param
    if param.HasField("concat_dim") and param.HasField("axis"):
        raise ShapeError("axis and concat_dim say the same; give one")
    return _own_axis(param.concat_dim if param.HasField("concat_dim") else param.axis, bottom)


def _eltwise(layer: Layer, bottoms: list[Shape]) -> tuple[list[Shape], tuple[Shape, ...]]:
    if len(set(bottoms)) > 1:
        raise ShapeError(f"its bottoms have different shapes: {bottoms}")
    param = layer.message.eltwise_param
    if param.coeff and len(param.coeff) != len(bottoms):
        raise ShapeError(f"{len(param.coeff)} coefficients for {len(bottoms)} bottoms")
    if param.coeff and param.EltwiseOp.Name(param.operation) == "PROD":
        raise ShapeError("coefficients go with a sum, not with a product")
    return [bottoms[0]], ()


def _batch_norm(layer: Layer, bottoms: list[Shape]) -> tuple[list[Shape], tuple[Shape, ...]]:
    channels = bottoms[0][1] if len(bottoms[0]) > 1 else 1
    return [bottoms[0]], ((channels,), (channels,), (1,))


def _weights_along(param: Any, bottom: Shape) -> Shape:
    if param.num_axes == 0:
        return ()
    axis = _own_axis(param.axis, bottom)
    stop = len(bottom) if param.num_axes == -1 else axis + param.num_axes
    if not axis < stop <= len(bottom):
        raise ShapeError(f"{param.num_axes} axes from {axis} on of a blob of shape {bottom}")
    return bottom[axis:stop]


def _scale(layer: Layer, bottoms: list[Shape]) -> tuple[list[Shape], tuple[Shape, ...]]:
    param = layer.message.scale_param
    weights = _weights_along(param, bottoms[0])
    return [bottoms[0]], (weights, weights) if param.bias_term else (weights,)


def _bias(layer: Layer, bottoms: list[Shape]) -> tuple[list[Shape], tuple[Shape, ...]]:
    return [bottoms[0]], (_weights_along(layer.message.bias_param, bottoms[0]),)


def _prelu(layer: Layer, bottoms: list[Shape]) -> tuple[list[Shape], tuple[Shape, ...]]:
    shared = layer.message.prelu_param.channel_shared
    if len(bottoms[0]) < 2:
        raise ShapeError(f"its bottom has the shape {bottoms[0]}, without channels")
    return [bottoms[0]], (() if shared else (bottoms[0][1],),)


def _flatten(layer: Layer, bottoms: list[Shape]) -> tuple[list[Shape], tuple[Shape, ...]]:
    param, bottom = layer.message.flatten_param, bottoms[0]
    axis, end = _own_axis(param.axis, bottom), _axis(param.end_axis, bottom)
    if end < axis:
        raise ShapeError(f"axes {axis} to {end}, which is none")
    return [(*bottom[:axis], math.prod(bottom[axis : end + 1]), *bottom[end + 1 :])], ()


def _reshape(layer: Layer, bottoms: list[Shape]) -> tuple[list[Shape], tuple[Shape, ...]]:
    param, bottom = layer.message.reshape_param, bottoms[0]
    if param.axis != 0 or param.num_axes != -1:
        raise ShapeError("axis and num_axes are not supported")
    shape = [bottom[i] if d == 0 and i < len(bottom) else d for i, d in enumerate(param.shape.dim)]
    if shape.count(-1) == 1:
        known = -math.prod(shape)
        shape[shape.index(-1)] = math.prod(bottom) // known if known else 0
    if math.prod(shape) != math.prod(bottom) or not shape or shape[0] != bottom[0]:
        raise ShapeError(f"{bottom} cannot become {tuple(param.shape.dim)} picture by picture")
    return [tuple(shape)], ()


_SHAPE_RULES: Mapping[str, ShapeRule] = {
    "AbsVal": _unchanged,
    "BatchNorm": _batch_norm,
    "Bias": _bias,
    "Concat": _concat,
    "Convolution": _convolution,
    "Dropout": _unchanged,
    "ELU": _unchanged,
    "Eltwise": _eltwise,
    "Flatten": _flatten,
    "InnerProduct": _inner_product,
    "LRN": _lrn,
    "PReLU": _prelu,
    "Pooling": _pooling,
    "Power": _unchanged,
    "ReLU": _unchanged,
    "Reshape": _reshape,
    "Scale": _scale,
    "Sigmoid": _unchanged,
    "Softmax": _softmax,
    "Split": _split,
    "TanH": _unchanged,
}
