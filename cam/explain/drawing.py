"""How a result is drawn: one object for every command and the library, and what it paints.

The published styles are what is drawn if nothing else is said. Everything else is drawn from the
raw maps, on the frame, on the picture itself or on a picture of another size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cam.arguments import checked, checked_fields
from cam.errors import InvalidValueError, nearest_names
from cam.explain.styles import Style
from cam.localization import Box, BoxRule, Rule
from cam.maps.colors import colors_of
from cam.maps.overlays import blend, blend_tables
from cam.maps.placing import bands
from cam.pictures.reading import Picture
from cam.zoo import plain_name

SIZES = ("frame", "picture")
BLENDS = ("published", "alpha")
FORMATS = ("png", "jpg", "pdf", "svg")
"""What pictures are written as; the last two need matplotlib."""

USUAL_ALPHA = 0.5
SALIENCY_COLORMAP = "cool"
"""The colours of saliency that lies over a class's map, which no usual map of classes has."""

LARGEST_SIDE = 16384
"""Pixels of the longer side of what is drawn at a size of one's own."""

MONTAGE_SIDE = 1024
"""Pixels of the longer side of a montage's pictures, where those themselves are larger."""

_STRIP, _BAR, _TEXT, _FONT = 72, 16, 0.4, cv2.FONT_HERSHEY_SIMPLEX


@checked_fields
@dataclass(frozen=True)
class Drawing:
    """How a result is drawn. The default is the published style's way, bit for bit.

    Attributes
    ----------
    size : {"frame", "picture"} or int
        ``"frame"``: the resized picture of 256×256 pixels, as published. ``"picture"``: the
        picture's own pixels. A number: the picture in its own proportions, its longer side so many
        pixels long. In the last two the raw map is enlarged once, straight to that size.
    colormap : str or None
        A colour map by OpenCV's or matplotlib's name; see `cam.maps.colors.colors_of`. The style's
        own JET if None. `cam.maps.colors.COLOR_BLIND_SAFE` are readable for everyone.
    alpha : float or None
        The heat map's share from 0 to 1, the picture has the rest: the blend ``"alpha"``.
    blend : {"published", "alpha"} or None
        ``"published"``: 0.2 · picture + 0.7 · heat, in the style's arithmetic. ``"alpha"``: (1 -
        alpha) · picture + alpha · heat, alpha 0.5 if it is not given. None for what `alpha` says.
    boxes : cam.localization.BoxRule, {"original", "paper"}, bool or None
        Draw the class's boxes, found by this rule (True: the original's) at the picture's size.
    color_bar : bool
        Put the colours beside the overlay, with the map's smallest and largest value.
    plain_names : bool
        Leave WordNet ids out of captions and file names.
    columns : int or None
        How many pictures stand side by side in a montage; all if None.
    format : {"png", "jpg", "pdf", "svg"}
        What pictures are written as. The last two need matplotlib.
    rgba : bool
        Write heat maps with transparency, to be laid over the picture; PNG only.

    Raises
    ------
    CamError
        If a value is none of these.

    Examples
    --------
    >>> Drawing(size="picture", colormap="viridis", alpha=0.4).opacity
    0.4
    >>> Drawing().opacity is None
    True
    """

    size: str | int = "frame"
    colormap: str | None = None
    alpha: float | None = None
    blend: str | None = None
    boxes: BoxRule | Rule | bool | None = None
    color_bar: bool = False
    plain_names: bool = False
    columns: int | None = None
    format: str = "png"
    rgba: bool = False

    def __post_init__(self) -> None:
        size = self.size
        if not (size in SIZES or (_is_count(size) and 1 <= int(size) <= LARGEST_SIDE)):
            raise InvalidValueError(
                f"no size {size!r}; there are {', '.join(SIZES)} and a number of pixels for the "
                f"longer side, up to {LARGEST_SIDE}"
            )
        if self.colormap is not None:
            colors_of(self.colormap)
        if self.alpha is not None and not 0 <= self.alpha <= 1:
            raise InvalidValueError(f"alpha is a share from 0 to 1, not {self.alpha}")
        if self.blend == "published" and self.alpha is not None:
            raise InvalidValueError("alpha is for the blend 'alpha', not for 'published'")
        if self.columns is not None and self.columns < 1:
            raise InvalidValueError(f"{self.columns} pictures side by side; it must be 1 or more")
        for what, value, known in (
            ("blend", self.blend, (None, *BLENDS)),
            ("format", self.format, FORMATS),
        ):
            if value not in known:
                words = [word for word in known if word]
                near = nearest_names(str(value), words)
                raise InvalidValueError(f"no {what} {value!r}{near}; there are {words}")
        if self.rgba and self.format != "png":
            raise InvalidValueError("heat maps with transparency are PNG files")

    @property
    def opacity(self) -> float | None:
        """The heat map's share, or None for the published blend."""
        if self.alpha is None and self.blend != "alpha":
            return None
        return USUAL_ALPHA if self.alpha is None else self.alpha

    @cached_property
    def box_rule(self) -> BoxRule | None:
        """How boxes are found, or None if none are drawn."""
        if isinstance(self.boxes, bool) or self.boxes is None:
            return BoxRule() if self.boxes else None
        return self.boxes if isinstance(self.boxes, BoxRule) else BoxRule(self.boxes)

    @property
    def is_published(self) -> bool:
        """Whether overlays are those of the published style."""
        plain = self.opacity is None and self.box_rule is None and not self.color_bar
        return plain and self.size == SIZES[0] and self.colormap is None

    @checked
    def name(self, class_name: str) -> str:
        """Return a class's name as it is shown."""
        return plain_name(class_name) if self.plain_names else class_name

    @checked
    def for_montage(self, picture_size: tuple[int, int]) -> Drawing:
        """Return the drawing of a montage's pictures: very large ones are made smaller."""
        if self.size == "picture" and max(picture_size) > MONTAGE_SIDE:
            return replace(self, size=MONTAGE_SIDE)
        return self


PUBLISHED = Drawing()
"""As the published programs draw."""


def drawing_with(drawing: Drawing | None, options: dict[str, Any]) -> Drawing:
    """Return a drawing, the published one if none is given, with some of its values replaced."""
    chosen = PUBLISHED if drawing is None else drawing
    return replace(chosen, **options) if options else chosen


def placed_levels(
    style: Style, maps: NDArray[np.float32], crop_size: int, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Return one class's heat map at any size, from its raw maps (crops, h, w).

    The map is made twice, band after band, first for its extremes: only the levels are kept.

    Returns
    -------
    numpy.ndarray
        uint8 (rows, columns): which of the 256 colours each pixel gets.
    """

    def extremes(band: slice) -> tuple[float, float]:
        values = style.place(maps, crop_size, size, band)
        seen = values[~np.isnan(values)]
        return float(seen.min(initial=np.inf)), float(seen.max(initial=-np.inf))

    lowest, highest = zip(*map(extremes, bands(size)), strict=True)
    limits = min(lowest), max(highest)
    if limits[0] > limits[1]:
        limits = 0.0, 0.0
    levels = np.empty(size, np.uint8)
    for band in bands(size):
        values = style.place(maps, crop_size, size, band)
        levels[band] = style.levels(style.normalize(values, limits))
    return levels


def scaled_size(size: tuple[int, int], longer: int) -> tuple[int, int]:
    """Return rows and columns in the same proportion, the larger one as given.

    Examples
    --------
    >>> scaled_size((1080, 1920), 640), scaled_size((900, 1), 30)
    ((360, 640), (30, 1))
    """
    rows, columns = (max(1, round(each * longer / max(size))) for each in size)
    return rows, columns


def scaled(picture: Picture, longer: int) -> Picture:
    """Return a picture in its own proportions, its longer side so many pixels long."""
    whole = picture.shape[0], picture.shape[1]
    rows, columns = scaled_size(whole, longer)
    how = cv2.INTER_AREA if longer < max(whole) else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (columns, rows), interpolation=how), np.uint8)


def lay_over(
    picture: Picture, levels: NDArray[np.uint8], style: Style, drawing: Drawing
) -> Picture:
    """Return the picture with a heat map of its size over it, uint8 (rows, columns, 3) BGR."""
    if drawing.opacity is None:
        (overlay,) = style.overlays(picture, levels[np.newaxis], drawing.colormap)
        return np.asarray(overlay, np.uint8)
    share = drawing.opacity
    palette = share * style.palette(drawing.colormap).T
    tables = blend_tables((1 - share) * (np.arange(256) / 255.0), palette)
    return np.asarray(blend(picture, levels[np.newaxis], [tables])[0], np.uint8)


def lay_saliency(picture: Picture, levels: NDArray[np.uint8]) -> Picture:
    """Return the picture with saliency over it: the more of it, the less is seen through it."""
    shares = np.arange(256)[:, np.newaxis] / 255.0
    painted = shares * colors_of(SALIENCY_COLORMAP) / 255.0
    through = np.arange(256) * (1 - shares) / 255.0
    sums = 255 * (painted.T[:, :, np.newaxis] + through)
    tables = np.rint(sums).astype(np.uint8).reshape(3, -1)
    return np.asarray(blend(picture, levels[np.newaxis], [tables])[0], np.uint8)


def scaled_boxes(boxes: Iterable[Box], size: Sequence[int], drawn_size: Sequence[int]) -> list[Box]:
    """Return boxes in the pixels of a picture of another size."""
    down, across = (drawn / whole for drawn, whole in zip(drawn_size, size, strict=True))

    def moved(box: Box) -> Box:
        x, y = round(box.x * across), round(box.y * down)
        right, bottom = round((box.x + box.width) * across), round((box.y + box.height) * down)
        return Box(x, y, right - x, bottom - y)

    return [moved(box) for box in boxes]


def with_color_bar(
    picture: Picture, limits: tuple[float, float], style: Style, drawing: Drawing
) -> Picture:
    """Return a picture with the colours at its right, the highest above, and their values."""
    rows = picture.shape[0]
    scale = max(1.0, rows / 256)
    width, bar, gap = (round(each * scale) for each in (_STRIP, _BAR, _BAR / 4))
    strip = np.full((rows, width, 3), 255, np.uint8)
    levels = np.linspace(255, 0, rows).round().astype(np.uint8)
    strip[:, gap : gap + bar] = style.heat_picture(levels[:, np.newaxis], drawing.colormap)
    size, thick = _TEXT * scale, max(1, round(scale / 2))
    for value, base in zip(limits, (rows - round(3 * scale), round(12 * scale)), strict=True):
        place = bar + 2 * gap, base
        cv2.putText(strip, f"{value:.3g}", place, _FONT, size, (0, 0, 0), thick, cv2.LINE_AA)
    return np.concatenate([picture, strip], axis=1)


def _is_count(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
