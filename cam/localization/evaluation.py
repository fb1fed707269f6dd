"""The classification and localization errors of guesses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cam.arguments import checked
from cam.errors import InvalidValueError, real_array
from cam.localization.ground_truth import GroundTruth
from cam.localization.predictions import MAX_GUESSES, Predictions

_OVERLAP = 0.5


@dataclass(frozen=True)
class Evaluation:
    """Errors for 1, 2, ... guesses, each from 0 to 1.

    Attributes
    ----------
    classification : tuple of float
        The part of all pictures whose label is not among the first n guesses. As in the devkit,
        blacklisted pictures count.
    localization : tuple of float
        The part of the pictures off the blacklist that have no right guess among the first n.
    pictures : int
        The number of pictures, blacklisted ones included.
    blacklisted : int
        The number of pictures on the blacklist.
    """

    classification: tuple[float, ...]
    localization: tuple[float, ...]
    pictures: int
    blacklisted: int

    def to_json(
        self, method: str, model: str | None = None, boxes: str = "bbox1"
    ) -> dict[str, Any]:
        """Return the errors in percent as the record that :mod:`cam.localization.tables` reads.

        Parameters
        ----------
        method : str
            The method's name, the paper's where it has one: a key of
            :data:`cam.localization.tables.PAPER_LOCALIZATION`.
        model : str, optional
            What ran: the name of a model or a file.
        boxes : str, optional
            Which boxes were the guesses: a key of :data:`VARIANTS`, or a name of the caller's.

        Returns
        -------
        dict
            For :func:`json.dumps`.
        """
        return {
            "method": method,
            "model": model,
            "boxes": boxes,
            "pictures": self.pictures,
            "blacklisted": self.blacklisted,
            "unit": "percent",
            "classification": _percent_by_guesses(self.classification),
            "localization": _percent_by_guesses(self.localization),
        }


@checked
def evaluate(ground_truth: GroundTruth, predictions: Predictions) -> Evaluation:
    """Measure the classification and the localization error of guesses.

    Parameters
    ----------
    ground_truth : GroundTruth
        N pictures.
    predictions : Predictions
        Guesses for the same pictures in the same order. Those after the fifth are ignored.

    Returns
    -------
    Evaluation
        The errors for 1 to at most 5 guesses.

    Raises
    ------
    InvalidValueError
        If the numbers of pictures differ, or no picture is left to evaluate.

    Notes
    -----
    As the devkit's ``eval_clsloc.m``. A guess with the right label is wrong if the picture has no
    box of that label.

    Examples
    --------
    >>> truth = GroundTruth(
    ...     names=("a",), labels=np.array([7]), boxes=np.array([[10.0, 10, 29, 29]]),
    ...     box_labels=np.array([7]), box_pictures=np.array([0]), blacklisted=np.array([False]),
    ... )
    >>> guesses = Predictions(np.array([[3, 7]]), np.array([[[10.0, 10, 29, 29]] * 2]))
    >>> evaluate(truth, guesses).localization
    (1.0, 0.0)
    """
    if len(predictions) != len(ground_truth):
        raise InvalidValueError(
            f"there are guesses for {len(predictions)} pictures, "
            f"but ground truth for {len(ground_truth)}"
        )
    evaluated = ~ground_truth.blacklisted
    if not evaluated.any():
        raise InvalidValueError("there is no picture to evaluate off the blacklist")
    labels = predictions.labels[:, :MAX_GUESSES]
    label_right = labels == ground_truth.labels[:, None]
    right = label_right & _well_placed(ground_truth, predictions.boxes[:, :MAX_GUESSES])
    return Evaluation(
        classification=_errors(label_right),
        localization=_errors(right[evaluated]),
        pictures=len(ground_truth),
        blacklisted=int(ground_truth.blacklisted.sum()),
    )


@checked
def overlap(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return intersection over union of boxes, the corners being pixels of the box.

    Parameters
    ----------
    boxes, others : ndarray of float64, shape (..., 4)
        ``x1, y1, x2, y2``; the leading axes broadcast.

    Returns
    -------
    ndarray of float64
        From 0 to 1; 0 where a coordinate is NaN.

    Examples
    --------
    >>> overlap(np.array([0.0, 0, 9, 9]), np.array([0.0, 0, 9, 4])).item()
    0.5
    """
    boxes, others = (_corners(one) for one in (boxes, others))
    shared = np.minimum(boxes[..., 2:], others[..., 2:]) - np.maximum(
        boxes[..., :2], others[..., :2]
    )
    intersection = (shared + 1).clip(min=0).prod(axis=-1)
    union = _area(boxes) + _area(others) - intersection
    ratio: NDArray[np.float64] = np.divide(
        intersection, union, out=np.zeros(intersection.shape), where=intersection > 0
    )
    return ratio


def _corners(boxes: NDArray[Any]) -> NDArray[Any]:
    array = real_array(boxes, "a box")
    if array.ndim < 1 or array.shape[-1] != 4:
        raise InvalidValueError(f"boxes have the shape (..., 4), not {array.shape}")
    return array


def _well_placed(truth: GroundTruth, boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say which guesses' boxes overlap a box of their picture's label enough: shape (N, G)."""
    of_label = np.flatnonzero(truth.box_labels == truth.labels[truth.box_pictures])
    pictures = truth.box_pictures[of_label]
    enough = overlap(boxes[pictures], truth.boxes[of_label, None]) >= _OVERLAP
    box, guess = np.nonzero(enough)
    placed = np.zeros(boxes.shape[:2], dtype=bool)
    placed[pictures[box], guess] = True
    return placed


def _errors(right: NDArray[np.bool_]) -> tuple[float, ...]:
    """Return the part of the rows without a right guess among the first 1, 2, ..."""
    wrong = ~np.logical_or.accumulate(right, axis=1)
    return tuple(float(part) for part in wrong.mean(axis=0))


def _percent_by_guesses(errors: Iterable[float]) -> dict[str, float]:
    return {f"top{count}": round(100 * error, 6) for count, error in enumerate(errors, 1)}


def _area(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    area: NDArray[np.float64] = (boxes[..., 2:] - boxes[..., :2] + 1).prod(axis=-1)
    return area
