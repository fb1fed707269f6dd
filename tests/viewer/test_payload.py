from __future__ import annotations

import base64
import json

import cv2
import numpy as np
import pytest

import cam
from cam.explain.styles import get_style
from cam.viewer.payload import color_tables, data_uri, payload


def explained(maps: np.ndarray, style: str = "pycaffe", scores: object = (0.1, 0.9)) -> object:
    classes = maps.shape[1]
    return cam.Explanation(
        frame=np.arange(256 * 256 * 3, dtype=np.uint32).astype(np.uint8).reshape(256, 256, 3),
        picture_size=(300, 400),
        scores=np.array(scores, np.float32),
        indices=np.arange(classes)[::-1],
        names=tuple(f"class {k}" for k in range(classes))[::-1],
        maps=maps,
        crop_size=224,
        style=get_style(style),
    )


@pytest.mark.parametrize("precision", ["float16", "float32"])
def test_the_raw_maps_come_back_from_json(precision: str) -> None:
    maps = np.random.default_rng(0).normal(size=(10, 2, 7, 9)).astype(precision)
    given = payload(explained(maps.astype(np.float32), "matlab"), "x", precision=precision)
    said = json.loads(json.dumps(given, allow_nan=False))["maps"]
    data = np.frombuffer(base64.b64decode(said["data"]), f"<{np.dtype(said['dtype']).str[1:]}")
    np.testing.assert_array_equal(data.reshape(said["shape"]), maps)


def test_the_frame_is_kept_without_loss() -> None:
    explanation = explained(np.ones((1, 2, 7, 7), np.float32))
    header, data = payload(explanation, "x")["frame"].split(",")
    assert header == "data:image/png;base64"
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(decoded, explanation.frame)


def test_numbers_that_json_does_not_have_become_null() -> None:
    maps = np.full((1, 2, 7, 7), np.nan, np.float32)
    given = payload(explained(maps, scores=(np.nan, np.inf)), "x", boxes=[[], []])
    assert [one["probability"] for one in given["classes"]] == [None, None]
    json.dumps(given, allow_nan=False)


def test_boxes_are_those_of_the_original_rule_unless_they_are_given() -> None:
    maps = np.zeros((1, 1, 7, 7), np.float32)
    maps[0, 0, 2:4, 3:5] = 1
    explanation = explained(maps)
    (found,) = payload(explanation, "x")["classes"]
    assert found["boxes"] == [list(box) for box in explanation.boxes(0)] != []
    (given,) = payload(explanation, "x", boxes=[[[1, 2, 3, -4]]])["classes"]
    assert given["boxes"] == [[1, 2, 3, -4]]


def test_a_jpeg_of_a_frame_is_smaller() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3)).astype(np.uint8)
    assert len(data_uri(noise, "jpeg")) < len(data_uri(noise))


def test_colour_maps_have_256_colours_in_the_order_of_the_browser() -> None:
    tables = {name: base64.b64decode(table) for name, table in color_tables().items()}
    assert {len(table) for table in tables.values()} == {768}
    assert tuple(tables["jet"][:3]) == (0, 0, 128)
    assert tuple(tables["matlab jet"][-3:]) == (128, 0, 0)
