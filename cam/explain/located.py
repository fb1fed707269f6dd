"""Boxes of a picture's classes, and their files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cam.errors import CamError
from cam.explain.explanation import Explanation, class_file_name, remove_earlier
from cam.localization import Box, BoxRule, draw_boxes, levels_of_colors, read_heatmap, write_boxes
from cam.maps.colors import colors
from cam.pictures.reading import Picture, write_picture

_SUFFIXES = ("boxes.txt", "boxes_original.txt", "boxes.png", "heatmap.png")

MOST_COLOUR = 8
"""How far the channels of a grey picture that was stored as a colour JPEG may differ."""

MOST_FROM_COLORS = 32
"""How far half of the pixels may be from a colour map's colours; JPEG moves them by less."""


@dataclass(frozen=True, eq=False)
class LocatedClass:
    """A heat map at its picture's own size, and the boxes in it.

    Attributes
    ----------
    name : str
        The class's name; empty for a heat map of no known class.
    heat_map : numpy.ndarray
        uint8 (rows, columns).
    boxes : sequence of cam.localization.Box
        In the picture's pixels, largest first.
    rank : int
        The class's rank from 1 among the top ones; 0 if it was named.
    probability : float or None
        Of the class.
    """

    name: str
    heat_map: NDArray[np.uint8]
    boxes: Sequence[Box]
    rank: int = 0
    probability: float | None = None

    @property
    def prefix(self) -> str:
        """How the names of its files begin."""
        if not self.name:
            return ""
        plain = class_file_name(self.name)
        return f"top{self.rank}_{plain}_" if self.rank else f"{plain}_"

    def to_dict(self) -> dict[str, Any]:
        """Return class, probability and the boxes' corners, ready for JSON."""
        return {
            "class": self.name or None,
            "probability": self.probability,
            "corners": [list(box.corners) for box in self.boxes],
        }


def locate(explanation: Explanation, rule: BoxRule, ranked: bool = True) -> list[LocatedClass]:
    """Find the boxes of each class of an explanation in the picture's own pixels.

    Parameters
    ----------
    explanation : cam.explain.explanation.Explanation
        The classes and their maps.
    rule : cam.localization.BoxRule
        How boxes are found.
    ranked : bool, optional
        Whether the classes are the top ones in their order.

    Returns
    -------
    list of LocatedClass
        One for each class.
    """
    located = []
    for k, name in enumerate(explanation.names):
        heat_map = explanation.picture_heat_map(k)
        probability = float(explanation.probabilities[k])
        boxes = rule.boxes(heat_map)
        located.append(LocatedClass(name, heat_map, boxes, k + 1 if ranked else 0, probability))
    return located


def heat_map_levels(picture: Picture, path: Path, colormap: str | None = None) -> NDArray[np.uint8]:
    """Return the grey levels of a picture that is a heat map itself.

    Parameters
    ----------
    picture : numpy.ndarray
        uint8 (rows, columns, 3) BGR.
    path : pathlib.Path
        Its file.
    colormap : str, optional
        The colours that it is in; grey if not given.

    Returns
    -------
    numpy.ndarray
        uint8 (rows, columns).

    Raises
    ------
    CamError
        If the picture is not grey, or not in these colours.
    """
    if colormap is None:
        if int((picture.max(axis=2) - picture.min(axis=2)).max()) > MOST_COLOUR:
            raise CamError(
                f"{path} has colours, which are no grey levels; if they are those of a heat map, "
                "name them: --colormap jet"
            )
        return read_heatmap(path)
    chosen = colors(colormap)
    levels = levels_of_colors(picture, chosen)
    apart = np.abs(chosen[levels].astype(np.int16) - picture).max(axis=2)
    if np.median(apart) > MOST_FROM_COLORS:
        raise CamError(f"{path} is not a heat map in the colours of {colormap}")
    return levels


def save_located(folder: Path, picture: Picture, located: Sequence[LocatedClass]) -> None:
    """Write boxes in both forms, the picture with them and the grey heat map.

    Files of an earlier call in the folder are replaced or removed; other files stay.
    """
    names = {f"{one.prefix}{suffix}" for one in located for suffix in _SUFFIXES}
    remove_earlier(folder, lambda name: name.endswith(_SUFFIXES), names)
    for one in located:
        write_boxes(folder / f"{one.prefix}boxes.txt", one.boxes)
        write_boxes(folder / f"{one.prefix}boxes_original.txt", one.boxes, "original")
        write_picture(folder / f"{one.prefix}boxes.png", draw_boxes(picture, one.boxes))
        write_picture(folder / f"{one.prefix}heatmap.png", one.heat_map)
