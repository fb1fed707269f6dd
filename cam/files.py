"""Files: read within limits, written whole or not at all, hashed, and named."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from cam.errors import CamError, InvalidValueError, MissingFileError

if TYPE_CHECKING:
    from numpy.typing import NDArray

PathLike: TypeAlias = str | os.PathLike[str]

MAX_BYTES = 512 * 2**20
"""How large a file may be that is read into memory, if its reader sets no lower limit."""

MAX_JSON_BYTES, MAX_JSON_DEPTH = 16 * 2**20, 64
"""How large a JSON file may be, and how many lists and objects may lie in each other."""

TEMPORARY_PREFIX = ".cam-partial-"
"""How the temporary names of `atomic_path` begin, and no other file's name."""

_READABLE_BYTES = 64
"""Of a file's stem and extension in its temporary name: names end at 255 bytes, some at 143."""

_LONGEST_NAME = 200
"""Bytes of a name that `file_name` makes; file systems allow 255, and a caller may add to it."""


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


# It can only be read by setting it, for all threads: not while they may be creating files.
_UMASK = _umask()


@contextmanager
def reading(path: PathLike, what: str = "") -> Iterator[None]:
    """Turn the errors of reading a file into one clear line.

    Parameters
    ----------
    path : path-like
        The file that the block reads.
    what : str, optional
        What the file is, as the message is to call it: ``"the list"``.

    Raises
    ------
    MissingFileError
        If the block finds no file there.
    CamError
        If the block cannot read it, or it is not text in UTF-8.
    """
    name = f"{what} {os.fspath(path)}".strip()
    try:
        yield
    except CamError:
        raise
    except FileNotFoundError as error:
        raise MissingFileError(f"cannot read {name}: {error.strerror}") from error
    except OSError as error:
        raise CamError(f"cannot read {name}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise CamError(f"cannot read {name}: not text in UTF-8") from error
    except ValueError as error:
        if not _is_of_a_name(error):
            raise
        raise InvalidValueError(f"cannot read {name!r}: {error}") from error


def _is_of_a_name(error: ValueError) -> bool:
    """Tell whether an error is that of a path with a NUL in it, or that has no bytes at all."""
    return str(error).startswith("embedded null") or isinstance(error, UnicodeEncodeError)


@contextmanager
def open_regular(path: PathLike, what: str = "", limit: int | None = None) -> Iterator[IO[bytes]]:
    """Open a regular file for reading its bytes; errors are as of `reading`.

    A device or a named pipe is refused: it has no end, or would wait for someone to write.

    Parameters
    ----------
    path : path-like
        The file.
    what : str, optional
        What the file is, for messages.
    limit : int, optional
        The largest size in bytes; any size if not given.

    Yields
    ------
    file object
        Open for reading in binary mode.

    Raises
    ------
    CamError
        If it is missing, not a regular file, over the limit or cannot be read.
    """
    name = f"{what} {os.fspath(path)}".strip()
    # Without O_NONBLOCK, opening a pipe would wait for its writer.
    with reading(path, what), open(path, "rb", opener=_open_at_once) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise CamError(f"cannot read {name}: not a regular file")
        if limit is not None and status.st_size > limit:
            raise CamError(f"cannot read {name}: {status.st_size} bytes, over the limit of {limit}")
        yield file


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def read_bytes(path: PathLike, what: str = "", limit: int = MAX_BYTES) -> bytes:
    """Return the bytes of a regular file, as `open_regular` opens it.

    Raises
    ------
    CamError
        If the file is missing, not a regular file, over the limit or cannot be read.
    """
    with open_regular(path, what, limit) as file:
        # Python allocates what it is asked to read. (Files in /proc say that they are empty.)
        return file.read(min(limit, max(os.fstat(file.fileno()).st_size, 1 << 16)))


def read_text(path: PathLike, what: str = "", limit: int = MAX_BYTES) -> str:
    """Return the text of a regular file in UTF-8, a byte order mark left out.

    Raises
    ------
    CamError
        As `read_bytes`, or if the file is not text in UTF-8.
    """
    data = read_bytes(path, what, limit)
    with reading(path, what):
        return data.decode("utf-8-sig")


def read_json(path: PathLike, what: str = "", limit: int = MAX_JSON_BYTES) -> Any:
    """Return what a JSON file holds.

    Raises
    ------
    CamError
        As `read_text`, or if the file is not JSON, or nested over `MAX_JSON_DEPTH` deep.
    """
    text = read_text(path, what, limit)
    name = f"{what} {os.fspath(path)}".strip()
    try:
        value = json.loads(text)
    except RecursionError:
        too_deep = True
    except ValueError as error:
        raise CamError(f"cannot read {name}: not JSON: {error}") from error
    else:
        too_deep = _is_deeper(value, MAX_JSON_DEPTH)
    if too_deep:
        raise CamError(f"cannot read {name}: not JSON of at most {MAX_JSON_DEPTH} levels")
    return value


def _is_deeper(value: Any, depth: int) -> bool:
    """Tell whether a value has more than so many levels of lists and objects."""
    level = [value]
    for _ in range(depth + 1):
        level = [
            child
            for each in level
            if isinstance(each, (dict, list))
            for child in (each.values() if isinstance(each, dict) else each)
        ]
    return bool(level)


def read_arrays(path: PathLike, what: str = "", limit: int = MAX_BYTES) -> dict[str, NDArray[Any]]:
    """Return the arrays of a NumPy archive (``.npz``) by their names.

    Parameters
    ----------
    path : path-like
        The file; of a ``.npy`` file the one array is called ``"array"``.
    what : str, optional
        What the file is, for messages.
    limit : int, optional
        The largest size in bytes, of the file and of all that is packed in it.

    Returns
    -------
    dict of str to numpy.ndarray
        Arrays of plain numbers and text.

    Raises
    ------
    CamError
        As `read_bytes`, or if the file holds too much, or something else.
    """
    import numpy as np

    name = f"{what} {os.fspath(path)}".strip()
    file = io.BytesIO(read_bytes(path, what, limit))
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                unpacked = sum(member.file_size for member in archive.infolist())
            if unpacked > limit:
                raise ValueError(f"{unpacked} bytes in it, over the limit of {limit}")
        file.seek(0)
        loaded = np.load(file, allow_pickle=False)
        arrays = {"array": loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
        if not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError("not all of it is arrays")
    # NumPy raises what zipfile, zlib, tokenize and its own parser raise.
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise CamError(f"cannot read {name}: not arrays of NumPy, or damaged: {reason}") from error
    return arrays


def write_bytes(path: PathLike, data: bytes | memoryview) -> None:
    """Write a file, which appears whole or not at all; see `atomic_path`."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: PathLike, text: str) -> None:
    """Write a text file in UTF-8, which appears whole or not at all; see `atomic_path`."""
    write_bytes(path, text.encode())


def write_json(path: PathLike, value: Any) -> None:
    """Write a JSON file for people to read, which appears whole or not at all."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def models_folder() -> Path:
    """Return the project's folder of prototxts, class names, means and the embedded model.

    It lies inside an installed package, and beside the package in a checkout.
    """
    package = Path(__file__).parent
    inside = package / "models"
    return inside if inside.is_dir() else package.parent / "models"


def file_name(text: str) -> str:
    """Return the name of the file or folder that is to be called after a text: never a path.

    Parameters
    ----------
    text : str
        The name of a picture, a class or a member of an archive, from anyone.

    Returns
    -------
    str
        The text without leading dots and blanks, ``_`` in place of path separators and control
        characters, at most 200 bytes; ``"_"`` where nothing is left.

    Examples
    --------
    >>> file_name("my photo"), file_name("../../etc"), file_name("..")
    ('my photo', '_.._etc', '_')
    """
    plain = re.sub(r"[/\\\x00-\x1f\x7f]+", "_", text).lstrip(". ")
    return os.fsencode(plain)[:_LONGEST_NAME].decode(errors="ignore") or "_"


@contextmanager
def atomic_path(path: PathLike) -> Iterator[Path]:
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
        If the folder or the file cannot be written, also where the block finds so.

    Examples
    --------
    >>> with atomic_path("scores.txt") as temporary:  # doctest: +SKIP
    ...     temporary.write_text("0.76")
    """
    target = Path(path)
    try:
        with made_folder(target.parent), _temporary(target) as temporary:
            yield temporary
            temporary.chmod(0o666 & ~_UMASK)
            temporary.replace(target)
    except CamError:
        raise
    except OSError as error:
        raise CamError(f"cannot write {target}: {error.strerror or error}") from error
    except ValueError as error:
        if not _is_of_a_name(error):
            raise
        raise InvalidValueError(f"cannot write {os.fspath(target)!r}: {error}") from error


@contextmanager
def _temporary(target: Path) -> Iterator[Path]:
    prefix, suffix = _around(target)
    handle, name = tempfile.mkstemp(suffix, prefix, target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
    finally:
        # Where all went well, there is none of this name any more.
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def made_folder(folder: Path) -> Iterator[None]:
    """Create a folder; what of it is new and still empty goes again if the block fails."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for path in missing:
            with suppress(OSError):
                path.rmdir()
        raise


def _around(target: Path) -> tuple[str, str]:
    """Return beginning and end of a temporary name, short enough for every file system."""
    stem = os.fsencode(target.stem)[:_READABLE_BYTES].decode(errors="ignore")
    # What is longer is the rest of a sentence with a full stop, and no extension.
    is_extension = len(os.fsencode(target.suffix)) <= _READABLE_BYTES
    return f"{TEMPORARY_PREFIX}{stem}.", target.suffix if is_extension else ""


def sha256_of(path: PathLike) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    str
        The digest in lower case.

    Raises
    ------
    CamError
        If the file is missing, not a regular file or cannot be read.
    """
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
