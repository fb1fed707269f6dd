"""Pieces that nothing vouches for are tried in a process of their own, which Arrow may end."""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from threading import Lock

from cam.errors import CamError
from cam.matlab.mat_version73 import folder_of

_CHILD = Path(__file__).with_name("piece_child.py")

_SECONDS = 60
"""How long a piece may take; the largest takes some seconds."""

_lock = Lock()


def is_survived(data: bytes, columns: Sequence[str] | None, pictures: int, most_bytes: int) -> bool:
    """Tell whether a process lives through reading a piece, whether or not it can be read.

    The arguments are those of `cam.batch.piece_child.read_table`. One process does for all pieces,
    as long as none ends it: it starts in about 0.1 s, and a piece is then read twice.

    Raises
    ------
    CamError
        If the process does not start.
    """
    request = {"columns": columns, "pictures": pictures, "most_bytes": most_bytes}
    with _lock:
        process = _started(os.getpid())
        is_alive = _answers(process, json.dumps({**request, "size": len(data)}), data)
        if not is_alive:
            _started.cache_clear()
            _end(process, os.getpid())
        return is_alive


@lru_cache(maxsize=1)
def _started(owner: int) -> subprocess.Popen[bytes]:
    """Return the process of this one: a forked process needs another than its parent."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(_CHILD)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    atexit.register(_end, process, owner)
    if not _answers(process, json.dumps([folder_of("pyarrow"), folder_of("numpy")])):
        raise CamError("PyArrow does not import in a process of its own; install it anew")
    return process


def _answers(process: subprocess.Popen[bytes], line: str, data: bytes = b"") -> bool:
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(OSError):
        process.stdin.write(line.encode() + b"\n" + data)
        process.stdin.flush()
    # It says nothing but the answer to what it was asked last.
    ready, _, _ = select.select([process.stdout], [], [], _SECONDS)
    return bool(ready) and process.stdout.readline() == b"\n"


def _end(process: subprocess.Popen[bytes], owner: int) -> None:
    if owner == os.getpid():
        process.kill()
        # What could not be written to it is of no use to anyone.
        with suppress(OSError):
            process.communicate()
