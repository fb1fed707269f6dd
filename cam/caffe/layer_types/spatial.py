"""Layers over rows and columns: convolutions, pooling, local response normalisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cam.caffe import layers
from cam.caffe.layers import Graph, Layer, LayerRun, LayerType, Shape, ShapeError, Shapes


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


def _checked_convolution(layer: Layer, bottom: Shape) -> SpatialGeometry:
    param = layer.message.convolution_param
    layers.need_spatial(bottom)
    if param.axis != 1:
        raise ShapeError(f"axis {param.axis}; only 1 is supported")
    geometry = convolution_geometry(layer)
    if not param.num_output or min(geometry.kernel + geometry.stride + geometry.dilation) < 1:
        raise ShapeError("num_output, kernel_size, stride and dilation must be positive")
    group = max(param.group, 1)
    if bottom[1] % group or param.num_output % group:
        raise ShapeError(
            f"group {param.group} does not divide its {bottom[1]} input channels "
            f"and {param.num_output} outputs"
        )
    return geometry


def _convolution_shapes(layer: Layer, bottoms: list[Shape]) -> Shapes:
    geometry = _checked_convolution(layer, bottoms[0])
    param, bottom = layer.message.convolution_param, bottoms[0]
    spans = (bottom[2 + i] + 2 * geometry.pad[i] - geometry.extent(i) for i in (0, 1))
    size = [span // stride + 1 for span, stride in zip(spans, geometry.stride, strict=True)]
    weights = (param.num_output, bottom[1] // max(param.group, 1), *geometry.kernel)
    return [(bottom[0], param.num_output, *size)], (weights, *layers.bias_of(param))


def _deconvolution_shapes(layer: Layer, bottoms: list[Shape]) -> Shapes:
    geometry = _checked_convolution(layer, bottoms[0])
    param, bottom = layer.message.convolution_param, bottoms[0]
    size = [
        geometry.stride[i] * (bottom[2 + i] - 1) + geometry.extent(i) - 2 * geometry.pad[i]
        for i in (0, 1)
    ]
    weights = (bottom[1], param.num_output // max(param.group, 1), *geometry.kernel)
    return [(bottom[0], param.num_output, *size)], (weights, *layers.bias_of(param))


def _write_convolution(graph: Graph, run: LayerRun) -> None:
    geometry, inputs = convolution_geometry(run.layer), run.inputs
    # OpenVINO (2026.4) moves strides of 1x1 convolutions to what is before them, also where that
    # is padded, and gives a blob of another size. Without a stride there is none to move.
    if geometry.kernel == (1, 1) and geometry.stride != (1, 1):
        inputs = [_every_nth(graph, run, geometry)]
        geometry = SpatialGeometry((1, 1), stride=(1, 1), pad=(0, 0))
    _write(graph, run, "Conv", geometry, inputs)


def _every_nth(graph: Graph, run: LayerRun, geometry: SpatialGeometry) -> str:
    """Take only the pixels that a 1×1 convolution with a stride reads, with their padding."""
    layer, (tensor,) = run.layer, run.inputs
    if any(geometry.pad):
        pads = graph.constant(layer, "pads", [0, 0, *geometry.pad] * 2, np.int64)
        tensor = graph.node("Pad", layer, [tensor, pads], "padded")
    stops = [size + 2 * pad for size, pad in zip(run.bottoms[0][2:], geometry.pad, strict=True)]
    parts = (("from", [0, 0]), ("to", stops), ("along", [2, 3]), ("step", geometry.stride))
    constants = [graph.constant(layer, name, values, np.int64) for name, values in parts]
    return graph.node("Slice", layer, [tensor, *constants], "every nth")


def _write_deconvolution(graph: Graph, run: LayerRun) -> None:
    _write(graph, run, "ConvTranspose", convolution_geometry(run.layer), run.inputs)


def _write(
    graph: Graph, run: LayerRun, operator: str, geometry: SpatialGeometry, inputs: Sequence[str]
) -> None:
    graph.node(
        operator,
        run.layer,
        [*inputs, *layers.weight_constants(graph, run)],
        kernel_shape=geometry.kernel,
        strides=geometry.stride,
        dilations=geometry.dilation,
        pads=[*geometry.pad, *geometry.pad],
        group=run.layer.message.convolution_param.group,
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


def _pooling_shapes(layer: Layer, bottoms: list[Shape]) -> Shapes:
    layers.need_spatial(bottoms[0])
    return [(*bottoms[0][:2], *pooling_geometry(layer, bottoms[0]).output)], ()


def _write_pooling(graph: Graph, run: LayerRun) -> None:
    inputs = run.inputs
    method = run.layer.message.pooling_param.PoolMethod.Name(run.layer.message.pooling_param.pool)
    geometry = pooling_geometry(run.layer, run.bottoms[0])
    padded = [size + pad for size, pad in zip(run.bottoms[0][2:], geometry.pad, strict=True)]
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
        graph.node("MaxPool", run.layer, inputs, pads=[*geometry.pad, *behind], **window)
    elif method == "AVE":
        # Caffe divides by the window's size with the declared padding but without what lies
        # beyond it: the padding becomes zeros of the picture, the rest is not counted.
        beyond = [max(0, b - pad) for b, pad in zip(behind, geometry.pad, strict=True)]
        if any(geometry.pad):
            pads = [0, 0, *geometry.pad, 0, 0, *geometry.pad]
            pads_name = graph.constant(run.layer, "pads", pads, np.int64)
            inputs = [graph.node("Pad", run.layer, [inputs[0], pads_name], "padded")]
        graph.node("AveragePool", run.layer, inputs, pads=[0, 0, *beyond], **window)
    else:
        raise layers.UnsupportedError(f"pool {method} is not supported; MAX and AVE are")


def _lrn_shapes(layer: Layer, bottoms: list[Shape]) -> Shapes:
    layers.need_spatial(bottoms[0])
    if layer.message.lrn_param.local_size % 2 == 0:
        raise ShapeError(f"local_size {layer.message.lrn_param.local_size}; it must be odd")
    return [bottoms[0]], ()


def _write_lrn(graph: Graph, run: LayerRun) -> None:
    param, layer = run.layer.message.lrn_param, run.layer
    if param.NormRegion.Name(param.norm_region) == "ACROSS_CHANNELS":
        shape = {"size": param.local_size, "alpha": param.alpha, "beta": param.beta}
        graph.node("LRN", layer, run.inputs, bias=param.k, **shape)
        return
    # Within a channel Caffe takes 1 for k, and averages over the window with its padding.
    squares = graph.node("Mul", layer, run.inputs * 2, "squares")
    size = param.local_size
    window: dict[str, Any] = {"kernel_shape": [size] * 2, "pads": [size // 2] * 4}
    means = graph.node("AveragePool", layer, [squares], "means", count_include_pad=1, **window)
    steps = [("Mul", "alpha", param.alpha), ("Add", "one", 1), ("Pow", "beta", -param.beta)]
    graph.node("Mul", layer, [run.inputs[0], layers.steps(graph, layer, means, steps)])


TYPES: Mapping[str, LayerType] = {
    "Convolution": LayerType(_convolution_shapes, _write_convolution),
    "Deconvolution": LayerType(_deconvolution_shapes, _write_deconvolution),
    "LRN": LayerType(_lrn_shapes, _write_lrn),
    "Pooling": LayerType(_pooling_shapes, _write_pooling),
}
