"""The process in which a MATLAB file of version 7.3 is read: HDF5 may crash in it, or loop.

It is run by its path, in Python's isolated mode, by `cam.matlab.mat_version73`, which says what
goes in and comes out, and imports nothing of `cam`. Standard output gets one line of JSON that
describes the variables, then the bytes of their arrays.
"""

from __future__ import annotations

import io
import json
import resource
import sys
from typing import Any


class RefusedError(Exception):
    """A file that is not read further; the message says why."""


def main() -> None:
    """Read what standard input asks for, and write it to standard output."""
    request = json.loads(sys.stdin.buffer.readline())
    for kind, limit in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, request["seconds"]),
        (resource.RLIMIT_AS, request["memory"]),
    ):
        hard = resource.getrlimit(kind)[1]
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (limit, limit))
    sys.path[:0] = request["folders"]
    reader = Reader(request["budget"], request["depth"], request["cost"])
    try:
        # Without a path the file's bytes follow the request.
        source = request["path"] or io.BytesIO(sys.stdin.buffer.read(request["size"]))
        answer = reader.read(source, request["wanted"], request["group"])
    except RefusedError as error:
        answer = {"refused": str(error)}
    except MemoryError:
        answer = {"refused": "it needs too much memory"}
    # A damaged file makes HDF5 and h5py fail in any way: about twenty kinds of exception.
    except Exception as error:
        answer = {"damaged": (str(error).splitlines() or [type(error).__name__])[0]}
    output = sys.stdout.buffer
    output.write(json.dumps(answer).encode() + b"\n")
    if "values" in answer:
        for array in reader.arrays:
            output.write(array.data)
    output.flush()


class Reader:
    """Reads one file, within a budget of bytes, and keeps the arrays that it finds in order."""

    def __init__(self, budget: int, depth: int, cost: int) -> None:
        import h5py
        import numpy

        self.arrays: list[Any] = []
        self._hdf5, self._numpy = h5py, numpy
        self._left, self._depth, self._cost = budget, depth, cost

    def read(
        self, source: str | io.BytesIO, wanted: list[str] | None, group: str
    ) -> dict[str, Any]:
        """Return which variables there are and what those wanted hold.

        With the name of a group, the variables are all datasets below it.
        """
        with self._hdf5.File(source, "r") as file:
            # Groups that begin with # belong to MATLAB: the contents of cells, and its objects.
            names = [name for name in file if not name.startswith("#")]
            if group:
                names = self._below(file, group)
            chosen = names if wanted is None else [name for name in wanted if name in names]
            return {"names": names, "values": {name: self._variable(file, name) for name in chosen}}

    def _below(self, file: Any, name: str, depth: int = 0) -> list[str]:
        """Return the names of the datasets in a group and in the groups in it."""
        node = file[name] if self._is_own(file, name) else None
        if isinstance(node, self._hdf5.Dataset):
            return [name]
        if not isinstance(node, self._hdf5.Group) or depth > self._depth:
            raise RefusedError(f"{name} is neither numbers nor a group of them")
        self._left -= self._cost * (1 + len(node))
        if self._left < 0:
            raise RefusedError(f"the group {name} holds more than may be read")
        return [each for inner in node for each in self._below(file, f"{name}/{inner}", depth + 1)]

    def _is_own(self, file: Any, name: str) -> bool:
        return isinstance(file.get(name, getlink=True), self._hdf5.HardLink)

    def _variable(self, file: Any, name: str) -> dict[str, Any]:
        if not self._is_own(file, name):
            raise RefusedError(f"{name} is a link to something else, which MATLAB does not write")
        return self._value(name, file[name], 0)

    def _value(self, name: str, node: Any, depth: int) -> dict[str, Any]:
        if not isinstance(node, self._hdf5.Dataset):
            return {"unreadable": "a struct or an object"}
        if depth > self._depth:
            raise RefusedError(f"the cells of {name} are more than {self._depth} deep")
        self._check(name, node)
        kind = node.attrs.get("MATLAB_class", b"")
        kind = kind.decode("ascii", "replace") if isinstance(kind, bytes) else str(kind)
        found = {"class": kind, "shape": node.shape[::-1]}
        if self._hdf5.check_ref_dtype(node.dtype) is self._hdf5.Reference:
            nodes = (node.file[reference] for reference in node[()].ravel())
            return {**found, "items": [self._value(name, item, depth + 1) for item in nodes]}
        is_complex = node.dtype.names == ("real", "imag")
        types = [node.dtype["real"], node.dtype["imag"]] if is_complex else [node.dtype]
        if any(dtype.kind not in "biuf" for dtype in types):
            return {"unreadable": f"of the type {node.dtype}"}
        stored = node[()]
        if node.attrs.get("MATLAB_empty", 0):
            return {**found, "shape": stored.tolist(), "types": []}
        parts = [stored["real"], stored["imag"]] if is_complex else [stored]
        # HDF5 has MATLAB's axes in reverse, so that the numbers lie in MATLAB's order.
        self.arrays += map(self._numpy.ascontiguousarray, parts)
        return {**found, "types": [dtype.str for dtype in types]}

    def _check(self, name: str, node: Any) -> None:
        """Refuse what lies in other files, and sizes over the budget, before anything is read."""
        properties = node.id.get_create_plist()
        elsewhere = properties.get_external_count() > 0
        if elsewhere or properties.get_layout() == self._hdf5.h5d.VIRTUAL:
            raise RefusedError(f"{name} takes numbers out of other files, which MATLAB does not do")
        self._left -= node.size * node.dtype.itemsize + self._cost
        if self._left < 0:
            shape = " x ".join(map(str, node.shape[::-1]))
            raise RefusedError(f"{name} holds more than may be read, at an array of {shape}")


if __name__ == "__main__":
    main()
