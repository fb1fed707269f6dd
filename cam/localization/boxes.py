"""Boxes from heat maps: the original box generator, and the rule the paper states.

Coordinates are pixels from 0, x to the right and y down. A :class:`Box` is its upper left pixel and
its size; :attr:`Box.corners` and :attr:`Box.inclusive_corners` are the two corner forms in use.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from cam.arguments import checked, checked_fields
from cam.errors import InvalidValueError, real_array
from cam.localization.heatmaps import checked_map

ORIGINAL_THRESHOLDS = (20, 100, 110)
"""Grey levels of the original ``generate_bbox.m`` and of its ILSVRC evaluation."""

PAPER_FRACTION = 0.2
"""The paper's threshold, as a fraction of the map's maximum (section 3.2)."""

_MARGIN = 5
_MOST_OVERLAP = 0.5
_SORTED_BY_INSERTION = 16
_FEW = 64

Rule = Literal["original", "paper"]
"""How boxes are found: see :func:`find_boxes`."""

RULES: tuple[Rule, ...] = ("original", "paper")


class Box(NamedTuple):
    """A rectangle of whole pixels, by its upper left pixel and its size.

    Attributes
    ----------
    x, y : int
        The upper left pixel, counted from 0.
    width, height : int
        The size in pixels. The original's rule gives small parts near the right and lower edges
        sizes of zero and below.

    Examples
    --------
    >>> box = Box(41, 145, 362, 202)
    >>> box.corners
    (41, 145, 403, 347)
    >>> box.inclusive_corners
    (41, 145, 402, 346)
    """

    x: int
    y: int
    width: int
    height: int

    @property
    def area(self) -> int:
        """The number of pixels: width times height, whatever their signs."""
        return self.width * self.height

    @property
    def corners(self) -> tuple[int, int, int, int]:
        """``(x1, y1, x2, y2)`` with ``x2 = x + width``: the lower right corner lies outside.

        The original's MATLAB scripts form their corners this way, swapped where a size is negative,
        and then evaluate them as if they were inclusive, so that a predicted box counts one column
        and one row too many. The paper's numbers come from that, and so :mod:`cam.localization`
        takes this form for predicted boxes.

        Examples
        --------
        >>> Box(370, 89, -3, 1).corners
        (367, 89, 370, 90)
        """
        x1, x2 = sorted((self.x, self.x + self.width))
        y1, y2 = sorted((self.y, self.y + self.height))
        return x1, y1, x2, y2

    @property
    def inclusive_corners(self) -> tuple[int, int, int, int]:
        """``(x1, y1, x2, y2)`` with ``x2 = x + width - 1``: both corners are pixels of the box.

        ILSVRC's annotations are of this form.
        """
        return self.x, self.y, self.x + self.width - 1, self.y + self.height - 1

    @classmethod
    def from_corners(cls, x1: int, y1: int, x2: int, y2: int) -> Box:
        """Make a box from the form of :attr:`corners`."""
        return cls(x1, y1, x2 - x1, y2 - y1)

    @classmethod
    def from_inclusive_corners(cls, x1: int, y1: int, x2: int, y2: int) -> Box:
        """Make a box from the form of :attr:`inclusive_corners`."""
        return cls(x1, y1, x2 - x1 + 1, y2 - y1 + 1)


@checked_fields
@dataclass(frozen=True)
class BoxRule:
    """How boxes are found in a grey heat map: the arguments of :func:`find_boxes`.

    Attributes
    ----------
    name : {"original", "paper"}
        :func:`original_boxes`, several boxes, or :func:`paper_box`, at most one.
    thresholds : tuple of int
        For the original's rule.
    fraction : float
        For the paper's rule.
    """

    name: Rule = "original"
    thresholds: tuple[int, ...] = ORIGINAL_THRESHOLDS
    fraction: float = PAPER_FRACTION

    @checked
    def boxes(self, heatmap: NDArray[np.uint8]) -> list[Box]:
        """Return the boxes of a grey heat map, largest first."""
        return find_boxes(heatmap, self.name, thresholds=self.thresholds, fraction=self.fraction)


@checked
def find_boxes(
    heatmap: NDArray[np.uint8],
    rule: Rule = "original",
    *,
    thresholds: Sequence[int] = ORIGINAL_THRESHOLDS,
    fraction: float = PAPER_FRACTION,
) -> list[Box]:
    """Give the boxes of a grey heat map by one of the two published rules.

    Parameters
    ----------
    heatmap : ndarray of uint8, shape (h, w)
        The grey heat map at the picture's own size.
    rule : {"original", "paper"}, optional
        :func:`original_boxes`, several boxes, or :func:`paper_box`, at most one. The original's
        rule is that of its released program with OpenCV 2.4, which finds other contours at the
        picture's rim than later versions: the published numbers come from it.
    thresholds : sequence of int, optional
        For the original's rule.
    fraction : float, optional
        For the paper's rule.

    Returns
    -------
    list of Box
        Largest first; empty if nothing stands out.

    Raises
    ------
    InvalidValueError
        If there is no such rule, or as the two functions do.

    Examples
    --------
    >>> heatmap = np.zeros((100, 120), np.uint8)
    >>> heatmap[20:61, 30:91] = 255
    >>> find_boxes(heatmap, "paper")
    [Box(x=30, y=20, width=61, height=41)]
    """
    if rule not in RULES:
        raise InvalidValueError(f"the rules for boxes are {', '.join(RULES)}, not {rule!r}")
    if rule == "original":
        return original_boxes(heatmap, thresholds)
    box = paper_box(_checked_grey(heatmap), fraction)
    return [] if box is None else [box]


@checked
def original_boxes(
    heatmap: NDArray[np.uint8], thresholds: Sequence[int] = ORIGINAL_THRESHOLDS
) -> list[Box]:
    """Give the boxes that the original box generator (``dt_box``) finds in a grey heat map.

    For each threshold the pixels above it are kept that lie deep enough inside the region they
    form; the contours of what remains, outer ones and those of holes, give the rectangles. The
    rectangles of all thresholds are sorted by area, and most of those that overlap a larger one
    are removed.

    Parameters
    ----------
    heatmap : ndarray of uint8, shape (h, w)
        The grey heat map at the picture's own size: see
        :func:`~cam.localization.heatmaps.grey_heatmap` and
        :func:`~cam.localization.heatmaps.read_heatmap`.
    thresholds : sequence of int, optional
        Grey levels in [0, 255].

    Returns
    -------
    list of Box
        Largest area first; empty if nothing off the rim is above a threshold. As the original's,
        they begin at 1 or later and keep 5 pixels away from the right and lower edges: the width is
        at most ``w - x - 5`` and the height ``h - y - 5``, which gives a small part at these edges
        a size of zero or below. Where every pixel is above a threshold, there is one box around the
        whole picture less these edges.

    Raises
    ------
    InvalidValueError
        If the heat map is not a grey picture of 8 bits, or a threshold is not a grey level.

    Notes
    -----
    The rule is that of the released program, which was linked with OpenCV 2.4. Its ``findContours``
    works on the picture itself and first sets the outermost rows and columns to zero; later
    versions add a border instead, which moves boxes at the edges by a pixel and finds parts that
    lie on the rim. Rectangles of one area come in the order in which ``std::sort`` of GNU's C++
    library (of GCC 4.9 and later) leaves them.

    References
    ----------
    ``bboxgenerator/dt_box.cpp`` and ``dt.c`` of the original release.

    Examples
    --------
    >>> heatmap = np.zeros((100, 120), np.uint8)
    >>> heatmap[20:61, 30:91] = 255
    >>> original_boxes(heatmap)
    [Box(x=30, y=20, width=61, height=41), Box(x=30, y=20, width=61, height=41)]

    The same rectangle comes from three thresholds; the original's merge loop skips the rectangle
    that follows a removed one, which leaves two of them.
    """
    grey = _checked_grey(heatmap)
    if not len(thresholds) or not all(0 <= threshold <= 255 for threshold in thresholds):
        raise InvalidValueError(
            f"thresholds are grey levels from 0 to 255, not {tuple(thresholds)}"
        )
    rectangles = (
        rectangle
        for threshold in thresholds
        for rectangle in _contour_rectangles((grey > threshold).view(np.uint8))
    )
    return _merged(_by_area([_limited(rectangle, grey.shape) for rectangle in rectangles]))


@checked
def paper_box(activation_map: ArrayLike, fraction: float = PAPER_FRACTION) -> Box | None:
    """Give the box around the largest connected part of a map, as the paper describes it.

    "We first segment the regions of which the value is above 20% of the max value of the CAM and
    then we take the bounding box that covers the largest connected component" (section 3.2).

    Parameters
    ----------
    activation_map : array_like, shape (h, w)
        A class activation map at the picture's own size, in any unit, or a grey heat map.
    fraction : float, optional
        The threshold as a fraction of the map's maximum, in [0, 1).

    Returns
    -------
    Box or None
        The box of the 8-connected component with the most pixels (the first in reading order if
        several have as many); None if no value is positive.

    Raises
    ------
    InvalidValueError
        If the map is not two-dimensional, is empty or holds infinite values, or if the fraction is
        out of its range.

    Examples
    --------
    >>> paper_box([[0, 0, 0, 9], [0, 2, 3, 0], [0, 0, 0, 1]])
    Box(x=1, y=0, width=3, height=2)
    """
    if not 0 <= fraction < 1:
        raise InvalidValueError(f"the fraction of the maximum is from 0 up to 1, not {fraction}")
    values = checked_map(activation_map)
    peak = values.max()
    if peak <= 0:
        return None
    # In double precision, whatever the map has.
    above = np.greater(values, fraction * float(peak), signature="dd->?")
    _, _, stats, _ = cv2.connectedComponentsWithStats(above.view(np.uint8), connectivity=8)
    components = stats[1:]
    largest = components[int(np.argmax(components[:, cv2.CC_STAT_AREA]))]
    return Box(*(int(value) for value in largest[: cv2.CC_STAT_AREA]))


def _contour_rectangles(mask: NDArray[np.uint8]) -> list[Sequence[int]]:
    """Give ``x, y, width, height`` of the contours of what lies deep inside a mask of 0 and 1."""
    x, y, width, height = cv2.boundingRect(mask)
    # A ring of background holds the nearest background of every pixel, where there is a ring. What
    # it lacks is the picture's rim: taking one pixel off all round leaves the rim out, no more.
    left, top = max(x - 1, 0), max(y - 1, 0)
    part = mask[top : y + height + 1, left : x + width + 1]
    inner = _deep_inside(part)[1:-1, 1:-1]
    if not inner.size:
        return []
    contours, _ = cv2.findContours(
        inner, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE, offset=(left + 1, top + 1)
    )
    return [cv2.boundingRect(contour) for contour in contours]


def _deep_inside(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Keep the pixels whose distance to the background is over 10 when the largest is 255.

    A mask without background, or without anything else, stays as it is: all distances are equal.
    """
    if cv2.countNonZero(mask) in (0, mask.size):
        return mask
    distances = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # Squared distances between pixels are whole numbers. The original scales the distances and
    # rounds them half up in double precision, so that "over 10" begins near 49/28900 of the
    # largest; whether it does where that is a whole number is for its arithmetic to say.
    largest = round(float(distances.max()) ** 2)
    scale = 255 / math.sqrt(largest)
    least = 49 * largest // 28900
    while int(math.sqrt(least) * scale + 0.5) <= 10:
        least += 1
    return (distances > math.sqrt(least - 0.5)).view(np.uint8)


def _limited(rectangle: Sequence[int], shape: tuple[int, ...]) -> Box:
    """Keep a rectangle off the right and lower edges, whatever becomes of its size."""
    x, y, width, height = rectangle
    right, bottom = shape[1] - _MARGIN, shape[0] - _MARGIN
    return Box(min(x, right), min(y, bottom), min(width, right - x), min(height, bottom - y))


def _by_area(boxes: list[Box]) -> list[Box]:
    """Sort boxes, the largest first, those of one area as ``std::sort`` of GNU's C++ library.

    That one splits the list at medians of three until its parts are short, and ends in a sort by
    insertion, which like Python's leaves equal ones in their order.
    """
    spans = [(0, len(boxes))]
    while spans:
        start, stop = spans.pop()
        if stop - start > _SORTED_BY_INSERTION:
            cut = _split_around_median(boxes, start, stop)
            spans += [(start, cut), (cut, stop)]
    return sorted(boxes, key=lambda box: -box.area)


def _split_around_median(boxes: list[Box], start: int, stop: int) -> int:
    """Bring the larger boxes of ``boxes[start:stop]`` to the front; return where the others begin.

    Equal boxes on both sides are swapped, too.
    """
    a, b, c = start + 1, start + (stop - start) // 2, stop - 1
    first, second, third = (boxes[index].area for index in (a, b, c))
    if first > second:
        median = b if second > third else c if first > third else a
    else:
        median = a if first > third else c if second > third else b
    boxes[start], boxes[median] = boxes[median], boxes[start]
    pivot = boxes[start].area
    left, right = start + 1, stop - 1
    while True:
        while boxes[left].area > pivot:
            left += 1
        while pivot > boxes[right].area:
            right -= 1
        if left >= right:
            return left
        boxes[left], boxes[right] = boxes[right], boxes[left]
        left, right = left + 1, right - 1


def _merged(boxes: list[Box]) -> list[Box]:
    """Remove boxes that overlap an earlier one, skipping the box after each removed one.

    The skipping is the original's: its loop deletes from the list that it walks along.
    """
    alike = _alike_among_few(boxes) if len(boxes) <= _FEW else _alike_among_many(boxes)
    kept = bytearray(b"\1" * len(boxes))
    for first in range(len(boxes)):
        if not kept[first]:
            continue
        removed = first
        for rival in alike(first):
            follows_a_removed_one = removed != first and kept.find(1, removed, rival) < 0
            if kept[rival] and not follows_a_removed_one:
                kept[rival] = 0
                removed = rival
    return [box for box, is_kept in zip(boxes, kept, strict=True) if is_kept]


def _alike_among_few(boxes: Sequence[Box]) -> Callable[[int], list[int]]:
    """Return what gives the boxes after one that overlap it by over half of the larger area."""

    def too_alike(one: Box, other: Box) -> bool:
        across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
        down = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
        # Rounded towards zero. Two negative areas are alike wherever they lie, if both are below
        # -1: nothing is over less than nothing.
        most = int(_MOST_OVERLAP * max(one.area, other.area))
        return max(across, 0) * max(down, 0) > most

    return lambda first: [
        later for later in range(first + 1, len(boxes)) if too_alike(boxes[first], boxes[later])
    ]


def _alike_among_many(boxes: Sequence[Box]) -> Callable[[int], list[int]]:
    """Do what `_alike_among_few` does where there are too many to compare each with all.

    Noise gives tens of thousands. Those that share over half of the larger one have middles less
    than half a height apart.
    """
    start, size = np.split(np.array(boxes, dtype=np.int64), 2, axis=1)
    area, middle = size.prod(axis=1), 2 * start[:, 1] + size[:, 1]
    by_middle = np.argsort(middle, kind="stable")
    slice_start = np.searchsorted(middle, middle - size[:, 1], "left", sorter=by_middle)
    slice_end = np.searchsorted(middle, middle + size[:, 1], "right", sorter=by_middle)
    slice_start[area < -1], slice_end[area < -1] = 0, len(boxes)

    def alike(first: int) -> list[int]:
        near = by_middle[slice_start[first] : slice_end[first]]
        later = np.sort(near[near > first])
        end = np.minimum(start[first] + size[first], start[later] + size[later])
        shared = (end - np.maximum(start[first], start[later])).clip(min=0).prod(axis=1)
        most = (_MOST_OVERLAP * np.maximum(area[first], area[later])).astype(np.int64)
        rivals: list[int] = later[shared > most].tolist()
        return rivals

    return alike


def _checked_grey(heatmap: NDArray[np.uint8]) -> NDArray[np.uint8]:
    heatmap = real_array(heatmap, "a grey heat map")
    if heatmap.ndim != 2 or heatmap.dtype != np.uint8 or heatmap.size == 0:
        raise InvalidValueError(
            "the box generator reads a grey picture of 8 bits, shape (h, w), "
            f"not {heatmap.dtype} {heatmap.shape}; grey_heatmap makes one from a map"
        )
    return heatmap
