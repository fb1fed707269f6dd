"""Heat maps as levels and colours: the pycaffe port's `im2double` and `py_map2jpg`, `map2jpg.m`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cam.arguments import checked
from cam.errors import InvalidValueError, import_extra, nearest_names, real_array
from cam.maps.precision import floating
from cam.matlab.conversions import gray2ind, ind2rgb, jet, mat2gray


@checked
def im2double(im: NDArray[Any]) -> NDArray[np.float64]:
    """Stretch an array to [0, 1] by its minimum and maximum, as the pycaffe port's function does.

    MATLAB's function of this name divides by the type's largest value instead;
    see `cam.matlab.conversions.im2double`.

    Parameters
    ----------
    im : numpy.ndarray
        Any real numbers, any shape.

    Returns
    -------
    numpy.ndarray
        Double precision, same shape. An array of one value becomes zeros.

    Raises
    ------
    InvalidValueError
        If they are no real numbers.

    Notes
    -----
    NaN stays NaN and takes no part in the minimum and the maximum, as in MATLAB's `mat2gray`. In
    the port it depends on where a NaN is: OpenCV compares the numbers one after another, and
    what is compared with a NaN is neither smaller nor larger.

    References
    ----------
    `py_map2jpg.py` of gcucurull/CAM-Python.

    Examples
    --------
    >>> im2double(np.array([[1.0, 3.0]]))
    array([[0., 1.]])
    """
    values = floating(im).astype(np.float64, copy=False)
    missing = np.isnan(values)
    if missing.any():
        values = np.where(missing, values[~missing].min(initial=np.inf), values)
    stretched: NDArray[np.float64] = cv2.normalize(
        values,
        None,
        0.0,
        1.0,
        cv2.NORM_MINMAX,  # type: ignore[call-overload]
    )
    stretched[missing] = np.nan
    return stretched


@checked
def py_map2jpg(
    imgmap: NDArray[Any], rang: Sequence[float] | None, colorMap: str = "jet"
) -> NDArray[np.uint8]:
    """Color a map as the pycaffe port's function of this name does.

    Parameters
    ----------
    imgmap : numpy.ndarray
        Shape (rows, columns), real numbers. Without `rang` its values are taken to be in [0, 1],
        as the port does; what lies outside wraps around, as its conversion to 8 bits does. NaN
        takes the first colour.
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
    InvalidValueError
        If `rang` is not an increasing pair, there is no such colour map, or the map has no real
        numbers.

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


@checked
def py_heat_levels(heat_map: NDArray[Any]) -> NDArray[np.uint8]:
    """Return which of the 256 colours each number of a map gets in the pycaffe port.

    Parameters
    ----------
    heat_map : numpy.ndarray
        Values in [0, 1], any shape.

    Returns
    -------
    numpy.ndarray
        uint8, same shape: 255 times the value, rounded half to even; NaN takes the first colour.

    Examples
    --------
    >>> py_heat_levels(np.array([0.0, 0.5, 1.0]))
    array([  0, 128, 255], dtype=uint8)
    """
    scaled = floating(heat_map) * 255.0
    with np.errstate(invalid="ignore"):
        levels: NDArray[np.uint8] = np.rint(scaled, out=scaled).astype(np.uint8)
    levels[np.isnan(scaled)] = 0
    return levels


def _stretched(imgmap: NDArray[Any], rang: Sequence[float]) -> NDArray[Any]:
    ends = real_array(rang, "the range of a map").tolist()
    if np.shape(ends) != (2,) or not ends[0] < ends[1]:
        raise InvalidValueError(
            f"the range of a map is its lowest and its highest value, not {ends}"
        )
    lowest, highest = ends
    stretched: NDArray[Any] = np.clip((floating(imgmap) - lowest) / (highest - lowest), 0, 1)
    return stretched


def _checked_name(name: str) -> str:
    if not isinstance(name, str):
        raise InvalidValueError(f"a colour map is named by a text, not by {type(name).__name__}")
    return name.lower()


def _color_map_number(name: str) -> int:
    prefix = "COLORMAP_"
    known = {key[len(prefix) :].lower() for key in dir(cv2) if key.startswith(prefix)}
    if _checked_name(name) not in known:
        raise InvalidValueError(
            f"OpenCV has no colour map {name!r}{nearest_names(name.lower(), known)}"
        )
    return int(getattr(cv2, prefix + name.upper()))


@lru_cache(maxsize=32)
@checked
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
    InvalidValueError
        If OpenCV has no colour map of that name.
    """
    levels = np.arange(256, dtype=np.uint8)[:, np.newaxis]
    found = np.asarray(cv2.applyColorMap(levels, _color_map_number(name))[:, 0], np.uint8)
    found.flags.writeable = False
    return found


COLOR_BLIND_SAFE = ("viridis", "cividis", "plasma", "inferno", "magma")
"""Colour maps that people who are blind to some colours, and grey printers, can read."""

OPENCV_COLORMAPS = (
    *("autumn", "bone", "cividis", "cool", "deepgreen", "hot", "hsv", "inferno", "jet", "magma"),
    *("ocean", "parula", "pink", "plasma", "rainbow", "spring", "summer", "turbo", "twilight"),
    *("twilight_shifted", "viridis", "winter"),
)
"""OpenCV's colour maps, from release 4.7 on."""


@lru_cache(maxsize=32)
@checked
def colors_of(name: str) -> NDArray[np.uint8]:
    """Return the 256 colours of a colour map of OpenCV or of matplotlib.

    Parameters
    ----------
    name : str
        One of OpenCV's names in any case, or else one of matplotlib's, which has to be installed
        for it. ``_r`` behind a name turns the colours around.

    Returns
    -------
    numpy.ndarray
        uint8 (256, 3) in BGR order, read-only.

    Raises
    ------
    CamError
        If there is no colour map of that name, or it is none of OpenCV's and matplotlib is not
        installed.

    Examples
    --------
    >>> colors_of("bone")[[0, 255]].tolist(), colors_of("bone_r")[0].tolist()
    ([[0, 0, 0], [255, 255, 255]], [255, 255, 255])
    """
    if _checked_name(name) in OPENCV_COLORMAPS:
        return colors(name)
    plain = name.lower().removesuffix("_r")
    if plain in OPENCV_COLORMAPS and plain != name.lower():
        return colors(plain)[::-1]
    return _matplotlib_colors(name)


def _matplotlib_colors(name: str) -> NDArray[np.uint8]:
    known = ", ".join(COLOR_BLIND_SAFE[:2])
    near = nearest_names(name.lower(), OPENCV_COLORMAPS)
    matplotlib = import_extra(
        "matplotlib",
        f"no colour map {name!r} among OpenCV's{near or f' ({known}, ...)'}; matplotlib's names "
        "need matplotlib, which is not installed: pip install matplotlib",
    )
    listed = {each.lower(): each for each in matplotlib.colormaps}
    if name.lower() not in listed:
        near = nearest_names(name.lower(), {*OPENCV_COLORMAPS, *listed})
        raise InvalidValueError(f"no colour map {name!r}{near or f'; there are {known}, ...'}")
    shades = matplotlib.colormaps[listed[name.lower()]](np.linspace(0, 1, 256), bytes=True)
    found = np.ascontiguousarray(shades[:, 2::-1], np.uint8)
    found.flags.writeable = False
    return found


@checked
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
    InvalidValueError
        If the map does not have rows and columns.

    Examples
    --------
    >>> matlab_heat_picture(np.array([[0.0, np.nan], [1.0, 2.0]]))[1, 1]
    array([0.5, 0. , 0. ])
    """
    heat_map = real_array(heat_map, "a heat map", 2)
    return ind2rgb(matlab_heat_levels(heat_map, rang), jet(256))


@checked
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
    heat_map = floating(heat_map)
    levels = gray2ind(mat2gray(heat_map, rang), 256)
    levels[np.isnan(heat_map)] = 0
    return np.asarray(levels, np.uint8)
