"""Where the objects of ILSVRC pictures are, and how the devkit numbers their classes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from cam.arguments import checked, checked_fields
from cam.errors import CamError
from cam.files import PathLike, read_text
from cam.matlab import read_mat

_ID_FIELD = re.compile(r"ILSVRC20\d\d(_CLSLOC)?_ID")
_WNID, _ID = re.compile(r"n\d{8}"), re.compile(r"[0-9]{1,9}")
_XML_LIMIT = 1 << 20
_SIDES = ("xmin", "ymin", "xmax", "ymax")


@checked_fields
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
    labels: NDArray[np.int64]
    boxes: NDArray[np.float64]
    box_labels: NDArray[np.int64]
    box_pictures: NDArray[np.int64]
    blacklisted: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.names)

    @checked
    def select(self, names: Iterable[PathLike]) -> GroundTruth:
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


@checked
def read_ground_truth(
    boxes: PathLike,
    *,
    labels: PathLike | None = None,
    blacklist: PathLike | None = None,
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


@checked
def read_ilsvrc_ids(path: PathLike) -> dict[str, int]:
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
    lines = [line.split() for line in read_text(file).splitlines() if line.strip()]
    if not lines or not all(
        len(words) >= 2 and _WNID.fullmatch(words[0]) and _ID.fullmatch(words[1]) for words in lines
    ):
        raise CamError(f"{file} is not a map of synsets: lines like 'n02119789 1 kit_fox'")
    return {words[0]: int(words[1]) for words in lines}


@checked
def devkit_labels(categories: Sequence[str], ilsvrc_ids: Mapping[str, int]) -> NDArray[np.int64]:
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
    text = read_text(file, "the annotation", _XML_LIMIT)
    if "<!DOCTYPE" in text:
        raise CamError(f"{file} declares a document type, which annotations never do")
    try:
        objects = ElementTree.fromstring(text).findall("object")
        names = [str(item.findtext("name", "")).strip() for item in objects]
        boxes = [
            [float(item.findtext(f"bndbox/{side}", "")) for side in _SIDES] for item in objects
        ]
    except (ElementTree.ParseError, ValueError) as error:
        raise CamError(f"{file} is not an annotation: {error}") from error
    unknown = next((name for name in names if name not in ilsvrc_ids), None)
    if unknown is not None:
        raise CamError(f"{file}: the devkit's meta file has no synset {unknown!r}")
    return [ilsvrc_ids[name] for name in names], boxes


def _read_cached_annotations(file: Path) -> GroundTruth:
    records = np.asarray(read_mat(file, ["rec"])["rec"])
    if records.dtype.names != ("objects",) or records.size == 0:
        raise CamError(f"{file} is not the devkit's cache of annotations: no rec(1..N).objects")
    names = [f"ILSVRC2012_val_{number:08d}" for number in range(1, records.size + 1)]
    return _assemble(names, [_cached_objects(file, one) for one in records["objects"].ravel()])


def _cached_objects(file: Path, record: NDArray[Any]) -> tuple[list[int], list[list[float]]]:
    try:
        if record.size == 0:
            return [], []
        labels = [int(np.int32(label.item())) for label in record["label"].ravel()]
        boxes = [[float(side) for side in box.ravel()] for box in record["bbox"].ravel()]
    except (AttributeError, IndexError, TypeError, ValueError, OverflowError) as error:
        raise CamError(f"{file}: an object has no label and bbox") from error
    if any(len(box) != 4 for box in boxes):
        raise CamError(f"{file}: a bbox is not xmin ymin xmax ymax")
    return labels, boxes


def _read_meta_mat(file: Path) -> dict[str, int]:
    synsets = np.asarray(read_mat(file, ["synsets"])["synsets"])
    fields = synsets.dtype.names or ()
    id_field = next((field for field in fields if _ID_FIELD.fullmatch(field)), None)
    if id_field is None or "WNID" not in fields:
        raise CamError(
            f"{file} is not the devkit's meta file: its synsets have no WNID, or neither "
            "ILSVRC2012_ID nor ILSVRC2014_ID"
        )
    try:
        return {
            str(wnid.item()): int(np.int32(number.item()))
            for wnid, number in zip(synsets["WNID"].ravel(), synsets[id_field].ravel(), strict=True)
        }
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise CamError(f"{file}: a synset has no WNID and {id_field}") from error


def _read_labels(file: Path, pictures: int) -> NDArray[np.int64]:
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


def _read_integers(file: Path) -> NDArray[np.int64]:
    try:
        return np.array(read_text(file).split(), dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise CamError(f"{file} is not a list of whole numbers: {error}") from error
