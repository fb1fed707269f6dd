"""Which pictures of a store score highest for a class."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator

from cam.batch.entries import read_entries
from cam.batch.record import read_record, recorded
from cam.batch.store import read_pieces
from cam.errors import CamError, InvalidValueError
from cam.pictures.lists import Entry


def best_pictures(
    folder: str | os.PathLike[str], class_index: int, count: int
) -> list[tuple[Entry, float]]:
    """Return the pictures of a store that score highest for a class, best first.

    Parameters
    ----------
    folder : path-like
        The store, with the scores of all classes (``--save scores``); without them, only pictures
        count that have the class among their top classes.
    class_index : int
        The class, from 0.
    count : int
        How many pictures at most.

    Returns
    -------
    list of pairs
        The pictures, and their probability for the class; of equal ones the first.

    Raises
    ------
    CamError
        If the folder is not a store, or no picture in it scores for the class.
    """
    if count < 1:
        raise InvalidValueError(f"the best {count} pictures; it must be 1 or more")
    best = heapq.nlargest(count, ((score, -place) for place, score in _scores(folder, class_index)))
    if not best:
        raise CamError(
            f"{folder}: no picture has class {class_index} among its top classes; make the store "
            "with --save scores"
        )
    wanted = {-place for _, place in best}
    entries = {place: entry for place, entry in enumerate(read_entries(folder)) if place in wanted}
    return [(entries[-place], score) for score, place in best]


def _scores(folder: str | os.PathLike[str], class_index: int) -> Iterator[tuple[int, float]]:
    """Yield place and score of the pictures whose score for a class is known."""
    has_scores = "scores" in recorded(folder, read_record(folder), "options.outputs", list)
    columns = ["scores"] if has_scores else ["top_index", "top_probability"]
    for table in read_pieces(folder, ["index", "status", *columns]):
        for row in table.to_pylist():
            if row["status"] != "ok":
                continue
            if has_scores:
                if class_index >= len(row["scores"]):
                    raise InvalidValueError(
                        f"class {class_index}; {folder} knows {len(row['scores'])} classes"
                    )
                yield row["index"], float(row["scores"][class_index])
            elif class_index in row["top_index"]:
                rank = row["top_index"].index(class_index)
                yield row["index"], row["top_probability"][rank]
