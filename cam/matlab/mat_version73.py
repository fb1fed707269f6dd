"""MATLAB files of version 7.3, which are HDF5: read in a process of their own.

HDF5 is C that takes a file at its word. The child has limits on memory and time, and what comes
back from it are a description and plain numbers, so that the worst that a file can do is end it.
It costs a tenth of a second a file: Python's start and the import of NumPy and h5py.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Timer
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from cam.errors import CamError
from cam.matlab.mat_values import (
    BYTES_OF_AN_ARRAY,
    CLASSES,
    MAX_DEPTH,
    Budget,
    Chooser,
    DamagedError,
    RefusedError,
    Unreadable,
    cell_value,
    numeric_value,
    text_rows,
    text_value,
)

_CHILD = Path(__file__).with_name("hdf5_child.py")

_PROGRAM_BYTES = 2**28
"""What Python, NumPy and h5py take; the rest of the child's memory is for what it reads."""

_DESCRIPTION_BYTES = 64 * 2**20

_COST_OF_A_DATASET = 16 * BYTES_OF_AN_ARRAY
"""Opening one takes HDF5 a sixth of a millisecond, and a reference to it 8 bytes."""

_SECONDS, _BYTES_PER_SECOND = 10, 8 * 2**20
"""Processor time of reading: so much, and a second more for each so many bytes of the file."""

_PATIENCE = 6
"""How many times as long it may take by the clock, on a machine with much else to do."""

# Plugins of HDF5 are code that a file could ask for; threads of BLAS each take memory.
_ENVIRONMENT = {"HDF5_PLUGIN_PRELOAD": "::", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def read_version73(
    source: Path,
    wanted: Iterable[str] | None,
    choose: Chooser,
    budget: Budget,
    data: bytes | None = None,
    group: str = "",
) -> dict[str, Any]:
    """Read variables of a file of version 7.3, or of another HDF5 file.

    Parameters
    ----------
    source : pathlib.Path
        The file.
    wanted : iterable of str or None
        The variables to read where the file has them; all if None.
    choose : callable
        Given the names of the variables that the file has, returns those to read.
    budget : Budget
        What their content may take.
    data : bytes, optional
        The file's bytes, if they are in memory; the file is not opened then.
    group : str, optional
        The group below which the variables lie, in a file that is not MATLAB's; they are then
        called by their whole path, ``"data/conv1/0"``.

    Returns
    -------
    dict
        The variables by name; `Unreadable` where one is a struct or an object.

    Raises
    ------
    CamError
        If h5py is not installed.
    DamagedError, RefusedError, ValueError
        If HDF5 cannot read the file, or not in time, or it holds too much or what MATLAB does not
        write.
    """
    if folder_of("h5py") is None:
        raise CamError(
            f"{source} is a MATLAB file of version 7.3, which needs h5py: "
            "pip install h5py, or save it in MATLAB with 'save -v7'"
        )
    size = source.stat().st_size if data is None else len(data)
    seconds = _SECONDS + size // _BYTES_PER_SECOND
    request = {
        "path": str(source.absolute()) if data is None else None,
        "size": size,
        "wanted": None if wanted is None else list(wanted),
        "folders": [folder_of("numpy"), folder_of("h5py")],
        "budget": budget.left,
        "group": group,
        "memory": _PROGRAM_BYTES + 2 * budget.left,
        "seconds": seconds,
        "depth": MAX_DEPTH,
        "cost": _COST_OF_A_DATASET,
    }
    with _child(request, data or b"", seconds) as output:
        answer = json.loads(output.readline(_DESCRIPTION_BYTES) or '{"damaged": "HDF5 fails"}')
        if "damaged" in answer:
            raise DamagedError(answer["damaged"])
        if "refused" in answer:
            raise RefusedError(answer["refused"])
        chosen = choose(answer["names"])
        # All that is sent is read, in the order in which it comes.
        values = answer["values"].items()
        found = {name: _value(node, output, budget, 0) for name, node in values}
        return {name: found[name] for name in chosen}


@contextmanager
def _child(request: Mapping[str, Any], data: bytes, seconds: int) -> Iterator[IO[bytes]]:
    """Give the output of the child for a request and a file's bytes; it ends with the block."""
    command = [sys.executable, "-I", "-S", str(_CHILD)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **_ENVIRONMENT},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        timer = Timer(_PATIENCE * seconds, process.kill)
        timer.start()
        try:
            with suppress(BrokenPipeError), process.stdin as ask:
                ask.write(json.dumps(request).encode() + b"\n")
                ask.write(data)
            yield process.stdout
        except (DamagedError, ValueError) as error:
            if process.wait() not in {-signal.SIGKILL, -signal.SIGXCPU}:
                raise
            raise RefusedError(f"it cannot be read in {seconds} s") from error
        finally:
            timer.cancel()
            process.kill()


def folder_of(module: str) -> str | None:
    """Return the folder that a module is imported from; None if it is not installed."""
    try:
        spec = find_spec(module)
    except ValueError:
        return None
    return None if spec is None or spec.origin is None else str(Path(spec.origin).parents[1])


def _value(node: Mapping[str, Any], output: IO[bytes], budget: Budget, depth: int) -> Any:
    """Return the value that the child describes, its numbers read from what it sends."""
    budget.take(BYTES_OF_AN_ARRAY)
    kind, shape = node.get("class", ""), node.get("shape", [])
    if "items" in node:
        items = [_value(item, output, budget, depth + 1) for item in node["items"]]
        return cell_value(items, shape)
    parts = [_numbers(output, dtype, shape, budget) for dtype in node.get("types", [])]
    if kind == "char":
        return text_value(text_rows(parts[0], shape)) if parts else ""
    if kind == "cell" and not parts:
        return cell_value([], shape)
    if parts and not kind:  # of another program, without MATLAB's attributes
        kind = next((name for name, t in CLASSES.items() if np.dtype(t) == parts[0].dtype), "")
    if kind in CLASSES:
        return numeric_value(parts or [np.empty(0)], kind, shape, budget)
    what = node.get("unreadable", f"of the class {kind}")
    return Unreadable(what) if depth == 0 else None


def _numbers(output: IO[bytes], dtype: str, shape: Sequence[int], budget: Budget) -> NDArray[Any]:
    """Return the next numbers of what the child sends."""
    count = math.prod(shape)
    budget.take(count * np.dtype(dtype).itemsize)
    numbers = np.frombuffer(output.read(count * np.dtype(dtype).itemsize), dtype)
    if numbers.size != count:
        raise DamagedError("HDF5 fails")
    return numbers
