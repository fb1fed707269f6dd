from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import cam
from cam.maps.colors import matlab_heat_picture, montage, py_map2jpg

MAPS = hnp.arrays(np.float64, (7, 5), elements=st.floats(-100, 100))


@given(MAPS)
def test_im2double_is_the_ports_min_max_normalisation(values: np.ndarray) -> None:
    # The port's own line.
    expected = cv2.normalize(values.astype("float"), None, 0.0, 1.0, cv2.NORM_MINMAX)
    np.testing.assert_array_equal(cam.im2double(values), expected)


def test_im2double_of_uint8_goes_from_0_to_1() -> None:
    result = cam.im2double(np.array([[10, 20], [30, 60]], np.uint8))
    np.testing.assert_allclose(result, [[0, 0.2], [0.4, 1]], atol=1e-15)
    assert result.dtype == np.float64


def test_im2double_of_a_constant_is_zero() -> None:
    assert not cam.im2double(np.full((3, 3), 7.0)).any()


@given(hnp.arrays(np.float64, (6, 4), elements=st.floats(0, 1)))
def test_py_map2jpg_without_range_is_the_ports(values: np.ndarray) -> None:
    expected = cv2.applyColorMap(np.round(values * 255).astype(np.uint8), cv2.COLORMAP_JET)
    np.testing.assert_array_equal(py_map2jpg(values, None, "jet"), expected)


def test_py_map2jpg_range_says_which_values_get_the_first_and_the_last_color() -> None:
    values = np.array([[-10.0, 2.0, 3.0, 4.0, 50.0]])
    jet = py_map2jpg(np.array([[0.0, 0.0, 0.5, 1.0, 1.0]]), None, "jet")
    np.testing.assert_array_equal(py_map2jpg(values, [2.0, 4.0], "jet"), jet)


@pytest.mark.parametrize("name", ["hot", "VIRIDIS"])
def test_py_map2jpg_takes_the_named_color_map(name: str) -> None:
    values = np.linspace(0, 1, 256)[np.newaxis]
    number = getattr(cv2, f"COLORMAP_{name.upper()}")
    expected = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[np.newaxis], number)
    np.testing.assert_array_equal(py_map2jpg(values, None, name), expected)


@pytest.mark.parametrize(
    ("rang", "color_map", "message"),
    [([1.0, 1.0], "jet", "range"), ([0.0], "jet", "range"), (None, "jett", "nearest: jet")],
)
def test_py_map2jpg_refuses_what_makes_no_sense(
    rang: list[float] | None, color_map: str, message: str
) -> None:
    with pytest.raises(cam.CamError, match=message):
        py_map2jpg(np.zeros((2, 2)), rang, color_map)


def test_matlabs_jet_and_opencvs_differ_by_at_most_4_levels() -> None:
    levels = np.linspace(0, 1, 256)[np.newaxis]
    matlab = np.round(matlab_heat_picture(levels)[:, :, ::-1] * 255)
    difference = np.abs(matlab - py_map2jpg(levels, None, "jet"))
    assert 0 < difference.max() <= 4


def test_montage_has_eight_white_columns_between_pictures() -> None:
    black = np.zeros((3, 4, 3), np.uint8)
    row = montage([black, black, black])
    assert row.shape == (3, 3 * 4 + 2 * 8, 3)
    np.testing.assert_array_equal(np.flatnonzero(row[0, :, 0]), [*range(4, 12), *range(16, 24)])
