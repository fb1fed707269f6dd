"""The pieces of a store: Parquet files, read within limits, and a digest of each.

Parquet's own checksums leave most of a file out, its footer for example. So the SHA-256 of each
piece stands in a file beside them, which ``sha256sum -c`` reads as well.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cam.batch.piece_child import content_bytes, read_table
from cam.batch.piece_trial import is_survived
from cam.errors import CamError, import_extra
from cam.files import atomic_path, read_bytes

PIECES, DIGESTS = "pieces", "pieces.sha256"

MAX_PIECE_BYTES, MAX_CONTENT_BYTES = 2**29, 2**30
"""How large the file of a piece may be, and what it holds when it is unpacked."""

_LINE = re.compile(rf"([0-9a-f]{{64}})  {PIECES}/([0-9]{{6,10}})\.parquet")

_INTEGER, _INTEGERS, _NUMBERS = r"u?int\d+", r"list<\w+: u?int\d+>", r"list<\w+: (halffloat|float)>"

_TYPES: Mapping[str, str] = {
    "index": _INTEGER,
    "name": "string",
    "status": "string",
    "reason": "string|null",
    "label": f"{_INTEGER}|null",
    "top_index": f"{_INTEGERS}|null",
    "top_probability": f"{_NUMBERS}|null",
    "scores": f"{_NUMBERS}|null",
    "features": f"{_NUMBERS}|null",
    "maps": f"{_NUMBERS}|null",
    "height": f"{_INTEGER}|null",
    "width": f"{_INTEGER}|null",
    "boxes": rf"list<\w+: list<\w+: {_INTEGERS}>>|null",
    "heat_maps": r"list<\w+: binary>|null",
}
"""The columns that this project reads back: what PyArrow calls their types."""

SUMMARY_COLUMNS = ("index", "name", "status", "reason", "label", "top_index")
"""The columns that every piece has."""

_OPTIONAL = ("reason", "label")
"""What a picture that is done may lack."""


class DamagedPieceError(CamError):
    """A piece that is not as it was written; `reason` says in what."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} is damaged ({reason}); run the same batch again, which makes it anew"
        )
        self.path, self.reason = path, reason


def import_parquet() -> Any:
    """Import PyArrow's Parquet module.

    Raises
    ------
    CamError
        If PyArrow is not installed.
    """
    return import_extra(
        "pyarrow.parquet",
        "batches are stored with PyArrow, which does not import here ({error}); "
        "pip install pyarrow",
    )


def piece_name(number: int) -> str:
    """Return the path of a piece in its store."""
    return f"{PIECES}/{number:06d}.parquet"


@dataclass(frozen=True)
class Pieces:
    """The pieces of a store, as they should be.

    Attributes
    ----------
    folder : pathlib.Path
        The store.
    count : int
        How many pictures its list has.
    piece_size : int
        How many pictures a piece has; the last one may have less.
    digests : dict of int to str, or None
        The recorded SHA-256 of each piece by its number; None in a store that was begun without.
    """

    folder: Path
    count: int
    piece_size: int
    digests: dict[int, str] | None

    @property
    def pieces(self) -> int:
        """How many pieces there are when all is done."""
        return -(-self.count // self.piece_size)

    def size_of(self, number: int) -> int:
        """Return how many pictures a piece has."""
        return min(self.piece_size, self.count - number * self.piece_size)

    def read(self, number: int, columns: Sequence[str] | None = None) -> Any:
        """Return some columns of a piece, or all of it, as a pyarrow.Table.

        Raises
        ------
        DamagedPieceError
            If the bytes are not those recorded, or hold something else than a piece.
        CamError
            If the file cannot be read.
        """
        path = self.folder / piece_name(number)
        data = read_bytes(path, limit=MAX_PIECE_BYTES)
        if self.digests is not None:
            self._check_digest(number, data)
        import_parquet()
        import pyarrow

        wanted = columns, self.size_of(number), MAX_CONTENT_BYTES
        if self.digests is None and not is_survived(data, *wanted):
            raise self._damaged(number, "Arrow fails on it")
        try:
            table = read_table(data, *wanted)
        # What is damaged makes PyArrow fail in any way.
        except (OSError, ValueError, MemoryError, pyarrow.ArrowException) as error:
            raise self._damaged(number, (str(error).splitlines() or ["too large"])[0]) from error
        found = {field.name: str(field.type) for field in table.schema}
        for name in columns or {*SUMMARY_COLUMNS, *(found.keys() & _TYPES.keys())}:
            if not re.fullmatch(_TYPES[name], found.get(name, "")):
                raise self._damaged(number, f"{name} is {found.get(name, 'missing')}")
        if not _is_complete(table):
            raise self._damaged(number, "a picture that is done lacks something")
        return table

    def check(self, number: int) -> Any:
        """Return the columns index and name of a piece that is whole; errors are as of `read`."""
        # Without a digest only reading all of it tells.
        table = self.read(number, None if self.digests is None else ["index", "name"])
        first = number * self.piece_size
        if table["index"].to_pylist() != list(range(first, first + self.size_of(number))):
            raise self._damaged(number, self.other_pictures(number))
        return table.select(["index", "name"])

    def _check_digest(self, number: int, data: bytes) -> None:
        assert self.digests is not None
        digest = hashlib.sha256(data).hexdigest()
        if self.digests.get(number) == digest:
            return
        if digest in self.digests.values():
            raise self._damaged(number, self.other_pictures(number))
        raise self._damaged(number, f"its SHA-256 is not the one in {DIGESTS}")

    def other_pictures(self, number: int) -> str:
        """Say that a piece holds something else than it should."""
        first = number * self.piece_size
        return f"not the pictures {first} to {first + self.size_of(number) - 1}"

    def _damaged(self, number: int, reason: str) -> DamagedPieceError:
        return DamagedPieceError(self.folder / piece_name(number), reason)


def _is_complete(table: Any) -> bool:
    """Tell whether pictures that are done have all that a table has columns for."""
    if "status" not in table.column_names:
        return True
    from pyarrow import compute, types

    done = table.filter(compute.equal(table["status"], "ok"))
    columns = [done[name] for name in done.column_names if name not in _OPTIONAL]
    lists = [column for column in columns if types.is_list(column.type)]
    return not any(column.null_count for column in columns) and not any(
        compute.any(compute.equal(compute.list_value_length(column), 0)).as_py() for column in lists
    )


def check_size(data: bytes) -> None:
    """Check that a piece is not too large to be read again.

    Raises
    ------
    CamError
        If it is.
    """
    import pyarrow

    metadata = import_parquet().read_metadata(pyarrow.BufferReader(data))
    if len(data) > MAX_PIECE_BYTES or content_bytes(metadata) > MAX_CONTENT_BYTES:
        raise CamError(
            f"a piece of {metadata.num_rows} pictures is over {MAX_PIECE_BYTES // 2**20} MB, or "
            f"{MAX_CONTENT_BYTES // 2**20} MB when it is unpacked; take a smaller piece size"
        )


def piece_numbers(folder: Path) -> list[int]:
    """Return which pieces a store has, in their order."""
    stems = (path.stem for path in (folder / PIECES).glob("[0-9]*.parquet"))
    numbers = sorted({int(stem) for stem in stems if stem.isascii() and stem.isdecimal()})
    return [number for number in numbers if (folder / piece_name(number)).exists()]


def read_digests(folder: Path) -> dict[int, str]:
    """Return the recorded SHA-256 of each piece; what is not a whole line is no record."""
    path = folder / DIGESTS
    if not path.exists():
        return {}
    lines = read_bytes(path, "the digests").decode("ascii", "replace").splitlines()
    found = (_LINE.fullmatch(line) for line in lines)
    return {int(line[2]): line[1] for line in found if line is not None}


def add_digest(folder: Path, number: int, data: bytes) -> str:
    """Record the SHA-256 of a piece that is about to be written, and return it.

    It comes first: a piece without its record would be damaged, a record without its piece is not.
    """
    digest = hashlib.sha256(data).hexdigest()
    with (folder / DIGESTS).open("ab") as file:
        end = file.tell()
        try:
            file.write(_line(number, digest))
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            # The next line must not begin in the middle of this one.
            file.truncate(end)
            raise
    return digest


def write_digests(folder: Path, digests: Mapping[int, str]) -> None:
    """Write the record of all pieces, in their order, if it is not that already."""
    whole = b"".join(_line(number, digests[number]) for number in sorted(digests))
    path = folder / DIGESTS
    if path.exists() and path.read_bytes() == whole:
        return
    with atomic_path(path) as temporary:
        temporary.write_bytes(whole)


def _line(number: int, digest: str) -> bytes:
    return f"{digest}  {piece_name(number)}\n".encode()
