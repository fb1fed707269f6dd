"""Learning again from crops (section 4.1): which box is cut out, and what is learned from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import cam
from cam.batch.store import read_entries
from cam.errors import CamError
from cam.explain.model import CamModel
from cam.learning.classifier import ClassifierOptions
from cam.learning.crops import LearnedCrops, learn_with_crops
from cam.learning.learn import LearnOptions
from cam.localization.boxes import BoxRule
from cam.pictures.lists import Entry
from cam.pictures.reading import read_picture, write_picture

pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")

OPTIONS = LearnOptions(ClassifierOptions(C=0.001), figures=False)


@pytest.fixture(scope="module")
def model() -> CamModel:
    return cam.load("efficientnet-lite0", engine="openvino")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory, coffee: Path) -> Path:
    """Return a table of pictures with a cup somewhere, or without its middle, and the box of it."""
    folder = tmp_path_factory.mktemp("cups")
    photograph = cv2.resize(read_picture(coffee), (150, 100))
    generator = np.random.default_rng(0)
    lines = ["path,label,split,x,y,width,height\n"]
    for number in range(16):
        label = ("cup", "hidden")[number % 2]
        canvas = generator.integers(90, 130, (240, 320, 3)).astype(np.uint8)
        x, y = (int(generator.integers(0, limit)) for limit in (170, 140))
        canvas[y : y + 100, x : x + 150] = photograph
        if label == "hidden":
            canvas[y + 20 : y + 80, x + 30 : x + 120] = 0
        write_picture(folder / f"{number:02d}.png", canvas)
        split = "test" if number >= 12 else "train"
        lines.append(f"{number:02d}.png,{label},{split},{x},{y},150,100\n")
    (folder / "table.csv").write_text("".join(lines))
    return folder / "table.csv"


@pytest.fixture(scope="module")
def learned(model: CamModel, table: Path, tmp_path_factory: pytest.TempPathFactory) -> LearnedCrops:
    return learn_with_crops(model, table, tmp_path_factory.mktemp("out"), options=OPTIONS)


def content(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.mark.parametrize("part", ["train", "test"])
def test_the_box_is_that_of_the_label_in_training_and_of_the_class_found_in_testing(
    learned: LearnedCrops, model: CamModel, part: str
) -> None:
    finder = learned.full.open(model)
    store = learned.full.parts.all()[part]
    cropped = list(read_entries(learned.crop.parts.all()[part].folder))
    assert len(cropped) == (12 if part == "train" else 4)
    for entry, label, whole in zip(cropped, store.labels, read_entries(store.folder), strict=True):
        classes = [int(label)] if part == "train" else None
        explanation = finder.explain(whole.read(), 1, placement="crop", classes=classes)
        (expected,) = explanation.boxes(0, BoxRule("paper"))
        assert entry.box is not None
        assert np.abs(np.subtract(entry.box, expected)).max() <= 1


def test_the_second_classifier_learns_from_the_crops(
    learned: LearnedCrops, model: CamModel
) -> None:
    block = learned.crop.parts.train.load()
    for index, entry in enumerate(read_entries(learned.crop.parts.train.folder)):
        assert entry.box is not None
        x, y, width, height = entry.box
        part = read_picture(entry.path)[y : y + height, x : x + width]
        np.testing.assert_allclose(
            block.features[index], model.explain(part, 1).features, atol=1e-5
        )


def test_the_third_one_learns_from_the_ground_truths_boxes(
    learned: LearnedCrops, table: Path
) -> None:
    assert learned.truth is not None
    lines = [line.split(",") for line in table.read_text().splitlines()[1:]]
    wanted = [tuple(map(int, line[3:])) for line in lines if line[2] == "train"]
    found = [entry.box for entry in read_entries(learned.truth.parts.train.folder)]
    assert found == wanted


def test_there_are_three_accuracies(learned: LearnedCrops) -> None:
    accuracies = learned.accuracies()
    assert list(accuracies) == ["full", "crop", "truth"]
    for kind, learned_one in (("crop", learned.crop), ("truth", learned.truth)):
        assert learned_one is not None
        written = json.loads((learned.full.folder / kind / "learning.json").read_text())
        assert accuracies[kind] == 100 * written["accuracy"]
        assert written["measured_on"] == "test"
    assert cam.load_files(
        learned.full.folder / "crop/deploy.prototxt",
        learned.full.folder / "crop/weights.caffemodel",
        engine="openvino",
    ).class_names == ("cup", "hidden")


def test_a_second_call_gives_the_same_bytes(
    learned: LearnedCrops, model: CamModel, table: Path
) -> None:
    before = content(learned.full.folder)
    learn_with_crops(model, table, learned.full.folder, options=OPTIONS)
    assert content(learned.full.folder) == before


def test_the_command_prints_them_beside_the_papers(run: Any, table: Path, tmp_path: Path) -> None:
    arguments = ("learn", table, "-o", "out", "--crop", "--no-figures", "--engine", "openvino")
    code, output, errors = run(*arguments)
    assert code == 0, errors
    expected = {"full pictures": 63.0, "crops": 67.8, "ground-truth boxes": 70.5}
    for line, (name, number) in zip(output.splitlines()[-3:], expected.items(), strict=True):
        assert line.startswith(name) and f"CUB-200-2011: {number} %" in line
    code, output, _ = run(*arguments, "--json")
    record = json.loads(output)
    assert {"accuracy", "classes", "crop", "truth"} <= record.keys()
    assert record["crop"]["classes"] == record["classes"] == ["cup", "hidden"]


def test_a_part_of_a_picture_is_read_within_its_edges(coffee: Path) -> None:
    whole = read_picture(coffee)
    columns = whole.shape[1]
    part = Entry("a", str(coffee), box=(columns - 30, -5, 50, 25)).read()
    np.testing.assert_array_equal(part, whole[:20, -30:])
    for box in ((columns, 0, 10, 10), (0, -20, 10, 20), (5, 5, 0, 10)):
        with pytest.raises(CamError, match="outside the picture"):
            Entry("a", str(coffee), box=box).read()
