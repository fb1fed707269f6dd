"""The most memory that a command takes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.workload import DEMO_PICTURE, TOP
from cam.explain.model import load_files

__all__ = ["AT_MOST_MB", "explain_once", "explanation_peak", "peak_memory"]

AT_MOST_MB = 600
"""What one picture alone may take."""

_ROOT = Path(__file__).parents[1]

# What the system says of a process contains its parent's memory from before it began: the command
# is the only child of a small process of its own.
_MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(peak / 2**20 if sys.platform == "darwin" else peak / 1024)
"""

_EXPLAIN = (
    "import sys; from benchmarks.peak_memory import explain_once; explain_once(*sys.argv[1:])"
)


def peak_memory(command: Sequence[str]) -> float:
    """Run a command, in the checkout's folder, and return the most memory that it had.

    Parameters
    ----------
    command : sequence of str
        The command; what it prints is not shown.

    Returns
    -------
    float
        Resident memory in MB, of 2^20 bytes.

    Raises
    ------
    subprocess.CalledProcessError
        If the command fails.
    """
    finished = subprocess.run(
        [sys.executable, "-c", _MEASURE, *command],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd=_ROOT,
    )
    return float(finished.stdout)


def explanation_peak(prototxt: Path, caffemodel: Path, style: str, threads: int) -> float:
    """Return the most memory in MB that a process takes to explain the demo's photograph."""
    files = [str(path.absolute()) for path in (prototxt, caffemodel)]
    return peak_memory([sys.executable, "-c", _EXPLAIN, *files, style, str(threads)])


def explain_once(prototxt: str, caffemodel: str, style: str, threads: str) -> None:
    """Explain the demo's photograph, for `explanation_peak`."""
    model = load_files(prototxt, caffemodel, engine="openvino", threads=int(threads))
    model.explain(DEMO_PICTURE, TOP, style).montage()
