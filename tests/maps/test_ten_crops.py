from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cam.errors import CamError, InvalidValueError
from cam.maps.ten_crops import merge_ten_crop, ten_crop_positions


@pytest.mark.parametrize(("crop", "last", "center"), [(224, 32, 16), (227, 29, 15), (256, 0, 0)])
def test_ten_crop_positions_are_those_of_caffe(crop, last, center):
    # classification_demo.m: i = [0 256 - crop] + 1 over columns, j the same over rows, the center
    # at floor((256 - crop + 1) / 2) + 1, counted from one.
    positions = ten_crop_positions(crop)
    corners = [(0, 0), (last, 0), (0, last), (last, last), (center, center)]
    assert [(row, column) for row, column, _ in positions] == corners * 2
    assert [mirrored for _, _, mirrored in positions] == [False] * 5 + [True] * 5


def test_a_crop_larger_than_the_frame_is_refused():
    with pytest.raises(CamError, match="300 pixels"):
        ten_crop_positions(300)


@settings(deadline=None, max_examples=25)
@given(crop=st.integers(1, 12), frame=st.integers(12, 15), seed=st.integers(0, 99))
def test_merging_the_crops_of_a_picture_gives_the_picture_times_its_cover(crop, frame, seed):
    picture = np.random.default_rng(seed).integers(-9, 9, (frame, frame)).astype(np.float32)
    crops, cover = [], np.zeros((frame, frame))
    for row, column, mirrored in ten_crop_positions(crop, frame):
        cut = picture[row : row + crop, column : column + crop]
        crops.append(cut[:, ::-1] if mirrored else cut)
        cover[row : row + crop, column : column + crop] += 1
    merged = merge_ten_crop(np.array(crops)[:, np.newaxis], crop, frame)
    assert merged.dtype == np.float32
    np.testing.assert_array_equal(merged[0], 3 * np.abs(picture) * cover)


def test_maps_that_are_not_ten_crops_are_refused():
    with pytest.raises(CamError, match=r"\(10, classes, 224, 224\)"):
        merge_ten_crop(np.zeros((9, 5, 224, 224)), 224)
    with pytest.raises(CamError, match=r"\(10, classes, 224, 224\)"):
        merge_ten_crop(np.zeros((10, 5, 14, 14)), 224)


@pytest.mark.parametrize("kind", ["i1", "i2", "i4", "u1", "?", "f2", "f4", "f8"])
def test_maps_of_every_type_are_merged_without_wrapping(kind):
    lowest = np.iinfo(kind).min if kind[0] == "i" else 1
    merged = merge_ten_crop(np.full((10, 1, 4, 4), lowest, kind), 4, 4)
    np.testing.assert_array_equal(merged, np.full((1, 4, 4), np.float32(30 * abs(float(lowest)))))


def test_maps_that_are_no_real_numbers_are_refused():
    with pytest.raises(InvalidValueError, match="real numbers"):
        merge_ten_crop(np.ones((10, 1, 4, 4), complex), 4, 4)
