"""Getting the original weights, and telling whether a file is what it should be.

No checksums of the original weights were ever published. A file is checked by its structure (every
layer's weights have the shapes that the prototxt asks for); its SHA-256 is recorded when it is
first seen, and a file that later comes with another one is refused.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from cam import zoo
from cam.caffe.network import load_network, load_weights
from cam.errors import CamError
from cam.files import sha256_of
from cam.zoo.download import Progress, check_recorded, fetch_file

__all__ = ["CheckedWeights", "check_recorded", "check_weights", "fetch", "fetch_folder"]


@dataclass(frozen=True)
class CheckedWeights:
    """A caffemodel that fits its network.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    sha256 : str
        Its digest.
    parameters : int
        How many weights it has for the network.
    """

    path: Path
    sha256: str
    parameters: int


def check_weights(path: str | os.PathLike[str], model: zoo.ZooModel) -> CheckedWeights:
    """Check a caffemodel against the prototxt of a model.

    Parameters
    ----------
    path : path-like
        The caffemodel.
    model : cam.zoo.table.ZooModel
        The model that it should be of.

    Returns
    -------
    CheckedWeights
        Digest and size.

    Raises
    ------
    CamError
        If the file cannot be read or a layer's weights are missing or of another shape.
    """
    network = load_network(zoo.models_folder() / model.prototxt)
    weights = load_weights(network, path)
    parameters = sum(blob.size for blobs in weights.values() for blob in blobs)
    return CheckedWeights(Path(path), sha256_of(path), parameters)


def fetch_folder() -> Path:
    """Return the folder that downloads go to: the one that CAM_MODELS names, or the cache."""
    named = os.environ.get(zoo.ENVIRONMENT_VARIABLE)
    return Path(named) if named else zoo.cache_folder()


def fetch(
    model: zoo.ZooModel, source: str | None = None, progress: Progress | None = None
) -> CheckedWeights:
    """Download a model's weights, check them and put them where they are found.

    An interrupted download goes on where it stopped. The file gets its name only when it is
    complete and fits the network.

    Parameters
    ----------
    model : cam.zoo.table.ZooModel
        Which weights.
    source : str, optional
        A file or address to take instead of the model's own ones.
    progress : callable, optional
        Called with the bytes so far and the bytes in all, the latter None where it is not known.

    Returns
    -------
    CheckedWeights
        The file in its place.

    Raises
    ------
    CamError
        If no source can be reached, the file does not fit the network, or its SHA-256 is not the
        recorded one. A download that does not fit is removed.
    """
    if not model.urls and source is None:
        raise CamError(f"the weights of {model.name!r} come with the project; nothing to fetch")
    target = fetch_folder() / model.caffemodel
    sources = (source,) if source else model.urls
    checked = fetch_file(target, sources, partial(check_weights, model=model), progress)
    return replace(checked, path=target)
