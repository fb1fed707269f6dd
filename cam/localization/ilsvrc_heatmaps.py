"""The ILSVRC heat maps in the original's folder layout, which its MATLAB evaluation reads.

The layout is that of ``ILSVRC_generate_heatmap.m``: for a picture ``NAME.JPEG`` the files
``top1/NAME.jpg`` to ``top5/NAME.jpg`` and ``NAME.mat``. The original calls the folder
``heatMap-ILSVRCvalSet-`` and the network's name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cam.errors import CamError
from cam.files import atomic_path
from cam.localization.boxes import picture_heatmap
from cam.matlab.matfiles import write_mat

if TYPE_CHECKING:
    from cam.explain.explanation import Explanation

__all__ = [
    "RECORD_FILE",
    "TOP",
    "is_complete",
    "read_picture_list",
    "read_record",
    "write_ilsvrc_heatmaps",
    "write_record",
]

TOP = 5
"""How many classes have a heat map."""

RECORD_FILE = "record.json"
"""Says what made the heat maps of a folder; the original has no such file."""

# Of MATLAB's imwrite, if it is not told otherwise.
_JPEG_QUALITY = 75
_IDENTITY = ("model", "caffemodel_sha256", "style", "method", "smooth")


def write_ilsvrc_heatmaps(
    explanation: Explanation,
    picture_size: Sequence[int],
    folder: str | os.PathLike[str],
    name: str,
) -> None:
    """Write the heat maps and the class order of one picture as the original does.

    Each merged map is resized to the picture's own size (MATLAB's bicubic), divided by its maximum
    and written as a grey JPEG. The ``.mat`` has ``IDX_category``, the classes from 1 by descending
    probability, and ``value_category``, the probabilities in that order; both are columns of single
    precision.

    Parameters
    ----------
    explanation : cam.explain.explanation.Explanation
        Of the ten-crop style ``"matlab"``, with five classes or more.
    picture_size : pair of int
        The rows and columns of the picture itself.
    folder : path-like
        The folder; it is created if it is missing.
    name : str
        The picture's name without extension.

    Raises
    ------
    CamError
        If the explanation is of another style or has fewer classes, or a file cannot be written.

    See Also
    --------
    is_complete : The ``.mat`` is written last, so a picture that has it has everything.
    """
    if explanation.style.name != "matlab" or len(explanation.indices) < TOP:
        raise CamError(
            f"ILSVRC heat maps are of the top {TOP} classes in the matlab style (ten crops), not "
            f"of {len(explanation.indices)} in the {explanation.style.name} style"
        )
    target = Path(folder)
    for rank, merged in enumerate(explanation.merged[:TOP], 1):
        _write_grey_jpeg(
            target / f"top{rank}" / f"{name}.jpg", picture_heatmap(merged, picture_size)
        )
    order = explanation.style.class_order(explanation.scores)
    write_mat(
        target / f"{name}.mat",
        {
            "value_category": explanation.scores[order].astype(np.float32),
            "IDX_category": (order + 1).astype(np.float32),
        },
    )


def is_complete(folder: str | os.PathLike[str], name: str) -> bool:
    """Tell whether `write_ilsvrc_heatmaps` has finished with a picture."""
    return (Path(folder) / f"{name}.mat").is_file()


def read_picture_list(
    path: str | os.PathLike[str], root: str | os.PathLike[str] | None = None
) -> list[Path]:
    """Read a list of pictures, such as those that Caffe's tools take.

    Parameters
    ----------
    path : path-like
        A text file with one picture a line. If each line ends in a space and a whole number, these
        are Caffe's class labels and are left out.
    root : path-like, optional
        The folder that the paths are relative to; the list's own folder if not given.

    Returns
    -------
    list of pathlib.Path
        The pictures in the list's order.

    Raises
    ------
    CamError
        If the list cannot be read or is empty, or two pictures have the same name, whose files
        would be the same.
    """
    source = Path(path)
    try:
        lines = source.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise CamError(f"cannot read the list {source}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CamError(f"{source} is not a text file with one picture a line") from error
    base = source.parent if root is None else Path(root)
    pictures = [base / name for name in _without_labels(line.strip() for line in lines)]
    if not pictures:
        raise CamError(f"{source} lists no picture")
    seen: dict[str, Path] = {}
    for picture in pictures:
        if picture.stem in seen:
            raise CamError(
                f"{source} has two pictures called {picture.stem}: {seen[picture.stem]}, {picture}"
            )
        seen[picture.stem] = picture
    return pictures


def write_record(folder: str | os.PathLike[str], record: Mapping[str, Any]) -> None:
    """Write what makes the heat maps of a folder, or compare it with what made the first of them.

    Parameters
    ----------
    folder : path-like
        The folder; it is created if it is missing.
    record : mapping
        As `cam.explain.explanation.Explanation.record`.

    Raises
    ------
    CamError
        If the folder has heat maps of another model, style or method.
    """
    before = read_record(folder)
    for key in _IDENTITY:
        if before and before.get(key) != record.get(key):
            raise CamError(
                f"{folder} has heat maps with {key} {before.get(key)!r}, not {record.get(key)!r}; "
                "choose another folder"
            )
    if before:
        return
    with atomic_path(Path(folder) / RECORD_FILE) as temporary:
        temporary.write_text(json.dumps(dict(record), indent=2) + "\n", encoding="utf-8")


def read_record(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what made the heat maps of a folder; empty if the folder does not say.

    Raises
    ------
    CamError
        If the folder's record is damaged.
    """
    path = Path(folder) / RECORD_FILE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CamError(f"cannot read {path}: {error}") from error
    if not isinstance(record, dict):
        raise CamError(f"{path} is not a JSON object")
    return record


def _without_labels(lines: Iterable[str]) -> list[str]:
    names = [line for line in lines if line]
    split = [name.rsplit(maxsplit=1) for name in names]
    # A file's name may end in a number, too, but not each name of a list.
    if all(len(words) == 2 and words[1].isdecimal() for words in split):
        return [words[0] for words in split]
    return names


def _write_grey_jpeg(path: Path, heatmap: NDArray[np.uint8]) -> None:
    _, encoded = cv2.imencode(".jpg", heatmap, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    with atomic_path(path) as temporary:
        temporary.write_bytes(encoded.tobytes())
