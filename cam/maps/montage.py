"""Pictures side by side, and text under them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from cam.arguments import checked
from cam.errors import InvalidValueError, real_array, whole_number

_FONT = cv2.FONT_HERSHEY_SIMPLEX

_WIDEST, _LARGEST_SCALE = 2**20, 1024
"""Columns of a strip, and how many times larger its text may be: more is a slip."""

NARROWEST = 96
"""Columns that a picture with text under it has at least."""

GAP = 8
"""White columns between the pictures of a montage, as in the original's `result.jpg`."""


@checked
def caption(lines: Sequence[str], width: int, scale: float = 1.0) -> NDArray[np.uint8]:
    """Return a white strip with lines of text, to stand under a picture.

    Parameters
    ----------
    lines : sequence of str
        The lines, from the top. One that is too long for the width is written smaller.
    width : int
        How wide the strip is.
    scale : float, optional
        How many times larger than usual, for large pictures.

    Returns
    -------
    numpy.ndarray
        uint8 (4 and 20 for each line, both times `scale`, `width`, 3).

    Examples
    --------
    >>> caption(["1: 0.897", "espresso"], 256).shape
    (44, 256, 3)
    """
    if not 0 < scale <= _LARGEST_SCALE:
        raise InvalidValueError(
            f"the scale of a caption is from 0 to {_LARGEST_SCALE}, not {scale}"
        )
    width = whole_number(width, "the width of a caption", 1, _WIDEST)
    margin, line_height, base = (round(each * scale) for each in (4, 20, 17))
    size, thick = 0.5 * scale, max(1, round(scale / 2))
    strip = np.full((margin + line_height * len(lines), width, 3), 255, np.uint8)
    for row, text in enumerate(lines):
        (length, _), _ = cv2.getTextSize(text, _FONT, size, thick)
        fitted = size * min(1.0, max(width - 2 * margin, 1) / max(length, 1))
        place = (margin, base + line_height * row)
        cv2.putText(strip, text, place, _FONT, fitted, (0, 0, 0), thick, cv2.LINE_AA)
    return strip


@checked
def fitted(picture: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.uint8]:
    """Return a picture with white at its right and below, so that it has a size at least.

    Examples
    --------
    >>> fitted(np.zeros((1, 1, 3), np.uint8), 1, 3)[0, :, 0].tolist()
    [0, 255, 255]
    """
    picture = real_array(picture, "a picture", 3)
    down, across = max(rows - picture.shape[0], 0), max(columns - picture.shape[1], 0)
    if not (down or across):
        return picture
    return np.pad(picture, ((0, down), (0, across), (0, 0)), constant_values=255)


@checked
def captioned(
    picture: NDArray[np.uint8], lines: Sequence[str], scale: float = 1.0
) -> NDArray[np.uint8]:
    """Return a picture with lines of text under it; see `caption`.

    Parameters
    ----------
    picture : numpy.ndarray
        uint8 (H, W, 3). One that is too narrow for text has white at its right.
    lines : sequence of str
        The lines.
    scale : float, optional
        As for `caption`.
    """
    shown = fitted(picture, 0, NARROWEST)
    return np.concatenate([shown, caption(lines, shown.shape[1], scale)])


@checked
def montage(pictures: Sequence[NDArray[np.uint8]], columns: int | None = None) -> NDArray[np.uint8]:
    """Put pictures side by side with white columns between, as `demo.m` does.

    Parameters
    ----------
    pictures : sequence of numpy.ndarray
        uint8 (H, W, 3) each; smaller ones have white at their right and below.
    columns : int, optional
        How many stand side by side; further ones stand below, after as much white. All if not
        given.

    Returns
    -------
    numpy.ndarray
        uint8 (H, the widths and 8 columns between each two, 3).

    Examples
    --------
    >>> montage([np.zeros((4, 6, 3), np.uint8)] * 3).shape
    (4, 34, 3)
    >>> montage([np.zeros((4, 6, 3), np.uint8)] * 3, columns=2).shape
    (16, 20, 3)
    """
    pictures = [real_array(picture, "a picture", 3) for picture in pictures]
    if not pictures:
        raise InvalidValueError("there are no pictures to put side by side")
    if columns is not None:
        columns = whole_number(columns, "the number of columns", 1, _WIDEST)
    height = max(picture.shape[0] for picture in pictures)
    if columns is None or columns >= len(pictures):
        return _joined([fitted(picture, height, 0) for picture in pictures], 1)
    width = max(picture.shape[1] for picture in pictures)
    cells = [fitted(picture, height, width) for picture in pictures]
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % columns)
    rows = [_joined(cells[at : at + columns], 1) for at in range(0, len(cells), columns)]
    return _joined(rows, 0)


def _joined(pictures: Sequence[NDArray[np.uint8]], axis: int) -> NDArray[np.uint8]:
    shape = list(pictures[0].shape)
    shape[axis] = GAP
    gap = np.full(shape, 255, np.uint8)
    between = [each for picture in pictures for each in (gap, picture)]
    return np.concatenate(between[1:], axis=axis)
