"""Caffe's HDF5 files of weights; h5py is needed only for these."""

from __future__ import annotations

from typing import Any

import numpy as np

from cam.caffe.caffemodel import Blobs
from cam.errors import CamError
from cam.files import PathLike, atomic_path, reading

__all__ = ["read_weights", "write_weights"]

GROUP = "data"


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
    """
    h5py = _h5py()
    with reading(path, "the weights"), h5py.File(path, "r") as file:
        if GROUP not in file:
            raise CamError(f"{path}: not a file of weights (it has no group {GROUP!r})")
        return {
            name: tuple(np.asarray(layer[key], np.float32) for key in sorted(layer, key=int))
            for name, layer in file[GROUP].items()
            if len(layer)
        }


def write_weights(path: PathLike, weights: dict[str, Blobs]) -> None:
    """Write the weights of each layer as Caffe does."""
    h5py = _h5py()
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        for name, blobs in weights.items():
            group = file.create_group(f"{GROUP}/{name}")
            for index, blob in enumerate(blobs):
                group.create_dataset(str(index), data=blob)


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise CamError(
            "weights in HDF5 need the package h5py: pip install 'cam-caffe[matlab]'"
        ) from error
    return h5py
