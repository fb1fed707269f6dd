from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from locations import REPOSITORY

import cam
from cam.explain.drawing import Drawing
from cam.explain.explanation import Explanation
from cam.explain.model import CamModel
from cam.figures.sheets import (
    Panel,
    Row,
    Sheet,
    boxes_sheet,
    class_maps_sheet,
    comparison_sheet,
    format_score,
    scenes_sheet,
    top_classes_sheet,
)
from cam.figures.types import FIGURES, FigureRequest

PICTURE = np.zeros((60, 100, 3), np.uint8)


def titles(sheet: Sheet) -> list[list[str]]:
    return [[panel.title for panel in row.panels] for row in sheet.rows]


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


def test_a_legend_without_ground_truth_does_not_name_it() -> None:
    assert [text for text, _ in boxes_sheet([Panel(PICTURE)]).legend] == ["predicted"]


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
        (lambda: boxes_sheet([Panel(PICTURE)], per_row=0), "1 or more"),
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


def test_panels_and_sheets_can_be_compared_and_hashed() -> None:
    panel = Panel(PICTURE)
    assert panel == panel and panel != Panel(PICTURE)
    assert Sheet([Row([panel])]) != Sheet([Row([panel])])
    assert len({panel, Panel(PICTURE)}) == 2


def test_the_table_says_of_each_figure_what_the_request_and_the_paper_page_know() -> None:
    fields = {field.name for of in (FigureRequest, Drawing) for field in dataclasses.fields(of)}
    page = (REPOSITORY / "docs" / "reproduce.md").read_text()
    for name, figure_type in FIGURES.items():
        assert set(figure_type.options) <= fields | {"store"}
        assert f"`cam figure {name} " in page
