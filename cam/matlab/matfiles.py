"""MATLAB files: reading versions 5 to 7.3, and the files that the original demo loads and saves.

MATLAB counts axes from the fastest: what Caffe calls (N, K, h, w) is (w, h, K, N) there, and class
weights (classes, K) are (K, classes). The typed functions below turn both ways; `read_mat` and
`write_mat` leave the axes as MATLAB shows them.
"""

from __future__ import annotations

import math
import mmap
import os
import re
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cam.errors import CamError, nearest_names
from cam.files import atomic_path

PathLike: TypeAlias = str | os.PathLike[str]
MatValue: TypeAlias = NDArray[Any] | str | list[str]
Chooser: TypeAlias = Callable[[Sequence[str]], list[str]]

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HDF5_OFFSETS = (512, 0, 1024, 2048)
# Deflate cannot shrink more than this; a file that claims more elements than that is damaged.
_MOST_ELEMENTS_PER_BYTE = 1032
_MATRIX, _COMPRESSED = 14, 15
_ELEMENT_KINDS = {1, 2, 3, 4, 5, 6, 7, 9, 12, 13, _MATRIX, _COMPRESSED, 16, 17, 18}
_STORED_SMALLER = {"double": np.float64, "single": np.float32, "logical": np.bool_}
_HEADER_TEXT_BYTES = 116
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")


class MatlabNetwork(NamedTuple):
    """The class layer and the class names of a network.

    Attributes
    ----------
    class_weights : numpy.ndarray
        Shape (classes, K), single precision.
    categories : list of str or None
        The class names in order, if the file has them.
    """

    class_weights: NDArray[np.float32]
    categories: list[str] | None


class Features(NamedTuple):
    """What a network gave for the crops of one picture.

    Attributes
    ----------
    activations : numpy.ndarray
        The last convolution's output, shape (N, K, h, w), single precision.
    scores : numpy.ndarray
        The class scores, shape (N, classes), single precision.
    """

    activations: NDArray[np.float32]
    scores: NDArray[np.float32]


def read_mat(
    path: PathLike, wanted: Iterable[str] | None = None, *, optional: Iterable[str] = ()
) -> dict[str, MatValue]:
    """Read variables of a MATLAB file, version 5 to 7.3.

    Parameters
    ----------
    path : path-like
        The file, with its extension.
    wanted : iterable of str, optional
        The variables to read, all of which must be there. By default all that the file has.
    optional : iterable of str, optional
        Variables to read besides those wanted, if they are there.

    Returns
    -------
    dict
        The variables by name. Numbers are arrays with the axes and the class that MATLAB shows
        (logical is bool), in either version. Text is str. A cell vector of text is a list of str;
        other cells are arrays of objects.

    Raises
    ------
    CamError
        If the file is missing, damaged or not a MATLAB file, if a variable is missing or of a kind
        that cannot be read, or if the file is of version 7.3 and h5py is not installed.

    Examples
    --------
    >>> read_mat("data_net.mat", ["weights_LR"])["weights_LR"].shape  # doctest: +SKIP
    (1024, 1000)
    """
    source = Path(path)
    read = _read_hdf5 if _is_hdf5(source) else _read_version5
    choose = _chooser(source, wanted, optional)
    try:
        return read(source, choose)
    except CamError:
        raise
    # A damaged file makes scipy, zlib and HDF5 fail in any way: about thirty kinds of exception.
    except Exception as error:
        raise CamError(f"{source} is damaged or cut short: {_first_line(error)}") from error


def write_mat(path: PathLike, variables: Mapping[str, ArrayLike | str | Sequence[str]]) -> None:
    """Write variables to a MATLAB file of version 7, which MATLAB and Octave load.

    Parameters
    ----------
    path : path-like
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

    for name in variables:
        if not _NAME.fullmatch(name):
            raise CamError(f"{name!r} cannot be the name of a MATLAB variable")
    with atomic_path(path) as temporary:
        try:
            values = {name: _storable(value) for name, value in variables.items()}
            savemat(temporary, values, appendmat=False, do_compression=True, oned_as="column")
            _write_header(temporary)
        except OSError as error:
            raise CamError(f"cannot write {path}: {error.strerror or error}") from error
        except Exception as error:
            raise CamError(f"cannot store this in {path}: {_first_line(error)}") from error


def _write_header(path: Path) -> None:
    """Replace the header's text, in which SciPy writes the time: equal content, equal bytes."""
    with path.open("r+b") as file:
        file.write(b"MATLAB 5.0 MAT-file, written by cam".ljust(_HEADER_TEXT_BYTES))


def load_network(path: PathLike) -> MatlabNetwork:
    """Read the class layer of the original's `data_net.mat`.

    Parameters
    ----------
    path : path-like
        A file with `weights_LR` (K x classes) and, if it has them, `categories`.

    Returns
    -------
    MatlabNetwork
        The class weights, (classes, K), and the class names.

    Raises
    ------
    CamError
        If the file or a variable does not hold this.
    """
    found = read_mat(path, ["weights_LR"], optional=["categories"])
    weights = _numbers(path, "weights_LR", found["weights_LR"])
    if weights.ndim != 2:
        raise CamError(
            f"{path}: weights_LR has the shape {_by(weights.shape)}, not channels x classes"
        )
    class_weights = np.ascontiguousarray(weights.T, dtype=np.float32)
    if "categories" not in found:
        return MatlabNetwork(class_weights, None)
    categories = _text_column(path, found["categories"])
    if len(categories) != len(class_weights):
        raise CamError(
            f"{path}: {len(categories)} categories do not fit weights_LR, which is "
            f"{_by(weights.shape)} (channels x classes)"
        )
    return MatlabNetwork(class_weights, categories)


def load_features(path: PathLike) -> Features:
    """Read the activations and scores of the original's `data_img1.mat`.

    Parameters
    ----------
    path : path-like
        A file with `activation_lastconv` (w x h x K x N, or w x h x K for one crop) and `scores`
        (classes x N, 1 x 1 x classes x N, or a vector for one crop).

    Returns
    -------
    Features
        Activations (N, K, h, w) and scores (N, classes).

    Raises
    ------
    CamError
        If the file or a variable does not hold this, or the two do not fit each other.

    Notes
    -----
    The features of the second picture in the original repository come from another snapshot of the
    network than `data_net.mat`: their scores do not follow from `weights_LR` to better than about
    0.3 in the logarithm.
    """
    found = read_mat(path, ["activation_lastconv", "scores"])
    activations = _numbers(path, "activation_lastconv", found["activation_lastconv"])
    if activations.ndim not in {3, 4}:
        raise CamError(
            f"{path}: activation_lastconv is {_by(activations.shape)}, not width x height x "
            "channels x crops"
        )
    if activations.ndim == 3:  # MATLAB drops a last axis of length one
        activations = activations[..., np.newaxis]
    crops = activations.shape[3]
    scores = _numbers(path, "scores", found["scores"])
    columns = _score_columns(scores, crops)
    if columns.shape[1] != crops:
        raise CamError(
            f"{path}: scores is {_by(scores.shape)}, not classes x {crops}; "
            f"activation_lastconv has {crops} crops"
        )
    return Features(
        np.ascontiguousarray(activations.transpose(3, 2, 1, 0), dtype=np.float32),
        np.ascontiguousarray(columns.T, dtype=np.float32),
    )


def load_categories(path: PathLike) -> list[str]:
    """Read the class names of `categories1000.mat` or `categories_places205.mat`.

    Parameters
    ----------
    path : path-like
        A file with the cell `categories`: a vector of names, or names in the first of several
        columns.

    Returns
    -------
    list of str
        The names in the order of the classes.

    Raises
    ------
    CamError
        If the file does not hold this.
    """
    return _text_column(path, read_mat(path, ["categories"])["categories"])


def save_features(path: PathLike, activations: NDArray[Any], scores: NDArray[Any]) -> None:
    """Write activations and scores as the original demo loads them with ``online = 0``.

    Parameters
    ----------
    path : path-like
        The file, which the demo calls `data_img1.mat`.
    activations : numpy.ndarray
        The last convolution's output, shape (N, K, h, w).
    scores : numpy.ndarray
        The class scores, shape (N, classes).

    Raises
    ------
    CamError
        If the shapes do not fit each other, or the file cannot be written.

    Notes
    -----
    `activation_lastconv` is w x h x K x N and `scores` classes x N, single precision. For N = 1
    MATLAB shows the former without its last axis, which the demo does not expect: it is made for
    ten crops.
    """
    if activations.ndim != 4 or scores.ndim != 2 or len(activations) != len(scores):
        raise CamError(
            "features to save have the shapes (N, K, h, w) and (N, classes), not "
            f"{activations.shape} and {scores.shape}"
        )
    write_mat(
        path,
        {
            "activation_lastconv": activations.transpose(3, 2, 1, 0).astype(np.float32),
            "scores": scores.T.astype(np.float32),
        },
    )


def save_network(path: PathLike, class_weights: NDArray[Any], categories: Sequence[str]) -> None:
    """Write the class layer as the original demo loads it with ``online = 0``.

    Parameters
    ----------
    path : path-like
        The file, which the demo calls `data_net.mat`.
    class_weights : numpy.ndarray
        Shape (classes, K).
    categories : sequence of str
        The class names in order.

    Raises
    ------
    CamError
        If the names do not fit the weights, or the file cannot be written.

    Notes
    -----
    `weights_LR` is K x classes, single precision, and `categories` a cell column.
    """
    if class_weights.ndim != 2 or len(class_weights) != len(categories):
        raise CamError(
            f"class weights of shape {class_weights.shape} do not fit {len(categories)} "
            "categories: they need the shape (classes, K)"
        )
    weights = class_weights.T.astype(np.float32)
    write_mat(path, {"weights_LR": weights, "categories": list(categories)})


def _is_hdf5(source: Path) -> bool:
    """Tell version 7.3 from versions 5 to 7; refuse everything else."""
    try:
        with source.open("rb") as file:
            head = file.read(_HDF5_OFFSETS[-1] + len(_HDF5_SIGNATURE))
    except OSError as error:
        raise CamError(f"cannot read {source}: {error.strerror}") from error
    if any(head.startswith(_HDF5_SIGNATURE, offset) for offset in _HDF5_OFFSETS):
        return True
    # Everything else scipy would take for a version 4 file, and believe its sizes.
    if head[126:128] in {b"IM", b"MI"}:
        return False
    kind = "empty" if not head else "not a MATLAB file of version 5 to 7.3"
    raise CamError(f"{source} is {kind}; save it in MATLAB with 'save -v7'")


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
                    f"it holds {', '.join(held) or 'nothing'}"
                )
        return chosen + [name for name in optional if name in held]

    return choose


def _read_version5(source: Path, choose: Chooser) -> dict[str, MatValue]:
    from scipy.io import loadmat, whosmat

    _check_elements(source)
    held = {name: (shape, kind) for name, shape, kind in whosmat(source, appendmat=False)}
    names = choose(list(held))
    for name in names:
        _check_size(source, name, held[name][0])
    loaded = loadmat(source, variable_names=names, appendmat=False)
    return {name: _as_class(_plain(loaded[name]), held[name][1]) for name in names}


def _as_class(value: Any, kind: str) -> Any:
    """Give numbers, which MATLAB stores in the smallest type that holds them, their class.

    scipy's own option for this, `mat_dtype`, drops imaginary parts.
    """
    if kind not in _STORED_SMALLER or value.dtype.kind == "c":
        return value
    return value.astype(_STORED_SMALLER[kind], copy=False)


def _check_elements(source: Path) -> None:
    """Refuse a file with unknown or overlong data elements, for which scipy may crash.

    Compressed elements are left to their own checksum.
    """
    with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        order = "<" if whole[126:128] == b"IM" else ">"
        pending = [(128, len(whole))]
        while pending:
            start, end = pending.pop()
            while start < end:
                kind, length = struct.unpack_from(f"{order}II", whole, start)
                content, padded = start + 8, -(-length // 8) * 8
                if kind >> 16:  # up to four bytes are stored in the tag itself
                    kind, length, content, padded = kind & 0xFFFF, kind >> 16, start + 4, 0
                if kind not in _ELEMENT_KINDS or content + length > end:
                    raise ValueError(f"no data element at byte {start}")
                if kind == _MATRIX:
                    pending.append((content, content + length))
                start += 8 + (length if kind == _COMPRESSED else padded)


def _plain(value: Any) -> Any:
    """Turn scipy's arrays of text, and cells of them, into str and lists."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "U":
        rows = [str(row) for row in value.ravel()]
        return rows if len(rows) > 1 else "".join(rows)
    if isinstance(value, np.ndarray) and value.dtype == np.object_:
        return _cell([_plain(item) for item in value.ravel(order="F")], value.shape)
    return value


def _cell(items: list[Any], shape: tuple[int, ...]) -> Any:
    """Return a cell's items, given in MATLAB's order, as a list of str or an array of objects."""
    if max(shape, default=0) == len(items) and all(isinstance(item, str) for item in items):
        return items
    cell = np.empty(len(items), dtype=np.object_)
    cell[:] = items
    return cell.reshape(shape, order="F")


def _read_hdf5(source: Path, choose: Chooser) -> dict[str, MatValue]:
    try:
        import h5py
    except ImportError as error:
        raise CamError(
            f"{source} is a MATLAB file of version 7.3, which needs h5py: "
            "pip install h5py, or save it in MATLAB with 'save -v7'"
        ) from error

    with h5py.File(source, "r") as file:
        # Groups that begin with # belong to MATLAB: the contents of cells, and its own objects.
        held = {name: node for name, node in file.items() if not name.startswith("#")}
        return {name: _hdf5_value(source, name, held[name]) for name in choose(list(held))}


def _hdf5_value(source: Path, name: str, node: Any) -> Any:
    """Convert an HDF5 dataset to what MATLAB shows. HDF5 has MATLAB's axes in reverse."""
    if not hasattr(node, "shape"):
        raise CamError(f"{source}: {name} is a struct or an object, which cannot be read from 7.3")
    _check_size(source, name, node.shape)
    kind = node.attrs.get("MATLAB_class", b"")
    kind = kind.decode() if isinstance(kind, bytes) else str(kind)
    if node.attrs.get("MATLAB_empty", 0):
        return _empty(kind, tuple(int(length) for length in node[()]))
    stored = node[()]
    if stored.dtype == np.object_:
        items = [_hdf5_value(source, name, node.file[reference]) for reference in stored.ravel()]
        return _cell(items, stored.shape[::-1])
    convert: dict[str, Callable[[NDArray[Any]], MatValue]] = {"char": _text, "logical": _logical}
    return convert.get(kind, _numeric)(np.asarray(stored).T)


def _empty(kind: str, shape: tuple[int, ...]) -> MatValue:
    if kind == "char":
        return ""
    dtypes = {"logical": np.bool_, "cell": np.object_, "single": np.float32, "double": np.float64}
    return np.zeros(shape, dtype=dtypes.get(kind, kind or np.float64))


def _text(codes: NDArray[Any]) -> MatValue:
    """Decode UTF-16 code units, one row of text per row."""
    rows = [
        row.astype("<u2").tobytes().decode("utf-16-le", "replace") for row in np.atleast_2d(codes)
    ]
    return rows if len(rows) > 1 else "".join(rows)


def _logical(stored: NDArray[Any]) -> MatValue:
    return stored.astype(np.bool_)


def _numeric(stored: NDArray[Any]) -> MatValue:
    if stored.dtype.names == ("real", "imag"):
        complex_values: NDArray[Any] = stored["real"] + 1j * stored["imag"]
        return complex_values
    return stored


def _check_size(source: Path, name: str, shape: Sequence[int]) -> None:
    if math.prod(shape) > source.stat().st_size * _MOST_ELEMENTS_PER_BYTE:
        raise CamError(
            f"{source} is damaged: {name} claims to be {_by(shape)}, more than the file can hold"
        )


def _numbers(path: PathLike, name: str, value: MatValue) -> NDArray[Any]:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu" or not value.size:
        raise CamError(f"{path}: {name} does not hold real numbers")
    return value


def _text_column(path: PathLike, value: MatValue) -> list[str]:
    """Return a cell vector of text, or the first column of a cell with several."""
    items = value
    if isinstance(value, np.ndarray) and value.dtype == np.object_ and value.ndim == 2:
        items = list(value[:, 0])
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise CamError(f"{path}: categories is not a cell of text")
    return items


def _score_columns(scores: NDArray[Any], crops: int) -> NDArray[Any]:
    """Return scores as classes x crops, whatever axes of length one there are or are not."""
    if crops == 1 and max(scores.shape) == scores.size:
        return scores.reshape(-1, 1)
    return scores.reshape(-1, scores.shape[-1], order="F")


def _storable(value: Any) -> Any:
    """Turn a list of text into what scipy writes as a cell column, and numbers into doubles."""
    if isinstance(value, (list, tuple)) and value and all(isinstance(item, str) for item in value):
        cell = np.empty((len(value), 1), dtype=np.object_)
        cell[:, 0] = value
        return cell
    if isinstance(value, (int, float, list, tuple)) and not isinstance(value, bool):
        return np.asarray(value, dtype=np.float64)
    return value


def _by(shape: Sequence[int]) -> str:
    return " x ".join(str(length) for length in shape)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
