"""A folder laid out as a checkout of Caffe, and files that scripts look for in one."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from cam.files import PathLike, models_folder, write_text
from cam.zoo.table import ZOO
from cam.zoo.weights import weights_folders

__all__ = ["ENVIRONMENT_VARIABLE", "caffe_root", "found_file"]

ENVIRONMENT_VARIABLE = "CAFFE_ROOT"
"""What scripts of Caffe's time find their files by."""

MEAN = "ilsvrc_2012_mean.npy"
CLASS_NAMES = "categories1000.txt"
CAFFE_MODULE = '''"""pycaffe's interface without Caffe."""

from cam.pycaffe import install

install()
'''
"""What a process of its own, which a script starts with this folder on its path, imports."""


@contextmanager
def caffe_root(pycaffe: Path | None) -> Iterator[Path]:
    """Set ``CAFFE_ROOT`` for the while, to a folder as a checkout's, if the user has not set it.

    Parameters
    ----------
    pycaffe : pathlib.Path or None
        The folder of the pycaffe that is installed.

    Yields
    ------
    pathlib.Path
        The user's folder; or one with ``python/caffe``, the ILSVRC mean in it, ``models`` with the
        project's prototxts and the weights that are found, and ``data/ilsvrc12``.
    """
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    if named:
        yield Path(named)
        return
    with TemporaryDirectory(prefix="cam-caffe-") as folder:
        root = Path(folder)
        _lay_out(root, pycaffe)
        os.environ[ENVIRONMENT_VARIABLE] = folder
        try:
            yield root
        finally:
            os.environ.pop(ENVIRONMENT_VARIABLE, None)


def _lay_out(root: Path, pycaffe: Path | None) -> None:
    package = root / "python" / "caffe"
    if pycaffe is not None and (pycaffe / "imagenet" / MEAN).is_file():
        package.parent.mkdir()
        package.symlink_to(pycaffe, target_is_directory=True)
    else:
        (package / "imagenet").mkdir(parents=True)
        _link(models_folder() / MEAN, package / "imagenet" / MEAN)
        write_text(package / "__init__.py", CAFFE_MODULE)
    (root / "models").mkdir()
    for file in [*_weights(), *models_folder().glob("*.prototxt")]:
        if not (root / "models" / file.name).exists():
            _link(file, root / "models" / file.name)
    (root / "data" / "ilsvrc12").mkdir(parents=True)
    _link(models_folder() / CLASS_NAMES, root / "data" / "ilsvrc12" / "synset_words.txt")


def _weights() -> Iterator[Path]:
    for folder in weights_folders():
        yield from (path for model in ZOO if (path := folder / model.caffemodel).is_file())


def _link(source: Path, target: Path) -> None:
    try:
        target.symlink_to(source.resolve())
    except OSError:
        # Windows lets only some users make links.
        shutil.copyfile(source, target)


def found_file(path: PathLike) -> PathLike:
    """Return where a prototxt or caffemodel is that a script names.

    Parameters
    ----------
    path : path-like
        As the script has it.

    Returns
    -------
    path-like
        The same where there is such a file; else a file of that name where the project keeps
        models, which is said on standard error; else the same.
    """
    with suppress(OSError, ValueError):
        if Path(path).exists():
            return path
        for folder in [*weights_folders(), models_folder()]:
            candidate = folder / Path(path).name
            if candidate.is_file():
                print(f"cam: {path} is not there; {candidate} is taken", file=sys.stderr)
                return str(candidate)
    return path
