"""Caffe's own tests and examples, unpacked from its source archive and run in a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from caffe_sources import archive, unpack
from locations import REPOSITORY

RUNNER = """
import sys, unittest
# Python 3.12 has these no longer.
for new, old in (("assertEqual", "assertEquals"), ("assertRaisesRegex", "assertRaisesRegexp")):
    if not hasattr(unittest.TestCase, old):
        setattr(unittest.TestCase, old, getattr(unittest.TestCase, new))
sys.path.insert(0, sys.argv[1])
unittest.main(module=None, argv=["unittest", "--verbose", *sys.argv[2:]])
"""


def unpacked(folder: Path) -> Path:
    """Unpack Caffe's tests, scripts, examples and models; skip where the archive is not."""
    tarball = archive()
    if tarball is None:
        pytest.skip("Caffe's source archive (../shared/sources) is not here")
    unpack(tarball, folder)
    return folder


def run_script(
    script: Path, arguments: Sequence[object] = (), *, engine: str, folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run a script with `cam script`, in a folder, without a display."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("CAFFE_ROOT", "DISPLAY", "WAYLAND_DISPLAY")
    }
    before = [os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else []
    environment["PYTHONPATH"] = os.pathsep.join([str(REPOSITORY), *before])
    command = [sys.executable, "-W", "ignore", "-m", "cam", "script", "--engine", engine]
    return subprocess.run(
        [*command, str(script), *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def run_unittests(
    sources: Path, tests: Sequence[str], *, engine: str
) -> subprocess.CompletedProcess[str]:
    """Run some of the tests in ``python/caffe/test``."""
    folder = sources / "python" / "caffe" / "test"
    runner = sources / "run_unittests.py"
    runner.write_text(RUNNER, encoding="utf-8")
    return run_script(runner, [folder, *tests], engine=engine, folder=folder)


def notebook_script(notebook: Path) -> Path:
    """Write a notebook's code cells as a script beside it; what is for the shell is left out."""
    lines = []
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            lines += [*"".join(cell["source"]).splitlines(), ""]
    for number, line in enumerate(lines):
        plain = line.lstrip()
        indentation = line[: len(line) - len(plain)]
        if plain.startswith("%timeit "):
            lines[number] = indentation + plain.removeprefix("%timeit ")
        elif plain.startswith(("%", "!")):
            lines[number] = indentation + "pass"
    script = notebook.with_suffix(".py")
    script.write_text("\n".join(lines), encoding="utf-8")
    return script
