"""A comparison as a picture: ours, theirs and the difference side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cam.fidelity.comparison import CENTER_CROP, Comparison, Pair
from cam.maps.colors import caption, matlab_heat_picture, montage
from cam.pictures.reading import FRAME, Picture

__all__ = ["comparison_picture"]

Array = NDArray[Any]

GAP = 8
AMPLIFICATIONS = (1, 2, 5, 10, 20, 50)
"""How much a difference may be strengthened. Above, rounding would look like a finding."""

LABELS = {
    "frame": "picture",
    "activations": "activations, mean of channels",
    "scores": "scores of all classes",
    "probabilities": "probabilities of the top classes",
    "class_weights": "class layer",
}


@dataclass(frozen=True)
class _Row:
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
    pairs = {pair.quantity: pair for pair in comparison.pairs}
    if "heat_maps" in pairs:
        for shown_by_heat_maps in ("maps", "merged", "heat_pictures", "overlays"):
            pairs.pop(shown_by_heat_maps, None)
    lines = [_header(comparison)]
    for quantity, rows_of in _ROWS.items():
        if quantity in pairs:
            rows = list(rows_of(comparison, pairs[quantity]))
            factor = _amplification(max(float(np.abs(row.apart).max()) for row in rows))
            lines += [_line(row, factor) for row in rows]
    gap = np.full((GAP, lines[0].shape[1], 3), 255, np.uint8)
    return np.concatenate([part for line in lines for part in (line, gap)][:-1])


def _amplification(largest: float) -> int:
    return max(factor for factor in AMPLIFICATIONS if factor == 1 or factor * largest <= 1)


def _header(comparison: Comparison) -> Picture:
    columns = [
        ("ours", "/".join(comparison.ours.path.parts[-2:])),
        ("theirs", "/".join(comparison.theirs.path.parts[-2:])),
        ("difference", "red: ours higher, blue: theirs"),
    ]
    return montage([caption(texts, FRAME) for texts in columns])


def _line(row: _Row, factor: int) -> Picture:
    largest = float(np.abs(row.apart).max())
    texts = [
        (row.label, ""),
        (row.label, ""),
        (
            f"difference x{factor}" if largest else "no difference",
            f"largest {largest * 255:.3g} of 255 levels" if largest else "",
        ),
    ]
    apart = _fitted(row.apart)
    tiles = [_fitted(row.ours), _fitted(row.theirs), _difference_picture(apart * factor)]
    return montage(
        [
            np.concatenate([tile, caption(text, FRAME)])
            for tile, text in zip(tiles, texts, strict=True)
        ]
    )


def _difference_picture(apart: Array) -> Picture:
    fade = np.round(255 * (1 - np.clip(np.abs(apart), 0, 1))).astype(np.uint8)
    full = np.full_like(fade, 255)
    blue = np.where(apart < 0, full, fade)
    red = np.where(apart > 0, full, fade)
    picture = np.stack([blue, fade, red], axis=2)
    # White on a white page needs an edge.
    return cv2.copyMakeBorder(
        picture[1:-1, 1:-1], 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(200, 200, 200)
    ).astype(np.uint8)


def _fitted(tile: Array) -> Array:
    """Return a tile as wide as the frame."""
    rows = max(3, round(tile.shape[0] * FRAME / tile.shape[1]))
    if tile.shape[:2] == (rows, FRAME):
        return tile
    method = cv2.INTER_AREA if tile.shape[1] > FRAME else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(tile, (FRAME, rows), interpolation=method))


def _class_label(comparison: Comparison, pair: Pair, k: int) -> str:
    number, sides = pair.classes[k], (comparison.ours, comparison.theirs)
    if not pair.by_class:
        known = [side.classes for side in sides if side.classes is not None]
        if not known or number >= len(known[0]):
            return f"rank {number + 1}"
        number = int(known[0][number])
    names = [side.names[number] for side in sides if number in side.names]
    return names[0].split(",")[0] if names else f"class {number} (from 0)"


def _colored(values: Array, low: float, high: float) -> Picture:
    """Color values in MATLAB's jet; what is not a number takes the lowest colour."""
    heat = matlab_heat_picture(values, (low, high) if low < high else (low, low + 1))
    return np.round(heat[:, :, ::-1] * 255).astype(np.uint8)


def _heat_rows(comparison: Comparison, pair: Pair) -> Iterator[_Row]:
    for k, (ours, theirs) in enumerate(zip(pair.ours, pair.theirs, strict=True)):
        yield _map_row(_class_label(comparison, pair, k), ours, theirs, (0.0, 1.0))


def _map_row(
    label: str, ours: Array, theirs: Array, limits: tuple[float, float] | None = None
) -> _Row:
    """Show two fields of numbers in the colours of one range, by default that of theirs."""
    low, high = limits or (float(np.nanmin(theirs)), float(np.nanmax(theirs)))
    apart = np.nan_to_num((ours.astype(np.float64) - theirs) / (high - low or 1.0))
    return _Row(label, _colored(ours, low, high), _colored(theirs, low, high), apart)


def _class_rows(comparison: Comparison, pair: Pair) -> Iterator[_Row]:
    for k, (ours, theirs) in enumerate(zip(pair.ours, pair.theirs, strict=True)):
        if ours.ndim == 3:
            crop = CENTER_CROP if len(ours) == 10 else 0
            ours, theirs = ours[crop], theirs[crop]
        yield _map_row(f"{pair.quantity}: {_class_label(comparison, pair, k)}", ours, theirs)


def _picture_row(label: str, ours: Array, theirs: Array) -> _Row:
    apart = (ours.astype(np.float64) - theirs) / 255.0
    channel = np.abs(apart).argmax(axis=2)[..., np.newaxis]
    return _Row(label, ours, theirs, np.take_along_axis(apart, channel, axis=2)[..., 0])


def _class_picture_rows(comparison: Comparison, pair: Pair) -> Iterator[_Row]:
    for k, (ours, theirs) in enumerate(zip(pair.ours, pair.theirs, strict=True)):
        yield _picture_row(_class_label(comparison, pair, k), ours, theirs)


def _frame_rows(comparison: Comparison, pair: Pair) -> Iterator[_Row]:
    yield _picture_row(LABELS["frame"], pair.ours, pair.theirs)


def _activation_rows(comparison: Comparison, pair: Pair) -> Iterator[_Row]:
    crop = CENTER_CROP if len(pair.ours) == 10 else 0
    ours, theirs = pair.ours[crop].mean(axis=0), pair.theirs[crop].mean(axis=0)
    yield _map_row(LABELS["activations"], ours, theirs)


def _weight_rows(comparison: Comparison, pair: Pair) -> Iterator[_Row]:
    yield _map_row(LABELS["class_weights"], pair.ours, pair.theirs)


def _score_rows(comparison: Comparison, pair: Pair) -> Iterator[_Row]:
    """Show scores as bars, a column for each few classes."""
    highest = float(max(pair.ours.max(), pair.theirs.max())) or 1.0
    apart = (pair.ours.astype(np.float64) - pair.theirs) / highest
    levels = np.linspace(1, 0, FRAME // 2)[:, np.newaxis]
    bars = [
        np.where((_columns(side / highest) >= levels)[..., np.newaxis], 96, 240).repeat(3, axis=2)
        for side in (pair.ours, pair.theirs)
    ]
    yield _Row(
        LABELS[pair.quantity],
        bars[0].astype(np.uint8),
        bars[1].astype(np.uint8),
        np.tile(_columns(apart), (FRAME // 2, 1)),
    )


def _columns(values: Array) -> Array:
    """Return one value for each of `FRAME` columns: the largest in magnitude of its classes."""
    parts = np.array_split(values, min(FRAME, len(values)))
    peaks = np.array([part[np.abs(part).argmax()] for part in parts])
    return peaks[np.arange(FRAME) * len(peaks) // FRAME]


_ROWS = {
    "frame": _frame_rows,
    "heat_maps": _heat_rows,
    "maps": _class_rows,
    "merged": _class_rows,
    "heat_pictures": _class_picture_rows,
    "overlays": _class_picture_rows,
    "activations": _activation_rows,
    "scores": _score_rows,
    "probabilities": _score_rows,
    "class_weights": _weight_rows,
}
