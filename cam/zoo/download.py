"""Fetching files: over connections that break, to a name that only a checked file gets.

A download comes as ``NAME.part`` and is renamed when it is complete and has passed the caller's
check. A file of this machine is checked where it lies and then copied.
Nobody published checksums of the files that this project fetches: the SHA-256 is recorded when a
file is first seen, and a file that later comes with another one is refused.
"""

from __future__ import annotations

import http.client
import queue
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO, Any, Generic, TypeVar
from urllib.parse import urlsplit

from filelock import FileLock

from cam.errors import CamError
from cam.files import atomic_path, open_regular, sha256_of, write_json
from cam.zoo.digests import DIGESTS, check_recorded, read_digests

MAX_BYTES = 4 * 2**30
CHUNK = 1 << 20

ANSWER_SECONDS, TIMEOUT_SECONDS = 30, 60
"""How long a server may take to answer, and then to say something more."""

TOTAL_SECONDS = 6 * 3600
RATE_SECONDS, LEAST_RATE = 60, 1000
"""How long a download may take in all, and the least bytes a second, over so many seconds."""

Progress = Callable[[int, "int | None"], None]
Checked = TypeVar("Checked")


@dataclass(frozen=True)
class Fetched(Generic[Checked]):
    """A file that was fetched.

    Attributes
    ----------
    checked : object
        What the caller's check returned.
    first_seen : bool
        Whether nobody can say yet that the file is the right one: no SHA-256 of it was known.
    notes : tuple of str
        What the user should know of how it came.
    """

    checked: Checked
    first_seen: bool
    notes: tuple[str, ...] = ()


def fetch_file(
    target: Path,
    sources: Sequence[str],
    check: Callable[[Path], Checked],
    progress: Progress | None = None,
    max_bytes: int = MAX_BYTES,
    expected_sha256: str | None = None,
) -> Fetched[Checked]:
    """Get a file from the first source that has it, check it and put it in its place.

    An interrupted download goes on where it stopped. Processes that want the same file wait for
    each other. HTTPS is tried before HTTP, in which anyone on the way can send another file.

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
    expected_sha256 : str, optional
        The SHA-256 of the right file, in hexadecimal, where it is known.

    Returns
    -------
    Fetched
        What `check` returned, and what the user should know.

    Raises
    ------
    CamError
        If no source can be reached, sends too slowly or has too much, the file does not pass the
        check, or its SHA-256 is not the expected or the recorded one. A download that does not fit
        is removed; one that is incomplete stays for the next attempt.
    """
    local = _local_path(sources[0])
    if local is not None:
        checked = _check_in_place(local, check, max_bytes)
        with _locked(target):
            first_seen = _copy(local, target, expected_sha256)
        return Fetched(checked, first_seen)
    part = target.with_name(f"{target.name}.part")
    with _locked(target):
        notes = _download_from_first(sources, part, progress, max_bytes)
        try:
            checked = check(part)
            first_seen = _check_and_record(target, sha256_of(part), expected_sha256)
        except CamError:
            part.unlink()
            raise
        part.replace(target)
    return Fetched(checked, first_seen, notes)


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    folder = target.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = folder / f"{target.name}.lock"
        with FileLock(lock):
            try:
                yield
            finally:
                # While it is still held: who has waited sees that it is gone (filelock 3.21).
                lock.unlink(missing_ok=True)
    except OSError as error:
        if isinstance(error, CamError):
            raise
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
        if isinstance(error, CamError):
            raise
        raise CamError(f"cannot read {source}: {error.strerror or error}") from error


def _copy(source: Path, target: Path, expected_sha256: str | None) -> bool:
    # Errors of reading, which name the source, are `CamError`s before they get to what writes.
    with atomic_path(target) as temporary, temporary.open("wb") as file:
        for chunk in _chunks(source):
            file.write(chunk)
        file.flush()
        return _check_and_record(target, sha256_of(temporary), expected_sha256, source)


def _chunks(source: Path) -> Iterator[bytes]:
    with open_regular(source) as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _download_from_first(
    sources: Sequence[str], part: Path, progress: Progress | None, max_bytes: int
) -> tuple[str, ...]:
    """Download from the first address that has the file; return what is to be said of it."""
    failures: list[str] = []
    for address in _https_first(sources):
        try:
            _download(address, part, progress, max_bytes)
        except (
            urllib.error.URLError,
            http.client.HTTPException,
            TimeoutError,
            ConnectionError,
            ValueError,
        ) as error:
            failures.append(f"{address}: {_reason(error)}")
            continue
        if address.startswith("https:"):
            return ()
        return (f"{address} came over http, which anyone on the way can change",)
    raise CamError(
        f"could not fetch {part.stem}: {'; '.join(failures)}. Where another machine can reach it, "
        "download it there and use --from FILE"
    )


def _https_first(sources: Sequence[str]) -> Iterator[str]:
    for source in sources:
        # A port of its own is one where someone speaks HTTP.
        if source.startswith("http:") and ":" not in urlsplit(source).netloc:
            yield f"https{source.removeprefix('http')}"
        yield source


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason}"
    return str(getattr(error, "reason", error)) or type(error).__name__


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects within HTTPS or HTTP, and from HTTP to HTTPS."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme != "https" and scheme != req.type:
            raise urllib.error.URLError(f"it redirects to {scheme}, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener of HTTP and HTTPS addresses only; urllib's own opens ftp, file and data."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        _Redirects,
    ):
        opener.add_handler(handler())
    return opener


def _open(request: urllib.request.Request) -> Any:
    """Return the response, which must come in time: urllib's timeout is one for each packet."""
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(_opener().open(request, timeout=TIMEOUT_SECONDS))
        except Exception as error:
            answers.put(error)

    Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=ANSWER_SECONDS)
    except queue.Empty:
        raise TimeoutError(f"no answer in {ANSWER_SECONDS} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _download(url: str, part: Path, progress: Progress | None, max_bytes: int) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url)
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = _open(request)
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
            for chunk in _timely(response):
                file.write(chunk)
                done += len(chunk)
                _check_size(url, done, part, max_bytes)
                if progress:
                    progress(done, total)
    if total is not None and done < total:
        raise ConnectionError(f"the connection ended after {done} of {total} bytes")


def _timely(response: Any) -> Iterator[bytes]:
    """Yield what comes, as long as it comes fast enough."""
    began = counted_from = time.monotonic()
    count = 0
    while chunk := response.read1(CHUNK):
        yield chunk
        count, now = count + len(chunk), time.monotonic()
        if now - began > TOTAL_SECONDS:
            raise TimeoutError(f"it took over {TOTAL_SECONDS} s")
        if now - counted_from > RATE_SECONDS:
            if count < LEAST_RATE * (now - counted_from):
                raise TimeoutError(f"it came with less than {LEAST_RATE} bytes a second")
            count, counted_from = 0, now


def _check_size(source: str, size: int, part: Path, max_bytes: int) -> None:
    if size > max_bytes:
        part.unlink(missing_ok=True)
        raise _too_large(source, max_bytes)


def _too_large(source: str, max_bytes: int) -> CamError:
    return CamError(f"{source}: over {max_bytes} bytes, too large for what it should be")


def _check_and_record(
    target: Path, digest: str, expected: str | None = None, source: Path | None = None
) -> bool:
    """Hold a digest against what is known; return whether nothing was."""
    if expected is not None and digest != expected.lower():
        raise CamError(f"{source or target}: its SHA-256 is {digest}, not {expected}")
    record = target.parent / DIGESTS
    # Other files of the folder may be fetched at the same time, each under its own lock.
    with _locked(record):
        recorded = check_recorded(target, digest, source)
        if not recorded:
            digests = {**read_digests(target.parent), target.name: digest}
            write_json(record, dict(sorted(digests.items())))
    return not recorded and expected is None
