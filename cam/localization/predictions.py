"""Guesses for ILSVRC pictures, from files of guesses or from heat maps."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from cam.errors import CamError
from cam.files import atomic_path
from cam.localization.boxes import (
    ORIGINAL_THRESHOLDS,
    PAPER_FRACTION,
    Box,
    Rule,
    find_boxes,
    read_boxes,
    read_heatmap,
)
from cam.localization.reading import FloatArray, IntArray, first_bad_line, read_text, read_variable

__all__ = [
    "MAX_GUESSES",
    "VARIANTS",
    "Candidates",
    "Predictions",
    "Variant",
    "read_heatmap_folder",
    "read_submission",
    "write_submission",
]

MAX_GUESSES = 5
"""Further guesses are ignored, as by the devkit."""

Variant = Literal["bbox1", "bbox2", "combined"]

VARIANTS: Mapping[Variant, tuple[tuple[int, int], ...]] = {
    "bbox1": ((0, 0), (1, 0), (2, 0), (3, 0), (4, 0)),
    "bbox2": ((0, 1), (1, 1), (2, 1), (3, 1), (4, 1)),
    "combined": ((0, 0), (0, 1), (1, 0), (1, 1), (2, 0)),
}
"""The guesses of the original's ``ILSVRC_evaluate_bbox.m``, each as (rank of the class, rank of the
box): the largest box of the top five classes, their second largest, and both boxes class by class,
cut after five guesses, which leaves the first two classes and the largest box of the third."""
_NUMBERS_PER_GUESS = 5


@dataclass(frozen=True)
class Predictions:
    """Guesses for pictures, best first.

    Attributes
    ----------
    labels : ndarray of int64, shape (N, G)
        The ILSVRC id of each guess; 0 where a picture has fewer guesses.
    boxes : ndarray of float64, shape (N, G, 4)
        The box of each guess, ``x1, y1, x2, y2``; NaN where there is none.

    Raises
    ------
    CamError
        If the shapes do not belong together, or there is no guess.
    """

    labels: IntArray
    boxes: FloatArray

    def __post_init__(self) -> None:
        """Check the shapes."""
        if self.labels.ndim != 2 or self.labels.shape[1] == 0:
            raise CamError(f"labels of guesses have the shape (N, G), not {self.labels.shape}")
        if self.boxes.shape != (*self.labels.shape, 4):
            raise CamError(
                f"boxes of {self.labels.shape} guesses have the shape {(*self.labels.shape, 4)}, "
                f"not {self.boxes.shape}"
            )

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.labels)


@dataclass(frozen=True)
class Candidates:
    """The top classes of pictures and several boxes for each class, largest first.

    Attributes
    ----------
    labels : ndarray of int64, shape (N, C)
        The ILSVRC ids of the top C classes.
    boxes : ndarray of float64, shape (N, C, M, 4)
        M boxes a class, ``x1, y1, x2, y2``; NaN where there are fewer.
    """

    labels: IntArray
    boxes: FloatArray

    def guesses(self, variant: Variant = "bbox1") -> Predictions:
        """Choose the guesses of one of the original's variants.

        Where a class has no second box its first takes the place: the original stops with an index
        error there. The order of the guesses, and so which classes have a guess, stays the same.

        Parameters
        ----------
        variant : {"bbox1", "bbox2", "combined"}, optional
            See :data:`VARIANTS`. ``bbox1`` is the paper's table for the validation set.

        Returns
        -------
        Predictions
            Five guesses a picture.

        Raises
        ------
        CamError
            If there is no such variant, or there are too few classes or boxes for it.
        """
        if variant not in VARIANTS:
            raise CamError(f"the variants are {', '.join(VARIANTS)}, not {variant!r}")
        classes, ranks = (list(column) for column in zip(*VARIANTS[variant], strict=True))
        if self.labels.shape[1] <= max(classes) or self.boxes.shape[2] <= max(ranks):
            raise CamError(
                f"{variant} needs {max(classes) + 1} classes and {max(ranks) + 1} boxes a class, "
                f"but there are {self.labels.shape[1]} and {self.boxes.shape[2]}"
            )
        first, chosen = self.boxes[:, classes, 0], self.boxes[:, classes, ranks]
        return Predictions(
            labels=self.labels[:, classes],
            boxes=np.where(np.isnan(chosen), first, chosen),
        )


def read_submission(path: str | os.PathLike[str]) -> Predictions:
    """Read guesses from a text file in the devkit's submission format.

    Parameters
    ----------
    path : path-like
        One line a picture, in order of the pictures' names: ``label xmin ymin xmax ymax`` for each
        guess, best first. Spaces, tabs or commas separate. Lines may have different numbers of
        guesses; those after the fifth are ignored.

    Returns
    -------
    Predictions
        As many guesses as the longest line has, at most 5.

    Raises
    ------
    CamError
        If the file is missing, or a line is not numbers in fives that begin with a label.
    """
    file = Path(path)
    rows = [line.replace(",", " ").split() for line in read_text(file).splitlines()]
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    uneven = np.flatnonzero((lengths % _NUMBERS_PER_GUESS != 0) | (lengths == 0))
    if not rows or uneven.size:
        line = int(uneven[0]) + 1 if rows else 1
        raise CamError(f"{file}, line {line}: a line is 'label xmin ymin xmax ymax' for each guess")
    guesses = min(int(lengths.max()) // _NUMBERS_PER_GUESS, MAX_GUESSES)
    width = guesses * _NUMBERS_PER_GUESS
    missing = ["0", "nan", "nan", "nan", "nan"] * guesses
    words = [row[:width] + missing[len(row) :] for row in rows]
    try:
        numbers = np.array([word for row in words for word in row], dtype=np.float64)
    except ValueError as error:
        raise CamError(f"{file}, line {first_bad_line(words)}: {error}") from error
    table = numbers.reshape(len(rows), guesses, _NUMBERS_PER_GUESS)
    labels = table[..., 0]
    good = (labels >= 0) & (labels == np.floor(labels)) & ~np.isinf(table).any(axis=-1)
    if not good.all():
        line = int(np.argmin(good.all(axis=1))) + 1
        raise CamError(
            f"{file}, line {line}: a label is a whole number, 1 to 1000, and coordinates are finite"
        )
    return Predictions(labels=labels.astype(np.int64), boxes=np.ascontiguousarray(table[..., 1:]))


def write_submission(path: str | os.PathLike[str], predictions: Predictions) -> None:
    """Write guesses in the devkit's submission format, which :func:`read_submission` reads.

    Parameters
    ----------
    path : path-like
        The text file; it is replaced if it exists.
    predictions : Predictions
        The guesses. Coordinates keep their fractions. A guess without a box is written with the
        box ``-1 -1 -1 -1``, which overlaps nothing; missing guesses have the label 0.

    Raises
    ------
    CamError
        If the file cannot be written.
    """
    boxes = np.where(np.isnan(predictions.boxes), -1, predictions.boxes)
    table = np.concatenate([predictions.labels[..., None].astype(np.float64), boxes], axis=-1)
    lines = (
        " ".join(f"{number:.10g}" for number in row)
        for row in table.reshape(len(predictions), -1).tolist()
    )
    with atomic_path(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")


def read_heatmap_folder(
    folder: str | os.PathLike[str],
    names: Iterable[str | os.PathLike[str]],
    class_labels: IntArray,
    *,
    rule: Rule = "original",
    thresholds: Sequence[int] = ORIGINAL_THRESHOLDS,
    fraction: float = PAPER_FRACTION,
    reuse_boxes: bool = False,
    workers: int | None = None,
    on_picture: Callable[[], object] | None = None,
) -> Candidates:
    """Find the boxes of the ILSVRC heat maps in a folder of the original's layout.

    Parameters
    ----------
    folder : path-like
        Holds, for each picture, ``top1/NAME.jpg`` to ``top5/NAME.jpg``, the grey heat maps at the
        picture's own size, and ``NAME.mat`` with ``IDX_category``, the class indices from 1, best
        first.
    names : iterable of str or path-like
        The pictures, e.g. :attr:`GroundTruth.names`.
    class_labels : ndarray of int64, shape (K,)
        The ILSVRC id of each class index, from :func:`devkit_labels`.
    rule : {"original", "paper"}, optional
        See :func:`cam.localization.boxes.find_boxes`. The paper's gives one box a class.
    thresholds : sequence of int, optional
        For the original's rule.
    fraction : float, optional
        For the paper's rule.
    reuse_boxes : bool, optional
        Read the original's ``topJ/NAME_default.txt`` (``x y w h ...``) instead of the heat map
        wherever there is one, whose boxes are by the original's rule.
    workers : int, optional
        Threads; one a processor if not given.
    on_picture : callable, optional
        Called after each picture, to show progress.

    Returns
    -------
    Candidates
        Five classes and the two largest boxes of each, with the original's corners
        ``x, y, x + width, y + height``.

    Raises
    ------
    CamError
        If a file is missing or is not what it should be.
    """
    root = Path(folder)
    stems = [Path(name).stem for name in names]
    labels = np.zeros((len(stems), MAX_GUESSES), dtype=np.int64)
    boxes = np.full((len(stems), MAX_GUESSES, 2, 4), np.nan)

    def read(index: int) -> None:
        labels[index] = _top_labels(root / f"{stems[index]}.mat", class_labels)
        for rank in range(MAX_GUESSES):
            heatmap = root / f"top{rank + 1}" / f"{stems[index]}.jpg"
            found = _stored_boxes(heatmap) if reuse_boxes else None
            if found is None:
                grey = read_heatmap(heatmap)
                found = find_boxes(grey, rule, thresholds=thresholds, fraction=fraction)
            for number, box in enumerate(found[:2]):
                boxes[index, rank, number] = box.corners

    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        try:
            for _ in pool.map(read, range(len(stems))):
                if on_picture is not None:
                    on_picture()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return Candidates(labels, boxes)


def _top_labels(file: Path, class_labels: IntArray) -> IntArray:
    order = read_variable(file, "IDX_category")
    if order.dtype.kind not in "iuf" or order.size < MAX_GUESSES:
        raise CamError(f"{file}: IDX_category does not hold the top {MAX_GUESSES} classes")
    indices = order.ravel()[:MAX_GUESSES].astype(np.int64) - 1
    if indices.min() < 0 or indices.max() >= len(class_labels):
        raise CamError(f"{file}: IDX_category is not within 1 to {len(class_labels)}")
    return class_labels[indices]


def _stored_boxes(heatmap: Path) -> list[Box] | None:
    boxes = heatmap.with_name(f"{heatmap.stem}_default.txt")
    return read_boxes(boxes, "original") if boxes.is_file() else None
