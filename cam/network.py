"""A Caffe network as data: its layers, the shapes of its blobs and weights, and its CAM head.

Shapes follow Caffe's rules (``Reshape`` of each layer), so that files that do not fit together are
found before anything runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from cam.caffenet import Blobs, CaffeModel, parse_prototxt, read_caffemodel, read_prototxt, upgraded
from cam.errors import CamError, nearest_names

__all__ = [
    "Head",
    "Layer",
    "Network",
    "PoolingGeometry",
    "SpatialGeometry",
    "build_network",
    "convolution_geometry",
    "find_head",
    "fit_weights",
    "load_network",
    "load_weights",
    "parse_network",
    "pooling_geometry",
]

Shape = tuple[int, ...]

MAX_BLOB_NUMBERS = 2**31 - 1
"""Caffe's limit on the numbers in one blob (``INT_MAX``)."""


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


@dataclass(frozen=True)
class Network:
    """A deploy network: one input, the layers of its test phase and the shapes of all blobs.

    Attributes
    ----------
    name : str
        As the prototxt says.
    source : str
        The file that it comes from, for messages.
    input_name : str
        The blob that takes the picture.
    layers : tuple of Layer
        In the order in which they run; input layers are not among them.
    blob_shapes : dict of str to tuple of int
        (N, C, H, W) or (N, C) of each blob, N being what the prototxt says.
    weight_shapes : dict of str to tuple of tuple of int
        The shapes of each layer's weights, for the layers that have any.
    """

    name: str
    source: str
    input_name: str
    layers: tuple[Layer, ...]
    blob_shapes: Mapping[str, Shape]
    weight_shapes: Mapping[str, tuple[Shape, ...]]

    @property
    def input_shape(self) -> Shape:
        """Shape (N, C, H, W) of the input as the prototxt says it."""
        return self.blob_shapes[self.input_name]

    def layer(self, name: str) -> Layer:
        """Return the layer of that name.

        Raises
        ------
        CamError
            If there is none; the message gives the nearest names.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        names = [layer.name for layer in self.layers]
        raise CamError(f"{self.source}: no layer {name!r}{nearest_names(name, names)}")


@dataclass(frozen=True)
class Head:
    """Where a network's class activation maps come from.

    Attributes
    ----------
    last_conv : str
        The blob that the global pooling reads: (N, K, h, w), after any in-place activation.
    class_layer : str
        The inner product behind that pooling; its weights are (C, K).
    scores : str
        The blob with the class probabilities, (N, C).
    """

    last_conv: str
    class_layer: str
    scores: str


def load_network(prototxt: Any) -> Network:
    """Read a deploy prototxt and work out its blobs.

    Parameters
    ----------
    prototxt : path-like
        The file.

    Returns
    -------
    Network
        The network of the test phase.

    Raises
    ------
    CamError
        If the file cannot be read or does not describe a network with one picture as its input.
    """
    return build_network(read_prototxt(prototxt), str(prototxt))


def parse_network(text: str) -> Network:
    """Build a network from the text of a prototxt; see `load_network`."""
    return build_network(parse_prototxt(text), "prototxt")


def load_weights(network: Network, caffemodel: Any) -> dict[str, Blobs]:
    """Read a caffemodel and check that it fits a network; see `fit_weights`."""
    return fit_weights(network, read_caffemodel(caffemodel), str(caffemodel))


def build_network(net: Any, source: str) -> Network:
    """Work out the layers and shapes of a network.

    Parameters
    ----------
    net : protobuf message
        A ``NetParameter`` in either style.
    source : str
        Where it comes from, for messages.

    Returns
    -------
    Network
        The layers of the test phase.

    Raises
    ------
    CamError
        If the network has no or several inputs, a layer of a type or with parameters that are not
        known, a bottom that nothing produces, or shapes that do not fit; the message names the
        layer.
    """
    if net.layer and net.layers:
        raise CamError(f"{source}: both layer {{ }} and layers {{ }}; Caffe would read one of them")
    layers = [_layer(message) for message in upgraded(net).layer if _in_test_phase(message)]
    inputs = _inputs(net, layers)
    if len(inputs) != 1:
        found = f"{len(inputs)} inputs" if inputs else "no input (it may be a training network)"
        raise CamError(f"{source}: {found}; a deploy network takes one picture")
    ((input_name, input_shape),) = inputs.items()
    if len(input_shape) != 4 or min(input_shape) < 1:
        raise CamError(f"{source}: input {input_name!r} has shape {input_shape}, not (N, C, H, W)")
    running = tuple(layer for layer in layers if layer.type != "Input")
    shapes: dict[str, Shape] = {input_name: input_shape}
    weight_shapes: dict[str, tuple[Shape, ...]] = {}
    read: set[str] = set()
    for layer in running:
        try:
            bottoms = [_bottom_shape(shapes, blob) for blob in layer.bottoms]
            tops, weights = _layer_shapes(layer, bottoms)
            _check_tops(layer, tops, shapes, read)
            if weights and layer.name in weight_shapes:
                raise _ShapeError("another layer with weights has this name")
        except _ShapeError as error:
            raise CamError(f"{source}: {layer}: {error}") from error
        shapes.update(zip(layer.tops, tops, strict=True))
        read.update(layer.bottoms)
        read.difference_update(layer.tops)
        if weights:
            weight_shapes[layer.name] = weights
    return Network(net.name, source, input_name, running, shapes, weight_shapes)


def fit_weights(network: Network, model: CaffeModel, source: str) -> dict[str, Blobs]:
    """Return the weights of each layer of a network, in the shapes that it asks for.

    As in Caffe, layers of the caffemodel that the network does not have are passed over, and a
    legacy 4-D blob fits a shape that it equals but for leading ones. Unlike in Caffe, a layer
    without weights in the caffemodel is an error and does not run with random ones.

    Parameters
    ----------
    network : Network
        The network.
    model : CaffeModel
        The caffemodel.
    source : str
        The caffemodel's file, for messages.

    Returns
    -------
    dict of str to tuple of numpy.ndarray
        float32, views of `model`'s arrays, by the layer's name.

    Raises
    ------
    CamError
        If a layer's weights are missing or of another shape.
    """
    weights = {}
    for layer in network.layers:
        if layer.name in model.blobs and layer.name not in network.weight_shapes:
            raise CamError(f"{source}: has weights for {layer} of {network.source}, which has none")
    for name, shapes in network.weight_shapes.items():
        if name not in model.blobs:
            nearest = nearest_names(name, model.blobs)
            raise CamError(f"{source}: no weights for layer {name!r} of {network.source}{nearest}")
        blobs = model.blobs[name]
        if len(blobs) != len(shapes):
            raise CamError(
                f"{source}: layer {name!r} has {len(blobs)} blobs; "
                f"{network.source} asks for {len(shapes)}"
            )
        for blob, shape in zip(blobs, shapes, strict=True):
            as_legacy = (1,) * (4 - len(shape)) + shape
            if blob.shape not in (shape, as_legacy):
                raise CamError(
                    f"{source}: layer {name!r} has a blob of shape {blob.shape}; "
                    f"{network.source} asks for {shape}"
                )
        weights[name] = tuple(b.reshape(s) for b, s in zip(blobs, shapes, strict=True))
    return weights


def find_head(
    network: Network, last_conv: str | None = None, class_layer: str | None = None
) -> Head:
    """Find the blobs of a network that class activation mapping needs.

    CAM (section 2 of the paper) is defined for networks that end in a convolution, a global
    pooling and one inner product: the map of a class is the sum of the convolution's maps weighted
    with the class's row of the inner product. The last such head of the graph is taken.

    Parameters
    ----------
    network : Network
        The network.
    last_conv : str, optional
        The blob (or the layer that writes it) to take instead of the pooling's bottom.
    class_layer : str, optional
        The inner product to take instead of the last one with a global pooling before it.

    Returns
    -------
    Head
        The head.

    Raises
    ------
    CamError
        If a named layer is not there, or the network has no such head.
    """
    producers = {top: layer for layer in network.layers for top in layer.tops}
    if class_layer is None:
        candidates = [layer for layer in network.layers if layer.type == "InnerProduct"]
    else:
        candidates = [network.layer(class_layer)]
    pooled = [(layer, _pooling_before(network, layer)) for layer in candidates]
    heads = [(layer, pooling) for layer, pooling in pooled if pooling is not None]
    if heads:
        layer, pooling = heads[-1]
        blob = pooling.bottoms[0]
    elif class_layer is not None and last_conv is not None:
        layer, blob = candidates[0], ""
    else:
        which = f"layer {class_layer!r}" if class_layer else "any inner product"
        raise CamError(
            f"{network.source}: no global pooling before {which}; a class activation map is the "
            "sum of the last conv's maps with the weights of an inner product behind global "
            "average pooling, so the network needs that head (the paper, section 2)"
        )
    if last_conv is not None:
        blob = _named_blob(network, last_conv)
    if layer.type != "InnerProduct":
        raise CamError(f"{network.source}: {layer} is not an InnerProduct with class weights")
    _check_head(network, blob, layer)
    scores = _softmax_behind(network, layer)
    assert scores in producers
    return Head(blob, layer.name, scores)


def _named_blob(network: Network, name: str) -> str:
    if name in network.blob_shapes:
        return name
    return network.layer(name).tops[0]


def _check_head(network: Network, blob: str, layer: Layer) -> None:
    maps = network.blob_shapes[blob]
    classes, features = network.weight_shapes[layer.name][0]
    if len(maps) != 4:
        raise CamError(f"{network.source}: blob {blob!r} has shape {maps}, not (N, K, h, w)")
    if maps[1] != features or layer.message.inner_product_param.transpose:
        raise CamError(
            f"{network.source}: {layer} has weights of shape ({classes}, {features}); "
            f"CAM needs (C, {maps[1]}), one weight for each map of {blob!r}"
        )


def _pooling_before(network: Network, layer: Layer) -> Layer | None:
    """Return the global pooling that a layer reads, through layers that leave its values alone."""
    position = network.layers.index(layer)
    blob = layer.bottoms[0]
    for earlier in reversed(network.layers[:position]):
        if blob not in earlier.tops:
            continue
        if earlier.type == "Pooling":
            return earlier if network.blob_shapes[blob][2:] == (1, 1) else None
        if earlier.type not in ("Dropout", "Flatten", "Reshape", "Split"):
            return None
        blob = earlier.bottoms[0]
    return None


def _softmax_behind(network: Network, layer: Layer) -> str:
    for later in network.layers:
        if later.type == "Softmax" and later.bottoms[0] == layer.tops[0]:
            return later.tops[0]
    raise CamError(
        f"{network.source}: no Softmax reads {layer.tops[0]!r}; the deploy network must end in one"
    )


def _layer(message: Any) -> Layer:
    return Layer(message.name, message.type, tuple(message.bottom), tuple(message.top), message)


def _in_test_phase(message: Any) -> bool:
    if message.include:
        return any(_rule_holds(rule) for rule in message.include)
    return not any(_rule_holds(rule) for rule in message.exclude)


def _rule_holds(rule: Any) -> bool:
    test_phase = rule.DESCRIPTOR.fields_by_name["phase"].enum_type.values_by_name["TEST"].number
    return (
        (not rule.HasField("phase") or rule.phase == test_phase)
        and (not rule.HasField("min_level") or rule.min_level <= 0)
        and (not rule.HasField("max_level") or rule.max_level >= 0)
        and not rule.stage
    )


def _inputs(net: Any, layers: list[Layer]) -> dict[str, Shape]:
    inputs: dict[str, Shape] = {}
    for index, name in enumerate(net.input):
        if index < len(net.input_shape):
            inputs[name] = tuple(net.input_shape[index].dim)
        else:
            inputs[name] = tuple(net.input_dim[4 * index : 4 * index + 4])
    for layer in layers:
        if layer.type == "Input":
            shapes = [tuple(shape.dim) for shape in layer.message.input_param.shape] or [()]
            for index, top in enumerate(layer.tops):
                inputs[top] = shapes[min(index, len(shapes) - 1)]
    return inputs


class _ShapeError(Exception):
    """Shapes or parameters of one layer do not fit; the caller adds the layer's name."""


def _bottom_shape(shapes: Mapping[str, Shape], blob: str) -> Shape:
    if blob not in shapes:
        raise _ShapeError(
            f"nothing before it writes its bottom {blob!r}{nearest_names(blob, shapes)}"
        )
    return shapes[blob]


def _check_tops(
    layer: Layer, tops: list[Shape], shapes: Mapping[str, Shape], read: Collection[str]
) -> None:
    if len(tops) != len(layer.tops):
        raise _ShapeError(f"{len(layer.tops)} tops where {len(tops)} are expected")
    for name, shape in zip(layer.tops, tops, strict=True):
        if name in layer.bottoms:
            if layer.type not in _IN_PLACE:
                raise _ShapeError("this type cannot run in place")
            if name in read:
                raise _ShapeError(f"it changes {name!r} in place, which another layer reads")
        elif name in shapes:
            raise _ShapeError(f"its top {name!r} is written by an earlier layer")
        if min(shape) < 1 or math.prod(shape) > MAX_BLOB_NUMBERS:
            raise _ShapeError(f"its top {name!r} would have the shape {shape}")


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
                raise _ShapeError(f"{name} is given, and {sides[0]} or {sides[1]} as well")
            return getattr(param, sides[0]), getattr(param, sides[1])
        values = values or [default]
        if len(values) > 2:
            raise _ShapeError(f"{name} has {len(values)} values; two spatial axes are supported")
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
            raise _ShapeError(f"it takes {name}, or both {vertical} and {horizontal}")
        return getattr(param, vertical), getattr(param, horizontal)

    kernel = pair("kernel_size", "kernel_h", "kernel_w")
    stride, pad = pair("stride", "stride_h", "stride_w"), pair("pad", "pad_h", "pad_w")
    if param.global_pooling:
        if kernel != (0, 0) or stride != (1, 1) or pad != (0, 0):
            raise _ShapeError("global_pooling goes with no kernel, stride or pad")
        kernel = (bottom[2], bottom[3])
    if min(kernel) < 1 or min(stride) < 1 or pad[0] >= kernel[0] or pad[1] >= kernel[1]:
        raise _ShapeError(f"kernel {kernel}, stride {stride}, pad {pad} do not make a pooling")
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
                raise _ShapeError("its last windows lie beside the picture and have no average")
        output.append(pooled)
    return PoolingGeometry(kernel, stride, pad, output=(output[0], output[1]))


ShapeRule = Callable[[Layer, list[Shape]], tuple[list[Shape], tuple[Shape, ...]]]


def _layer_shapes(layer: Layer, bottoms: list[Shape]) -> tuple[list[Shape], tuple[Shape, ...]]:
    rule = _SHAPE_RULES.get(layer.type)
    if rule is None:
        known = nearest_names(layer.type, _SHAPE_RULES)
        raise _ShapeError(f"this type cannot be run{known}")
    fewest, most = _BOTTOMS.get(layer.type, (1, 1))
    if not fewest <= len(bottoms) <= most:
        raise _ShapeError(f"{len(bottoms)} bottoms")
    return rule(layer, bottoms)


_BOTTOMS: Mapping[str, tuple[int, float]] = {"Concat": (1, math.inf), "Eltwise": (2, math.inf)}
"""How many bottoms a layer may have, at least and at most, where it is not one."""

_IN_PLACE = frozenset(
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


def _need_spatial(bottom: Shape) -> None:
    if len(bottom) != 4:
        raise _ShapeError(f"its bottom has the shape {bottom}, not (N, C, H, W)")


def _axis(axis: int, shape: Shape) -> int:
    if not -len(shape) <= axis < len(shape):
        raise _ShapeError(f"axis {axis} of a blob of shape {shape}")
    return axis % len(shape)


def _own_axis(axis: int, shape: Shape) -> int:
    """Return an axis of one picture's numbers, and not the one along the batch."""
    found = _axis(axis, shape)
    if found == 0:
        raise _ShapeError(f"axis {axis}, along the batch, is not supported")
    return found


def _unchanged(layer: Layer, bottoms: list[Shape]) -> tuple[list[Shape], tuple[Shape, ...]]:
    return [bottoms[0]], ()


def _split(layer: Layer, bottoms: list[Shape]) -> tuple[list[Shape], tuple[Shape, ...]]:
    return [bottoms[0]] * len(layer.tops), ()


def _lrn(layer: Layer, bottoms: list[Shape]) -> tuple[list[Shape], tuple[Shape, ...]]:
    _need_spatial(bottoms[0])
    if layer.message.lrn_param.local_size % 2 == 0:
        raise _ShapeError(f"local_size {layer.message.lrn_param.local_size}; it must be odd")
    return [bottoms[0]], ()


def _softmax(layer: Layer, bottoms: list[Shape]) -> tuple[list[Shape], tuple[Shape, ...]]:
    _own_axis(layer.message.softmax_param.axis, bottoms[0])
    return [bottoms[0]], ()


def _convolution(layer: Layer, bottoms: list[Shape]) -> tuple[list[Shape], tuple[Shape, ...]]:
    param, bottom = layer.message.convolution_param, bottoms[0]
    _need_spatial(bottom)
    if param.axis != 1:
        raise _ShapeError(f"axis {param.axis}; only 1 is supported")
    geometry = convolution_geometry(layer)
    if not param.num_output or min(geometry.kernel + geometry.stride + geometry.dilation) < 1:
        raise _ShapeError("num_output, kernel_size, stride and dilation must be positive")
    if bottom[1] % max(param.group, 1) or param.num_output % max(param.group, 1):
        raise _ShapeError(
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
        raise _ShapeError("num_output must be positive")
    weights = (inputs, param.num_output) if param.transpose else (param.num_output, inputs)
    bias = ((param.num_output,),) if param.bias_term else ()
    return [(*bottom[:axis], param.num_output)], (weights, *bias)


def _concat(layer: Layer, bottoms: list[Shape]) -> tuple[list[Shape], tuple[Shape, ...]]:
    axis = concat_axis(layer, bottoms[0])
    others = {shape[:axis] + shape[axis + 1 :] for shape in bottoms}
    if len(others) > 1 or len({len(shape) for shape in bottoms}) > 1:
        raise _ShapeError(f"its bottoms have the shapes {bottoms}, which differ off axis {axis}")
    total = sum(shape[axis] for shape in bottoms)
    return [(*bottoms[0][:axis], total, *bottoms[0][axis + 1 :])], ()


def concat_axis(layer: Layer, bottom: Shape) -> int:
    """Return the axis of a Concat layer, whichever of its two fields says it."""
    param = layer.message.concat_param
    if param.HasField("concat_dim") and param.HasField("axis"):
        raise _ShapeError("axis and concat_dim say the same; give one")
    return _own_axis(param.concat_dim if param.HasField("concat_dim") else param.axis, bottom)


def _eltwise(layer: Layer, bottoms: list[Shape]) -> tuple[list[Shape], tuple[Shape, ...]]:
    if len(set(bottoms)) > 1:
        raise _ShapeError(f"its bottoms have different shapes: {bottoms}")
    param = layer.message.eltwise_param
    if param.coeff and len(param.coeff) != len(bottoms):
        raise _ShapeError(f"{len(param.coeff)} coefficients for {len(bottoms)} bottoms")
    if param.coeff and param.EltwiseOp.Name(param.operation) == "PROD":
        raise _ShapeError("coefficients go with a sum, not with a product")
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
        raise _ShapeError(f"{param.num_axes} axes from {axis} on of a blob of shape {bottom}")
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
        raise _ShapeError(f"its bottom has the shape {bottoms[0]}, without channels")
    return [bottoms[0]], (() if shared else (bottoms[0][1],),)


def _flatten(layer: Layer, bottoms: list[Shape]) -> tuple[list[Shape], tuple[Shape, ...]]:
    param, bottom = layer.message.flatten_param, bottoms[0]
    axis, end = _own_axis(param.axis, bottom), _axis(param.end_axis, bottom)
    if end < axis:
        raise _ShapeError(f"axes {axis} to {end}, which is none")
    return [(*bottom[:axis], math.prod(bottom[axis : end + 1]), *bottom[end + 1 :])], ()


def _reshape(layer: Layer, bottoms: list[Shape]) -> tuple[list[Shape], tuple[Shape, ...]]:
    param, bottom = layer.message.reshape_param, bottoms[0]
    if param.axis != 0 or param.num_axes != -1:
        raise _ShapeError("axis and num_axes are not supported")
    shape = [bottom[i] if d == 0 and i < len(bottom) else d for i, d in enumerate(param.shape.dim)]
    if shape.count(-1) == 1:
        known = -math.prod(shape)
        shape[shape.index(-1)] = math.prod(bottom) // known if known else 0
    if math.prod(shape) != math.prod(bottom) or not shape or shape[0] != bottom[0]:
        raise _ShapeError(f"{bottom} cannot become {tuple(param.shape.dim)} picture by picture")
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
