from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from cam import zoo
from cam.localization import Predictions, read_ground_truth, write_submission

Run = Callable[..., tuple[int, str, str]]

ANNOTATION = (
    "<annotation><object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax>"
    "<ymax>{}</ymax></bndbox></object></annotation>"
)
PICTURES = {
    "sample_6": ("n01735189", (41, 145, 403, 347)),
    # The garter snake again, where it is not.
    "mirror": ("n01735189", (1, 1, 60, 60)),
}


@pytest.fixture
def devkit(tmp_path: Path) -> Path:
    """Return a devkit whose ids run the other way round than Caffe's class order."""
    data = tmp_path / "ILSVRC2014_devkit" / "data"
    data.mkdir(parents=True)
    names = zoo.class_names("categories1000.txt")
    lines = [f"{name[:9]} {1000 - index} name" for index, name in enumerate(names)]
    (data / "map_clsloc.txt").write_text("\n".join(lines))
    (data / "ILSVRC2014_clsloc_validation_blacklist.txt").write_text("")
    return data.parent


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    folder = tmp_path / "val"
    folder.mkdir()
    for name, (wnid, box) in PICTURES.items():
        (folder / f"{name}.xml").write_text(ANNOTATION.format(wnid, *box))
    return folder


@pytest.fixture
def heatmaps(run: Run, tmp_path: Path, shared_data: Path) -> Path:
    picture = cv2.imread(str(shared_data / "sample_6.jpg"))
    cv2.imwrite("sample_6.png", picture)
    cv2.imwrite("mirror.png", picture[:, ::-1])
    (tmp_path / "list.txt").write_text("sample_6.png\nmirror.png\n")
    assert run("ilsvrc-heatmaps", "list.txt", "-o", "maps", "--engine", "openvino")[0] == 0
    return tmp_path / "maps"


def test_pictures_become_a_row_of_the_table(
    run: Run, heatmaps: Path, truth: Path, devkit: Path
) -> None:
    code, output, _ = run(
        *("evaluate", "--heatmaps", heatmaps, "--ground-truth", truth, "--devkit", devkit),
        *("--json", "errors.json", "--save-predictions", "guesses.txt"),
    )
    assert code == 0
    lines = output.splitlines()
    assert lines[0] == "bbox1: error in %, 2 pictures, 0 of them blacklisted"
    # Both pictures are named right; the box of one is where the object is.
    assert lines[2].split() == ["1", "50.00", "0.00"]
    assert [line.split(":")[0] for line in lines if ":" in line] == ["bbox1", "bbox2", "combined"]
    records = json.loads(Path("errors.json").read_text())
    assert [record["boxes"] for record in records] == ["bbox1", "bbox2", "combined"]
    assert {record["model"] for record in records} == {"efficientnet-lite0"}
    # What was written is what was measured; the devkit's format has one line a picture, by name.
    assert Path("guesses.txt").read_text().splitlines()[0].split()[0] == str(1000 - 57)
    again = run(
        *("evaluate", "--predictions", "guesses.txt", "--ground-truth", truth),
        *("--devkit", devkit),
    )[1]
    assert again.splitlines()[1:] == lines[1:7]
    assert run("tables", "errors.json", "-o", "tables.md")[0] == 0
    row = "| efficientnet-lite0 | not in the paper | not in the paper | 50.00 | 50.00 | 2 |"
    assert row in Path("tables.md").read_text()


def test_one_picture_of_a_list_is_evaluated_with_the_papers_rule(
    run: Run, heatmaps: Path, truth: Path, devkit: Path
) -> None:
    Path("one.txt").write_text("elsewhere/sample_6.JPEG 57\n")
    code, output, _ = run(
        *("evaluate", "--heatmaps", heatmaps, "--ground-truth", truth, "--devkit", devkit),
        *("--list", "one.txt", "--rule", "paper", "--method", "Mine", "--json", "errors.json"),
    )
    assert code == 0
    assert "1 pictures" in output
    (record,) = json.loads(Path("errors.json").read_text())
    assert (record["method"], record["boxes"]) == ("Mine", "paper's rule")
    assert record["localization"]["top1"] == 0


def test_the_whole_validation_set_is_evaluated_from_a_submission(
    run: Run, shared_data: Path
) -> None:
    boxes = shared_data / "ilsvrc2014_val_boxes.mat"
    truth = read_ground_truth(boxes)
    _, first = np.unique(truth.box_pictures, return_index=True)
    guesses = Predictions(truth.labels[:, None], truth.boxes[first][:, None])
    write_submission("perfect.txt", guesses)
    code, output, _ = run(
        *("evaluate", "--predictions", "perfect.txt", "--ground-truth", boxes),
        *("--method", "GoogLeNet-GAP", "--json", "errors.json"),
    )
    assert code == 0
    assert output.splitlines()[2].split() == ["1", "0.00", "0.00"]
    table = run("tables", "errors.json", "--format", "csv")[1]
    assert "localization,GoogLeNet-GAP,56.40,43.00,0.00,not measured,50000," in table


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "either --heatmaps or --predictions"),
        (["--heatmaps", "maps", "--predictions", "guesses.txt"], "either --heatmaps or"),
        (["--predictions", "guesses.txt"], "--ground-truth is missing"),
        (["--heatmaps", "maps", "--ground-truth", "val"], "--meta is missing"),
        (["--heatmaps", "maps", "--ground-truth", "val", "--meta", "no.mat"], "image-net.org"),
        (["--heatmaps", "maps", "--devkit", "val"], "not an ILSVRC devkit"),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    run: Run, truth: Path, arguments: list[str], message: str
) -> None:
    Path("guesses.txt").write_text("1 1 1 2 2\n")
    code, _, errors = run("evaluate", *arguments)
    assert code == 2
    assert message in errors
    assert len(errors.splitlines()) == 1


def test_a_measurement_needs_a_name(run: Run, truth: Path, devkit: Path) -> None:
    Path("guesses.txt").write_text("1 1 1 2 2\n1 1 1 2 2\n")
    arguments = ("--predictions", "guesses.txt", "--ground-truth", truth, "--devkit", devkit)
    code, _, errors = run("evaluate", *arguments, "--json", "errors.json")
    assert code == 2
    assert "--method" in errors
    assert not Path("errors.json").exists()


def test_tables_without_measurements_say_so(run: Run) -> None:
    code, output, _ = run("tables")
    assert code == 0
    assert "| GoogLeNet-GAP | 56.40 | 43.00 | not measured | not measured |" in output
