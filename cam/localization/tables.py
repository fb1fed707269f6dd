"""The paper's tables beside what was measured.

What was measured comes from records like the one below, of which ``cam evaluate --json`` writes a
list a file. Errors are in percent. ``method`` is the paper's name where it has one. Either task may
be missing, and so may ``top5``; further keys (``top2``, ``blacklisted``, ...) are ignored.

.. code-block:: json

    {"method": "GoogLeNet-GAP", "model": "googlenet", "boxes": "bbox1", "pictures": 50000,
     "unit": "percent",
     "classification": {"top1": 35.0, "top5": 13.2},
     "localization": {"top1": 56.4, "top5": 43.0}}
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from cam.errors import CamError, InvalidValueError
from cam.files import PathLike, read_json

NOT_MEASURED = "not measured"
NOT_IN_THE_PAPER = "not in the paper"

Task = Literal["classification", "localization"]
TableFormat = Literal["markdown", "csv", "json"]

_PAPER_BOXES = "bbox1"


@dataclass(frozen=True)
class TopErrors:
    """Errors in percent.

    Attributes
    ----------
    top1 : float
        The error of the first guess.
    top5 : float or None
        The error of the first five guesses; None if there were fewer.
    """

    top1: float
    top5: float | None


PAPER_CLASSIFICATION: Mapping[str, TopErrors] = {
    "VGGnet-GAP": TopErrors(33.4, 12.2),
    "GoogLeNet-GAP": TopErrors(35.0, 13.2),
    "AlexNet*-GAP": TopErrors(44.9, 20.9),
    "AlexNet-GAP": TopErrors(51.1, 26.3),
    "GoogLeNet": TopErrors(31.9, 11.3),
    "VGGnet": TopErrors(31.2, 11.4),
    "AlexNet": TopErrors(42.6, 19.5),
    "NIN": TopErrors(41.9, 19.6),
    "GoogLeNet-GMP": TopErrors(35.6, 13.9),
}
"""Classification error on the ILSVRC validation set (the paper's table 1)."""

PAPER_LOCALIZATION: Mapping[str, TopErrors] = {
    "GoogLeNet-GAP": TopErrors(56.40, 43.00),
    "VGGnet-GAP": TopErrors(57.20, 45.14),
    "GoogLeNet": TopErrors(60.09, 49.34),
    "AlexNet*-GAP": TopErrors(63.75, 49.53),
    "AlexNet-GAP": TopErrors(67.19, 52.16),
    "NIN": TopErrors(65.47, 54.19),
    "Backprop on GoogLeNet": TopErrors(61.31, 50.55),
    "Backprop on VGGnet": TopErrors(61.12, 51.46),
    "Backprop on AlexNet": TopErrors(65.17, 52.64),
    "GoogLeNet-GMP": TopErrors(57.78, 45.26),
}
"""Localization error on the ILSVRC validation set (the paper's table 2)."""

PAPER_METHODS: Mapping[str, str] = {
    "googlenet": "GoogLeNet-GAP",
    "vgg16": "VGGnet-GAP",
    "alexnet": "AlexNet*-GAP",
}
"""The paper's name for each model whose weights were released and are in its tables."""

_PAPER: Mapping[Task, Mapping[str, TopErrors]] = {
    "classification": PAPER_CLASSIFICATION,
    "localization": PAPER_LOCALIZATION,
}
_CSV_HEADER = "task,method,paper_top1,paper_top5,measured_top1,measured_top5,pictures,model\n"
_PAPER_DIGITS: Mapping[Task, int] = {"classification": 1, "localization": 2}


@dataclass(frozen=True)
class Measurement:
    """What was measured of one method.

    Attributes
    ----------
    method : str
        The method's name, the paper's where it has one.
    pictures : int
        How many pictures were evaluated; the paper's validation set has 50,000.
    model : str or None
        What ran.
    boxes : str
        Which boxes were the guesses; ``bbox1``, the largest box of each class, is the paper's.
    classification, localization : TopErrors or None
        The errors in percent; None if not measured.
    """

    method: str
    pictures: int
    model: str | None = None
    boxes: str = _PAPER_BOXES
    classification: TopErrors | None = None
    localization: TopErrors | None = None


@dataclass(frozen=True)
class ComparisonRow:
    """One method in one of the two tables.

    Attributes
    ----------
    task : {"classification", "localization"}
        The table.
    method : str
        The method's name.
    paper : TopErrors or None
        The paper's errors in percent; None if the paper has no such row.
    measured : TopErrors or None
        The measured errors in percent; None if not measured.
    pictures : int or None
        How many pictures were evaluated; None if not measured.
    model : str or None
        What ran; None if not measured or not known.
    """

    task: Task
    method: str
    paper: TopErrors | None
    measured: TopErrors | None = None
    pictures: int | None = None
    model: str | None = None


def parse_measurement(record: object) -> Measurement:
    """Make a measurement from a decoded JSON record.

    Parameters
    ----------
    record : object
        What :func:`json.loads` gives for a record as described at the top of this module.

    Returns
    -------
    Measurement
        The errors in percent.

    Raises
    ------
    CamError
        If the record lacks something or has errors that are no percentages.

    Examples
    --------
    >>> parse_measurement(
    ...     {"method": "NIN", "pictures": 50000, "classification": {"top1": 41.9, "top5": 19.6}}
    ... ).classification
    TopErrors(top1=41.9, top5=19.6)
    """
    if not isinstance(record, dict):
        raise CamError("a measurement is a JSON object like those that cam evaluate --json writes")
    method, pictures = record.get("method"), record.get("pictures")
    if not isinstance(method, str) or not method.strip():
        raise CamError("the measurement has no 'method'")
    if not isinstance(pictures, int) or isinstance(pictures, bool) or pictures < 1:
        raise CamError("the measurement has no number of 'pictures'")
    if record.get("unit", "percent") != "percent":
        raise CamError(f"the measurement's unit is {record['unit']!r}, not 'percent'")
    errors = {task: _parse_errors(task, record.get(task)) for task in _PAPER}
    if not any(errors.values()):
        raise CamError("the measurement has neither 'classification' nor 'localization'")
    model = record.get("model")
    return Measurement(
        method=method.strip(),
        pictures=pictures,
        model=None if model is None else str(model),
        boxes=str(record.get("boxes", _PAPER_BOXES)),
        **errors,
    )


def read_measurements(path: PathLike) -> list[Measurement]:
    """Read the measurements of a JSON file that ``cam evaluate --json`` wrote.

    Parameters
    ----------
    path : path-like
        The file: one record, or a list of records.

    Returns
    -------
    list of Measurement
        The errors in percent, one measurement a record.

    Raises
    ------
    CamError
        If the file is missing, is empty or holds something that is not a measurement.
    """
    content = read_json(path, "the measurement")
    records = content if isinstance(content, list) else [content]
    try:
        measurements = [parse_measurement(record) for record in records]
    except CamError as error:
        raise CamError(f"{path}: {error}") from error
    if not measurements:
        raise CamError(f"{path} holds no measurement")
    return measurements


def comparison_rows(measured: Iterable[Measurement]) -> list[ComparisonRow]:
    """Put measurements beside the paper's numbers.

    Parameters
    ----------
    measured : iterable of Measurement
        At most one for each method, kind of boxes and task.

    Returns
    -------
    list of ComparisonRow
        Both of the paper's tables in its order, classification first, each followed by what was
        measured of methods or boxes that the paper does not report.

    Raises
    ------
    CamError
        If two measurements are of the same.

    Examples
    --------
    >>> rows = comparison_rows([])
    >>> rows[0].method, rows[0].paper, rows[0].measured
    ('VGGnet-GAP', TopErrors(top1=33.4, top5=12.2), None)
    """
    measurements = list(measured)
    return [row for task in _PAPER for row in _rows_of(task, measurements)]


def render(rows: Sequence[ComparisonRow], form: TableFormat = "markdown") -> str:
    """Write rows as text.

    Parameters
    ----------
    rows : sequence of ComparisonRow
        From :func:`comparison_rows`.
    form : {"markdown", "csv", "json"}, optional
        ``markdown``: a headed table for each task. ``csv``: one table with a header line. ``json``:
        a list of objects; what is missing is null, and ``status`` says "measured" or
        "not measured".

    Returns
    -------
    str
        The text, which ends with a line end. In Markdown and CSV a missing measurement reads
        "not measured" and a missing paper's number "not in the paper".

    Raises
    ------
    InvalidValueError
        If there is no such form.
    """
    if form not in _RENDERERS:
        raise InvalidValueError(f"tables are written as {', '.join(_RENDERERS)}, not {form!r}")
    return _RENDERERS[form](rows)


def _rows_of(task: Task, measurements: Sequence[Measurement]) -> list[ComparisonRow]:
    rows = {name: ComparisonRow(task, name, paper) for name, paper in _PAPER[task].items()}
    for one in measurements:
        errors: TopErrors | None = getattr(one, task)
        if errors is None:
            continue
        # Boxes that are not the paper's are named: their errors are no match for the paper's.
        name = one.method if one.boxes == _PAPER_BOXES else f"{one.method}, {one.boxes}"
        row = rows.get(name, ComparisonRow(task, name, None))
        if row.measured is not None:
            raise CamError(f"there are two measurements of the {task} error of {name}: give one")
        rows[name] = replace(row, measured=errors, pictures=one.pictures, model=one.model)
    return list(rows.values())


def _parse_errors(task: Task, errors: object) -> TopErrors | None:
    if errors is None:
        return None
    if not isinstance(errors, dict) or "top1" not in errors:
        raise CamError(f"'{task}' is an object with top1 and top5")
    top1 = _percentage(task, "top1", errors["top1"])
    top5 = None if errors.get("top5") is None else _percentage(task, "top5", errors["top5"])
    if top5 is not None and top5 > top1:
        raise CamError(
            f"'{task}' has a larger error for five guesses ({top5}) than for one ({top1})"
        )
    return TopErrors(top1, top5)


def _percentage(task: Task, name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 100:
        raise CamError(f"'{task}' has {name} = {value!r}, which is no percentage")
    return float(value)


def _cells(errors: TopErrors | None, digits: int, missing: str) -> list[str]:
    values = (errors.top1, errors.top5) if errors is not None else (None, None)
    return [missing if value is None else f"{value:.{digits}f}" for value in values]


def _row_cells(row: ComparisonRow) -> list[str]:
    return [
        row.method,
        *_cells(row.paper, _PAPER_DIGITS[row.task], NOT_IN_THE_PAPER),
        *_cells(row.measured, 2, NOT_MEASURED),
        "" if row.pictures is None else str(row.pictures),
        row.model or "",
    ]


def _markdown(rows: Sequence[ComparisonRow]) -> str:
    tables = []
    for task in _PAPER:
        lines = [
            f"### {task.capitalize()} error on the ILSVRC validation set (%)\n",
            "| Method | Paper top-1 | Paper top-5 | Measured top-1 | Measured top-5 | Pictures "
            "| Model |",
            "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
        ]
        cells = (map(_markdown_cell, _row_cells(row)) for row in rows if row.task == task)
        lines += [f"| {' | '.join(row)} |" for row in cells]
        tables.append("\n".join(lines) + "\n")
    return "\n".join(tables)


def _markdown_cell(text: str) -> str:
    return re.sub(r"([\\|*_`<])", r"\\\1", " ".join(text.split()))


def _csv(rows: Sequence[ComparisonRow]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([row.task, *_row_cells(row)] for row in rows)
    return _CSV_HEADER + text.getvalue()


def _json(rows: Sequence[ComparisonRow]) -> str:
    records: list[dict[str, Any]] = [
        {**asdict(row), "status": NOT_MEASURED if row.measured is None else "measured"}
        for row in rows
    ]
    return json.dumps(records, indent=2, ensure_ascii=False) + "\n"


_RENDERERS: Mapping[TableFormat, Callable[[Sequence[ComparisonRow]], str]] = {
    "markdown": _markdown,
    "csv": _csv,
    "json": _json,
}
