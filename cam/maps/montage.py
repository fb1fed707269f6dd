"""Pictures side by side, and text under them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

GAP = 8
"""White columns between the pictures of a montage, as in the original's `result.jpg`."""


def caption(lines: Sequence[str], width: int) -> NDArray[np.uint8]:
    """Return a white strip with lines of text, to stand under a picture.

    Parameters
    ----------
    lines : sequence of str
        The lines, from the top. One that is too long for the width is written smaller.
    width : int
        How wide the strip is.

    Returns
    -------
    numpy.ndarray
        uint8 (4 and 20 for each line, `width`, 3).

    Examples
    --------
    >>> caption(["1: 0.897", "espresso"], 256).shape
    (44, 256, 3)
    """
    margin, line_height, size = 4, 20, 0.5
    strip = np.full((margin + line_height * len(lines), width, 3), 255, np.uint8)
    for row, text in enumerate(lines):
        (length, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
        scale = size * min(1.0, (width - 2 * margin) / max(length, 1))
        place = (margin, 17 + line_height * row)
        cv2.putText(strip, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), 1, cv2.LINE_AA)
    return strip


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
