from __future__ import annotations

import warnings
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import cam
from cam.errors import CamError, InvalidValueError
from cam.maps.colors import matlab_heat_picture, py_heat_levels, py_map2jpg

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
    with pytest.raises(CamError, match=message):
        py_map2jpg(np.zeros((2, 2)), rang, color_map)


def test_matlabs_jet_and_opencvs_differ_by_at_most_4_levels() -> None:
    levels = np.linspace(0, 1, 256)[np.newaxis]
    matlab = np.round(matlab_heat_picture(levels)[:, :, ::-1] * 255)
    difference = np.abs(matlab - py_map2jpg(levels, None, "jet"))
    assert 0 < difference.max() <= 4


@pytest.mark.parametrize("place", range(12))
def test_im2double_keeps_what_is_not_a_number_wherever_it_is(place: int) -> None:
    values = np.arange(12.0)
    values[place] = np.nan
    others = np.delete(values, place)
    expected = (values - others.min()) / (others.max() - others.min())
    np.testing.assert_allclose(cam.im2double(values.reshape(3, 4)), expected.reshape(3, 4))
    assert np.isnan(cam.im2double(np.full((2, 2), np.nan))).all()


@pytest.mark.parametrize("kind", [complex, object, "U3"])
def test_what_is_no_real_number_is_refused(kind: Any) -> None:
    values = np.zeros((2, 2), kind)
    for function in (cam.im2double, py_heat_levels, matlab_heat_picture):
        with pytest.raises(InvalidValueError, match="real numbers"):
            function(values)
    with pytest.raises(InvalidValueError, match="real numbers"):
        py_map2jpg(values, None)


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i4", "f2", "f4"])
def test_py_map2jpg_cuts_off_below_the_lowest_value_in_every_type(kind: str) -> None:
    values = np.array([[0, 10, 50, 90, 120]], kind)
    expected = py_map2jpg(values.astype(float), [20, 90])
    np.testing.assert_array_equal(py_map2jpg(values, [20, 90]), expected)
    np.testing.assert_array_equal(expected[0, 0], py_map2jpg(np.zeros((1, 1)), None)[0, 0])


def test_levels_of_half_precision_are_those_of_single() -> None:
    values = np.linspace(0, 1, 1001).astype(np.float16)
    np.testing.assert_array_equal(py_heat_levels(values), py_heat_levels(values.astype(float)))


def test_what_is_not_a_number_takes_the_first_colour() -> None:
    values = np.array([[np.nan, 1.0, 0.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(py_heat_levels(values), [[0, 255, 0]])
        np.testing.assert_array_equal(py_heat_levels(cam.im2double(values)), [[0, 255, 0]])


def test_a_heat_picture_uses_the_whole_colour_map_and_the_range_given() -> None:
    ramp = np.linspace(0, 255, 256)[np.newaxis]
    picture = matlab_heat_picture(ramp)
    assert picture.shape == (1, 256, 3)
    np.testing.assert_array_equal(picture[0, [0, -1]], [[0, 0, 0.515625], [0.5, 0, 0]])
    np.testing.assert_array_equal(matlab_heat_picture(ramp, (0, 510))[0, -1], picture[0, 128])


def test_a_heat_picture_shows_what_is_not_a_number_as_the_lowest_level() -> None:
    heat_map = np.array([[np.nan, 1.0, 2.0]])
    picture = matlab_heat_picture(heat_map)
    np.testing.assert_array_equal(picture[0, 0], picture[0, 1])
    assert np.all(matlab_heat_picture(np.full((2, 2), np.nan)) == picture[0, 0])


def test_a_heat_picture_needs_rows_and_columns() -> None:
    with pytest.raises(CamError, match="2 axes"):
        matlab_heat_picture(np.zeros((2, 3, 4)))
