"""The ILSVRC heat maps in the original's folder layout, written and read.

The layout is that of ``ILSVRC_generate_heatmap.m``: for a picture ``NAME.JPEG`` the files
``top1/NAME.jpg`` to ``top5/NAME.jpg`` and ``NAME.mat``. Its ``ILSVRC_evaluate_bbox.m`` reads them
and puts the boxes beside the heat maps, ``top1/NAME_default.txt``. The original calls the folder
``heatMap-ILSVRCvalSet-`` and the network's name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cam.arguments import checked
from cam.errors import CamError, InvalidValueError, MissingFileError, whole_number
from cam.files import PathLike, read_json, write_bytes, write_json
from cam.localization.box_files import read_boxes
from cam.localization.boxes import BoxRule
from cam.localization.heatmaps import read_heatmap
from cam.localization.predictions import Candidates
from cam.matlab import read_mat, write_mat
from cam.pictures.lists import read_list, with_unique_stems

TOP = 5
"""How many classes have a heat map."""

MOST_WORKERS = 1024
"""Threads that a call may ask for."""

RECORD_FILE = "record.json"
"""Says what made the heat maps of a folder; the original has no such file."""

# Of MATLAB's imwrite, if it is not told otherwise.
_JPEG_QUALITY = 75
_IDENTITY = ("model", "caffemodel_sha256", "style", "method", "smooth")


@checked
def write_ilsvrc_heatmaps(
    heatmaps: Sequence[NDArray[np.uint8]],
    scores: NDArray[np.floating],
    order: NDArray[np.integer],
    folder: PathLike,
    name: str,
) -> None:
    """Write the heat maps and the class order of one picture as the original does.

    The heat maps are written as grey JPEGs. The ``.mat`` has ``IDX_category``, the classes from 1
    by descending probability, and ``value_category``, the probabilities in that order; both are
    columns of single precision.

    Parameters
    ----------
    heatmaps : sequence of numpy.ndarray
        uint8 (rows, columns) of the picture's size, for the best class, the second, and so on; see
        `cam.localization.picture_heatmap`.
    scores : numpy.ndarray
        The probability of each class, shape (C,).
    order : numpy.ndarray
        The indices of all classes, from 0, by descending probability.
    folder : path-like
        The folder; it is created if it is missing.
    name : str
        The picture's name without extension.

    Raises
    ------
    CamError
        If a file cannot be written.

    See Also
    --------
    is_complete : The ``.mat`` is written last, so a picture that has it has everything.
    """
    if scores.ndim != 1 or order.dtype.kind not in "iu" or order.shape != scores.shape:
        raise InvalidValueError(
            f"scores and order have the shape (C,), the latter whole numbers, not {scores.shape} "
            f"and {order.dtype} {order.shape}"
        )
    if any(
        heatmap.ndim != 2 or heatmap.dtype != np.uint8 or not heatmap.size for heatmap in heatmaps
    ):
        raise InvalidValueError("heat maps are grey pictures of 8 bits, shape (rows, columns)")
    target = Path(folder)
    for rank, heatmap in enumerate(heatmaps):
        _, encoded = cv2.imencode(".jpg", heatmap, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        write_bytes(target / f"top{rank + 1}" / f"{name}.jpg", encoded.data)
    write_mat(
        target / f"{name}.mat",
        {
            "value_category": scores[order].astype(np.float32),
            "IDX_category": (order + 1).astype(np.float32),
        },
    )


@checked
def is_complete(folder: PathLike, name: str) -> bool:
    """Tell whether `write_ilsvrc_heatmaps` has finished with a picture."""
    return (Path(folder) / f"{name}.mat").is_file()


@checked
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


@checked
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


@checked
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
    if workers is not None:
        workers = whole_number(workers, "the number of threads", 1, MOST_WORKERS)
    root = Path(folder)
    stems = [Path(name).stem for name in names]
    labels = np.zeros((len(stems), TOP), dtype=np.int64)
    boxes = np.full((len(stems), TOP, 2, 4), np.nan)

    def read(index: int) -> None:
        labels[index] = _top_labels(root / f"{stems[index]}.mat", class_labels)
        for rank in range(TOP):
            heatmap = root / f"top{rank + 1}" / f"{stems[index]}.jpg"
            stored = heatmap.with_name(f"{stems[index]}_default.txt")
            if reuse_boxes and stored.is_file():
                found = read_boxes(stored, "original")
            else:
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


@checked
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
        The pictures in the list's order, as absolute paths.

    Raises
    ------
    CamError
        If the list cannot be read or is empty, or two pictures have the same name, whose files
        would be the same.
    """
    entries = list(with_unique_stems(read_list(path, root=root)))
    if not entries:
        raise CamError(f"{path} lists no picture")
    return [Path(entry.path) for entry in entries]
