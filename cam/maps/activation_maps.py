"""Class activation maps: weighted sums of the last convolution's maps, and the ten-crop merge."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cam.errors import CamError
from cam.matlab.functions import imresize

Array = NDArray[Any]


class CropPosition(NamedTuple):
    """Where a crop's upper left corner lies in the frame, and whether the crop is mirrored."""

    row: int
    column: int
    mirrored: bool


def return_cam_map(activations: Array, class_weights: Array) -> Array:
    """Return the class activation maps of a batch: for each class, the weighted sum of the maps.

    The bias of the class layer is not added. Each map is its own matrix-vector product, so that a
    map has the same bits alone, among others, and in the pycaffe port.

    Parameters
    ----------
    activations : numpy.ndarray
        The last convolution's output, shape (N, K, h, w).
    class_weights : numpy.ndarray
        The class layer's rows of the classes wanted, shape (T, K).

    Returns
    -------
    numpy.ndarray
        Shape (N, T, h, w); single precision for single-precision input.

    Raises
    ------
    CamError
        If the shapes do not fit each other.

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
    activations = np.ascontiguousarray(activations)
    class_weights = np.ascontiguousarray(class_weights)
    if activations.ndim != 4:
        raise CamError(f"activations have the shape (N, K, h, w), not {activations.shape}")
    count, channels, rows, columns = activations.shape
    if class_weights.ndim != 2 or class_weights.shape[1] != channels:
        raise CamError(
            f"class weights of shape {class_weights.shape} do not fit activations of {channels} "
            f"channels: they need the shape (classes, {channels})"
        )
    maps: Array = np.matmul(
        class_weights[np.newaxis, :, np.newaxis, :],
        activations.reshape(count, 1, channels, rows * columns),
    )
    return maps.reshape(count, len(class_weights), rows, columns)


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
    places = activations.reshape(*activations.shape[:2], -1)
    pooled = places.max(axis=2) if maximum else places.mean(axis=2, dtype=np.float64)
    return np.asarray(pooled.mean(axis=0, dtype=np.float64), np.float32)


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
        Double precision, as in the port, holding sums in the precision of the arguments.

    Raises
    ------
    CamError
        If the shapes do not fit each other.

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
    rows, columns = maps.shape[-2:]
    if rows != columns or maps.dtype.kind != "f" or not np.isfinite(maps).all():
        enlarged = imresize(np.moveaxis(maps, (-2, -1), (0, 1)), (size, size))
        return np.moveaxis(enlarged, (0, 1), (-2, -1))
    # Matrices this small are faster with their zeros, and the maps stay as they lie in memory.
    # As `imresize` does, each of the two axes is summed in double and rounded to the maps' type.
    weights = _enlarging_matrix(rows, size)
    stretched = np.matmul(weights, maps).astype(maps.dtype)
    enlarged_maps: Array = np.matmul(stretched, weights.T).astype(maps.dtype)
    return enlarged_maps


@lru_cache(maxsize=8)
def _enlarging_matrix(length: int, size: int) -> NDArray[np.float64]:
    """Return the weights (size, length) with which `imresize` enlarges one axis."""
    return np.ascontiguousarray(imresize(np.eye(length), (size, length)))


def ten_crop_positions(crop: int, frame: int = 256) -> tuple[CropPosition, ...]:
    """Return where the original's ten crops lie, in the original's order.

    Parameters
    ----------
    crop : int
        Rows and columns of a crop.
    frame : int, optional
        Rows and columns of the picture.

    Returns
    -------
    tuple of CropPosition
        The four corners with the column in the outer loop, the center, and the same five places
        mirrored left to right. The mirroring is done after cropping.

    Raises
    ------
    CamError
        If the crop does not fit into the frame.

    References
    ----------
    `matlab/demo/classification_demo.m` of Caffe, from which the original's `prepare_image.m`
    comes. It halves the last corner's offset counted from one, so an odd margin rounds up.

    Examples
    --------
    >>> [(row, column) for row, column, mirrored in ten_crop_positions(224) if not mirrored]
    [(0, 0), (32, 0), (0, 32), (32, 32), (16, 16)]
    """
    if not 0 < crop <= frame:
        raise CamError(f"a crop of {crop} pixels does not fit into a frame of {frame}")
    offsets = (0, frame - crop)
    center = (frame - crop + 1) // 2
    places = [(row, column) for column in offsets for row in offsets] + [(center, center)]
    return tuple(
        CropPosition(row, column, mirrored) for mirrored in (False, True) for row, column in places
    )


def merge_ten_crop(maps: Array, crop: int, frame: int = 256) -> NDArray[np.float32]:
    """Merge the maps of ten crops into maps of the whole picture.

    The absolute values are summed, over the crops and over three identical channels. The sum is
    not divided by how many crops cover a pixel: the middle is covered more often than the border.

    Parameters
    ----------
    maps : numpy.ndarray
        Shape (10, T, crop, crop), in the order of `ten_crop_positions`.
    crop : int
        Rows and columns of a crop.
    frame : int, optional
        Rows and columns of the picture.

    Returns
    -------
    numpy.ndarray
        Shape (T, frame, frame), single precision, not negative.

    Raises
    ------
    CamError
        If the maps are not ten crops of that size.

    References
    ----------
    `mergeTenCrop.m` of the original.

    Examples
    --------
    >>> merged = merge_ten_crop(np.full((10, 1, 224, 224), -1.0), crop=224)
    >>> merged[0, [0, 128], [0, 128]]
    array([ 6., 30.], dtype=float32)
    """
    positions = ten_crop_positions(crop, frame)
    if maps.ndim != 4 or maps.shape[0] != len(positions) or maps.shape[2:] != (crop, crop):
        raise CamError(
            f"maps of ten crops have the shape (10, classes, {crop}, {crop}), not {maps.shape}"
        )
    merged = np.zeros((maps.shape[1], frame, frame), dtype=np.float32)
    for crop_maps, (row, column, mirrored) in zip(maps, positions, strict=True):
        upright = crop_maps[:, :, ::-1] if mirrored else crop_maps
        merged[:, row : row + crop, column : column + crop] += np.abs(upright)
    return merged * np.float32(3.0)
