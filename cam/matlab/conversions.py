"""MATLAB's conversions between classes, grey levels, indices and colours, with MATLAB's values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cam.arguments import checked
from cam.errors import InvalidValueError, real_array, whole_number
from cam.matlab.resizing import to_class

Array = NDArray[Any]
Doubles = NDArray[np.float64]

_MOST_LEVELS = 65536
"""Colours of a colour map that a 16-bit picture can name."""


@checked
def im2double(image: ArrayLike) -> Doubles:
    """Convert a picture to double precision, integers to the range [0, 1], as MATLAB does.

    Parameters
    ----------
    image : array_like
        Any shape. uint8 is divided by 255, uint16 by 65535, int16 is (value + 32768) / 65535;
        logical, single and double values are kept.

    Returns
    -------
    numpy.ndarray
        Double precision, shape of `image`.

    Raises
    ------
    InvalidValueError
        If the picture is of another type.

    Notes
    -----
    NaN and what lies outside [0, 1] stay as they are: MATLAB's documentation has doubles returned
    unchanged. The function of the same name in the pycaffe port, `cam.maps.colors.im2double`,
    stretches the minimum and the maximum to [0, 1] instead.

    Examples
    --------
    >>> im2double(np.array([0, 51, 255], dtype=np.uint8))
    array([0. , 0.2, 1. ])
    """
    pixels = real_array(image, "a picture")
    low, span = _class_range(pixels.dtype)
    return (pixels.astype(np.float64) - low) / span


@checked
def mat2gray(matrix: ArrayLike, limits: Sequence[float] | None = None) -> Doubles:
    """Stretch `limits` to [0, 1] and cut what lies outside, as MATLAB does.

    Parameters
    ----------
    matrix : array_like
        Any shape, real numbers.
    limits : pair of float, optional
        The values that become 0 and 1; by default the minimum and the maximum, NaN ignored. Equal
        limits do no stretching: values are only cut to [0, 1]. Swapped limits invert.

    Returns
    -------
    numpy.ndarray
        Double precision in [0, 1], shape of `matrix`. NaN becomes 1, as in MATLAB.

    Raises
    ------
    InvalidValueError
        If the matrix does not hold real numbers, or the limits are not two numbers.

    Examples
    --------
    >>> mat2gray([1, 2, 3])
    array([0. , 0.5, 1. ])
    >>> mat2gray([3, 3, 0.25])[:2]
    array([1., 1.])
    """
    values = _doubles(matrix)
    if limits is None:
        finite = values[~np.isnan(values)]
        limits = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    if len(limits) != 2:
        raise InvalidValueError(f"limits must be two numbers, not {limits!r}")
    low, high = (float(limit) for limit in limits)
    if low != high:
        slope = 1.0 / (high - low)
        values = values * slope - low * slope
    return np.clip(np.where(np.isnan(values), 1.0, values), 0.0, 1.0)


@checked
def gray2ind(image: ArrayLike, levels: int = 64) -> Array:
    """Convert a grey picture to indices into a colour map, as MATLAB does.

    Parameters
    ----------
    image : array_like
        Any shape. Floating-point values are in [0, 1], integers in the range of their type,
        logical values are 0 and 1.
    levels : int, optional
        The length of the colour map, 1 to 65536.

    Returns
    -------
    numpy.ndarray
        Indices 0 to `levels` - 1, rounded half away from zero; uint8 up to 256 levels, uint16
        above. NaN becomes 0.

    Raises
    ------
    InvalidValueError
        If the number of levels or the type of the picture is not one of these.

    Examples
    --------
    >>> gray2ind([0, 0.25, 0.5, 1], 256)
    array([  0,  64, 128, 255], dtype=uint8)
    """
    levels = whole_number(levels, "the number of levels", 1, _MOST_LEVELS)
    pixels = real_array(image, "a picture")
    low, span = _class_range(pixels.dtype)
    scaled = (pixels.astype(np.float64) - low) * ((levels - 1) / span)
    return to_class(scaled, np.dtype(np.uint8 if levels <= 256 else np.uint16))


@checked
def ind2rgb(indices: ArrayLike, colormap: ArrayLike) -> Doubles:
    """Look indices up in a colour map, as MATLAB does.

    Parameters
    ----------
    indices : array_like
        Any shape. Integers count from 0, floating-point values from 1, as in MATLAB; what lies
        outside takes the first or the last colour.
    colormap : array_like
        Shape (levels, 3), values in [0, 1].

    Returns
    -------
    numpy.ndarray
        Shape of `indices` + (3,), double precision.

    Raises
    ------
    InvalidValueError
        If the colour map does not have three columns, or an index is not a number.

    Examples
    --------
    >>> ind2rgb(np.array([0, 255], dtype=np.uint8), jet(256))
    array([[0.      , 0.      , 0.515625],
           [0.5     , 0.      , 0.      ]])
    """
    colors = _doubles(colormap)
    if colors.ndim != 2 or colors.shape[1] != 3 or not len(colors):
        raise InvalidValueError(f"a colour map has the shape (levels, 3), not {colors.shape}")
    positions = real_array(indices, "an indexed picture")
    if positions.dtype.kind not in "biuf" or np.isnan(positions).any():
        raise InvalidValueError("indices into a colour map are numbers")
    if positions.dtype.kind == "f":
        positions = positions - 1
    found: Doubles = colors[np.clip(positions, 0, len(colors) - 1).astype(np.intp)]
    return found


@checked
def jet(levels: int = 256) -> Doubles:
    """Return MATLAB's `jet` colour map: dark blue, cyan, yellow, dark red.

    Each channel is the same trapezium, a quarter of the map up, a quarter at 1 and a quarter down;
    red lies a quarter of the map after green and blue a quarter before.

    Parameters
    ----------
    levels : int, optional
        How many colours.

    Returns
    -------
    numpy.ndarray
        Shape (levels, 3), red, green and blue in [0, 1], double precision.

    Raises
    ------
    InvalidValueError
        If the number of levels is not positive.

    Examples
    --------
    >>> jet(4)
    array([[0., 0., 1.],
           [0., 1., 1.],
           [1., 1., 0.],
           [1., 0., 0.]])
    """
    levels = whole_number(levels, "the number of levels", 1, _MOST_LEVELS)
    quarter = -(-levels // 4)
    green_start = -(-quarter // 2) - (levels % 4 == 1)
    starts = green_start + quarter * np.array([1, 0, -1])
    steps = np.arange(1, levels + 1)[:, np.newaxis] - starts
    channels: Doubles = np.clip(np.minimum(steps, 3 * quarter - steps) / quarter, 0.0, 1.0)
    return channels


def _doubles(values: ArrayLike) -> Doubles:
    array = real_array(values, "a picture")
    if array.dtype.kind not in "biuf":
        raise InvalidValueError(f"real numbers are wanted, not {array.dtype}")
    return array.astype(np.float64, copy=False)


def _class_range(dtype: np.dtype[Any]) -> tuple[float, float]:
    """Return the value of black and the distance to white of a picture's type."""
    if dtype.str[1:] in {"u1", "u2", "i2"}:
        limits = np.iinfo(dtype)
        return float(limits.min), float(limits.max) - float(limits.min)
    if dtype.kind == "b" or dtype.str[1:] in {"f4", "f8"}:
        return 0.0, 1.0
    if dtype.kind == "i" or dtype.kind == "u":
        raise InvalidValueError(f"a picture is uint8, uint16, int16, single or double, not {dtype}")
    raise InvalidValueError(f"a picture holds real numbers, not {dtype}")
