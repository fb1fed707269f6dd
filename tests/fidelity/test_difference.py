from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cam.errors import InvalidValueError
from cam.fidelity import Difference, Tolerance, measure


def measured(first: Any, second: Any, **options: Any) -> Difference:
    return measure(np.array(first), np.array(second), **options)


def test_measures_have_their_closed_forms() -> None:
    apart = measured([0.0, 1.0, 4.0, 3.0], [0.0, 2.0, 4.0, 2.0])
    assert (apart.max_abs, apart.mean_abs, apart.magnitude, apart.relative) == (1, 0.5, 4, 0.25)
    assert apart.correlation == pytest.approx(np.corrcoef([0, 1, 4, 3], [0, 2, 4, 2])[0, 1])
    assert apart.within_levels == 0.5
    pixels = measured([0, 100, 200, 255], [1, 102, 200, 255], white=255.0)
    assert (pixels.max_abs, pixels.within_levels) == (2.0, 0.75)
    levels = measured([0.0, 1 / 255, 1.0], [0.0, 0.0, 1 - 2 / 255], white=1.0)
    assert levels.within_levels == pytest.approx(2 / 3)


def test_numbers_are_judged_by_their_relative_difference_and_pictures_by_their_levels() -> None:
    first, second = [100.0, 101.0, 255.0], [100.0, 113.0, 255.0]
    assert measured(first, second, tolerance=Tolerance(relative=0.05)).within
    assert not measured(first, second, tolerance=Tolerance(relative=0.04)).within
    for levels, share in ((11.9, 2 / 3), (12.0, 1.0)):
        apart = measured(first, second, tolerance=Tolerance(levels=levels), white=255.0)
        assert apart.within_levels == pytest.approx(share)
        assert apart.within == (share == 1.0)
    assert measured(first, second, tolerance=Tolerance(share=0.5), white=255.0).within


def test_what_is_not_a_number_agrees_only_with_its_like() -> None:
    assert measured([np.nan, 1.0], [np.nan, 1.0]).max_abs == 0
    assert measured([np.nan, 1.0], [0.0, 1.0]).max_abs == np.inf
    assert not measured([np.nan, 1.0], [0.0, 1.0]).within
    assert measured([np.inf, -np.inf], [np.inf, -np.inf]).max_abs == 0
    assert measured([np.nan, np.nan], [np.nan, np.nan]).within
    assert not measured([np.nan, np.nan], [0.0, 0.0]).within


def test_constants_have_no_correlation() -> None:
    assert measured([1.0, 1.0], [1.0, 1.0]).correlation is None
    assert measured([0.0, 0.0], [0.0, 0.0]).relative == 0


def test_what_differs_from_nothing_differs_by_all_of_it() -> None:
    assert measured([0.0, 0.0], [0.0, 2.0]).relative == 1.0
    assert measured([0.0, 2.0], [0.0, 0.0]).relative == 1.0


@pytest.mark.parametrize("white", [None, 255.0])
def test_it_does_not_matter_which_array_is_named_first(white: float | None) -> None:
    random = np.random.default_rng(0)
    for scale in (0.1, 1.0, 30.0):
        first, second = random.normal(10, 5, (4, 30)), random.normal(3, scale, (4, 30))
        second[0, :2] = np.nan, np.inf
        first[0, 1] = -np.inf
        assert measure(first, second, white=white) == measure(second, first, white=white)


def test_whole_numbers_do_not_wrap_around() -> None:
    assert measure(np.array([0], np.uint8), np.array([255], np.uint8)).max_abs == 255


@pytest.mark.parametrize(("first", "second"), [([1.0], [1.0, 2.0]), ([], [])])
def test_arrays_that_cannot_be_compared_are_refused(first: Any, second: Any) -> None:
    with pytest.raises(InvalidValueError, match="cannot compare shapes"):
        measured(first, second)
