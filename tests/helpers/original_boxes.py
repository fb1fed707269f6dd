"""The original's box generator, one step after the other, as its program does it.

It follows the released `dt_box.cpp` and `dt.c`, the border following that OpenCV 2.4's
`findContours` is an implementation of (Suzuki and Abe, Topological structural analysis of digitized
binary images by border following, CVGIP 30, 1985), and `std::sort` of GNU's C++ library. Slow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Rectangle = tuple[int, int, int, int]
Point = tuple[int, int]

AROUND: tuple[Point, ...] = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))
"""The neighbours of a pixel as (rows, columns), counterclockwise from the right one."""


def original_rectangles(
    grey: NDArray[np.uint8], thresholds: Sequence[int] = (20, 100, 110)
) -> list[Rectangle]:
    """Return x, y, width, height of the boxes that the original's program writes."""
    found = []
    height, width = grey.shape
    for threshold in thresholds:
        for x, y, w, h in contour_rectangles(scaled_distances(grey > threshold) > 10):
            found.append(
                (
                    limit(x, 0, width - 5),
                    limit(y, 0, height - 5),
                    limit(w, 0, width - x - 5),
                    limit(h, 0, height - y - 5),
                )
            )
    std_sort(found)
    merge(found)
    return found


def scaled_distances(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return distances to the background, the largest as 255; 0 and 255 if all are equal."""
    if mask.all() or not mask.any():
        return mask * 255
    distances = ndimage.distance_transform_edt(mask)
    scale = 255.0 / (distances.max() - distances.min())
    return (distances * scale + 0.5).astype(np.int64)


def contour_rectangles(mask: NDArray[np.bool_]) -> list[Rectangle]:
    """Return the rectangles of OpenCV 2.4's contours, in the order of its CV_RETR_CCOMP.

    Each outer border is followed by its holes, and of borders at one level the last found is first.
    """
    image = mask.astype(np.int64)
    image[[0, -1]] = 0
    image[:, [0, -1]] = 0
    pixels: list[list[int]] = image.tolist()
    # The frame of the picture counts as a hole's border.
    is_hole, parents, rectangles = {1: True}, {1: 1}, {}
    number = 1
    for row in range(1, len(pixels) - 1):
        last = 1
        for column in range(1, len(pixels[0]) - 1):
            value = pixels[row][column]
            begins_outer = value == 1 and pixels[row][column - 1] == 0
            begins_hole = not begins_outer and value >= 1 and pixels[row][column + 1] == 0
            if begins_outer or begins_hole:
                if begins_hole and value > 1:
                    last = value
                number += 1
                is_hole[number] = begins_hole
                parents[number] = last if is_hole[last] != begins_hole else parents[last]
                came_from = (row, column + 1 if begins_hole else column - 1)
                rectangles[number] = around(follow(pixels, (row, column), came_from, number))
            if pixels[row][column] not in (0, 1):
                last = abs(pixels[row][column])
    ordered = []
    for outer in sorted((border for border in rectangles if not is_hole[border]), reverse=True):
        holes = (border for border in rectangles if is_hole[border] and parents[border] == outer)
        ordered += [outer, *sorted(holes, reverse=True)]
    assert len(ordered) == len(rectangles)
    return [rectangles[border] for border in ordered]


def follow(pixels: list[list[int]], start: Point, came_from: Point, number: int) -> list[Point]:
    """Follow a border from its first pixel, mark it with its number and return its pixels."""
    place = direction(start, came_from)
    for step in range(1, 9):
        first = neighbour(start, place - step)
        if pixels[first[0]][first[1]]:
            break
    else:
        pixels[start[0]][start[1]] = -number
        return [start]
    border = []
    before, here = first, start
    while True:
        place = direction(here, before)
        right_is_background = False
        for step in range(1, 9):
            there = neighbour(here, place + step)
            if pixels[there[0]][there[1]]:
                break
            right_is_background |= (place + step) % 8 == 0
        if right_is_background:
            pixels[here[0]][here[1]] = -number
        elif pixels[here[0]][here[1]] == 1:
            pixels[here[0]][here[1]] = number
        border.append(here)
        if there == start and here == first:
            return border
        before, here = here, there


def neighbour(pixel: Point, place: int) -> Point:
    rows, columns = AROUND[place % 8]
    return pixel[0] + rows, pixel[1] + columns


def direction(pixel: Point, other: Point) -> int:
    return AROUND.index((other[0] - pixel[0], other[1] - pixel[1]))


def around(border: Sequence[Point]) -> Rectangle:
    rows, columns = zip(*border, strict=True)
    x, y = min(columns), min(rows)
    return x, y, max(columns) - x + 1, max(rows) - y + 1


def limit(value: int, low: int, high: int) -> int:
    return low if value < low else high if value > high else value


def area(rectangle: Rectangle) -> int:
    return rectangle[2] * rectangle[3]


def big_overlap(a: Rectangle, b: Rectangle) -> bool:
    most = math.trunc(max(area(a), area(b)) * 0.5)
    across = max(0, min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0]))
    down = max(0, min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1]))
    return across * down > most


def merge(found: list[Rectangle]) -> None:
    i = 0
    while i < len(found):
        j = i + 1
        while j < len(found):
            if big_overlap(found[i], found[j]):
                del found[j]
            j += 1
        i += 1


def std_sort(found: list[Rectangle]) -> None:
    """Sort by area as `std::sort(begin, end, [](a, b) { return area(a) > area(b); })` does."""

    def before(i: int, j: int) -> bool:
        return area(found[i]) > area(found[j])

    def swap(i: int, j: int) -> None:
        found[i], found[j] = found[j], found[i]

    def move_median_to_first(result: int, a: int, b: int, c: int) -> None:
        if before(a, b):
            if before(b, c):
                swap(result, b)
            elif before(a, c):
                swap(result, c)
            else:
                swap(result, a)
        elif before(a, c):
            swap(result, a)
        elif before(b, c):
            swap(result, c)
        else:
            swap(result, b)

    def unguarded_partition(first: int, last: int, pivot: int) -> int:
        while True:
            while before(first, pivot):
                first += 1
            last -= 1
            while before(pivot, last):
                last -= 1
            if not first < last:
                return first
            swap(first, last)
            first += 1

    def introsort_loop(first: int, last: int) -> None:
        while last - first > 16:
            move_median_to_first(first, first + 1, first + (last - first) // 2, last - 1)
            cut = unguarded_partition(first + 1, last, first)
            introsort_loop(cut, last)
            last = cut

    introsort_loop(0, len(found))
    for i in range(1, len(found)):
        j = i
        while j and before(j, j - 1):
            swap(j, j - 1)
            j -= 1
