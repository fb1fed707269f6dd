"""`caffe.coord_map`: where the pixels of one blob of a `NetSpec` lie in another.

A map is (axis, scale, shift): the pixel i of what a layer reads lies at ``scale * i + shift`` of
what it writes, from ``axis`` + 1 on; the axis is None where all are mapped alike.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cam.pycaffe.net_spec import Function, Top, layers

__all__ = [
    "AxisMismatchException",
    "CoordinateMap",
    "UndefinedMapException",
    "compose",
    "conv_params",
    "coord_map",
    "coord_map_from_to",
    "crop",
    "crop_params",
    "inverse",
]

Numbers: TypeAlias = "float | NDArray[Any]"

PASS_THROUGH_LAYERS = [
    "AbsVal",
    "BatchNorm",
    "Bias",
    "BNLL",
    "Dropout",
    "Eltwise",
    "ELU",
    "Log",
    "LRN",
    "Exp",
    "MVN",
    "Power",
    "ReLU",
    "PReLU",
    "Scale",
    "Sigmoid",
    "Split",
    "TanH",
    "Threshold",
]
"""The types that leave each pixel where it is."""

_ONE_SIDED = {"pad_h", "pad_w", "kernel_h", "kernel_w", "stride_h", "stride_w"}


class UndefinedMapException(Exception):  # noqa: N818 - pycaffe's name
    """A layer does not keep pixels in places."""


class AxisMismatchException(Exception):  # noqa: N818 - pycaffe's name
    """Two layers map different axes."""


class CoordinateMap(NamedTuple):
    """Where pixels go; see the module."""

    axis: int | None
    scale: Numbers
    shift: Numbers


IDENTITY = CoordinateMap(None, 1, 0)


def conv_params(fn: Function) -> tuple[int, NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return axis, stride, the kernel's extent and pad of a layer with a kernel."""
    given = fn.params.get("convolution_param", fn.params)
    assert not _ONE_SIDED & set(fn.params), "cropping does not support the _h and _w fields"
    stride, kernel, pad, dilation = (
        np.array(value, ndmin=1)
        for value in (
            given.get("stride", 1),
            given["kernel_size"],
            given.get("pad", 0),
            given.get("dilation", 1),
        )
    )
    return given.get("axis", 1), stride, (kernel - 1) * dilation + 1, pad


def crop_params(fn: Function) -> tuple[int, NDArray[Any]]:
    """Return axis and offset of a Crop layer."""
    given = fn.params.get("crop_param", fn.params)
    return given.get("axis", 2), np.array(given.get("offset", 0), ndmin=1)


def coord_map(fn: Function) -> CoordinateMap:
    """Return where a layer's pixels go.

    Raises
    ------
    UndefinedMapException
        If it does not keep them in places.
    """
    if fn.type_name in ("Convolution", "Pooling", "Im2col"):
        axis, stride, extent, pad = conv_params(fn)
        return CoordinateMap(axis, 1 / stride, (pad - (extent - 1) / 2) / stride)
    if fn.type_name == "Deconvolution":
        axis, stride, extent, pad = conv_params(fn)
        return CoordinateMap(axis, stride, (extent - 1) / 2 - pad)
    if fn.type_name == "Crop":
        axis, offset = crop_params(fn)
        return CoordinateMap(axis - 1, 1, -offset)
    if fn.type_name in PASS_THROUGH_LAYERS:
        return IDENTITY
    raise UndefinedMapException(fn.type_name)


def compose(base_map: CoordinateMap, next_map: CoordinateMap) -> CoordinateMap:
    """Return the map of one layer behind another."""
    axes = {base_map[0], next_map[0]} - {None}
    if len(axes) > 1:
        raise AxisMismatchException(base_map[0], next_map[0])
    _, scale, shift = base_map
    return CoordinateMap(
        axes.pop() if axes else None, scale * next_map[1], scale * next_map[2] + shift
    )


def inverse(coord_map: CoordinateMap) -> CoordinateMap:
    """Return the map back."""
    axis, scale, shift = coord_map
    return CoordinateMap(axis, 1 / scale, -shift / scale)


def coord_map_from_to(top_from: Top, top_to: Top) -> CoordinateMap:
    """Return where the pixels of one blob lie in another.

    Parameters
    ----------
    top_from, top_to : Top
        Blobs with an ancestor in common, or one of them the other's.

    Raises
    ------
    RuntimeError
        If no layers that keep pixels in places connect them.
    """
    ancestors = dict(_ancestors(top_from))
    for top, to_map in _ancestors(top_to):
        if top in ancestors:
            return compose(to_map, inverse(ancestors[top]))
    raise RuntimeError("no layers that keep pixels in places connect the two blobs")


def _ancestors(top: Top) -> list[tuple[Top, CoordinateMap]]:
    """Return a blob and all that it is made from, nearest first, each with its map."""
    found = [(top, IDENTITY)]
    for each, so_far in found:
        # The second bottom of a Crop only says a size.
        inputs = each.fn.inputs[:1] if each.fn.type_name == "Crop" else each.fn.inputs
        try:
            found += [(bottom, compose(so_far, coord_map(each.fn))) for bottom in inputs]
        except UndefinedMapException:
            continue
    return found


def crop(top_from: Top, top_to: Top) -> Any:
    """Return a Crop layer that cuts one blob to the place and size of another.

    Raises
    ------
    AssertionError
        If one is of another scale, or does not lie within the other.
    """
    axis, scale, shift = coord_map_from_to(top_from, top_to)
    scale, shift = np.asarray(scale), np.asarray(shift)
    assert (scale == 1).all(), f"scale mismatch on crop (a = {scale})"
    assert (shift <= 0).all(), f"cannot crop negative offset (b = {shift})"
    assert (np.round(shift) == shift).all(), f"cannot crop noninteger offset (b = {shift})"
    first = 2 if axis is None else axis + 1
    offset = [int(each) for each in -np.round(shift).ravel()]
    return layers.Crop(top_from, top_to, crop_param={"axis": first, "offset": offset})
