"""Text and MATLAB files, with limits on what they may hold."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cam.errors import CamError
from cam.matlab.matfiles import read_mat

__all__ = [
    "FloatArray",
    "IntArray",
    "first_bad_line",
    "read_text",
    "read_variable",
]

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

_TEXT_LIMIT = 1 << 28


def first_bad_line(rows: Iterable[Iterable[str]]) -> int:
    """Return the number of the first line, from 1, with a word that is no number; 0 if none has."""
    for number, row in enumerate(rows, 1):
        for word in row:
            try:
                float(word)
            except ValueError:
                return number
    return 0


def read_text(file: Path, limit: int = _TEXT_LIMIT) -> str:
    """Return the text of a file of at most `limit` bytes; `CamError` if it is not such a one."""
    try:
        with file.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise CamError(f"cannot read {file}: {error.strerror}") from error
    if len(data) > limit:
        raise CamError(f"{file} is over {limit >> 20} MiB, too large for what it should be")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CamError(f"{file} is not a text file in UTF-8") from error


def read_variable(file: Path, name: str) -> NDArray[Any]:
    """Return an array of a MATLAB file; `CamError` if it has none of that name."""
    value = read_mat(file, [name])[name]
    if not isinstance(value, np.ndarray):
        raise CamError(f"{file}: {name} is text")
    return value
