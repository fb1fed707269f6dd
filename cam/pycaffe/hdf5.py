"""Caffe's HDF5 files of weights; h5py is needed only for these."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cam.caffe.caffemodel import Blobs
from cam.errors import CamError, import_extra
from cam.files import PathLike, atomic_path, open_regular
from cam.matlab.mat_values import MAX_CONTENT_BYTES, Budget, DamagedError, RefusedError
from cam.matlab.mat_version73 import read_version73

__all__ = ["read_weights", "write_weights"]

GROUP = "data"

_ADVICE = "weights in HDF5 need the package h5py: pip install 'cam-caffe[matlab]'"


def read_weights(path: PathLike) -> dict[str, Blobs]:
    """Return the weights of each layer in a file that Caffe wrote.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    dict of str to tuple of numpy.ndarray
        float32, by the layer's name.

    Raises
    ------
    CamError
        If h5py is not installed, or the file cannot be read or holds no weights.

    Notes
    -----
    HDF5 takes a file at its word: it is read in a process of its own, as MATLAB files are.
    """
    import_extra("h5py", _ADVICE)
    source = Path(path)
    with open_regular(source, "the weights"):
        # Caffe does not compress them.
        budget = Budget(max(MAX_CONTENT_BYTES, 2 * source.stat().st_size))
    try:
        found = read_version73(source, None, list, budget, group=GROUP)
        blobs = {name: np.asarray(values, np.float32) for name, values in found.items()}
    except (DamagedError, RefusedError, OSError, TypeError, ValueError) as error:
        raise CamError(f"{source}: not a file of weights, or damaged: {error}") from error
    weights: dict[str, dict[int, NDArray[np.float32]]] = {}
    for name, values in blobs.items():
        layer, _, number = name.removeprefix(f"{GROUP}/").rpartition("/")
        if not (number.isascii() and number.isdecimal() and len(number) < 4):
            raise CamError(f"{source}: not a file of weights: {number!r} is not a blob's number")
        # MATLAB's order of axes is the reverse of HDF5's.
        weights.setdefault(layer, {})[int(number)] = values.T
    return {
        layer: tuple(each[number] for number in sorted(each)) for layer, each in weights.items()
    }


def write_weights(path: PathLike, weights: dict[str, Blobs]) -> None:
    """Write the weights of each layer as Caffe does."""
    h5py = import_extra("h5py", _ADVICE)
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        for name, blobs in weights.items():
            group = file.create_group(f"{GROUP}/{name}")
            for index, blob in enumerate(blobs):
                group.create_dataset(str(index), data=blob)
