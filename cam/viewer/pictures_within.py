"""Pictures as data URIs of a bounded size: what a report can carry of them."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from cam.pictures.reading import Picture
from cam.viewer.payload import data_uri

EXACT_SHARE = 250_000
"""Bytes for each picture from which on frames are kept without loss, and pictures beside them."""

_LONGEST_SIDE = 1024
_QUALITIES = (90, 75, 60, 45, 30, 15)
_SMALLER = (1, 2, 4)
"""By what a frame is divided that is too large in every quality."""


def pictures_within(room: float, frame: Picture, picture: Picture | None) -> dict[str, str]:
    """Return a frame, and the picture if there is room for it, as a payload has them.

    Parameters
    ----------
    room : float
        Bytes for both.
    frame : numpy.ndarray
        uint8 (256, 256, 3) BGR.
    picture : numpy.ndarray or None
        uint8 (rows, columns, 3) BGR, the picture itself.

    Returns
    -------
    dict of str to str
        ``frame`` and perhaps ``picture``, data URIs. The frame is a PNG if there is much room, else
        a JPEG of the best quality that fits.
    """
    if room < EXACT_SHARE:
        return {"frame": _within(room, _versions(frame))}
    exact = {"frame": data_uri(frame)}
    if picture is not None:
        exact["picture"] = _within(room - len(exact["frame"]), _versions(_reduced(picture)))
    return exact


def _reduced(picture: Picture) -> Picture:
    rows, columns = picture.shape[:2]
    scale = _LONGEST_SIDE / max(rows, columns)
    if scale >= 1:
        return picture
    size = max(1, round(columns * scale)), max(1, round(rows * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _versions(picture: Picture) -> Iterator[str]:
    """Yield a picture as data URIs, ever smaller."""
    rows, columns = picture.shape[:2]
    for divisor in _SMALLER:
        size = max(1, columns // divisor), max(1, rows // divisor)
        smaller = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        for quality in _QUALITIES:
            yield data_uri(np.asarray(smaller, np.uint8), "jpeg", quality)


def _within(room: float, versions: Iterator[str]) -> str:
    for version in versions:
        if len(version) <= room:
            break
    return version
