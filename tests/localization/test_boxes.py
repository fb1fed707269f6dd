from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from original_boxes import contour_rectangles, original_rectangles, scaled_distances, std_sort
from scipy import ndimage

from cam.errors import CamError
from cam.localization import (
    Box,
    format_boxes,
    original_boxes,
    paper_box,
    read_heatmap,
)
from cam.localization.boxes import _by_area, _deep_inside

GOLDEN = [Box(41, 145, 362, 202), Box(102, 188, 242, 126)]


def smooth_heatmap(seed: int) -> NDArray[np.uint8]:
    """Return blobs of one random size, from noise to a few hills; some are nowhere dark."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(8, 160, size=2)
    hills = ndimage.gaussian_filter(rng.standard_normal((height, width)), rng.uniform(0.5, 15))
    hills -= hills.min()
    floor = rng.choice([0, 0, 30])
    return np.asarray(np.round(floor + hills / hills.max() * (255 - floor)), np.uint8)


def rim_heatmap(seed: int) -> NDArray[np.uint8]:
    """Return a small heat map with parts of all sizes on and near the rim, and holes in them."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 40, size=2)
    levels = np.array([0, 20, 21, 101, 255], np.uint8)
    heatmap = levels[rng.integers(0, 5, (height, width))]
    for _ in range(rng.integers(1, 8)):
        y, x = rng.integers(-3, height), rng.integers(-3, width)
        part = heatmap[max(y, 0) : y + rng.integers(1, 30), max(x, 0) : x + rng.integers(1, 30)]
        part[:] = rng.choice(levels)
    return heatmap


def test_the_original_generator_is_reproduced(shared_data: Path) -> None:
    heatmap = read_heatmap(shared_data / "heatmap_6.jpg")
    boxes = original_boxes(heatmap)
    assert boxes == GOLDEN
    assert format_boxes(boxes, "original") == (shared_data / "heatmap_6.txt").read_text()


def test_the_lists_of_the_original_program_are_reproduced(shared_data: Path) -> None:
    lists = sorted((shared_data / "ilsvrc_heatmaps").glob("top*/*_default.txt"))
    assert len(lists) == 500
    for path in lists:
        boxes = original_boxes(read_heatmap(str(path).replace("_default.txt", ".jpg")))
        assert format_boxes(boxes, "original") == path.read_text(), path


@pytest.mark.parametrize("make", [smooth_heatmap, rim_heatmap])
def test_the_original_steps_give_the_same_boxes(make: Callable[[int], NDArray[np.uint8]]) -> None:
    for seed in range(150):
        heatmap = make(seed)
        assert original_boxes(heatmap) == original_rectangles(heatmap), seed


@pytest.mark.slow
@pytest.mark.parametrize("make", [smooth_heatmap, rim_heatmap])
def test_the_original_steps_give_the_same_boxes_of_thousands(
    make: Callable[[int], NDArray[np.uint8]],
) -> None:
    for seed in range(1000, 6000):
        heatmap = make(seed)
        assert original_boxes(heatmap) == original_rectangles(heatmap), seed


def test_contours_come_in_the_order_in_which_the_borders_are_followed() -> None:
    """The steps follow borders themselves; OpenCV's contours of pictures with a dark rim agree."""
    rng = np.random.default_rng(0)
    for _ in range(2000):
        inner = rng.random(rng.integers(1, 12, size=2)) < rng.uniform(0.2, 0.95)
        mask = np.pad(inner, 1)
        contours, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        assert contour_rectangles(mask) == [cv2.boundingRect(contour) for contour in contours]


@pytest.mark.parametrize("corner", [(170, 0), (34, 238), (26, 168), (380, 10), (52, 336)])
def test_depth_is_rounded_in_double_precision(corner: tuple[int, int]) -> None:
    """The largest squared distance is 28900 n here, so that 49 n lies on the limit of "deep"."""
    mask = np.ones((corner[0] + 1, corner[1] + 1), np.uint8)
    mask[0, 0] = 0
    deep = scaled_distances(mask.astype(bool)) > 10
    np.testing.assert_array_equal(_deep_inside(mask), deep)


def test_the_rim_is_dark_to_the_original_rule() -> None:
    heatmap = np.zeros((60, 80), np.uint8)
    heatmap[:20, :30] = 255
    assert original_boxes(heatmap, [100]) == [Box(1, 1, 29, 19)]
    # What lies on the rim only is no part at all, and a hole that opens to it is none either.
    heatmap[:, 79] = 255
    heatmap[0, 5:20] = 0
    assert original_boxes(heatmap, [100]) == [Box(1, 1, 29, 19)]


def test_small_parts_at_the_right_and_lower_edges_have_negative_sizes() -> None:
    heatmap = np.zeros((60, 80), np.uint8)
    heatmap[10:30, 10:30] = 255
    heatmap[55, 40] = heatmap[10, 77] = 255
    assert original_boxes(heatmap, [100]) == [
        Box(10, 10, 20, 20),
        Box(40, 55, 1, 0),
        Box(75, 10, -2, 1),
    ]


def test_of_negative_areas_every_second_is_removed() -> None:
    """The original removes the smaller of two areas below -1 wherever they lie, and skips one."""
    heatmap = np.zeros((60, 80), np.uint8)
    heatmap[10:51:10, 77] = 255
    parts = [Box(75, y, -2, 1) for y in (50, 40, 30, 20, 10)]
    assert original_boxes(heatmap, [100]) == [parts[0], parts[2]]
    heatmap[10:51:10, 77] = 0
    heatmap[10:51:10, 76] = 255
    assert [box.area for box in original_boxes(heatmap, [100])] == [-1] * 5


def test_boxes_of_one_area_keep_the_order_of_the_c_library() -> None:
    # As g++ 12 sorts {i, areas[i]} with std::sort and a.area > b.area.
    areas = [i * i % 7 - 1 for i in range(40)]
    order = (
        "30 16 33 12 19 9 37 23 5 2 26 39 31 24 25 18 17 32 11 10 38 4 3 34 36 29 20 27 22 15 13 8 "
        "6 1 28 21 0 14 35 7"
    )
    wanted = [int(index) for index in order.split()]
    rectangles = [(index, 0, 1, area) for index, area in enumerate(areas)]
    assert [box.x for box in _by_area([Box(*rectangle) for rectangle in rectangles])] == wanted
    std_sort(rectangles)
    assert [rectangle[0] for rectangle in rectangles] == wanted


def test_an_empty_map_has_no_boxes() -> None:
    dark = np.full((40, 60), 20, np.uint8)
    assert original_boxes(dark) == []
    assert paper_box(np.zeros((40, 60))) is None
    assert paper_box(np.full((40, 60), -1.0)) is None
    assert paper_box(np.full((40, 60), np.nan)) is None


def test_a_constant_map_gives_the_whole_picture() -> None:
    bright = np.full((40, 60), 111, np.uint8)
    assert original_boxes(bright, [100]) == [Box(1, 1, 54, 34)]
    assert original_boxes(np.full((2, 60), 111, np.uint8)) == []
    assert paper_box(bright) == Box(0, 0, 60, 40)


def test_a_hole_in_the_region_is_a_box_of_its_own() -> None:
    heatmap = np.zeros((100, 200), np.uint8)
    heatmap[10:90, 10:190] = 255
    heatmap[48:52, 20:180] = 0
    assert original_boxes(heatmap, [128]) == [Box(10, 10, 180, 80), Box(19, 47, 162, 6)]


def test_the_box_after_a_removed_one_is_skipped() -> None:
    heatmap = np.zeros((60, 60), np.uint8)
    heatmap[10:40, 10:40] = 255
    # Of five equal boxes the first removes the 2nd and the 4th, and the 3rd removes the 5th.
    for count, left in ((1, 1), (2, 1), (3, 2), (4, 2), (5, 2), (6, 2), (7, 3)):
        assert original_boxes(heatmap, [100] * count) == [Box(10, 10, 30, 30)] * left


def test_the_paper_box_encloses_the_largest_component_above_a_fifth() -> None:
    values = np.zeros((50, 80))
    values[5:10, 60:75] = 10.0
    values[20:40, 10:30] = 2.1
    values[41:, :] = 2.0
    assert paper_box(values) == Box(10, 20, 20, 20)
    assert paper_box(values, fraction=0.5) == Box(60, 5, 15, 5)


def test_the_paper_box_joins_diagonal_neighbours() -> None:
    assert paper_box(np.eye(6)) == Box(0, 0, 6, 6)


@given(st.integers(0, 10_000), st.floats(0, 0.95))
@settings(deadline=None, max_examples=50)
def test_the_paper_box_agrees_with_scipy(seed: int, fraction: float) -> None:
    values = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((40, 50)), 2)
    labels, _ = ndimage.label(values > fraction * values.max(), np.ones((3, 3)))
    sizes = np.bincount(labels.ravel())[1:]
    candidates = [
        Box.from_corners(columns.start, rows.start, columns.stop, rows.stop)
        for size, (rows, columns) in zip(sizes, ndimage.find_objects(labels), strict=True)
        if size == sizes.max()
    ]
    assert paper_box(values, fraction) in candidates


def test_corners_are_swapped_where_a_size_is_negative() -> None:
    assert Box(370, 89, -3, 1).corners == (367, 89, 370, 90)
    assert Box(370, 89, 4, -1).corners == (370, 88, 374, 89)


def test_corner_forms_are_inverse() -> None:
    box = Box(3, 4, 10, 20)
    assert Box.from_corners(*box.corners) == box
    assert Box.from_inclusive_corners(*box.inclusive_corners) == box
    assert box.inclusive_corners == (3, 4, 12, 23)


def test_noise_gives_boxes_by_the_thousand_in_good_time() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 120)).astype(np.uint8)
    boxes = original_boxes(noise)
    assert len(boxes) > 1000
    assert boxes == original_rectangles(noise)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: original_boxes(np.zeros((4, 4, 3), np.uint8)), "grey picture"),
        (lambda: original_boxes(np.zeros((0, 4), np.uint8)), "grey picture"),
        (lambda: original_boxes(np.zeros((4, 4))), "grey_heatmap"),  # type: ignore[arg-type]
        (lambda: original_boxes(np.zeros((4, 4), np.uint8), [300]), "0 to 255"),
        (lambda: original_boxes(np.zeros((4, 4), np.uint8), []), "0 to 255"),
        (lambda: paper_box([1.0, 2.0]), "shape"),
        (lambda: paper_box([[np.inf]]), "infinite"),
        (lambda: paper_box([[1.0]], fraction=1.0), "fraction"),
    ],
)
def test_bad_input_gives_one_clear_line(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(CamError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
