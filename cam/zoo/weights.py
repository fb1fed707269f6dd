"""Where a model's weights are, getting them, and telling whether a file is what it should be.

No checksums of the original weights were ever published. A file is checked by its structure (every
layer's weights have the shapes that the prototxt asks for); its SHA-256 is recorded when it is
first seen, and a file that later comes with another one is refused.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cam.arguments import checked
from cam.caffe.network import load_network, load_weights
from cam.errors import CamError, MissingFileError
from cam.files import PathLike, models_folder, sha256_of
from cam.zoo.table import ZooModel

if TYPE_CHECKING:
    from cam.zoo.download import Progress

ENVIRONMENT_VARIABLE = "CAM_MODELS"
"""Names a folder in which weights are looked for first."""


ONLY_SHAPES_CHECKED = (
    "nobody published the SHA-256 of this file: the shapes of its layers were checked, not whether "
    "it is the authors'. Its SHA-256 is recorded now; whoever has the file can compare it"
)
"""What is to be said when weights are fetched for the first time."""


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
    notes : tuple of str
        What a user should know of how it was fetched.
    """

    path: Path
    sha256: str
    parameters: int
    notes: tuple[str, ...] = field(default=(), compare=False)


@checked
def check_weights(path: PathLike, model: ZooModel) -> CheckedWeights:
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
    network = load_network(models_folder() / model.prototxt)
    weights = load_weights(network, path)
    parameters = sum(blob.size for blobs in weights.values() for blob in blobs)
    return CheckedWeights(Path(path), sha256_of(path), parameters)


def weights_folders() -> list[Path]:
    """Return the folders in which weights are looked for, in that order.

    The folder that the environment variable ``CAM_MODELS`` names, the project's own models folder,
    and the user's cache folder. The working folder is not among them: whoever can write there could
    replace a model without a word.
    """
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    folders = [Path(named)] if named else []
    folders += [models_folder(), cache_folder()]
    return list({folder.resolve(): folder for folder in folders}.values())


def cache_folder() -> Path:
    """Return the user's cache folder for downloaded weights."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("cam")) / "models"


@checked
def find_weights(model: ZooModel) -> Path:
    """Return the path of a model's caffemodel.

    Raises
    ------
    MissingFileError
        If it is in none of the folders; the message says where it can be had and how.
    """
    folders = weights_folders()
    for folder in folders:
        path = folder / model.caffemodel
        if path.is_file():
            return path
    source = model.urls[0] if model.urls else "the project's repository"
    raise MissingFileError(
        f"the weights of {model.name!r} are missing: {model.caffemodel} (from {source}) is not in "
        f"{', '.join(map(str, folders))}; get it with: cam models fetch {model.name}"
    )


def fetch_folder() -> Path:
    """Return the folder that downloads go to: the one that CAM_MODELS names, or the cache."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    return Path(named) if named else cache_folder()


def fetch(
    model: ZooModel, source: str | None = None, progress: Progress | None = None
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
    # What fetching imports takes longer than what loading does.
    from cam.zoo.download import fetch_file

    fetched = fetch_file(target, sources, partial(check_weights, model=model), progress)
    notes = (*fetched.notes, ONLY_SHAPES_CHECKED) if fetched.first_seen else fetched.notes
    return replace(fetched.checked, path=target, notes=notes)
