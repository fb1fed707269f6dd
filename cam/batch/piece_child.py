"""Reading a piece with Arrow; run by its path, the process in which that is tried first.

A few of Arrow's functions end the process where a file is damaged. As a program this tries pieces
that follow each other on standard input, answers with an empty line for each that it lives through,
read or not, and imports nothing of `cam`; `cam.batch.piece_trial` starts it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

_BYTES_OF_A_NUMBER = 4


def read_table(data: bytes, columns: Sequence[str] | None, pictures: int, most_bytes: int) -> Any:
    """Return some columns of a piece, or all of it, as a pyarrow.Table.

    Parameters
    ----------
    data : bytes
        The piece's file.
    columns : sequence of str or None
        Which columns; all if None.
    pictures : int
        How many it must have.
    most_bytes : int
        How much it may hold when it is unpacked.

    Raises
    ------
    OSError, ValueError, MemoryError, pyarrow.ArrowException
        If it is damaged.
    """
    import pyarrow
    import pyarrow.parquet

    file = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(data))
    found, content = file.metadata.num_rows, content_bytes(file.metadata)
    if found != pictures or content > most_bytes:
        raise ValueError(f"{found} pictures, {content} bytes")
    table = file.read(columns=columns)
    table.validate(full=True)
    return table


def content_bytes(metadata: Any) -> int:
    """Return how much a piece says that it holds: a few bytes can stand for many equal numbers."""
    groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
    columns = [group.column(index) for group in groups for index in range(group.num_columns)]
    return sum(
        max(column.total_uncompressed_size, _BYTES_OF_A_NUMBER * column.num_values)
        for column in columns
    )


def main() -> None:
    """Try the pieces that standard input asks for, until it ends."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    asking, answering = sys.stdin.buffer, sys.stdout.buffer
    sys.path[:0] = json.loads(asking.readline())
    import pyarrow.parquet  # noqa: F401 - it is to fail here, not at the first piece.

    answering.write(b"\n")
    answering.flush()
    while line := asking.readline():
        request = json.loads(line)
        data = asking.read(request.pop("size"))
        with suppress(Exception):
            read_table(data, **request)
        answering.write(b"\n")
        answering.flush()


if __name__ == "__main__":
    main()
