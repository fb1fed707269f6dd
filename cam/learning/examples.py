"""Pictures with labels, to learn from and to be tested on.

A folder has a folder for each class; Caffe's lists have a class number behind each path; a table
has the columns `path` and `label`, and may have `split` (train or test) and the ground truth's box:
`x`, `y`, `width`, `height`; a store has the labels that it was made with or, without any, the
folders of its pictures.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cam.batch.entries import read_entries
from cam.batch.store import is_store, read_class_names
from cam.errors import CamError, nearest_names
from cam.files import reading
from cam.localization.boxes import Box
from cam.pictures.lists import (
    LABEL_COLUMNS,
    PATH_COLUMNS,
    Entry,
    find_pictures,
    list_lines,
    split_label,
)
from cam.zoo.class_names import find_class

BOX_COLUMNS = ("x", "y", "width", "height")
SPLIT_COLUMN = "split"
PARTS: Mapping[str, str] = {
    **dict.fromkeys(("train", "training", "1"), "train"),
    **dict.fromkeys(("test", "testing", "val", "validation", "0"), "test"),
}
"""What a table's column `split` may say; CUB-200-2011 has 1 and 0."""


class Labelled(NamedTuple):
    """A picture as its list has it: the label as text, and its part, empty if none is said."""

    entry: Entry
    label: str
    part: str = ""
    box: Box | None = None


@dataclass(frozen=True)
class Classes:
    """The classes that are learned.

    Attributes
    ----------
    names : tuple of str
        Their names, in the network's order.
    by_label : mapping of str to int
        Which class a label is, for labels that are no names of these.
    """

    names: tuple[str, ...]
    by_label: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of_labels(cls, labels: Iterable[str], names: Sequence[str] | None = None) -> Classes:
        """Return the classes of labels: the names given, or the labels themselves, sorted.

        Parameters
        ----------
        labels : iterable of str
            The labels of the training part.
        names : sequence of str, optional
            The names of all classes. Labels are then these, or numbers from 0.

        Returns
        -------
        Classes
            The classes. Labels that are all numbers are the classes' numbers, from 0.
        """
        different = set(labels)
        if names is not None:
            return cls(tuple(names))
        if different and all(label.isdecimal() for label in different):
            count = max(int(label) for label in different) + 1
            if count > MAX_CLASSES:
                raise CamError(f"class number {count - 1}; labels are numbered from 0 on")
            numbers = {label: int(label) for label in different}
            return cls(tuple(f"class {index}" for index in range(count)), numbers)
        ordered = tuple(sorted(different))
        return cls(ordered, {label: index for index, label in enumerate(ordered)})

    def index(self, label: str, picture: str) -> int:
        """Return which class a picture's label is.

        Raises
        ------
        CamError
            If it is none of them; the message names the picture.
        """
        if label in self.by_label:
            return self.by_label[label]
        if not self.by_label:
            try:
                return find_class(self.names, label)
            except CamError as error:
                raise CamError(f"{picture} is labelled {label!r}: {error}") from error
        raise CamError(
            f"{picture} is labelled {label!r}, which is none of the {len(self.names)} classes"
            f"{nearest_names(label, self.by_label)}"
        )


MAX_CLASSES = 100_000


@dataclass(frozen=True)
class LabelledPictures:
    """Pictures with labels, read from their list each time they are asked for.

    Attributes
    ----------
    source : pathlib.Path
        A folder of folders, one of Caffe's lists, a table or a store.
    root : pathlib.Path or None
        The folder that relative paths of lists and tables start from; the list's own if None.
    part : str
        Only the pictures of this part of a table with a `split`; all if empty.
    numbers : bool
        Whether a store's labels are taken as numbers, not as the names of its model's classes.
    """

    source: Path
    root: Path | None = None
    part: str = ""
    numbers: bool = False

    def __iter__(self) -> Iterator[Labelled]:
        """Yield the pictures in their order.

        Raises
        ------
        CamError
            If the source cannot be read, or a picture has no label.
        """
        for picture in self._all():
            if not self.part or picture.part == self.part:
                yield picture

    def parts(self) -> dict[str, LabelledPictures]:
        """Return the training part and, where a table has one, the held-out part.

        Raises
        ------
        CamError
            If only some lines of a table say which part they are of.
        """
        found = {picture.part for picture in self}
        if found <= {""}:
            return {"train": self}
        if "" in found:
            raise CamError(f"{self.source}: some pictures have a split and others have none")
        if "train" not in found:
            raise CamError(f"{self.source}: no picture to learn from, all are held out")
        return {part: replace(self, part=part) for part in sorted(found, reverse=True)}

    def labels(self, classes: Classes) -> NDArray[np.int64]:
        """Return the class of each picture, int64 (N,)."""
        return np.fromiter(
            (classes.index(picture.label, picture.entry.name) for picture in self), np.int64
        )

    def _all(self) -> Iterator[Labelled]:
        folder = self.root or self.source.parent
        if is_store(self.source):
            return _store(self.source, self.numbers)
        if self.source.is_dir():
            return _folder(self.source)
        if not self.source.exists():
            raise CamError(f"no file or folder {self.source}")
        if self.source.suffix.lower() == ".csv":
            return _table(self.source, folder)
        return _list(self.source, folder)


def _store(folder: Path, numbers: bool) -> Iterator[Labelled]:
    entries, names = list(read_entries(folder)), read_class_names(folder)
    if all(entry.label is None for entry in entries):
        for entry in entries:
            yield Labelled(entry, _folder_of(entry, folder))
        return
    for entry in entries:
        if not isinstance(entry.label, int):
            raise CamError(f"{folder}: {entry.name} has no label, and others have")
        if entry.label >= len(names):
            raise CamError(
                f"{folder}: {entry.name} has the label {entry.label}, and the store knows "
                f"{len(names)} classes"
            )
        yield Labelled(entry, str(entry.label) if numbers else names[entry.label])


def _folder_of(entry: Entry, source: Path) -> str:
    folder, slash, _ = entry.name.partition("/")
    if not slash:
        raise CamError(
            f"{source}: {entry.name} lies in no folder of its class, and has no label otherwise"
        )
    return folder


def _folder(folder: Path) -> Iterator[Labelled]:
    named = set()
    for entry in find_pictures([folder]):
        label = _folder_of(entry, folder)
        named.add(label)
        yield Labelled(entry, label)
    with reading(folder, "the folder"):
        for inner in sorted(folder.iterdir()):
            name = os.fsencode(inner.name).decode("utf-8", "backslashreplace")
            if inner.is_dir() and name not in named and not name.startswith("."):
                raise CamError(f"{folder}: class {name!r} has no picture")


def _list(file: Path, folder: Path) -> Iterator[Labelled]:
    for number, line in list_lines(file):
        name, label = split_label(line)
        if label is None:
            raise CamError(f"{file}, line {number}: no class number behind the path")
        yield Labelled(Entry(name, str((folder / name).absolute())), label)


def _table(file: Path, folder: Path) -> Iterator[Labelled]:
    with reading(file, "the table"), file.open(encoding="utf-8-sig", newline="") as text:
        rows = csv.DictReader(text)
        columns = {(name or "").strip().lower(): name for name in rows.fieldnames or ()}
        path, label = _column(columns, PATH_COLUMNS, file), _column(columns, LABEL_COLUMNS, file)
        has_boxes = all(name in columns for name in BOX_COLUMNS)
        for row in rows:
            where = f"{file}, line {rows.line_num}"
            cells = {name: (row[column] or "").strip() for name, column in columns.items()}
            if not cells[path] or not cells[label]:
                raise CamError(f"{where}: no {path if not cells[path] else label}")
            part = cells.get(SPLIT_COLUMN, "").lower()
            if part and part not in PARTS:
                raise CamError(f"{where}: the split {part!r} is neither train nor test")
            yield Labelled(
                Entry(cells[path], str((folder / cells[path]).absolute())),
                cells[label],
                PARTS.get(part, ""),
                _box(cells, where) if has_boxes and cells["x"] else None,
            )


def _column(columns: Mapping[str, str], wanted: Sequence[str], file: Path) -> str:
    for name in wanted:
        if name in columns:
            return name
    raise CamError(f"{file}: its first line names no column {' or '.join(wanted)}")


def _box(cells: Mapping[str, str], where: str) -> Box:
    try:
        x, y, width, height = (round(float(cells[name])) for name in BOX_COLUMNS)
    except (ValueError, OverflowError) as error:
        raise CamError(f"{where}: the box is not four numbers") from error
    if width < 1 or height < 1:
        raise CamError(f"{where}: a box of {width}×{height} pixels")
    return Box(x, y, width, height)
