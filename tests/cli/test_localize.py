from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import cam
from cam.localization import (
    Box,
    find_boxes,
    levels_of_colors,
    original_boxes,
    overlap,
    paper_box,
    picture_heatmap,
    read_boxes,
)
from cam.maps.colors import colors

SNAKE = (41, 145, 403, 347)
"""The original's box of sample_6.jpg."""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def heatmap(tmp_path: Path) -> Path:
    grey = np.zeros((80, 100), np.uint8)
    cv2.circle(grey, (40, 35), 20, 255, -1)
    path = tmp_path / "spot.png"
    cv2.imwrite(str(path), cv2.GaussianBlur(grey, (0, 0), 5))
    return path


def share(corners: Any, others: Any = SNAKE) -> float:
    return float(overlap(np.array(corners, np.float64), np.array(others, np.float64)))


def test_the_originals_heat_map_gives_the_originals_text(run: Run, shared_data: Path) -> None:
    photograph = shared_data / "sample_6.jpg"
    code, output, _ = run(
        "localize", shared_data / "heatmap_6.jpg", "--heatmap", "--on", photograph
    )
    assert code == 0
    assert "   41   145   403   347" in output
    folder = Path("cam-localize/heatmap_6")
    written = (folder / "boxes_original.txt").read_text()
    assert written.split() == (shared_data / "heatmap_6.txt").read_text().split()
    assert (folder / "boxes.txt").read_text() == "41 145 403 347\n102 188 344 314\n"
    drawn = cv2.imread(str(folder / "boxes.png"))
    assert drawn.shape == cv2.imread(str(photograph)).shape
    assert drawn[145, 200].tolist() == [0, 0, 255]


@pytest.mark.parametrize("rule", ["original", "paper"])
@pytest.mark.parametrize("style", ["matlab", "pycaffe"])
def test_the_box_of_the_garter_snake_covers_it(
    run: Run, shared_data: Path, rule: str, style: str
) -> None:
    picture = shared_data / "sample_6.jpg"
    code, output, errors = run(
        "localize", picture, "--engine", "openvino", "--rule", rule, "--style", style
    )
    assert code == 0
    assert "n01735189 garter snake" in output
    assert "not one of the paper's networks" in errors
    (box, *_) = read_boxes("cam-localize/sample_6/top1_n01735189_garter_snake_boxes.txt")
    assert share(box.corners) > 0.5


def test_a_chosen_class_is_located_in_the_pictures_own_pixels(run: Run, coffee: Path) -> None:
    code, output, _ = run(
        "localize", coffee, "--class", "cup", "--json", "--rule", "paper", "--engine", "openvino"
    )
    assert code == 0
    (result,) = json.loads(output)
    (located,) = result["located"]
    assert located["class"] == "n07930864 cup"
    ((x1, y1, x2, y2),) = located["corners"]
    height, width = cv2.imread(str(coffee)).shape[:2]
    assert 0 <= x1 < x2 <= width
    assert 0 <= y1 < y2 <= height
    # The saucer with the cup lies here in the photograph of 600×400 pixels.
    assert share((x1, y1, x2, y2), (160, 15, 440, 300)) > 0.4
    heatmap = cv2.imread("cam-localize/coffee/n07930864_cup_heatmap.png", cv2.IMREAD_UNCHANGED)
    assert heatmap.shape == (height, width)


def test_a_coloured_heat_map_gives_the_boxes_of_its_levels(run: Run, heatmap: Path) -> None:
    grey = cv2.imread(str(heatmap), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite("jet.png", cv2.applyColorMap(grey, cv2.COLORMAP_JET))
    assert run("localize", "jet.png", "--colormap", "jet")[0] == 0
    assert read_boxes("cam-localize/jet/boxes.txt") == original_boxes(grey)


def test_a_colour_picture_is_not_taken_for_a_grey_heat_map(run: Run, heatmap: Path) -> None:
    levels = cv2.imread(str(heatmap), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite("jet.png", cv2.applyColorMap(levels, cv2.COLORMAP_JET))
    code, _, errors = run("localize", "jet.png", "--heatmap")
    assert code == 2
    assert "--colormap jet" in errors


def test_a_grey_photograph_is_still_a_photograph(run: Run, heatmap: Path) -> None:
    code, output, _ = run("localize", heatmap, "--engine", "openvino")
    assert code == 0
    assert "(0." in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--on", "spot.png"], "--on is for one heat map"),
        (["--heatmap", "--on", "other.png"], "boxes need both at one size"),
        (["--heatmap", "--thresholds", "20;100"], "grey levels such as"),
        (["--heatmap", "--thresholds", "20,300"], "from 0 to 255"),
        (["--heatmap", "--rule", "paper", "--fraction", "1"], "from 0 up to 1"),
        (["--colormap", "jett"], "nearest: jet"),
        (["--class", "no such thing", "--engine", "openvino"], "no class"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(
    run: Run, heatmap: Path, arguments: list[str], message: str
) -> None:
    cv2.imwrite("other.png", np.zeros((10, 10), np.uint8))
    code, _, errors = run("localize", heatmap, *arguments)
    assert code == 2
    assert message in errors.splitlines()[-1]


def test_nothing_standing_out_gives_no_box(run: Run) -> None:
    cv2.imwrite("dark.png", np.zeros((50, 60), np.uint8))
    for rule in ("original", "paper"):
        code, output, _ = run("localize", "dark.png", "--heatmap", "--rule", rule)
        assert code == 0
        assert "no box" in output
        assert Path("cam-localize/dark/boxes.txt").read_text() == ""


def test_the_two_rules_are_those_of_their_names(heatmap: Path) -> None:
    grey = cv2.imread(str(heatmap), cv2.IMREAD_GRAYSCALE)
    assert find_boxes(grey, thresholds=(50,)) == original_boxes(grey, (50,))
    assert find_boxes(grey, "paper", fraction=0.5) == [paper_box(grey, 0.5)]
    with pytest.raises(cam.CamError, match="original, paper"):
        find_boxes(grey, "papers")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["jet", "viridis", "hot"])
def test_colours_become_the_levels_that_they_stand_for(name: str) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (30, 40)).astype(np.uint8)
    table = colors(name)
    found = levels_of_colors(table[levels], table)
    # Some maps have a colour twice.
    np.testing.assert_array_equal(table[found], table[levels])


def test_a_map_is_enlarged_to_the_picture_before_it_is_divided_by_its_maximum() -> None:
    grey = picture_heatmap(np.arange(12.0).reshape(3, 4), (30, 20))
    assert grey.shape == (30, 20)
    assert grey.max() == 255
    assert Box(0, 0, 20, 30).area == grey.size


def test_saliency_writes_maps_and_boxes(run: Run, pycaffe: Any, shared_data: Path) -> None:
    code, output, _ = run(
        "saliency",
        shared_data / "sample_6.jpg",
        "--top",
        1,
        "--style",
        "pycaffe",
        "--rule",
        "paper",
    )
    assert code == 0
    assert "garter snake" in output
    folder = Path("cam-saliency/sample_6")
    (box,) = read_boxes(folder / "top1_n01735189_garter_snake_boxes.txt")
    assert share(box.corners) > 0.5
    summary = json.loads((folder / "result.json").read_text())
    assert summary["record"]["method"] == "backpropagation"
    assert (folder / "montage.png").is_file()


def test_saliency_without_caffe_says_so(run: Run, coffee: Path) -> None:
    code, _, errors = run("saliency", coffee, "--engine", "openvino")
    assert code == 2
    assert "saliency by backpropagation needs the caffe engine" in errors
    assert not Path("cam-saliency").exists()
