"""A network as pycaffe shows it: the layers of a phase, with Caffe's own Input and Split layers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from cam.caffe.layers import Layer, Shape
from cam.caffe.network import Network, connect_layers, selected_layers
from cam.caffe.prototxt import read_prototxt, upgraded
from cam.caffe.schema import message_class
from cam.errors import CamError
from cam.files import PathLike
from cam.pycaffe.blob import Array
from cam.pycaffe.errors import needs_caffe
from cam.pycaffe.fillers import filled

__all__ = ["SOURCES", "Description", "dummy_data", "read_description"]

SOURCES = ("DummyData", "Input")
"""The types of layers whose tops come from outside of the network."""

_ONLY_CAFFE = {
    "Data": "a layer of type Data, which reads a database,",
    "HDF5Data": "a layer of type HDF5Data",
    "HDF5Output": "a layer of type HDF5Output",
    "ImageData": "a layer of type ImageData",
    "MemoryData": "a layer of type MemoryData",
    "Python": "a layer in Python",
    "WindowData": "a layer of type WindowData",
}
_AUTOMATIC_TOP = "(automatic)"


@dataclass(frozen=True, eq=False)
class Description:
    """The layers of one phase of a network, in their order.

    Attributes
    ----------
    message : protobuf message
        The ``NetParameter`` that the layers come from.
    source : str
        Its file, for messages.
    phase : str
        ``"TEST"`` or ``"TRAIN"``.
    layers : tuple of Layer
        All of them, those that Caffe adds included.
    """

    message: Any
    source: str
    phase: str
    layers: tuple[Layer, ...]

    @cached_property
    def blobs(self) -> tuple[str, ...]:
        """The names of all blobs, in the order in which they are first written."""
        return tuple(dict.fromkeys(top for layer in self.layers for top in layer.tops))

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The blobs of Input layers."""
        return tuple(t for layer in self.layers if layer.type == "Input" for t in layer.tops)

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """The blobs that no layer reads, in alphabetical order as Caffe keeps them."""
        unread: set[str] = set()
        for layer in self.layers:
            unread.difference_update(layer.bottoms)
            unread.update(layer.tops)
        return tuple(sorted(unread))

    def source_shapes(self) -> dict[str, Shape]:
        """Return the shape of each blob that comes from outside, as the file says it."""
        return {
            top: shape
            for layer in self.layers
            if layer.type in SOURCES
            for top, shape in zip(layer.tops, _declared_shapes(layer, self.source), strict=True)
        }

    def connected(self, layers: Iterable[Layer], inputs: dict[str, Shape]) -> Network:
        """Return some of the layers as a network of their own."""
        running = [layer for layer in layers if layer.type not in SOURCES]
        return connect_layers(self.message, self.source, running, inputs)


def read_description(
    prototxt: PathLike, phase: str, level: int = 0, stages: Sequence[str] = ()
) -> Description:
    """Read a prototxt for one phase.

    Parameters
    ----------
    prototxt : path-like
        The file, in either of Caffe's styles.
    phase : {"TEST", "TRAIN"}
        Whose layers.
    level : int, optional
        The level that the layers' rules are held against.
    stages : sequence of str, optional
        The stages.

    Returns
    -------
    Description
        The network.

    Raises
    ------
    CamError
        If the file cannot be read, or has a layer that only Caffe can run.
    """
    source = str(prototxt)
    net = upgraded(read_prototxt(prototxt))
    net.state.level = level
    net.state.stage.extend(stages)
    layers = selected_layers(net, source, phase)
    for layer in layers:
        if layer.type in _ONLY_CAFFE:
            raise needs_caffe(f"{source}: {_ONLY_CAFFE[layer.type]} ({layer.name!r})")
    layers = [*_legacy_input(net), *map(_with_top, layers)]
    return Description(net, source, phase, tuple(_with_splits(layers)))


def _legacy_input(net: Any) -> list[Layer]:
    """Return the Input layer that Caffe makes of the older fields for inputs."""
    if not net.input:
        return []
    message = message_class("LayerParameter")(name="input", type="Input", top=net.input)
    for index in range(len(net.input)):
        shape = message.input_param.shape.add()
        if index < len(net.input_shape):
            shape.CopyFrom(net.input_shape[index])
        else:
            shape.dim.extend(net.input_dim[4 * index : 4 * index + 4])
    return [Layer("input", "Input", (), tuple(net.input), message)]


def _with_top(layer: Layer) -> Layer:
    """Give a loss that names no top the one that Caffe gives it."""
    if layer.tops or not layer.type.endswith("Loss"):
        return layer
    return replace(layer, tops=(_AUTOMATIC_TOP,))


def _with_splits(layers: Sequence[Layer]) -> list[Layer]:
    """Add the Split layers that Caffe adds where several layers read one blob."""
    writers: dict[str, tuple[int, int]] = {}
    reads: list[list[tuple[int, int]]] = []
    for index, layer in enumerate(layers):
        reads.append([writers.get(blob, (-1, 0)) for blob in layer.bottoms])
        writers.update((top, (index, i)) for i, top in enumerate(layer.tops))
    counts = Counter(read for each in reads for read in each)
    taken: Counter[tuple[int, int]] = Counter()
    for index, layer in enumerate(layers):
        # A top that is a loss by its weight is read by the sum of the losses.
        weighted = [i for i, weight in enumerate(layer.message.loss_weight) if weight]
        taken.update((index, i) for i in weighted if i < len(layer.tops))
    counts.update(taken)
    result: list[Layer] = []
    for index, layer in enumerate(layers):
        bottoms = []
        for blob, read in zip(layer.bottoms, reads[index], strict=True):
            if counts[read] > 1 and read[0] >= 0:
                bottoms.append(f"{_split_name(layers, read)}_{taken[read]}")
                taken[read] += 1
            else:
                bottoms.append(blob)
        result.append(replace(layer, bottoms=tuple(bottoms)))
        for i, top in enumerate(layer.tops):
            if counts[index, i] > 1:
                result.append(_split(top, _split_name(layers, (index, i)), counts[index, i]))
    return result


def _split_name(layers: Sequence[Layer], written: tuple[int, int]) -> str:
    writer = layers[written[0]]
    return f"{writer.tops[written[1]]}_{writer.name}_{written[1]}_split"


def _split(blob: str, name: str, count: int) -> Layer:
    tops = tuple(f"{name}_{i}" for i in range(count))
    message = message_class("LayerParameter")(name=name, type="Split", bottom=[blob], top=tops)
    return Layer(name, "Split", (blob,), tops, message)


def _declared_shapes(layer: Layer, source: str) -> list[Shape]:
    if layer.type == "Input":
        declared = [tuple(shape.dim) for shape in layer.message.input_param.shape]
    else:
        param = layer.message.dummy_data_param
        axes = [list(axis) for axis in (param.num, param.channels, param.height, param.width)]
        longest = max(map(len, axes))
        axes = [axis * longest if len(axis) == 1 else axis for axis in axes]
        declared = [tuple(shape.dim) for shape in param.shape] or list(zip(*axes, strict=False))
    if len(declared) == 1:
        declared *= len(layer.tops)
    if len(declared) != len(layer.tops):
        raise CamError(f"{source}: {layer}: {len(declared)} shapes for {len(layer.tops)} tops")
    return declared


def dummy_data(layer: Layer, shapes: Sequence[Shape], first: bool) -> dict[str, Array]:
    """Return what a DummyData layer writes.

    Parameters
    ----------
    layer : Layer
        The layer.
    shapes : sequence of tuple of int
        The shape of each of its tops.
    first : bool
        Whether the network is being made: only then are constants written.

    Returns
    -------
    dict of str to numpy.ndarray
        float32, for each top that is written.
    """
    fillers = list(layer.message.dummy_data_param.data_filler)
    fillers = fillers or [message_class("FillerParameter")()]
    if len(fillers) == 1:
        fillers *= len(layer.tops)
    return {
        top: filled(filler, shape, str(layer))
        for top, shape, filler in zip(layer.tops, shapes, fillers, strict=False)
        if first or filler.type != "constant"
    }
