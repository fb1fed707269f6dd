"""The ILSVRC classification and localization errors, as the devkit and the original measure them.

A guess is a class label and a box. It is right if the label is the picture's and the box overlaps a
ground-truth box of that label by at least one half. The error for n guesses is the part of the
pictures whose first n guesses are all wrong.

Labels are ILSVRC ids (1 to 1000 in the devkit's order); :func:`devkit_labels` translates Caffe's
class order. Boxes are ``x1, y1, x2, y2`` in pixels with both corners inside, as in ILSVRC's
annotations. The original passes ``x, y, x + width, y + height`` (:attr:`cam.localize.Box.corners`)
for predicted boxes, and so does :func:`read_heatmap_folder`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from cam.errors import CamError
from cam.files import atomic_path
from cam.localize import (
    ORIGINAL_THRESHOLDS,
    PAPER_FRACTION,
    Box,
    Rule,
    find_boxes,
    read_boxes,
    read_heatmap,
)
from cam.matfiles import read_mat

__all__ = [
    "MAX_GUESSES",
    "VARIANTS",
    "Candidates",
    "Evaluation",
    "GroundTruth",
    "Predictions",
    "Variant",
    "devkit_labels",
    "evaluate",
    "overlap",
    "read_ground_truth",
    "read_heatmap_folder",
    "read_ilsvrc_ids",
    "read_submission",
    "write_submission",
]

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

MAX_GUESSES = 5
"""Further guesses are ignored, as by the devkit."""

Variant = Literal["bbox1", "bbox2", "combined"]

VARIANTS: Mapping[Variant, tuple[tuple[int, int], ...]] = {
    "bbox1": ((0, 0), (1, 0), (2, 0), (3, 0), (4, 0)),
    "bbox2": ((0, 1), (1, 1), (2, 1), (3, 1), (4, 1)),
    "combined": ((0, 0), (0, 1), (1, 0), (1, 1), (2, 0)),
}
"""The guesses of the original's ``ILSVRC_evaluate_bbox.m``, each as (rank of the class, rank of the
box): the largest box of the top five classes, their second largest, and both boxes class by class,
cut after five guesses, which leaves the first two classes and the largest box of the third."""

_OVERLAP = 0.5
_NUMBERS_PER_GUESS = 5
_ID_FIELD = re.compile(r"ILSVRC20\d\d(_CLSLOC)?_ID")
_WNID = re.compile(r"n\d{8}")

_XML_LIMIT = 1 << 20
_TEXT_LIMIT = 1 << 28


@dataclass(frozen=True)
class GroundTruth:
    """Which object each picture shows, and where.

    Attributes
    ----------
    names : tuple of str, length N
        The pictures' names without extension, e.g. ``ILSVRC2012_val_00000001``.
    labels : ndarray of int64, shape (N,)
        The ILSVRC id of each picture.
    boxes : ndarray of float64, shape (B, 4)
        The boxes of all pictures, ``x1, y1, x2, y2`` with both corners inside.
    box_labels : ndarray of int64, shape (B,)
        The ILSVRC id of each box.
    box_pictures : ndarray of int64, shape (B,)
        The index into `names` of each box, ascending.
    blacklisted : ndarray of bool, shape (N,)
        The pictures that the localization error leaves out.
    """

    names: tuple[str, ...]
    labels: IntArray
    boxes: FloatArray
    box_labels: IntArray
    box_pictures: IntArray
    blacklisted: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.names)

    def select(self, names: Iterable[str | os.PathLike[str]]) -> GroundTruth:
        """Return the ground truth of some pictures, in their order.

        Parameters
        ----------
        names : iterable of str or path-like
            Names or file names; folders and extensions do not count.

        Returns
        -------
        GroundTruth
            Of these pictures only.

        Raises
        ------
        CamError
            If a picture is unknown or named twice.
        """
        stems = [Path(name).stem for name in names]
        positions = {name: index for index, name in enumerate(self.names)}
        unknown = next((stem for stem in stems if stem not in positions), None)
        if unknown is not None:
            raise CamError(f"the ground truth has no picture {unknown}")
        if len(set(stems)) < len(stems):
            twice = next(stem for stem in stems if stems.count(stem) > 1)
            raise CamError(f"the picture {twice} is named twice")
        chosen = np.array([positions[stem] for stem in stems], dtype=np.int64)
        new_index = np.full(len(self), -1, dtype=np.int64)
        new_index[chosen] = np.arange(len(chosen))
        pictures = new_index[self.box_pictures]
        kept = np.argsort(pictures, kind="stable")[np.count_nonzero(pictures < 0) :]
        return GroundTruth(
            names=tuple(stems),
            labels=self.labels[chosen],
            boxes=self.boxes[kept],
            box_labels=self.box_labels[kept],
            box_pictures=pictures[kept],
            blacklisted=self.blacklisted[chosen],
        )


@dataclass(frozen=True)
class Predictions:
    """Guesses for pictures, best first.

    Attributes
    ----------
    labels : ndarray of int64, shape (N, G)
        The ILSVRC id of each guess; 0 where a picture has fewer guesses.
    boxes : ndarray of float64, shape (N, G, 4)
        The box of each guess, ``x1, y1, x2, y2``; NaN where there is none.

    Raises
    ------
    CamError
        If the shapes do not belong together, or there is no guess.
    """

    labels: IntArray
    boxes: FloatArray

    def __post_init__(self) -> None:
        """Check the shapes."""
        if self.labels.ndim != 2 or self.labels.shape[1] == 0:
            raise CamError(f"labels of guesses have the shape (N, G), not {self.labels.shape}")
        if self.boxes.shape != (*self.labels.shape, 4):
            raise CamError(
                f"boxes of {self.labels.shape} guesses have the shape {(*self.labels.shape, 4)}, "
                f"not {self.boxes.shape}"
            )

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.labels)


@dataclass(frozen=True)
class Candidates:
    """The top classes of pictures and several boxes for each class, largest first.

    Attributes
    ----------
    labels : ndarray of int64, shape (N, C)
        The ILSVRC ids of the top C classes.
    boxes : ndarray of float64, shape (N, C, M, 4)
        M boxes a class, ``x1, y1, x2, y2``; NaN where there are fewer.
    """

    labels: IntArray
    boxes: FloatArray

    def guesses(self, variant: Variant = "bbox1") -> Predictions:
        """Choose the guesses of one of the original's variants.

        Where a class has no second box its first takes the place: the original stops with an index
        error there. The order of the guesses, and so which classes have a guess, stays the same.

        Parameters
        ----------
        variant : {"bbox1", "bbox2", "combined"}, optional
            See :data:`VARIANTS`. ``bbox1`` is the paper's table for the validation set.

        Returns
        -------
        Predictions
            Five guesses a picture.

        Raises
        ------
        CamError
            If there is no such variant, or there are too few classes or boxes for it.
        """
        if variant not in VARIANTS:
            raise CamError(f"the variants are {', '.join(VARIANTS)}, not {variant!r}")
        classes, ranks = (list(column) for column in zip(*VARIANTS[variant], strict=True))
        if self.labels.shape[1] <= max(classes) or self.boxes.shape[2] <= max(ranks):
            raise CamError(
                f"{variant} needs {max(classes) + 1} classes and {max(ranks) + 1} boxes a class, "
                f"but there are {self.labels.shape[1]} and {self.boxes.shape[2]}"
            )
        first, chosen = self.boxes[:, classes, 0], self.boxes[:, classes, ranks]
        return Predictions(
            labels=self.labels[:, classes],
            boxes=np.where(np.isnan(chosen), first, chosen),
        )


@dataclass(frozen=True)
class Evaluation:
    """Errors for 1, 2, ... guesses, each from 0 to 1.

    Attributes
    ----------
    classification : tuple of float
        The part of all pictures whose label is not among the first n guesses. As in the devkit,
        blacklisted pictures count.
    localization : tuple of float
        The part of the pictures off the blacklist that have no right guess among the first n.
    pictures : int
        The number of pictures, blacklisted ones included.
    blacklisted : int
        The number of pictures on the blacklist.
    """

    classification: tuple[float, ...]
    localization: tuple[float, ...]
    pictures: int
    blacklisted: int

    def to_json(
        self, method: str, model: str | None = None, boxes: str = "bbox1"
    ) -> dict[str, Any]:
        """Return the errors in percent as the record that :mod:`cam.tables` reads.

        Parameters
        ----------
        method : str
            The method's name, the paper's where it has one: a key of
            :data:`cam.tables.PAPER_LOCALIZATION`.
        model : str, optional
            What ran: the name of a model or a file.
        boxes : str, optional
            Which boxes were the guesses: a key of :data:`VARIANTS`, or a name of the caller's.

        Returns
        -------
        dict
            For :func:`json.dumps`.
        """
        return {
            "method": method,
            "model": model,
            "boxes": boxes,
            "pictures": self.pictures,
            "blacklisted": self.blacklisted,
            "unit": "percent",
            "classification": _percent_by_guesses(self.classification),
            "localization": _percent_by_guesses(self.localization),
        }


def evaluate(ground_truth: GroundTruth, predictions: Predictions) -> Evaluation:
    """Measure the classification and the localization error of guesses.

    Parameters
    ----------
    ground_truth : GroundTruth
        N pictures.
    predictions : Predictions
        Guesses for the same pictures in the same order. Those after the fifth are ignored.

    Returns
    -------
    Evaluation
        The errors for 1 to at most 5 guesses.

    Raises
    ------
    CamError
        If the numbers of pictures differ, or no picture is left to evaluate.

    Notes
    -----
    As the devkit's ``eval_clsloc.m``. A guess with the right label is wrong if the picture has no
    box of that label.

    Examples
    --------
    >>> truth = GroundTruth(
    ...     names=("a",), labels=np.array([7]), boxes=np.array([[10.0, 10, 29, 29]]),
    ...     box_labels=np.array([7]), box_pictures=np.array([0]), blacklisted=np.array([False]),
    ... )
    >>> guesses = Predictions(np.array([[3, 7]]), np.array([[[10.0, 10, 29, 29]] * 2]))
    >>> evaluate(truth, guesses).localization
    (1.0, 0.0)
    """
    if len(predictions) != len(ground_truth):
        raise CamError(
            f"there are guesses for {len(predictions)} pictures, "
            f"but ground truth for {len(ground_truth)}"
        )
    evaluated = ~ground_truth.blacklisted
    if not evaluated.any():
        raise CamError("there is no picture to evaluate off the blacklist")
    labels = predictions.labels[:, :MAX_GUESSES]
    label_right = labels == ground_truth.labels[:, None]
    right = label_right & _well_placed(ground_truth, predictions.boxes[:, :MAX_GUESSES])
    return Evaluation(
        classification=_errors(label_right),
        localization=_errors(right[evaluated]),
        pictures=len(ground_truth),
        blacklisted=int(ground_truth.blacklisted.sum()),
    )


def overlap(boxes: FloatArray, others: FloatArray) -> FloatArray:
    """Return intersection over union of boxes, the corners being pixels of the box.

    Parameters
    ----------
    boxes, others : ndarray of float64, shape (..., 4)
        ``x1, y1, x2, y2``; the leading axes broadcast.

    Returns
    -------
    ndarray of float64
        From 0 to 1; 0 where a coordinate is NaN.

    Examples
    --------
    >>> overlap(np.array([0.0, 0, 9, 9]), np.array([0.0, 0, 9, 4])).item()
    0.5
    """
    shared = np.minimum(boxes[..., 2:], others[..., 2:]) - np.maximum(
        boxes[..., :2], others[..., :2]
    )
    intersection = (shared + 1).clip(min=0).prod(axis=-1)
    union = _area(boxes) + _area(others) - intersection
    ratio: FloatArray = np.divide(
        intersection, union, out=np.zeros(intersection.shape), where=intersection > 0
    )
    return ratio


def read_ground_truth(
    boxes: str | os.PathLike[str],
    *,
    labels: str | os.PathLike[str] | None = None,
    blacklist: str | os.PathLike[str] | None = None,
    ilsvrc_ids: Mapping[str, int] | None = None,
) -> GroundTruth:
    """Read the devkit's ground truth.

    Parameters
    ----------
    boxes : path-like
        Either the folder of XML annotations, one file a picture (``ILSVRC2012_bbox_val_v3/val``),
        or the ``.mat`` file in which the devkit caches them
        (``rec(1..N).objects(k).{label, bbox}``), taken as the pictures
        ``ILSVRC2012_val_00000001`` to N.
    labels : path-like, optional
        A text file with the ILSVRC id of each picture, in order of their names
        (``data/ILSVRC2014_clsloc_validation_ground_truth.txt``). Without it a picture has the
        label of its first object.
    blacklist : path-like, optional
        A text file with the numbers, from 1, of the pictures to leave out
        (``data/ILSVRC2014_clsloc_validation_blacklist.txt``).
    ilsvrc_ids : mapping of str to int, optional
        What :func:`read_ilsvrc_ids` returns; the XML files need it, as they name synsets.

    Returns
    -------
    GroundTruth
        In order of the pictures' names.

    Raises
    ------
    CamError
        If a file is missing or is not what it should be.

    Notes
    -----
    XML files from elsewhere are not trusted: one over 1 MiB, or with a document type declaration
    (the only place that could define entities to expand or files to include), is refused.
    """
    path = Path(boxes)
    if path.is_dir():
        truth = _read_annotation_folder(path, ilsvrc_ids)
    elif path.suffix.lower() == ".mat":
        truth = _read_cached_annotations(path)
    else:
        raise CamError(
            f"{path} is neither a folder of XML annotations nor the devkit's .mat cache of them"
        )
    if labels is not None:
        truth = replace(truth, labels=_read_labels(Path(labels), len(truth)))
    without = np.flatnonzero(truth.labels == 0)
    if without.size:
        raise CamError(
            f"{truth.names[without[0]]} has no object to take a label from; "
            "give the devkit's text file of ground-truth labels"
        )
    if blacklist is not None:
        truth = replace(truth, blacklisted=_read_blacklist(Path(blacklist), len(truth)))
    return truth


def read_ilsvrc_ids(path: str | os.PathLike[str]) -> dict[str, int]:
    """Read the ILSVRC id of each synset from the devkit.

    Parameters
    ----------
    path : path-like
        ``data/meta.mat`` of ILSVRC2012's devkit, ``data/meta_clsloc.mat`` of ILSVRC2014's, or the
        text file ``map_clsloc.txt`` of later ones (``n02119789 1 kit_fox`` a line).

    Returns
    -------
    dict of str to int
        WordNet id to ILSVRC id, e.g. ``{"n02119789": 1, ...}``.

    Raises
    ------
    CamError
        If the file is missing or is not one of these.
    """
    file = Path(path)
    if not file.is_file():
        raise CamError(
            f"{file} is missing: the devkit's meta file (data/meta.mat or data/meta_clsloc.mat) "
            "gives the ILSVRC ids of the classes; get the devkit from image-net.org"
        )
    if file.suffix.lower() == ".mat":
        return _read_meta_mat(file)
    lines = [line.split() for line in _read_text(file).splitlines() if line.strip()]
    if not lines or not all(
        len(words) >= 2 and _WNID.fullmatch(words[0]) and words[1].isdecimal() for words in lines
    ):
        raise CamError(f"{file} is not a map of synsets: lines like 'n02119789 1 kit_fox'")
    return {words[0]: int(words[1]) for words in lines}


def devkit_labels(categories: Sequence[str], ilsvrc_ids: Mapping[str, int]) -> IntArray:
    """Translate Caffe's class order to ILSVRC ids.

    Caffe's networks number the classes from 0 in the order of their WordNet ids, the order of
    ``categories1000.mat``; the devkit has an order of its own.

    Parameters
    ----------
    categories : sequence of str, length K
        Class names that begin with the WordNet id, e.g. ``"n01440764 tench, Tinca tinca"``.
    ilsvrc_ids : mapping of str to int
        What :func:`read_ilsvrc_ids` returns.

    Returns
    -------
    ndarray of int64, shape (K,)
        The ILSVRC id of each class index.

    Raises
    ------
    CamError
        If a class name has no WordNet id or the devkit does not know it.

    Examples
    --------
    >>> devkit_labels(["n02119789 kit fox"], {"n02119789": 1}).tolist()
    [1]
    """
    labels = np.zeros(len(categories), dtype=np.int64)
    for index, category in enumerate(categories):
        wnid = category[:9]
        if not _WNID.fullmatch(wnid):
            raise CamError(
                f"class {index} is {category!r}, which does not begin with a WordNet id like "
                "n01440764; use the class names of categories1000.mat"
            )
        if wnid not in ilsvrc_ids:
            raise CamError(f"the devkit's meta file has no synset {wnid} (class {index})")
        labels[index] = ilsvrc_ids[wnid]
    return labels


def read_submission(path: str | os.PathLike[str]) -> Predictions:
    """Read guesses from a text file in the devkit's submission format.

    Parameters
    ----------
    path : path-like
        One line a picture, in order of the pictures' names: ``label xmin ymin xmax ymax`` for each
        guess, best first. Spaces, tabs or commas separate. Lines may have different numbers of
        guesses; those after the fifth are ignored.

    Returns
    -------
    Predictions
        As many guesses as the longest line has, at most 5.

    Raises
    ------
    CamError
        If the file is missing, or a line is not numbers in fives that begin with a label.
    """
    file = Path(path)
    rows = [line.replace(",", " ").split() for line in _read_text(file).splitlines()]
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    uneven = np.flatnonzero((lengths % _NUMBERS_PER_GUESS != 0) | (lengths == 0))
    if not rows or uneven.size:
        line = int(uneven[0]) + 1 if rows else 1
        raise CamError(f"{file}, line {line}: a line is 'label xmin ymin xmax ymax' for each guess")
    guesses = min(int(lengths.max()) // _NUMBERS_PER_GUESS, MAX_GUESSES)
    width = guesses * _NUMBERS_PER_GUESS
    missing = ["0", "nan", "nan", "nan", "nan"] * guesses
    words = [row[:width] + missing[len(row) :] for row in rows]
    try:
        numbers = np.array([word for row in words for word in row], dtype=np.float64)
    except ValueError as error:
        raise CamError(f"{file}, line {_first_bad_line(words)}: {error}") from error
    table = numbers.reshape(len(rows), guesses, _NUMBERS_PER_GUESS)
    labels = table[..., 0]
    good = (labels >= 0) & (labels == np.floor(labels)) & ~np.isinf(table).any(axis=-1)
    if not good.all():
        line = int(np.argmin(good.all(axis=1))) + 1
        raise CamError(
            f"{file}, line {line}: a label is a whole number, 1 to 1000, and coordinates are finite"
        )
    return Predictions(labels=labels.astype(np.int64), boxes=np.ascontiguousarray(table[..., 1:]))


def write_submission(path: str | os.PathLike[str], predictions: Predictions) -> None:
    """Write guesses in the devkit's submission format, which :func:`read_submission` reads.

    Parameters
    ----------
    path : path-like
        The text file; it is replaced if it exists.
    predictions : Predictions
        The guesses. Coordinates keep their fractions. A guess without a box is written with the
        box ``-1 -1 -1 -1``, which overlaps nothing; missing guesses have the label 0.

    Raises
    ------
    CamError
        If the file cannot be written.
    """
    boxes = np.where(np.isnan(predictions.boxes), -1, predictions.boxes)
    table = np.concatenate([predictions.labels[..., None].astype(np.float64), boxes], axis=-1)
    lines = (
        " ".join(f"{number:.10g}" for number in row)
        for row in table.reshape(len(predictions), -1).tolist()
    )
    with atomic_path(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")


def read_heatmap_folder(
    folder: str | os.PathLike[str],
    names: Iterable[str | os.PathLike[str]],
    class_labels: IntArray,
    *,
    rule: Rule = "original",
    thresholds: Sequence[int] = ORIGINAL_THRESHOLDS,
    fraction: float = PAPER_FRACTION,
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
    rule : {"original", "paper"}, optional
        See :func:`cam.localize.find_boxes`. The paper's gives one box a class.
    thresholds : sequence of int, optional
        For the original's rule.
    fraction : float, optional
        For the paper's rule.
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
        Five classes and the two largest boxes of each, with the original's corners
        ``x, y, x + width, y + height``.

    Raises
    ------
    CamError
        If a file is missing or is not what it should be.
    """
    root = Path(folder)
    stems = [Path(name).stem for name in names]
    labels = np.zeros((len(stems), MAX_GUESSES), dtype=np.int64)
    boxes = np.full((len(stems), MAX_GUESSES, 2, 4), np.nan)

    def read(index: int) -> None:
        labels[index] = _top_labels(root / f"{stems[index]}.mat", class_labels)
        for rank in range(MAX_GUESSES):
            heatmap = root / f"top{rank + 1}" / f"{stems[index]}.jpg"
            found = _stored_boxes(heatmap) if reuse_boxes else None
            if found is None:
                grey = read_heatmap(heatmap)
                found = find_boxes(grey, rule, thresholds=thresholds, fraction=fraction)
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


def _well_placed(truth: GroundTruth, boxes: FloatArray) -> NDArray[np.bool_]:
    """Say which guesses' boxes overlap a box of their picture's label enough: shape (N, G)."""
    of_label = np.flatnonzero(truth.box_labels == truth.labels[truth.box_pictures])
    pictures = truth.box_pictures[of_label]
    enough = overlap(boxes[pictures], truth.boxes[of_label, None]) >= _OVERLAP
    box, guess = np.nonzero(enough)
    placed = np.zeros(boxes.shape[:2], dtype=bool)
    placed[pictures[box], guess] = True
    return placed


def _errors(right: NDArray[np.bool_]) -> tuple[float, ...]:
    """Return the part of the rows without a right guess among the first 1, 2, ..."""
    wrong = ~np.logical_or.accumulate(right, axis=1)
    return tuple(float(part) for part in wrong.mean(axis=0))


def _percent_by_guesses(errors: Iterable[float]) -> dict[str, float]:
    return {f"top{count}": round(100 * error, 6) for count, error in enumerate(errors, 1)}


def _area(boxes: FloatArray) -> FloatArray:
    area: FloatArray = (boxes[..., 2:] - boxes[..., :2] + 1).prod(axis=-1)
    return area


def _assemble(
    names: Sequence[str], objects: Sequence[tuple[Sequence[int], Sequence[Sequence[float]]]]
) -> GroundTruth:
    """Join the labels and boxes of pictures; a picture has the label of its first object, or 0."""
    counts = np.array([len(labels) for labels, _ in objects], dtype=np.int64)
    boxes = np.array([box for _, picture in objects for box in picture], dtype=np.float64)
    box_pictures = np.repeat(np.arange(len(names)), counts)
    if not np.isfinite(boxes).all():
        picture = box_pictures[np.argwhere(~np.isfinite(boxes))[0, 0]]
        raise CamError(f"the annotation of {names[picture]} has a box that is not finite")
    return GroundTruth(
        names=tuple(names),
        labels=np.array([labels[0] if labels else 0 for labels, _ in objects], dtype=np.int64),
        boxes=boxes.reshape(-1, 4),
        box_labels=np.array([label for labels, _ in objects for label in labels], dtype=np.int64),
        box_pictures=box_pictures,
        blacklisted=np.zeros(len(names), dtype=bool),
    )


def _read_annotation_folder(folder: Path, ilsvrc_ids: Mapping[str, int] | None) -> GroundTruth:
    if ilsvrc_ids is None:
        raise CamError(
            "XML annotations name synsets, so the devkit's meta file (data/meta.mat or "
            "data/meta_clsloc.mat) is needed for their ILSVRC ids"
        )
    files = sorted(folder.glob("*.xml"))
    if not files:
        raise CamError(f"{folder} holds no XML annotations (ILSVRC2012_val_00000001.xml, ...)")
    objects = [_read_annotation(file, ilsvrc_ids) for file in files]
    return _assemble([file.stem for file in files], objects)


def _read_annotation(
    file: Path, ilsvrc_ids: Mapping[str, int]
) -> tuple[list[int], list[list[float]]]:
    text = _read_text(file, _XML_LIMIT)
    if "<!DOCTYPE" in text:
        raise CamError(f"{file} declares a document type, which annotations never do")
    try:
        objects = ElementTree.fromstring(text).findall("object")
        names = [str(item.findtext("name", "")).strip() for item in objects]
        boxes = [
            [
                float(item.findtext(f"bndbox/{side}", ""))
                for side in ("xmin", "ymin", "xmax", "ymax")
            ]
            for item in objects
        ]
    except (ElementTree.ParseError, ValueError) as error:
        raise CamError(f"{file} is not an annotation: {error}") from error
    unknown = next((name for name in names if name not in ilsvrc_ids), None)
    if unknown is not None:
        raise CamError(f"{file}: the devkit's meta file has no synset {unknown!r}")
    return [ilsvrc_ids[name] for name in names], boxes


def _read_cached_annotations(file: Path) -> GroundTruth:
    records = _read_variable(file, "rec")
    if records.dtype.names != ("objects",) or records.size == 0:
        raise CamError(f"{file} is not the devkit's cache of annotations: no rec(1..N).objects")
    names = [f"ILSVRC2012_val_{number:08d}" for number in range(1, records.size + 1)]
    return _assemble(
        names,
        [_cached_objects(file, record) for record in records["objects"].ravel()],
    )


def _cached_objects(file: Path, record: NDArray[Any]) -> tuple[list[int], list[list[float]]]:
    if record.size == 0:
        return [], []
    try:
        labels = [int(label.item()) for label in record["label"].ravel()]
        boxes = [box.ravel().tolist() for box in record["bbox"].ravel()]
    except (AttributeError, IndexError, ValueError) as error:
        raise CamError(f"{file}: an object has no label and bbox") from error
    if any(len(box) != 4 for box in boxes):
        raise CamError(f"{file}: a bbox is not xmin ymin xmax ymax")
    return labels, boxes


def _read_meta_mat(file: Path) -> dict[str, int]:
    synsets = _read_variable(file, "synsets")
    fields = synsets.dtype.names or ()
    id_field = next((field for field in fields if _ID_FIELD.fullmatch(field)), None)
    if id_field is None or "WNID" not in fields:
        raise CamError(
            f"{file} is not the devkit's meta file: its synsets have no WNID, or neither "
            "ILSVRC2012_ID nor ILSVRC2014_ID"
        )
    try:
        return {
            str(wnid.item()): int(number.item())
            for wnid, number in zip(synsets["WNID"].ravel(), synsets[id_field].ravel(), strict=True)
        }
    except (AttributeError, TypeError, ValueError) as error:
        raise CamError(f"{file}: a synset has no WNID and {id_field}") from error


def _top_labels(file: Path, class_labels: IntArray) -> IntArray:
    order = _read_variable(file, "IDX_category")
    if order.dtype.kind not in "iuf" or order.size < MAX_GUESSES:
        raise CamError(f"{file}: IDX_category does not hold the top {MAX_GUESSES} classes")
    indices = order.ravel()[:MAX_GUESSES].astype(np.int64) - 1
    if indices.min() < 0 or indices.max() >= len(class_labels):
        raise CamError(f"{file}: IDX_category is not within 1 to {len(class_labels)}")
    return class_labels[indices]


def _stored_boxes(heatmap: Path) -> list[Box] | None:
    boxes = heatmap.with_name(f"{heatmap.stem}_default.txt")
    return read_boxes(boxes, "original") if boxes.is_file() else None


def _read_labels(file: Path, pictures: int) -> IntArray:
    labels = _read_integers(file)
    if len(labels) != pictures:
        raise CamError(f"{file} has {len(labels)} labels, but there are {pictures} pictures")
    if (labels < 1).any():
        raise CamError(f"{file}: a label is a whole number, 1 to 1000")
    return labels


def _read_blacklist(file: Path, pictures: int) -> NDArray[np.bool_]:
    numbers = _read_integers(file)
    if ((numbers < 1) | (numbers > pictures)).any():
        raise CamError(f"{file} names pictures that are not among the {pictures} evaluated")
    blacklisted = np.zeros(pictures, dtype=bool)
    blacklisted[numbers - 1] = True
    return blacklisted


def _read_integers(file: Path) -> IntArray:
    try:
        return np.array(_read_text(file).split(), dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise CamError(f"{file} is not a list of whole numbers: {error}") from error


def _first_bad_line(rows: Iterable[Iterable[str]]) -> int:
    for number, row in enumerate(rows, 1):
        for word in row:
            try:
                float(word)
            except ValueError:
                return number
    return 0


def _read_text(file: Path, limit: int = _TEXT_LIMIT) -> str:
    try:
        with file.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise CamError(f"cannot read {file}: {error.strerror}") from error
    if len(data) > limit:
        raise CamError(f"{file} is over {limit >> 20} MiB, too large for what it should be")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CamError(f"{file} is not a text file in UTF-8") from error


def _read_variable(file: Path, name: str) -> NDArray[Any]:
    value = read_mat(file, [name])[name]
    if not isinstance(value, np.ndarray):
        raise CamError(f"{file}: {name} is text")
    return value
