"""Which pictures of a store to look at first, and all of its classes as a table."""

from __future__ import annotations

import csv
import heapq
from collections.abc import Iterator
from typing import Any, NamedTuple

from cam.batch.store import read_class_names, read_pieces
from cam.files import PathLike, atomic_path

_COLUMNS = ("index", "name", "status", "reason", "label", "top_index", "top_probability")


class ListedPicture(NamedTuple):
    """A picture of a store, its best class and its label.

    Attributes
    ----------
    name : str
        The picture.
    top, label : str
        The names of its best class and of its label; the label's is empty without one.
    probability : float
        Of its best class.
    """

    name: str
    top: str
    label: str
    probability: float


def wrong_pictures(folder: PathLike, count: int) -> list[ListedPicture]:
    """Return the pictures that are taken for another class than their label's, the surest first.

    Parameters
    ----------
    folder : path-like
        The store.
    count : int
        How many at most.

    Returns
    -------
    list of ListedPicture
        Of equal ones those that come first in the store.

    Raises
    ------
    CamError
        If the folder is not a store.
    """
    names = _Names(folder)
    rows = (row for row in _explained(folder) if row["label"] not in (None, row["top_index"][0]))
    surest = heapq.nlargest(count, rows, key=lambda row: (_probability(row), -row["index"]))
    return [names.listed(row) for row in surest]


def least_sure_pictures(folder: PathLike, count: int) -> list[ListedPicture]:
    """Return the pictures whose best class has the lowest probability, the lowest first.

    Parameters, result and errors are those of `wrong_pictures`.
    """
    names = _Names(folder)
    key = lambda row: (_probability(row), row["index"])  # noqa: E731
    return [names.listed(row) for row in heapq.nsmallest(count, _explained(folder), key=key)]


def write_table(folder: PathLike, path: PathLike) -> int:
    """Write the pictures of a store and their classes as a CSV table, in the order of the list.

    Parameters
    ----------
    folder : path-like
        The store.
    path : path-like
        The file, UTF-8. Its columns are ``index``, ``name``, ``status``, ``reason``, ``label``,
        ``label_name``, ``correct`` (1 or 0, where there is a label), and for each rank ``top1``,
        ``top1_name``, ``top1_probability`` and so on. Indices count from 0.

    Returns
    -------
    int
        How many pictures it has.

    Raises
    ------
    CamError
        If the folder is not a store, or the file cannot be written.
    """
    names = _Names(folder)
    ranks = max((len(row["top_index"]) for row in _explained(folder)), default=0)
    with (
        atomic_path(path) as temporary,
        # Names of files may hold bytes that are no text.
        temporary.open("w", encoding="utf-8", errors="replace", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        tops = (f"top{rank}" for rank in range(1, ranks + 1))
        writer.writerow(
            [
                *("index", "name", "status", "reason", "label", "label_name", "correct"),
                *(column for top in tops for column in (top, f"{top}_name", f"{top}_probability")),
            ]
        )
        count = 0
        for count, row in enumerate(_rows(folder), 1):  # noqa: B007
            writer.writerow(names.cells(row))
    return count


class _Names:
    """The names of a store's classes."""

    def __init__(self, folder: PathLike) -> None:
        self._names = read_class_names(folder)

    def of(self, index: int | None) -> str:
        if index is None:
            return ""
        return self._names[index] if 0 <= index < len(self._names) else f"class {index}"

    def listed(self, row: dict[str, Any]) -> ListedPicture:
        top, label = self.of(row["top_index"][0]), self.of(row["label"])
        return ListedPicture(row["name"], top, label, _probability(row))

    def cells(self, row: dict[str, Any]) -> list[Any]:
        label, tops = row["label"], row["top_index"] or []
        correct = int(label == tops[0]) if tops and label is not None else None
        told = [row["index"], row["name"], row["status"], row["reason"]]
        told += [label, self.of(label), correct]
        for index, probability in zip(tops, row["top_probability"] or [], strict=True):
            told += [index, self.of(index), f"{probability:.7g}"]
        return told


def _probability(row: dict[str, Any]) -> float:
    return float(row["top_probability"][0])


def _explained(folder: PathLike) -> Iterator[dict[str, Any]]:
    return (row for row in _rows(folder) if row["status"] == "ok" and row["top_index"])


def _rows(folder: PathLike) -> Iterator[dict[str, Any]]:
    for table in read_pieces(folder, _COLUMNS):
        yield from table.to_pylist()
