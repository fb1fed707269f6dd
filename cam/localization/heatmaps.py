"""Grey heat maps: made of maps, read from pictures and from colours."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cam.arguments import checked
from cam.errors import InvalidValueError, real_array
from cam.files import PathLike, read_bytes
from cam.matlab import imresize
from cam.pictures.reading import decode_picture


@checked
def grey_heatmap(activation_map: ArrayLike) -> NDArray[np.uint8]:
    """Turn a map into the grey heat map that the box generator reads.

    As the original's ``ILSVRC_generate_heatmap.m``: the map is divided by its maximum, and 0 to 1
    becomes 0 to 255, rounded. Negative values become 0. (The original stores the result as JPEG,
    which changes grey levels by a few.)

    Parameters
    ----------
    activation_map : array_like, shape (h, w)
        The merged map at the picture's own size. NaN counts as 0.

    Returns
    -------
    ndarray of uint8, shape (h, w)
        The grey heat map; all 0 if no value is positive.

    Raises
    ------
    InvalidValueError
        If the map is not two-dimensional, is empty or holds infinite values.

    Examples
    --------
    >>> grey_heatmap([[-1.0, 0.5, 2.0]])
    array([[  0,  64, 255]], dtype=uint8)
    """
    values = checked_map(activation_map)
    peak = values.max()
    if peak <= 0:
        return np.zeros(values.shape, np.uint8)
    levels = np.divide(values, peak, dtype=np.float64)
    np.maximum(levels, 0, out=levels)
    levels *= 255
    levels += 0.5
    return np.asarray(levels, np.uint8, order="C")


@checked
def checked_map(activation_map: ArrayLike) -> NDArray[Any]:
    """Return a map of numbers with 0 for NaN.

    Parameters
    ----------
    activation_map : array_like, shape (h, w)
        A map in any unit.

    Returns
    -------
    ndarray, shape (h, w)
        The map; the argument itself where nothing is to be changed.

    Raises
    ------
    InvalidValueError
        If it is not two-dimensional, is empty or holds infinite values.
    """
    values = real_array(activation_map, "a map")
    if values.dtype.kind == "b":
        values = values.astype(np.float64)
    if values.ndim != 2 or values.size == 0:
        raise InvalidValueError(f"a map has the shape (h, w), not {values.shape}")
    if np.isfinite((values.min(), values.max())).all():
        return values
    if np.isinf(values).any():
        raise InvalidValueError("the map holds infinite values, so it has no maximum to divide by")
    cleaned: NDArray[Any] = np.nan_to_num(values)
    return cleaned


@checked
def picture_heatmap(merged_map: NDArray[Any], picture_size: tuple[int, int]) -> NDArray[np.uint8]:
    """Enlarge a map to its picture's own size and turn it into a grey heat map.

    As the original's ``ILSVRC_generate_heatmap.m``: MATLAB's bicubic ``imresize``, then
    :func:`grey_heatmap`.

    Parameters
    ----------
    merged_map : ndarray, shape (h, w)
        A map of the whole picture, as :attr:`cam.explain.explanation.Explanation.merged` has them.
    picture_size : pair of int
        The picture's rows and columns.

    Returns
    -------
    ndarray of uint8, shape (rows, columns)
        The grey heat map.

    Raises
    ------
    CamError
        If the map or the size is not what it should be.

    Examples
    --------
    >>> picture_heatmap(np.ones((256, 256), np.float32), (30, 40)).shape
    (30, 40)
    """
    rows, columns = picture_size
    return grey_heatmap(imresize(merged_map, (rows, columns)))


@checked
def levels_of_colors(picture: NDArray[np.uint8], colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn a coloured heat map back into grey levels.

    Parameters
    ----------
    picture : ndarray of uint8, shape (h, w, 3)
        The coloured heat map, BGR.
    colors : ndarray of uint8, shape (256, 3)
        The colours of the levels 0 to 255, BGR: see :func:`cam.maps.colors.colors`.

    Returns
    -------
    ndarray of uint8, shape (h, w)
        For each pixel the level whose colour is nearest (the first one of several).

    Examples
    --------
    >>> from cam.maps.colors import colors
    >>> levels_of_colors(colors("jet")[np.newaxis, [0, 100, 255]], colors("jet"))
    array([[  0, 100, 255]], dtype=uint8)
    """
    if picture.shape[2:] != (3,) or colors.shape != (256, 3):
        raise InvalidValueError(
            f"a coloured heat map has the shape (h, w, 3) and its colours (256, 3), not "
            f"{picture.shape} and {colors.shape}"
        )
    pixels = picture.reshape(-1, 3).astype(np.int64)
    codes, inverse = np.unique(pixels @ (1 << 16, 1 << 8, 1), return_inverse=True)
    seen = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1).astype(np.float32)
    known = colors.astype(np.float32)
    # The squared distance less what is the same for all levels; whole numbers, exact in float32.
    nearest = np.argmin((known**2).sum(axis=1) - 2 * seen @ known.T, axis=1)
    return np.asarray(nearest[inverse].reshape(picture.shape[:2]), np.uint8)


@checked
def read_heatmap(path: PathLike) -> NDArray[np.uint8]:
    """Read a picture file as a grey heat map.

    Parameters
    ----------
    path : path-like
        A grey picture; a colour picture is turned grey by OpenCV.

    Returns
    -------
    ndarray of uint8, shape (h, w)
        The grey levels.

    Raises
    ------
    CamError
        If the file is missing, damaged, too large or not a picture.
    """
    return decode_picture(read_bytes(path, "the heat map"), os.fspath(path), grey=True)
