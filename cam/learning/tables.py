"""The paper's tables of recognition with learned classifiers beside what was measured.

What was measured comes from ``learning.json``, as `cam learn --data-set NAME` writes it. Accuracies
are in percent. A number of the paper stands here only if it was checked against the paper's text.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cam.errors import CamError
from cam.learning.crops import PAPER_ACCURACIES

BIRDS = "CUB-200-2011"
CROPS = {"full": "full pictures", "crop": "crops", "truth": "ground-truth boxes"}
DATA_SETS = (
    *("SUN397", "MIT Indoor67", "Scene15", "SUN Attribute"),
    *("Caltech101", "Caltech256", "Action40", "Event8"),
)
"""Those of the paper's table 5, as `--data-set` names them."""

TITLES = {
    4: "Accuracy on CUB-200-2011 (%), the paper's table 4",
    5: "Accuracy of a linear classifier on the pooled features (%), the paper's table 5",
}


@dataclass(frozen=True)
class RecognitionRow:
    """One accuracy of one table.

    Attributes
    ----------
    table : int
        The paper's table: 4 or 5.
    data_set : str
        The data set.
    pictures : str
        What the features are of.
    paper, measured : float or None
        The paper's accuracy and what was measured, in percent; None if not known.
    count : int or None
        On how many pictures it was measured.
    model : str or None
        Whose features they are.
    """

    table: int
    data_set: str
    pictures: str
    paper: float | None = None
    measured: float | None = None
    count: int | None = None
    model: str | None = None


def is_learning_record(record: object) -> bool:
    """Tell whether a decoded JSON file is a ``learning.json``."""
    return isinstance(record, dict) and {"classes", "training_pictures", "base"} <= record.keys()


def recognition_rows(records: Iterable[Mapping[str, Any]]) -> list[RecognitionRow]:
    """Put what was learned beside the paper's numbers.

    Parameters
    ----------
    records : iterable of mapping
        The contents of ``learning.json`` files.

    Returns
    -------
    list of RecognitionRow
        The rows of both tables, each followed by what was measured on other data sets.

    Raises
    ------
    CamError
        If a record does not say of which data set it is, or two are of the same.

    Examples
    --------
    >>> recognition_rows([])[0].paper
    63.0
    """
    rows = {
        (BIRDS, pictures): RecognitionRow(4, BIRDS, pictures, PAPER_ACCURACIES[kind])
        for kind, pictures in CROPS.items()
    }
    rows |= {(name, CROPS["full"]): RecognitionRow(5, name, CROPS["full"]) for name in DATA_SETS}
    for record in records:
        if not record.get("data_set"):
            raise CamError("what was learned does not say from which data: cam learn --data-set")
        for kind, pictures in CROPS.items():
            one = record if kind == "full" else record.get(kind)
            if one is None or one["accuracy"] is None:
                continue
            key = record["data_set"], pictures
            row = rows.get(key) or RecognitionRow(5, *key)
            if row.measured is not None:
                raise CamError(f"there are two measurements of {key[0]}, {key[1]}: give one")
            rows[key] = replace(
                row,
                measured=100 * one["accuracy"],
                count=one["pictures"],
                model=one["base"]["model"],
            )
    return sorted(rows.values(), key=lambda row: row.table)


def recognition_markdown(rows: Sequence[RecognitionRow]) -> str:
    """Write the rows as a headed table for each of the paper's tables."""
    tables = []
    for number, title in TITLES.items():
        lines = [
            f"### {title}",
            "",
            "| Data set | Features of | Paper | Measured | Pictures | Model |",
            "| --- | --- | ---: | ---: | ---: | --- |",
            *(f"| {' | '.join(_cells(row))} |" for row in rows if row.table == number),
        ]
        tables.append("\n".join(lines))
    return "\n\n".join(tables) + "\n"


def recognition_csv(rows: Sequence[RecognitionRow]) -> str:
    """Write the rows as one table with a header line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["table", "data_set", "features_of", "paper", "measured", "pictures", "model"])
    writer.writerows([row.table, *_cells(row)] for row in rows)
    return text.getvalue()


def _cells(row: RecognitionRow) -> list[str]:
    return [
        row.data_set,
        row.pictures,
        "" if row.paper is None else f"{row.paper:.1f}",
        "not measured" if row.measured is None else f"{row.measured:.2f}",
        "" if row.count is None else str(row.count),
        row.model or "",
    ]
