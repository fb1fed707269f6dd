"""A comparison as a picture: ours, theirs and the difference side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from cam.fidelity.comparison import CENTER_CROP, ComparedQuantity, Comparison
from cam.fidelity.difference import Array
from cam.fidelity.results import WHITE, WITH_CROPS
from cam.maps.colors import matlab_heat_picture
from cam.maps.montage import GAP, caption, montage
from cam.pictures.reading import FRAME, Picture, read_picture

__all__ = ["comparison_picture"]

AMPLIFICATIONS = (1, 2, 5, 10, 20, 50)
"""How much a difference may be strengthened. Above, rounding would look like a finding."""

TITLES = {
    "frame": "picture",
    "heat_maps": "",
    "maps": "maps: ",
    "merged": "merged: ",
    "heat_pictures": "",
    "overlays": "",
    "activations": "activations, mean of channels",
    "scores": "scores of all classes",
    "probabilities": "probabilities of the top classes",
    "class_weights": "class layer",
}
"""The quantities that are drawn, in that order, and what stands under them before the class."""

SHOWN_BY_HEAT_MAPS = {"maps", "merged", "heat_pictures", "overlays"}


@dataclass(frozen=True, eq=False)
class _SideBySide:
    """Two things to show beside each other, and how far apart they are, white being 1."""

    label: str
    ours: Picture
    theirs: Picture
    apart: Array


def comparison_picture(comparison: Comparison) -> Picture:
    """Draw ours, theirs and the difference side by side, a row for each thing compared.

    Parameters
    ----------
    comparison : cam.fidelity.Comparison
        What was compared. Heat maps are drawn for each class; what else there is where it adds
        something to see.

    Returns
    -------
    numpy.ndarray
        uint8 (H, 784, 3) BGR. Differences are white where there are none, red where ours is
        higher and blue where theirs is, and strengthened by the factor under them.
    """
    compared = {quantity.name: quantity for quantity in comparison.quantities}
    rows = [_header(comparison)]
    for name in TITLES:
        if name not in compared or ("heat_maps" in compared and name in SHOWN_BY_HEAT_MAPS):
            continue
        pairs = list(_pairs(comparison, compared[name]))
        factor = _amplification(max(float(np.abs(pair.apart).max()) for pair in pairs))
        rows += [_row(pair, factor) for pair in pairs]
    gap = np.full((GAP, rows[0].shape[1], 3), 255, np.uint8)
    return np.concatenate([part for row in rows for part in (row, gap)][:-1])


def _amplification(largest: float) -> int:
    return max(factor for factor in AMPLIFICATIONS if factor == 1 or factor * largest <= 1)


def _header(comparison: Comparison) -> Picture:
    sides = {"ours": comparison.ours.path, "theirs": comparison.theirs.path}
    texts = [(side, "/".join(path.parts[-2:])) for side, path in sides.items()]
    texts += [("difference", "red: ours higher, blue: theirs")]
    return montage([caption(lines, FRAME) for lines in texts])


def _row(pair: _SideBySide, factor: int) -> Picture:
    largest = float(np.abs(pair.apart).max())
    ours, theirs, apart = map(_as_wide_as_the_frame, (pair.ours, pair.theirs, pair.apart))
    of_apart = (f"difference x{factor}", f"largest {largest * 255:.3g} of 255 levels")
    texts = [(pair.label, "")] * 2 + [of_apart if largest else ("no difference", "")]
    tiles = zip((ours, theirs, _difference_picture(apart * factor)), texts, strict=True)
    return montage([np.concatenate([tile, caption(text, FRAME)]) for tile, text in tiles])


def _difference_picture(apart: Array) -> Picture:
    fade = np.round(255 * (1 - np.clip(np.abs(apart), 0, 1))).astype(np.uint8)
    blue, red = (np.where(side, np.uint8(255), fade) for side in (apart < 0, apart > 0))
    picture = np.stack([blue, fade, red], axis=2)
    # White on a white page needs an edge.
    picture[[0, -1]] = picture[:, [0, -1]] = 200
    return picture


def _as_wide_as_the_frame(tile: Array) -> Array:
    rows = max(3, round(tile.shape[0] * FRAME / tile.shape[1]))
    if tile.shape[:2] == (rows, FRAME):
        return tile
    method = cv2.INTER_AREA if tile.shape[1] > FRAME else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(tile, (FRAME, rows), interpolation=method))


def _pairs(comparison: Comparison, quantity: ComparedQuantity) -> Iterator[_SideBySide]:
    """Show a quantity: numbers as bars, fields of numbers in colours, pictures as they are."""
    title, ours, theirs = TITLES[quantity.name], quantity.ours, quantity.theirs
    if ours.ndim == 1:
        yield _bars(title, ours, theirs)
    elif not quantity.classes:
        yield _fields_or_pictures(quantity.name, title, ours, theirs)
    else:
        for k, arrays in enumerate(zip(ours, theirs, strict=True)):
            label = title + _class_label(comparison, quantity, k)
            yield _fields_or_pictures(quantity.name, label, *arrays)


def _class_label(comparison: Comparison, quantity: ComparedQuantity, k: int) -> str:
    number, sides = quantity.classes[k], (comparison.ours, comparison.theirs)
    if not quantity.by_class:
        known = [side.classes for side in sides if side.classes is not None]
        if not known or number >= len(known[0]):
            return f"rank {number + 1}"
        number = int(known[0][number])
    names = [side.names[number] for side in sides if number in side.names]
    return names[0].split(",")[0] if names else f"class {number} (from 0)"


def _fields_or_pictures(name: str, label: str, ours: Array, theirs: Array) -> _SideBySide:
    if name in WITH_CROPS:
        crop = CENTER_CROP if len(ours) == 10 else 0
        ours, theirs = ours[crop], theirs[crop]
    if name == "activations":
        ours, theirs = ours.mean(axis=0), theirs.mean(axis=0)
    if ours.ndim == 3:
        apart = (ours.astype(np.float64) - theirs) / 255.0
        channel = np.abs(apart).argmax(axis=2)[..., np.newaxis]
        return _SideBySide(label, ours, theirs, np.take_along_axis(apart, channel, axis=2)[..., 0])
    white, both = WHITE.get(name), np.stack([ours, theirs])
    low, high = (0.0, white) if white else (float(np.nanmin(both)), float(np.nanmax(both)))
    apart = np.nan_to_num((ours.astype(np.float64) - theirs) / (high - low or 1.0))
    return _SideBySide(label, _colored(ours, low, high), _colored(theirs, low, high), apart)


def _colored(values: Array, low: float, high: float) -> Picture:
    """Color values in MATLAB's jet; what is not a number takes the lowest colour."""
    heat = matlab_heat_picture(values, (low, high) if low < high else (low, low + 1))
    return np.round(heat[:, :, ::-1] * 255).astype(np.uint8)


def _bars(label: str, ours: Array, theirs: Array) -> _SideBySide:
    """Show numbers as bars, a column for each few classes."""
    highest = float(max(ours.max(), theirs.max())) or 1.0
    apart = (ours.astype(np.float64) - theirs) / highest
    levels = np.linspace(1, 0, FRAME // 2)[:, np.newaxis]
    first, second = (
        np.where(_columns(side / highest) >= levels, np.uint8(96), np.uint8(240))
        for side in (ours, theirs)
    )
    apart = np.tile(_columns(apart), (FRAME // 2, 1))
    return _SideBySide(label, read_picture(first), read_picture(second), apart)


def _columns(values: Array) -> Array:
    """Return one value for each of `FRAME` columns: the largest in magnitude of its classes."""
    parts = np.array_split(values, min(FRAME, len(values)))
    peaks = np.array([part[np.abs(part).argmax()] for part in parts])
    return peaks[np.arange(FRAME) * len(peaks) // FRAME]
