"""Guesses for ILSVRC pictures: labels and boxes, and the files of them."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cam.arguments import checked, checked_fields
from cam.errors import CamError, InvalidValueError
from cam.files import PathLike, read_text, write_text

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

_NO_GUESS = (0.0, *[np.nan] * 4)
_NUMBERS_PER_GUESS = len(_NO_GUESS)


@checked_fields
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
    InvalidValueError
        If the shapes do not belong together, or there is no guess.
    """

    labels: NDArray[np.int64]
    boxes: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Check the shapes."""
        if self.labels.ndim != 2 or self.labels.shape[1] == 0:
            raise InvalidValueError(
                f"labels of guesses have the shape (N, G), not {self.labels.shape}"
            )
        if self.boxes.shape != (*self.labels.shape, 4):
            raise InvalidValueError(
                f"boxes of {self.labels.shape} guesses have the shape {(*self.labels.shape, 4)}, "
                f"not {self.boxes.shape}"
            )

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.labels)


@checked_fields
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

    labels: NDArray[np.int64]
    boxes: NDArray[np.float64]

    @checked
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
        InvalidValueError
            If there is no such variant, or there are too few classes or boxes for it.
        """
        if variant not in VARIANTS:
            raise InvalidValueError(f"the variants are {', '.join(VARIANTS)}, not {variant!r}")
        classes, ranks = (list(column) for column in zip(*VARIANTS[variant], strict=True))
        if self.labels.shape[1] <= max(classes) or self.boxes.shape[2] <= max(ranks):
            raise InvalidValueError(
                f"{variant} needs {max(classes) + 1} classes and {max(ranks) + 1} boxes a class, "
                f"but there are {self.labels.shape[1]} and {self.boxes.shape[2]}"
            )
        first, chosen = self.boxes[:, classes, 0], self.boxes[:, classes, ranks]
        return Predictions(
            labels=self.labels[:, classes], boxes=np.where(np.isnan(chosen), first, chosen)
        )


@checked
def read_submission(path: PathLike) -> Predictions:
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
    rows = [
        _guesses(line, f"{path}, line {number}")
        for number, line in enumerate(read_text(path).splitlines() or [""], 1)
    ]
    full = np.tile(_NO_GUESS, (len(rows), max(map(len, rows)) // _NUMBERS_PER_GUESS))
    for row, numbers in zip(full, rows, strict=True):
        row[: len(numbers)] = numbers
    table = full.reshape(len(rows), -1, _NUMBERS_PER_GUESS)
    return Predictions(table[..., 0].astype(np.int64), np.ascontiguousarray(table[..., 1:]))


def _guesses(line: str, place: str) -> list[float]:
    """Return the numbers of one line of a submission, those after the fifth guess left out."""
    words = line.replace(",", " ").split()
    if not words or len(words) % _NUMBERS_PER_GUESS:
        raise CamError(f"{place}: a line is 'label xmin ymin xmax ymax' for each guess")
    try:
        numbers = [float(word) for word in words[: MAX_GUESSES * _NUMBERS_PER_GUESS]]
    except ValueError as error:
        raise CamError(f"{place}: {error}") from error
    labels = numbers[::_NUMBERS_PER_GUESS]
    if math.inf in map(abs, numbers) or not all(label >= 0 and label % 1 == 0 for label in labels):
        raise CamError(f"{place}: a label is a whole number, 1 to 1000, and coordinates are finite")
    return numbers


@checked
def write_submission(path: PathLike, predictions: Predictions) -> None:
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
    text = io.StringIO()
    np.savetxt(text, table.reshape(len(predictions), -1), "%.10g")
    write_text(path, text.getvalue())
