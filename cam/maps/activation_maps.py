"""Class activation maps: weighted sums of the last convolution's maps, and their enlargement."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cam.arguments import checked
from cam.errors import InvalidValueError, real_array, whole_number
from cam.maps.precision import floating
from cam.matlab.resizing import imresize

Array = NDArray[Any]

_LARGEST = 2**15
"""Rows and columns that maps are enlarged to at most: such a map alone takes 8 GB."""


@checked
def return_cam_map(activations: Array, class_weights: Array) -> Array:
    """Return the class activation maps of a batch: for each class, the weighted sum of the maps.

    The bias of the class layer is not added. Each map is its own matrix-vector product, so that a
    map has the same bits alone, among others, and in the pycaffe port.

    Parameters
    ----------
    activations : numpy.ndarray
        The last convolution's output, shape (N, K, h, w), real numbers.
    class_weights : numpy.ndarray
        The class layer's rows of the classes wanted, shape (T, K), real numbers.

    Returns
    -------
    numpy.ndarray
        Shape (N, T, h, w), of NumPy's type for products of the arguments', as in the port: single
        precision for single-precision arguments. Where that is an integer type or half precision,
        in which the port's sums wrap around or overflow, double or single precision.

    Raises
    ------
    InvalidValueError
        If the shapes do not fit each other, or an argument has no real numbers.

    References
    ----------
    Zhou et al., *Learning Deep Features for Discriminative Localization*, CVPR 2016, equation 2;
    `returnCAMmap.m` of the original.

    Examples
    --------
    >>> activations = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)
    >>> return_cam_map(activations, np.array([[1, -1]], dtype=np.float32))[0, 0]
    array([[-4., -4.],
           [-4., -4.]], dtype=float32)
    """
    activations, class_weights = _operands(activations, class_weights)
    if activations.ndim != 4:
        raise InvalidValueError(f"activations have the shape (N, K, h, w), not {activations.shape}")
    count, channels, rows, columns = activations.shape
    if class_weights.ndim != 2 or class_weights.shape[1] != channels:
        raise InvalidValueError(
            f"class weights of shape {class_weights.shape} do not fit activations of {channels} "
            f"channels: they need the shape (classes, {channels})"
        )
    maps: Array = np.matmul(
        class_weights[np.newaxis, :, np.newaxis, :],
        activations.reshape(count, 1, channels, rows * columns),
    )
    return maps.reshape(count, len(class_weights), rows, columns)


def _operands(*arrays: Array) -> list[Array]:
    """Return arrays contiguous, and floating where their product would not be so."""
    kinds = [real_array(array, "a map's factor").dtype for array in arrays]
    product = np.result_type(*kinds) if all(kind.kind in "biuf" for kind in kinds) else None
    if product is None or product.kind != "f" or product.itemsize < 4:
        arrays = tuple(floating(array, "a class activation map") for array in arrays)
    return [np.ascontiguousarray(array) for array in arrays]


@checked
def pooled_features(activations: Array, maximum: bool = False) -> NDArray[np.float32]:
    """Return the globally pooled activations of a picture, the mean over its crops.

    Parameters
    ----------
    activations : numpy.ndarray
        The last convolution's output, shape (crops, K, h, w).
    maximum : bool, optional
        Pool by the maximum, as networks with global max pooling do, not by the average.

    Returns
    -------
    numpy.ndarray
        float32 (K,). The class layer's output for them, less its bias, is the mean over the crops
        of what it is for each.

    References
    ----------
    Zhou et al., 2016, sections 2 (F_k) and 4.

    Examples
    --------
    >>> activations = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)
    >>> pooled_features(activations), pooled_features(activations, maximum=True)
    (array([1.5, 5.5], dtype=float32), array([3., 7.], dtype=float32))
    """
    numbers = real_array(activations, "the activations", 4)
    if 0 in numbers.shape:
        raise InvalidValueError(f"activations of shape {numbers.shape} have nothing to pool")
    places = numbers.reshape(*numbers.shape[:2], -1)
    pooled = places.max(axis=2) if maximum else places.mean(axis=2, dtype=np.float64)
    return np.asarray(pooled.mean(axis=0, dtype=np.float64), np.float32)


@checked
def py_returnCAMmap(activation: Array, weights_LR: Array) -> NDArray[np.float64]:  # noqa: N802
    """Return the class activation maps as the pycaffe port's function of this name does.

    Parameters
    ----------
    activation : numpy.ndarray
        The last convolution's output, shape (N, K, h, w).
    weights_LR : numpy.ndarray
        The class layer's rows of the classes wanted, shape (T, K).

    Returns
    -------
    numpy.ndarray
        For one image shape (h, w, T), with the values of the port bit by bit. For N > 1 images,
        which the port refuses, shape (h, w, T, N), the order of the original `returnCAMmap.m`.
        Double precision, as in the port, holding sums in the precision of `return_cam_map`.

    Raises
    ------
    InvalidValueError
        If the shapes do not fit each other, or an argument has no real numbers.

    References
    ----------
    `py_returnCAMmap.py` of gcucurull/CAM-Python.

    Examples
    --------
    >>> py_returnCAMmap(np.ones((1, 3, 2, 4)), np.ones((5, 3))).shape
    (2, 4, 5)
    """
    maps = return_cam_map(activation, weights_LR).astype(np.float64)
    batch = np.ascontiguousarray(maps.transpose(2, 3, 1, 0))
    return batch[..., 0] if len(maps) == 1 else batch


@checked
def enlarge_maps(maps: Array, size: int) -> Array:
    """Enlarge maps to `size` x `size` with MATLAB's `imresize`, bicubic.

    Parameters
    ----------
    maps : numpy.ndarray
        Shape (..., h, w).
    size : int
        The new number of rows and of columns.

    Returns
    -------
    numpy.ndarray
        Shape (..., size, size), type of `maps`.

    Examples
    --------
    >>> enlarge_maps(np.ones((10, 5, 14, 14), dtype=np.float32), 224).shape
    (10, 5, 224, 224)
    """
    maps = real_array(maps, "a map")
    if maps.ndim < 2 or 0 in maps.shape:
        raise InvalidValueError(f"maps have the shape (..., h, w), not {maps.shape}")
    size = whole_number(size, "the new size", 1, _LARGEST)
    rows, columns = maps.shape[-2:]
    if rows != columns or maps.dtype.kind != "f" or not np.isfinite(maps).all():
        enlarged = imresize(np.moveaxis(maps, (-2, -1), (0, 1)), (size, size))
        return np.moveaxis(enlarged, (0, 1), (-2, -1))
    # A third of the time of `imresize`: matrices this small are faster with their zeros, and the
    # maps need not be copied to lie as they lay. The sums are the same: each of the two axes is
    # summed in double and rounded to the maps' type.
    weights = _enlarging_matrix(rows, size)
    stretched = np.matmul(weights, maps).astype(maps.dtype)
    enlarged_maps: Array = np.matmul(stretched, weights.T).astype(maps.dtype)
    return enlarged_maps


@lru_cache(maxsize=8)
def _enlarging_matrix(length: int, size: int) -> NDArray[np.float64]:
    """Return the weights (size, length) with which `imresize` enlarges one axis."""
    return np.ascontiguousarray(imresize(np.eye(length), (size, length)))
