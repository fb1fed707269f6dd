from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from cam.errors import CamError
from cam.localization.tables import (
    NOT_IN_THE_PAPER,
    NOT_MEASURED,
    PAPER_CLASSIFICATION,
    PAPER_LOCALIZATION,
    PAPER_METHODS,
    Measurement,
    TopErrors,
    comparison_rows,
    parse_measurement,
    read_measurements,
    render,
)

RECORD: dict[str, Any] = {
    "method": "GoogLeNet-GAP",
    "model": "googlenet",
    "boxes": "bbox1",
    "pictures": 1000,
    "blacklisted": 12,
    "unit": "percent",
    "classification": {"top1": 36.25, "top2": 22.0, "top5": 14.5},
    "localization": {"top1": 57.125, "top5": 44.0},
}


def table(text: str, title: str) -> list[list[str]]:
    """Return the cells of the Markdown table under a heading."""
    lines = text.split(f"### {title}", 1)[1].split("\n\n")[1].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_the_paper_numbers_are_errors_in_percent() -> None:
    assert (len(PAPER_CLASSIFICATION), len(PAPER_LOCALIZATION)) == (9, 10)
    for errors in (*PAPER_CLASSIFICATION.values(), *PAPER_LOCALIZATION.values()):
        assert errors.top5 is not None
        assert 10 < errors.top5 < errors.top1 < 70
    # No method places boxes better than it names classes.
    for method, errors in PAPER_CLASSIFICATION.items():
        if method in PAPER_LOCALIZATION:
            assert PAPER_LOCALIZATION[method].top1 > errors.top1
    assert set(PAPER_METHODS.values()) <= set(PAPER_LOCALIZATION)


def test_nothing_measured_never_shows_a_paper_number_as_measured() -> None:
    rows = comparison_rows([])
    assert len(rows) == 19
    assert all(row.measured is None and row.pictures is None for row in rows)
    for cells in csv.reader(io.StringIO(render(rows, "csv"))):
        assert cells[4:6] in ([NOT_MEASURED] * 2, ["measured_top1", "measured_top5"])
    markdown = render(rows)
    for title in ("Classification", "Localization"):
        assert all(cells[3:5] == [NOT_MEASURED] * 2 for cells in table(markdown, title))
    for record in json.loads(render(rows, "json")):
        assert record["measured"] is None
        assert record["status"] == NOT_MEASURED


def test_a_measurement_stands_beside_the_paper_number() -> None:
    rows = comparison_rows([parse_measurement(RECORD)])
    assert len(rows) == 19
    markdown = render(rows)
    found = {cells[0]: cells[1:] for cells in table(markdown, "Localization")}
    assert found["GoogLeNet-GAP"] == ["56.40", "43.00", "57.12", "44.00", "1000", "googlenet"]
    assert found["VGGnet-GAP"][:4] == ["57.20", "45.14", NOT_MEASURED, NOT_MEASURED]
    found = {cells[0]: cells[1:] for cells in table(markdown, "Classification")}
    assert found["GoogLeNet-GAP"][:4] == ["35.0", "13.2", "36.25", "14.50"]


def test_what_the_paper_does_not_report_follows_its_rows() -> None:
    lite = Measurement("EfficientNet-Lite0", 10, classification=TopErrors(30.0, 10.0))
    combined = parse_measurement({**RECORD, "boxes": "combined"})
    rows = comparison_rows([combined, lite])
    assert [row.method for row in rows if row.paper is None] == [
        "GoogLeNet-GAP, combined",
        "EfficientNet-Lite0",
        "GoogLeNet-GAP, combined",
    ]
    assert rows[-1].task == "localization"
    assert NOT_IN_THE_PAPER in render(rows).splitlines()[-1]


def test_fewer_than_five_guesses_leave_top5_unmeasured() -> None:
    rows = comparison_rows([parse_measurement({**RECORD, "localization": {"top1": 50}})])
    found = {cells[0]: cells[1:] for cells in table(render(rows), "Localization")}
    assert found["GoogLeNet-GAP"][2:4] == ["50.00", NOT_MEASURED]


def test_results_of_each_task_may_come_from_different_files() -> None:
    first = Measurement("NIN", 10, classification=TopErrors(40.0, 20.0))
    second = Measurement("NIN", 20, localization=TopErrors(60.0, 50.0))
    measured = [row for row in comparison_rows([first, second]) if row.measured is not None]
    assert [(row.task, row.pictures) for row in measured] == [
        ("classification", 10),
        ("localization", 20),
    ]


def test_two_measurements_of_the_same_are_refused() -> None:
    measurement = parse_measurement(RECORD)
    with pytest.raises(CamError, match=r"two measurements.*GoogLeNet-GAP"):
        comparison_rows([measurement, measurement])


def test_csv_and_json_are_read_back() -> None:
    rows = comparison_rows([Measurement('a, "b" | c', 5, "m*", "bbox1", TopErrors(50.0, 20.0))])
    lines = list(csv.DictReader(io.StringIO(render(rows, "csv"))))
    assert len(lines) == len(rows)
    assert lines[9]["method"] == 'a, "b" | c'
    assert lines[9]["measured_top5"] == "20.00"
    records = json.loads(render(rows, "json"))
    assert records[9]["measured"] == {"top1": 50.0, "top5": 20.0}
    assert records[9]["paper"] is None
    assert records[0]["paper"] == {"top1": 33.4, "top5": 12.2}
    assert 'a, "b" \\| c' in render(rows)


def test_measurements_are_read_from_files(tmp_path: Path) -> None:
    path = tmp_path / "googlenet.json"
    path.write_text(json.dumps(RECORD))
    (measurement,) = read_measurements(path)
    assert measurement.classification == TopErrors(36.25, 14.5)
    assert (measurement.pictures, measurement.model) == (1000, "googlenet")
    path.write_text(json.dumps([RECORD, {**RECORD, "boxes": "bbox2"}]))
    assert [several.boxes for several in read_measurements(path)] == ["bbox1", "bbox2"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": ""}, "method"),
        ({"pictures": 0}, "pictures"),
        ({"pictures": True}, "pictures"),
        ({"unit": "fraction"}, "fraction"),
        ({"classification": None, "localization": None}, "neither"),
        ({"classification": 35.0}, "top1 and top5"),
        ({"classification": {"top5": 3.0}}, "top1 and top5"),
        ({"localization": {"top1": 130.0}}, "no percentage"),
        ({"localization": {"top1": float("nan")}}, "no percentage"),
        ({"localization": {"top1": "57"}}, "no percentage"),
        ({"localization": {"top1": 40.0, "top5": 41.0}}, "larger error"),
    ],
)
def test_bad_records_are_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text(json.dumps({**RECORD, **change}))
    with pytest.raises(CamError, match=message) as caught:
        read_measurements(path)
    assert "bad.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CamError, match="cannot read"):
        read_measurements(tmp_path / "none.json")
    path = tmp_path / "bad.json"
    for content in (b"{", b"\xff\xfe", b"[" * 100_000):
        path.write_bytes(content)
        with pytest.raises(CamError, match=r"bad\.json: not (JSON|text)"):
            read_measurements(path)
    path.write_text("[]")
    with pytest.raises(CamError, match="no measurement"):
        read_measurements(path)
    path.write_text("3")
    with pytest.raises(CamError, match="JSON object"):
        read_measurements(path)
    with pytest.raises(CamError, match="html"):
        render([], "html")  # type: ignore[arg-type]
