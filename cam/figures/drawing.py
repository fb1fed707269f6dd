"""Drawing a sheet with matplotlib: its layout, and its files with the same bytes each time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cam.errors import InvalidValueError
from cam.figures.sheets import PREDICTED_COLOR, TRUTH_COLOR, Panel, Row, Sheet
from cam.files import PathLike
from cam.pictures.matplotlib_files import FORMATS, plain_matplotlib, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


USUAL_FORMATS = (".png", ".pdf")
"""What a figure is written as where its path has no extension."""

_OTHER_FORMATS = frozenset(
    (".bmp", ".eps", ".gif", ".jpeg", ".jpg", ".pgf", ".ps", ".svgz", ".tif", ".tiff", ".webp")
)

# All in inches.
_PANEL, _GAP, _GROUP_GAP, _MARGIN = 1.7, 0.06, 0.22, 0.1
_TITLE_SIZE, _HEADING_SIZE, _SHEET_TITLE_SIZE = 9.0, 10.0, 12.0  # points
_LINE_SPACING = 1.25
_POINTS_PER_INCH = 72.0


def figure_files(path: PathLike) -> list[Path]:
    """Return the files that a figure is written to.

    Parameters
    ----------
    path : path-like
        With the extension of one of `FORMATS` that file alone; without, a ``.png`` and a ``.pdf``.

    Returns
    -------
    list of pathlib.Path
        The files.

    Raises
    ------
    InvalidValueError
        If the extension is that of a format that figures are not written in.

    Examples
    --------
    >>> [file.name for file in figure_files("figure1.2")]
    ['figure1.2.png', 'figure1.2.pdf']
    >>> [file.name for file in figure_files("figure1.2.svg")]
    ['figure1.2.svg']
    """
    base = Path(path)
    suffix = base.suffix.lower()
    if suffix in _OTHER_FORMATS:
        raise InvalidValueError(f"figures are written as {', '.join(FORMATS)}, not as {path}")
    usual = [base.with_name(base.name + extension) for extension in USUAL_FORMATS]
    return [base] if suffix in FORMATS else usual


def save_sheet(sheet: Sheet, path: PathLike) -> None:
    """Draw a sheet and write it.

    Parameters
    ----------
    sheet : Sheet
        The sheet.
    path : path-like
        The file: ``.png`` (200 dots an inch), ``.pdf`` or ``.svg``. The same sheet gives the same
        bytes.

    Raises
    ------
    CamError
        If matplotlib is not installed, or the file is of another kind or cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise InvalidValueError(f"figures are written as {', '.join(FORMATS)}, not as {path}")
    with plain_matplotlib():
        # A PNG has its own grid to fit pictures to; the others keep the pictures' pixels.
        save_figure(_draw(sheet, "lanczos" if suffix == ".png" else "none"), path)


@dataclass(frozen=True)
class _Text:
    """A line of text: its middle, in inches from the sheet's left and top."""

    text: str
    x: float
    y: float
    size: float
    color: str = "black"
    rotation: float = 0.0


@dataclass(frozen=True, eq=False)
class _Picture:
    """A panel's picture: its upper left corner and its size, in inches."""

    panel: Panel
    x: float
    y: float
    width: float
    height: float


class _Layout:
    """Where everything on a sheet stands, laid out from the top down, in inches.

    Attributes
    ----------
    width, height : float
        The sheet's size.
    texts, pictures
        What stands on it.
    """

    def __init__(self, sheet: Sheet) -> None:
        self.texts: list[_Text] = []
        self.pictures: list[_Picture] = []
        self._lefts = _column_lefts(sheet)
        self.width = self._lefts[-1] + _PANEL + _MARGIN
        self.height = _MARGIN
        if sheet.title:
            lines = _wrapped(sheet.title, self.width - 2 * _MARGIN, _SHEET_TITLE_SIZE)
            self._add_lines(lines, self.width / 2, self.height, _SHEET_TITLE_SIZE)
            self.height += len(lines) * _line_height(_SHEET_TITLE_SIZE) + _GAP
        for row in sheet.rows:
            self._add_row(row)
        if sheet.legend:
            self._add_legend(sheet.legend)
        self.height += _MARGIN

    def _add_row(self, row: Row) -> None:
        if row.headings:
            spans = [
                (self._lefts[one.first], self._lefts[one.last] + _PANEL) for one in row.headings
            ]
            headings = [
                (heading.text, (left + right) / 2, right - left)
                for heading, (left, right) in zip(row.headings, spans, strict=True)
            ]
            self._add_side_by_side(headings, _HEADING_SIZE)
            self.height += _GAP / 2
        panels = list(zip(self._lefts, row.panels, strict=False))
        titles = [(panel.title, left + _PANEL / 2, _PANEL) for left, panel in panels]
        self._add_side_by_side(titles, _TITLE_SIZE)
        for left, panel in panels:
            width, height = _fitted(panel)
            x = left + (_PANEL - width) / 2
            self.pictures.append(_Picture(panel, x, self.height, width, height))
        row_height = max(_fitted(panel)[1] for _, panel in panels)
        for line in _wrapped(row.label, row_height, _HEADING_SIZE, most_lines=1):
            x, y = _MARGIN + _line_height(_HEADING_SIZE) / 2, self.height + row_height / 2
            self.texts.append(_Text(line, x, y, _HEADING_SIZE, rotation=90.0))
        self.height = self.height + row_height + _GAP

    def _add_side_by_side(self, texts: Sequence[tuple[str, float, float]], size: float) -> None:
        """Put texts above what comes next, each around its middle and broken to fit its width."""
        line_height = _line_height(size)
        broken = [(_wrapped(text, width, size), middle) for text, middle, width in texts]
        self.height += max(len(lines) for lines, _ in broken) * line_height
        for lines, middle in broken:
            # Texts of fewer lines stand at the bottom, next to their pictures.
            self._add_lines(lines, middle, self.height - len(lines) * line_height, size)

    def _add_lines(self, lines: Sequence[str], x: float, top: float, size: float) -> None:
        for number, line in enumerate(lines):
            self.texts.append(_Text(line, x, top + (number + 0.5) * _line_height(size), size))

    def _add_legend(self, legend: Sequence[tuple[str, str]]) -> None:
        gap, line_height = 3 * _GAP, _line_height(_TITLE_SIZE)
        self.height += _GAP / 2
        widths = [_text_width(text, _TITLE_SIZE) for text, _ in legend]
        x = (self.width - sum(widths) - gap * (len(widths) - 1)) / 2
        y = self.height + line_height / 2
        for (text, color), width in zip(legend, widths, strict=True):
            self.texts.append(_Text(text, x + width / 2, y, _TITLE_SIZE, color))
            x += width + gap
        self.height += line_height


def _draw(sheet: Sheet, interpolation: str = "none") -> Figure:
    from matplotlib.figure import Figure

    layout = _Layout(sheet)
    width, height = layout.width, layout.height
    figure = Figure(figsize=(width, height), facecolor="white")
    for picture in layout.pictures:
        left, bottom = picture.x / width, 1 - (picture.y + picture.height) / height
        axes = figure.add_axes((left, bottom, picture.width / width, picture.height / height))
        _draw_panel(axes, picture.panel, interpolation)
    plain: Mapping[str, Any] = {"ha": "center", "va": "center", "parse_math": False}
    for one in layout.texts:
        x, y = one.x / width, 1 - one.y / height
        figure.text(x, y, one.text, size=one.size, color=one.color, rotation=one.rotation, **plain)
    return figure


def _draw_panel(axes: Axes, panel: Panel, interpolation: str) -> None:
    from matplotlib.patches import Rectangle

    axes.set_axis_off()
    axes.imshow(panel.picture[:, :, ::-1], aspect="auto", interpolation=interpolation)
    for boxes, color in ((panel.truth, TRUTH_COLOR), (panel.predicted, PREDICTED_COLOR)):
        for box in boxes:
            corner, size = (box.x - 0.5, box.y - 0.5), (box.width, box.height)
            axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor=color, linewidth=2))
    rows, columns = panel.picture.shape[:2]
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))


def _column_lefts(sheet: Sheet) -> list[float]:
    """Return where columns begin; groups of columns under one heading stand apart."""
    has_label = any(row.label for row in sheet.rows)
    left = _MARGIN + (_line_height(_HEADING_SIZE) + _GAP if has_label else 0.0)
    ends = {
        heading.last
        for row in sheet.rows
        if any(heading.last > heading.first for heading in row.headings)
        for heading in row.headings
    }
    lefts = []
    for column in range(max(len(row.panels) for row in sheet.rows)):
        lefts.append(left)
        left += _PANEL + (_GROUP_GAP if column in ends else _GAP)
    return lefts


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
