"""BVLC Caffe's own tests, scripts and notebooks, run as they lie in its source tarball.

They are unpacked without the package `caffe` itself, so that they run over whatever else ``import
caffe`` finds: pycaffe where it is installed, or a folder that is put in front of Python's path.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from locations import REPOSITORY, SHARED

from cam.caffe.caffemodel import CaffeModel, write_caffemodel
from cam.caffe.network import load_network
from cam.caffe.prototxt import read_prototxt, upgraded
from cam.files import sha256_of

UNIT_TESTS = (
    "test_coord_map",
    "test_draw",
    "test_io",
    "test_layer_type_list",
    "test_nccl",
    "test_net",
    "test_net_spec",
    "test_python_layer",
    "test_python_layer_with_param_str",
    "test_solver",
)
"""The modules in python/caffe/test."""

CAFFENET = "models/bvlc_reference_caffenet"
"""The folder of the network that Caffe's scripts and notebooks take."""


def archive() -> Path | None:
    """Return the path of Caffe's source tarball, or None where it is not here."""
    return next(iter(sorted((SHARED / "sources").glob("caffe_*.orig.tar.gz"))), None)


def unpack(tarball: Path, folder: Path) -> None:
    """Unpack what tests, scripts and notebooks need of a checkout into a folder.

    Parameters
    ----------
    tarball : pathlib.Path
        Caffe's source; its SHA-256 must be the one that ``docker/build_caffe.sh`` asks for.
    folder : pathlib.Path
        Becomes the checkout, without the package `caffe` and whatever is compiled.
    """
    build_script = (REPOSITORY / "docker" / "build_caffe.sh").read_text(encoding="utf-8")
    if f"tarball_sha256={sha256_of(tarball)}\n" not in build_script:
        raise ValueError(f"{tarball} is not the tarball that docker/build_caffe.sh takes")
    wanted = re.compile(r"models/|examples/|python/([^/]+\.py$|caffe/(test|imagenet)/)")
    with tarfile.open(tarball) as opened:
        for member in opened:
            # Python 3.11.2, which is Debian's, has no filters for what is extracted.
            if member.isfile() and wanted.match(member.name) and ".." not in member.name:
                path = folder / member.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(opened.extractfile(member).read())


def replace_downloads(checkout: Path, seed: int = 0) -> None:
    """Put random weights, class names and a picture where Caffe's examples download theirs to.

    Parameters
    ----------
    checkout : pathlib.Path
        What `unpack` made.
    seed : int, optional
        The same seed gives the same weights.
    """
    prototxt = checkout / CAFFENET / "deploy.prototxt"
    generator = np.random.default_rng(seed)
    weights = {}
    for layer, (kernel, *others) in load_network(prototxt).weight_shapes.items():
        drawn = generator.standard_normal(kernel, np.float32)
        drawn *= math.sqrt(2 / math.prod(kernel[1:]))
        weights[layer] = (drawn, *(np.zeros(shape, np.float32) for shape in others))
    model = CaffeModel(upgraded(read_prototxt(prototxt)), weights)
    write_caffemodel(checkout / CAFFENET / "bvlc_reference_caffenet.caffemodel", model)
    names = checkout / "data" / "ilsvrc12"
    names.mkdir(parents=True, exist_ok=True)
    shutil.copy(REPOSITORY / "models" / "categories1000.txt", names / "synset_words.txt")
    examples = checkout / "examples"
    shutil.copy(examples / "images" / "fish-bike.jpg", examples / "image.jpg")


def run_python(
    arguments: Sequence[object], folder: Path, search_path: Iterable[Path] = ()
) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, without a display and with Caffe's log at errors.

    Parameters
    ----------
    arguments : sequence
        Python's arguments.
    folder : pathlib.Path
        The working directory.
    search_path : iterable of pathlib.Path, optional
        Folders to put in front of Python's path, such as one with a package `caffe`.

    Returns
    -------
    subprocess.CompletedProcess
        The exit code, and all output in `stdout`.
    """
    inherited = os.environ.get("PYTHONPATH")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(
            [*map(str, search_path), *([inherited] if inherited else [])]
        ),
        "PYTHONDONTWRITEBYTECODE": "1",
        "MPLBACKEND": "Agg",
        "GLOG_minloglevel": "2",
    }
    environment.pop("DISPLAY", None)
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def run_unit_test(
    checkout: Path, module: str, search_path: Iterable[Path] = ()
) -> subprocess.CompletedProcess[str]:
    """Run one of Caffe's `UNIT_TESTS`; parameters and result as for `run_python`."""
    arguments = ("-W", "ignore", "-m", "unittest", "-v", module)
    return run_python(arguments, checkout / "python" / "caffe" / "test", search_path)


def run_notebook(
    checkout: Path, name: str, search_path: Iterable[Path] = (), skipped: str = "set_mode_gpu"
) -> subprocess.CompletedProcess[str]:
    """Run the code cells of one of Caffe's notebooks, translated from Python 2, in one process.

    Parameters
    ----------
    checkout : pathlib.Path
        What `unpack` made.
    name : str
        The notebook in ``examples``, without its ending.
    search_path : iterable of pathlib.Path, optional
        As for `run_python`.
    skipped : str, optional
        Cells that have this text are left out.

    Returns
    -------
    subprocess.CompletedProcess
        As of `run_python`.
    """
    examples = checkout / "examples"
    notebook = json.loads((examples / f"{name}.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    script = "\n".join(cell_as_python_2(cell) for cell in cells if skipped not in cell)
    path = examples / f"{name}.py"
    path.write_text(as_python_3(script), encoding="utf-8")
    return run_python((path.name,), examples, search_path)


def cell_as_python_2(cell: str) -> str:
    """Return a cell's code without what only IPython knows: what it times is run once."""
    timed = re.sub(r"^(\s*)%timeit ", r"\1", cell, flags=re.MULTILINE)
    return re.sub(r"^(\s*)[%!].*", r"\1pass", timed, flags=re.MULTILINE)


def as_python_3(script: str) -> str:
    """Return a Python 2 script as `fissix`, the kept copy of 2to3, translates it."""
    from fissix.refactor import RefactoringTool, get_fixers_from_package

    tool = RefactoringTool(get_fixers_from_package("fissix.fixes"))
    return str(tool.refactor_string(script + "\n", "script"))
