from __future__ import annotations

import cv2
import numpy as np
import pytest

from cam.maps.placing import WHOLE, Part, bands, place_map
from cam.matlab import imresize

SIZES = [(1080, 1920), (256, 256), (90, 1), (1, 90), (5, 3)]


def placed(crop_map: np.ndarray, part: Part, size: tuple[int, int], method: str) -> np.ndarray:
    whole = np.full(size, np.nan)
    for band in bands(size):
        one = place_map(crop_map, part, size, band, method)
        whole[band][one.rows, one.columns] = one.values
    return whole


@pytest.mark.parametrize("size", SIZES)
def test_a_map_of_the_whole_picture_is_enlarged_as_by_opencv(size: tuple[int, int]) -> None:
    crop_map = np.random.default_rng(0).standard_normal((7, 14))
    expected = cv2.resize(crop_map, size[::-1])
    np.testing.assert_allclose(placed(crop_map, WHOLE, size, "bilinear"), expected, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_a_map_of_the_whole_picture_is_enlarged_as_by_matlab(size: tuple[int, int]) -> None:
    crop_map = np.random.default_rng(1).standard_normal((14, 7))
    expected = imresize(crop_map, size)
    np.testing.assert_allclose(placed(crop_map, WHOLE, size, "bicubic"), expected, atol=1e-12)


@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
def test_a_part_has_the_pixels_whose_middles_lie_in_it_and_no_others(method: str) -> None:
    whole = placed(np.ones((3, 3)), Part(0.0625, 0.125, 0.875), (1080, 1920), method)
    inside = ~np.isnan(whole)
    np.testing.assert_allclose(whole[inside], 1)
    # 1080 / 16 = 67.5: the middle of row 67 lies on the edge.
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (67, 1011, 240, 1919)
    assert inside[67:1012, 240:].all()


def test_a_number_that_is_none_stays_around_its_pixel() -> None:
    crop_map = np.ones((14, 14))
    crop_map[3, 4] = np.nan
    assert 0 < np.isnan(placed(crop_map, WHOLE, (300, 400), "bicubic")).mean() < 0.1


def test_bands_are_all_rows_once_however_wide_the_picture_is() -> None:
    for size in [(1, 1), (3000, 5000), (10, 2_000_000)]:
        rows = [row for band in bands(size) for row in range(band.start, band.stop)]
        assert rows == list(range(size[0]))
