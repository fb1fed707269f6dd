from __future__ import annotations

import numpy as np
import pytest

from cam.errors import InvalidValueError
from cam.matlab import gray2ind, im2double, ind2rgb, jet, mat2gray


def test_im2double_divides_integers_by_their_range():
    np.testing.assert_array_equal(im2double(np.array([0, 127, 255], np.uint8)), [0, 127 / 255, 1])
    np.testing.assert_array_equal(im2double(np.array([65535], np.uint16)), [1])
    np.testing.assert_array_equal(im2double(np.array([-32768, 32767], np.int16)), [0, 1])
    np.testing.assert_array_equal(im2double(np.array([True, False])), [1, 0])
    np.testing.assert_array_equal(im2double(np.array([-3, 0.5], np.float32)), [-3, 0.5])
    with pytest.raises(InvalidValueError, match="int64"):
        im2double(np.array([1]))
    with pytest.raises(InvalidValueError, match="complex"):
        im2double(np.array([1j]))


@pytest.mark.parametrize("place", range(4))
def test_im2double_keeps_what_is_not_a_number_wherever_it_is(place):
    values = np.array([0.5, -3.0, 2.0, 1.0])
    values[place] = np.nan
    np.testing.assert_array_equal(im2double(values), values)


@pytest.mark.parametrize("values", [["a"], [1j], [None]])
def test_what_is_no_number_is_refused(values):
    for function in (mat2gray, lambda v: ind2rgb(v, jet(4)), lambda v: ind2rgb([0], [v * 3])):
        with pytest.raises(InvalidValueError):
            function(values)
    with pytest.raises(InvalidValueError, match="indices"):
        ind2rgb([np.nan], jet(4))


def test_mat2gray_as_documented():
    np.testing.assert_array_equal(mat2gray([1, 2, 3]), [0, 0.5, 1])
    np.testing.assert_array_equal(mat2gray([1, 2, 3], [3, 1]), [1, 0.5, 0])
    np.testing.assert_array_equal(mat2gray([-1, 0, 0.5, 3], [2, 2]), [0, 0, 0.5, 1])
    np.testing.assert_array_equal(mat2gray([[3, 3], [3, 3]]), np.ones((2, 2)))
    np.testing.assert_array_equal(mat2gray([0, 5, 10], [2.5, 7.5]), [0, 0.5, 1])
    np.testing.assert_array_equal(mat2gray([np.nan, 0, 2]), [1, 0, 1])
    np.testing.assert_array_equal(mat2gray([np.nan]), [1])
    assert mat2gray(np.uint8([0, 255])).dtype == np.float64
    with pytest.raises(InvalidValueError, match="two numbers"):
        mat2gray([1, 2], [1, 2, 3])


def test_gray2ind_as_documented():
    np.testing.assert_array_equal(gray2ind([0, 0.25, 0.5, 1]), [0, 16, 32, 63])
    np.testing.assert_array_equal(gray2ind([0, 0.25, 0.5, 1], 400), [0, 100, 200, 399])
    np.testing.assert_array_equal(gray2ind(np.uint8([0, 64, 128, 192, 255])), [0, 16, 32, 47, 63])
    np.testing.assert_array_equal(gray2ind([True, False], 2), [1, 0])
    np.testing.assert_array_equal(gray2ind([-1, 2, 1 / 510, np.nan], 256), [0, 255, 1, 0])
    assert gray2ind([0.5], 256).dtype == np.uint8
    assert gray2ind([0.5], 257).dtype == np.uint16
    with pytest.raises(InvalidValueError, match="65536"):
        gray2ind([0.5], 0)


def test_ind2rgb_counts_integers_from_zero_and_doubles_from_one():
    colors = np.eye(3)
    np.testing.assert_array_equal(ind2rgb(np.uint8([[0, 2]]), colors), [[[1, 0, 0], [0, 0, 1]]])
    np.testing.assert_array_equal(ind2rgb([1.0, 3.0, 9.0, -4.0], colors), colors[[0, 2, 2, 0]])
    with pytest.raises(InvalidValueError, match="levels, 3"):
        ind2rgb([0], np.zeros((4, 2)))


def test_jet_has_matlabs_colours():
    middle = [[0, 0.5, 1], [0, 1, 1], [0.5, 1, 0.5], [1, 1, 0], [1, 0.5, 0]]
    np.testing.assert_array_equal(jet(5), middle)
    np.testing.assert_array_equal(jet(64)[[0, 7, -1]], [[0, 0, 0.5625], [0, 0, 1], [0.5, 0, 0]])
    np.testing.assert_array_equal(jet(256)[[0, -1]], [[0, 0, 0.515625], [0.5, 0, 0]])
    np.testing.assert_array_equal(jet(1), [[0, 1, 1]])
    np.testing.assert_array_equal(jet(2), [[0, 0, 1], [0, 1, 1]])
    with pytest.raises(InvalidValueError, match="from 1 to 65536, not 0"):
        jet(0)
