"""A Caffe network as data: its layers in order, its blobs and its weights.

Files that do not fit together are found here, before anything runs.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cam.caffe.caffemodel import Blobs, CaffeModel, read_caffemodel
from cam.caffe.layer_types import LAYER_TYPES, layer_shapes
from cam.caffe.layers import Layer, Shape, ShapeError
from cam.caffe.prototxt import parse_prototxt, read_prototxt, upgraded
from cam.errors import CamError, nearest_names
from cam.files import PathLike

MAX_BLOB_NUMBERS = 2**31 - 1
"""Caffe's limit on the numbers in one blob (``INT_MAX``)."""


@dataclass(frozen=True)
class Network:
    """A network: its inputs, the layers of one phase and the shapes of all blobs.

    Attributes
    ----------
    name : str
        As the prototxt says.
    source : str
        The file that it comes from, for messages.
    inputs : tuple of str
        The blobs that are given to it; a deploy network has one, which takes the picture.
    layers : tuple of Layer
        In the order in which they run; input layers are not among them.
    blob_shapes : dict of str to tuple of int
        (N, C, H, W) or (N, C) of each blob, N being what the prototxt says.
    weight_shapes : dict of str to tuple of tuple of int
        The shapes of each layer's weights, for the layers that have any.
    message : protobuf message
        The ``NetParameter`` as it was read, in its own style.
    overwritten : dict of str to str
        Blobs that do not keep what was written to them, since another blob in the same memory is
        changed in place, and the layer that does so.
    """

    name: str
    source: str
    inputs: tuple[str, ...]
    layers: tuple[Layer, ...]
    blob_shapes: Mapping[str, Shape]
    weight_shapes: Mapping[str, tuple[Shape, ...]]
    message: Any = field(repr=False)
    overwritten: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the layers with all their parameters, and of the input's shape."""
        sha256 = hashlib.sha256(repr((self.input_name, self.input_shape[1:])).encode())
        for layer in self.layers:
            serialized = layer.message.SerializeToString(deterministic=True)
            sha256.update(len(serialized).to_bytes(8, "big") + serialized)
        return sha256.hexdigest()

    @property
    def input_name(self) -> str:
        """The blob that takes the picture."""
        return self.inputs[0]

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


def load_network(prototxt: PathLike) -> Network:
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
    """Build a network from the text of a prototxt.

    Parameters
    ----------
    text : str
        The text.

    Returns
    -------
    Network
        As `load_network` returns it.

    Raises
    ------
    CamError
        If the text does not describe a network with one picture as its input.
    """
    return build_network(parse_prototxt(text), "prototxt")


def load_weights(network: Network, caffemodel: PathLike) -> dict[str, Blobs]:
    """Read a caffemodel and check that it fits a network.

    Parameters
    ----------
    network : Network
        The network.
    caffemodel : path-like
        The file. It must not be changed while the arrays are in use.

    Returns
    -------
    dict of str to tuple of numpy.ndarray
        As `fit_weights` returns them: views of the mapped file.

    Raises
    ------
    CamError
        If the file cannot be read, or does not fit the network.
    """
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
    layers = selected_layers(net, source)
    inputs = _inputs(net, layers)
    if len(inputs) != 1:
        found = f"{len(inputs)} inputs" if inputs else "no input (it may be a training network)"
        raise CamError(f"{source}: {found}; a deploy network takes one picture")
    ((input_name, input_shape),) = inputs.items()
    if len(input_shape) != 4 or min(input_shape) < 1:
        raise CamError(f"{source}: input {input_name!r} has shape {input_shape}, not (N, C, H, W)")
    running = [layer for layer in layers if layer.type != "Input"]
    return connect_layers(net, source, running, inputs)


def selected_layers(net: Any, source: str, phase: str = "TEST") -> list[Layer]:
    """Return the layers of a network that run in a phase.

    Parameters
    ----------
    net : protobuf message
        A ``NetParameter`` in either style. The level and stages of its ``state`` are heeded.
    source : str
        Where it comes from, for messages.
    phase : {"TEST", "TRAIN"}, optional
        The phase, whatever the ``state`` says.

    Returns
    -------
    list of Layer
        In their order, input layers among them.

    Raises
    ------
    CamError
        If it has layers in both styles.
    """
    if net.layer and net.layers:
        raise CamError(f"{source}: both layer {{ }} and layers {{ }}; Caffe would read one of them")
    messages = upgraded(net).layer
    return [_layer(message) for message in messages if _is_included(message, net.state, phase)]


def connect_layers(
    net: Any, source: str, layers: Iterable[Layer], inputs: Mapping[str, Shape]
) -> Network:
    """Connect layers to a network and work out its shapes.

    Parameters
    ----------
    net : protobuf message
        The ``NetParameter`` that they come from.
    source : str
        Where it comes from, for messages.
    layers : iterable of Layer
        Layers that run, in their order.
    inputs : mapping of str to tuple of int
        The shape of each blob that is given to them.

    Returns
    -------
    Network
        The network.

    Raises
    ------
    CamError
        As for `build_network`, but for the number and shape of inputs.
    """
    running = tuple(layers)
    shapes: dict[str, Shape] = dict(inputs)
    weight_shapes: dict[str, tuple[Shape, ...]] = {}
    read: set[str] = set()
    memory = _SharedMemory(inputs)
    for layer in running:
        try:
            _check_finite(layer.message)
            bottoms = [_bottom_shape(shapes, blob) for blob in layer.bottoms]
            memory.check_unchanged(layer.bottoms)
            tops, weights = layer_shapes(layer, bottoms)
            _check_tops(layer, tops, shapes, read)
            memory.run(layer)
            if weights and layer.name in weight_shapes:
                raise ShapeError("another layer with weights has this name")
        except ShapeError as error:
            raise CamError(f"{source}: {layer}: {error}") from error
        shapes.update(zip(layer.tops, tops, strict=True))
        read.update(layer.bottoms)
        read.difference_update(layer.tops)
        if weights:
            weight_shapes[layer.name] = weights
    return Network(
        net.name, source, tuple(inputs), running, shapes, weight_shapes, net, memory.overwritten
    )


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
        weights[name] = fit_blobs(name, shapes, model.blobs[name], source, network.source)
    return weights


def fit_blobs(
    name: str, shapes: Sequence[Shape], blobs: Blobs, source: str, network_source: str
) -> Blobs:
    """Return the blobs of one layer in the shapes that a network asks for.

    Parameters
    ----------
    name : str
        The layer's name.
    shapes : sequence of tuple of int
        What the network asks for.
    blobs : tuple of numpy.ndarray
        What a caffemodel has.
    source, network_source : str
        The files of the two, for messages.

    Raises
    ------
    CamError
        If their number differs, or a shape does by more than leading ones.
    """
    if len(blobs) != len(shapes):
        raise CamError(
            f"{source}: layer {name!r} has {len(blobs)} blobs; "
            f"{network_source} asks for {len(shapes)}"
        )
    for blob, shape in zip(blobs, shapes, strict=True):
        as_legacy = (1,) * (4 - len(shape)) + shape
        if blob.shape not in (shape, as_legacy):
            raise CamError(
                f"{source}: layer {name!r} has a blob of shape {blob.shape}; "
                f"{network_source} asks for {shape}"
            )
    return tuple(blob.reshape(shape) for blob, shape in zip(blobs, shapes, strict=True))


class _SharedMemory:
    """Which blobs lie in the same memory in Caffe, and which of them an in-place layer spoils.

    Caffe's Split, Flatten, Reshape, a Concat of one blob and a Slice into one copy nothing. A layer
    that then runs in place on one of these blobs changes all of them, which no graph of values can
    express.
    """

    def __init__(self, inputs: Iterable[str]) -> None:
        self._first = {name: name for name in inputs}
        self.overwritten: dict[str, str] = {}

    def check_unchanged(self, bottoms: Iterable[str]) -> None:
        for blob in bottoms:
            if blob in self.overwritten:
                raise ShapeError(
                    f"its bottom {blob!r} lies in the memory that layer "
                    f"{self.overwritten[blob]!r} changes in place; let that layer write a blob of "
                    "its own"
                )

    def run(self, layer: Layer) -> None:
        kind, one_top = LAYER_TYPES[layer.type], len(layer.tops) == 1
        shares = kind.shares_memory and len(layer.bottoms) == 1 and (one_top or kind.is_identity)
        for top in layer.tops:
            if top in layer.bottoms:
                self._change(top, layer)
            else:
                self._first[top] = self._first[layer.bottoms[0]] if shares else top

    def _change(self, blob: str, layer: Layer) -> None:
        if not LAYER_TYPES[layer.type].is_identity:
            first = self._first[blob]
            for other, memory in self._first.items():
                if memory == first and other != blob:
                    self.overwritten.setdefault(other, layer.name)


def _layer(message: Any) -> Layer:
    return Layer(message.name, message.type, tuple(message.bottom), tuple(message.top), message)


def _is_included(message: Any, state: Any, phase: str) -> bool:
    if message.include:
        return any(_rule_holds(rule, state, phase) for rule in message.include)
    return not any(_rule_holds(rule, state, phase) for rule in message.exclude)


def _rule_holds(rule: Any, state: Any, phase: str) -> bool:
    phases = rule.DESCRIPTOR.fields_by_name["phase"].enum_type.values_by_name
    return (
        (not rule.HasField("phase") or rule.phase == phases[phase].number)
        and (not rule.HasField("min_level") or rule.min_level <= state.level)
        and (not rule.HasField("max_level") or rule.max_level >= state.level)
        and set(rule.stage) <= set(state.stage)
        and not set(rule.not_stage) & set(state.stage)
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


def _check_finite(message: Any) -> None:
    """Refuse parameters that are no numbers, which Caffe takes and makes NaN of everything."""
    for described, value in message.ListFields():
        is_list = isinstance(value, Sequence) and not isinstance(value, (str, bytes))
        for each in value if is_list else [value]:
            if isinstance(each, float) and not math.isfinite(each):
                raise ShapeError(f"its {described.name} is {each}, not a finite number")
            if hasattr(each, "ListFields"):
                _check_finite(each)


def _bottom_shape(shapes: Mapping[str, Shape], blob: str) -> Shape:
    if blob not in shapes:
        raise ShapeError(
            f"nothing before it writes its bottom {blob!r}{nearest_names(blob, shapes)}"
        )
    return shapes[blob]


def _check_tops(
    layer: Layer, tops: list[Shape], shapes: Mapping[str, Shape], read: Collection[str]
) -> None:
    if len(tops) != len(layer.tops):
        raise ShapeError(f"{len(layer.tops)} tops where {len(tops)} are expected")
    for name, shape in zip(layer.tops, tops, strict=True):
        if name in layer.bottoms:
            if not LAYER_TYPES[layer.type].in_place:
                raise ShapeError("this type cannot run in place")
            if name in read:
                raise ShapeError(f"it changes {name!r} in place, which another layer reads")
        elif name in shapes:
            raise ShapeError(f"its top {name!r} is written by an earlier layer")
        if min(shape, default=1) < 1 or math.prod(shape) > MAX_BLOB_NUMBERS:
            raise ShapeError(f"its top {name!r} would have the shape {shape}")
