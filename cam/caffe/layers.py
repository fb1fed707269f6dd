"""What a layer is, and what a type of layers has to say of itself.

A type says two things: the shapes of its blobs and weights, by the rules of Caffe's ``LayerSetUp``
and ``Reshape``, so that what Caffe would end the process on is found before anything runs; and its
arithmetic, as nodes of a graph of ONNX operators. The types are in `cam.caffe.layer_types`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]

FLOAT = 1
"""ONNX's number for the type of 32 bits."""

Shapes = tuple[list[Shape], tuple[Shape, ...]]
"""The shapes of what a layer writes, and of its weights."""


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


class UnsupportedError(Exception):
    """A parameter that cannot be expressed; the caller adds the layer's name."""


class Graph(Protocol):
    """Takes the nodes that a layer's arithmetic is made of.

    Attributes
    ----------
    tensors : dict of str to str
        Which tensor holds each of Caffe's blobs at this point.
    shapes : mapping of str to tuple of int
        The shape of each blob.
    """

    tensors: dict[str, str]

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """See above."""

    def node(
        self,
        operator: str,
        layer: Layer,
        inputs: Sequence[str],
        step: str = "",
        *,
        top: int = 0,
        **attributes: Any,
    ) -> str:
        """Add a node and return its output; without a `step` name that is one of the tops."""

    def pair(
        self, operator: str, layer: Layer, inputs: Sequence[str], **attributes: Any
    ) -> tuple[str, str]:
        """Add a step with two outputs and return them."""

    def constant(self, layer: Layer, name: str, values: Any, dtype: Any = np.float32) -> str:
        """Add a constant and return its name."""


@dataclass(frozen=True, eq=False)
class LayerRun:
    """One layer with all that its arithmetic needs.

    Attributes
    ----------
    layer : Layer
        The layer.
    inputs : list of str
        The tensors that it reads.
    bottoms : list of tuple of int
        Their shapes.
    weights : tuple of numpy.ndarray
        Its weights, float32.
    """

    layer: Layer
    inputs: list[str]
    bottoms: list[Shape]
    weights: tuple[NDArray[np.float32], ...]


@dataclass(frozen=True)
class LayerType:
    """What a type of layers says of itself.

    Attributes
    ----------
    shapes : callable
        Takes a layer and the shapes of its bottoms; returns `Shapes` or raises `ShapeError`.
    write : callable
        Writes a layer's arithmetic into a graph, or raises `UnsupportedError`.
    bottoms : tuple
        How many bottoms it may have, at least and at most.
    in_place : bool
        Whether Caffe can run it in place and gets it right.
    shares_memory : bool
        Whether its tops lie in its bottom's memory in Caffe, if it has one bottom, and one top
        unless it passes its bottom on.
    is_identity : bool
        Whether it passes its bottom on in the test phase.
    """

    shapes: Callable[[Layer, list[Shape]], Shapes]
    write: Callable[[Graph, LayerRun], None]
    bottoms: tuple[int, float] = (1, 1)
    in_place: bool = False
    shares_memory: bool = False
    is_identity: bool = False


def need_spatial(bottom: Shape) -> None:
    """Make sure that a blob has rows and columns."""
    if len(bottom) != 4:
        raise ShapeError(f"its bottom has the shape {bottom}, not (N, C, H, W)")


def axis_of(axis: int, shape: Shape) -> int:
    """Return an axis counted from 0, which may be given from the end."""
    if not -len(shape) <= axis < len(shape):
        raise ShapeError(f"axis {axis} of a blob of shape {shape}")
    return axis % len(shape)


def own_axis(axis: int, shape: Shape) -> int:
    """Return an axis of one picture's numbers, and not the one along the batch."""
    found = axis_of(axis, shape)
    if found == 0:
        raise ShapeError(f"axis {axis}, along the batch, is not supported")
    return found


def unchanged(layer: Layer, bottoms: list[Shape]) -> Shapes:
    """Return the shapes of a layer without weights that writes what it reads in size."""
    return [bottoms[0]], ()


def weights_along(param: Any, bottom: Shape) -> Shape:
    """Return the shape of weights that lie along some axes of a blob (Scale, Bias)."""
    axis_of(param.axis, bottom)
    if param.num_axes == 0:
        return ()
    axis = own_axis(param.axis, bottom)
    stop = len(bottom) if param.num_axes == -1 else axis + param.num_axes
    if not axis < stop <= len(bottom):
        raise ShapeError(f"{param.num_axes} axes from {axis} on of a blob of shape {bottom}")
    return bottom[axis:stop]


def spread(blob: NDArray[Any], axis: int, bottom: Shape) -> NDArray[Any]:
    """Shape weights that begin at an axis of the bottom so that they broadcast over it."""
    axis %= len(bottom)
    trailing = len(bottom) - axis - blob.ndim
    return blob.reshape(blob.shape + (1,) * trailing)


def weight_constants(graph: Graph, run: LayerRun) -> list[str]:
    """Add a layer's weights, and its biases if it has any, as constants of a graph."""
    named = zip(("weight", "bias"), run.weights, strict=False)
    return [graph.constant(run.layer, name, values) for name, values in named]


def bias_of(param: Any) -> tuple[Shape, ...]:
    """Return the shape of a layer's biases, if its parameters ask for them."""
    return ((param.num_output,),) if param.bias_term else ()


def steps(
    graph: Graph, layer: Layer, tensor: str, operations: Sequence[tuple[str, str, Any]]
) -> str:
    """Apply operators with one named constant each, and return what comes of it."""
    for operator, name, value in operations:
        constant = graph.constant(layer, name, value)
        tensor = graph.node(operator, layer, [tensor, constant], f"{name}d")
    return tensor


def chain(
    graph: Graph, run: LayerRun, operations: Sequence[tuple[str, str, Any]], tensor: str = ""
) -> None:
    """Apply operators with one named constant each; the last one writes the layer's top."""
    tensor = tensor or run.inputs[0]
    if not operations:
        graph.node("Identity", run.layer, [tensor])
        return
    tensor = steps(graph, run.layer, tensor, operations[:-1])
    operator, name, value = operations[-1]
    graph.node(operator, run.layer, [tensor, graph.constant(run.layer, name, value)])
