"""Fetching files: over connections that break, to a name that only a checked file gets.

A file comes as ``NAME.part`` and is renamed when it is complete and has passed the caller's check.
Nobody published checksums of the files that this project fetches: the SHA-256 is recorded when a
file is first seen, and a file that later comes with another one is refused.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

from cam.errors import CamError
from cam.files import atomic_path, sha256_of

__all__ = ["Progress", "check_recorded", "fetch_file", "retrieve"]

DIGESTS = "sha256.json"
"""The record of digests, a file in the folder of the files that it is of."""

MAX_BYTES = 4 * 2**30
TIMEOUT_SECONDS = 60
CHUNK = 1 << 20

Progress = Callable[[int, "int | None"], None]
Checked = TypeVar("Checked")


def fetch_file(
    target: Path,
    sources: Sequence[str],
    check: Callable[[Path], Checked],
    progress: Progress | None = None,
    max_bytes: int = MAX_BYTES,
) -> Checked:
    """Get a file from the first source that has it, check it and put it in its place.

    An interrupted download goes on where it stopped. Processes that want the same file wait for
    each other.

    Parameters
    ----------
    target : pathlib.Path
        Where the file is to be. Its folder is created if it is missing.
    sources : sequence of str
        Addresses or paths, tried in order.
    check : callable
        Called with the path of the complete file under its temporary name; raises `CamError` if
        the file is not what it should be.
    progress : callable, optional
        Called with the bytes so far and the bytes in all, the latter None where it is not known.
    max_bytes : int, optional
        Larger files are refused.

    Returns
    -------
    object
        What `check` returned.

    Raises
    ------
    CamError
        If no source can be reached, the file does not pass the check, or its SHA-256 is not the
        recorded one. What does not fit is removed; what is incomplete stays for the next attempt.
    """
    folder = target.parent
    part = folder / f"{target.name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{target.name}.lock"):
            retrieve(sources, part, progress, max_bytes)
            try:
                checked = check(part)
                _check_and_record(target, sha256_of(part))
            except CamError:
                part.unlink()
                raise
            part.replace(target)
            return checked
    except OSError as error:
        raise CamError(f"cannot write to {folder}: {error.strerror or error}") from error


def retrieve(
    sources: Sequence[str],
    part: Path,
    progress: Progress | None = None,
    max_bytes: int = MAX_BYTES,
) -> None:
    """Get the bytes of a file from the first source that has them.

    Parameters
    ----------
    sources : sequence of str
        Addresses or paths, tried in order.
    part : pathlib.Path
        The file to write; a download goes on behind what it already holds.
    progress, max_bytes
        As for `fetch_file`.

    Raises
    ------
    CamError
        If no source has the file, with what each one answered, or it is too large.
    """
    failures = []
    for source in sources:
        try:
            if "://" in source:
                _download(source, part, progress, max_bytes)
            else:
                _copy(Path(source), part, max_bytes)
        except (
            urllib.error.URLError,
            http.client.HTTPException,
            TimeoutError,
            ConnectionError,
            ValueError,
        ) as error:
            failures.append(f"{source}: {_reason(error)}")
        else:
            return
    raise CamError(
        f"could not fetch {part.stem}: {'; '.join(failures)}. Where another machine can reach it, "
        "download it there and use --from FILE"
    )


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason}"
    return str(getattr(error, "reason", error)) or type(error).__name__


def _copy(source: Path, part: Path, max_bytes: int) -> None:
    if not source.is_file():
        raise CamError(f"cannot read {source}: there is no such file")
    _check_size(str(source), source.stat().st_size, part, max_bytes)
    shutil.copyfile(source, part)


def _download(url: str, part: Path, progress: Progress | None, max_bytes: int) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url)
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if have and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            # Nothing is left to send: the part is all of it, or of something else. The check tells.
            return
        raise
    with response:
        resumed = have > 0 and response.status == http.HTTPStatus.PARTIAL_CONTENT
        done = have if resumed else 0
        length = response.headers.get("Content-Length")
        total = None if length is None else int(length) + done
        _check_size(url, total or 0, part, max_bytes)
        with part.open("ab" if resumed else "wb") as file:
            while chunk := response.read(CHUNK):
                file.write(chunk)
                done += len(chunk)
                _check_size(url, done, part, max_bytes)
                if progress:
                    progress(done, total)
    if total is not None and done < total:
        raise ConnectionError(f"the connection ended after {done} of {total} bytes")


def _check_size(source: str, size: int, part: Path, max_bytes: int) -> None:
    if size > max_bytes:
        part.unlink(missing_ok=True)
        raise CamError(f"{source}: over {max_bytes} bytes, too large for what it should be")


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


def _check_and_record(target: Path, digest: str) -> None:
    record = target.parent / DIGESTS
    # Other files of the folder may be fetched at the same time, each under its own lock.
    with FileLock(f"{os.fspath(record)}.lock"):
        if not check_recorded(target, digest):
            digests = {**_read_digests(target.parent), target.name: digest}
            with atomic_path(record) as temporary:
                text = json.dumps(digests, indent=2, sort_keys=True) + "\n"
                temporary.write_text(text, encoding="utf-8")


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
