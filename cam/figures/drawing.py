"""Drawing a sheet with matplotlib: its layout, and its files with the same bytes each time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cam.errors import CamError, InvalidValueError
from cam.figures.sheets import PREDICTED_COLOR, TRUTH_COLOR, Heading, Panel, Row, Sheet
from cam.files import PathLike, atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


FORMATS: Mapping[str, Mapping[str, None]] = {
    ".png": {"Software": None},
    ".pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    ".svg": {"Creator": None, "Date": None},
}
"""The formats by their extensions. Each names what matplotlib shall not write into the file: its
version and the time."""

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
_DPI = 200


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
    if suffix in FORMATS:
        return [base]
    return [base.with_name(base.name + usual) for usual in USUAL_FORMATS]


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
    with _plain_matplotlib():
        figure = _draw(sheet)
        for axes in figure.axes:
            for image in axes.images:
                # A PNG has its own grid to fit pictures to; the others keep the pictures' pixels.
                image.set_interpolation("lanczos" if suffix == ".png" else "none")
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=_DPI, metadata=FORMATS[suffix])


def import_matplotlib() -> Any:
    """Import matplotlib.

    Raises
    ------
    CamError
        If it is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise CamError(
            "figures need matplotlib, which is not installed: pip install matplotlib"
        ) from error
    return matplotlib


@contextmanager
def _plain_matplotlib() -> Iterator[None]:
    """Draw with matplotlib's own defaults, whatever the user's settings are."""
    matplotlib = import_matplotlib()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        # Type 42 keeps text as text, which can be searched and copied.
        matplotlib.rcParams["pdf.fonttype"] = 42
        # Without it the names of an SVG's parts are drawn at random.
        matplotlib.rcParams["svg.hashsalt"] = "cam"
        yield


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
            self._add_headings(row.headings)
        titles = [
            _wrapped(panel.title if panel else "", _PANEL, _TITLE_SIZE) for panel in row.panels
        ]
        line_height = _line_height(_TITLE_SIZE)
        top = self.height + max(len(lines) for lines in titles) * line_height
        height = max(_fitted(panel)[1] for panel in row.panels if panel is not None)
        for left, lines, panel in zip(self._lefts, titles, row.panels, strict=False):
            if panel is not None:
                # Titles of fewer lines stand at the bottom, next to their pictures.
                self._add_lines(
                    lines, left + _PANEL / 2, top - len(lines) * line_height, _TITLE_SIZE
                )
                width, fitted_height = _fitted(panel)
                x = left + (_PANEL - width) / 2
                self.pictures.append(_Picture(panel, x, top, width, fitted_height))
        for line in _wrapped(row.label, height, _HEADING_SIZE, most_lines=1):
            x = _MARGIN + _line_height(_HEADING_SIZE) / 2
            self.texts.append(_Text(line, x, top + height / 2, _HEADING_SIZE, rotation=90.0))
        self.height = top + height + _GAP

    def _add_headings(self, headings: Sequence[Heading]) -> None:
        spans = [
            (self._lefts[heading.first], self._lefts[heading.last] + _PANEL) for heading in headings
        ]
        texts = [
            _wrapped(heading.text, right - left, _HEADING_SIZE)
            for heading, (left, right) in zip(headings, spans, strict=True)
        ]
        line_height = _line_height(_HEADING_SIZE)
        bottom = self.height + max(len(lines) for lines in texts) * line_height
        for lines, (left, right) in zip(texts, spans, strict=True):
            top = bottom - len(lines) * line_height
            self._add_lines(lines, (left + right) / 2, top, _HEADING_SIZE)
        self.height = bottom + _GAP / 2

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


def _draw(sheet: Sheet) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    layout = _Layout(sheet)
    width, height = layout.width, layout.height
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    for one in layout.pictures:
        place = (one.x / width, 1 - (one.y + one.height) / height)
        axes = figure.add_axes((*place, one.width / width, one.height / height))
        _draw_panel(axes, one.panel)
    for text in layout.texts:
        figure.text(
            text.x / width,
            1 - text.y / height,
            text.text,
            size=text.size,
            color=text.color,
            rotation=text.rotation,
            ha="center",
            va="center",
            parse_math=False,
        )
    return figure


def _draw_panel(axes: Axes, panel: Panel) -> None:
    from matplotlib.patches import Rectangle

    axes.set_axis_off()
    axes.imshow(panel.picture[:, :, ::-1], aspect="auto")
    for boxes, color in ((panel.truth, TRUTH_COLOR), (panel.predicted, PREDICTED_COLOR)):
        for box in boxes:
            corner, size = (box.x - 0.5, box.y - 0.5), (box.width, box.height)
            axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor=color, linewidth=2))
    axes.set_xlim(-0.5, panel.picture.shape[1] - 0.5)
    axes.set_ylim(panel.picture.shape[0] - 0.5, -0.5)


def _column_lefts(sheet: Sheet) -> list[float]:
    """Return where columns begin; groups of columns under one heading stand apart."""
    has_label = any(row.label for row in sheet.rows)
    left = _MARGIN + (_line_height(_HEADING_SIZE) + _GAP if has_label else 0.0)
    ends = {
        heading.last
        for row in sheet.rows
        for heading in row.headings
        if any(other.last > other.first for other in row.headings)
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
