"""The variables of the original's MATLAB files, and how each becomes a quantity in Caffe's axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from cam.errors import CamError
from cam.fidelity.difference import Array
from cam.pictures.reading import Picture, read_picture

__all__ = ["LAST", "VARIABLES", "in_matlabs_order"]

LAST = -1
"""Stands for the rank of the last class that `demo.m` went through, which its `topNum` tells."""


def in_matlabs_order(quantity: str, value: Array) -> Array:
    """Return a variable with MATLAB's axes: turned around if it was stored with Caffe's.

    Parameters
    ----------
    quantity : str
        What it holds.
    value : numpy.ndarray
        The variable.

    Returns
    -------
    numpy.ndarray
        `value` itself, unless crops come first and rows and columns, or the classes, last.
    """
    shape = value.shape
    if quantity == "crop_scores":
        is_caffes = value.ndim == 2 and 1 < shape[0] < shape[1]
    else:
        has_crops = quantity in ("activations", "maps") and value.ndim == 4
        is_caffes = has_crops and shape[2] == shape[3] and shape[0] != shape[1]
    return value.T if is_caffes else value


def _shaped(value: Array, holds: bool, expected: str) -> Array:
    if not holds:
        raise CamError(f"it is {' x '.join(map(str, value.shape))}, not {expected}")
    return value


def _activations(value: Array) -> Array:
    """Return (width, height, channels, crops) as (crops, channels, height, width)."""
    if value.ndim == 3:  # MATLAB drops a last axis of length one
        value = value[..., np.newaxis]
    return _shaped(value, value.ndim == 4, "width x height x channels x crops").T


def _maps(value: Array) -> Array:
    """Return (width, height, classes, crops) as (classes, crops, height, width)."""
    _shaped(value, value.ndim in (3, 4), "width x height x classes x crops")
    return _activations(value).swapaxes(0, 1)


def _crop_scores(value: Array) -> Array:
    columns = value.reshape(-1, value.shape[-1], order="F")
    return (columns.reshape(-1, 1) if 1 in columns.shape else columns).T


def _scores(value: Array) -> Array:
    return _shaped(value, max(value.shape) == value.size, "one score for each class").ravel()


def _class_weights(value: Array) -> Array:
    return _shaped(value, value.squeeze().ndim == 2, "channels x classes").squeeze().T


def _first_column(value: Array) -> Array:
    """Return a vector, or the first of several columns along the longest axis."""
    return value.ravel(order="F")[: max(value.shape)]


def _classes(value: Array) -> Array:
    indices = _first_column(value).astype(np.intp)
    if np.any(indices != _first_column(value)) or indices.min() < 0:
        raise CamError("it does not hold the indices of classes")
    return indices


def _merged(value: Array) -> Mapping[int, Array] | Array:
    if value.ndim == 2:
        return {LAST: value}
    return np.moveaxis(_shaped(value, value.ndim == 3, "height x width x classes"), 2, 0)


def _bgr(value: Array) -> Picture:
    is_picture = value.ndim == 3 and value.shape[2] == 3
    return read_picture(_shaped(value, is_picture, "height x width x 3")[:, :, ::-1])


def _picture_of(rank: int) -> Callable[[Array], Mapping[int, Picture]]:
    return lambda value: {rank: _bgr(value)}


# Short names, and those of the workspace that the original demo.m leaves.
VARIABLES: Mapping[str, tuple[str, Callable[[Array], Any]]] = {
    "activation_lastconv": ("activations", _activations),
    "scores": ("crop_scores", _crop_scores),
    "scoresMean": ("scores", _scores),
    "weights_LR": ("class_weights", _class_weights),
    "idx": ("classes", _classes),
    "IDX_category": ("classes", _classes),
    "val": ("probabilities", _first_column),
    "value_category": ("probabilities", _first_column),
    "cams": ("maps", _maps),
    "curCAMmapAll": ("maps", _maps),
    "merged": ("merged", _merged),
    "curCAMmap_image": ("merged", _merged),
    "curCAMLarge": ("merged", _merged),
    **{f"heat_top{rank + 1}": ("heat_pictures", _picture_of(rank)) for rank in range(10)},
    "img": ("frame", _bgr),
    "curHeatMap": ("overlays", _picture_of(LAST)),
    "curResult": ("figure", _bgr),
}
"""For each name the quantity, and what makes it of the variable with MATLAB's axes.

A quantity of classes comes by rank, or along the first axis.
"""
