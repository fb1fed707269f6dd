"""Layers that work number by number, alike or channel by channel."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from cam.caffe.layers import (
    Graph,
    Layer,
    LayerRun,
    LayerType,
    Shape,
    ShapeError,
    Shapes,
    UnsupportedError,
    chain,
    spread,
    unchanged,
    weights_along,
)


def _write_as(operator: str) -> Callable[[Graph, LayerRun], None]:
    def write(graph: Graph, run: LayerRun) -> None:
        graph.node(operator, run.layer, run.inputs)

    return write


def _write_relu(graph: Graph, run: LayerRun) -> None:
    slope = run.layer.message.relu_param.negative_slope
    if slope:
        graph.node("LeakyRelu", run.layer, run.inputs, alpha=slope)
    else:
        graph.node("Relu", run.layer, run.inputs)


def _prelu_shapes(layer: Layer, bottoms: list[Shape]) -> Shapes:
    shared = layer.message.prelu_param.channel_shared
    if len(bottoms[0]) < 2:
        raise ShapeError(f"its bottom has the shape {bottoms[0]}, without channels")
    return [bottoms[0]], (() if shared else (bottoms[0][1],),)


def _write_prelu(graph: Graph, run: LayerRun) -> None:
    slope = spread(run.weights[0], 1, run.bottoms[0])
    graph.node("PRelu", run.layer, [*run.inputs, graph.constant(run.layer, "slope", slope)])


def _write_elu(graph: Graph, run: LayerRun) -> None:
    graph.node("Elu", run.layer, run.inputs, alpha=run.layer.message.elu_param.alpha)


def _write_power(graph: Graph, run: LayerRun) -> None:
    param = run.layer.message.power_param
    steps = [
        (operator, name, value)
        for operator, name, value, neutral in (
            ("Mul", "scale", param.scale, 1),
            ("Add", "shift", param.shift, 0),
            ("Pow", "power", param.power, 1),
        )
        if value != neutral
    ]
    chain(graph, run.layer, run.inputs[0], steps)


def _batch_norm_shapes(layer: Layer, bottoms: list[Shape]) -> Shapes:
    channels = bottoms[0][1] if len(bottoms[0]) > 1 else 1
    return [bottoms[0]], ((channels,), (channels,), (1,))


def _write_batch_norm(graph: Graph, run: LayerRun) -> None:
    param = run.layer.message.batch_norm_param
    if param.HasField("use_global_stats") and not param.use_global_stats:
        raise UnsupportedError("use_global_stats: false is not supported at test time")
    mean, variance, count = (np.asarray(blob, np.float64) for blob in run.weights)
    # Caffe stores sums of the running mean and variance beside the factor to divide them by.
    factor = 1 / count[0] if count[0] else 0.0
    scale = 1 / np.sqrt(variance * factor + param.eps)
    steps = [
        ("Mul", "scale", spread(scale, 1, run.bottoms[0])),
        ("Add", "shift", spread(-mean * factor * scale, 1, run.bottoms[0])),
    ]
    chain(graph, run.layer, run.inputs[0], steps)


def _scale_shapes(layer: Layer, bottoms: list[Shape]) -> Shapes:
    param = layer.message.scale_param
    weights = weights_along(param, bottoms[0])
    return [bottoms[0]], (weights, weights) if param.bias_term else (weights,)


def _write_scale(graph: Graph, run: LayerRun) -> None:
    axis = run.layer.message.scale_param.axis
    steps = [
        (operator, name, spread(blob, axis, run.bottoms[0]))
        for operator, name, blob in zip(
            ("Mul", "Add"), ("scale", "bias"), run.weights, strict=False
        )
    ]
    chain(graph, run.layer, run.inputs[0], steps)


def _bias_shapes(layer: Layer, bottoms: list[Shape]) -> Shapes:
    return [bottoms[0]], (weights_along(layer.message.bias_param, bottoms[0]),)


def _write_bias(graph: Graph, run: LayerRun) -> None:
    axis = run.layer.message.bias_param.axis
    chain(
        graph,
        run.layer,
        run.inputs[0],
        [("Add", "bias", spread(run.weights[0], axis, run.bottoms[0]))],
    )


def _eltwise_shapes(layer: Layer, bottoms: list[Shape]) -> Shapes:
    if len(set(bottoms)) > 1:
        raise ShapeError(f"its bottoms have different shapes: {bottoms}")
    param = layer.message.eltwise_param
    if param.coeff and len(param.coeff) != len(bottoms):
        raise ShapeError(f"{len(param.coeff)} coefficients for {len(bottoms)} bottoms")
    if param.coeff and param.EltwiseOp.Name(param.operation) == "PROD":
        raise ShapeError("coefficients go with a sum, not with a product")
    return [bottoms[0]], ()


def _write_eltwise(graph: Graph, run: LayerRun) -> None:
    inputs = run.inputs
    param = run.layer.message.eltwise_param
    operation = param.EltwiseOp.Name(param.operation)
    if operation == "SUM":
        inputs = [
            graph.node(
                "Mul",
                run.layer,
                [name, graph.constant(run.layer, f"coeff{i}", factor)],
                f"scaled{i}",
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
        result = graph.node(operator, run.layer, [result, other], f"partial{i}")
    if inputs[1:]:
        graph.node(operator, run.layer, [result, inputs[-1]])
    else:
        graph.node("Identity", run.layer, inputs)


TYPES: Mapping[str, LayerType] = {
    "AbsVal": LayerType(unchanged, _write_as("Abs")),
    "BatchNorm": LayerType(_batch_norm_shapes, _write_batch_norm, in_place=True),
    "Bias": LayerType(_bias_shapes, _write_bias, in_place=True),
    "ELU": LayerType(unchanged, _write_elu, in_place=True),
    "Eltwise": LayerType(_eltwise_shapes, _write_eltwise, bottoms=(2, math.inf)),
    "PReLU": LayerType(_prelu_shapes, _write_prelu, in_place=True),
    "Power": LayerType(unchanged, _write_power, in_place=True),
    "ReLU": LayerType(unchanged, _write_relu, in_place=True),
    "Scale": LayerType(_scale_shapes, _write_scale, in_place=True),
    "Sigmoid": LayerType(unchanged, _write_as("Sigmoid"), in_place=True),
    "TanH": LayerType(unchanged, _write_as("Tanh"), in_place=True),
}
