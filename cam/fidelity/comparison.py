"""Comparing results: ours with ours, with the original's MATLAB files, and with its pictures.

`compare` lines up what two files hold, class by class and crop by crop, and measures how far
apart they are. `cam.fidelity.comparables` reads the files, `cam.fidelity.picture` draws the
outcome.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cam.errors import CamError
from cam.explain.styles import MatlabStyle
from cam.fidelity.comparables import Comparable, add_maps, complete, read_comparable
from cam.matlab.matfiles import load_network

__all__ = [
    "Comparison",
    "Difference",
    "Ranking",
    "Tolerance",
    "compare",
    "compare_files",
    "difference",
]

Array: TypeAlias = NDArray[Any]

PICTURES = {"heat_maps": 1.0, "heat_pictures": 255.0, "overlays": 255.0, "frame": 255.0}
"""The quantities that are judged by grey levels, and their white."""

CROP_AXES = {"activations": 0, "crop_scores": 0, "maps": 1}
MAP_AXES = {"activations": (2, 3), "maps": (2, 3), "merged": (1, 2), "heat_maps": (1, 2)}

NOT_COMPARED = "; not compared"

CENTER_CROP = 4
TOP = 5

ROUNDING = 1e-4
"""Grey levels that a difference of whole levels may be off by, stored in single precision."""


@dataclass(frozen=True)
class Tolerance:
    """What still counts as the same.

    Attributes
    ----------
    relative : float
        The largest difference of numbers, as a share of the largest magnitude of theirs.
    levels : float
        The largest difference of pixels, of 255 grey levels.
    share : float
        The share of the pixels that must be within `levels`.
    """

    relative: float = 1e-3
    levels: float = 1.0
    share: float = 0.999


@dataclass(frozen=True)
class Difference:
    """How far apart a quantity is.

    Attributes
    ----------
    quantity : str
        Its name; see `cam.fidelity.comparables.Comparable`.
    shape : tuple of int
        What was compared; the first axis is the classes where `classes` is not empty.
    classes : tuple of int
        The classes lined up, counted from 0, or ranks from 0; see `by_class`.
    by_class : bool
        Whether `classes` are classes; they are ranks where a side does not know its classes.
    max_abs, mean_abs : float
        Largest and mean absolute difference.
    relative : float
        `max_abs` over the largest magnitude of theirs.
    correlation : float or None
        Pearson's; None where one of the two is constant.
    within_one_level : float
        The share of the values no further apart than one of 255 levels, of white for pictures and
        of the range of theirs for numbers.
    within : bool
        Whether it is within the tolerance.
    """

    quantity: str
    shape: tuple[int, ...]
    classes: tuple[int, ...]
    by_class: bool
    max_abs: float
    mean_abs: float
    relative: float
    correlation: float | None
    within_one_level: float
    within: bool


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


@dataclass(frozen=True)
class Pair:
    """A quantity of both, lined up: arrays of one shape.

    Attributes
    ----------
    quantity : str
        Its name.
    classes : tuple of int
        What the first axis is, for a quantity of classes: classes or ranks, counted from 0.
    by_class : bool
        Whether they are classes.
    ours, theirs : numpy.ndarray
        The arrays.
    """

    quantity: str
    classes: tuple[int, ...]
    by_class: bool
    ours: Array
    theirs: Array


@dataclass
class Comparison:
    """The outcome: what was compared, how far apart it is, and what could not be compared.

    Attributes
    ----------
    ours, theirs : cam.fidelity.comparables.Comparable
        What was compared.
    tolerance : Tolerance
        What counts as the same.
    differences : list of Difference
        For each quantity that both have.
    ranking : Ranking or None
        For the order of the classes, if both have one.
    pairs : list of Pair
        The arrays, lined up.
    remarks : dict of str to list of str
        What was assumed, looks wrong, or could not be lined up, and the quantities that it is
        about.
    """

    ours: Comparable
    theirs: Comparable
    tolerance: Tolerance
    differences: list[Difference] = field(default_factory=list)
    ranking: Ranking | None = None
    pairs: list[Pair] = field(default_factory=list)
    remarks: dict[str, list[str]] = field(default_factory=dict)

    def remark(self, text: str, quantity: str | None = None) -> None:
        """Add a remark, once for all the quantities that it is about."""
        self.remarks.setdefault(text, []).extend([] if quantity is None else [quantity])

    @property
    def notes(self) -> list[str]:
        """The remarks as lines of text."""
        return [
            f"{', '.join(quantities)}: {text}" if quantities else text
            for text, quantities in self.remarks.items()
        ]

    @property
    def within(self) -> bool:
        """Whether everything is within the tolerance."""
        return all(difference.within for difference in self.differences) and (
            self.ranking is None or self.ranking.within
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the report, ready for JSON. Classes are counted from 0."""
        sides = {
            name: {"path": str(side.path), "kind": side.kind, "holds": side.holds()}
            for name, side in (("ours", self.ours), ("theirs", self.theirs))
        }
        return {
            **sides,
            "within": self.within,
            "tolerance": asdict(self.tolerance),
            "index_base": 0,
            "ranking": None if self.ranking is None else asdict(self.ranking),
            "quantities": [_without_infinity(asdict(entry)) for entry in self.differences],
            "notes": self.notes,
        }


def _without_infinity(entry: dict[str, Any]) -> dict[str, Any]:
    """Replace infinity, which JSON does not have, by None."""
    return {key: None if value == np.inf else value for key, value in entry.items()}


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
        Anything that `cam.fidelity.comparables.read_comparable` reads.
    tolerance : Tolerance, optional
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
    """
    first, second = read_comparable(ours, rank), read_comparable(theirs, rank)
    if network is not None:
        class_weights = load_network(network).class_weights
        add_maps(first, second, class_weights)
        add_maps(second, first, class_weights)
    return compare(first, second, tolerance)


def compare(ours: Comparable, theirs: Comparable, tolerance: Tolerance | None = None) -> Comparison:
    """Compare what two sides hold; see `compare_files`.

    Classes are lined up by their index where both sides know it, and by rank otherwise. One center
    crop is lined up with the center crop of ten.

    Raises
    ------
    CamError
        If they have nothing in common that can be lined up; the message says why.
    """
    outcome = Comparison(ours, theirs, tolerance or Tolerance())
    for note in (*ours.notes, *theirs.notes):
        outcome.remark(note)
    for side, other in ((ours, theirs), (theirs, ours)):
        add_maps(side, other)
    for side, other in ((ours, theirs), (theirs, ours)):
        complete(side, other)
    _compare_rankings(outcome)
    for quantity in [name for name in ours.whole if name in theirs.whole]:
        _add(outcome, quantity, (), ours.whole[quantity], theirs.whole[quantity])
    _compare_classes(outcome)
    if not outcome.differences and outcome.ranking is None:
        not_lined_up = [note for note in outcome.notes if note.endswith(NOT_COMPARED)]
        reasons = not_lined_up or [
            *(f"{side.path} holds {', '.join(side.holds())}" for side in (ours, theirs)),
            *outcome.notes,
        ]
        raise CamError(f"nothing to compare: {'; '.join(reasons)}")
    return outcome


def difference(pair: Pair, tolerance: Tolerance) -> Difference:
    """Measure how far apart a quantity is.

    Parameters
    ----------
    pair : Pair
        The quantity; those of `PICTURES` are judged by grey levels, others by numbers.
    tolerance : Tolerance
        What counts as the same.

    Returns
    -------
    Difference
        The measures.

    Examples
    --------
    >>> scores = Pair("scores", (), False, np.array([0.5, 0.25]), np.array([0.5, 0.125]))
    >>> difference(scores, Tolerance()).max_abs
    0.125
    """
    first, second = pair.ours.astype(np.float64), pair.theirs.astype(np.float64)
    with np.errstate(invalid="ignore"):
        apart = np.abs(first - second)
    # Where either is not a finite number, the other must be the same.
    apart[(first == second) | (np.isnan(first) & np.isnan(second))] = 0.0
    apart[np.isnan(apart)] = np.inf
    known = second[np.isfinite(second)]
    largest, magnitude = float(apart.max()), float(np.abs(known).max(initial=0.0))
    white = PICTURES.get(pair.quantity) or (float(np.ptp(known)) if known.size else 0.0)
    levels = apart * (255.0 / white) if white else np.where(apart > 0, np.inf, 0.0)
    relative = largest / magnitude if magnitude else (np.inf if largest else 0.0)
    if pair.quantity in PICTURES:
        within = float(np.mean(levels <= tolerance.levels + ROUNDING)) >= tolerance.share
    else:
        within = relative <= tolerance.relative
    return Difference(
        pair.quantity,
        pair.ours.shape,
        pair.classes,
        pair.by_class,
        largest,
        float(apart.mean()),
        float(relative),
        _correlation(first, second),
        float(np.mean(levels <= 1.0 + ROUNDING)),
        within,
    )


def _correlation(first: Array, second: Array) -> float | None:
    x, y = first.ravel(), second.ravel()
    known = np.isfinite(x) & np.isfinite(y)
    if not known.all():
        x, y = x[known], y[known]
    if not x.size or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    if np.array_equal(x, y):
        return 1.0
    x, y = x - x.mean(), y - y.mean()
    return float(np.dot(x, y) / np.sqrt(np.dot(x, x) * np.dot(y, y)))


def _compare_rankings(outcome: Comparison) -> None:
    ours, theirs = outcome.ours.classes, outcome.theirs.classes
    if ours is None or theirs is None:
        return
    count = min(len(ours), len(theirs), TOP)
    first, second = ours[:count].tolist(), theirs[:count].tolist()
    common = len(set(first) & set(second))
    outcome.ranking = Ranking(
        tuple(first), tuple(second), common, first[0] == second[0], first == second
    )
    if first == second:
        return
    shifts = set((ours[:count] - theirs[:count]).tolist())
    if shifts in ({1}, {-1}):
        outcome.remark(
            "the classes are all off by one: one of the two was counted from the other base"
        )
    for side, other in ((outcome.ours, second), (outcome.theirs, first)):
        crop_scores = side.whole.get("crop_scores")
        if crop_scores is None or len(crop_scores) == 1:
            continue
        order = MatlabStyle().class_order(crop_scores[0])[:count].tolist()
        if order == other:
            outcome.remark(
                "the classes are those of the first crop alone, not of the mean of the crops: so "
                "the original demo.m orders them with its own data_img1.mat, whose scores are "
                "1 x 1 x 1000 x 10 (cam matlab-demo --first-crop does the same)"
            )


def _compare_classes(outcome: Comparison) -> None:
    ours, theirs = outcome.ours, outcome.theirs
    quantities = [name for name in ours.by_rank if name in theirs.by_rank]
    if "scores" in ours.whole and "scores" in theirs.whole:
        quantities = [name for name in quantities if name != "probabilities"]
    by_rank = ours.classes is None or theirs.classes is None
    if quantities and by_rank:
        unknown = " and ".join(
            name for name, side in (("ours", ours), ("theirs", theirs)) if side.classes is None
        )
        outcome.remark(f"lined up by rank: {unknown} does not say which classes it shows")
    kind = "rank" if by_rank else "class"
    for quantity in quantities:
        first, second = _keyed(ours, theirs, quantity)
        common = [key for key in first if key in second]
        if not common:
            outcome.remark(
                f"no {kind} in common, ours {_list(first)}, theirs {_list(second)}{NOT_COMPARED}",
                quantity,
            )
            continue
        left_over = [key for key in (*first, *second) if (key in first) != (key in second)]
        if left_over and quantity != "probabilities":
            outcome.remark(
                f"only one of the two has {kind} {_list(left_over)} (counted from 0)", quantity
            )
        shapes = {side[key].shape for side in (first, second) for key in common}
        if len({shape[1:] if quantity == "maps" else shape for shape in shapes}) > 1:
            sizes = ", ".join(" x ".join(map(str, shape)) for shape in sorted(shapes))
            outcome.remark(f"of different sizes, {sizes}{NOT_COMPARED}", quantity)
            continue
        _add(
            outcome,
            quantity,
            tuple(common),
            np.stack([first[key] for key in common]),
            np.stack([second[key] for key in common]),
        )


def _keyed(
    ours: Comparable, theirs: Comparable, quantity: str
) -> tuple[dict[int, Array], dict[int, Array]]:
    """Return the arrays of a quantity by class, or by rank where a side does not know classes."""

    def by_class(side: Comparable) -> dict[int, Array]:
        classes = side.classes
        if classes is None:
            return {}
        held = side.by_rank[quantity].items()
        return {int(classes[rank]): array for rank, array in held if rank < len(classes)}

    if ours.classes is not None and theirs.classes is not None:
        return by_class(ours), by_class(theirs)
    return ours.by_rank[quantity], theirs.by_rank[quantity]


def _list(numbers: Iterable[int]) -> str:
    shown = list(numbers)
    return ", ".join(map(str, shown[:TOP])) + (" …" if len(shown) > TOP else "")


def _add(
    outcome: Comparison, quantity: str, classes: tuple[int, ...], ours: Array, theirs: Array
) -> None:
    """Line up the crops, measure, and say so if other axes would fit better."""
    if quantity in CROP_AXES:
        ours, theirs = _line_up_crops(outcome, quantity, ours, theirs)
    if ours.shape != theirs.shape:
        sizes = (" x ".join(map(str, array.shape)) for array in (ours, theirs))
        outcome.remark(f"ours {', theirs '.join(sizes)}{NOT_COMPARED}", quantity)
        return
    by_class = outcome.ours.classes is not None and outcome.theirs.classes is not None
    pair = Pair(quantity, classes, by_class and bool(classes), ours, theirs)
    measured = difference(pair, outcome.tolerance)
    outcome.pairs.append(pair)
    outcome.differences.append(measured)
    if not measured.within and quantity in MAP_AXES:
        _hint_at_swapped_axes(outcome, quantity, ours, theirs)


def _line_up_crops(
    outcome: Comparison, quantity: str, ours: Array, theirs: Array
) -> tuple[Array, Array]:
    """Take the center crop of ten where the other has one crop, and undo another order of crops."""
    axis = CROP_AXES[quantity]
    counts = ours.shape[axis], theirs.shape[axis]
    if sorted(counts) == [1, 10]:
        outcome.remark("one crop compared with the center crop of ten", quantity)
        center = [CENTER_CROP]
        if counts[0] == 1:
            return ours, theirs.take(center, axis=axis)
        return ours.take(center, axis=axis), theirs
    if ours.shape != theirs.shape or counts[0] == 1:
        return ours, theirs
    order = _matching_crops(np.moveaxis(ours, axis, 0), np.moveaxis(theirs, axis, 0))
    if order is None:
        return ours, theirs
    shown = " ".join(str(crop + 1) for crop in order)
    outcome.remark(f"crops of theirs lined up in the order {shown}", quantity)
    return ours, theirs.take(order, axis=axis)


def _matching_crops(ours: Array, theirs: Array) -> NDArray[np.intp] | None:
    """Return theirs' crops in the order of ours, if that is another one and fits far better."""
    first = ours.reshape(len(ours), -1).astype(np.float64)
    second = theirs.reshape(len(theirs), -1).astype(np.float64)
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return None
    squares = (first**2).sum(axis=1)[:, np.newaxis] + (second**2).sum(axis=1)
    distances = np.sqrt(np.maximum(squares - 2 * first @ second.T, 0))
    order: NDArray[np.intp] = distances.argmin(axis=1)
    here = np.arange(len(order))
    if len(set(order.tolist())) < len(order) or np.array_equal(order, here):
        return None
    return order if 10 * distances[here, order].sum() < distances.trace() else None


def _hint_at_swapped_axes(outcome: Comparison, quantity: str, ours: Array, theirs: Array) -> None:
    row, column = MAP_AXES[quantity]
    if ours.shape[row] != ours.shape[column]:
        return
    turned = np.swapaxes(theirs, row, column).astype(np.float64)
    here = _correlation(ours.astype(np.float64), theirs.astype(np.float64))
    if (_correlation(ours.astype(np.float64), turned) or 0.0) > max(0.95, (here or 0.0) + 0.01):
        outcome.remark("theirs fits better with rows and columns swapped", quantity)
