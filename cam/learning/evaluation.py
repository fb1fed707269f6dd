"""How well a classifier does on pictures that it has not seen."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cam.files import PathLike, write_text


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Decision values of labelled pictures.

    N is the number of pictures, C that of the classes.

    Attributes
    ----------
    class_names : tuple of str
        The names of the classes.
    places : numpy.ndarray
        int64 (N,): each picture's place in its list.
    names : sequence of str
        Their names.
    labels : numpy.ndarray
        int64 (N,): their classes.
    decisions : numpy.ndarray
        float64 (N, C): the classifier's decision values.
    """

    class_names: tuple[str, ...]
    places: NDArray[np.int64]
    names: Sequence[str]
    labels: NDArray[np.int64]
    decisions: NDArray[np.float64]

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """The class of the largest decision value, int64 (N,)."""
        return np.asarray(self.decisions.argmax(axis=1), np.int64)

    @property
    def accuracy(self) -> float:
        """The share of pictures whose class is found."""
        return float(np.mean(self.predicted == self.labels))

    @cached_property
    def class_accuracies(self) -> list[float | None]:
        """The accuracy on the pictures of each class; None for a class without any."""
        shares = []
        for counts, row in zip(self.confusion.sum(axis=1), self.confusion.diagonal(), strict=True):
            shares.append(float(row / counts) if counts else None)
        return shares

    @property
    def mean_class_accuracy(self) -> float:
        """The mean of the accuracies of the classes that have pictures."""
        return float(np.mean([share for share in self.class_accuracies if share is not None]))

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """How many pictures of each class (rows) were taken for each class, int64 (C, C)."""
        counts = np.zeros((len(self.class_names),) * 2, np.int64)
        np.add.at(counts, (self.labels, self.predicted), 1)
        return counts

    @cached_property
    def margins(self) -> NDArray[np.float64]:
        """How far the labelled class's value lies above the best other one's, float64 (N,)."""
        rows = np.arange(len(self.labels))
        others = self.decisions.copy()
        others[rows, self.labels] = -np.inf
        margins: NDArray[np.float64] = self.decisions[rows, self.labels] - others.max(axis=1)
        return margins

    def most_sure(self, count: int) -> NDArray[np.intp]:
        """Return the pictures classified right by the largest margins, best first."""
        order = np.argsort(-self.margins, kind="stable")
        return order[self.margins[order] > 0][:count]

    def most_wrong(self, count: int) -> NDArray[np.intp]:
        """Return the pictures classified wrong by the largest margins, worst first."""
        order = np.argsort(self.margins, kind="stable")
        wrong: NDArray[np.intp] = order[self.predicted[order] != self.labels[order]]
        return wrong[:count]

    def write_confusion(self, path: PathLike) -> None:
        """Write the confusion matrix as a table: a row for each class, a column for each guess."""
        rows = (
            [name, *counts] for name, counts in zip(self.class_names, self.confusion, strict=True)
        )
        _write_table(path, ["class", *self.class_names], rows)

    def write_predictions(self, path: PathLike) -> None:
        """Write each picture's class, the class found and the margin as a table."""
        rows = (
            [name, self.class_names[label], self.class_names[found], f"{margin:.6f}"]
            for name, label, found, margin in zip(
                self.names, self.labels, self.predicted, self.margins, strict=True
            )
        )
        _write_table(path, ["name", "class", "found", "margin"], rows)


def _write_table(path: PathLike, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())
