"""What scripts in Python 2 find that Python 3 no longer has: functions and modules by old names."""

from __future__ import annotations

import builtins
import io
import math
import pickle
import string
import sys
from collections.abc import Iterator
from functools import reduce
from importlib import reload
from numbers import Integral
from pathlib import Path
from types import ModuleType
from typing import IO, Any

import numpy as np

from cam.pycaffe.python2 import (
    BYTES_OR_TEXT,
    DIVIDE,
    DIVIDE_IN_PLACE,
    is_python2,
    parsed_in_place,
    source_text,
    translated,
)

__all__ = ["GLOBALS", "MODULES", "MODULE_NAMES"]


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) or (
        isinstance(value, np.ndarray) and value.dtype.kind in "iu"
    )


def py2_divide(left: Any, right: Any) -> Any:
    """Divide as Python 2 does: whole numbers, and arrays of them, are rounded down.

    Examples
    --------
    >>> py2_divide(7, 2), py2_divide(-7, 2), py2_divide(7, 2.0), py2_divide(np.array([7]), 2)
    (3, -4, 3.5, array([3]))
    """
    return left // right if _is_whole(left) and _is_whole(right) else left / right


def py2_divide_in_place(left: Any, right: Any) -> Any:
    """Divide an array where it lies, as ``/=`` of Python 2 does, and return it."""
    if _is_whole(left) and _is_whole(right):
        left //= right
    else:
        left /= right
    return left


def py2_round(number: Any, ndigits: int = 0) -> Any:
    """Round as Python 2 does: halves away from zero, to a float.

    Examples
    --------
    >>> py2_round(0.5), py2_round(2.5), py2_round(-1.5), py2_round(2.25, 1)
    (1.0, 3.0, -2.0, 2.3)
    """
    scale = 10.0**ndigits
    scaled = abs(float(number)) * scale
    if not math.isfinite(scaled):
        return float(number)
    # Adding a half first would round 0.49999999999999994 up.
    is_half = scaled % 1 == 0.5
    return math.copysign((math.floor(scaled) + 1 if is_half else round(scaled)) / scale, number)


def py2_cmp(left: Any, right: Any) -> int:
    """Return -1, 0 or 1 for a left side that is less, equal or greater."""
    return int(left > right) - int(left < right)


def py2_execfile(
    filename: str, names: dict[str, Any] | None = None, local_names: Any = None
) -> None:
    """Run a file, in Python 2 or 3, with the caller's names if none are given."""
    if names is None:
        names = sys._getframe(1).f_globals
    text = source_text(Path(filename).read_bytes())
    code = translated(text, filename) if is_python2(text) else text
    tree = parsed_in_place(text, code, filename)
    exec(compile(tree, filename, "exec", dont_inherit=True), names, local_names)


def py2_str(value: Any = "", *arguments: Any) -> Any:
    """Return bytes as they are, and the text of anything else.

    Examples
    --------
    >>> py2_str(7), py2_str(bytearray(b"7"))
    ('7', b'7')
    """
    if isinstance(value, (bytes, bytearray)) and not arguments:
        return bytes(value)
    return value if isinstance(value, str) else str(value, *arguments)


def py2_reload(module: ModuleType) -> ModuleType:
    """Load a module again; of `sys`, which scripts reload for its encoding, there is no other."""
    return module if module is sys else reload(module)


class _Writer(io.TextIOWrapper):
    """A file that takes text and bytes."""

    def write(self, data: Any) -> int:
        if isinstance(data, str):
            return super().write(data)
        self.flush()
        self.buffer.write(data)
        return len(data)


def py2_open(name: Any, mode: str = "r", *options: Any, **named: Any) -> IO[Any]:
    """Open a file as Python 2 does, where text and bytes are one.

    What is not text, a picture for example, is read as bytes; what is open for writing takes both.
    """
    if options or named or not isinstance(name, (str, Path)) or "+" in mode:
        return builtins.open(name, mode, *options, **named)  # noqa: PTH123
    path = Path(name)
    if "r" in mode and "b" not in mode and path.is_file():
        encoding = _encoding(path.read_bytes())
        return path.open("rb") if encoding is None else path.open(encoding=encoding)
    if "w" in mode or "a" in mode:
        return _Writer(path.open("wb" if "w" in mode else "ab"), "utf-8", newline="")
    return path.open(mode.replace("U", ""))


def _encoding(data: bytes) -> str | None:
    """Return the encoding of a text, or None for what is none."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return None if b"\0" in data else "latin-1"
    return "utf-8"


GLOBALS = {
    BYTES_OR_TEXT: py2_str,
    DIVIDE: py2_divide,
    DIVIDE_IN_PLACE: py2_divide_in_place,
    "cmp": py2_cmp,
    "execfile": py2_execfile,
    "file": py2_open,
    "intern": sys.intern,
    "open": py2_open,
    "raw_input": input,
    "reduce": reduce,
    "reload": py2_reload,
    "round": py2_round,
    "xrange": range,
}
"""What a translated script finds besides Python's own names."""

STRING_NAMES: dict[str, Any] = {
    "letters": string.ascii_letters,
    "lowercase": string.ascii_lowercase,
    "uppercase": string.ascii_uppercase,
    "maketrans": str.maketrans,
    "atof": float,
    "atoi": int,
    "join": lambda words, separator=" ": separator.join(words),
    **{
        name: getattr(str, name)
        for name in (
            *("count", "find", "index", "lower", "lstrip", "replace", "rfind", "rindex", "rstrip"),
            *("split", "strip", "swapcase", "translate", "upper", "zfill"),
        )
    },
}

MODULE_NAMES: tuple[tuple[ModuleType, dict[str, Any]], ...] = (
    (string, STRING_NAMES),
    (sys, {"setdefaultencoding": lambda encoding: None}),
)
"""What modules of Python had that they have no longer."""


class Py2StringIO:
    """A file in memory, of text or of bytes as what is first put into it.

    Parameters
    ----------
    initial : str or bytes-like, optional
        What it holds.

    Examples
    --------
    >>> file = Py2StringIO()
    >>> file.write(b"JPEG")
    4
    >>> file.getvalue()
    b'JPEG'
    """

    def __init__(self, initial: Any = "") -> None:
        self._file: IO[Any] | None = None
        if initial:
            self._file = _in_memory(initial)

    def write(self, data: Any) -> int:
        """Write text or bytes."""
        if self._file is None:
            self._file = type(_in_memory(data))()
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(io.StringIO() if self._file is None else self._file, name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.readlines())


def _in_memory(data: Any) -> IO[Any]:
    return io.StringIO(data) if isinstance(data, str) else io.BytesIO(data)


def _binary(file: Any) -> Any:
    """Return the bytes of a file that was opened as text, as Python 2 reads pickles."""
    return getattr(file, "buffer", file)


def py2_load(file: Any, **options: Any) -> Any:
    """Read a pickle that Python 2 may have written."""
    return pickle.load(_binary(file), **{"encoding": "latin-1", **options})


def py2_loads(data: Any, **options: Any) -> Any:
    """Return what a pickle that Python 2 may have written holds."""
    binary = data.encode("latin-1") if isinstance(data, str) else data
    return pickle.loads(binary, **{"encoding": "latin-1", **options})


def py2_dump(value: Any, file: Any, protocol: int | None = None) -> None:
    """Write a pickle."""
    pickle.dump(value, _binary(file), protocol)


def _module(name: str, contents: dict[str, Any]) -> ModuleType:
    module = ModuleType(name)
    module.__dict__.update(contents)
    return module


MODULES = {
    "StringIO": _module("StringIO", {"StringIO": Py2StringIO}),
    "cPickle": _module(
        "cPickle",
        {
            **{name: getattr(pickle, name) for name in dir(pickle) if not name.startswith("__")},
            **{"load": py2_load, "loads": py2_loads, "dump": py2_dump},
        },
    ),
    "cStringIO": _module("cStringIO", {"StringIO": Py2StringIO}),
}
"""Modules by their old names."""
