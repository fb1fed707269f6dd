"""MATLAB files in general: reading versions 5 to 7.3, writing version 7.

The axes are left as MATLAB shows them. A file may come from anyone: nothing that it says ends the
process, opens other files or takes more memory than `cam.matlab.mat_values.MAX_CONTENT_BYTES`
allows.
"""

from __future__ import annotations

import io
import os
import re
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cam.arguments import checked
from cam.errors import CamError, InvalidValueError, nearest_names
from cam.files import PathLike, open_regular, read_bytes, write_bytes
from cam.matlab.mat_values import (
    MAX_CONTENT_BYTES,
    Budget,
    Chooser,
    DamagedError,
    MatValue,
    RefusedError,
    Unreadable,
)
from cam.matlab.mat_version5 import read_version5
from cam.matlab.mat_version73 import read_version73

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HDF5_OFFSETS = (512, 0, 1024, 2048)
_HEAD_BYTES = _HDF5_OFFSETS[-1] + len(_HDF5_SIGNATURE)
_HEADER_TEXT_BYTES = 116
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")

_NAMES_SHOWN, _REASON_SHOWN = 20, 200
"""How many names of variables, and characters of a reason, a message has at most."""


@checked
def read_mat(
    path: PathLike, wanted: Iterable[str] | None = None, *, optional: Iterable[str] = ()
) -> dict[str, MatValue]:
    """Read variables of a MATLAB file, version 5 to 7.3.

    Parameters
    ----------
    path : path-like
        The file, with its extension.
    wanted : iterable of str, optional
        The variables to read, all of which must be there. By default all that the file has and
        that can be read.
    optional : iterable of str, optional
        Variables to read besides those wanted, if they are there.

    Returns
    -------
    dict
        The variables by name. Numbers are arrays with the axes and the class that MATLAB shows
        (logical is bool), in either version. Text is str. A cell vector of text is a list of str;
        other cells are arrays of objects. A struct, which version 7.3 files are not read for, is a
        structured array of objects, in which text is an array of one str. What cannot be read
        inside a cell or a struct is None.

    Raises
    ------
    CamError
        If the file is missing, damaged, too large or not a MATLAB file, if a variable is missing
        or of a kind that cannot be read (sparse, a function, an object), or if the file is of
        version 7.3 and h5py is not installed.

    Notes
    -----
    Versions 5 to 7 are read in Python. A file of version 7.3 is read in a process of its own,
    which costs about 0.1 s a file.

    Examples
    --------
    >>> read_mat("data_net.mat", ["weights_LR"])["weights_LR"].shape  # doctest: +SKIP
    (1024, 1000)
    """
    with open_regular(path) as file:
        head = file.read(_HEAD_BYTES)
    return _read(_MatFile(Path(path), head), wanted, optional)


@checked
def decode_mat(
    data: bytes, name: str, wanted: Iterable[str] | None = None, *, optional: Iterable[str] = ()
) -> dict[str, MatValue]:
    """Return variables of a MATLAB file whose bytes are in memory; nothing is written to disk.

    Parameters
    ----------
    data : bytes
        The whole file.
    name : str
        What to call it in messages.
    wanted, optional
        As for `read_mat`.

    Returns
    -------
    dict
        As of `read_mat`.

    Raises
    ------
    CamError
        As `read_mat`.
    """
    if not isinstance(data, bytes):
        raise InvalidValueError(f"a file in memory is bytes, not {type(data).__name__}")
    return _read(_MatFile(Path(name), data[:_HEAD_BYTES], data), wanted, optional)


class _MatFile(NamedTuple):
    """A file's name, its first bytes, and all of them if they are in memory."""

    source: Path
    head: bytes
    data: bytes | None = None


def _read(
    file: _MatFile, wanted: Iterable[str] | None, optional: Iterable[str]
) -> dict[str, MatValue]:
    source, budget = file.source, Budget(MAX_CONTENT_BYTES)
    required, extra = None if wanted is None else list(wanted), list(optional)
    choose = _chooser(source, required, extra)
    try:
        if _is_hdf5(file):
            names = None if required is None else [*required, *extra]
            found = read_version73(source, names, choose, budget, file.data)
        else:
            data = file.data
            if data is None:
                data = read_bytes(source, limit=MAX_CONTENT_BYTES)
            found = read_version5(data, choose, budget)
    except CamError:
        raise
    except (RefusedError, OSError) as error:
        raise CamError(f"cannot read {source}: {_reason(error)}") from error
    except MemoryError as error:
        raise CamError(f"cannot read {source}: it needs too much memory") from error
    except (DamagedError, struct.error, zlib.error, ValueError, OverflowError) as error:
        raise CamError(f"{source} is damaged or cut short: {_reason(error)}") from error
    for name, value in found.items():
        if isinstance(value, Unreadable) and required is not None:
            raise CamError(f"{source}: {name} is {value.what}, which cannot be read")
    return {name: value for name, value in found.items() if not isinstance(value, Unreadable)}


@checked
def write_mat(
    path: PathLike | IO[bytes], variables: Mapping[str, ArrayLike | str | Sequence[str]]
) -> None:
    """Write variables to a MATLAB file of version 7, which MATLAB and Octave load.

    Parameters
    ----------
    path : path-like or binary file
        The file. It appears only when it is complete.
    variables : mapping
        Arrays with the axes that MATLAB is to show, text, or lists of text, which become cell
        columns. One-dimensional arrays become columns. Plain numbers, and lists of them, become
        doubles, as if they were typed in MATLAB; arrays keep their class.

    Raises
    ------
    CamError
        If a name is not a MATLAB name, a value cannot be stored, or the file cannot be written.

    Examples
    --------
    >>> write_mat("result.mat", {"idx": [969, 968], "top": ["cup", "eggnog"]})  # doctest: +SKIP
    """
    from scipy.io import savemat

    if not isinstance(path, (str, os.PathLike)) and not hasattr(path, "write"):
        raise InvalidValueError(f"a file is a path or open for writing, not {type(path).__name__}")
    if not isinstance(variables, Mapping):
        raise InvalidValueError(f"variables are a mapping, not {type(variables).__name__}")
    for name in variables:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise InvalidValueError(f"{name!r} cannot be the name of a MATLAB variable")
    # SciPy's stubs know paths only.
    content: Any = io.BytesIO()
    try:
        values = {name: _storable(value) for name, value in variables.items()}
        savemat(content, values, appendmat=False, do_compression=True, oned_as="column")
    except Exception as error:
        raise InvalidValueError(f"cannot store this in {path}: {_reason(error)}") from error
    # In the header's text SciPy writes the time: equal content, equal bytes.
    content.seek(0)
    content.write(b"MATLAB 5.0 MAT-file, written by cam".ljust(_HEADER_TEXT_BYTES))
    if isinstance(path, (str, os.PathLike)):
        write_bytes(path, content.getbuffer())
    else:
        path.write(content.getbuffer())


def _is_hdf5(file: _MatFile) -> bool:
    """Tell version 7.3 from versions 5 to 7; refuse everything else."""
    head = file.head
    if any(head.startswith(_HDF5_SIGNATURE, offset) for offset in _HDF5_OFFSETS):
        return True
    if head[126:128] in {b"IM", b"MI"}:
        return False
    kind = "empty" if not head else "not a MATLAB file of version 5 to 7.3"
    raise CamError(f"{file.source} is {kind}; save it in MATLAB with 'save -v7'")


def _chooser(source: Path, wanted: Iterable[str] | None, optional: Iterable[str]) -> Chooser:
    """Return the function that says which of the variables that a file holds are to be read."""

    def choose(held: Sequence[str]) -> list[str]:
        if wanted is None:
            return list(held)
        chosen = list(wanted)
        for name in chosen:
            if name not in held:
                raise CamError(
                    f"{source} has no variable {name}{nearest_names(name, held)}; "
                    f"it holds {_listed(held)}"
                )
        return chosen + [name for name in optional if name in held]

    return choose


def _storable(value: Any) -> Any:
    """Turn a list of text into what scipy writes as a cell column, and numbers into doubles."""
    if isinstance(value, (list, tuple)) and value and all(isinstance(item, str) for item in value):
        cell = np.empty((len(value), 1), dtype=np.object_)
        cell[:, 0] = value
        return cell
    if isinstance(value, (int, float, list, tuple)) and not isinstance(value, bool):
        return np.asarray(value, dtype=np.float64)
    return value


def _listed(names: Sequence[str]) -> str:
    shown = [_plain(name) for name in names[:_NAMES_SHOWN]]
    return ", ".join([*shown, "…"] if len(names) > len(shown) else shown) or "nothing"


def _reason(error: Exception) -> str:
    return _plain(str(error))[:_REASON_SHOWN] or type(error).__name__


def _plain(text: str) -> str:
    """Return text of a file for a message: one line, and nothing that a terminal obeys."""
    return "".join(c if c.isprintable() else " " for c in text)
