"""What stands on the paper's figures: rows of panels, each a picture with a title above it.

The functions named after figure types make sheets of explanations and boxes; `cam.figures.drawing`
draws a sheet. Nothing on a sheet comes from the paper: each score is of the explanations given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

from cam.errors import InvalidValueError
from cam.explain.drawing import PUBLISHED, Drawing
from cam.explain.explanation import Explanation
from cam.localization import Box
from cam.pictures.reading import Picture
from cam.zoo import short_name

TRUTH_COLOR, PREDICTED_COLOR = "#00c000", "#ff0000"

Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class Panel:
    """A picture on a sheet.

    Attributes
    ----------
    picture : numpy.ndarray
        uint8 (H, W, 3) BGR, any size; it is fitted into the panel.
    title : str
        What stands above it. Long titles are broken into lines.
    predicted, truth : sequence of Box
        Boxes on it, in its pixels: red and green.
    """

    picture: Picture
    title: str = ""
    predicted: Sequence[Box] = ()
    truth: Sequence[Box] = ()


@dataclass(frozen=True)
class Heading:
    """A text above some columns of a row, from `first` to `last`, both from 0."""

    text: str
    first: int
    last: int


@dataclass(frozen=True, eq=False)
class Row:
    """Panels side by side, with headings above and a label at the left."""

    panels: Sequence[Panel]
    headings: Sequence[Heading] = ()
    label: str = ""


@dataclass(frozen=True, eq=False)
class Sheet:
    """A figure: rows of panels under a title, and a legend for boxes below.

    Attributes
    ----------
    rows : sequence of Row
        The rows from the top.
    title : str
        What stands above all.
    legend : sequence of (str, str)
        Texts and their colours.
    """

    rows: Sequence[Row]
    title: str = ""
    legend: Sequence[tuple[str, str]] = ()


def class_maps_sheet(
    explanations: Sequence[Explanation],
    title: str | None = None,
    per_row: int = 6,
    drawing: Drawing = PUBLISHED,
) -> Sheet:
    """Put the maps of one class over several pictures, the pictures above (the paper's figure 3).

    Parameters
    ----------
    explanations : sequence of Explanation
        Of one class each: see `cam.explain.explanation.Explanation.of_class`.
    title : str, optional
        The sheet's title; the class's name if not given.
    per_row : int, optional
        How many pictures stand side by side.
    drawing : cam.explain.drawing.Drawing, optional
        How maps lie over pictures; as published if not given.

    Returns
    -------
    Sheet
        Two rows of panels for each `per_row` pictures; above each map the class's probability.

    Raises
    ------
    InvalidValueError
        If there is no explanation, or they are of several classes.
    """
    names = {explanation.names[0] for explanation in _some(explanations)}
    if len(names) > 1:
        raise InvalidValueError(f"one class over several pictures, not {len(names)} classes")
    rows = []
    for group in _chunks(explanations, per_row):
        pictures, overlays = zip(*(one.drawn(drawing, [0]) for one in group), strict=True)
        rows.append(Row([Panel(picture) for picture in pictures]))
        scores = map(_score, group)
        rows.append(Row([Panel(*panel) for panel in zip(overlays, scores, strict=True)]))
    return Sheet(rows, short_name(names.pop()) if title is None else title)


def top_classes_sheet(
    explanation: Explanation, title: str = "", drawing: Drawing = PUBLISHED
) -> Sheet:
    """Put a picture beside the maps of its top classes (the paper's figure 4).

    Parameters
    ----------
    explanation : Explanation
        Of any number of classes.
    title : str, optional
        The sheet's title, for example the ground truth.
    drawing : cam.explain.drawing.Drawing, optional
        How maps lie over pictures; as published if not given.

    Returns
    -------
    Sheet
        One row; above each map the class's name and probability.
    """
    ranks = range(len(explanation.indices))
    texts = ["", *(name_and_score(explanation, rank) for rank in ranks)]
    drawn = explanation.drawn(drawing, ranks)
    return Sheet([Row([Panel(*panel) for panel in zip(drawn, texts, strict=True)])], title)


def comparison_sheet(
    columns: Sequence[tuple[str, Sequence[Explanation]]],
    title: str = "",
    drawing: Drawing = PUBLISHED,
) -> Sheet:
    """Put networks and methods side by side, a picture a row (the paper's figure 5).

    Parameters
    ----------
    columns : sequence of pairs
        The heading of each column, and its explanations, each of one class: as many as there are
        pictures, in one order.
    title : str, optional
        The sheet's title.
    drawing : cam.explain.drawing.Drawing, optional
        How maps lie over pictures; as published if not given.

    Returns
    -------
    Sheet
        One row a picture, with the class's name at its left; the first column has the pictures,
        and above each map stands the class's probability.

    Raises
    ------
    InvalidValueError
        If there is no column, or the columns have different lengths.
    """
    lengths = {len(explanations) for _, explanations in _some(columns)}
    if len(lengths) > 1 or 0 in lengths:
        raise InvalidValueError("the columns of a comparison are of the same pictures, one or more")
    texts = ["picture", *(heading for heading, _ in columns)]
    headings = [Heading(text, index, index) for index, text in enumerate(texts)]
    rows: list[Row] = []
    for index, first in enumerate(columns[0][1]):
        of_picture = [explanations[index] for _, explanations in columns]
        drawn = [one.drawn(drawing, [0]) for one in of_picture]
        maps = [
            Panel(overlay, _score(one)) for (_, overlay), one in zip(drawn, of_picture, strict=True)
        ]
        label = short_name(first.names[0])
        rows.append(Row([Panel(drawn[0][0]), *maps], () if rows else headings, label))
    return Sheet(rows, title)


def boxes_sheet(panels: Sequence[Panel], title: str = "", per_row: int = 4) -> Sheet:
    """Put boxes on pictures, ground truth green and predicted red (the paper's figure 6).

    Parameters
    ----------
    panels : sequence of Panel
        The pictures with their boxes.
    title : str, optional
        The sheet's title.
    per_row : int, optional
        How many pictures stand side by side.

    Returns
    -------
    Sheet
        The pictures in their own proportions, with a legend.

    Raises
    ------
    InvalidValueError
        If there is no picture.
    """
    rows = [Row(group) for group in _chunks(_some(panels), per_row)]
    legend = [("predicted", PREDICTED_COLOR)]
    if any(panel.truth for panel in panels):
        legend.insert(0, ("ground truth", TRUTH_COLOR))
    return Sheet(rows, title, legend)


def scenes_sheet(
    labelled: Sequence[tuple[str, Explanation]],
    title: str = "",
    per_row: int = 6,
    drawing: Drawing = PUBLISHED,
) -> Sheet:
    """Put actions or scenes above their maps in two rows (the paper's figure 8).

    Parameters
    ----------
    labelled : sequence of pairs
        The label of each picture and its explanation. Neighbours of one label stand under one
        heading.
    title : str, optional
        The sheet's title, for example the data set.
    per_row : int, optional
        How many pictures stand side by side.
    drawing : cam.explain.drawing.Drawing, optional
        How maps lie over pictures; as published if not given.

    Returns
    -------
    Sheet
        Two rows of panels for each `per_row` pictures.

    Raises
    ------
    InvalidValueError
        If there is no picture.
    """
    rows = []
    for group in _chunks(_some(labelled), per_row):
        labels, explanations = zip(*group, strict=True)
        places = groupby(range(len(group)), labels.__getitem__)
        headings = [Heading(label, run[0], run[-1]) for label, (*run,) in places]
        pictures, overlays = zip(*(one.drawn(drawing, [0]) for one in explanations), strict=True)
        rows.append(Row([Panel(picture) for picture in pictures], headings))
        rows.append(Row([Panel(overlay) for overlay in overlays]))
    return Sheet(rows, title)


def format_score(probability: float) -> str:
    """Write a probability as the figures do.

    Examples
    --------
    >>> format_score(0.43944), format_score(0.0002)
    ('0.439', '< 0.001')
    """
    return f"{probability:.3f}" if probability >= 0.001 else "< 0.001"


def _score(explanation: Explanation, rank: int = 0) -> str:
    return format_score(float(explanation.probabilities[rank]))


def name_and_score(explanation: Explanation, rank: int = 0) -> str:
    """Return the name of a class and its probability, one above the other."""
    return f"{short_name(explanation.names[rank])}\n{_score(explanation, rank)}"


def _some(items: Sequence[Item]) -> Sequence[Item]:
    if not items:
        raise InvalidValueError("a figure needs a picture")
    return items


def _chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    if size < 1:
        raise InvalidValueError(f"{size} pictures a row; it must be 1 or more")
    for start in range(0, len(items), size):
        yield items[start : start + size]
