"""Discovering informative objects: what the active regions of a class's maps hold (section 4.2).

A store of class activation maps and the objects of its pictures, as boxes or masks, give for each
class a list of objects, ranked by how often the maps' regions hold them.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cam.batch.record import read_record, recorded
from cam.batch.store import read_class_names, read_pieces
from cam.errors import CamError, InvalidValueError
from cam.explain.styles import Style, get_style
from cam.files import PathLike, reading
from cam.localization import PAPER_FRACTION, picture_heatmap, read_heatmap

HELD = 0.5
"""A region holds an object if it covers at least this share of it."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class HeldObject:
    """An object and how often a class's regions hold it.

    Attributes
    ----------
    name : str
        The object.
    held : int
        In how many of the class's pictures the region holds it.
    present : int
        In how many of them it is.
    pictures : int
        How many annotated pictures the class has.
    """

    name: str
    held: int
    present: int
    pictures: int

    @property
    def frequency(self) -> float:
        """The share of the class's pictures in which the region holds it."""
        return self.held / self.pictures


@dataclass(frozen=True)
class _Annotation:
    name: str
    box: tuple[int, int, int, int] | None
    mask: Path | None

    def pixels(self, size: tuple[int, int]) -> Mask:
        """Return which pixels of a picture of (rows, columns) the object covers."""
        if self.mask is not None:
            mask = read_heatmap(self.mask) > 0
            if mask.shape != size:
                raise CamError(f"{self.mask}: a mask of {mask.shape} for a picture of {size}")
            return mask
        pixels = np.zeros(size, np.bool_)
        x, y, width, height = self.box or (0, 0, 0, 0)
        pixels[max(y, 0) : max(y + height, 0), max(x, 0) : max(x + width, 0)] = True
        return pixels


def read_objects(path: PathLike) -> dict[str, list[_Annotation]]:
    """Read a table of the objects in pictures.

    Parameters
    ----------
    path : path-like
        A ``.csv`` file with the columns `name` (the picture's, as in the store), `object`, and `x`,
        `y`, `width`, `height` or `mask`, a picture file whose pixels above 0 are the object.

    Returns
    -------
    dict of str to list
        The objects of each picture.

    Raises
    ------
    CamError
        If the table cannot be read, or a line lacks something.
    """
    source, objects = Path(path), defaultdict(list)
    with reading(source, "the objects"), source.open(encoding="utf-8-sig", newline="") as text:
        rows = csv.DictReader(text)
        for row in rows:
            where = f"{source}, line {rows.line_num}"
            if not row.get("name") or not row.get("object"):
                raise CamError(f"{where}: no name or no object")
            mask = row.get("mask")
            objects[row["name"]].append(
                _Annotation(
                    row["object"].strip(),
                    None if mask else _box(row, where),
                    source.parent / mask if mask else None,
                )
            )
    return dict(objects)


def _box(row: Mapping[str, str], where: str) -> tuple[int, int, int, int]:
    try:
        x, y, width, height = (round(float(row[name])) for name in ("x", "y", "width", "height"))
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise CamError(f"{where}: neither a mask nor a box x, y, width, height") from error
    return x, y, width, height


def held_objects(
    store: PathLike,
    objects: Mapping[str, Sequence[_Annotation]],
    share: float = PAPER_FRACTION,
) -> dict[str, list[HeldObject]]:
    """Rank the objects that the active regions of each class's maps hold.

    Parameters
    ----------
    store : path-like
        A store of `cam batch` with maps. The map of a picture's label counts or, where it has none,
        that of its best class.
    objects : mapping
        From `read_objects`. Pictures without any are passed over.
    share : float, optional
        A region is where the map, enlarged to the picture, is above this share of its maximum.

    Returns
    -------
    dict of str to list of HeldObject
        For each class its objects, those that are held most often first.

    Raises
    ------
    CamError
        If the store has no maps, or none of its pictures has objects.

    References
    ----------
    Zhou et al., 2016, section 4.2 and figure 9.
    """
    if not 0 <= share < 1:
        raise InvalidValueError(f"the share of the maximum is from 0 up to 1, not {share}")
    names = read_class_names(store)
    pictures: dict[str, int] = defaultdict(int)
    present: dict[tuple[str, str], int] = defaultdict(int)
    held: dict[tuple[str, str], int] = defaultdict(int)
    for picture, class_index, heat in _heat_maps(store, objects):
        name, region = names[class_index], heat > share * heat.max()
        pictures[name] += 1
        for object_name, covered in _coverages(objects[picture], region).items():
            present[name, object_name] += 1
            held[name, object_name] += covered >= HELD
    if not pictures:
        raise CamError(f"no picture of {store} with a map has objects; the names must be the same")
    return {
        name: sorted(
            (
                HeldObject(other, held[name, other], present[name, other], count)
                for of_class, other in present
                if of_class == name
            ),
            key=lambda one: (-one.held, one.present, one.name),
        )
        for name, count in sorted(pictures.items())
    }


def _coverages(annotations: Sequence[_Annotation], region: Mask) -> dict[str, float]:
    """Return for each object of a picture how much of it, at best, lies in a region."""
    best: dict[str, float] = {}
    rows, columns = region.shape
    for annotation in annotations:
        pixels = annotation.pixels((rows, columns))
        covered = float(region[pixels].mean()) if pixels.any() else 0.0
        best[annotation.name] = max(best.get(annotation.name, 0.0), covered)
    return best


def _heat_maps(
    store: PathLike, wanted: Mapping[str, Any]
) -> Iterator[tuple[str, int, NDArray[np.uint8]]]:
    """Yield name, class and grey heat map of the pictures wanted."""
    record = read_record(store)
    if "maps" not in recorded(store, record, "arrays", dict):
        raise CamError(f"{store} has no maps; make it with cam batch --save maps")
    shape = recorded(store, record, "arrays.maps.shape", list)
    names = (recorded(store, record, f"options.{name}", str) for name in ("style", "placement"))
    style, crop = get_style(*names), recorded(store, record, "model.crop", int)
    columns = ("name", "status", "label", "height", "width", "top_index", "maps")
    for table in read_pieces(store, columns):
        for row in table.to_pylist():
            if row["status"] != "ok" or row["name"] not in wanted:
                continue
            class_index = row["top_index"][0] if row["label"] is None else row["label"]
            if class_index in row["top_index"]:
                rank = row["top_index"].index(class_index)
                maps = np.reshape(np.array(row["maps"], np.float32), shape)[:, rank : rank + 1]
                yield row["name"], class_index, _heat(style, maps, crop, row)


def _heat(
    style: Style, maps: NDArray[np.float32], crop: int, row: Mapping[str, Any]
) -> NDArray[np.uint8]:
    (merged,) = style.merge(maps, crop)
    return picture_heatmap(merged, (row["height"], row["width"]))
