"""MATLAB's picture functions, with MATLAB's values.

No library gives `imresize` to the precision wanted: Pillow and torch cut the kernel at the border
and normalise again instead of mirroring, scikit-image smooths with a Gaussian before a spline, and
OpenCV's cubic has a = -0.75 and no antialiasing. The functions below follow MATLAB as it has been
since about 2014: older releases repeated the border pixel where these mirror the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cam.errors import CamError, nearest_names

Array = NDArray[Any]
Doubles = NDArray[np.float64]

_RESIZABLE = ("b1", "i1", "i2", "i4", "u1", "u2", "u4", "f4", "f8")


class _Kernel(NamedTuple):
    weight: Callable[[Doubles], Doubles]
    width: float
    antialiasing: bool


def _box(x: Doubles) -> Doubles:
    return ((x >= -0.5) & (x < 0.5)).astype(np.float64)


def _triangle(x: Doubles) -> Doubles:
    return np.maximum(0.0, 1.0 - np.abs(x))


def _cubic(x: Doubles) -> Doubles:
    """Weigh by Keys' cubic convolution kernel with a = -0.5 (IEEE TASSP 29(6), 1981)."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x**2 + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x <= 1.0, near, np.where(x <= 2.0, far, 0.0))


_KERNELS = {
    "nearest": _Kernel(_box, 1.0, antialiasing=False),
    "bilinear": _Kernel(_triangle, 2.0, antialiasing=True),
    "bicubic": _Kernel(_cubic, 4.0, antialiasing=True),
}


def imresize(
    image: ArrayLike,
    scale_or_size: float | Sequence[float | None],
    method: str = "bicubic",
    antialiasing: bool | None = None,
) -> Array:
    """Resize rows and columns as MATLAB's `imresize` does.

    The axis with the smaller scale is resized first. As in MATLAB, integer pictures are rounded
    (half away from zero) and saturated to their type after each of the two axes, and single
    precision is rounded to single; the sums themselves are in double precision.

    Parameters
    ----------
    image : array_like
        Shape (rows, columns, ...); trailing axes are kept. Logical, 8- to 32-bit integer, single
        or double. A logical picture is resized as 0 and 255 and cut above 128.
    scale_or_size : float or pair
        One number is a scale factor. Two whole numbers are the output rows and columns, either of
        which may be None or NaN: it then follows from the aspect ratio. Two numbers that are not
        both whole are scale factors for rows and columns. From scale factors the size is
        ``ceil(scale * size)``.
    method : {"bicubic", "bilinear", "nearest"}, optional
        The interpolation kernel.
    antialiasing : bool, optional
        Widen the kernel by 1/scale where an axis shrinks. MATLAB's default: for every method but
        "nearest".

    Returns
    -------
    numpy.ndarray
        Shape (new rows, new columns, ...), type of `image`. Pictures of integers are C-contiguous;
        others may be a strided view, because the copy would cost more than the resizing.

    Raises
    ------
    CamError
        If the picture is empty, not an array of rows and columns, or of another type, if the
        scale or size is not positive, or if the method is unknown.

    References
    ----------
    MATLAB's documentation of `imresize`, and the functions `contributions` and `resizeAlongDim`
    of its source, each of which says what it returns: the latter the class of its input.

    Examples
    --------
    >>> imresize(np.arange(16.0).reshape(4, 4), 0.5, "bilinear")
    array([[ 3.125,  4.875],
           [10.125, 11.875]])
    """
    pixels = np.asarray(image)
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    if pixels.ndim < 2 or pixels.size == 0:
        raise CamError(f"imresize needs rows and columns, got an array of shape {pixels.shape}")
    if pixels.dtype.str[1:] not in _RESIZABLE:
        raise CamError(f"imresize cannot resize {pixels.dtype}: convert to float64 or uint8 first")
    if method not in _KERNELS:
        names = ", ".join(_KERNELS)
        raise CamError(f"no method {method!r}{nearest_names(method, _KERNELS)}; there are {names}")
    if pixels.dtype == np.bool_:
        return imresize(pixels * np.uint8(255), scale_or_size, method, antialiasing) > 128

    if antialiasing is None:
        antialiasing = _KERNELS[method].antialiasing
    scales, sizes = _scales_and_sizes(scale_or_size, pixels.shape[:2])
    for axis in sorted((0, 1), key=lambda axis: scales[axis]):
        pixels = _resize_axis(pixels, axis, sizes[axis], scales[axis], method, antialiasing)
    return pixels


def _scales_and_sizes(
    scale_or_size: float | Sequence[float | None], shape: Sequence[int]
) -> tuple[list[float], list[int]]:
    """Return the scale factors and the output sizes of rows and columns."""
    try:
        given = np.array(scale_or_size, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise CamError(f"not a scale or a size: {scale_or_size!r}") from error
    known = given[~np.isnan(given)]
    if given.shape not in {(), (2,)} or not known.size:
        raise CamError(f"imresize takes one scale or two numbers, not {scale_or_size!r}")
    if not np.all(np.isfinite(known) & (known > 0)):
        raise CamError(f"a scale or a size must be positive, not {scale_or_size!r}")

    lengths = np.array(shape, dtype=np.float64)
    if known.size < given.size:
        side = int(np.flatnonzero(~np.isnan(given))[0])
        sizes = np.ceil(given[side] * lengths / lengths[side])
        scales = np.repeat(sizes[side] / lengths[side], 2)
    elif given.ndim == 0 or np.any(given % 1):
        scales = np.broadcast_to(given, 2)
        sizes = np.ceil(scales * lengths)
    else:
        sizes = given
        scales = sizes / lengths
    return [float(scale) for scale in scales], [int(size) for size in sizes]


def _resize_axis(
    pixels: Array, axis: int, size: int, scale: float, method: str, antialiasing: bool
) -> Array:
    """Resize one of the first two axes; the result has the type of `pixels`."""
    length = pixels.shape[axis]
    weights, indices = _contributions(length, size, scale, method, antialiasing)
    if weights.shape[1] == 1 and np.all(weights == 1):
        return np.take(pixels, indices[:, 0], axis=axis)
    matrix = _weight_matrix(length, size, scale, method, antialiasing)
    front = np.moveaxis(pixels, axis, 0)
    resized = matrix @ front.reshape(length, -1)
    resized = np.moveaxis(resized.reshape(size, *front.shape[1:]), 0, axis)
    return _to_class(resized, pixels.dtype)


@lru_cache(maxsize=64)
def _contributions(
    length: int, size: int, scale: float, method: str, antialiasing: bool
) -> tuple[Doubles, NDArray[np.intp]]:
    """Return, for each output pixel, the weights and the indices of its input pixels.

    Indices are counted from one until the end, as in MATLAB: the rounding of the positions then
    agrees, and with it the choice of a neighbour that lies exactly half-way.
    """
    kernel = _KERNELS[method]
    shrink = min(scale, 1.0) if antialiasing else 1.0
    width = kernel.width / shrink
    positions = np.arange(1, size + 1) / scale + 0.5 * (1.0 - 1.0 / scale)
    first = np.floor(positions - width / 2.0)
    taps = first[:, np.newaxis] + np.arange(np.ceil(width) + 2)
    weights = kernel.weight(shrink * (positions[:, np.newaxis] - taps))
    weights /= weights.sum(axis=1, keepdims=True)

    wrapped = (taps.astype(np.intp) - 1) % (2 * length)
    mirrored = np.minimum(wrapped, 2 * length - 1 - wrapped)
    used = weights.any(axis=0)
    return weights[:, used], mirrored[:, used]


@lru_cache(maxsize=64)
def _weight_matrix(length: int, size: int, scale: float, method: str, antialiasing: bool) -> Any:
    """Return the weights as a sparse matrix (size, length).

    Sparse, because a pixel that is not a number must reach only the pixels around it.
    """
    from scipy.sparse import csr_array

    weights, indices = _contributions(length, size, scale, method, antialiasing)
    rows = np.repeat(np.arange(size), weights.shape[1])
    return csr_array((weights.ravel(), (rows, indices.ravel())), shape=(size, length))


def _to_class(values: Doubles, dtype: np.dtype[Any]) -> Array:
    """Convert as MATLAB does: integers round half away from zero and saturate."""
    if dtype.kind == "f":
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    clipped = np.fmin(np.fmax(values, limits.min), limits.max)
    return (clipped + np.copysign(0.5, clipped)).astype(dtype, order="C")


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
    CamError
        If the picture is of another type.

    Notes
    -----
    The function of the same name in the pycaffe port stretches the minimum and the maximum to
    [0, 1] instead.

    Examples
    --------
    >>> im2double(np.array([0, 51, 255], dtype=np.uint8))
    array([0. , 0.2, 1. ])
    """
    pixels = np.asarray(image)
    low, span = _class_range(pixels.dtype)
    return (pixels.astype(np.float64) - low) / span


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
    CamError
        If the limits are not two numbers.

    Examples
    --------
    >>> mat2gray([1, 2, 3])
    array([0. , 0.5, 1. ])
    >>> mat2gray([3, 3, 0.25])[:2]
    array([1., 1.])
    """
    values = np.asarray(matrix, dtype=np.float64)
    if limits is None:
        finite = values[~np.isnan(values)]
        limits = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    if len(limits) != 2:
        raise CamError(f"limits must be two numbers, not {limits!r}")
    low, high = (float(limit) for limit in limits)
    if low != high:
        slope = 1.0 / (high - low)
        values = values * slope - low * slope
    return np.clip(np.where(np.isnan(values), 1.0, values), 0.0, 1.0)


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
    CamError
        If the number of levels or the type of the picture is not one of these.

    Examples
    --------
    >>> gray2ind([0, 0.25, 0.5, 1], 256)
    array([  0,  64, 128, 255], dtype=uint8)
    """
    if not 1 <= levels <= 65536:
        raise CamError(f"a colour map has 1 to 65536 levels, not {levels}")
    pixels = np.asarray(image)
    low, span = _class_range(pixels.dtype)
    scaled = (pixels.astype(np.float64) - low) * ((levels - 1) / span)
    return _to_class(scaled, np.dtype(np.uint8 if levels <= 256 else np.uint16))


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
    CamError
        If the colour map does not have three columns.

    Examples
    --------
    >>> ind2rgb(np.array([0, 255], dtype=np.uint8), jet(256))
    array([[0.      , 0.      , 0.515625],
           [0.5     , 0.      , 0.      ]])
    """
    colors = np.asarray(colormap, dtype=np.float64)
    if colors.ndim != 2 or colors.shape[1] != 3 or not len(colors):
        raise CamError(f"a colour map has the shape (levels, 3), not {colors.shape}")
    positions = np.asarray(indices)
    if positions.dtype.kind == "f":
        positions = positions - 1
    found: Doubles = colors[np.clip(positions, 0, len(colors) - 1).astype(np.intp)]
    return found


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
    CamError
        If the number of levels is not positive.

    Examples
    --------
    >>> jet(4)
    array([[0., 0., 1.],
           [0., 1., 1.],
           [1., 1., 0.],
           [1., 0., 0.]])
    """
    if levels < 1:
        raise CamError(f"a colour map has at least one level, not {levels}")
    quarter = -(-levels // 4)
    green_start = -(-quarter // 2) - (levels % 4 == 1)
    starts = green_start + quarter * np.array([1, 0, -1])
    steps = np.arange(1, levels + 1)[:, np.newaxis] - starts
    channels: Doubles = np.clip(np.minimum(steps, 3 * quarter - steps) / quarter, 0.0, 1.0)
    return channels


def _class_range(dtype: np.dtype[Any]) -> tuple[float, float]:
    """Return the value of black and the distance to white of a picture's type."""
    if dtype.str[1:] in {"u1", "u2", "i2"}:
        limits = np.iinfo(dtype)
        return float(limits.min), float(limits.max) - float(limits.min)
    if dtype.kind == "b" or dtype.str[1:] in {"f4", "f8"}:
        return 0.0, 1.0
    if dtype.kind == "i" or dtype.kind == "u":
        raise CamError(f"a picture is uint8, uint16, int16, single or double, not {dtype}")
    raise CamError(f"a picture holds real numbers, not {dtype}")
