"""What follows from the quantities that a file holds: classes, maps, merged maps, heat maps.

Each of two results is given what the other one has, as far as it follows. Every step looks at both
sides as the step before left them, so that it does not matter which one is named first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TypeAlias

import numpy as np

from cam.errors import CamError
from cam.explain.styles import MatlabStyle, PycaffeStyle
from cam.fidelity.cached_demo import crop_of_maps
from cam.fidelity.difference import Array
from cam.fidelity.heat_pictures import heat_map_of_colors, heat_map_of_overlay
from cam.fidelity.results import TOP, StoredResult
from cam.maps.activation_maps import return_cam_map
from cam.matlab import mat2gray
from cam.pictures.reading import FRAME

__all__ = ["derive"]

ByRank: TypeAlias = Mapping[int, Array]
Step: TypeAlias = Callable[[StoredResult, StoredResult], ByRank]

DRAWN = {"heat_maps", "heat_pictures", "overlays"}


def derive(
    ours: StoredResult, theirs: StoredResult, class_weights: Array | None = None
) -> tuple[StoredResult, StoredResult]:
    """Add to each of two results what follows from what it has, as far as the other has it.

    Parameters
    ----------
    ours, theirs : StoredResult
        What two files hold.
    class_weights : numpy.ndarray, optional
        Shape (C, K): the class layer for features that come without one.

    Returns
    -------
    tuple of StoredResult
        Ours and theirs with mean scores, order and probabilities of the classes; maps of the top
        classes of both from activations; merged maps from those of ten crops; and heat maps from
        merged maps, from the map of a single crop, from colours, and from overlays.

    Raises
    ------
    CamError
        If class weights do not fit the activations.
    """
    make_maps = partial(_maps, class_weights=class_weights)
    steps: Mapping[str, Step] = {"maps": make_maps, "merged": _merged, "heat_maps": _heat_maps}
    ours, theirs = _with_classes(ours), _with_classes(theirs)
    for quantity, make in steps.items():
        ours, theirs = (
            _with(side, quantity, make(side, other))
            for side, other in ((ours, theirs), (theirs, ours))
        )
    return ours, theirs


def _with(found: StoredResult, quantity: str, values: ByRank) -> StoredResult:
    if not values:
        return found
    held = found.by_rank.get(quantity, {})
    return replace(found, by_rank={**found.by_rank, quantity: {**values, **held}})


def _with_classes(found: StoredResult) -> StoredResult:
    """Add mean scores, order and probabilities of the classes, where they follow from others."""
    whole, classes = dict(found.whole), found.classes
    if "crop_scores" in whole:
        whole.setdefault("scores", whole["crop_scores"].mean(axis=0))
    scores = whole.get("scores")
    if scores is None:
        return replace(found, whole=whole)
    if classes is None:
        classes = MatlabStyle().class_order(scores)
    is_known = "probabilities" in found.by_rank or classes.max() >= len(scores)
    probabilities = {} if is_known else dict(enumerate(scores[classes]))
    return _with(replace(found, whole=whole, classes=classes), "probabilities", probabilities)


def _maps(found: StoredResult, other: StoredResult, class_weights: Array | None) -> ByRank:
    """Make the maps of the top classes of both from activations, where there are none."""
    activations = found.whole.get("activations")
    weights = found.whole.get("class_weights", class_weights)
    if activations is None or weights is None or found.classes is None or "maps" in found.by_rank:
        return {}
    ranks = {index: rank for rank, index in enumerate(found.classes.tolist())}
    tops = [side.classes[:TOP].tolist() for side in (found, other) if side.classes is not None]
    chosen = list(dict.fromkeys(index for top in tops for index in top if index in ranks))
    if max(chosen) >= len(weights):
        raise CamError(f"{found.path}: class {max(chosen)} of a class layer of {len(weights)}")
    maps = return_cam_map(activations, weights[chosen])
    return {ranks[index]: maps[:, k] for k, index in enumerate(chosen)}


def _merged(found: StoredResult, other: StoredResult) -> ByRank:
    """Merge the maps of ten crops, if they are of a known size."""
    held = found.by_rank.keys()
    if "merged" in held or (held & DRAWN and "merged" not in other.by_rank):
        return {}
    merged, style = {}, MatlabStyle()
    for rank, maps in found.by_rank.get("maps", {}).items():
        crop = crop_of_maps(maps.shape[1]) if len(maps) == style.crops else None
        if crop is not None:
            (merged[rank],) = style.merge(maps[:, np.newaxis], crop)
    return merged


def _heat_maps(found: StoredResult, other: StoredResult) -> ByRank:
    if not other.by_rank.keys() & {*DRAWN, "merged", "maps"}:
        return {}
    heat_maps: dict[int, Array] = {}
    for quantity, convert in _HEAT_MAP_SOURCES.items():
        for rank, values in found.by_rank.get(quantity, {}).items():
            heat_map = None if rank in heat_maps else convert(found, values)
            if heat_map is not None:
                heat_maps[rank] = heat_map
    return heat_maps


def _of_one_crop(maps: Array) -> Array | None:
    """Lay a single crop's map over the whole picture, as the pycaffe style does."""
    if len(maps) != 1:
        return None
    style = PycaffeStyle()
    return style.normalize(style.merge(maps[:, np.newaxis], FRAME)[0])


_HEAT_MAP_SOURCES: Mapping[str, Callable[[StoredResult, Array], Array | None]] = {
    "heat_maps": lambda found, heat_map: heat_map,
    "merged": lambda found, merged: mat2gray(merged),
    "maps": lambda found, maps: _of_one_crop(maps),
    "heat_pictures": lambda found, picture: heat_map_of_colors(picture),
    "overlays": lambda found, overlay: heat_map_of_overlay(found.whole.get("frame"), overlay),
}
