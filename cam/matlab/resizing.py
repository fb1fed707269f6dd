"""MATLAB's `imresize`, with MATLAB's values.

No library gives `imresize` to the precision wanted: Pillow and torch cut the kernel at the border
and normalise again instead of mirroring, scikit-image smooths with a Gaussian before a spline, and
OpenCV's cubic has a = -0.75 and no antialiasing. The function below follows MATLAB as it has been
since about 2014: older releases repeated the border pixel where these mirror the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cam.arguments import checked
from cam.errors import InvalidValueError, nearest_names, real_array

Array = NDArray[Any]
Doubles = NDArray[np.float64]

_RESIZABLE = ("b1", "i1", "i2", "i4", "u1", "u2", "u4", "f4", "f8")


class _Kernel(NamedTuple):
    weight: Callable[[Doubles], Doubles]
    width: float
    antialiasing: bool


_LARGEST = 2**20
"""Rows or columns of a result: more is a slip, and would only run out of memory."""


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


@checked
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
    InvalidValueError
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
    pixels = real_array(image, "a picture")
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    if pixels.ndim < 2 or pixels.size == 0:
        raise InvalidValueError(
            f"imresize needs rows and columns, got an array of shape {pixels.shape}"
        )
    if pixels.dtype.str[1:] not in _RESIZABLE:
        raise InvalidValueError(
            f"imresize cannot resize {pixels.dtype}: convert to float64 or uint8 first"
        )
    if method not in _KERNELS:
        names = ", ".join(_KERNELS)
        raise InvalidValueError(
            f"no method {method!r}{nearest_names(method, _KERNELS)}; there are {names}"
        )
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
        raise InvalidValueError(f"not a scale or a size: {scale_or_size!r}") from error
    known = given[~np.isnan(given)]
    if given.shape not in {(), (2,)} or not known.size:
        raise InvalidValueError(f"imresize takes one scale or two numbers, not {scale_or_size!r}")
    if not np.all(np.isfinite(known) & (known > 0)):
        raise InvalidValueError(f"a scale or a size must be positive, not {scale_or_size!r}")

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
    if sizes.max() > _LARGEST:
        raise InvalidValueError(f"{scale_or_size!r} gives more than {_LARGEST} rows or columns")
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
    return to_class(resized, pixels.dtype)


@lru_cache(maxsize=64)
def _contributions(
    length: int, size: int, scale: float, method: str, antialiasing: bool
) -> tuple[Doubles, NDArray[np.intp]]:
    """Return, for each output pixel, the weights and the indices of its input pixels.

    Indices are counted from one until the end, as in MATLAB: the rounding of the positions then
    agrees, and with it the choice of a neighbour that lies exactly half-way.
    """
    positions = np.arange(1, size + 1) / scale + 0.5 * (1.0 - 1.0 / scale)
    return _taps(positions, length, scale, method, antialiasing)


def _taps(
    positions: Doubles, length: int, scale: float, method: str, antialiasing: bool
) -> tuple[Doubles, NDArray[np.intp]]:
    """Return the weights and the indices of the input pixels around each position."""
    kernel = _KERNELS[method]
    shrink = min(scale, 1.0) if antialiasing else 1.0
    width = kernel.width / shrink
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
    return _sparse(*_contributions(length, size, scale, method, antialiasing), length)


def _sparse(weights: Doubles, indices: NDArray[np.intp], length: int) -> Any:
    from scipy.sparse import csr_array

    rows = np.repeat(np.arange(len(weights)), weights.shape[1])
    return csr_array((weights.ravel(), (rows, indices.ravel())), shape=(len(weights), length))


def resampling_matrix(
    length: int,
    positions: Doubles,
    scale: float,
    method: str = "bicubic",
    antialiasing: bool = True,
) -> Any:
    """Return the weights with which `imresize` would read one axis at any positions.

    Parameters
    ----------
    length : int
        How many pixels the axis has.
    positions : numpy.ndarray
        float64 (n,): where to read; the first pixel's middle is 0.5, the last one's
        `length` - 0.5. What lies outside is mirrored.
    scale : float
        How far apart two neighbouring pixels come to lie, in the new ones.
    method, antialiasing
        As for `imresize`.

    Returns
    -------
    scipy.sparse.csr_array
        float64 (n, `length`); each row adds up to 1.

    Examples
    --------
    >>> resampling_matrix(2, np.array([0.5, 1.0]), 2.0, "bilinear").toarray()
    array([[1. , 0. ],
           [0.5, 0.5]])
    """
    return _sparse(*_taps(positions + 0.5, length, scale, method, antialiasing), length)


def to_class(values: Doubles, dtype: np.dtype[Any]) -> Array:
    """Convert doubles to another class as MATLAB does.

    Parameters
    ----------
    values : numpy.ndarray
        Double precision, any shape.
    dtype : numpy.dtype
        Floating-point or integer.

    Returns
    -------
    numpy.ndarray
        Of that type; integers are rounded half away from zero and saturate.
    """
    if dtype.kind == "f":
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    clipped = np.fmin(np.fmax(values, limits.min), limits.max)
    return (clipped + np.copysign(0.5, clipped)).astype(dtype, order="C")
