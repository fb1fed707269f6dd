"""Informative objects: which objects the active regions of a class's maps hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cam
from cam.batch import BatchOptions, run_batch
from cam.errors import CamError
from cam.explain.model import CamModel
from cam.learning.objects import HeldObject, held_objects, read_objects
from cam.localization.boxes import BoxRule
from cam.pictures.reading import read_picture, write_picture

pytest.importorskip("pyarrow")

CLASS = "n07920052 espresso"


@pytest.fixture(scope="module")
def model() -> CamModel:
    return cam.load("efficientnet-lite0", engine="openvino")


@pytest.fixture(scope="module")
def folder(model: CamModel, coffee: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return pictures of a cup, a store of their maps, and where its class's region is."""
    target = tmp_path_factory.mktemp("scenes")
    photograph = read_picture(coffee)
    (target / "pictures").mkdir()
    for number in range(3):
        write_picture(target / f"pictures/{number}.png", photograph[:, 20 * number :])
    index = model.class_names.index(CLASS)
    (target / "list.txt").write_text(
        "".join(f"pictures/{number}.png {index}\n" for number in range(3))
    )
    run_batch(model, [target / "list.txt"], target / "store", BatchOptions(precision="float32"))
    return target


def region(model: CamModel, folder: Path, number: int) -> tuple[int, int, int, int]:
    explanation = model.explain(folder / f"pictures/{number}.png", classes=[CLASS])
    (box,) = explanation.boxes(0, BoxRule("paper", fraction=0.5))
    return box


def test_objects_in_the_region_are_held_and_others_are_not(model: CamModel, folder: Path) -> None:
    lines = ["name,object,x,y,width,height,mask\n"]
    for number in range(3):
        x, y, width, height = region(model, folder, number)
        inside = f"{x + width // 3},{y + height // 3},{width // 3},{height // 3}"
        name = f"pictures/{number}.png"
        lines.append(f"{name},cup,{inside},\n")
        rows, columns = read_picture(folder / name).shape[:2]
        mask = np.zeros((rows, columns, 3), np.uint8)
        mask[-25:, -25:] = 255
        write_picture(folder / f"corner{number}.png", mask)
        lines.append(f"{name},corner,,,,,corner{number}.png\n")
        # Of an object that is there twice, the better one counts, once.
        lines.append(f"{name},corner,{columns - 9},{rows - 9},9,9,\n")
    lines.append(f"pictures/0.png,spoon,{inside},\n")
    lines.append("elsewhere.png,spoon,1,1,5,5,\n")
    (folder / "objects.csv").write_text("".join(lines))
    ranked = held_objects(folder / "store", read_objects(folder / "objects.csv"), share=0.5)
    assert list(ranked) == [CLASS]
    assert [one.name for one in ranked[CLASS]] == ["cup", "spoon", "corner"]
    cup, spoon, corner = ranked[CLASS]
    assert (cup.held, cup.present, cup.pictures, cup.frequency) == (3, 3, 3, 1.0)
    assert (spoon.present, spoon.pictures) == (1, 3)
    assert corner == HeldObject("corner", 0, 3, 3)


def test_the_command_ranks_them(folder: Path, model: CamModel, run: Any) -> None:
    x, y, width, height = region(model, folder, 1)
    (folder / "one.csv").write_text(
        f"name,object,x,y,width,height\npictures/1.png,cup,{x},{y},{width},{height}\n"
    )
    code, output, errors = run("objects", folder / "store", folder / "one.csv")
    assert code == 0, errors
    assert output == f"{CLASS} (pictures: 1)\n  100.0%  cup (held in 1 of 1)\n"
    _, output, _ = run("objects", folder / "store", folder / "one.csv", "--json")
    assert json.loads(output) == {CLASS: [{"name": "cup", "held": 1, "present": 1, "pictures": 1}]}


def test_what_does_not_fit_is_said(folder: Path, model: CamModel, tmp_path: Path) -> None:
    for text, said in (
        ("name,object,x\na.png,cup,1\n", "line 2: neither a mask nor a box"),
        ("name,object,x,y,width,height\na.png,,1,1,1,1\n", "line 2: no name or no object"),
    ):
        (tmp_path / "bad.csv").write_text(text)
        with pytest.raises(CamError, match=said):
            read_objects(tmp_path / "bad.csv")
    (tmp_path / "bad.csv").write_text("name,object,x,y,width,height\na.png,cup,1,1,1,1\n")
    with pytest.raises(CamError, match="the names must be the same"):
        held_objects(folder / "store", read_objects(tmp_path / "bad.csv"))
    with pytest.raises(CamError, match="from 0 up to 1"):
        held_objects(folder / "store", {}, share=1.0)
    run_batch(model, [folder / "pictures"], tmp_path / "bare", BatchOptions(outputs=()))
    with pytest.raises(CamError, match="has no maps"):
        held_objects(tmp_path / "bare", {})
    write_picture(tmp_path / "mask.png", np.zeros((5, 5, 3), np.uint8))
    (tmp_path / "bad.csv").write_text("name,object,mask\npictures/0.png,cup,mask.png\n")
    with pytest.raises(CamError, match=r"a mask of \(5, 5\) for a picture of"):
        held_objects(folder / "store", read_objects(tmp_path / "bad.csv"))
