"""Pointing game, energy in the boxes and MaxBoxAcc, against plain loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from cam.errors import InvalidValueError
from cam.localization.map_measures import (
    best_overlaps,
    energy_in_boxes,
    max_box_accuracy,
    points_at_box,
)

BOXES = np.array([[10.0, 5, 19, 24], [30.0, 30, 39, 39]])


def blurred_map(seed: int) -> NDArray[np.float64]:
    return ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(48, 64)), 4)


def plain_overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    pixels = [
        {
            (x, y)
            for x in range(int(box[0]), int(box[2]) + 1)
            for y in range(int(box[1]), int(box[3]) + 1)
        }
        for box in (one, other)
    ]
    return len(pixels[0] & pixels[1]) / len(pixels[0] | pixels[1])


@pytest.mark.parametrize(
    ("x", "y", "hits"),
    [(10, 5, True), (19, 24, True), (20, 24, False), (10, 4, False), (35, 35, True), (0, 0, False)],
)
def test_a_point_hits_if_it_is_a_pixel_of_a_box(x: int, y: int, hits: bool) -> None:
    heat_map = np.zeros((48, 64))
    heat_map[y, x] = 1
    assert points_at_box(heat_map, BOXES, tolerance=0) is hits


def test_a_point_may_miss_by_the_tolerance_in_any_direction() -> None:
    heat_map = np.zeros((100, 100))
    heat_map[52, 61] = 1  # 9 and 12 pixels, 15 in all, from the corner of the box
    assert points_at_box(heat_map, np.array([[20.0, 20, 49, 43]]))
    assert not points_at_box(heat_map, np.array([[20.0, 20, 48, 43]]))


def test_the_energy_of_overlapping_boxes_counts_once() -> None:
    heat_map = blurred_map(1)
    boxes = np.array([[5.0, 5, 30, 30], [20.0, 20, 40, 47], [60.0, 40, 90, 90]])
    from_zero, inside = heat_map - heat_map.min(), 0.0
    for y in range(48):
        for x in range(64):
            if any(x1 <= x <= x2 and y1 <= y <= y2 for x1, y1, x2, y2 in boxes):
                inside += from_zero[y, x]
    assert energy_in_boxes(heat_map, boxes) == pytest.approx(inside / from_zero.sum())


def test_a_flat_map_has_no_energy_and_finds_nothing() -> None:
    flat = np.full((48, 64), 3.0)
    assert energy_in_boxes(flat, BOXES) == 0
    assert not best_overlaps(flat, BOXES).any()


@pytest.mark.parametrize("all_parts", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_the_parts_above_each_threshold_are_boxed(seed: int, all_parts: bool) -> None:
    heat_map = blurred_map(seed)
    levels = ((heat_map - heat_map.min()) / np.ptp(heat_map) * 255).astype(int)
    measured = best_overlaps(heat_map, BOXES, all_parts=all_parts)
    for threshold in (0, 20, 50, 80, 99):
        parts, count = ndimage.label(levels > int(threshold / 100 * 255), np.ones((3, 3)))
        numbers = range(1, count + 1)
        if not all_parts:
            numbers = [max(numbers, key=lambda number: (parts == number).sum())]
        best = 0.0
        for number in numbers:
            y, x = np.nonzero(parts == number)
            part = (x.min(), y.min(), x.max(), y.max())
            best = max(best, *(plain_overlap(part, box) for box in BOXES.tolist()))
        assert measured[threshold] == pytest.approx(best)


def test_the_accuracy_is_at_the_best_threshold_of_all_pictures_together() -> None:
    generator = np.random.default_rng(7)
    overlaps = [generator.random(100) for _ in range(9)]
    expected = []
    for wanted in (0.3, 0.5, 0.7):
        shares = [np.mean([one[k] >= wanted for one in overlaps]) for k in range(100)]
        expected.append(max(shares))
        if wanted == 0.5:
            best = shares.index(max(shares)) / 100
    assert max_box_accuracy(overlaps) == (pytest.approx(np.mean(expected)), best)


@pytest.mark.parametrize("measure", [points_at_box, energy_in_boxes, best_overlaps])
@pytest.mark.parametrize(
    ("heat_map", "boxes", "message"),
    [
        (np.ones(4), BOXES, "rows and columns"),
        (np.ones((0, 4)), BOXES, "rows and columns"),
        (np.full((4, 4), np.inf), BOXES, "finite"),
        (np.ones((4, 4)), np.empty((0, 4)), "at least 1"),
        (np.ones((4, 4)), np.ones(4), "at least 1"),
    ],
)
def test_what_is_no_map_and_no_boxes_is_refused(
    measure: Callable[..., Any], heat_map: NDArray[Any], boxes: NDArray[Any], message: str
) -> None:
    with pytest.raises(InvalidValueError, match=message):
        measure(heat_map, boxes)
