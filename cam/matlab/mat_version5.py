"""MATLAB files of versions 5 to 7: a reader that holds every length against what is there.

SciPy's reader, in C, takes a file at its word: single flipped bits end the process. What would
have to be looked at before it sees a file is nearly all that reading takes, so the whole of it is
done here, in Python and NumPy, where the worst that a file can do is raise an exception.

The format is MathWorks' *MAT-File Format*: elements of a kind, a length and content. A variable is
a matrix element, possibly compressed, of elements in turn: flags with its class, its axes, its
name, and what its class has.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cam.matlab.mat_values import (
    BYTES_OF_AN_ARRAY,
    CLASSES,
    MAX_DEPTH,
    Budget,
    Chooser,
    DamagedError,
    Unreadable,
    cell_value,
    numeric_value,
    text_rows,
    text_value,
)

_HEADER_BYTES = 128
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = dict(enumerate(("i1", "u1", "i2", "u2", "i4", "u4", "f4"), 1))
_NUMBERS |= {9: "f8", 12: "i8", 13: "u8"}
_ENCODINGS = {1: "latin-1", 2: "latin-1", 16: "utf-8", 18: "utf-32"}
_UNITS = {4, 17}
_NAME_KINDS, _AXES_KINDS, _FLAGS_KIND = {1, 2, 16}, {5, 6}, 6

_CELL, _STRUCT, _CHAR = 1, 2, 4
_CLASSES = dict(enumerate((name for name in CLASSES if name != "logical"), 6))
_UNREADABLE = {3: "an object", 5: "sparse", 16: "a function", 17: "an object"}
_OPAQUE = 17
_LOGICAL, _COMPLEX = 1 << 9, 1 << 11

_FIXED_BYTES = 32
"""Of the flags and two axes, each with its kind and length."""

_HEADER_START = 4096
"""Bytes that a variable's class, axes and name surely lie in."""


class _Place(NamedTuple):
    """Where a variable's matrix element lies in the file, and whether it is compressed."""

    start: int
    end: int
    compressed: bool


def read_version5(data: bytes, choose: Chooser, budget: Budget) -> dict[str, Any]:
    """Read variables of a file of version 5 to 7.

    Parameters
    ----------
    data : bytes
        The whole file.
    choose : callable
        Given the names of the variables that the file has, returns those to read.
    budget : Budget
        What their content may take.

    Returns
    -------
    dict
        The variables by name; `Unreadable` where one is sparse, a function or an object.

    Raises
    ------
    DamagedError, RefusedError, struct.error, zlib.error, ValueError
        If the file's bytes contradict each other or hold too much.
    """
    order = "<" if data[126:128] == b"IM" else ">"
    places: dict[str, _Place] = {}
    for place in _places(data, order):
        budget.take(BYTES_OF_AN_ARRAY)
        head = _unpacked(data, place, _HEADER_START) if place.compressed else data
        start = 8 if place.compressed else place.start
        _, _, name, _ = _Elements(head, order, budget).header(start, len(head))
        # What has no name belongs to MATLAB: the contents of its own objects.
        if name:
            places[name] = place
    return {name: _variable(data, order, places[name], budget) for name in choose(list(places))}


def _places(data: bytes, order: str) -> Iterator[_Place]:
    """Yield where the variables lie."""
    at = _HEADER_BYTES
    while at < len(data):
        kind, length = struct.unpack_from(f"{order}II", data, at)
        start, at = at + 8, at + 8 + length
        if at > len(data) or kind not in {_MATRIX, _COMPRESSED}:
            raise DamagedError(f"no variable at byte {start - 8}")
        yield _Place(start, at, kind == _COMPRESSED)


def _unpacked(data: bytes, place: _Place, limit: int) -> bytes:
    """Return the first bytes, not over `_HEADER_START`, of a compressed matrix element."""
    # Deflate's own tables are a few hundred bytes, and what cannot be shrunk hardly gets longer.
    packed = memoryview(data)[place.start : min(place.end, place.start + 2 * _HEADER_START)]
    return zlib.decompressobj().decompress(packed, limit)


def _variable(data: bytes, order: str, place: _Place, budget: Budget) -> Any:
    start, end = place.start, place.end
    if place.compressed:
        kind, length = struct.unpack(f"{order}II", _unpacked(data, place, 8))
        budget.take(length)
        unpacking = zlib.decompressobj()
        packed = memoryview(data)[start:end]
        data, start, end = unpacking.decompress(packed, length + 9), 8, length + 8
        if kind != _MATRIX or len(data) != end or not unpacking.eof:
            raise DamagedError("a compressed variable is not what it says")
    return _Elements(data, order, budget).value(start, end, 0)


class _Elements:
    """The elements of a file, or of a compressed variable.

    Parameters
    ----------
    data : bytes
        The bytes.
    order : {"<", ">"}
        Their byte order.
    budget : Budget
        Pays for what is made of them.
    """

    def __init__(self, data: bytes, order: str, budget: Budget) -> None:
        self._data, self._order, self._budget = data, order, budget
        self._tag = struct.Struct(f"{order}II").unpack_from
        self._fixed = struct.Struct(f"{order}6I2i").unpack_from

    def _element(self, at: int, end: int) -> tuple[int, int, int, int]:
        """Return an element's kind, begin and end of its content, and where the next begins."""
        kind, length = self._tag(self._data, at)
        start, after = at + 8, at + 8 + (length if kind == _MATRIX else length + 7 & ~7)
        if kind >> 16:  # up to four bytes are stored in the tag itself
            kind, length, start, after = kind & 0xFFFF, kind >> 16, at + 4, at + 8
            end = min(end, after)
        if start + length > end:
            raise DamagedError(f"an element of {length} bytes at byte {at} does not fit there")
        return kind, start, start + length, after

    def header(self, at: int, end: int) -> tuple[int, tuple[int, ...], str, int]:
        """Return a variable's flags, axes and name, and where its content begins."""
        if at + _FIXED_BYTES > end:
            raise DamagedError("a variable ends in its header")
        kind, length, flags, _, axes_kind, axes_length, *shape = self._fixed(self._data, at)
        if kind != _FLAGS_KIND or length != 8:
            raise DamagedError("a variable does not say its class")
        if flags & 0xFF == _OPAQUE:
            shape, at = [], at + 16
        elif axes_kind in _AXES_KINDS and axes_length == 8:  # two axes, as nearly every array
            at += _FIXED_BYTES
        else:
            kind, start, stop, at = self._element(at + 16, end)
            shape = np.frombuffer(self._data[start:stop], f"{self._order}i4").tolist()
            if kind not in _AXES_KINDS or len(shape) < 2:
                raise DamagedError("a variable does not say its axes")
        kind, start, stop, at = self._element(at, end)
        if kind not in _NAME_KINDS or min(shape, default=0) < 0:
            raise DamagedError("a variable's name or axes are none")
        name = self._data[start:stop].decode("utf-8", "replace")
        return flags, tuple(shape), name, at

    def value(self, at: int, end: int, depth: int) -> Any:
        """Return what a matrix element holds."""
        self._budget.take(BYTES_OF_AN_ARRAY)
        if at == end:  # how an empty array may be stored in a cell or struct
            return np.zeros((0, 0))
        if depth > MAX_DEPTH:
            raise DamagedError(f"cells or structs are more than {MAX_DEPTH} deep")
        flags, shape, _, at = self.header(at, end)
        kind = flags & 0xFF
        if kind in _CLASSES:
            return self._numeric(flags, shape, at, end)
        if kind == _CHAR:
            return self._text(shape, at, end)
        if kind == _CELL:
            return cell_value(self._items(math.prod(shape), at, end, depth), shape)
        if kind == _STRUCT:
            return self._struct(shape, at, end, depth)
        if kind not in _UNREADABLE:
            raise DamagedError(f"there is no class {kind}")
        return Unreadable(_UNREADABLE[kind]) if depth == 0 else None

    def _numeric(self, flags: int, shape: tuple[int, ...], at: int, end: int) -> Any:
        name = "logical" if flags & _LOGICAL else _CLASSES[flags & 0xFF]
        if not math.prod(shape):
            return numeric_value([np.empty(0)], name, shape, self._budget)
        parts = []
        for _ in range(2 if flags & _COMPLEX else 1):
            part, at = self._numbers(at, end)
            parts.append(part)
        return numeric_value(parts, name, shape, self._budget)

    def _numbers(self, at: int, end: int) -> tuple[NDArray[Any], int]:
        kind, start, stop, after = self._element(at, end)
        if kind not in _NUMBERS:
            raise DamagedError(f"numbers cannot be of kind {kind}")
        dtype = np.dtype(self._order + _NUMBERS[kind])
        count = (stop - start) // dtype.itemsize
        return np.frombuffer(self._data, dtype, count, start), after

    def _text(self, shape: tuple[int, ...], at: int, end: int) -> Any:
        if not math.prod(shape):
            return ""
        kind, start, stop, _ = self._element(at, end)
        raw = self._data[start:stop]
        self._budget.take(8 * len(raw))
        if kind in _ENCODINGS:
            raw = raw.decode(_ENCODINGS[kind], "replace").encode("utf-16-le", "replace")
        elif kind not in _UNITS:
            raise DamagedError(f"text cannot be of kind {kind}")
        units = np.frombuffer(raw, f"{self._order if kind in _UNITS else '<'}u2", len(raw) // 2)
        return text_value(text_rows(units, shape))

    def _items(self, count: int, at: int, end: int, depth: int) -> list[Any]:
        """Return the values of the matrix elements that a cell or a struct has."""
        if count > (end - at) // 8:
            raise DamagedError(f"{count} values in {end - at} bytes")
        items = []
        for _ in range(count):
            kind, start, stop, at = self._element(at, end)
            if kind != _MATRIX:
                raise DamagedError(f"an element of kind {kind} in a cell or struct")
            items.append(self.value(start, stop, depth + 1))
        return items

    def _struct(self, shape: tuple[int, ...], at: int, end: int, depth: int) -> Any:
        """Return a struct as an array of records, in which text is an array of one str."""
        _, start, stop, at = self._element(at, end)
        order: Literal["little", "big"] = "little" if self._order == "<" else "big"
        width = int.from_bytes(self._data[start:stop], order) or 1
        _, start, stop, at = self._element(at, end)
        count = math.prod(shape)
        self._budget.take(8 * count + (stop - start) // width * BYTES_OF_AN_ARRAY)
        names = [
            self._data[k : min(k + width, stop)].split(b"\0")[0].decode("latin-1")
            for k in range(start, stop, width)
        ]
        values = self._items(count * len(names), at, end, depth)
        records = np.empty(count, dtype=[(name, np.object_) for name in names])
        for k, name in enumerate(names):
            column = records[name]
            for record, value in enumerate(values[k :: len(names)]):
                column[record] = np.array([value]) if isinstance(value, str) else value
        return records.reshape(shape, order="F")
