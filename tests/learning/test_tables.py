"""Tables 4 and 5: what was learned beside the paper's numbers."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from cam.errors import CamError
from cam.learning.tables import recognition_csv, recognition_markdown, recognition_rows

BASE = {"model": "googlenet"}


def record(data_set: str, accuracy: float, **more: Any) -> dict[str, Any]:
    common = {"base": BASE, "classes": ["a", "b"], "training_pictures": [3, 3], "pictures": 40}
    return {**common, "data_set": data_set, "accuracy": accuracy, **more}


def test_only_the_checked_numbers_of_the_paper_are_there() -> None:
    rows = recognition_rows([])
    assert [row.paper for row in rows if row.table == 4] == [63.0, 67.8, 70.5]
    assert [row.data_set for row in rows if row.table == 5] == [
        *("SUN397", "MIT Indoor67", "Scene15", "SUN Attribute"),
        *("Caltech101", "Caltech256", "Action40", "Event8"),
    ]
    assert all(row.paper is None for row in rows if row.table == 5)
    assert all(row.measured is None for row in rows)


def test_what_was_learned_stands_in_its_row() -> None:
    birds = record(
        "CUB-200-2011",
        0.6,
        crop=record("CUB-200-2011", 0.625),
        truth=None,
    )
    rows = recognition_rows([birds, record("Action40", 0.75), record("mine", 1.0)])
    found = {(row.data_set, row.pictures): row.measured for row in rows if row.measured}
    assert found == {
        ("CUB-200-2011", "full pictures"): 60.0,
        ("CUB-200-2011", "crops"): 62.5,
        ("Action40", "full pictures"): 75.0,
        ("mine", "full pictures"): 100.0,
    }
    text = recognition_markdown(rows)
    assert "| CUB-200-2011 | crops | 67.8 | 62.50 | 40 | googlenet |" in text
    assert "| CUB-200-2011 | ground-truth boxes | 70.5 | not measured |  |  |" in text
    assert "| Event8 | full pictures |  | not measured |  |  |" in text
    lines = list(csv.DictReader(recognition_csv(rows).splitlines()))
    assert lines[-1]["data_set"] == "mine" and lines[-1]["measured"] == "100.00"


def test_records_that_do_not_fit_are_refused() -> None:
    with pytest.raises(CamError, match="--data-set"):
        recognition_rows([record("", 1.0)])
    with pytest.raises(CamError, match="two measurements of Action40"):
        recognition_rows([record("Action40", 1.0), record("Action40", 0.5)])


def test_the_command_reads_what_cam_learn_writes(run: Any, tmp_path: Path) -> None:
    (tmp_path / "learning.json").write_text(json.dumps(record("Action40", 0.755)))
    code, output, errors = run("tables", "learning.json")
    assert code == 0, errors
    assert "| Action40 | full pictures |  | 75.50 | 40 | googlenet |" in output
    assert "### Localization error" in output
    _, output, _ = run("tables", "learning.json", "--format", "json")
    rows = json.loads(output)
    assert {"task", "data_set"} <= {key for row in rows for key in row}
    assert "Action40,full pictures,,75.50" in run("tables", "learning.json", "--format", "csv")[1]
