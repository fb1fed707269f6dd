"""Writing files so that nothing half-written stays, and hashing them."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cam.errors import CamError

__all__ = ["TEMPORARY_PREFIX", "atomic_path", "sha256_of"]

TEMPORARY_PREFIX = ".cam-partial-"
"""How the temporary names of `atomic_path` begin, and no other file's name."""

_READABLE_BYTES = 64
"""Of a file's stem and extension in its temporary name: names end at 255 bytes, some at 143."""


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


# It can only be read by setting it, for all threads: not while they may be creating files.
_UMASK = _umask()


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary name to write to, and rename it to `path` on success.

    The temporary file lies in the same folder, begins with `TEMPORARY_PREFIX` and keeps the
    extension of `path`, so that writers that choose a format by extension work. On an exception it
    is removed and `path` is untouched.

    Parameters
    ----------
    path : path-like
        The final name. Its folder is created if it is missing.

    Yields
    ------
    pathlib.Path
        An existing, empty file to write to.

    Raises
    ------
    CamError
        If the folder cannot be created or written to.

    Examples
    --------
    >>> with atomic_path("scores.txt") as temporary:  # doctest: +SKIP
    ...     temporary.write_text("0.76")
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        prefix, suffix = _around(target)
        handle, name = tempfile.mkstemp(suffix, prefix, target.parent)
    except OSError as error:
        raise CamError(f"cannot write {target}: {error.strerror}") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_UMASK)
        try:
            temporary.replace(target)
        except OSError as error:
            raise CamError(f"cannot write {target}: {error.strerror}") from error
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _around(target: Path) -> tuple[str, str]:
    """Return beginning and end of a temporary name, short enough for every file system."""
    stem = os.fsencode(target.stem)[:_READABLE_BYTES].decode(errors="ignore")
    # What is longer is the rest of a sentence with a full stop, and no extension.
    is_extension = len(os.fsencode(target.suffix)) <= _READABLE_BYTES
    return f"{TEMPORARY_PREFIX}{stem}.", target.suffix if is_extension else ""


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    str
        The digest in lower case.
    """
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
