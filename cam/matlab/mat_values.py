"""What MATLAB's variables become here, and how much of a file may become it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

MatValue: TypeAlias = NDArray[Any] | str | list[str]
Chooser: TypeAlias = Callable[[Sequence[str]], list[str]]

MAX_CONTENT_BYTES = 384 * 2**20
"""How many bytes the variables that are read from one file may take: unpacked and converted."""

BYTES_OF_AN_ARRAY = 1024
"""What each array costs besides its numbers, in memory and in time."""

MAX_DEPTH = 64
"""How deep cells and structs may lie in each other."""

CLASSES = {"double": "f8", "single": "f4", "logical": "?", "int8": "i1", "uint8": "u1"}
CLASSES |= {"int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"}
CLASSES |= {"int64": "i8", "uint64": "u8"}
"""MATLAB's classes of numbers, and NumPy's types for them."""


class DamagedError(Exception):
    """A file whose bytes contradict each other."""


class RefusedError(Exception):
    """A file that holds more than may be read, or what MATLAB does not write."""


class Unreadable(NamedTuple):
    """Stands for a variable of a kind that is not read, and says of which."""

    what: str


class Budget:
    """How many bytes may still be taken.

    Parameters
    ----------
    limit : int
        How many at first.
    """

    def __init__(self, limit: int) -> None:
        self.left = limit

    def take(self, size: int) -> None:
        """Take so many bytes; RefusedError if there are not as many."""
        self.left -= size
        if self.left < 0:
            raise RefusedError("it holds more than may be read")


def numeric_value(
    parts: Sequence[NDArray[Any]], kind: str, shape: Sequence[int], budget: Budget
) -> NDArray[Any]:
    """Return numbers in their class and with their axes.

    Parameters
    ----------
    parts : sequence of numpy.ndarray
        The numbers one after another as MATLAB counts them; real and imaginary parts if they are
        two. MATLAB stores them in the smallest type that holds them.
    kind : str
        One of `CLASSES`.
    shape : sequence of int
        The axes.
    budget : Budget
        Pays for the array that is made.

    Returns
    -------
    numpy.ndarray
        An array that can be written to.
    """
    dtype, count = np.dtype(CLASSES[kind]), math.prod(shape)
    if any(part.size != count for part in parts):
        given = " and ".join(str(part.size) for part in parts)
        raise DamagedError(f"{given} numbers for an array of {' x '.join(map(str, shape))}")
    budget.take(count * (dtype.itemsize if len(parts) == 1 else 32))
    with np.errstate(all="ignore"):  # a damaged file may have numbers that its class has not
        values = [part.astype(dtype).reshape(shape, order="F") for part in parts]
    return values[0] if len(values) == 1 else np.asarray(values[0] + 1j * values[1])


def cell_value(items: list[Any], shape: Sequence[int]) -> Any:
    """Return a cell's items, given in MATLAB's order, as a list of str or an array of objects."""
    if max(shape, default=0) == len(items) and all(isinstance(item, str) for item in items):
        return items
    cell = np.empty(len(items), dtype=np.object_)
    for place, item in enumerate(items):  # all at once, NumPy would stack items of one shape
        cell[place] = item
    return cell.reshape(tuple(shape), order="F")


def text_rows(units: NDArray[Any], shape: Sequence[int]) -> list[str]:
    """Return the rows of text of UTF-16 code units, given in MATLAB's order."""
    # HDF5 has text without axes, too, which MATLAB does not write.
    rows = [*shape, 1][0] if units.size else 0
    # One row may be longer than it says: some writers count characters, others bytes.
    if rows > 1 and units.size != math.prod(shape):
        raise DamagedError(f"{units.size} characters for text of {' x '.join(map(str, shape))}")
    return [
        units[row::rows].astype("<u2").tobytes().decode("utf-16-le", "replace")
        for row in range(rows)
    ]


def text_value(rows: list[str]) -> MatValue:
    """Return text, or the list of its rows if it has several."""
    return rows if len(rows) > 1 else "".join(rows)
