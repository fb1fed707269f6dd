from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from cam.errors import CamError
from cam.localization.boxes import (
    ORIGINAL_THRESHOLDS,
    Box,
    draw_boxes,
    format_boxes,
    grey_heatmap,
    original_boxes,
    paper_box,
    parse_boxes,
    read_boxes,
    read_heatmap,
    write_boxes,
)

GOLDEN = [Box(41, 145, 362, 202), Box(102, 188, 242, 126)]
GREEN, RED = (0, 255, 0), (0, 0, 255)


def smooth_heatmap(seed: int) -> NDArray[np.uint8]:
    """Return blobs of one random size, from noise to a few hills; some are nowhere dark."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(8, 160, size=2)
    hills = ndimage.gaussian_filter(rng.standard_normal((height, width)), rng.uniform(0.5, 15))
    hills -= hills.min()
    floor = rng.choice([0, 0, 30])
    return np.asarray(np.round(floor + hills / hills.max() * (255 - floor)), np.uint8)


def step_by_step(grey: NDArray[np.uint8], thresholds: tuple[int, ...]) -> list[Box]:
    """Compute the generator's steps one by one in floating point, with SciPy's distances."""
    height, width = grey.shape
    found: list[Box] = []
    for threshold in thresholds:
        mask = grey > threshold
        distance = ndimage.distance_transform_edt(mask)
        if mask.all():
            distance = np.full(mask.shape, np.inf)
        elif distance.max() > distance.min():
            distance = np.floor(distance * (255 / (distance.max() - distance.min())) + 0.5)
        kept = (np.clip(distance, 0, 255) > 10).astype(np.uint8)
        for contour in cv2.findContours(kept, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)[0]:
            columns, rows = contour[:, 0, 0], contour[:, 0, 1]
            x, y = int(columns.min()), int(rows.min())
            w, h = int(columns.max()) - x + 1, int(rows.max()) - y + 1
            found.append(
                Box(
                    min(x, width - 5),
                    min(y, height - 5),
                    max(0, min(w, width - x - 5)),
                    max(0, min(h, height - y - 5)),
                )
            )
    found.sort(key=lambda box: box.area, reverse=True)
    i = 0
    while i < len(found):
        j = i + 1
        while j < len(found):
            a, b = found[i], found[j]
            across = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
            down = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
            if max(across, 0) * max(down, 0) > int(0.5 * max(a.area, b.area)):
                del found[j]
            j += 1
        i += 1
    return found


def test_the_original_generator_is_reproduced(shared_data: Path) -> None:
    heatmap = read_heatmap(shared_data / "heatmap_6.jpg")
    boxes = original_boxes(heatmap)
    assert boxes == GOLDEN
    assert format_boxes(boxes, "original") == (shared_data / "heatmap_6.txt").read_text()


@pytest.mark.parametrize("seeds", [range(start, start + 50) for start in range(0, 200, 50)])
def test_boxes_of_random_heat_maps(seeds: range) -> None:
    for seed in seeds:
        heatmap = smooth_heatmap(seed)
        height, width = heatmap.shape
        boxes = original_boxes(heatmap)
        assert boxes, "the highest pixel is above every threshold"
        for box in boxes:
            assert 0 <= box.x <= box.x + box.width <= width
            assert 0 <= box.y <= box.y + box.height <= height
        areas = [box.area for box in boxes]
        assert areas == sorted(areas, reverse=True)
        assert boxes == step_by_step(heatmap, ORIGINAL_THRESHOLDS)


@given(
    st.integers(1, 24).flatmap(
        lambda width: st.lists(
            st.lists(st.sampled_from([0, 20, 21, 100, 255]), min_size=width, max_size=width),
            min_size=1,
            max_size=24,
        )
    )
)
@settings(deadline=None, max_examples=100)
def test_boxes_of_tiny_heat_maps_stay_inside(rows: list[list[int]]) -> None:
    heatmap = np.array(rows, np.uint8)
    height, width = heatmap.shape
    for box in original_boxes(heatmap):
        assert 0 <= box.x <= box.x + box.width <= width
        assert 0 <= box.y <= box.y + box.height <= height


def test_an_empty_map_has_no_boxes() -> None:
    dark = np.full((40, 60), 20, np.uint8)
    assert original_boxes(dark) == []
    assert paper_box(np.zeros((40, 60))) is None
    assert paper_box(np.full((40, 60), -1.0)) is None
    assert paper_box(np.full((40, 60), np.nan)) is None


def test_a_constant_map_gives_the_whole_picture() -> None:
    bright = np.full((40, 60), 111, np.uint8)
    assert set(original_boxes(bright)) == {Box(0, 0, 55, 35)}
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
        assert step_by_step(heatmap, (100,) * count) == [Box(10, 10, 30, 30)] * left


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


def test_a_map_becomes_grey_as_the_original_saves_it() -> None:
    grey = grey_heatmap([[-3.0, 0.0, math.nan], [1.0, 2.0, 4.0]])
    assert grey.tolist() == [[0, 0, 0], [64, 128, 255]]
    assert not grey_heatmap([[-1.0, 0.0]]).any()


@given(st.lists(st.tuples(*[st.integers(0, 5000)] * 4), max_size=8))
def test_both_text_forms_are_read_back(numbers: list[tuple[int, int, int, int]]) -> None:
    boxes = [Box(*four) for four in numbers]
    assert parse_boxes(format_boxes(boxes, "corners"), "corners") == boxes
    assert parse_boxes(format_boxes(boxes, "original"), "original") == boxes


def test_box_files(tmp_path: Path) -> None:
    write_boxes(tmp_path / "new" / "boxes.txt", GOLDEN)
    assert (tmp_path / "new" / "boxes.txt").read_bytes() == b"41 145 403 347\n102 188 344 314\n"
    assert read_boxes(tmp_path / "new" / "boxes.txt") == GOLDEN


def test_corner_forms_are_inverse() -> None:
    box = Box(3, 4, 10, 20)
    assert Box.from_corners(*box.corners) == box
    assert Box.from_inclusive_corners(*box.inclusive_corners) == box
    assert box.inclusive_corners == (3, 4, 12, 23)


def test_ground_truth_is_green_and_predictions_are_red() -> None:
    picture = np.zeros((120, 160, 3), np.uint8)
    drawn = draw_boxes(picture, [Box(10, 10, 50, 40)], [Box(80, 60, 40, 30)])
    assert not picture.any()
    red = np.argwhere((drawn == RED).all(axis=2))
    green = np.argwhere((drawn == GREEN).all(axis=2))
    assert (red.min(axis=0).tolist(), red.max(axis=0).tolist()) == ([10, 10], [49, 59])
    assert (green.min(axis=0).tolist(), green.max(axis=0).tolist()) == ([60, 80], [89, 119])


def test_lines_are_wider_on_larger_pictures() -> None:
    small = draw_boxes(np.zeros((100, 100), np.uint8), [Box(20, 20, 50, 50)])
    large = draw_boxes(np.zeros((1000, 1600), np.uint8), [Box(200, 200, 500, 500)])
    assert (small[50, :50] == RED).all(axis=1).sum() == 1
    assert (large[400, :400] == RED).all(axis=1).sum() in (10, 11)


def test_noise_gives_boxes_by_the_thousand_in_good_time() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 120)).astype(np.uint8)
    boxes = original_boxes(noise)
    assert len(boxes) > 1000
    assert boxes == step_by_step(noise, ORIGINAL_THRESHOLDS)


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
        (lambda: parse_boxes("1 2 3"), "3 numbers"),
        (lambda: parse_boxes("1 2 3 four"), "four"),
        (lambda: parse_boxes("9 9 3 4"), "negative"),
        (lambda: format_boxes([], "xyxy"), "xyxy"),  # type: ignore[arg-type]
        (lambda: draw_boxes(np.zeros((4, 4)), []), "8-bit"),  # type: ignore[arg-type]
    ],
)
def test_bad_input_gives_one_clear_line(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(CamError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_bad_files_are_named(tmp_path: Path) -> None:
    text = tmp_path / "boxes.txt"
    text.write_text("1 2 3")
    with pytest.raises(CamError, match=r"boxes\.txt.*3 numbers"):
        read_boxes(text)
    text.write_bytes(b"\xff\xfe")
    with pytest.raises(CamError, match="not a text file"):
        read_boxes(text)
    with pytest.raises(CamError, match=r"cannot read.*none\.txt"):
        read_boxes(tmp_path / "none.txt")
    for content in (b"", b"not a picture"):
        (tmp_path / "map.jpg").write_bytes(content)
        with pytest.raises(CamError, match="not a picture"):
            read_heatmap(tmp_path / "map.jpg")
    with pytest.raises(CamError, match="cannot read the heat map"):
        read_heatmap(tmp_path / "none.jpg")
