"""GNU Octave as a second reader of MATLAB files of version 5 to 7.

Where both read a variable of numbers, it has the same values. Which files they refuse differs on
purpose: Octave keeps what lies before the damage, and ends on some files; the project refuses what
is cut off or claims too much.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PROGRAM = "octave-cli"

_SECONDS = 60

_READ = """f = fopen ('{log}', 'a'); fputs (f, 'x'); fclose (f);
try, v = load ('{file}'); save ('-v6', '{file}.read', '-struct', 'v'); catch, end
"""


def numbers_by_octave(files: Sequence[Path]) -> list[Mapping[str, NDArray[Any]]]:
    """Return the variables of numbers that Octave reads in each file; none of one it refuses.

    Parameters
    ----------
    files : sequence of pathlib.Path
        The files, in a folder that may be written to.
    """
    left = list(files)
    while left:
        log, script = left[0].with_name("log"), left[0].with_name("script.m")
        log.write_text("", encoding="ascii")
        script.write_text(
            "".join(_READ.format(log=log, file=file) for file in left), encoding="utf-8"
        )
        command = [PROGRAM, "--quiet", "--no-init-file", "--no-history", str(script)]
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)
        # Octave may end on a file: it goes on behind it.
        left = left[max(1, log.stat().st_size) :]
    return [_numbers(file.with_name(f"{file.name}.read")) for file in files]


def _numbers(path: Path) -> Mapping[str, NDArray[Any]]:
    from scipy.io import loadmat

    try:
        read = loadmat(path)
    # What Octave was ended on, and names that SciPy does not take.
    except Exception:
        return {}
    return {name: value for name, value in read.items() if is_numbers(value)}


def is_numbers(value: object) -> bool:
    """Tell whether a variable is an array of numbers."""
    return isinstance(value, np.ndarray) and value.dtype.kind in "biufc"
