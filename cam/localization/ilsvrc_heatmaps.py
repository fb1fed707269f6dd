"""The ILSVRC heat maps in the original's folder layout, written and read.

The layout is that of ``ILSVRC_generate_heatmap.m``: for a picture ``NAME.JPEG`` the files
``top1/NAME.jpg`` to ``top5/NAME.jpg`` and ``NAME.mat``. Its ``ILSVRC_evaluate_bbox.m`` reads them
and puts the boxes beside the heat maps, ``top1/NAME_default.txt``. The original calls the folder
``heatMap-ILSVRCvalSet-`` and the network's name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cam.errors import CamError, InvalidValueError, MissingFileError
from cam.files import PathLike, read_json, write_bytes, write_json
from cam.localization.box_files import read_boxes
from cam.localization.boxes import Box, BoxRule
from cam.localization.heatmaps import read_heatmap
from cam.localization.predictions import Candidates
from cam.matlab.matfiles import read_mat, write_mat

if TYPE_CHECKING:
    from cam.explain.explanation import Explanation

__all__ = [
    "RECORD_FILE",
    "TOP",
    "is_complete",
    "read_heatmap_folder",
    "read_picture_list",
    "read_record",
    "write_ilsvrc_heatmaps",
    "write_record",
]

TOP = 5
"""How many classes have a heat map."""

CROPS = 10
"""Of how many crops a heat map is merged."""

RECORD_FILE = "record.json"
"""Says what made the heat maps of a folder; the original has no such file."""

# Of MATLAB's imwrite, if it is not told otherwise.
_JPEG_QUALITY = 75
_IDENTITY = ("model", "caffemodel_sha256", "style", "method", "smooth")


def write_ilsvrc_heatmaps(explanation: Explanation, folder: PathLike, name: str) -> None:
    """Write the heat maps and the class order of one picture as the original does.

    Each merged map is resized to the picture's own size (MATLAB's bicubic), divided by its maximum
    and written as a grey JPEG. The ``.mat`` has ``IDX_category``, the classes from 1 by descending
    probability, and ``value_category``, the probabilities in that order; both are columns of single
    precision.

    Parameters
    ----------
    explanation : cam.explain.explanation.Explanation
        Of the ten-crop style ``"matlab"``, with five classes or more.
    folder : path-like
        The folder; it is created if it is missing.
    name : str
        The picture's name without extension.

    Raises
    ------
    InvalidValueError
        If the explanation is of another style or has fewer classes.
    CamError
        If a file cannot be written.

    See Also
    --------
    is_complete : The ``.mat`` is written last, so a picture that has it has everything.
    """
    if explanation.style.crops != CROPS or len(explanation.indices) < TOP:
        raise InvalidValueError(
            f"ILSVRC heat maps are of the top {TOP} classes in the matlab style (ten crops), not "
            f"of {len(explanation.indices)} in the {explanation.style.name} style"
        )
    target = Path(folder)
    for rank in range(TOP):
        heatmap = explanation.picture_heat_map(rank)
        _, encoded = cv2.imencode(".jpg", heatmap, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        write_bytes(target / f"top{rank + 1}" / f"{name}.jpg", encoded.data)
    order = explanation.style.class_order(explanation.scores)
    write_mat(
        target / f"{name}.mat",
        {
            "value_category": explanation.scores[order].astype(np.float32),
            "IDX_category": (order + 1).astype(np.float32),
        },
    )


def is_complete(folder: PathLike, name: str) -> bool:
    """Tell whether `write_ilsvrc_heatmaps` has finished with a picture."""
    return (Path(folder) / f"{name}.mat").is_file()


def write_record(folder: PathLike, record: Mapping[str, Any]) -> None:
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
    if not before:
        write_json(Path(folder) / RECORD_FILE, dict(record))


def read_record(folder: PathLike) -> dict[str, Any]:
    """Return what made the heat maps of a folder; empty if the folder does not say.

    Raises
    ------
    CamError
        If the folder's record is damaged.
    """
    path = Path(folder) / RECORD_FILE
    try:
        record = read_json(path)
    except MissingFileError:
        return {}
    if not isinstance(record, dict):
        raise CamError(f"{path} is not a JSON object")
    return record


def read_heatmap_folder(
    folder: PathLike,
    names: Iterable[PathLike],
    class_labels: NDArray[np.int64],
    *,
    rule: BoxRule | None = None,
    reuse_boxes: bool = False,
    workers: int | None = None,
    on_picture: Callable[[], object] | None = None,
) -> Candidates:
    """Find the boxes of the ILSVRC heat maps in a folder of the original's layout.

    Parameters
    ----------
    folder : path-like
        Holds, for each picture, ``top1/NAME.jpg`` to ``top5/NAME.jpg``, the grey heat maps at the
        picture's own size, and ``NAME.mat`` with ``IDX_category``, the class indices from 1, best
        first.
    names : iterable of str or path-like
        The pictures, e.g. :attr:`GroundTruth.names`.
    class_labels : ndarray of int64, shape (K,)
        The ILSVRC id of each class index, from :func:`devkit_labels`.
    rule : BoxRule, optional
        How boxes are found; the original's rule if not given. The paper's gives one box a class.
    reuse_boxes : bool, optional
        Read the original's ``topJ/NAME_default.txt`` (``x y w h ...``) instead of the heat map
        wherever there is one, whose boxes are by the original's rule.
    workers : int, optional
        Threads; one a processor if not given.
    on_picture : callable, optional
        Called after each picture, to show progress.

    Returns
    -------
    Candidates
        Five classes and the two largest boxes of each by the original's corners,
        :attr:`cam.localization.boxes.Box.corners`.

    Raises
    ------
    CamError
        If a file is missing or is not what it should be.
    """
    root = Path(folder)
    stems = [Path(name).stem for name in names]
    labels = np.zeros((len(stems), TOP), dtype=np.int64)
    boxes = np.full((len(stems), TOP, 2, 4), np.nan)

    def read(index: int) -> None:
        labels[index] = _top_labels(root / f"{stems[index]}.mat", class_labels)
        for rank in range(TOP):
            heatmap = root / f"top{rank + 1}" / f"{stems[index]}.jpg"
            found = _stored_boxes(heatmap) if reuse_boxes else None
            if found is None:
                found = (rule or BoxRule()).boxes(read_heatmap(heatmap))
            for number, box in enumerate(found[:2]):
                boxes[index, rank, number] = box.corners

    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        try:
            for _ in pool.map(read, range(len(stems))):
                if on_picture is not None:
                    on_picture()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return Candidates(labels, boxes)


def _top_labels(file: Path, class_labels: NDArray[np.int64]) -> NDArray[np.int64]:
    order = np.asarray(read_mat(file, ["IDX_category"])["IDX_category"])
    if order.dtype.kind not in "iuf" or order.size < TOP:
        raise CamError(f"{file}: IDX_category does not hold the top {TOP} classes")
    indices = order.ravel()[:TOP].astype(np.int64) - 1
    if indices.min() < 0 or indices.max() >= len(class_labels):
        raise CamError(f"{file}: IDX_category is not within 1 to {len(class_labels)}")
    return class_labels[indices]


def _stored_boxes(heatmap: Path) -> list[Box] | None:
    boxes = heatmap.with_name(f"{heatmap.stem}_default.txt")
    return read_boxes(boxes, "original") if boxes.is_file() else None


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


def _without_labels(lines: Iterable[str]) -> list[str]:
    names = [line for line in lines if line]
    split = [name.rsplit(maxsplit=1) for name in names]
    # A file's name may end in a number, too, but not each name of a list.
    if all(len(words) == 2 and words[1].isdecimal() for words in split):
        return [words[0] for words in split]
    return names
