"""Heat maps as colour pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cam.errors import CamError, nearest_names
from cam.matlab import gray2ind, ind2rgb, jet, mat2gray

__all__ = [
    "HEAT_SHARE",
    "PICTURE_SHARE",
    "colors",
    "im2double",
    "matlab_heat_picture",
    "montage",
    "py_map2jpg",
]

PICTURE_SHARE, HEAT_SHARE = 0.2, 0.7
"""The shares of the picture and of its heat map in an overlay, of the original and of the port."""

GAP = 8
"""White columns between the pictures of a montage, as in the original's `result.jpg`."""


def im2double(im: NDArray[Any]) -> NDArray[np.float64]:
    """Stretch an array to [0, 1] by its minimum and maximum, as the pycaffe port's function does.

    MATLAB's function of this name divides by the type's largest value instead;
    see `cam.matlab.im2double`.

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
        im.astype(np.float64),
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
    levels = np.round(imgmap * 255).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(levels, _color_map_number(colorMap)), np.uint8)


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


def colors(name: str = "jet") -> NDArray[np.uint8]:
    """Return the 256 colours of one of OpenCV's colour maps.

    Parameters
    ----------
    name : str, optional
        As for `py_map2jpg`.

    Returns
    -------
    numpy.ndarray
        uint8 (256, 3) in BGR order.
    """
    levels = np.arange(256, dtype=np.uint8)[:, np.newaxis]
    return np.asarray(cv2.applyColorMap(levels, _color_map_number(name))[:, 0], np.uint8)


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
    levels = gray2ind(mat2gray(heat_map, rang), 256)
    levels[np.isnan(heat_map)] = 0
    return ind2rgb(levels, jet(256))
