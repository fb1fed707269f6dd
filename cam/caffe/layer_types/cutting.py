"""Layers that cut a blob: into parts, or out of it one that fits another."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from cam.caffe import layers
from cam.caffe.layers import Graph, Layer, LayerRun, LayerType, Shape, ShapeError, Shapes


def slice_sizes(layer: Layer, bottom: Shape) -> tuple[int, list[int]]:
    """Return the axis that a Slice layer cuts, and how much of it each top gets."""
    param = layer.message.slice_param
    axis = layers.own_axis(param.slice_dim if param.HasField("slice_dim") else param.axis, bottom)
    if param.slice_point:
        edges = [0, *param.slice_point, bottom[axis]]
        sizes = [stop - start for start, stop in pairwise(edges)]
    else:
        sizes = [bottom[axis] // max(len(layer.tops), 1)] * len(layer.tops)
    if sum(sizes) != bottom[axis] or min(sizes, default=0) < 1:
        raise ShapeError(f"axis {axis} of a blob of shape {bottom} does not part into {sizes}")
    return axis, sizes


def _slice_shapes(layer: Layer, bottoms: list[Shape]) -> Shapes:
    axis, sizes = slice_sizes(layer, bottoms[0])
    return [(*bottoms[0][:axis], size, *bottoms[0][axis + 1 :]) for size in sizes], ()


def _write_slice(graph: Graph, run: LayerRun) -> None:
    axis, sizes = slice_sizes(run.layer, run.bottoms[0])
    for top in range(len(run.layer.tops)):
        _cut(graph, run, [axis], [sum(sizes[:top])], top)


def crop_offsets(layer: Layer, bottom: Shape) -> tuple[int, ...]:
    """Return where a Crop layer begins on each axis that it cuts, which are the last ones."""
    param = layer.message.crop_param
    count = len(bottom) - layers.own_axis(param.axis, bottom)
    offsets = tuple(param.offset) or (0,)
    if len(offsets) not in (1, count):
        raise ShapeError(f"{len(offsets)} offsets for {count} axes")
    return offsets * count if len(offsets) == 1 else offsets


def _crop_shapes(layer: Layer, bottoms: list[Shape]) -> Shapes:
    (picture, wanted), offsets = bottoms, crop_offsets(layer, bottoms[0])
    axis = len(picture) - len(offsets)
    if len(wanted) != len(picture):
        raise ShapeError(f"its bottoms have the shapes {bottoms}, of different lengths")
    for size, target, offset in zip(picture[axis:], wanted[axis:], offsets, strict=True):
        if offset + target > size:
            raise ShapeError(f"{wanted} at {offsets} does not lie within {picture}")
    return [(*picture[:axis], *wanted[axis:])], ()


def _write_crop(graph: Graph, run: LayerRun) -> None:
    offsets = crop_offsets(run.layer, run.bottoms[0])
    last = len(run.bottoms[0])
    _cut(graph, run, list(range(last - len(offsets), last)), list(offsets), 0)


def _cut(graph: Graph, run: LayerRun, axes: list[int], starts: list[int], top: int) -> None:
    """Cut a top of its own shape out of the bottom."""
    shape = graph.shapes[run.layer.tops[top]]
    stops = [start + shape[axis] for axis, start in zip(axes, starts, strict=True)]
    parts = ((f"starts{top}", starts), (f"stops{top}", stops), (f"axes{top}", axes))
    constants = [graph.constant(run.layer, name, values, np.int64) for name, values in parts]
    graph.node("Slice", run.layer, [run.inputs[0], *constants], top=top)


TYPES: Mapping[str, LayerType] = {
    "Crop": LayerType(_crop_shapes, _write_crop, bottoms=(2, 2)),
    "Slice": LayerType(_slice_shapes, _write_slice, shares_memory=True),
}
