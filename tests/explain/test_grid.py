from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

import cam
from cam.explain.explanation import Explanation
from cam.explain.grid import Grid, contact_sheet, thumbnail
from cam.explain.model import CamModel

DATA = re.compile(r'src="data:image/jpeg;base64,([^"]*)"')


@pytest.fixture(scope="module")
def model() -> CamModel:
    return cam.load("efficientnet-lite0", engine="openvino")


@pytest.fixture(scope="module")
def result(model: CamModel, coffee: Path) -> Explanation:
    return model.explain(coffee)


class Tags(HTMLParser):
    """What a page consists of, each tag closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text, self._open = "", list[str]()
        self.feed(page)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag not in ("img", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def pictures_of(page: str) -> list[np.ndarray]:
    return [
        cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
        for data in DATA.findall(page)
    ]


def test_a_result_and_a_model_say_what_they_are_in_one_short_line(
    result: Explanation, model: CamModel, coffee: Path
) -> None:
    said = f"espresso 0.897 and 4 more; {model.name}, pycaffe>"
    assert repr(result) == f"<Explanation of {coffee}: {said}"
    assert repr(replace(result, source=None)).startswith("<Explanation of a picture: espresso")
    assert repr(model) == "<CamModel efficientnet-lite0: 1000 classes, openvino on CPU>"


def test_a_result_shows_the_picture_and_each_map_in_its_proportions(result: Explanation) -> None:
    page = result._repr_html_()
    shown = Tags(page)
    pictures = pictures_of(page)
    assert [picture.shape for picture in pictures] == [(128, 192, 3)] * 6
    small = cv2.resize(result.picture, (192, 128), interpolation=cv2.INTER_AREA)
    assert np.abs(pictures[0].astype(int) - small).mean() < 8
    overlay = cv2.resize(result.overlay(1), (192, 128), interpolation=cv2.INTER_AREA)
    assert np.abs(pictures[2].astype(int) - overlay).mean() < 5
    assert "espresso1: 0.897" in shown.text
    assert len(page) < 100_000
    assert "http" not in page
    assert "script" not in shown.tags


def test_names_from_anyone_stay_text(result: Explanation) -> None:
    evil = '<script>alert("1")</script>'
    named = replace(result, names=(evil,) * 5, source=f"/tmp/{evil}", record={"model": evil})
    for page in (named._repr_html_(), Grid([named])._repr_html_()):
        shown = Tags(page)
        assert "script" not in shown.tags
        assert evil.partition("</")[0] in shown.text


def test_a_result_of_many_classes_shows_some(model: CamModel, coffee: Path) -> None:
    page = model.explain(coffee, top=30)._repr_html_()
    assert len(pictures_of(page)) == 11
    assert "and 20 more" in page


def test_a_model_shows_what_it_is(model: CamModel) -> None:
    shown = Tags(model._repr_html_())
    for text in ("efficientnet-lite0", "openvino on CPU", "1000", "224x224", "classifier"):
        assert text in shown.text


def test_many_results_stand_in_a_grid(model: CamModel, result: Explanation) -> None:
    tall = model.explain(np.ascontiguousarray(result.picture[:, :200]))
    grid = Grid([result, tall, result], columns=2)
    assert repr(grid) == "<Grid of 3 results>"
    assert grid.picture().shape == (2 * 300 + 8, 2 * 256 + 8, 3)
    shapes = [picture.shape for picture in pictures_of(grid._repr_html_())]
    assert shapes == [(128, 192, 3), (192, 96, 3), (128, 192, 3)]
    assert Grid([])._repr_html_().count("figure") == 0
    with pytest.raises(cam.CamError, match="needs a picture"):
        contact_sheet([])


def test_a_thumbnail_without_the_picture_itself_is_of_the_frame(result: Explanation) -> None:
    drawing = cam.Drawing(size="picture", colormap="viridis", alpha=0.5)
    there = thumbnail(result, 0, 300, drawing).astype(int)
    gone = thumbnail(replace(result, source=None), 0, 300, drawing)
    assert there.shape == gone.shape == (200, 300, 3)
    assert np.abs(there - gone).mean() < 8
    bare = thumbnail(replace(result, maps=result.maps[:0]), 0, 300, drawing)
    expected = cv2.resize(result.frame, (300, 200), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(bare, expected)
