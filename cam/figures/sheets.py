"""The paper's figure types from any pictures and model, as PNG and PDF.

A figure is a `Sheet`: rows of panels, each a picture with a title above it. The functions named
after figure types make sheets of explanations and boxes; `save_sheet` draws a sheet with matplotlib
and writes it, with the same bytes each time. Nothing on a sheet comes from the paper: each score is
of the explanations given.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from cam.errors import CamError
from cam.files import atomic_path
from cam.zoo.class_names import short_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cam.explain.explanation import Explanation
    from cam.localization.boxes import Box
    from cam.pictures.reading import Picture

__all__ = [
    "FIGURES",
    "BoxedPicture",
    "Heading",
    "Panel",
    "Row",
    "Sheet",
    "boxes_sheet",
    "class_maps_sheet",
    "comparison_sheet",
    "format_score",
    "save_sheet",
    "scenes_sheet",
    "top_classes_sheet",
]

FIGURES = ("class-maps", "top5", "comparison", "boxes", "scenes")
"""The figure types, as `cam figure` names them."""

TRUTH_COLOR, PREDICTED_COLOR = "#00c000", "#ff0000"

# All in inches.
_PANEL, _GAP, _GROUP_GAP, _MARGIN = 1.7, 0.06, 0.22, 0.1
_TITLE_SIZE, _HEADING_SIZE, _SHEET_TITLE_SIZE = 9.0, 10.0, 12.0  # points
_LINE_SPACING = 1.25
_POINTS_PER_INCH = 72.0
_DPI = 200

# Without these matplotlib writes its version and the time into the files.
_METADATA = {
    ".png": {"Software": None},
    ".pdf": {"Creator": None, "Producer": None, "CreationDate": None},
}


@dataclass(frozen=True)
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
    """A text above some columns of a row, from `first` to `last`."""

    text: str
    first: int
    last: int


@dataclass(frozen=True)
class Row:
    """Panels side by side, with headings above and a label at the left."""

    panels: Sequence[Panel | None]
    headings: Sequence[Heading] = ()
    label: str = ""


@dataclass(frozen=True)
class Sheet:
    """A figure: rows of panels under a title, and a legend for boxes below."""

    rows: Sequence[Row]
    title: str = ""
    legend: Sequence[tuple[str, str]] = ()
    """Texts and their colours."""


@dataclass(frozen=True)
class BoxedPicture:
    """A picture with its boxes, for `boxes_sheet`; boxes in the picture's own pixels."""

    picture: Picture
    predicted: Sequence[Box]
    truth: Sequence[Box] = ()
    title: str = ""


def class_maps_sheet(
    explanations: Sequence[Explanation], title: str | None = None, per_row: int = 6
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

    Returns
    -------
    Sheet
        Two rows of panels for each `per_row` pictures; above each map the class's probability.

    Raises
    ------
    CamError
        If there is no explanation, or they are of several classes.
    """
    names = {explanation.names[0] for explanation in _some(explanations)}
    if len(names) > 1:
        raise CamError(f"one class over several pictures, not {len(names)} classes")
    rows = []
    for group in _chunks(explanations, per_row):
        rows.append(Row([Panel(explanation.frame) for explanation in group]))
        rows.append(Row([_map_panel(explanation, name=False) for explanation in group]))
    return Sheet(rows, short_name(names.pop()) if title is None else title)


def top_classes_sheet(explanation: Explanation, title: str = "") -> Sheet:
    """Put a picture beside the maps of its top classes (the paper's figure 4).

    Parameters
    ----------
    explanation : Explanation
        Of any number of classes.
    title : str, optional
        The sheet's title, for example the ground truth.

    Returns
    -------
    Sheet
        One row; above each map the class's name and probability.
    """
    maps = [_map_panel(explanation, rank) for rank in range(len(explanation.indices))]
    return Sheet([Row([Panel(explanation.frame), *maps])], title)


def comparison_sheet(
    columns: Sequence[tuple[str, Sequence[Explanation]]], title: str = ""
) -> Sheet:
    """Put networks and methods side by side, a picture a row (the paper's figure 5).

    Parameters
    ----------
    columns : sequence of pairs
        The heading of each column, and its explanations, each of one class: as many as there are
        pictures, in one order.
    title : str, optional
        The sheet's title.

    Returns
    -------
    Sheet
        One row a picture, with the class's name at its left; the first column has the pictures,
        and above each map stands the class's probability.

    Raises
    ------
    CamError
        If there is no column, or the columns have different lengths.
    """
    lengths = {len(explanations) for _, explanations in _some(columns)}
    if len(lengths) > 1 or 0 in lengths:
        raise CamError("the columns of a comparison are of the same pictures, one or more")
    headings = [
        Heading(text, index, index)
        for index, text in enumerate(["picture", *(heading for heading, _ in columns)])
    ]
    rows = []
    for index, first in enumerate(columns[0][1]):
        maps = [_map_panel(explanations[index], name=False) for _, explanations in columns]
        rows.append(
            Row(
                [Panel(first.frame), *maps],
                headings if index == 0 else (),
                short_name(first.names[0]),
            )
        )
    return Sheet(rows, title)


def boxes_sheet(pictures: Sequence[BoxedPicture], title: str = "", per_row: int = 4) -> Sheet:
    """Put boxes on pictures, ground truth green and predicted red (the paper's figure 6).

    Parameters
    ----------
    pictures : sequence of BoxedPicture
        The pictures with their boxes.
    title : str, optional
        The sheet's title.
    per_row : int, optional
        How many pictures stand side by side.

    Returns
    -------
    Sheet
        The pictures in their own proportions, with a legend.
    """
    rows = [
        Row([Panel(one.picture, one.title, one.predicted, one.truth) for one in group])
        for group in _chunks(_some(pictures), per_row)
    ]
    legend = [("predicted", PREDICTED_COLOR)]
    if any(one.truth for one in pictures):
        legend.insert(0, ("ground truth", TRUTH_COLOR))
    return Sheet(rows, title, legend)


def scenes_sheet(
    labelled: Sequence[tuple[str, Explanation]], title: str = "", per_row: int = 6
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

    Returns
    -------
    Sheet
        Two rows of panels for each `per_row` pictures.
    """
    rows = []
    for group in _chunks(_some(labelled), per_row):
        headings, first = [], 0
        for label, members in groupby(group, key=lambda pair: pair[0]):
            last = first + len(list(members)) - 1
            headings.append(Heading(label, first, last))
            first = last + 1
        rows.append(Row([Panel(explanation.frame) for _, explanation in group], headings))
        rows.append(Row([Panel(explanation.overlay(0)) for _, explanation in group]))
    return Sheet(rows, title)


def save_sheet(sheet: Sheet, path: str | os.PathLike[str]) -> None:
    """Draw a sheet and write it.

    Parameters
    ----------
    sheet : Sheet
        The sheet.
    path : path-like
        The file, ``.png`` (200 dots an inch) or ``.pdf``. The same sheet gives the same bytes.

    Raises
    ------
    CamError
        If matplotlib is not installed, or the file is of another kind or cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _METADATA:
        raise CamError(f"figures are written as {' and '.join(_METADATA)}, not as {path}")
    with _plain_matplotlib():
        figure = _Drawing(sheet).figure()
        for axes in figure.axes:
            for image in axes.images:
                # A PDF keeps the picture's own pixels; a PNG has its own grid to fit them to.
                image.set_interpolation("none" if suffix == ".pdf" else "lanczos")
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=_DPI, metadata=_METADATA[suffix])


@contextmanager
def _plain_matplotlib() -> Iterator[None]:
    """Draw with matplotlib's own defaults, whatever the user's settings are."""
    try:
        import matplotlib
    except ImportError as error:
        raise CamError(
            "figures need matplotlib, which is not installed: pip install matplotlib"
        ) from error

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        # Type 42 keeps text as text, which can be searched and copied.
        matplotlib.rcParams["pdf.fonttype"] = 42
        yield


_Step: TypeAlias = "Callable[[Figure, float], None]"
"""Draws one thing on a figure of a height in inches."""


class _Drawing:
    """Lays out one sheet: from the top down, in inches."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        columns = max(len(row.panels) for row in sheet.rows)
        self._lefts = self._column_lefts(columns)
        self._width = self._lefts[-1] + _PANEL + _MARGIN

    def figure(self) -> Figure:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        # The layout is worked out before the figure's height is known.
        steps: list[_Step] = []
        y = _MARGIN
        if self._sheet.title:
            lines = _wrapped(self._sheet.title, self._width - 2 * _MARGIN, _SHEET_TITLE_SIZE)
            self._lines(steps, y, lines, self._width / 2, _SHEET_TITLE_SIZE)
            y += len(lines) * _line_height(_SHEET_TITLE_SIZE) + _GAP
        for row in self._sheet.rows:
            y = self._row(steps, y, row)
        if self._sheet.legend:
            y = self._legend(steps, y + _GAP / 2)
        figure = Figure(figsize=(self._width, y + _MARGIN), facecolor="white")
        FigureCanvasAgg(figure)
        for step in steps:
            step(figure, y + _MARGIN)
        return figure

    def _column_lefts(self, columns: int) -> list[float]:
        """Return where columns begin; groups of columns under one heading stand apart."""
        has_label = any(row.label for row in self._sheet.rows)
        left = _MARGIN + (_line_height(_HEADING_SIZE) + _GAP if has_label else 0.0)
        ends = {
            heading.last
            for row in self._sheet.rows
            for heading in row.headings
            if any(other.last > other.first for other in row.headings)
        }
        lefts = []
        for column in range(columns):
            lefts.append(left)
            left += _PANEL + (_GROUP_GAP if column in ends else _GAP)
        return lefts

    def _row(self, steps: list[_Step], y: float, row: Row) -> float:
        if row.headings:
            y = self._headings(steps, y, row.headings)
        titles = [
            [] if panel is None else _wrapped(panel.title, _PANEL, _TITLE_SIZE)
            for panel in row.panels
        ]
        title_height = max(len(lines) for lines in titles) * _line_height(_TITLE_SIZE)
        height = max(_fitted(panel)[1] for panel in row.panels if panel is not None)
        for left, lines, panel in zip(self._lefts, titles, row.panels, strict=False):
            if panel is not None:
                # Titles of fewer lines stand at the bottom, next to their pictures.
                top = y + title_height - len(lines) * _line_height(_TITLE_SIZE)
                self._lines(steps, top, lines, left + _PANEL / 2, _TITLE_SIZE)
                self._picture(steps, left, y + title_height, panel)
        top = y + title_height
        if row.label:
            self._label(steps, top + height / 2, row.label, height)
        return top + height + _GAP

    def _headings(self, steps: list[_Step], y: float, headings: Sequence[Heading]) -> float:
        spans = [
            (self._lefts[heading.first], self._lefts[heading.last] + _PANEL) for heading in headings
        ]
        texts = [
            _wrapped(heading.text, right - left, _HEADING_SIZE)
            for heading, (left, right) in zip(headings, spans, strict=True)
        ]
        bottom = y + max(len(lines) for lines in texts) * _line_height(_HEADING_SIZE)
        for lines, (left, right) in zip(texts, spans, strict=True):
            top = bottom - len(lines) * _line_height(_HEADING_SIZE)
            self._lines(steps, top, lines, (left + right) / 2, _HEADING_SIZE)
        return bottom + _GAP / 2

    def _picture(self, steps: list[_Step], left: float, y: float, panel: Panel) -> None:
        width, height = _fitted(panel)
        x = left + (_PANEL - width) / 2

        def draw(figure: Figure, total: float) -> None:
            from matplotlib.patches import Rectangle

            axes = figure.add_axes(
                (x / self._width, 1 - (y + height) / total, width / self._width, height / total)
            )
            axes.set_axis_off()
            axes.imshow(panel.picture[:, :, ::-1], aspect="auto")
            for boxes, color in (
                (panel.truth, TRUTH_COLOR),
                (panel.predicted, PREDICTED_COLOR),
            ):
                for box in boxes:
                    corner = (box.x - 0.5, box.y - 0.5)
                    axes.add_patch(
                        Rectangle(
                            corner, box.width, box.height, fill=False, edgecolor=color, linewidth=2
                        )
                    )
            axes.set_xlim(-0.5, panel.picture.shape[1] - 0.5)
            axes.set_ylim(panel.picture.shape[0] - 0.5, -0.5)

        steps.append(draw)

    def _lines(
        self, steps: list[_Step], y: float, lines: Sequence[str], middle: float, size: float
    ) -> None:
        for number, line in enumerate(lines):
            center = y + (number + 0.5) * _line_height(size)
            steps.append(self._words(line, middle, center, size))

    def _label(self, steps: list[_Step], middle: float, text: str, height: float) -> None:
        line = _wrapped(text, height, _HEADING_SIZE, most_lines=1)[0]
        x = _MARGIN + _line_height(_HEADING_SIZE) / 2
        steps.append(self._words(line, x, middle, _HEADING_SIZE, rotation=90.0))

    def _legend(self, steps: list[_Step], y: float) -> float:
        gap = 3 * _GAP
        widths = [_text_width(text, _TITLE_SIZE) for text, _ in self._sheet.legend]
        x = (self._width - sum(widths) - gap * (len(widths) - 1)) / 2
        for (text, color), width in zip(self._sheet.legend, widths, strict=True):
            center = y + _line_height(_TITLE_SIZE) / 2
            steps.append(self._words(text, x + width / 2, center, _TITLE_SIZE, color=color))
            x += width + gap
        return y + _line_height(_TITLE_SIZE)

    def _words(
        self,
        text: str,
        x: float,
        y: float,
        size: float,
        color: str = "black",
        rotation: float = 0.0,
    ) -> _Step:
        def draw(figure: Figure, total: float) -> None:
            figure.text(
                x / self._width,
                1 - y / total,
                text,
                size=size,
                color=color,
                rotation=rotation,
                ha="center",
                va="center",
                parse_math=False,
            )

        return draw


def format_score(probability: float) -> str:
    """Write a probability as the figures do.

    Examples
    --------
    >>> format_score(0.43944), format_score(0.0002)
    ('0.439', '< 0.001')
    """
    return f"{probability:.3f}" if probability >= 0.001 else "< 0.001"


def _map_panel(explanation: Explanation, rank: int = 0, name: bool = True) -> Panel:
    score = format_score(float(explanation.probabilities[rank]))
    title = f"{short_name(explanation.names[rank])}\n{score}" if name else score
    return Panel(explanation.overlay(rank), title)


def _some(items: Sequence[Any]) -> Sequence[Any]:
    if not items:
        raise CamError("a figure needs a picture")
    return items


def _chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    if size < 1:
        raise CamError(f"{size} pictures a row; it must be 1 or more")
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _fitted(panel: Panel) -> tuple[float, float]:
    """Return the width and height at which a picture fits a panel, in inches."""
    rows, columns = panel.picture.shape[:2]
    scale = _PANEL / max(rows, columns)
    return columns * scale, rows * scale


def _line_height(size: float) -> float:
    return size * _LINE_SPACING / _POINTS_PER_INCH


def _text_width(text: str, size: float) -> float:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    width, _, _ = TextToPath().get_text_width_height_descent(
        text, FontProperties(size=size), ismath=False
    )
    return float(width) / _POINTS_PER_INCH


def _wrapped(text: str, width: float, size: float, most_lines: int = 2) -> list[str]:
    """Break each line of a text into lines that fit a width; the rest becomes an ellipsis."""
    lines: list[str] = []
    for paragraph in text.splitlines():
        broken: list[str] = []
        for word in paragraph.split():
            longer = f"{broken[-1]} {word}" if broken else word
            if broken and (_text_width(longer, size) <= width or len(broken) == most_lines):
                broken[-1] = longer
            else:
                broken.append(word)
        lines += [_cut(line, width, size) for line in broken]
    return lines


def _cut(line: str, width: float, size: float) -> str:
    if _text_width(line, size) <= width:
        return line
    while line and _text_width(f"{line}…", size) > width:
        line = line[:-1]
    return f"{line}…"
