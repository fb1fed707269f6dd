"""Layers that measure: losses, accuracy, and which numbers are the largest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from cam.caffe import layers
from cam.caffe.layers import FLOAT, Graph, Layer, LayerRun, LayerType, Shape, ShapeError, Shapes

LEAST_PROBABILITY = float(np.finfo(np.float32).tiny)
"""What Caffe's losses take for smaller probabilities (``FLT_MIN``)."""

_INT64 = 7
"""ONNX's number for the type."""


def _argmax_shapes(layer: Layer, bottoms: list[Shape]) -> Shapes:
    param, bottom = layer.message.argmax_param, bottoms[0]
    if not bottom:
        raise ShapeError("its bottom is a single number without axes")
    if param.HasField("axis"):
        axis = layers.own_axis(param.axis, bottom)
        size, top = bottom[axis], (*bottom[:axis], param.top_k, *bottom[axis + 1 :])
    else:
        trailing = (1,) * (len(bottom) - 3)
        size = math.prod(bottom[1:])
        top = (bottom[0], 1 + param.out_max_val, param.top_k, *trailing)
    if not 1 <= param.top_k <= size:
        raise ShapeError(f"top_k {param.top_k} of {size} numbers")
    return [top], ()


def _write_argmax(graph: Graph, run: LayerRun) -> None:
    layer, param, tensor = run.layer, run.layer.message.argmax_param, run.inputs[0]
    bottom = run.bottoms[0]
    if param.HasField("axis"):
        axis = layers.own_axis(param.axis, bottom)
        size = bottom[axis]
    else:
        axis, size = 2, math.prod(bottom[1:])
        trailing = [1] * (len(bottom) - 3)
        flat = graph.constant(layer, "flat", [0, 1, -1, *trailing], np.int64)
        tensor = graph.node("Reshape", layer, [tensor, flat], "flattened")
    # Of equal numbers Caffe takes the last one, TopK the first: it is given them from the end.
    ends = (("from", [-1]), ("to", [-size - 1]), ("along", [axis]), ("step", [-1]))
    bounds = [graph.constant(layer, name, value, np.int64) for name, value in ends]
    tensor = graph.node("Slice", layer, [tensor, *bounds], "reversed")
    count = graph.constant(layer, "count", [param.top_k], np.int64)
    values, places = graph.pair("TopK", layer, [tensor, count], axis=axis)
    last = graph.constant(layer, "last", [size - 1], np.int64)
    indices = graph.node("Sub", layer, [last, places], "indices")
    if param.out_max_val and param.HasField("axis"):
        graph.node("Identity", layer, [values])
    elif param.out_max_val:
        numbers = _cast(graph, layer, indices, FLOAT, "numbers")
        graph.node("Concat", layer, [numbers, values], axis=1)
    else:
        graph.node("Cast", layer, [indices], to=FLOAT)


def _loss_shapes(layer: Layer, bottoms: list[Shape]) -> Shapes:
    _need_labels(bottoms, layer.message.softmax_param.axis)
    return [()], ()


def _accuracy_shapes(layer: Layer, bottoms: list[Shape]) -> Shapes:
    param = layer.message.accuracy_param
    _need_labels(bottoms, param.axis)
    if param.top_k > bottoms[0][1]:
        raise ShapeError(f"top_k {param.top_k} of {bottoms[0][1]} classes")
    return [()], ()


def _need_labels(bottoms: list[Shape], axis: int) -> None:
    scores, labels = bottoms
    if axis != 1 or len(scores) < 2:
        raise ShapeError(f"axis {axis} of a blob of shape {scores} is not supported; 1 is")
    if math.prod(labels) * scores[1] != math.prod(scores):
        raise ShapeError(f"labels of shape {labels} for scores of shape {scores}")


def _write_softmax_with_loss(graph: Graph, run: LayerRun) -> None:
    layer, labels = run.layer, _column(graph, run)
    shares = graph.node("Softmax", layer, run.inputs[:1], "shares", axis=1)
    least = graph.constant(layer, "least", LEAST_PROBABILITY)
    chosen = graph.node("Max", layer, [_of_label(graph, run, shares, labels), least], "chosen")
    losses = graph.node("Log", layer, [chosen], "logarithms")
    param, mode = layer.message.loss_param, _normalization(layer.message.loss_param)
    count = math.prod(run.bottoms[1])
    divisors = {"FULL": count, "VALID": count, "BATCH_SIZE": run.bottoms[0][0], "NONE": 1}
    divisor = graph.constant(layer, "divisor", float(-divisors[mode]))
    if param.HasField("ignore_label"):
        losses, valid = _counted(graph, layer, losses, labels, param.ignore_label)
        if mode == "VALID":
            divisor = graph.node("Neg", layer, [valid], "valid divisor")
    total = graph.node("ReduceSum", layer, [losses], "total", keepdims=0)
    graph.node("Div", layer, [total, divisor])


def _normalization(param: Any) -> str:
    """Return which of Caffe's divisors a loss has; its older field is a flag."""
    if param.HasField("normalize") and not param.HasField("normalization"):
        return "VALID" if param.normalize else "BATCH_SIZE"
    return str(param.NormalizationMode.Name(param.normalization))


def _write_accuracy(graph: Graph, run: LayerRun) -> None:
    layer, param = run.layer, run.layer.message.accuracy_param
    labels = _column(graph, run)
    true = _of_label(graph, run, run.inputs[0], labels)
    # An equal score of another class counts as a better one; the class's own is among them.
    better = graph.node("GreaterOrEqual", layer, [run.inputs[0], true], "better")
    numbers = _cast(graph, layer, better, FLOAT, "numbers")
    axis = graph.constant(layer, "axis", [1], np.int64)
    ranks = graph.node("ReduceSum", layer, [numbers, axis], "ranks")
    last = graph.constant(layer, "last", float(param.top_k))
    hits = graph.node("LessOrEqual", layer, [ranks, last], "hits")
    correct = _cast(graph, layer, hits, FLOAT, "correct")
    divisor = graph.constant(layer, "divisor", float(math.prod(run.bottoms[1])))
    if param.HasField("ignore_label"):
        correct, divisor = _counted(graph, layer, correct, labels, param.ignore_label)
    total = graph.node("ReduceSum", layer, [correct], "total", keepdims=0)
    graph.node("Div", layer, [total, divisor])


def _euclidean_loss_shapes(layer: Layer, bottoms: list[Shape]) -> Shapes:
    first, second = bottoms
    if not first or not second:
        raise ShapeError("its bottom is a single number without axes")
    if first[:1] != second[:1] or math.prod(first) != math.prod(second):
        raise ShapeError(f"its bottoms have different shapes: {bottoms}")
    return [()], ()


def _write_euclidean_loss(graph: Graph, run: LayerRun) -> None:
    layer = run.layer
    flat = [graph.node("Flatten", layer, [one], f"flat{i}") for i, one in enumerate(run.inputs)]
    differences = graph.node("Sub", layer, flat, "differences")
    squares = graph.node("Mul", layer, [differences] * 2, "squares")
    total = graph.node("ReduceSum", layer, [squares], "total", keepdims=0)
    graph.node("Div", layer, [total, graph.constant(layer, "divisor", 2.0 * run.bottoms[0][0])])


def _column(graph: Graph, run: LayerRun) -> str:
    """Lay labels along an axis of classes of length one."""
    scores = run.bottoms[0]
    shape = graph.constant(run.layer, "column", [scores[0], 1, *scores[2:]], np.int64)
    return graph.node("Reshape", run.layer, [run.inputs[1], shape], "labels")


def _of_label(graph: Graph, run: LayerRun, scores: str, labels: str) -> str:
    """Take the number of each label's class; labels that are no class get any."""
    layer = run.layer
    limits = (("Max", "first class", 0.0), ("Min", "last class", float(run.bottoms[0][1] - 1)))
    for operator, name, limit in limits:
        labels = graph.node(operator, layer, [labels, graph.constant(layer, name, limit)], operator)
    indices = _cast(graph, layer, labels, _INT64, "indices")
    return graph.node("GatherElements", layer, [scores, indices], "of the label", axis=1)


def _counted(graph: Graph, layer: Layer, values: str, labels: str, ignored: int) -> tuple[str, str]:
    """Set the values of ignored labels to zero, and count the other ones, at least one."""
    constant = graph.constant(layer, "ignored", float(ignored))
    equal = graph.node("Equal", layer, [labels, constant], "equal")
    other = graph.node("Not", layer, [equal], "other")
    counts = _cast(graph, layer, other, FLOAT, "counts")
    count = graph.node("ReduceSum", layer, [counts], "count", keepdims=0)
    least = graph.constant(layer, "at least", 1.0)
    counted = graph.node("Mul", layer, [values, counts], "counted")
    return counted, graph.node("Max", layer, [count, least], "counted ones")


def _cast(graph: Graph, layer: Layer, tensor: str, kind: int, step: str) -> str:
    return graph.node("Cast", layer, [tensor], step, to=kind)


def _silence_shapes(layer: Layer, bottoms: list[Shape]) -> Shapes:
    return [], ()


def _write_nothing(graph: Graph, run: LayerRun) -> None:
    """Silence only reads."""


TYPES: Mapping[str, LayerType] = {
    "Accuracy": LayerType(_accuracy_shapes, _write_accuracy, bottoms=(2, 2)),
    "ArgMax": LayerType(_argmax_shapes, _write_argmax),
    "EuclideanLoss": LayerType(_euclidean_loss_shapes, _write_euclidean_loss, bottoms=(2, 2)),
    "Silence": LayerType(_silence_shapes, _write_nothing, bottoms=(1, math.inf)),
    "SoftmaxWithLoss": LayerType(_loss_shapes, _write_softmax_with_loss, bottoms=(2, 2)),
}
