"""Pictures of how well a classifier does: the confusion matrix, and what it is most sure of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cam.errors import CamError
from cam.explain.explanation import Explanation
from cam.figures.sheets import Heading, Panel, Row, Sheet
from cam.figures.types import FigureRequest, FigureType
from cam.files import PathLike, atomic_path
from cam.learning.units import ExcitingPicture, Unit, class_units, exciting_pictures
from cam.zoo import short_name

MOST_NAMED = 60
"""More classes than these have no names at the axes: they would stand over each other."""

_METADATA = {".png": {"Software": None}, ".pdf": {"Creator": None, "Producer": None}}


def save_confusion(
    confusion: NDArray[np.int64], class_names: Sequence[str], path: PathLike
) -> None:
    """Draw a confusion matrix, each row as shares of its class's pictures.

    Parameters
    ----------
    confusion : numpy.ndarray
        int64 (C, C): how many pictures of each class (rows) were taken for each class.
    class_names : sequence of str
        The names of the classes.
    path : path-like
        The ``.png`` file to write. The same matrix gives the same bytes.

    Raises
    ------
    CamError
        If matplotlib is not installed, or the file cannot be written.
    """
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise CamError(
            "figures need matplotlib, which is not installed: pip install matplotlib"
        ) from error
    counts = confusion.sum(axis=1, keepdims=True)
    shares = confusion / np.maximum(counts, 1)
    side = min(4 + 0.16 * len(class_names), 14)
    with matplotlib.rc_context(), atomic_path(path) as temporary:
        matplotlib.rcdefaults()
        figure = Figure(figsize=(side, side), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.set_xlabel("found")
        axes.set_ylabel("class")
        if len(class_names) <= MOST_NAMED:
            ticks, size = range(len(class_names)), 8 if len(class_names) <= 20 else 5
            axes.set_xticks(ticks, class_names, rotation=90, size=size, parse_math=False)
            axes.set_yticks(ticks, class_names, size=size, parse_math=False)
        for row, column in np.argwhere(confusion) if len(class_names) <= 20 else ():
            color = "white" if shares[row, column] > 0.5 else "black"
            text = str(confusion[row, column])
            axes.text(column, row, text, ha="center", va="center", size=8, color=color)
        figure.savefig(temporary, dpi=150, metadata=_METADATA[Path(path).suffix])


def units_sheet(
    classes: Sequence[tuple[str, Sequence[tuple[Unit, Sequence[ExcitingPicture]]]]], title: str = ""
) -> Sheet:
    """Put the pictures that excite a class's units side by side, a unit a row.

    Parameters
    ----------
    classes : sequence of pairs
        The name of each class, and its units with their pictures.
    title : str, optional
        The sheet's title.

    Returns
    -------
    cam.figures.sheets.Sheet
        At the left of each row the unit's number, from 0, and its weight.

    Raises
    ------
    CamError
        If no picture excites a unit.
    """
    rows = []
    for name, units in classes:
        heading = [Heading(short_name(name), 0, 0)]
        for unit, pictures in units:
            panels = [Panel(one.cut()) for one in pictures]
            if panels:
                label = f"unit {unit.number}: {unit.weight:.2g}"
                rows.append(Row(panels, heading, label))
                heading = []
    if not rows:
        raise CamError("no picture excites these units")
    return Sheet(rows, title)


@dataclass(frozen=True)
class _Told:
    """Passes on how many pictures are done."""

    report: Callable[[int], object] | None

    def begin(self, done: int, total: int) -> None:
        """Leave the total as it is."""

    def advance(self, count: int) -> None:
        """Say that so many more are done."""
        if self.report is not None:
            self.report(count)


def _units(request: FigureRequest) -> Sheet:
    if request.named_class is None:
        raise CamError("units are those of a class: name it with --class")
    index = request.model.class_index(request.named_class)
    units = class_units(request.model.network, index, request.units)
    found = exciting_pictures(
        request.model,
        request.entries,
        [unit.number for unit in units],
        request.best,
        request.share,
        progress=_Told(request.report),
    )
    pictures = [(unit, found[unit.number]) for unit in units]
    return units_sheet([(request.model.class_names[index], pictures)], request.title or "")


UNITS = FigureType(
    "what the units with a class's largest weights see in pictures (section 5)",
    _units,
    ("named_classes", "best", "units", "share"),
    one_pass=True,
)
"""The figure of section 5, for `cam figure`."""


def most_sure_and_wrong_sheet(
    sure: Sequence[tuple[str, Explanation]], wrong: Sequence[tuple[str, Explanation]]
) -> Sheet:
    """Put the pictures that a classifier is most sure of above those that it is most wrong about.

    Parameters
    ----------
    sure, wrong : sequence of pairs
        Each picture's title and its explanation, whose first class is shown over it.

    Returns
    -------
    cam.figures.sheets.Sheet
        Two rows of panels for each kind: the pictures, and the maps of the classes found.

    Raises
    ------
    CamError
        If there is no picture.
    """
    rows = []
    for heading, pictures in (("most sure, and right", sure), ("most wrong", wrong)):
        if not pictures:
            continue
        panels = [Panel(explanation.frame, title) for title, explanation in pictures]
        rows.append(Row(panels, [Heading(heading, 0, len(panels) - 1)]))
        rows.append(Row([Panel(explanation.overlay(0)) for _, explanation in pictures]))
    if not rows:
        raise CamError("a figure needs a picture")
    return Sheet(rows)
