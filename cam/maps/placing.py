"""Maps of crops laid straight onto a picture of any size, band after band of its rows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cam.matlab.resizing import resampling_matrix

_BAND_PIXELS = 1 << 20
"""Pixels that are worked on at once: 8 MiB in double precision."""


class Part(NamedTuple):
    """A part of a picture: its upper left corner and its sides, as shares of the picture's."""

    top: float
    left: float
    side: float


WHOLE = Part(0.0, 0.0, 1.0)
"""All of a picture."""


class Placed(NamedTuple):
    """Values of a part of a band: its rows, counted from the band's first, and its columns."""

    rows: slice
    columns: slice
    values: NDArray[np.float64]


def bands(size: tuple[int, int]) -> Iterator[slice]:
    """Yield the rows of a picture in bands, so that no more is in memory than is worked on.

    Parameters
    ----------
    size : pair of int
        The picture's rows and columns.

    Examples
    --------
    >>> list(bands((3000, 1024)))
    [slice(0, 1024, None), slice(1024, 2048, None), slice(2048, 3000, None)]
    """
    rows, columns = size
    step = max(1, _BAND_PIXELS // columns)
    for first in range(0, rows, step):
        yield slice(first, min(first + step, rows))


def place_map(
    crop_map: NDArray[Any], part: Part, size: tuple[int, int], band: slice, method: str
) -> Placed:
    """Enlarge a crop's map in one step to where the crop lies in a picture.

    Parameters
    ----------
    crop_map : numpy.ndarray
        Shape (h, w): the raw map.
    part : Part
        Where the crop lies.
    size : pair of int
        The picture's rows and columns.
    band : slice
        The rows that are wanted.
    method : {"bilinear", "bicubic"}
        ``"bilinear"`` as OpenCV's `resize`, ``"bicubic"`` as MATLAB's `imresize`.

    Returns
    -------
    Placed
        The pixels whose middle lies in the part, and their values.

    Examples
    --------
    >>> place_map(np.array([[0.0, 4.0]]), Part(0, 0.5, 0.5), (2, 8), slice(0, 2), "bilinear")
    Placed(rows=slice(0, 1, None), columns=slice(4, 8, None), values=array([[0., 1., 3., 4.]]))
    """
    height, width = crop_map.shape
    top, above = _axis(height, size[0], part.top, part.side, method)
    left, across = _axis(width, size[1], part.left, part.side, method)
    first = max(band.start, top)
    stop = max(first, min(band.stop, top + above.shape[0]))
    stretched = above[first - top : stop - top] @ crop_map.astype(np.float64)
    values = np.ascontiguousarray((across @ stretched.T).T)
    rows = slice(first - band.start, stop - band.start)
    return Placed(rows, slice(left, left + across.shape[0]), values)


@lru_cache(maxsize=32)
def _axis(length: int, size: int, start: float, side: float, method: str) -> tuple[int, Any]:
    """Return the first of the pixels in a part of an axis, and the weights for each of them."""
    scale = side * size / length
    middles = np.arange(size, dtype=np.float64) + 0.5 - start * size
    inside = np.flatnonzero((middles >= 0) & (middles < side * size))
    # Of the two, only MATLAB's smooths before it makes a picture smaller.
    smooths = method != "bilinear"
    weights = resampling_matrix(length, middles[inside] / scale, scale, method, smooths)
    return int(inside[0]), weights
