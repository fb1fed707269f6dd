"""Explanations out of a store: its rows, with the pictures that they are of."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cam.batch.entries import read_entries
from cam.batch.record import read_record
from cam.batch.store import read_class_names, read_pieces
from cam.errors import CamError
from cam.explain.explanation import Explanation
from cam.explain.styles import Style, get_style
from cam.files import PathLike
from cam.pictures.lists import Entry
from cam.pictures.reading import Picture, frame_size

_COLUMNS = (
    *("index", "name", "status", "reason", "label"),
    *("height", "width", "top_index", "top_probability"),
)
_KEPT = ("maps", "boxes")
"""Columns that a store may have beside these."""

_UNKNOWN_PICTURE = 128
"""The grey that stands for a picture that is not there."""


@dataclass(frozen=True, eq=False)
class StoredRow:
    """A picture of a store and what is kept of it.

    Attributes
    ----------
    entry : cam.pictures.lists.Entry
        The picture, as the store's list has it.
    values : mapping
        The row by the names of its columns.
    maps : numpy.ndarray or None
        Its raw maps, flat, in the type that they are stored in.
    """

    entry: Entry
    values: Mapping[str, Any]
    maps: NDArray[Any] | None = None

    @property
    def is_explained(self) -> bool:
        """Whether the picture could be read and explained."""
        return bool(self.values["status"] == "ok")


class StoreReader:
    """A store, read row by row; nothing of it is kept.

    Parameters
    ----------
    folder : path-like
        The store.

    Raises
    ------
    CamError
        If it is none, or its record lacks what its rows mean.
    """

    def __init__(self, folder: PathLike) -> None:
        self.folder = Path(folder)
        self.record = read_record(folder)
        self.class_names = read_class_names(folder)
        try:
            self.count = int(self.record["pictures"]["count"])
            self._options = self.record["options"]
            self._crop_size = int(self.record["model"]["crop"])
            kept = self.record["arrays"].get("maps", {"shape": [0], "type": "float32"})
            self._map_shape = tuple(int(length) for length in kept["shape"])
            self.map_precision = np.dtype(str(kept["type"]))
            self.outputs: tuple[str, ...] = tuple(self._options["outputs"])
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise CamError(f"{folder}: the record of the store lacks {error}") from error

    @property
    def map_numbers(self) -> int:
        """How many numbers the raw maps of a picture have; 0 if none were kept."""
        return math.prod(self._map_shape)

    @cached_property
    def style(self) -> Style:
        """How its maps were made."""
        return get_style(self._options["style"], self._options.get("placement", "stretch"))

    def rows(self) -> Iterator[StoredRow]:
        """Yield the pictures that are done, in the order of the list.

        Raises
        ------
        CamError
            If a piece of the store is damaged.
        """
        kept = [name for name in _KEPT if name in self.outputs]
        entries = enumerate(read_entries(self.folder))
        for table in read_pieces(self.folder, [*_COLUMNS, *kept]):
            maps = table.column("maps") if "maps" in kept else None
            plain = table.drop_columns(["maps"]) if "maps" in kept else table
            for place, values in enumerate(plain.to_pylist()):
                entry = next((entry for at, entry in entries if at == values["index"]), None)
                if entry is None:
                    raise CamError(f"{self.folder}: the list lacks picture {values['index']}")
                flat = None if maps is None else maps[place].values
                yield StoredRow(entry, values, None if flat is None else flat.to_numpy())

    def class_name(self, index: int) -> str:
        """Return the name of a class; its number if the store does not know it."""
        known = 0 <= index < len(self.class_names)
        return self.class_names[index] if known else f"class {index}"

    def explanation(self, row: StoredRow, picture: Picture | None) -> Explanation:
        """Return what a row says, for its picture.

        Parameters
        ----------
        row : StoredRow
            One with maps or without; it is explained.
        picture : numpy.ndarray or None
            The picture, uint8 (rows, columns, 3) BGR; grey takes its place if it is not there.

        Returns
        -------
        cam.explain.explanation.Explanation
            Of the stored classes. All other scores are 0; a store without maps gives maps of no
            rows and no columns.

        Raises
        ------
        CamError
            If the row does not hold what the store's record says.
        """
        try:
            return self._explanation(row, picture)
        except (ValueError, TypeError, IndexError) as error:
            raise CamError(f"{self.folder}: the row of {row.entry.name} is damaged") from error

    def _explanation(self, row: StoredRow, picture: Picture | None) -> Explanation:
        values = row.values
        size = frame_size(self._crop_size)
        indices = np.array(values["top_index"], np.intp)
        scores = np.zeros(max(len(self.class_names), int(indices.max(initial=0)) + 1), np.float32)
        scores[indices] = values["top_probability"]
        shape = (0, len(indices), 0, 0) if row.maps is None else self._map_shape
        maps = np.zeros(shape, np.float32) if row.maps is None else row.maps.reshape(shape)
        return Explanation(
            frame=(
                np.full((size, size, 3), _UNKNOWN_PICTURE, np.uint8)
                if picture is None
                else self.style.resize(picture, size)
            ),
            picture_size=(values["height"], values["width"]),
            scores=scores,
            indices=indices,
            names=tuple(self.class_name(index) for index in indices.tolist()),
            maps=maps.astype(np.float32),
            crop_size=self._crop_size,
            style=self.style,
            record={**self.record["model"], **self.style.record},
            source=picture,
        )
