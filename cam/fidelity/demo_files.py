"""The files of the original's cached demo: fetched from the original repository, and checked."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from cam import zoo
from cam.errors import CamError, MissingFileError
from cam.files import PathLike
from cam.matlab import original_release
from cam.pictures.reading import read_picture
from cam.zoo.download import Progress, fetch_file

__all__ = ["DEMO_FILES", "demo_folder", "fetch_demo_file", "fetched_demo_file", "here_or_fetched"]

SOURCES = (
    "https://github.com/metalbubble/CAM/raw/master/",
    # The account was renamed to this one.
    "https://github.com/zhoubolei/CAM/raw/master/",
)

MAX_BYTES = 64 * 2**20


def _check_network(path: Path) -> None:
    class_weights, categories = original_release.load_network(path)
    if class_weights.shape != (1000, 1024) or categories is None:
        raise CamError(f"{path}: not the class layer of GoogLeNet-CAM, 1024 x 1000, with names")


def _check_features(path: Path) -> None:
    features = original_release.load_features(path)
    if features.activations.shape != (10, 1024, 14, 14) or features.scores.shape != (10, 1000):
        raise CamError(f"{path}: not the features of ten crops by GoogLeNet-CAM")


def _check_categories(path: Path) -> None:
    if len(original_release.load_categories(path)) != 1000:
        raise CamError(f"{path}: not the names of 1000 classes")


DEMO_FILES: Mapping[str, Callable[[Path], object]] = {
    "data_net.mat": _check_network,
    "data_img1.mat": _check_features,
    "data_img2.mat": _check_features,
    "img1.jpg": read_picture,
    "img2.jpg": read_picture,
    "categories1000.mat": _check_categories,
}
"""The files of the cached demo, and what makes sure that each is what it should be."""


def demo_folder() -> Path:
    """Return the folder in the user's cache that the demo's files are fetched to."""
    return zoo.cache_folder().parent / "demo"


def fetched_demo_file(name: str, folder: Path | None = None) -> Path:
    """Return the path of a file of the demo that was fetched.

    Parameters
    ----------
    name : str
        One of `DEMO_FILES`.
    folder : pathlib.Path, optional
        Where it was fetched to; `demo_folder` if not given.

    Raises
    ------
    MissingFileError
        If it is not there.
    """
    path = (folder or demo_folder()) / name
    if not path.is_file():
        raise MissingFileError(
            f"{name} is not in {path.parent}; get it with cam fetch-demo, or name another file or "
            "folder"
        )
    return path


def here_or_fetched(path: PathLike) -> Path:
    """Return a file's path: where it was fetched to, if it is one of the demo's and not here.

    Parameters
    ----------
    path : path-like
        Any path. The name of one of `DEMO_FILES` also names the fetched one, where the working
        directory has none of that name.

    Raises
    ------
    MissingFileError
        If it names a file of the demo that is neither here nor fetched.
    """
    named = Path(path)
    if os.fspath(path) not in DEMO_FILES or named.exists():
        return named
    return fetched_demo_file(named.name)


def fetch_demo_file(
    name: str,
    folder: PathLike | None = None,
    source: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Get a file of the cached demo from the original repository, and check it.

    Parameters
    ----------
    name : str
        One of `DEMO_FILES`.
    folder : path-like, optional
        Where it is to be; `demo_folder` if not given.
    source : str, optional
        A folder, or the address of one, to take it from instead.
    progress : callable, optional
        As for `cam.zoo.download.fetch_file`.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    CamError
        If it cannot be had, is not what its name says, or has another SHA-256 than the recorded
        one.
    """
    target = Path(folder or demo_folder()) / name
    bases = SOURCES if source is None else (f"{(source or '.').rstrip('/')}/",)
    sources = [base + name for base in bases]
    fetch_file(target, sources, DEMO_FILES[name], progress, MAX_BYTES)
    return target
