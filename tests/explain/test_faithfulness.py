"""Masking, deletion, insertion and ROAD, against plain loops and dense algebra."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cam.errors import InvalidValueError
from cam.explain.faithfulness import (
    area_under,
    deletion,
    fill_in,
    insertion,
    mask_by_map,
    road,
)

SIZE = 12


@pytest.fixture
def network_input() -> NDArray[np.float32]:
    return np.random.default_rng(1).normal(0, 50, (3, SIZE, SIZE)).astype(np.float32)


@pytest.fixture
def heat_map() -> NDArray[np.float64]:
    return np.random.default_rng(2).permutation(SIZE * SIZE).reshape(SIZE, SIZE) / (SIZE * SIZE - 1)


def logistic(inputs: NDArray[Any]) -> NDArray[Any]:
    weights = np.random.default_rng(3).normal(0, 0.002, inputs.shape[1:])
    return 1 / (1 + np.exp(-(inputs * weights).sum(axis=(1, 2, 3))))


def test_the_drop_is_the_lost_part_of_the_probability(
    network_input: NDArray[np.float32], heat_map: NDArray[np.float64]
) -> None:
    masked = mask_by_map(logistic, network_input, heat_map)
    before = logistic(network_input[np.newaxis])[0]
    after = logistic((network_input * heat_map)[np.newaxis])[0]
    assert masked.before == pytest.approx(before)
    assert masked.after == pytest.approx(after)
    assert masked.drop == pytest.approx(max(0, (before - after) / before))
    assert masked.increases == (after > before)


@pytest.mark.parametrize(
    ("before", "after", "drop", "increases"),
    [
        (0.8, 0.2, 0.75, False),
        (0.5, 0.6, 0.0, True),
        (0.5, 0.5, 0.0, False),
        (0.0, 0.0, 0.0, False),
    ],
)
def test_a_rise_is_no_drop_and_a_probability_of_nothing_loses_nothing(
    before: float, after: float, drop: float, increases: bool
) -> None:
    answers = np.array([before, after])
    masked = mask_by_map(lambda inputs: answers, np.ones((3, 2, 2), np.float32), np.ones((2, 2)))
    assert (masked.drop, masked.increases) == (pytest.approx(drop), increases)


@pytest.mark.parametrize("steps", [1, 5, SIZE * SIZE])
def test_deletion_sets_the_most_relevant_pixels_to_the_mean_color(
    network_input: NDArray[np.float32], heat_map: NDArray[np.float64], steps: int
) -> None:
    order = sorted(
        ((row, column) for row in range(SIZE) for column in range(SIZE)),
        key=lambda place: -heat_map[place],
    )
    left, expected = network_input.copy(), [logistic(network_input[np.newaxis])[0]]
    for part in np.array_split(np.arange(len(order)), steps):
        for k in part:
            left[:, order[k][0], order[k][1]] = 0
        expected.append(logistic(left[np.newaxis])[0])
    np.testing.assert_allclose(deletion(logistic, network_input, heat_map, steps), expected)
    assert expected[-1] == 0.5


def test_insertion_goes_from_the_blurred_input_to_the_sharp_one(
    network_input: NDArray[np.float32], heat_map: NDArray[np.float64]
) -> None:
    curve = insertion(logistic, network_input, heat_map, 4)
    blurred = np.stack([cv2.GaussianBlur(channel, (11, 11), 5) for channel in network_input])
    half = np.where(heat_map >= np.median(heat_map), network_input, blurred)
    assert curve[0] == pytest.approx(logistic(blurred[np.newaxis])[0])
    assert curve[2] == pytest.approx(logistic(half[np.newaxis])[0])
    assert curve[4] == pytest.approx(logistic(network_input[np.newaxis])[0])


def test_pixels_of_one_value_go_in_the_order_of_their_rows() -> None:
    first_pixel = deletion(
        lambda inputs: inputs[:, 0, 0, 0], np.ones((3, 2, 2), np.float32), np.ones((2, 2)), 4
    )
    assert first_pixel.tolist() == [1, 0, 0, 0, 0]


def test_the_area_is_the_trapezoids() -> None:
    assert area_under(np.array([0.3, 0.9, 0.1, 0.2])) == pytest.approx((0.6 + 0.5 + 0.15) / 3)


def plain_fill(network_input: NDArray[np.float32], kept: NDArray[np.bool_]) -> NDArray[Any]:
    """Solve for the removed pixels with a dense matrix, one equation after the other."""
    removed = [tuple(place) for place in np.argwhere(~kept).tolist()]
    matrix, right = np.zeros((len(removed),) * 2), np.zeros((len(removed), 3))
    for k, (row, column) in enumerate(removed):
        for down in (-1, 0, 1):
            for across in (-1, 0, 1):
                place = (row + down, column + across)
                if place == (row, column) or not all(0 <= one < SIZE for one in place):
                    continue
                weight = 1 / 12 if down and across else 1 / 6
                matrix[k, k] += weight
                if kept[place]:
                    right[k] += weight * network_input[:, place[0], place[1]]
                else:
                    matrix[k, removed.index(place)] -= weight
    filled = network_input.astype(np.float64)
    for place, values in zip(removed, np.linalg.solve(matrix, right), strict=True):
        filled[:, place[0], place[1]] = values
    return filled


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_removed_pixels_are_weighted_means_of_those_around_them(
    network_input: NDArray[np.float32], share: float
) -> None:
    kept = np.random.default_rng(4).random((SIZE, SIZE)) >= share
    filled = fill_in(network_input, kept)
    np.testing.assert_allclose(filled, plain_fill(network_input, kept), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(filled[:, kept], network_input[:, kept])


def test_nothing_removed_changes_nothing_and_everything_removed_leaves_the_mean_color(
    network_input: NDArray[np.float32],
) -> None:
    whole = np.ones((SIZE, SIZE), bool)
    np.testing.assert_array_equal(fill_in(network_input, whole), network_input)
    assert not fill_in(network_input, ~whole).any()


def test_road_is_half_the_difference_of_least_and_most(
    network_input: NDArray[np.float32], heat_map: NDArray[np.float64]
) -> None:
    expected = []
    for share in (0.25, 0.5):
        most = heat_map < np.percentile(heat_map, 100 * (1 - share))
        least = 1 - heat_map < np.percentile(1 - heat_map, 100 * (1 - share))
        without = [plain_fill(network_input, kept) for kept in (least, most)]
        expected.append(np.subtract(*logistic(np.stack(without))) / 2)
    measured = road(logistic, network_input, heat_map, (0.25, 0.5), noise=0)
    assert measured == pytest.approx(np.mean(expected), abs=1e-6)


def test_road_is_the_same_each_time_and_high_where_the_map_says_what_counts() -> None:
    generator = np.random.default_rng(5)
    network_input = generator.normal(0, 1, (3, SIZE, SIZE)).astype(np.float32)
    network_input[:, 3:6, 3:6] = 100

    def bright_square(inputs: NDArray[Any]) -> NDArray[Any]:
        return inputs[:, :, 3:6, 3:6].mean(axis=(1, 2, 3)) / 100

    good, bad = np.full((SIZE, SIZE), 0.1), np.full((SIZE, SIZE), 0.9)
    good[3:6, 3:6], bad[3:6, 3:6] = 1, 0
    first = road(bright_square, network_input, good)
    assert first == road(bright_square, network_input, good)
    assert first > 0.2
    assert road(bright_square, network_input, bad) < -0.2


@pytest.mark.parametrize("measure", [mask_by_map, deletion, insertion, road])
@pytest.mark.parametrize(
    ("heat_map", "message"),
    [
        (np.ones((3, 4)), "have the same rows and columns"),
        (np.full((2, 2), np.nan), r"not in \[0, 1\]"),
        (np.full((2, 2), 1.5), r"not in \[0, 1\]"),
    ],
)
def test_a_map_that_does_not_fit_is_refused(
    measure: Callable[..., Any], heat_map: NDArray[np.float64], message: str
) -> None:
    with pytest.raises(InvalidValueError, match=message):
        measure(logistic, np.ones((3, 2, 2), np.float32), heat_map)


@pytest.mark.parametrize("steps", [0, 5])
def test_steps_are_of_at_least_one_pixel(steps: int) -> None:
    with pytest.raises(InvalidValueError, match="at least 1 each"):
        deletion(logistic, np.ones((3, 2, 2), np.float32), np.ones((2, 2)), steps)


@pytest.mark.parametrize("shares", [(), (0.0,), (1.0,), (np.nan,)])
def test_shares_lie_between_nothing_and_everything(shares: tuple[float, ...]) -> None:
    with pytest.raises(InvalidValueError, match="between 0 and 1"):
        road(logistic, np.ones((3, 2, 2), np.float32), np.ones((2, 2)), shares)
