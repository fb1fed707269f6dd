"""Layers that work number by number, alike or channel by channel."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from cam.caffe import layers
from cam.caffe.layers import Graph, Layer, LayerRun, LayerType, Shape, ShapeError, Shapes


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
    slope = layers.spread(run.weights[0], 1, run.bottoms[0])
    graph.node("PRelu", run.layer, [*run.inputs, graph.constant(run.layer, "slope", slope)])


def _write_elu(graph: Graph, run: LayerRun) -> None:
    graph.node("Elu", run.layer, run.inputs, alpha=run.layer.message.elu_param.alpha)


def _write_power(graph: Graph, run: LayerRun) -> None:
    param = run.layer.message.power_param
    table = (
        ("Mul", "scale", param.scale, 1),
        ("Add", "shift", param.shift, 0),
        ("Pow", "power", param.power, 1),
    )
    steps = [(operator, name, value) for operator, name, value, none in table if value != none]
    layers.chain(graph, run, steps)


def _write_exp(graph: Graph, run: LayerRun) -> None:
    param = run.layer.message.exp_param
    # base^(shift + scale · x), the base being e where it is not given.
    logarithm = 1.0 if param.base == -1 else math.log(param.base)
    inner = [("Mul", "scale", param.scale * logarithm), ("Add", "shift", param.shift * logarithm)]
    graph.node("Exp", run.layer, [layers.steps(graph, run.layer, run.inputs[0], inner)])


def _write_log(graph: Graph, run: LayerRun) -> None:
    param = run.layer.message.log_param
    inner = [("Mul", "scale", param.scale), ("Add", "shift", param.shift)]
    tensor = layers.steps(graph, run.layer, run.inputs[0], inner)
    natural = graph.node("Log", run.layer, [tensor], "natural")
    factor = 1.0 if param.base == -1 else 1 / math.log(param.base)
    layers.chain(graph, run, [("Mul", "base", factor)], natural)


def _write_threshold(graph: Graph, run: LayerRun) -> None:
    limit = graph.constant(run.layer, "limit", run.layer.message.threshold_param.threshold)
    above = graph.node("Greater", run.layer, [run.inputs[0], limit], "above")
    graph.node("Cast", run.layer, [above], to=layers.FLOAT)


def _write_clip(graph: Graph, run: LayerRun) -> None:
    param = run.layer.message.clip_param
    if not (param.HasField("min") and param.HasField("max")):
        raise layers.UnsupportedError("its clip_param needs both min and max")
    layers.chain(graph, run, [("Max", "min", param.min), ("Min", "max", param.max)])


def _batch_norm_shapes(layer: Layer, bottoms: list[Shape]) -> Shapes:
    if not bottoms[0]:
        raise ShapeError("its bottom is a single number without axes")
    channels = bottoms[0][1] if len(bottoms[0]) > 1 else 1
    return [bottoms[0]], ((channels,), (channels,), (1,))


def _write_batch_norm(graph: Graph, run: LayerRun) -> None:
    param = run.layer.message.batch_norm_param
    if param.HasField("use_global_stats") and not param.use_global_stats:
        raise layers.UnsupportedError("use_global_stats: false is not supported at test time")
    mean, variance, count = (np.asarray(blob, np.float64) for blob in run.weights)
    # Caffe stores sums of the running mean and variance beside the factor to divide them by.
    factor = 1 / count[0] if count[0] else 0.0
    scale = 1 / np.sqrt(variance * factor + param.eps)
    steps = [
        ("Mul", "scale", layers.spread(scale, 1, run.bottoms[0])),
        ("Add", "shift", layers.spread(-mean * factor * scale, 1, run.bottoms[0])),
    ]
    layers.chain(graph, run, steps)


def _scale_shapes(layer: Layer, bottoms: list[Shape]) -> Shapes:
    param = layer.message.scale_param
    weights = layers.weights_along(param, bottoms[0])
    return [bottoms[0]], (weights, weights) if param.bias_term else (weights,)


def _write_scale(graph: Graph, run: LayerRun) -> None:
    axis = run.layer.message.scale_param.axis
    factors = [layers.spread(blob, axis, run.bottoms[0]) for blob in run.weights]
    named = zip(("Mul", "Add"), ("scale", "bias"), factors, strict=False)
    layers.chain(graph, run, list(named))


def _bias_shapes(layer: Layer, bottoms: list[Shape]) -> Shapes:
    return [bottoms[0]], (layers.weights_along(layer.message.bias_param, bottoms[0]),)


def _write_bias(graph: Graph, run: LayerRun) -> None:
    axis = run.layer.message.bias_param.axis
    layers.chain(graph, run, [("Add", "bias", layers.spread(run.weights[0], axis, run.bottoms[0]))])


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
        inputs = [*inputs]
        for i, factor in enumerate(param.coeff):
            if factor != 1:
                scaled = [inputs[i], graph.constant(run.layer, f"coeff{i}", factor)]
                inputs[i] = graph.node("Mul", run.layer, scaled, f"scaled{i}")
    operator = {"SUM": "Add", "PROD": "Mul", "MAX": "Max"}[operation]
    result = inputs[0]
    for i, other in enumerate(inputs[1:-1]):
        result = graph.node(operator, run.layer, [result, other], f"partial{i}")
    if inputs[1:]:
        graph.node(operator, run.layer, [result, inputs[-1]])
    else:
        graph.node("Identity", run.layer, inputs)


TYPES: Mapping[str, LayerType] = {
    "AbsVal": LayerType(layers.unchanged, _write_as("Abs")),
    "BNLL": LayerType(layers.unchanged, _write_as("Softplus")),
    "BatchNorm": LayerType(_batch_norm_shapes, _write_batch_norm, in_place=True),
    "Bias": LayerType(_bias_shapes, _write_bias, in_place=True),
    "Clip": LayerType(layers.unchanged, _write_clip),
    "ELU": LayerType(layers.unchanged, _write_elu, in_place=True),
    "Eltwise": LayerType(_eltwise_shapes, _write_eltwise, bottoms=(2, math.inf)),
    "Exp": LayerType(layers.unchanged, _write_exp, in_place=True),
    "Log": LayerType(layers.unchanged, _write_log),
    "PReLU": LayerType(_prelu_shapes, _write_prelu, in_place=True),
    "Power": LayerType(layers.unchanged, _write_power, in_place=True),
    "ReLU": LayerType(layers.unchanged, _write_relu, in_place=True),
    "Scale": LayerType(_scale_shapes, _write_scale, in_place=True),
    "Sigmoid": LayerType(layers.unchanged, _write_as("Sigmoid"), in_place=True),
    "TanH": LayerType(layers.unchanged, _write_as("Tanh"), in_place=True),
    "Threshold": LayerType(layers.unchanged, _write_threshold),
}
