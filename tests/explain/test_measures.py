"""Pictures' maps are brought to where the measures look at them, and measured."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import cam
from cam.errors import CamError, InvalidValueError
from cam.explain.faithfulness import area_under, deletion
from cam.explain.measures import (
    MEASURES,
    map_of_array,
    map_of_explanation,
    measure,
    summarize,
)
from cam.explain.model import CamModel
from cam.explain.styles import PycaffeStyle
from cam.pictures.reading import read_picture


@pytest.fixture(scope="module")
def model() -> CamModel:
    return cam.load(engine="openvino", threads=1)


def test_a_map_placed_on_its_crop_is_the_crops_own_map(model: CamModel, coffee: Path) -> None:
    explanation = model.explain(coffee, top=1, placement="crop")
    on_crop = map_of_explanation(explanation).on_crop
    own = cv2.resize(explanation.maps[0, 0].astype(np.float64), (224, 224))
    np.testing.assert_allclose(on_crop, (own - own.min()) / np.ptp(own), atol=1e-12)


def test_a_map_over_the_whole_picture_is_cut_at_the_crop(model: CamModel, coffee: Path) -> None:
    explanation = model.explain(coffee, top=1)
    on_crop, on_picture = map_of_explanation(explanation)
    whole = cv2.resize(explanation.maps[0, 0].astype(np.float64), (256, 256))[16:240, 16:240]
    np.testing.assert_allclose(on_crop, (whole - whole.min()) / np.ptp(whole), atol=1e-12)
    rows, columns = read_picture(coffee).shape[:2]
    own = cv2.resize(explanation.maps[0, 0].astype(np.float64), (columns, rows))
    np.testing.assert_allclose(on_picture, own, atol=1e-4 * np.ptp(own))


def test_where_the_network_saw_nothing_the_map_is_lowest(model: CamModel, coffee: Path) -> None:
    on_picture = map_of_explanation(model.explain(coffee, top=1, placement="crop")).on_picture
    assert np.isfinite(on_picture).all()
    assert on_picture[0, 0] == on_picture.min()


def test_an_array_lies_over_the_whole_picture() -> None:
    quarters = np.array([[0, 0], [0, 4]])
    heat_map = map_of_array(quarters, 224, (60, 100))
    assert heat_map.on_crop.shape == (224, 224)
    assert heat_map.on_picture.shape == (60, 100)
    assert heat_map.on_picture[-1, -1] == 4
    assert heat_map.on_crop[0, 0] == 0
    assert heat_map.on_crop[-1, -1] == 1


@pytest.mark.parametrize(
    "values", [np.ones(4), np.ones((2, 2), complex), np.full((2, 2), np.nan), np.empty((0, 2))]
)
def test_an_array_that_is_no_map_is_refused(values: np.ndarray) -> None:
    with pytest.raises(InvalidValueError, match="map"):
        map_of_array(values, 224, (60, 100))


def test_the_network_is_asked_for_the_class_on_the_ports_crop(
    model: CamModel, coffee: Path
) -> None:
    picture = read_picture(coffee)
    explanation = model.explain(picture, top=1)
    heat_map = map_of_explanation(explanation)
    index = int(explanation.indices[0])
    measured = measure(model, picture, index, heat_map, measures=["deletion"])
    batch = model.network_input(picture, PycaffeStyle()).batch
    curve = deletion(
        lambda inputs: np.concatenate(
            [model.engine.forward(one[np.newaxis]).scores[:, index] for one in inputs]
        ),
        batch[0],
        heat_map.on_crop,
    )
    assert curve[0] == pytest.approx(explanation.probabilities[0], rel=1e-5)
    assert measured.values == {"deletion": pytest.approx(area_under(curve), rel=1e-4)}
    assert measured.overlaps is None


def test_boxes_are_measured_on_the_pictures_own_pixels(model: CamModel) -> None:
    picture = np.full((80, 200, 3), 120, np.uint8)
    heat_map = map_of_array(np.eye(1, 50, 40), 224, (80, 200))
    boxes = np.array([[150.0, 0, 170, 79]])
    measured = measure(model, picture, 0, heat_map, measures=[], boxes=boxes)
    assert measured.values["pointing_game"] == 1
    assert measured.values["energy_in_boxes"] > 0.9
    assert measured.overlaps is not None
    assert measured.overlaps.shape == (2, 100)


def test_a_summary_is_the_mean_over_the_pictures_that_have_the_measure(model: CamModel) -> None:
    picture = np.full((80, 200, 3), 120, np.uint8)
    heat_map = map_of_array(np.eye(1, 50, 40), 224, (80, 200))
    boxes = np.array([[150.0, 0, 170, 79]])
    with_box = measure(model, picture, 0, heat_map, measures=["drop"], boxes=boxes)
    without = measure(model, picture, 1, heat_map, measures=["drop"])
    summary = summarize([with_box, without])
    drops = [one.values["average_drop"] for one in (with_box, without)]
    assert summary["average_drop"] == pytest.approx(np.mean(drops))
    assert (summary["pictures"], summary["pictures_with_boxes"]) == (2, 1)
    assert summary["pointing_game"] == 1
    assert 0 <= summary["max_box_acc_v2"] <= 1


def test_unknown_measures_and_no_pictures_are_refused(model: CamModel) -> None:
    heat_map = map_of_array(np.eye(2), 224, (80, 200))
    with pytest.raises(InvalidValueError, match=f"there are {', '.join(MEASURES)}"):
        measure(model, np.zeros((80, 200, 3), np.uint8), 0, heat_map, measures=["beauty"])
    with pytest.raises(CamError, match="no picture was measured"):
        summarize([])
