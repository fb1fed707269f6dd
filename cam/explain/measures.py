"""Measure maps, picture by picture: by what the network loses without them, and by their boxes.

The measures themselves are in `cam.explain.faithfulness` and `cam.localization.map_measures`.
Here a picture's map is brought to where they look at it: on the center crop, as the network's
input, and on the picture itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from cam.errors import CamError, InvalidValueError
from cam.explain.explanation import Explanation
from cam.explain.faithfulness import (
    Input,
    Probability,
    area_under,
    deletion,
    insertion,
    mask_by_map,
    road,
)
from cam.explain.model import CamModel
from cam.explain.styles import PycaffeStyle
from cam.localization.map_measures import (
    best_overlaps,
    energy_in_boxes,
    max_box_accuracy,
    points_at_box,
)
from cam.maps.colors import im2double
from cam.pictures.reading import Picture, center_crop, frame_size

Map = NDArray[np.floating]


def _drop(probability: Probability, network_input: Input, heat_map: Map) -> dict[str, float]:
    masked = mask_by_map(probability, network_input, heat_map)
    return {"average_drop": masked.drop, "increase_in_confidence": float(masked.increases)}


_MEASURES: Mapping[str, Callable[[Probability, Input, Map], dict[str, float]]] = MappingProxyType(
    {
        "drop": _drop,
        "deletion": lambda *given: {"deletion": area_under(deletion(*given))},
        "insertion": lambda *given: {"insertion": area_under(insertion(*given))},
        "road": lambda *given: {"road": road(*given)},
    }
)

MEASURES = tuple(_MEASURES)
"""What can be asked of the network; measures of boxes follow from the boxes alone."""


class PictureMap(NamedTuple):
    """One map, where the measures look at it.

    Attributes
    ----------
    on_crop : numpy.ndarray
        float64 (crop, crop): on the center crop, stretched to [0, 1].
    on_picture : numpy.ndarray
        float64 (rows, columns): on the picture's own pixels.
    """

    on_crop: Map
    on_picture: Map


@dataclass(frozen=True, eq=False)
class MeasuredPicture:
    """What was measured of one picture's map.

    Attributes
    ----------
    name : str
        The picture.
    index : int
        The class whose map it is, from 0.
    values : mapping of str to float
        Each measure: ``average_drop`` and so on, and ``pointing_game`` and ``energy_in_boxes``
        where there are boxes.
    overlaps : numpy.ndarray or None
        float64 (2, 100): what `best_overlaps` gives of the largest part and of all parts.
    """

    name: str
    index: int
    values: Mapping[str, float]
    overlaps: NDArray[np.float64] | None = None


def map_of_explanation(explanation: Explanation, k: int = 0) -> PictureMap:
    """Return the map of the class of rank `k` as its style and placement lay it.

    Raises
    ------
    InvalidValueError
        If it has a value that is not finite.
    """
    maps, crop = explanation.maps[:, k], explanation.crop_size
    size = explanation.picture_size
    placed = explanation.style.place(maps, crop, size, slice(0, size[0]))
    # Where the network has seen nothing there is no evidence.
    on_picture = np.where(np.isnan(placed), np.nanmin(placed), placed) if maps.size else placed
    return _checked(explanation.merged[k], on_picture, crop)


def map_of_array(values: NDArray[Any], crop: int, size: tuple[int, int]) -> PictureMap:
    """Return a map that someone else has made of the whole picture.

    Parameters
    ----------
    values : numpy.ndarray
        Real numbers, (rows, columns), of any size: they are laid over the whole picture.
    crop : int
        Rows and columns of the network's input.
    size : pair of int
        The picture's rows and columns.

    Raises
    ------
    InvalidValueError
        If they are no such map.
    """
    if values.ndim != 2 or not values.size or values.dtype.kind not in "fiub":
        raise InvalidValueError(
            f"a map has rows and columns of real numbers, not {values.dtype} of {values.shape}"
        )
    numbers, frame = values.astype(np.float64), frame_size(crop)
    return _checked(cv2.resize(numbers, (frame, frame)), cv2.resize(numbers, size[::-1]), crop)


def measure(
    model: CamModel,
    picture: Picture,
    index: int,
    heat_map: PictureMap,
    *,
    measures: Sequence[str] = MEASURES,
    boxes: NDArray[np.float64] | None = None,
    name: str = "",
) -> MeasuredPicture:
    """Measure one picture's map of one class.

    Parameters
    ----------
    model : cam.explain.model.CamModel
        The network that is asked.
    picture : numpy.ndarray
        uint8 (rows, columns, 3) BGR. The network sees its center crop, as the port cuts it.
    index : int
        The class, from 0.
    heat_map : PictureMap
        Its map.
    measures : sequence of str, optional
        Of `MEASURES`.
    boxes : numpy.ndarray, optional
        float64 (B, 4): where the class is, ``x1, y1, x2, y2`` with both corners inside.
    name : str, optional
        What the picture is called.

    Returns
    -------
    MeasuredPicture
        The measures.

    Raises
    ------
    InvalidValueError
        If a measure has no such name, or map and boxes are not what they should be.
    """
    unknown = next((one for one in measures if one not in _MEASURES), None)
    if unknown is not None:
        raise InvalidValueError(f"no measure {unknown!r}; there are {', '.join(MEASURES)}")
    (network_input,) = model.network_input(picture, PycaffeStyle()).batch
    values: dict[str, float] = {}
    for one in measures:
        values |= _MEASURES[one](_probability(model, index), network_input, heat_map.on_crop)
    if boxes is None:
        return MeasuredPicture(name, index, values)
    on_picture = heat_map.on_picture
    values["pointing_game"] = float(points_at_box(on_picture, boxes))
    values["energy_in_boxes"] = energy_in_boxes(on_picture, boxes)
    overlaps = [best_overlaps(on_picture, boxes, all_parts=all_) for all_ in (False, True)]
    return MeasuredPicture(name, index, values, np.stack(overlaps))


def summarize(measured: Sequence[MeasuredPicture]) -> dict[str, float | int]:
    """Return how many pictures were measured, and the mean of each measure over those that have it.

    Returns
    -------
    dict
        ``pictures``, ``pictures_with_boxes``, each measure, and with boxes ``max_box_acc`` (an
        overlap of 0.5, the largest part) and ``max_box_acc_v2`` (the mean over overlaps of 0.3, 0.5
        and 0.7, the best part), each with the threshold at which it was reached.

    Raises
    ------
    CamError
        If there is no picture.
    """
    if not measured:
        raise CamError("no picture was measured")
    overlaps = [one.overlaps for one in measured if one.overlaps is not None]
    summary: dict[str, float | int] = {
        "pictures": len(measured),
        "pictures_with_boxes": len(overlaps),
    }
    for name in dict.fromkeys(name for one in measured for name in one.values):
        summary[name] = float(np.mean([one.values[name] for one in measured if name in one.values]))
    if overlaps:
        of_largest, of_all = zip(*overlaps, strict=True)
        summary["max_box_acc"], summary["threshold"] = max_box_accuracy(of_largest, [0.5])
        summary["max_box_acc_v2"], summary["threshold_v2"] = max_box_accuracy(of_all)
    return summary


def _probability(model: CamModel, index: int) -> Probability:
    """Return the function that asks the network for one class, a batch at a time."""
    size = model.engine.batch_size

    def probability(inputs: Input) -> NDArray[np.float32]:
        parts = [
            model.engine.forward(np.ascontiguousarray(inputs[first : first + size])).scores[
                :, index
            ]
            for first in range(0, len(inputs), size)
        ]
        return np.concatenate(parts)

    return probability


def _checked(on_frame: NDArray[Any], on_picture: NDArray[Any], crop: int) -> PictureMap:
    if not (np.isfinite(on_frame).all() and np.isfinite(on_picture).all()):
        raise InvalidValueError("the map has a value that is not finite")
    rows, columns = _window(len(on_frame), crop)
    # Stretching may end a rounding beyond 1.
    on_crop = im2double(on_frame[rows, columns]).clip(0, 1)
    return PictureMap(on_crop, np.asarray(on_picture, np.float64))


def _window(frame: int, crop: int) -> tuple[slice, slice]:
    return center_crop(np.empty((frame, frame, 3), np.uint8), crop)
