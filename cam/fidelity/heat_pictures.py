"""Heat maps read back from pictures: from composite figures, colours, and overlays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from cam.maps.colors import colors
from cam.maps.montage import GAP
from cam.maps.overlays import HEAT_SHARE, PICTURE_SHARE
from cam.matlab import jet
from cam.pictures.reading import FRAME, Picture

__all__ = ["heat_map_of_colors", "heat_map_of_overlay", "is_grey", "is_overlay", "split_figure"]

COLOR_DISTANCE = 12.0
"""How far, in grey levels, the median pixel of a heat picture may be from the colour map.

JPEG moves it by two or three; photographs are 60 and more away.
"""

SAMPLE = 4096
"""How many pixels of a picture, spread over it, tell what it is."""


def split_figure(picture: Picture) -> list[Picture]:
    """Take a row of pictures with white columns between, and maybe captions below, apart.

    Parameters
    ----------
    picture : numpy.ndarray
        uint8 (H, W, 3) BGR.

    Returns
    -------
    list of numpy.ndarray
        The pictures, uint8 (256, 256, 3); none if it is no such row of two or more.
    """
    count, rest = divmod(picture.shape[1] + GAP, FRAME + GAP)
    if len(picture) < FRAME or count < 2 or rest:
        return []
    tiles = [picture[:FRAME, k * (FRAME + GAP) :][:, : FRAME + GAP] for k in range(count)]
    if any(tile[:, FRAME:].mean() < 240 for tile in tiles[:-1]):
        return []
    return [tile[:, :FRAME] for tile in tiles]


def heat_map_of_colors(picture: NDArray[Any]) -> NDArray[np.float64] | None:
    """Return the level, in [0, 1], of each pixel in MATLAB's or OpenCV's jet.

    Parameters
    ----------
    picture : numpy.ndarray
        (H, W, 3) BGR, in levels from 0 to 255.

    Returns
    -------
    numpy.ndarray or None
        float64 (H, W); None if the picture is not in these colours.
    """
    palettes = [KDTree(palette) for palette in (jet(256)[:, ::-1] * 255, colors("jet"))]
    away = [float(np.median(palette.query(_sample(picture))[0])) for palette in palettes]
    if min(away) > COLOR_DISTANCE:
        return None
    _, levels = palettes[int(np.argmin(away))].query(picture.reshape(-1, 3))
    return np.asarray(levels.reshape(picture.shape[:2]) / 255.0)


def heat_map_of_overlay(frame: Picture | None, overlay: NDArray[Any]) -> NDArray[np.float64] | None:
    """Return the heat map of an overlay, as `heat_map_of_colors`, given the picture under it."""
    if frame is None or frame.shape != overlay.shape:
        return None
    return heat_map_of_colors((overlay - PICTURE_SHARE * frame) / HEAT_SHARE)


def _sample(picture: NDArray[Any]) -> NDArray[Any]:
    pixels = picture.reshape(-1, 3)
    return pixels[:: max(1, len(pixels) // SAMPLE)]


def is_overlay(picture: Picture) -> bool:
    """Tell whether some colour of the map, in its share, leaves a picture in its share."""
    pixels = _sample(picture)[:, np.newaxis].astype(np.float32)
    rest = pixels - np.float32(HEAT_SHARE) * colors("jet").astype(np.float32)
    outside = np.maximum(-rest, rest - np.float32(255 * PICTURE_SHARE)).clip(min=0)
    return bool(np.median(outside.max(axis=2).min(axis=1)) <= COLOR_DISTANCE)


def is_grey(picture: Picture) -> bool:
    """Tell whether a picture is grey, give or take the level by which JPEG moves channels."""
    return bool(np.ptp(picture.astype(np.int16), axis=2).max() <= 2)
