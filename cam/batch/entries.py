"""The list of a store's pictures: a line of JSON for each, read and written one at a time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

from cam.errors import CamError, MissingFileError
from cam.files import PathLike, open_regular
from cam.pictures.lists import Entry

ENTRIES = "inputs.jsonl"

_LONGEST_LINE = 2**20


def read_entries(folder: PathLike) -> Iterator[Entry]:
    """Yield the pictures of a store's list, in their order.

    Raises
    ------
    CamError
        If the list cannot be read.
    """
    return entries_of(Path(folder) / ENTRIES)


def entries_of(path: Path) -> Iterator[Entry]:
    """Yield the pictures of a list, in their order; errors are as of `read_entries`."""
    try:
        with open_regular(path) as file:
            for number in count(1):
                line = file.readline(_LONGEST_LINE)
                if not line:
                    return
                try:
                    yield _entry(json.loads(line))
                except (ValueError, TypeError, RecursionError) as error:
                    raise damaged_list(path, f"line {number} is no picture") from error
    except MissingFileError as error:
        raise CamError(f"{error}; run the batch again, which makes it anew") from error


def damaged_list(path: Path, reason: str) -> CamError:
    """Return the error of a list that is not as it was written."""
    return CamError(f"{path} is damaged ({reason}); run the same batch again, which makes it anew")


def _entry(said: dict[str, Any]) -> Entry:
    """Return the picture of a line of the list."""
    entry = Entry(**{**said, "box": tuple(said["box"]) if "box" in said else None})
    for name, kinds in _ENTRY_TYPES.items():
        if type(getattr(entry, name)) not in kinds:
            raise TypeError(name)
    if entry.box is not None and [type(number) for number in entry.box] != [int] * 4:
        raise TypeError("box")
    return entry


_ENTRY_TYPES: Mapping[str, tuple[type, ...]] = {
    "name": (str,),
    "path": (str,),
    "label": (int, str, type(None)),
    "offset": (int, type(None)),
    "size": (int, type(None)),
}


def write_entries(path: Path, entries: Iterable[Entry]) -> tuple[int, str]:
    """Write the list, one JSON object a line; return its length and a digest of what it names."""
    digest, pictures = hashlib.sha256(), 0
    with path.open("w", encoding="ascii") as file:
        for entry in entries:
            present = {key: value for key, value in asdict(entry).items() if value is not None}
            file.write(json.dumps(present) + "\n")
            digest.update(what_counts(entry))
            pictures += 1
    return pictures, digest.hexdigest()


def what_counts(entry: Entry) -> bytes:
    """Return what counts of a picture of the list, wherever it lies."""
    box = [] if entry.box is None else [entry.box]
    return json.dumps([entry.name, entry.label, *box]).encode() + b"\n"
