"""Heat maps as colour pictures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cam.errors import CamError, nearest_names
from cam.matlab.functions import gray2ind, ind2rgb, jet, mat2gray

PICTURE_SHARE, HEAT_SHARE = 0.2, 0.7
"""The shares of the picture and of its heat map in an overlay, of the original and of the port."""

GAP = 8
"""White columns between the pictures of a montage, as in the original's `result.jpg`."""


def im2double(im: NDArray[Any]) -> NDArray[np.float64]:
    """Stretch an array to [0, 1] by its minimum and maximum, as the pycaffe port's function does.

    MATLAB's function of this name divides by the type's largest value instead;
    see `cam.matlab.functions.im2double`.

    Parameters
    ----------
    im : numpy.ndarray
        Any real numbers, any shape.

    Returns
    -------
    numpy.ndarray
        Double precision, same shape. An array of one value becomes zeros.

    References
    ----------
    `py_map2jpg.py` of gcucurull/CAM-Python.

    Examples
    --------
    >>> im2double(np.array([[1.0, 3.0]]))
    array([[0., 1.]])
    """
    stretched: NDArray[np.float64] = cv2.normalize(
        im.astype(np.float64, copy=False),
        None,
        0.0,
        1.0,
        cv2.NORM_MINMAX,  # type: ignore[call-overload]
    )
    return stretched


def py_map2jpg(
    imgmap: NDArray[Any], rang: Sequence[float] | None, colorMap: str = "jet"
) -> NDArray[np.uint8]:
    """Color a map as the pycaffe port's function of this name does.

    Parameters
    ----------
    imgmap : numpy.ndarray
        Shape (rows, columns). Without `rang` its values are taken to be in [0, 1], as the port
        does; what lies outside wraps around, as its conversion to 8 bits does.
    rang : pair of float, or None
        The values that get the first and the last colour; what lies outside is cut off. The port
        ignores this argument.
    colorMap : str, optional
        The name of one of OpenCV's colour maps in any case, ``"jet"`` or ``"viridis"`` for
        example. The port takes ``"jet"`` whatever is given.

    Returns
    -------
    numpy.ndarray
        uint8 (rows, columns, 3) in BGR order.

    Raises
    ------
    CamError
        If `rang` is not an increasing pair, or there is no such colour map.

    References
    ----------
    `py_map2jpg.py` of gcucurull/CAM-Python.

    Examples
    --------
    >>> py_map2jpg(np.array([[0.0, 1.0]]), None, "jet").tolist()
    [[[128, 0, 0], [0, 0, 128]]]
    """
    if rang is not None:
        imgmap = _stretched(imgmap, rang)
    return colors(colorMap)[py_heat_levels(imgmap)]


def py_heat_levels(heat_map: NDArray[Any]) -> NDArray[np.uint8]:
    """Return which of the 256 colours each number of a map gets in the pycaffe port.

    Parameters
    ----------
    heat_map : numpy.ndarray
        Values in [0, 1], any shape.

    Returns
    -------
    numpy.ndarray
        uint8, same shape: 255 times the value, rounded half to even.

    Examples
    --------
    >>> py_heat_levels(np.array([0.0, 0.5, 1.0]))
    array([  0, 128, 255], dtype=uint8)
    """
    scaled = heat_map * 255.0
    return np.rint(scaled, out=scaled).astype(np.uint8)


def _stretched(imgmap: NDArray[Any], rang: Sequence[float]) -> NDArray[Any]:
    if len(rang) != 2 or not rang[0] < rang[1]:
        raise CamError(f"the range of a map is its lowest and its highest value, not {list(rang)}")
    lowest, highest = rang
    stretched: NDArray[Any] = np.clip((imgmap - lowest) / (highest - lowest), 0, 1)
    return stretched


def _color_map_number(name: str) -> int:
    prefix = "COLORMAP_"
    known = {key[len(prefix) :].lower() for key in dir(cv2) if key.startswith(prefix)}
    if name.lower() not in known:
        raise CamError(f"OpenCV has no colour map {name!r}{nearest_names(name.lower(), known)}")
    return int(getattr(cv2, prefix + name.upper()))


@lru_cache(maxsize=32)
def colors(name: str = "jet") -> NDArray[np.uint8]:
    """Return the 256 colours of one of OpenCV's colour maps.

    Parameters
    ----------
    name : str, optional
        As for `py_map2jpg`.

    Returns
    -------
    numpy.ndarray
        uint8 (256, 3) in BGR order, read-only.

    Raises
    ------
    CamError
        If OpenCV has no colour map of that name.
    """
    levels = np.arange(256, dtype=np.uint8)[:, np.newaxis]
    found = np.asarray(cv2.applyColorMap(levels, _color_map_number(name))[:, 0], np.uint8)
    found.flags.writeable = False
    return found


def caption(lines: Sequence[str], width: int) -> NDArray[np.uint8]:
    """Return a white strip with lines of text, to stand under a picture.

    Parameters
    ----------
    lines : sequence of str
        The lines, from the top. One that is too long for the width is written smaller.
    width : int
        How wide the strip is.

    Returns
    -------
    numpy.ndarray
        uint8 (4 and 20 for each line, `width`, 3).

    Examples
    --------
    >>> caption(["1: 0.897", "espresso"], 256).shape
    (44, 256, 3)
    """
    margin, line_height, size = 4, 20, 0.5
    strip = np.full((margin + line_height * len(lines), width, 3), 255, np.uint8)
    for row, text in enumerate(lines):
        (length, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
        scale = size * min(1.0, (width - 2 * margin) / max(length, 1))
        place = (margin, 17 + line_height * row)
        cv2.putText(strip, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), 1, cv2.LINE_AA)
    return strip


def montage(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Put pictures of one height side by side with white columns between, as `demo.m` does.

    Parameters
    ----------
    pictures : sequence of numpy.ndarray
        uint8 (H, W, 3) each.

    Returns
    -------
    numpy.ndarray
        uint8 (H, the widths and 8 columns between each two, 3).

    Examples
    --------
    >>> montage([np.zeros((4, 6, 3), np.uint8)] * 2).shape
    (4, 20, 3)
    """
    gap = np.full((len(pictures[0]), GAP, 3), 255, np.uint8)
    row: list[NDArray[np.uint8]] = []
    for picture in pictures:
        row += [picture, gap]
    return np.concatenate(row[:-1], axis=1)


def matlab_heat_picture(
    heat_map: NDArray[Any], rang: Sequence[float] | None = None
) -> NDArray[np.float64]:
    """Color a map as the original `map2jpg.m` does.

    Parameters
    ----------
    heat_map : numpy.ndarray
        Shape (rows, columns), real numbers.
    rang : pair of float, optional
        The values that get the first and the last colour; by default the minimum and the maximum
        of the map, NaN ignored. A map of one value is not stretched but cut to [0, 1].

    Returns
    -------
    numpy.ndarray
        Shape (rows, columns, 3), RGB in [0, 1], double precision: one of the 256 colours of
        MATLAB's `jet`. NaN takes the first colour.

    Raises
    ------
    CamError
        If the map does not have rows and columns.

    Examples
    --------
    >>> matlab_heat_picture(np.array([[0.0, np.nan], [1.0, 2.0]]))[1, 1]
    array([0.5, 0. , 0. ])
    """
    if heat_map.ndim != 2:
        raise CamError(f"a heat map has rows and columns, not the shape {heat_map.shape}")
    return ind2rgb(matlab_heat_levels(heat_map, rang), jet(256))


def matlab_heat_levels(
    heat_map: NDArray[Any], rang: Sequence[float] | None = None
) -> NDArray[np.uint8]:
    """Return which of the 256 colours each number of a map gets in the original.

    Parameters
    ----------
    heat_map, rang
        As for `matlab_heat_picture`.

    Returns
    -------
    numpy.ndarray
        uint8, shape of `heat_map`, rounded half away from zero; NaN takes the first colour.

    Examples
    --------
    >>> matlab_heat_levels(np.array([[0.0, 0.5, np.nan, 1.0]]))
    array([[  0, 128,   0, 255]], dtype=uint8)
    """
    levels = gray2ind(mat2gray(heat_map, rang), 256)
    levels[np.isnan(heat_map)] = 0
    return np.asarray(levels, np.uint8)


def blend_tables(
    picture_share: NDArray[np.float64], heat_share: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Return what each byte of a picture becomes under each level of a heat map.

    A byte of an overlay depends on two bytes only, so that adding and rounding are done once for
    each pair, in double precision, and not once for each pixel.

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
    planes = cv2.split(picture)
    blended = np.empty((len(levels), *picture.shape), np.uint8)
    for overlay, of_map, of_channels in zip(blended, levels, tables, strict=True):
        offset = np.left_shift(of_map, 8, dtype=np.uint16)
        channels = [
            _look_up(table, offset | plane)
            for table, plane in zip(of_channels, planes, strict=True)
        ]
        cv2.merge(channels, dst=overlay)
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
