"""Boxes drawn on pictures, as in the paper's figures."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from cam.arguments import checked
from cam.errors import InvalidValueError
from cam.localization.boxes import Box

_GREEN = (0, 255, 0)
_RED = (0, 0, 255)


@checked
def draw_boxes(
    picture: NDArray[np.uint8], predicted: Iterable[Box], ground_truth: Iterable[Box] = ()
) -> NDArray[np.uint8]:
    """Draw boxes on a picture: ground truth green, predicted red on top, as in the paper's figures.

    Parameters
    ----------
    picture : ndarray of uint8, shape (h, w, 3) or (h, w)
        A BGR or grey picture; it is not changed.
    predicted, ground_truth : iterable of Box
        The boxes in the picture's pixels.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
        A BGR picture. The lines are 1/160 of its longer side wide, at least one pixel.

    Raises
    ------
    InvalidValueError
        If the picture is not a BGR or grey picture of 8 bits.
    """
    if picture.dtype != np.uint8 or picture.size == 0 or picture.shape[2:] not in ((), (3,)):
        raise InvalidValueError(
            f"boxes are drawn on 8-bit BGR or grey pictures, not {picture.dtype} {picture.shape}"
        )
    is_grey = picture.ndim == 2
    canvas = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR) if is_grey else picture.copy(order="C")
    line_width = max(1, round(max(canvas.shape[:2]) / 160))
    for boxes, color in ((ground_truth, _GREEN), (predicted, _RED)):
        for box in boxes:
            x1, y1, x2, y2 = box.inclusive_corners
            cv2.rectangle(canvas, (x1, y1), (x2, y2), color, line_width)
    return np.asarray(canvas, np.uint8)
