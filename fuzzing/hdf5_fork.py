"""The child that reads MATLAB files of version 7.3, forked: a start of Python a file is too slow.

It runs the same code with the same limits, in a process that has imported everything.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import IO, Any

from cam.matlab import hdf5_child
from cam.matlab.mat_values import DamagedError, RefusedError


@contextmanager
def forked_child(request: Mapping[str, Any], data: bytes, seconds: int) -> Iterator[IO[bytes]]:
    """Do what `cam.matlab.mat_version73` does with a process of its own."""
    question, ask = os.pipe()
    output, answer = os.pipe()
    child = os.fork()
    if not child:
        _be_child(question, answer)
    os.close(question)
    os.close(answer)
    # Its limit is one of addresses, of which a forked process has what its parent has.
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    memory = request["memory"] + pages * resource.getpagesize()
    timer = Timer(60, os.kill, (child, signal.SIGKILL))
    timer.start()
    try:
        with os.fdopen(ask, "wb") as asking:
            asking.write(json.dumps({**request, "memory": memory}).encode() + b"\n" + data)
        with os.fdopen(output, "rb") as file:
            yield file
    except (DamagedError, ValueError) as error:
        status, child = os.waitpid(child, 0)[1], 0
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) in {signal.SIGKILL, signal.SIGXCPU}:
            raise RefusedError(f"it cannot be read in {seconds} s") from error
        raise
    finally:
        timer.cancel()
        if child:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _be_child(question: int, answer: int) -> None:
    try:
        os.dup2(question, 0)
        os.dup2(answer, 1)
        sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w")
        hdf5_child.main()
    finally:
        os._exit(0)
