"""Getting the original weights, and telling whether a file is what it should be.

No checksums of the original weights were ever published. A file is checked by its structure (every
layer's weights have the shapes that the prototxt asks for); its SHA-256 is recorded when it is
first seen, and a file that later comes with another one is refused.
"""

from __future__ import annotations

import json
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from cam import zoo
from cam.errors import CamError
from cam.files import atomic_path, sha256_of
from cam.network import load_network, load_weights

__all__ = ["CheckedWeights", "check_recorded", "check_weights", "fetch", "fetch_folder"]

DIGESTS = "sha256.json"
"""The record of digests, a file in the folder of the weights."""

MAX_BYTES = 4 * 2**30
TIMEOUT_SECONDS = 60
CHUNK = 1 << 20

Progress = Callable[[int, "int | None"], None]


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
    model : cam.zoo.ZooModel
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


def check_recorded(path: Path, digest: str) -> bool:
    """Compare a file's digest with the one recorded for its name.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    digest : str
        Its SHA-256.

    Returns
    -------
    bool
        True if a record was there and agrees, False if there was none.

    Raises
    ------
    CamError
        If the record is of other bytes.
    """
    recorded = _read_digests(path.parent).get(path.name)
    if recorded is not None and recorded != digest:
        raise CamError(
            f"{path}: its SHA-256 is {digest}, and {recorded} was recorded when it was first seen; "
            f"if the change is meant, remove its line from {path.parent / DIGESTS}"
        )
    return recorded is not None


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
    model : cam.zoo.ZooModel
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
        recorded one. What does not fit is removed.
    """
    if not model.urls and source is None:
        raise CamError(f"the weights of {model.name!r} come with the project; nothing to fetch")
    folder = fetch_folder()
    target = folder / model.caffemodel
    part = folder / f"{model.caffemodel}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{model.caffemodel}.lock"):
            _retrieve((source,) if source else model.urls, part, progress)
            return _accept(part, target, model)
    except OSError as error:
        raise CamError(f"cannot write to {folder}: {error.strerror or error}") from error


def _retrieve(sources: tuple[str, ...], part: Path, progress: Progress | None) -> None:
    failures = []
    for source in sources:
        try:
            if "://" in source:
                _download(source, part, progress)
            else:
                _copy(Path(source), part)
        except (urllib.error.URLError, TimeoutError, ConnectionError, ValueError) as error:
            failures.append(f"{source}: {getattr(error, 'reason', error)}")
        else:
            return
    raise CamError(
        f"could not fetch {part.stem}: {'; '.join(failures)}. Where another machine can reach it, "
        "download it there and use --from FILE"
    )


def _copy(source: Path, part: Path) -> None:
    if not source.is_file():
        raise CamError(f"cannot read {source}: there is no such file")
    shutil.copyfile(source, part)


def _download(url: str, part: Path, progress: Progress | None) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url)
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if have and error.code == 416:
            # Nothing is left to send: the part is all of it, or of something else. The check tells.
            return
        raise
    with response:
        resumed = have > 0 and response.status == 206
        length = response.headers.get("Content-Length")
        total = None if length is None else int(length) + (have if resumed else 0)
        if total is not None and total > MAX_BYTES:
            raise CamError(f"{url}: {total} bytes, over the limit of {MAX_BYTES}")
        done = have if resumed else 0
        with part.open("ab" if resumed else "wb") as file:
            while chunk := response.read(CHUNK):
                file.write(chunk)
                done += len(chunk)
                if done > MAX_BYTES:
                    raise CamError(f"{url}: over the limit of {MAX_BYTES} bytes")
                if progress:
                    progress(done, total)
    if total is not None and done < total:
        raise ConnectionError(f"the connection ended after {done} of {total} bytes")


def _accept(part: Path, target: Path, model: zoo.ZooModel) -> CheckedWeights:
    try:
        checked = check_weights(part, model)
        _check_and_record(target, checked.sha256)
    except CamError:
        part.unlink()
        raise
    part.replace(target)
    return CheckedWeights(target, checked.sha256, checked.parameters)


def _check_and_record(target: Path, digest: str) -> None:
    if not check_recorded(target, digest):
        digests = {**_read_digests(target.parent), target.name: digest}
        with atomic_path(target.parent / DIGESTS) as temporary:
            temporary.write_text(json.dumps(digests, indent=2, sort_keys=True) + "\n")


def _read_digests(folder: Path) -> dict[str, Any]:
    path = folder / DIGESTS
    if not path.exists():
        return {}
    try:
        digests = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CamError(f"cannot read the recorded digests in {path}: {error}") from error
    if not isinstance(digests, dict):
        raise CamError(f"cannot read the recorded digests in {path}: not a table of names")
    return digests
