"""The original's ten crops: where they lie, and the merge of their maps."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cam.arguments import checked
from cam.errors import InvalidValueError
from cam.maps.precision import floating

CHANNELS = 3
"""The identical channels of a map over which the original adds up."""


class CropPosition(NamedTuple):
    """Where a crop's upper left corner lies in the frame, and whether the crop is mirrored."""

    row: int
    column: int
    mirrored: bool


@checked
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
    InvalidValueError
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
        raise InvalidValueError(f"a crop of {crop} pixels does not fit into a frame of {frame}")
    offsets = (0, frame - crop)
    center = (frame - crop + 1) // 2
    places = [(row, column) for column in offsets for row in offsets] + [(center, center)]
    return tuple(
        CropPosition(row, column, mirrored) for mirrored in (False, True) for row, column in places
    )


@checked
def merge_ten_crop(maps: NDArray[Any], crop: int, frame: int = 256) -> NDArray[np.float32]:
    """Merge the maps of ten crops into maps of the whole picture.

    The absolute values are summed, over the crops and over three identical channels. The sum is
    not divided by how many crops cover a pixel: the middle is covered more often than the border.

    Parameters
    ----------
    maps : numpy.ndarray
        Shape (10, T, crop, crop), in the order of `ten_crop_positions`; real numbers.
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
    InvalidValueError
        If the maps are not ten crops of that size, or have no real numbers.

    References
    ----------
    `mergeTenCrop.m` of the original.

    Examples
    --------
    >>> merged = merge_ten_crop(np.full((10, 1, 224, 224), -1.0), crop=224)
    >>> merged[0, [0, 128], [0, 128]]
    array([ 6., 30.], dtype=float32)
    """
    positions, maps = ten_crop_positions(crop, frame), floating(maps)
    if maps.ndim != 4 or maps.shape[0] != len(positions) or maps.shape[2:] != (crop, crop):
        raise InvalidValueError(
            f"maps of ten crops have the shape (10, classes, {crop}, {crop}), not {maps.shape}"
        )
    merged = np.zeros((maps.shape[1], frame, frame), dtype=np.float32)
    for crop_maps, (row, column, mirrored) in zip(maps, positions, strict=True):
        upright = crop_maps[:, :, ::-1] if mirrored else crop_maps
        merged[:, row : row + crop, column : column + crop] += np.abs(upright)
    return merged * np.float32(CHANNELS)
