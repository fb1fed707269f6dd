from __future__ import annotations

import builtins
import dataclasses
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import cam
from cam.explain.explanation import Explanation
from cam.explain.model import CamModel
from cam.figures.sheets import (
    FIGURES,
    BoxedPicture,
    Panel,
    Row,
    Sheet,
    boxes_sheet,
    class_maps_sheet,
    comparison_sheet,
    format_score,
    save_sheet,
    scenes_sheet,
    top_classes_sheet,
)
from cam.localization.boxes import Box

pytest.importorskip("matplotlib")

LONG = "n02443114 European polecat with a name that goes on and on, fitch, foulmart, foumart"
PICTURE = np.zeros((60, 100, 3), np.uint8)


@pytest.fixture(scope="module")
def model() -> CamModel:
    return cam.load(engine="openvino")


@pytest.fixture(scope="module")
def top(model: CamModel, coffee: Path) -> Explanation:
    return model.explain(coffee)


@pytest.fixture(scope="module")
def espresso(model: CamModel, top: Explanation) -> Explanation:
    return top.of_class(967)


@pytest.fixture(scope="module")
def sheets(top: Explanation, espresso: Explanation) -> dict[str, Sheet]:
    """Return one sheet of each type, with texts longer than their places."""
    long = dataclasses.replace(espresso, names=(LONG,))
    box = Box(10, 10, 50, 40)
    boxed = [
        BoxedPicture(PICTURE, [box], [box], f"{LONG}\n0.500"),
        BoxedPicture(PICTURE.transpose(1, 0, 2), [box], (), "cup\n0.250"),
    ]
    return {
        "class-maps": class_maps_sheet([long] * 5, per_row=3),
        "top5": top_classes_sheet(
            dataclasses.replace(top, names=(LONG, *top.names[1:])), "ground truth: " + 9 * "cup, "
        ),
        "comparison": comparison_sheet(
            [("GoogLeNet-GAP", [long, espresso]), ("backprop on " + 5 * "GoogLeNet ", [long] * 2)]
        ),
        "boxes": boxes_sheet(boxed, "Boxes", per_row=2),
        "scenes": scenes_sheet(
            [("Cooking", espresso), ("Cooking", espresso), (LONG, espresso), ("Playing", long)],
            "Actions",
        ),
    }


def drawn(sheet: Sheet) -> Any:
    from cam.figures.sheets import _Drawing, _plain_matplotlib

    with _plain_matplotlib():
        figure = _Drawing(sheet).figure()
        figure.canvas.draw()
    return figure


def titles(sheet: Sheet) -> list[list[str]]:
    return [["" if panel is None else panel.title for panel in row.panels] for row in sheet.rows]


@pytest.mark.parametrize("name", FIGURES)
def test_texts_and_pictures_never_overlap_and_stay_on_the_page(
    sheets: dict[str, Sheet], name: str
) -> None:
    figure = drawn(sheets[name])
    page = figure.bbox
    texts = [text.get_window_extent() for text in figure.texts]
    pictures = [axes.get_window_extent() for axes in figure.axes]
    assert texts
    for box in (*texts, *pictures):
        assert page.x0 <= box.x0 < box.x1 <= page.x1
        assert page.y0 <= box.y0 < box.y1 <= page.y1
    for one, other in combinations([*texts, *pictures], 2):
        width = min(one.x1, other.x1) - max(one.x0, other.x0)
        height = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert min(width, height) <= 0.5, (name, one, other)


@pytest.mark.parametrize("name", ["top5", "boxes"])
@pytest.mark.parametrize("suffix", [".png", ".pdf"])
def test_a_sheet_gives_the_same_bytes_each_time(
    sheets: dict[str, Sheet], name: str, suffix: str, tmp_path: Path
) -> None:
    import matplotlib

    files = [tmp_path / f"{number}{suffix}" for number in range(2)]
    save_sheet(sheets[name], files[0])
    with matplotlib.rc_context({"font.size": 20, "savefig.facecolor": "red"}):
        save_sheet(sheets[name], files[1])
    content = files[0].read_bytes()
    assert content == files[1].read_bytes()
    for trace in (b"Software", b"CreationDate", b"Producer", b"atplotlib"):
        assert trace not in content


def test_class_maps_stand_under_their_pictures(espresso: Explanation) -> None:
    sheet = class_maps_sheet([espresso] * 4, per_row=3)
    assert sheet.title == "espresso"
    score = format_score(float(espresso.probabilities[0]))
    assert titles(sheet) == [[""] * 3, [score] * 3, [""], [score]]
    panel = sheet.rows[1].panels[0]
    assert panel is not None
    np.testing.assert_array_equal(panel.picture, espresso.overlay(0))


def test_top_classes_have_names_and_scores_above(top: Explanation) -> None:
    (row,) = titles(top_classes_sheet(top))
    assert row[:2] == ["", f"espresso\n{format_score(float(top.probabilities[0]))}"]
    assert len(row) == 6


def test_a_comparison_has_a_row_a_picture_and_a_column_a_network(
    espresso: Explanation, model: CamModel, top: Explanation
) -> None:
    cup = top.of_class(968)
    sheet = comparison_sheet([("one", [espresso, cup]), ("two", [espresso, cup])])
    assert [row.label for row in sheet.rows] == ["espresso", "cup"]
    assert [heading.text for heading in sheet.rows[0].headings] == ["picture", "one", "two"]
    assert [len(row.panels) for row in sheet.rows] == [3, 3]


def test_boxes_are_drawn_green_and_red_where_they_are(tmp_path: Path) -> None:
    box, truth = Box(20, 10, 60, 30), Box(5, 5, 40, 50)
    save_sheet(boxes_sheet([BoxedPicture(PICTURE, [box], [truth])]), tmp_path / "boxes.png")
    pixels = cv2.imread(str(tmp_path / "boxes.png")).astype(int)
    dark = pixels.sum(axis=2) < 30
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    scale = (columns[-1] - columns[0] + 1) / 100
    red = (pixels[..., 2] > 200) & (pixels[..., 0] < 50) & (pixels[..., 1] < 50)
    red[rows[-1] + 1 :] = False  # the legend
    ys, xs = np.nonzero(red)
    found = (xs.min() - columns[0], ys.min() - rows[0], xs.max() - columns[0], ys.max() - rows[0])
    # A line's middle lies on the box's edge.
    np.testing.assert_allclose(np.array(found) / scale, (20, 10, 80, 40), atol=1.5)
    assert ((pixels[..., 1] > 150) & (pixels[..., 2] < 50)).any()


def test_a_legend_without_ground_truth_does_not_name_it() -> None:
    assert [text for text, _ in boxes_sheet([BoxedPicture(PICTURE, [])]).legend] == ["predicted"]


def test_neighbours_of_one_label_stand_under_one_heading(espresso: Explanation) -> None:
    labels = ["a", "a", "b", "a"]
    sheet = scenes_sheet([(label, espresso) for label in labels], per_row=3)
    spans = [(h.text, h.first, h.last) for row in sheet.rows for h in row.headings]
    assert spans == [("a", 0, 1), ("b", 2, 2), ("a", 0, 0)]
    assert [len(row.panels) for row in sheet.rows] == [3, 3, 1, 1]


def test_small_scores_are_not_shown_as_nothing() -> None:
    assert [format_score(score) for score in (1.0, 0.0015, 0.0009)] == ["1.000", "0.002", "< 0.001"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: class_maps_sheet([]), "needs a picture"),
        (lambda: comparison_sheet([("one", [])]), "same pictures"),
        (lambda: boxes_sheet([BoxedPicture(PICTURE, [])], per_row=0), "1 or more"),
        (lambda: save_sheet(Sheet([Row([Panel(PICTURE)])]), "figure.svg"), "as .png and .pdf"),
    ],
)
def test_what_makes_no_figure_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(cam.CamError, match=message):
        call()


def test_maps_of_several_classes_are_not_maps_of_one_class(
    model: CamModel, top: Explanation, espresso: Explanation
) -> None:
    with pytest.raises(cam.CamError, match="not 2 classes"):
        class_maps_sheet([espresso, top.of_class(968)])


def test_without_matplotlib_the_error_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    original = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.split(".")[0] == "matplotlib":
            raise ImportError(name)
        return original(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(cam.CamError, match="pip install matplotlib"):
        save_sheet(Sheet([Row([Panel(PICTURE)])]), tmp_path / "figure.png")
    assert not list(tmp_path.iterdir())
