"""Showing overlays in windows, one for each class, as the pycaffe port does."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import cv2

from cam.errors import CamError

if TYPE_CHECKING:
    from cam.explain.drawing import Drawing
    from cam.explain.explanation import Explanation


def check_display() -> None:
    """Make sure that a window can be opened.

    Raises
    ------
    CamError
        If the machine has no display, or OpenCV was built without windows.
    """
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        raise CamError(
            "--show needs a display, and neither DISPLAY nor WAYLAND_DISPLAY names one; "
            "without --show the overlays are written as files"
        )
    try:
        cv2.namedWindow("cam", cv2.WINDOW_AUTOSIZE)
        cv2.destroyWindow("cam")
    except cv2.error as error:
        raise CamError(
            "--show needs OpenCV with windows (opencv-python, not opencv-python-headless) "
            f"and a display that answers: {error.err}"
        ) from error


def show_overlays(result: Explanation, drawing: Drawing | None = None) -> None:
    """Open one window after another, each until a key is pressed, as `py_demo.py` does.

    Parameters
    ----------
    result : cam.explain.explanation.Explanation
        What to show. The windows have the class names as titles.
    drawing : cam.explain.drawing.Drawing, optional
        How it is drawn; as published if not given.
    """
    for k, name in enumerate(result.names):
        cv2.imshow(name, result.overlay(k, drawing))
        cv2.waitKey(0)
        cv2.destroyAllWindows()
