"""Layers that pass numbers on, put them together or mix all of a picture's."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from cam.caffe import layers
from cam.caffe.layers import Graph, Layer, LayerRun, LayerType, Shape, ShapeError, Shapes


def _write_nothing(graph: Graph, run: LayerRun) -> None:
    for top in run.layer.tops:
        graph.tensors[top] = run.inputs[0]


def _split_shapes(layer: Layer, bottoms: list[Shape]) -> Shapes:
    return [bottoms[0]] * len(layer.tops), ()


def _flatten_shapes(layer: Layer, bottoms: list[Shape]) -> Shapes:
    param, bottom = layer.message.flatten_param, bottoms[0]
    axis, end = layers.own_axis(param.axis, bottom), layers.axis_of(param.end_axis, bottom)
    if end < axis:
        raise ShapeError(f"axes {axis} to {end}, which is none")
    return [(*bottom[:axis], math.prod(bottom[axis : end + 1]), *bottom[end + 1 :])], ()


def _reshape_shapes(layer: Layer, bottoms: list[Shape]) -> Shapes:
    param, bottom = layer.message.reshape_param, bottoms[0]
    if param.axis != 0 or param.num_axes != -1:
        raise ShapeError("axis and num_axes are not supported")
    shape = [bottom[i] if d == 0 and i < len(bottom) else d for i, d in enumerate(param.shape.dim)]
    if shape.count(-1) == 1:
        known = -math.prod(shape)
        shape[shape.index(-1)] = math.prod(bottom) // known if known else 0
    if math.prod(shape) != math.prod(bottom) or not shape or tuple(shape[:1]) != bottom[:1]:
        raise ShapeError(f"{bottom} cannot become {tuple(param.shape.dim)} picture by picture")
    return [tuple(shape)], ()


def _write_reshape(graph: Graph, run: LayerRun) -> None:
    shape = graph.shapes[run.layer.tops[0]]
    if shape[0] != run.bottoms[0][0]:
        raise layers.UnsupportedError("it joins pictures of a batch")
    # A zero keeps the batch's size, whatever it is.
    target = graph.constant(run.layer, "shape", [0, *shape[1:]], np.int64)
    graph.node("Reshape", run.layer, [*run.inputs, target])


def concat_axis(layer: Layer, bottom: Shape) -> int:
    """Return the axis of a Concat layer, whichever of its two fields says it."""
    param = layer.message.concat_param
    if param.HasField("concat_dim") and param.HasField("axis"):
        raise ShapeError("axis and concat_dim say the same; give one")
    return layers.own_axis(param.concat_dim if param.HasField("concat_dim") else param.axis, bottom)


def _concat_shapes(layer: Layer, bottoms: list[Shape]) -> Shapes:
    axis = concat_axis(layer, bottoms[0])
    others = {shape[:axis] + shape[axis + 1 :] for shape in bottoms}
    if len(others) > 1 or len({len(shape) for shape in bottoms}) > 1:
        raise ShapeError(f"its bottoms have the shapes {bottoms}, which differ off axis {axis}")
    total = sum(shape[axis] for shape in bottoms)
    return [(*bottoms[0][:axis], total, *bottoms[0][axis + 1 :])], ()


def _write_concat(graph: Graph, run: LayerRun) -> None:
    graph.node("Concat", run.layer, run.inputs, axis=concat_axis(run.layer, run.bottoms[0]))


def _inner_product_shapes(layer: Layer, bottoms: list[Shape]) -> Shapes:
    param, bottom = layer.message.inner_product_param, bottoms[0]
    axis = layers.own_axis(param.axis, bottom)
    inputs = math.prod(bottom[axis:])
    if not param.num_output:
        raise ShapeError("num_output must be positive")
    weights = (inputs, param.num_output) if param.transpose else (param.num_output, inputs)
    return [(*bottom[:axis], param.num_output)], (weights, *layers.bias_of(param))


def _write_inner_product(graph: Graph, run: LayerRun) -> None:
    param = run.layer.message.inner_product_param
    if param.axis != 1:
        raise layers.UnsupportedError(f"axis {param.axis} is not supported; 1 is")
    flat = graph.node("Flatten", run.layer, run.inputs, "flat", axis=1)
    inputs = [flat, *layers.weight_constants(graph, run)]
    graph.node("Gemm", run.layer, inputs, transB=int(not param.transpose))


def _softmax_shapes(layer: Layer, bottoms: list[Shape]) -> Shapes:
    layers.own_axis(layer.message.softmax_param.axis, bottoms[0])
    return [bottoms[0]], ()


def _write_softmax(graph: Graph, run: LayerRun) -> None:
    graph.node("Softmax", run.layer, run.inputs, axis=run.layer.message.softmax_param.axis)


TYPES: Mapping[str, LayerType] = {
    "Concat": LayerType(_concat_shapes, _write_concat, bottoms=(1, math.inf), shares_memory=True),
    "Dropout": LayerType(layers.unchanged, _write_nothing, in_place=True, is_identity=True),
    "Flatten": LayerType(_flatten_shapes, _write_reshape, shares_memory=True),
    "InnerProduct": LayerType(_inner_product_shapes, _write_inner_product),
    "Reshape": LayerType(_reshape_shapes, _write_reshape, shares_memory=True),
    "Softmax": LayerType(_softmax_shapes, _write_softmax, in_place=True),
    "Split": LayerType(_split_shapes, _write_nothing, shares_memory=True, is_identity=True),
}
