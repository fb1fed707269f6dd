"""A class of one's own choice: finding it by name, and its map beside the top classes' maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cam.errors import CamError, nearest_names
from cam.maps.activation_maps import return_cam_map

if TYPE_CHECKING:
    from cam.explain.explanation import Explanation
    from cam.explain.model import CamModel

__all__ = ["explain_class", "find_class", "plain_name", "short_name"]


def find_class(class_names: Sequence[str], wanted: str) -> int:
    """Return the index of the class that a user means.

    Parameters
    ----------
    class_names : sequence of str
        The class names in the network's order, e.g. ``"n01440764 tench, Tinca tinca"``.
    wanted : str
        The class's index, its whole name, its WordNet id or one of its synonyms; or a part of a
        name if only one class has it. Upper and lower case do not differ.

    Returns
    -------
    int
        The index, from 0.

    Raises
    ------
    CamError
        If no class or more than one fits.

    Examples
    --------
    >>> find_class(["n01440764 tench, Tinca tinca", "n01443537 goldfish"], "tinca tinca")
    0
    """
    if wanted.isdecimal():
        if int(wanted) < len(class_names):
            return int(wanted)
        raise CamError(f"no class {wanted}; the classes are numbered 0 to {len(class_names) - 1}")
    text = wanted.strip().lower()
    names = [name.lower() for name in class_names]
    for fits in (_is_name_of, _is_part_of):
        found = [index for index, name in enumerate(names) if text and fits(text, name)]
        if len(found) == 1:
            return found[0]
        if found:
            some = "; ".join(f"{index} {class_names[index]}" for index in found[:3])
            raise CamError(f"{wanted!r} fits {len(found)} classes, give a number: {some}")
    known = [synonym for name in names for synonym in plain_name(name).split(", ")]
    raise CamError(f"no class {wanted!r}{nearest_names(text, known)}")


def explain_class(model: CamModel, explanation: Explanation, index: int) -> Explanation:
    """Return the class activation map of one class, whether or not it is among the top ones.

    Parameters
    ----------
    model : cam.explain.model.CamModel
        The model that made the explanation.
    explanation : cam.explain.explanation.Explanation
        Of any classes.
    index : int
        The class, from 0.

    Returns
    -------
    cam.explain.explanation.Explanation
        Of this class only. The network does not run again.
    """
    weights = model.engine.class_weights[[index]]
    return replace(
        explanation,
        indices=np.array([index]),
        names=(model.class_names[index],),
        maps=return_cam_map(explanation.forward.activations, weights),
    )


def plain_name(name: str) -> str:
    """Return a class name without its WordNet id.

    Examples
    --------
    >>> plain_name("n01440764 tench, Tinca tinca")
    'tench, Tinca tinca'
    """
    head, _, rest = name.partition(" ")
    is_id = len(head) == 9 and head[0] == "n" and head[1:].isdecimal()
    return rest if rest and is_id else name


def short_name(name: str) -> str:
    """Return the first synonym of a class name, as a title for people.

    Examples
    --------
    >>> short_name("n01440764 tench, Tinca tinca"), short_name("/a/airport_terminal")
    ('tench', 'airport terminal')
    """
    first = plain_name(name).split(",")[0].strip()
    # Places205 names its scenes by folder: /a/abbey, /a/apartment_building/outdoor.
    if first.startswith("/"):
        first = first.split("/", 2)[-1].replace("/", ", ").replace("_", " ")
    return first


def _is_name_of(text: str, name: str) -> bool:
    return text in {name, name.split(" ")[0], plain_name(name), *plain_name(name).split(", ")}


def _is_part_of(text: str, name: str) -> bool:
    return text in name
