"""The arrays of a saved explanation: read from anyone's file, and held against each other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from cam.errors import CamError
from cam.files import read_arrays
from cam.pictures.reading import frame_size
from cam.pictures.sizes import check_pixels

Arrays = Mapping[str, NDArray[Any]]

MOST_ROWS = 4096
"""Of a crop and a map."""

_KINDS: Mapping[str, tuple[str, int]] = {
    "frame": ("u", 3),
    "picture_size": ("iu", 1),
    "scores": ("f", 1),
    "indices": ("iu", 1),
    "names": ("U", 1),
    "maps": ("f", 4),
    "crop_size": ("iu", 0),
}
"""For each array, which of NumPy's kinds of numbers it may have, and how many axes it has."""


def read_saved_arrays(path: Path) -> Arrays:
    """Return the arrays of a result's ``maps.npz``.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    mapping of str to numpy.ndarray
        frame uint8 (H, W, 3), picture_size (2,), scores (C,), indices (T,), names (T,), maps
        (crops, T, h, w) and crop_size, a number; they fit each other.

    Raises
    ------
    CamError
        If the file cannot be read, or an array is missing or does not fit.
    """
    arrays = read_arrays(path, "the maps")
    for name, (kinds, axes) in _KINDS.items():
        if name not in arrays:
            raise CamError(f"{path}: not the maps of a result: it has no {name}")
        found = arrays[name]
        if found.dtype.kind not in kinds or found.ndim != axes:
            raise _misfit(path, name, found)
    misfit = next((name for name, fits in _fitting(arrays).items() if not fits), None)
    if misfit is not None:
        raise _misfit(path, misfit, arrays[misfit])
    rows, columns = arrays["picture_size"].tolist()
    check_pixels((columns, rows), str(path))
    return arrays


def _fitting(arrays: Arrays) -> Mapping[str, bool]:
    """Return whether each array has a size that goes with the others'."""
    frame, maps, indices = arrays["frame"], arrays["maps"], arrays["indices"]
    size, crop = arrays["picture_size"], int(arrays["crop_size"])
    has_crop = _is_size((crop,))
    return {
        "crop_size": has_crop,
        "frame": frame.dtype.itemsize == 1
        and has_crop
        and frame.shape == (frame_size(crop), frame_size(crop), 3),
        "maps": maps.shape[1] == indices.size and maps.shape[0] > 0 and _is_size(maps.shape[2:]),
        "names": arrays["names"].shape == indices.shape,
        "indices": all(0 <= index < arrays["scores"].size for index in indices.tolist()),
        "picture_size": size.size == 2 and min(size.tolist()) > 0,
    }


def _is_size(sizes: tuple[int, ...]) -> bool:
    return all(0 < size <= MOST_ROWS for size in sizes)


def _misfit(path: Path, name: str, array: NDArray[Any]) -> CamError:
    return CamError(
        f"{path}: not the maps of a result: {name} is an array of {array.dtype} {array.shape}"
    )
