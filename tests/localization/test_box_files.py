from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cam.errors import CamError
from cam.localization import Box, format_boxes, parse_boxes, read_boxes, write_boxes

BOXES = [Box(41, 145, 362, 202), Box(102, 188, 242, 126)]


@given(st.lists(st.tuples(*[st.integers(-5, 5000)] * 4), max_size=8))
def test_both_text_forms_are_read_back(numbers: list[tuple[int, int, int, int]]) -> None:
    boxes = [Box(*four) for four in numbers]
    assert parse_boxes(format_boxes(boxes, "original"), "original") == boxes
    read = parse_boxes(format_boxes(boxes, "corners"), "corners")
    assert [box.corners for box in read] == [box.corners for box in boxes]
    assert all(box.width >= 0 and box.height >= 0 for box in read)


def test_box_files(tmp_path: Path) -> None:
    write_boxes(tmp_path / "new" / "boxes.txt", BOXES)
    assert (tmp_path / "new" / "boxes.txt").read_bytes() == b"41 145 403 347\n102 188 344 314\n"
    assert read_boxes(tmp_path / "new" / "boxes.txt") == BOXES


def test_the_files_of_the_original_are_taken_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "heatmap_default.txt"
    path.write_text("8 1 362 202 370 89 -3 1 ")
    boxes = read_boxes(path, "original")
    assert boxes == [Box(8, 1, 362, 202), Box(370, 89, -3, 1)]
    write_boxes(path, boxes, "original")
    assert path.read_text() == "8 1 362 202 370 89 -3 1 "


@pytest.mark.parametrize(
    ("text", "message"),
    [("1 2 3", "3 numbers"), ("1 2 3 four", "four"), ("9 9 3 4", "negative size")],
)
def test_text_without_boxes_is_refused(text: str, message: str) -> None:
    with pytest.raises(CamError, match=message) as caught:
        parse_boxes(text)
    assert "\n" not in str(caught.value)


def test_other_forms_are_refused() -> None:
    for call in (lambda form: format_boxes([], form), lambda form: parse_boxes("", form)):
        with pytest.raises(ValueError, match="xyxy"):
            call("xyxy")


def test_bad_files_are_named(tmp_path: Path) -> None:
    text = tmp_path / "boxes.txt"
    text.write_text("1 2 3")
    with pytest.raises(CamError, match=r"boxes\.txt.*3 numbers"):
        read_boxes(text)
    text.write_bytes(b"\xff\xfe")
    with pytest.raises(CamError, match="not text in UTF-8"):
        read_boxes(text)
    with pytest.raises(CamError, match=r"cannot read.*none\.txt"):
        read_boxes(tmp_path / "none.txt")
