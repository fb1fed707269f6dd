"""Measure the maps of many pictures: made now, kept in a store, or made by another program."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cam.batch.stored import StoreReader
from cam.errors import CamError
from cam.explain.explanation import Explanation
from cam.explain.measures import (
    MEASURES,
    MeasuredPicture,
    PictureMap,
    map_of_array,
    map_of_explanation,
    measure,
)
from cam.explain.model import CamModel
from cam.files import PathLike, read_arrays
from cam.localization.ground_truth import GroundTruth
from cam.pictures.lists import Entry
from cam.pictures.reading import Picture

Subject = tuple[Entry, Callable[[Picture, int | None], tuple[int, PictureMap]]]
"""A picture, and what finds its map: takes it and its label, returns the class and its map."""

Explain = Callable[[Picture, int | None], Explanation]
"""Takes a picture and its label, if it has one; returns the explanation of one class."""


def subjects_to_explain(entries: Iterable[Entry], explain: Explain) -> Iterator[Subject]:
    """Yield pictures whose maps are to be made now."""

    def find(picture: Picture, label: int | None) -> tuple[int, PictureMap]:
        explanation = explain(picture, label)
        return int(explanation.indices[0]), map_of_explanation(explanation)

    return ((entry, find) for entry in entries)


def subjects_of_store(folder: PathLike) -> Iterator[Subject]:
    """Yield the pictures of a store, with the maps that it keeps.

    The map of the label is taken where the store has it, else that of the best class.

    Raises
    ------
    CamError
        If the store keeps no maps, or is damaged.
    """
    reader = StoreReader(folder)
    if not reader.map_numbers:
        raise CamError(f"{folder} keeps no maps; make it with cam batch --save maps")
    for row in reader.rows():
        if not row.is_explained:
            continue

        def find(picture: Picture, label: int | None, row: Any = row) -> tuple[int, PictureMap]:
            explanation = reader.explanation(row, picture)
            ranks = np.flatnonzero(explanation.indices == label)
            rank = int(ranks[0]) if ranks.size else 0
            return int(explanation.indices[rank]), map_of_explanation(explanation, rank)

        yield row.entry, find


def subjects_of_archive(
    entries: Iterable[Entry], path: PathLike, model: CamModel
) -> Iterator[Subject]:
    """Yield pictures with the maps of a ``.npz``: an array for each, named as its file's stem.

    A picture without a label is measured for the network's best class.

    Raises
    ------
    CamError
        If the archive cannot be read.
    """
    arrays = read_arrays(Path(path))

    def find(entry: Entry, picture: Picture, label: int | None) -> tuple[int, PictureMap]:
        stem = PurePath(entry.name).stem
        if stem not in arrays:
            raise CamError(f"{path} has no map named {stem}")
        index = int(model.explain(picture, top=1).indices[0]) if label is None else label
        return index, map_of_array(arrays[stem], model.crop_size, picture.shape[:2])

    return ((entry, lambda *given, entry=entry: find(entry, *given)) for entry in entries)


def boxes_by_picture(truth: GroundTruth) -> dict[str, NDArray[np.float64]]:
    """Return the boxes of each picture's label, float64 (B, 4), by the picture's name."""
    of_label = truth.box_labels == truth.labels[truth.box_pictures]
    pictures, boxes = truth.box_pictures[of_label], truth.boxes[of_label]
    first = np.searchsorted(pictures, np.arange(len(truth) + 1))
    return {
        name: boxes[start:stop]
        for name, start, stop in zip(truth.names, first[:-1], first[1:], strict=True)
        if stop > start
    }


def measure_pictures(
    model: CamModel,
    subjects: Iterable[Subject],
    measures: Sequence[str] = MEASURES,
    boxes: Mapping[str, NDArray[np.float64]] | None = None,
) -> Iterator[MeasuredPicture | CamError]:
    """Yield what is measured of each picture, or why it cannot be.

    Parameters
    ----------
    model : cam.explain.model.CamModel
        The network that is asked.
    subjects : iterable of Subject
        The pictures and their maps.
    measures : sequence of str, optional
        As of `cam.explain.measures.measure`.
    boxes : mapping, optional
        The boxes of each picture's class, by the picture's name without folder and extension.
    """
    for entry, find in subjects:
        try:
            label = None if entry.label is None else model.class_index(entry.label)
            picture = entry.read()
            index, heat_map = find(picture, label)
            its_boxes = (boxes or {}).get(PurePath(entry.name).stem)
            yield measure(
                model,
                picture,
                index,
                heat_map,
                measures=measures,
                boxes=its_boxes,
                name=entry.name,
            )
        except CamError as error:
            yield error if str(error).startswith(entry.name) else CamError(f"{entry.name}: {error}")


def table_of(measured: Sequence[MeasuredPicture], class_names: Sequence[str]) -> str:
    """Return a line of CSV for each picture, behind a line that names the columns."""
    columns = list(dict.fromkeys(name for one in measured for name in one.values))
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["name", "index", "class", *columns])
    for one in measured:
        values = [one.values.get(column, "") for column in columns]
        writer.writerow([one.name, one.index, class_names[one.index], *values])
    return table.getvalue()
