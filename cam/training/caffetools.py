"""Caffe's own tools and what they say where they end."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from cam.errors import CamError

_FATAL = re.compile(r"^F\S* .*?\] (?P<reason>.*)$", re.MULTILINE)


def find_tool(name: str) -> Path:
    """Return the path of one of Caffe's tools.

    Parameters
    ----------
    name : str
        Such as ``"convert_imageset"``.

    Returns
    -------
    pathlib.Path
        The one beside the Python that runs, which is of the same Caffe as pycaffe; else the first
        one on the ``PATH``.

    Raises
    ------
    CamError
        If there is none.
    """
    found = shutil.which(Path(sys.executable).parent / name) or shutil.which(name)
    if found is None:
        raise CamError(
            f"Caffe's tool {name} is not installed: build Caffe with docker/build_caffe.sh, "
            "or take the Docker image"
        )
    return Path(found)


def failure_line(log: str) -> str:
    """Return why Caffe ended, from what it wrote to its log.

    Parameters
    ----------
    log : str
        What it wrote to standard error.

    Returns
    -------
    str
        The message of its fatal error; the last line if there is none.

    Examples
    --------
    >>> failure_line("F1123 08:00:00.1 9 data_layer.cpp:9] Check failed: rc == 0 (2 vs. 0)")
    'Check failed: rc == 0 (2 vs. 0)'
    """
    fatal = _FATAL.search(log)
    if fatal:
        return fatal["reason"].strip()
    lines = log.strip().splitlines()
    return lines[-1].strip() if lines else "it ended without a message"
