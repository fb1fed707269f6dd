"""Fetching files: over connections that break, to a name that only a checked file gets.

A download comes as ``NAME.part`` and is renamed when it is complete and has passed the caller's
check. A file of this machine is checked where it lies and then copied.
Nobody published checksums of the files that this project fetches: the SHA-256 is recorded when a
file is first seen, and a file that later comes with another one is refused.
"""

from __future__ import annotations

import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from filelock import FileLock

from cam.errors import CamError
from cam.files import atomic_path, sha256_of

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
        Addresses, tried in order; or one path or ``file:`` address.
    check : callable
        Called with the path of the complete file, a download's temporary name or the file of this
        machine; raises `CamError` if the file is not what it should be.
    progress : callable, optional
        Called with a download's bytes so far and the bytes in all, the latter None where it is not
        known.
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
        recorded one. A download that does not fit is removed; one that is incomplete stays for the
        next attempt.
    """
    local = _local_path(sources[0])
    if local is not None:
        checked = _check_in_place(local, check, max_bytes)
        with _locked(target):
            _copy(local, target)
        return checked
    part = target.with_name(f"{target.name}.part")
    with _locked(target):
        _download_from_first(sources, part, progress, max_bytes)
        try:
            checked = check(part)
            _check_and_record(target, sha256_of(part))
        except CamError:
            part.unlink()
            raise
        part.replace(target)
    return checked


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    folder = target.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{target.name}.lock"):
            yield
    except OSError as error:
        raise CamError(f"cannot write to {folder}: {error.strerror or error}") from error


def _local_path(source: str) -> Path | None:
    if "://" not in source:
        return Path(source)
    parts = urlsplit(source)
    return Path(urllib.request.url2pathname(parts.path)) if parts.scheme == "file" else None


def _check_in_place(source: Path, check: Callable[[Path], Checked], max_bytes: int) -> Checked:
    try:
        if not source.exists():
            raise CamError(f"cannot read {source}: there is no such file")
        if not source.is_file():
            raise CamError(f"cannot read {source}: it is not a file")
        if source.stat().st_size > max_bytes:
            raise _too_large(str(source), max_bytes)
        return check(source)
    except OSError as error:
        raise _unreadable(source, error) from error


def _copy(source: Path, target: Path) -> None:
    with atomic_path(target) as temporary:
        with temporary.open("wb") as file:
            for chunk in _chunks(source):
                file.write(chunk)
        _check_and_record(target, sha256_of(temporary), source)


def _chunks(source: Path) -> Iterator[bytes]:
    # Errors of reading are told from those of writing, which happen outside this generator.
    try:
        with source.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except OSError as error:
        raise _unreadable(source, error) from error


def _unreadable(source: Path, error: OSError) -> CamError:
    return CamError(f"cannot read {source}: {error.strerror or error}")


def _download_from_first(
    sources: Sequence[str], part: Path, progress: Progress | None, max_bytes: int
) -> None:
    failures = []
    for source in sources:
        try:
            _download(source, part, progress, max_bytes)
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
        raise _too_large(source, max_bytes)


def _too_large(source: str, max_bytes: int) -> CamError:
    return CamError(f"{source}: over {max_bytes} bytes, too large for what it should be")


def check_recorded(path: Path, digest: str, source: Path | None = None) -> bool:
    """Compare a file's digest with the one recorded for its name.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    digest : str
        Its SHA-256.
    source : pathlib.Path, optional
        The file with this digest, where it is still to be copied to `path`; errors name it.

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
            f"{source or path}: its SHA-256 is {digest}, and {recorded} was recorded when it "
            f"was first seen; if the change is meant, remove its line from {path.parent / DIGESTS}"
        )
    return recorded is not None


def _check_and_record(target: Path, digest: str, source: Path | None = None) -> None:
    record = target.parent / DIGESTS
    # Other files of the folder may be fetched at the same time, each under its own lock.
    with FileLock(f"{os.fspath(record)}.lock"):
        if not check_recorded(target, digest, source):
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
