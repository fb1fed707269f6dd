"""`cam measure` over pictures, stores and maps of others."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Run = Callable[..., tuple[int, str, str]]

XML = """<annotation><object><name>n07930864</name><bndbox>
<xmin>1</xmin><ymin>1</ymin><xmax>300</xmax><ymax>300</ymax></bndbox></object></annotation>"""


@pytest.fixture
def labelled(tmp_path: Path, coffee: Path) -> Path:
    table = tmp_path / "pictures.csv"
    table.write_text(f"path,label\n{coffee},n07930864\n", encoding="utf-8")
    return table


def measured(run: Run, *arguments: object) -> dict[str, Any]:
    code, output, errors = run("measure", *arguments, "--json", "--engine", "openvino")
    assert code == 0, errors
    summary: dict[str, Any] = json.loads(output)
    return summary


def test_a_pictures_label_is_measured_and_its_boxes(
    run: Run, labelled: Path, tmp_path: Path
) -> None:
    (tmp_path / "boxes").mkdir()
    (tmp_path / "boxes" / "coffee.xml").write_text(XML, encoding="utf-8")
    (tmp_path / "map_clsloc.txt").write_text("n07930864 504 cup\n", encoding="utf-8")
    table = tmp_path / "measures.csv"
    summary = measured(
        run,
        *(labelled, "--ground-truth", tmp_path / "boxes", "--meta", tmp_path / "map_clsloc.txt"),
        *("--measure", "drop", "--measure", "insertion", "-o", table),
    )
    assert summary["pictures"] == summary["pictures_with_boxes"] == 1
    with table.open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["class"] == "n07930864 cup"
    for name in ("average_drop", "insertion", "energy_in_boxes"):
        assert float(row[name]) == pytest.approx(summary[name])


def test_a_store_is_measured_as_its_pictures(run: Run, labelled: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    kept = ("--save", "maps", "--numbers", "float32", "--engine", "openvino")
    assert run("batch", labelled, "-o", store, *kept)[0] == 0
    of_store = measured(run, store, "--measure", "drop")
    of_picture = measured(run, labelled, "--measure", "drop")
    assert of_store == pytest.approx(of_picture, rel=1e-4)


def test_maps_of_others_are_measured(run: Run, labelled: Path, tmp_path: Path) -> None:
    nothing, everything = np.zeros((5, 5)), np.ones((5, 5))
    everything[0, 0] = 0  # far from the crop, so that the rest of it is stretched to 1
    for heat_map, drop in ((nothing, 1), (everything, 0)):
        np.savez(tmp_path / "maps.npz", coffee=heat_map)
        summary = measured(run, labelled, "--maps", tmp_path / "maps.npz", "--measure", "drop")
        assert summary["average_drop"] == pytest.approx(drop, abs=0.05)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--maps", "none.npz"), "none.npz: No such file"),
        (("--maps", "other.npz"), "other.npz has no map named coffee"),
        (("--maps", "scores.npz"), "a map has rows and columns"),
        (("--ground-truth", "nowhere"), "nowhere"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_line(
    run: Run, coffee: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    np.savez(tmp_path / "other.npz", tea=np.eye(5))
    np.savez(tmp_path / "scores.npz", coffee=np.ones(5))
    code, output, errors = run("measure", coffee, "--engine", "openvino", *arguments)
    assert (code, output) == (2, "")
    (line,) = errors.splitlines()
    assert message in line


def test_a_picture_that_cannot_be_read_leaves_the_others(
    run: Run, coffee: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    arguments = (coffee, tmp_path / "broken.jpg", "--measure", "drop", "--engine", "openvino")
    code, output, errors = run("measure", *arguments)
    assert code == 3
    assert "broken.jpg" in errors
    assert "pictures               1" in output
