from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

import cam
from cam.batch import BatchOptions, run_batch
from cam.batch.listing import least_sure_pictures, write_table, wrong_pictures


@pytest.fixture(scope="module")
def results(coffee: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list]:
    """Return a store of four pictures, the second labelled rightly, and what the model says."""
    folder = tmp_path_factory.mktemp("listing")
    picture, model = cv2.imread(str(coffee)), cam.load(engine="openvino")
    expected = []
    for number in range(4):
        path = folder / f"{number}, a.png"
        path.write_bytes(cv2.imencode(".png", np.roll(picture, 90 * number, axis=1))[1].tobytes())
        expected.append(model.explain(path, top=2))
    labels = [0, int(expected[1].indices[0]), 1, 2]
    with (folder / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label"))
        writer.writerows((f"{number}, a.png", label) for number, label in enumerate(labels))
        (folder / "broken.png").write_bytes(b"no")
        writer.writerow(("broken.png", 3))
    run_batch(model, [folder / "table.csv"], folder / "store", BatchOptions(top=2))
    return folder / "store", expected


def test_the_wrong_come_surest_first(results: tuple[Path, list]) -> None:
    store, expected = results
    ranked = sorted((0, 2, 3), key=lambda number: -expected[number].probabilities[0])
    found = wrong_pictures(store, 2)
    assert [one.name for one in found] == [f"{number}, a.png" for number in ranked[:2]]
    assert found[0].top == expected[ranked[0]].names[0]
    assert found[0].label == cam.load(engine="openvino").class_names[max(ranked[0] - 1, 0)]


def test_the_least_sure_come_first(results: tuple[Path, list]) -> None:
    store, expected = results
    ranked = sorted(range(4), key=lambda number: expected[number].probabilities[0])
    found = least_sure_pictures(store, 10)
    assert [one.name for one in found] == [f"{number}, a.png" for number in ranked]
    assert found[0].probability == pytest.approx(expected[ranked[0]].probabilities[0])


def test_the_table_has_every_picture_with_its_classes(
    results: tuple[Path, list], tmp_path: Path
) -> None:
    store, expected = results
    assert write_table(store, tmp_path / "table.csv") == 5
    with (tmp_path / "table.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["correct"] for row in rows] == ["0", "1", "0", "0", ""]
    for row, one in zip(rows, expected, strict=False):
        assert [int(row[f"top{rank}"]) for rank in (1, 2)] == one.indices.tolist()
        assert row["top2_name"] == one.names[1]
        assert float(row["top1_probability"]) == pytest.approx(one.probabilities[0], rel=1e-6)
    assert rows[4]["status"] == "failed" and rows[4]["reason"] and not rows[4]["top1"]


def test_the_command_names_them(
    run: Callable[..., tuple[int, str, str]], results: tuple[Path, list], tmp_path: Path
) -> None:
    store, _ = results
    code, output, _ = run(
        "store", store, "--wrong", 1, "--least-sure", 2, "--csv", "t.csv", "--json"
    )
    said = json.loads(output)
    assert code == 0
    assert (len(said["wrong"]), len(said["least_sure"])) == (1, 2)
    assert (tmp_path / "t.csv").is_file()
    code, output, _ = run("store", store, "--wrong", 1)
    assert said["wrong"][0]["name"] in output and "labelled" in output
