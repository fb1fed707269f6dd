"""Class-specific units: which maps of the last convolution a class weighs most (section 5).

A unit is one of the last convolution's K maps. What it stands for is seen in the pictures that
excite it most, each cut to where it fires.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cam.batch import BatchOptions
from cam.batch.pipeline import Progress, each_picture
from cam.batch.rows import ExplainedPicture
from cam.caffe.loaded import LoadedNetwork
from cam.errors import CamError, InvalidValueError
from cam.explain.model import CamModel
from cam.explain.styles import Style, get_style
from cam.localization import Box, paper_box, picture_heatmap
from cam.pictures.lists import Entry
from cam.pictures.reading import Picture

SHARE = 0.5
"""A unit fires where its map, enlarged, is above this share of its maximum."""

OPTIONS = BatchOptions(top=1, placement="crop", outputs=())
"""One crop, its maps where it was cut out: a unit's map lies where it fires."""


@dataclass(frozen=True)
class Unit:
    """A map of the last convolution by its number, from 0, and a class's weight for it."""

    number: int
    weight: float


@dataclass(frozen=True)
class ExcitingPicture:
    """A picture that excites a unit.

    Attributes
    ----------
    activation : float
        The largest value of the unit's map.
    entry : cam.pictures.lists.Entry
        The picture.
    box : cam.localization.boxes.Box
        Where the unit fires, in the picture's pixels.
    """

    activation: float
    entry: Entry
    box: Box

    def cut(self) -> Picture:
        """Return the part of the picture where the unit fires, uint8 (rows, columns, 3) BGR."""
        x1, y1, x2, y2 = self.box.corners
        return self.entry.read()[y1:y2, x1:x2]


def class_units(network: LoadedNetwork, class_index: int, count: int) -> list[Unit]:
    """Return the units with the largest weights of a class, largest first.

    Parameters
    ----------
    network : cam.caffe.loaded.LoadedNetwork
        The network.
    class_index : int
        The class, from 0.
    count : int
        How many units.

    Returns
    -------
    list of Unit
        The units; of equal weights the first.

    Raises
    ------
    CamError
        If the network has not so many units.

    References
    ----------
    Zhou et al., 2016, section 5.
    """
    weights = network.class_weights[class_index]
    if not 1 <= count <= len(weights):
        raise InvalidValueError(f"{count} units of {len(weights)}")
    order = np.argsort(-weights, kind="stable")[:count]
    return [Unit(int(number), float(weights[number])) for number in order]


def exciting_pictures(
    model: CamModel,
    entries: Iterable[Entry],
    units: Sequence[int],
    count: int,
    share: float = SHARE,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> dict[int, list[ExcitingPicture]]:
    """Find the pictures that excite units most, in one pass over them.

    Parameters
    ----------
    model : cam.explain.model.CamModel
        The model.
    entries : iterable of cam.pictures.lists.Entry
        The pictures. Memory does not grow with their number.
    units : sequence of int
        The units, from 0.
    count : int
        How many pictures for each.
    share : float, optional
        The share of a unit's maximum above which it fires.
    workers, progress
        As for `cam.batch.run_batch`.

    Returns
    -------
    dict of int to list of ExcitingPicture
        For each unit its pictures, the most exciting first. Pictures that leave it cold, or that
        cannot be read, are not among them.

    Raises
    ------
    CamError
        If an argument is out of its range, or no picture could be read.
    """
    if count < 1 or not 0 <= share < 1:
        raise InvalidValueError(f"{count} pictures cut at a share of {share}: 1 or more, below 1")
    chosen = list(dict.fromkeys(units))
    best: dict[int, list[_Excited]] = {unit: [] for unit in chosen}
    reason = "there is none"
    readable = False
    make = partial(_excite, chosen)
    for found in each_picture(model, entries, make, OPTIONS, workers=workers, progress=progress):
        if isinstance(found, str):
            reason = found
            continue
        readable = True
        for unit, excited in zip(chosen, found, strict=True):
            heap = best[unit]
            if excited.activation > 0:
                (heapq.heappush if len(heap) < count else heapq.heappushpop)(heap, excited)
    if not readable:
        raise CamError(f"no picture could be read: {reason}")
    style = get_style(OPTIONS.style, OPTIONS.placement)
    return {
        unit: [excited.cut_out(style, model.crop_size, share) for excited in sorted(heap)[::-1]]
        for unit, heap in best.items()
    }


@dataclass(frozen=True, order=True)
class _Excited:
    """What a picture does to a unit; the more exciting is greater.

    Of equal maxima the greater mean decides, which some networks need: a ReLU6 ends at 6.
    """

    activation: float
    mean: float
    earliness: int
    entry: Entry = field(compare=False)
    maps: NDArray[np.float32] = field(compare=False)
    picture_size: tuple[int, int] = field(compare=False)

    def cut_out(self, style: Style, crop_size: int, share: float) -> ExcitingPicture:
        (merged,) = style.merge(self.maps, crop_size)
        box = paper_box(picture_heatmap(merged, self.picture_size), share)
        assert box is not None
        return ExcitingPicture(self.activation, self.entry, box)


def _excite(units: Sequence[int], picture: ExplainedPicture) -> list[_Excited] | str:
    explanation = picture.explanation
    if explanation is None or explanation.output is None:
        return f"{picture.entry.name}: {picture.reason}"
    activations = explanation.output.activations[:, units]
    return [
        _Excited(
            float(activations[:, k].max()),
            float(activations[:, k].mean()),
            -picture.index,
            picture.entry,
            activations[:, k : k + 1].copy(),
            explanation.picture_size,
        )
        for k in range(len(units))
    ]
