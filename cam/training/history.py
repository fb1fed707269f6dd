"""The history of a training: losses and tests, written and read as JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cam.arguments import checked, checked_fields
from cam.errors import CamError, InvalidValueError
from cam.files import PathLike, read_json, read_text, write_text

COLUMNS = ("iteration", "loss", "rate", "seconds")
TEST_COLUMN = "test "


@checked_fields
@dataclass(frozen=True)
class HistoryEntry:
    """What was measured at one iteration.

    Attributes
    ----------
    iteration : int
        How many iterations were done.
    loss : float or None
        Mean training loss of the last ``average_loss`` iterations; None before the first one.
    rate : float
        The learning rate.
    seconds : float
        Time since training began, over all its parts.
    test : dict of str to float
        The means of the test networks' outputs, if they were run.
    """

    iteration: int
    loss: float | None
    rate: float
    seconds: float
    test: Mapping[str, float] = field(default_factory=dict)


@checked
def write_history(path: PathLike, entries: Sequence[HistoryEntry]) -> None:
    """Write what was measured, as JSON or as CSV; the file appears whole or not at all.

    Parameters
    ----------
    path : path-like
        A ``.json`` file, a list of objects with the fields of `HistoryEntry`; or a ``.csv`` file,
        with a column ``test NAME`` for each of the tests' outputs.
    entries : sequence of HistoryEntry
        What to write.

    Raises
    ------
    CamError
        If the file is of another kind or cannot be written.
    """
    write_text(path, _as_json(entries) if check_history_name(path) == ".json" else _as_csv(entries))


def _as_json(entries: Sequence[HistoryEntry]) -> str:
    # One entry a line.
    return "[\n{}\n]\n".format(",\n".join(json.dumps(asdict(entry)) for entry in entries))


def _as_csv(entries: Sequence[HistoryEntry]) -> str:
    tests = list(dict.fromkeys(name for entry in entries for name in entry.test))
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow([*COLUMNS, *(f"{TEST_COLUMN}{name}" for name in tests)])
    for entry in entries:
        measured = [getattr(entry, column) for column in COLUMNS]
        table.writerow([*measured, *(entry.test.get(name) for name in tests)])
    return text.getvalue()


@checked
def read_history(path: PathLike) -> list[HistoryEntry]:
    """Read what `write_history` wrote.

    Parameters
    ----------
    path : path-like
        A ``.json`` or ``.csv`` file.

    Returns
    -------
    list of HistoryEntry
        What was measured.

    Raises
    ------
    CamError
        If the file cannot be read or is no history.
    """
    try:
        if check_history_name(path) == ".json":
            return [_entry(row, row["test"]) for row in read_json(path)]
        table = csv.DictReader(io.StringIO(read_text(path), newline=""))
        return [_entry(row, _test_columns(row)) for row in table]
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, CamError):
            raise
        raise CamError(f"{path}: not a history of a training") from error


def _entry(row: Mapping[str, Any], test: Mapping[str, Any]) -> HistoryEntry:
    return HistoryEntry(
        int(row["iteration"]),
        None if row["loss"] in (None, "") else float(row["loss"]),
        float(row["rate"]),
        float(row["seconds"]),
        {name: float(value) for name, value in test.items()},
    )


def _test_columns(row: Mapping[str, str]) -> dict[str, str]:
    """Return the tests' outputs of a CSV row; a row without a test has empty columns."""
    return {
        column.removeprefix(TEST_COLUMN): value
        for column, value in row.items()
        if column.startswith(TEST_COLUMN) and value
    }


def check_history_name(path: PathLike) -> str:
    """Return the extension of a history's file, which says its format.

    Raises
    ------
    InvalidValueError
        If it is neither ``.json`` nor ``.csv``.
    """
    suffix = Path(path).suffix
    if suffix not in (".json", ".csv"):
        raise InvalidValueError(f"{path}: the history is a .json or a .csv file")
    return suffix
