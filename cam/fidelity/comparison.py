"""Comparing results: ours with ours, with the original's MATLAB files, and with its pictures.

`compare` lines up what two files hold, class by class and crop by crop, and measures how far apart
they are. What it reports does not depend on which of the two is named first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from cam.arguments import checked
from cam.errors import CamError
from cam.explain.styles import MatlabStyle
from cam.fidelity import results
from cam.fidelity.derived import derive
from cam.fidelity.difference import Array, Difference, Tolerance, correlation, measure
from cam.matlab import load_network

__all__ = ["CENTER_CROP", "ComparedQuantity", "Comparison", "Ranking", "compare", "compare_files"]

CENTER_CROP = 4
"""Which of the ten crops, from 0, is the center one."""

NOT_COMPARED = "; not compared"


@dataclass(frozen=True, eq=False)
class ComparedQuantity:
    """A quantity of both, lined up, and how far apart it is.

    Attributes
    ----------
    name : str
        Its name; see `cam.fidelity.results.StoredResult`.
    classes : tuple of int
        What the first axis is, for a quantity of classes: classes or ranks, counted from 0.
    by_class : bool
        Whether they are classes; they are ranks where a side does not know its classes.
    ours, theirs : numpy.ndarray
        The arrays, of one shape.
    difference : cam.fidelity.Difference
        How far apart they are.
    """

    name: str
    classes: tuple[int, ...]
    by_class: bool
    ours: Array
    theirs: Array
    difference: Difference

    def to_dict(self) -> dict[str, Any]:
        """Return what was measured, ready for JSON, which does not have infinity."""
        entry = {"quantity": self.name, "classes": self.classes, "by_class": self.by_class}
        measured = asdict(self.difference).items()
        return entry | {key: None if value == np.inf else value for key, value in measured}


@dataclass(frozen=True)
class Ranking:
    """How far two orders of classes agree.

    Attributes
    ----------
    ours, theirs : tuple of int
        The top classes, counted from 0.
    common : int
        How many of the top classes both have.
    top1 : bool
        Whether the best class is the same.
    within : bool
        Whether the order is the same.
    """

    ours: tuple[int, ...]
    theirs: tuple[int, ...]
    common: int
    top1: bool
    within: bool


@dataclass(eq=False)
class Comparison:
    """The outcome: what was compared, how far apart it is, and what could not be compared.

    Attributes
    ----------
    ours, theirs : cam.fidelity.results.StoredResult
        What was compared, with what follows from it.
    tolerance : cam.fidelity.Tolerance
        What counts as the same.
    quantities : list of ComparedQuantity
        The quantities that both have.
    ranking : Ranking or None
        For the order of the classes, if both have one.
    """

    ours: results.StoredResult
    theirs: results.StoredResult
    tolerance: Tolerance
    quantities: list[ComparedQuantity] = field(default_factory=list)
    ranking: Ranking | None = None
    _notes: dict[str, list[str]] = field(default_factory=dict, init=False, repr=False)

    def add_note(self, text: str, quantity: str | None = None) -> None:
        """Add a note, once for all the quantities that it is about."""
        self._notes.setdefault(text, []).extend([] if quantity is None else [quantity])

    @property
    def notes(self) -> list[str]:
        """What was assumed, looks wrong, or could not be lined up, as lines of text."""
        return [
            f"{', '.join(quantities)}: {text}" if quantities else text
            for text, quantities in self._notes.items()
        ]

    @property
    def knows_classes(self) -> bool:
        """Whether both sides say which classes they show."""
        return self.ours.classes is not None and self.theirs.classes is not None

    @property
    def differences(self) -> dict[str, Difference]:
        """How far apart each quantity is, by its name."""
        return {quantity.name: quantity.difference for quantity in self.quantities}

    @property
    def within(self) -> bool:
        """Whether everything is within the tolerance."""
        same_order = self.ranking is None or self.ranking.within
        return same_order and all(apart.within for apart in self.differences.values())

    def to_dict(self) -> dict[str, Any]:
        """Return the report, ready for JSON. Classes are counted from 0."""
        return {
            "ours": self.ours.to_dict(),
            "theirs": self.theirs.to_dict(),
            "within": self.within,
            "tolerance": asdict(self.tolerance),
            "index_base": 0,
            "ranking": None if self.ranking is None else asdict(self.ranking),
            "quantities": [quantity.to_dict() for quantity in self.quantities],
            "notes": self.notes,
        }


@checked
def compare_files(
    ours: Path,
    theirs: Path,
    tolerance: Tolerance | None = None,
    rank: int | None = None,
    network: Path | None = None,
) -> Comparison:
    """Compare what two files or folders hold.

    Parameters
    ----------
    ours, theirs : pathlib.Path
        Anything that `cam.fidelity.results.read_result` reads.
    tolerance : cam.fidelity.Tolerance, optional
        What counts as the same.
    rank : int, optional
        For the picture of a heat map: the rank of its class, from 0.
    network : pathlib.Path, optional
        A ``.mat`` file with the class layer, with which features are compared with maps.

    Returns
    -------
    Comparison
        The outcome.

    Raises
    ------
    CamError
        If a file cannot be read, or the two have nothing in common that can be lined up.

    Examples
    --------
    >>> compare_files(Path("out/img1"), Path("octave_img1.mat")).within  # doctest: +SKIP
    True
    """
    class_weights = None if network is None else load_network(network).class_weights
    # A MATLAB file of version 7.3 is read in a process of its own: two start side by side.
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(partial(results.read_result, rank=rank), (ours, theirs))
    return compare(first, second, tolerance, class_weights)


@checked
def compare(
    ours: results.StoredResult,
    theirs: results.StoredResult,
    tolerance: Tolerance | None = None,
    class_weights: NDArray[np.float32] | None = None,
) -> Comparison:
    """Compare what two sides hold; see `compare_files`.

    Classes are lined up by their index where both sides know it, and by rank otherwise. One center
    crop is lined up with the center crop of ten.

    Parameters
    ----------
    ours, theirs : cam.fidelity.results.StoredResult
        The two sides, which stay as they are.
    tolerance : cam.fidelity.Tolerance, optional
        What counts as the same.
    class_weights : numpy.ndarray, optional
        Shape (C, K): the class layer for features that come without one.

    Returns
    -------
    Comparison
        The outcome.

    Raises
    ------
    CamError
        If they have nothing in common that can be lined up; the message says why.
    """
    outcome = Comparison(*derive(ours, theirs, class_weights), tolerance or Tolerance())
    for note in (*ours.notes, *theirs.notes):
        outcome.add_note(note)
    _compare_rankings(outcome)
    sides = outcome.ours, outcome.theirs
    for name in results.WHOLE:
        if all(name in side.whole for side in sides):
            _add(outcome, name, (), *([side.whole[name]] for side in sides))
    _compare_by_class(outcome)
    _hint_at_style(outcome)
    if not outcome.quantities and outcome.ranking is None:
        not_lined_up = [note for note in outcome.notes if note.endswith(NOT_COMPARED)]
        held = [f"{side.path} holds {', '.join(side.holds)}" for side in sides]
        reasons = not_lined_up or [*held, *outcome.notes]
        raise CamError(f"nothing to compare: {'; '.join(reasons)}")
    return outcome


def _compare_rankings(outcome: Comparison) -> None:
    if outcome.ours.classes is None or outcome.theirs.classes is None:
        return
    ours, theirs = outcome.ours.classes.tolist(), outcome.theirs.classes.tolist()
    count = min(len(ours), len(theirs), results.TOP)
    first, second = tuple(ours[:count]), tuple(theirs[:count])
    common = len(set(first) & set(second))
    outcome.ranking = Ranking(first, second, common, first[:1] == second[:1], first == second)
    if first == second:
        return
    if {index - other for index, other in zip(first, second, strict=True)} in ({1}, {-1}):
        outcome.add_note(
            "the classes are all off by one: one of the two was counted from the other base"
        )
    for side, other in ((outcome.ours, second), (outcome.theirs, first)):
        first_of_ten = side.whole.get("crop_scores", np.empty((1, 0)))[0]
        if tuple(MatlabStyle().class_order(first_of_ten)[:count].tolist()) == other:
            outcome.add_note(
                "the classes are those of the first crop alone, not of the mean of the crops: so "
                "the original demo.m orders them with its own data_img1.mat, whose scores are "
                "1 x 1 x 1000 x 10 (cam matlab-demo --first-crop does the same)"
            )


def _compare_by_class(outcome: Comparison) -> None:
    ours, theirs = outcome.ours, outcome.theirs
    names = [name for name in results.OF_CLASSES if name in ours.by_rank and name in theirs.by_rank]
    if "scores" in ours.whole and "scores" in theirs.whole:
        names = [name for name in names if name != "probabilities"]
    by_class = outcome.knows_classes
    if names and not by_class:
        sides = {"ours": ours, "theirs": theirs}
        unknown = " and ".join(name for name, side in sides.items() if side.classes is None)
        outcome.add_note(f"lined up by rank: {unknown} does not say which classes it shows")
    kind = "class" if by_class else "rank"
    for name in names:
        first, second = (side.of_each(name, by_class) for side in (ours, theirs))
        keys = _in_joint_order(first, second)
        if not keys:
            held = f"ours {_list(first)}, theirs {_list(second)}"
            outcome.add_note(f"no {kind} in common, {held}{NOT_COMPARED}", name)
            continue
        left_over = sorted(first.keys() ^ second.keys())
        if left_over and name != "probabilities":
            text = f"only one of the two has {kind} {_list(left_over)} (counted from 0)"
            outcome.add_note(text, name)
        _add(outcome, name, keys, *([side[key] for key in keys] for side in (first, second)))


def _in_joint_order(first: Iterable[int], second: Iterable[int]) -> tuple[int, ...]:
    """Return what both have, by the sum of its places: no matter which of the two is first."""
    places = [{key: place for place, key in enumerate(side)} for side in (first, second)]
    common = places[0].keys() & places[1].keys()
    return tuple(sorted(common, key=lambda key: (places[0][key] + places[1][key], key)))


def _list(numbers: Iterable[int]) -> str:
    shown = list(numbers)
    return ", ".join(map(str, shown[: results.TOP])) + (" …" if len(shown) > results.TOP else "")


def _add(outcome: Comparison, name: str, classes: tuple[int, ...], *sides: Sequence[Array]) -> None:
    """Line up the crops, measure, and say so if other axes would fit better.

    Each of the two sides holds one array for each class, or the one array of a whole quantity.
    """
    are_uniform = all(len({array.shape for array in side}) == 1 for side in sides)
    if name in results.WITH_CROPS and are_uniform:
        sides = tuple(map(list, _line_up_crops(outcome, name, *map(np.stack, sides))))
    shapes = sorted({array.shape for side in sides for array in side})
    if len(shapes) > 1:
        sizes = ", ".join(" x ".join(map(str, shape)) for shape in shapes)
        outcome.add_note(f"of different sizes, {sizes}{NOT_COMPARED}", name)
        return
    first, second = (np.stack(side) if classes else side[0] for side in sides)
    by_class = bool(classes) and outcome.knows_classes
    measured = measure(first, second, outcome.tolerance, results.WHITE.get(name))
    outcome.quantities.append(ComparedQuantity(name, classes, by_class, first, second, measured))
    if not measured.within and name in results.FIELDS:
        _hint_at_swapped_axes(outcome, name, first, second)


def _line_up_crops(outcome: Comparison, name: str, ours: Array, theirs: Array) -> tuple[Array, ...]:
    """Take the center crop of ten where the other has one crop, and undo another order of crops.

    The crops are the second axis.
    """
    counts = {ours.shape[1], theirs.shape[1]}
    if counts == {1, 10}:
        outcome.add_note("one crop compared with the center crop of ten", name)
        return tuple(side[:, [CENTER_CROP if len(side[0]) == 10 else 0]] for side in (ours, theirs))
    order = _matching_crops(ours, theirs) if ours.shape == theirs.shape else None
    if order is None:
        return ours, theirs
    shown = " ".join(str(crop + 1) for crop in order)
    outcome.add_note(f"crops of theirs lined up in the order {shown}", name)
    return ours, theirs[:, order]


def _matching_crops(ours: Array, theirs: Array) -> NDArray[np.intp] | None:
    """Return theirs' crops in the order of ours, if that is another one and fits far better."""
    first, second = (
        np.moveaxis(side, 1, 0).reshape(side.shape[1], -1).astype(np.float64)
        for side in (ours, theirs)
    )
    distances = cdist(first, second)
    order: NDArray[np.intp] = distances.argmin(axis=1)
    here = np.arange(len(order))
    # Each crop must be the other's nearest, seen from either side.
    is_one_to_one = np.array_equal(distances.argmin(axis=0)[order], here)
    # This does not hold of what is not a number either, nor where the order is the same.
    fits_far_better = 10 * distances[here, order].sum() < distances.trace()
    return order if is_one_to_one and fits_far_better else None


def _hint_at_swapped_axes(outcome: Comparison, name: str, ours: Array, theirs: Array) -> None:
    if ours.shape[-2] != ours.shape[-1]:
        return
    first, second = ours.astype(np.float64), theirs.astype(np.float64)
    here = correlation(first, second) or 0.0
    if (correlation(first, np.swapaxes(second, -2, -1)) or 0.0) > max(0.95, here + 0.01):
        outcome.add_note("fits better with rows and columns of one of the two swapped", name)


def _hint_at_style(outcome: Comparison) -> None:
    """Say so if heat maps that differ come from other numbers of crops, as far as is known."""
    heat_maps = outcome.differences.get("heat_maps")
    ours, theirs = outcome.ours.crops, outcome.theirs.crops
    if heat_maps is None or heat_maps.within or ours == theirs:
        return
    outcome.add_note(
        f"crops of the picture: ours {ours or 'unknown'}, theirs {theirs or 'unknown'}; compare "
        "like with like, both of one --style (matlab has ten crops, pycaffe one)"
    )
