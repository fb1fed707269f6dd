"""Overlays: heat maps laid over a picture."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from cam.maps.placing import bands

PICTURE_SHARE, HEAT_SHARE = 0.2, 0.7
"""The shares of the picture and of its heat map in an overlay, of the original and of the port."""


def blend_tables(
    picture_share: NDArray[np.float64], heat_share: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Return what each byte of a picture becomes under each level of a heat map.

    A byte of an overlay depends on two bytes only, so that adding and rounding are done once for
    each pair, in double precision, and not once for each pixel, which takes sixteen times as long.

    Parameters
    ----------
    picture_share : numpy.ndarray
        float64 (256,): what each of the picture's bytes adds.
    heat_share : numpy.ndarray
        float64 (3, 256): what each level of the heat map adds to each channel. The sum of both
        shares must lie in [0, 1].

    Returns
    -------
    numpy.ndarray
        uint8 (3, 65536), read-only: for each channel, at 256 · level + byte, 255 times the sum,
        rounded half to even. Neighbours in a heat map have nearly the same level, so that what is
        looked up for them lies together.
    """
    sums = heat_share[:, :, np.newaxis] + picture_share
    sums *= 255
    tables = np.rint(sums, out=sums).astype(np.uint8, order="C").reshape(3, -1)
    tables.flags.writeable = False
    return tables


def blend(
    picture: NDArray[np.uint8], levels: NDArray[np.uint8], tables: Sequence[NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    """Lay each of several heat maps over a picture.

    Parameters
    ----------
    picture : numpy.ndarray
        uint8 (H, W, 3).
    levels : numpy.ndarray
        uint8 (T, H, W): the level of each pixel of each heat map.
    tables : sequence of numpy.ndarray
        For each heat map, what `blend_tables` returns.

    Returns
    -------
    numpy.ndarray
        uint8 (T, H, W, 3).

    Examples
    --------
    >>> tables = blend_tables(np.full(256, 0.5), np.tile(np.arange(256) / 255, (3, 1)))
    >>> blend(np.zeros((1, 2, 3), np.uint8), np.array([[[0, 102]]], np.uint8), [tables]).tolist()
    [[[[128, 128, 128], [230, 230, 230]]]]
    """
    blended = np.empty((len(levels), *picture.shape), np.uint8)
    for band in bands(picture.shape[:2]):
        planes = cv2.split(picture[band])
        for overlay, of_map, of_channels in zip(blended, levels, tables, strict=True):
            offset = np.left_shift(of_map[band], 8, dtype=np.uint16)
            channels = [
                _look_up(table, offset | plane)
                for table, plane in zip(of_channels, planes, strict=True)
            ]
            cv2.merge(channels, dst=overlay[band])
    return blended


def _look_up(table: NDArray[np.uint8], indices: NDArray[np.uint16]) -> NDArray[np.uint8]:
    if _opencv_takes_16_bits():
        return np.asarray(cv2.LUT(indices, table), np.uint8)
    return table.take(indices)


@lru_cache(maxsize=1)
def _opencv_takes_16_bits() -> bool:
    """Tell whether OpenCV looks up 16-bit numbers, as it does from release 5; NumPy is slower."""
    try:
        cv2.LUT(np.zeros((1, 1), np.uint16), np.zeros(1 << 16, np.uint8))
    except cv2.error:
        return False
    return True
