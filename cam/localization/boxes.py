"""Boxes from heat maps: the original box generator, and the rule the paper states.

Coordinates are pixels from 0, x to the right and y down. A :class:`Box` is its upper left pixel and
its size; :attr:`Box.corners` and :attr:`Box.inclusive_corners` are the two corner forms in use.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from cam.errors import CamError
from cam.files import atomic_path
from cam.matlab.functions import imresize

__all__ = [
    "ORIGINAL_THRESHOLDS",
    "PAPER_FRACTION",
    "RULES",
    "Box",
    "BoxForm",
    "BoxRule",
    "Rule",
    "draw_boxes",
    "find_boxes",
    "format_boxes",
    "grey_heatmap",
    "levels_of_colors",
    "original_boxes",
    "paper_box",
    "parse_boxes",
    "picture_heatmap",
    "read_boxes",
    "read_heatmap",
    "write_boxes",
]

ORIGINAL_THRESHOLDS = (20, 100, 110)
"""Grey levels of the original ``generate_bbox.m`` and of its ILSVRC evaluation."""

PAPER_FRACTION = 0.2
"""The paper's threshold, as a fraction of the map's maximum (section 3.2)."""

_MARGIN = 5
_MOST_OVERLAP = 0.5
_GREEN = (0, 255, 0)
_RED = (0, 0, 255)

BoxForm = Literal["corners", "original"]
"""How boxes are written as text: see :func:`format_boxes`."""

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
        The size in pixels.

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
        """The number of pixels."""
        return self.width * self.height

    @property
    def corners(self) -> tuple[int, int, int, int]:
        """``(x1, y1, x2, y2)`` with ``x2 = x + width``: the lower right corner lies outside.

        The original's MATLAB scripts form their corners this way and then evaluate them as if they
        were inclusive, so that a predicted box counts one column and one row too many. The paper's
        numbers come from that, and so :mod:`cam.localization` takes this form for predicted boxes.
        """
        return self.x, self.y, self.x + self.width, self.y + self.height

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


@dataclass(frozen=True)
class BoxRule:
    """How boxes are found in a grey heat map: the arguments of `find_boxes`.

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

    def boxes(self, heatmap: NDArray[np.uint8]) -> list[Box]:
        """Return the boxes of a grey heat map, largest first."""
        return find_boxes(heatmap, self.name, thresholds=self.thresholds, fraction=self.fraction)


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
        :func:`original_boxes`, several boxes, or :func:`paper_box`, at most one.
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
    CamError
        If there is no such rule, or as the two functions do.

    Examples
    --------
    >>> heatmap = np.zeros((100, 120), np.uint8)
    >>> heatmap[20:61, 30:91] = 255
    >>> find_boxes(heatmap, "paper")
    [Box(x=30, y=20, width=61, height=41)]
    """
    if rule not in RULES:
        raise CamError(f"the rules for boxes are {', '.join(RULES)}, not {rule!r}")
    if rule == "original":
        return original_boxes(heatmap, thresholds)
    box = paper_box(_checked_grey(heatmap), fraction)
    return [] if box is None else [box]


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
        The grey heat map at the picture's own size: see :func:`grey_heatmap`, :func:`read_heatmap`.
    thresholds : sequence of int, optional
        Grey levels in [0, 255].

    Returns
    -------
    list of Box
        Largest area first, all inside the picture and, as the original's, 5 pixels away from its
        right and lower edges, so that a small one at these edges can have no width or height left.
        The list is empty if no pixel is above a threshold; where every pixel is, there is one box
        around the whole picture less these edges.

    Raises
    ------
    CamError
        If the heat map is not a grey picture of 8 bits, or a threshold is not a grey level.

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
    if not thresholds or not all(0 <= threshold <= 255 for threshold in thresholds):
        raise CamError(f"thresholds are grey levels from 0 to 255, not {tuple(thresholds)}")
    boxes = [
        _limited(cv2.boundingRect(contour), grey.shape)
        for threshold in thresholds
        for contour in _contours(_deep_inside(grey > threshold))
    ]
    return _merged(sorted(boxes, key=lambda box: -box.area))


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
    CamError
        If the map is not two-dimensional, is empty or holds infinite values, or if the fraction is
        out of its range.

    Examples
    --------
    >>> paper_box([[0, 0, 0, 9], [0, 2, 3, 0], [0, 0, 0, 1]])
    Box(x=1, y=0, width=3, height=2)
    """
    if not 0 <= fraction < 1:
        raise CamError(f"the fraction of the maximum is from 0 up to 1, not {fraction}")
    values = _checked_map(activation_map)
    peak = values.max()
    if peak <= 0:
        return None
    _, _, stats, _ = cv2.connectedComponentsWithStats(
        (values > fraction * peak).astype(np.uint8), connectivity=8
    )
    components = stats[1:]
    largest = components[int(np.argmax(components[:, cv2.CC_STAT_AREA]))]
    return Box(*(int(value) for value in largest[: cv2.CC_STAT_AREA]))


def grey_heatmap(activation_map: ArrayLike) -> NDArray[np.uint8]:
    """Turn a map into the grey heat map that the box generator reads.

    As the original's ``ILSVRC_generate_heatmap.m``: the map is divided by its maximum, and 0 to 1
    becomes 0 to 255, rounded. Negative values become 0. (The original stores the result as JPEG,
    which changes grey levels by a few.)

    Parameters
    ----------
    activation_map : array_like, shape (h, w)
        The merged map at the picture's own size. NaN counts as 0.

    Returns
    -------
    ndarray of uint8, shape (h, w)
        The grey heat map; all 0 if no value is positive.

    Raises
    ------
    CamError
        If the map is not two-dimensional, is empty or holds infinite values.

    Examples
    --------
    >>> grey_heatmap([[-1.0, 0.5, 2.0]])
    array([[  0,  64, 255]], dtype=uint8)
    """
    values = _checked_map(activation_map)
    peak = values.max()
    if peak <= 0:
        return np.zeros(values.shape, np.uint8)
    return np.asarray(np.floor(np.clip(values / peak, 0, 1) * 255 + 0.5), np.uint8)


def picture_heatmap(merged_map: NDArray[Any], picture_size: Sequence[int]) -> NDArray[np.uint8]:
    """Enlarge a map to its picture's own size and turn it into a grey heat map.

    As the original's ``ILSVRC_generate_heatmap.m``: MATLAB's bicubic ``imresize``, then
    :func:`grey_heatmap`.

    Parameters
    ----------
    merged_map : ndarray, shape (h, w)
        A map of the whole picture, as :attr:`cam.explain.explanation.Explanation.merged` has them.
    picture_size : pair of int
        The picture's rows and columns.

    Returns
    -------
    ndarray of uint8, shape (rows, columns)
        The grey heat map.

    Raises
    ------
    CamError
        If the map or the size is not what it should be.

    Examples
    --------
    >>> picture_heatmap(np.ones((256, 256), np.float32), (30, 40)).shape
    (30, 40)
    """
    rows, columns = picture_size
    return grey_heatmap(imresize(merged_map, (rows, columns)))


def levels_of_colors(picture: NDArray[np.uint8], colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn a coloured heat map back into grey levels.

    Parameters
    ----------
    picture : ndarray of uint8, shape (h, w, 3)
        The coloured heat map, BGR.
    colors : ndarray of uint8, shape (256, 3)
        The colours of the levels 0 to 255, BGR: see :func:`cam.maps.colors.colors`.

    Returns
    -------
    ndarray of uint8, shape (h, w)
        For each pixel the level whose colour is nearest (the first one of several).

    Examples
    --------
    >>> from cam.maps.colors import colors
    >>> levels_of_colors(colors("jet")[np.newaxis, [0, 100, 255]], colors("jet"))
    array([[  0, 100, 255]], dtype=uint8)
    """
    pixels = picture.reshape(-1, 3).astype(np.int64)
    codes, inverse = np.unique(pixels @ (1 << 16, 1 << 8, 1), return_inverse=True)
    seen = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1).astype(np.float32)
    known = colors.astype(np.float32)
    # The squared distance less what is the same for all levels; whole numbers, exact in float32.
    nearest = np.argmin((known**2).sum(axis=1) - 2 * seen @ known.T, axis=1)
    return np.asarray(nearest[inverse].reshape(picture.shape[:2]), np.uint8)


def read_heatmap(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Read a picture file as a grey heat map.

    Parameters
    ----------
    path : path-like
        A grey picture; a colour picture is turned grey by OpenCV.

    Returns
    -------
    ndarray of uint8, shape (h, w)
        The grey levels.

    Raises
    ------
    CamError
        If the file is missing or is not a picture.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise CamError(f"cannot read the heat map {path}: {error.strerror}") from error
    grey = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if data.size else None
    if grey is None:
        raise CamError(f"{path} is not a picture that OpenCV can read; give a grey JPEG or PNG")
    return np.asarray(grey, np.uint8)


def format_boxes(boxes: Iterable[Box], form: BoxForm = "corners") -> str:
    r"""Write boxes as text.

    Parameters
    ----------
    boxes : iterable of Box
        The boxes, in the order to write them.
    form : {"corners", "original"}, optional
        ``corners``: one line ``x1 y1 x2 y2`` a box, :attr:`Box.corners`. ``original``: one line of
        ``x y w h `` for all boxes without a line end, byte for byte what the original writes.

    Returns
    -------
    str
        The text; empty if there are no boxes.

    Raises
    ------
    CamError
        If there is no such form.

    Examples
    --------
    >>> format_boxes([Box(41, 145, 362, 202)])
    '41 145 403 347\n'
    >>> format_boxes([Box(41, 145, 362, 202), Box(102, 188, 242, 126)], "original")
    '41 145 362 202 102 188 242 126 '
    """
    if _is_original(form):
        return "".join(f"{value} " for box in boxes for value in box)
    return "".join("{} {} {} {}\n".format(*box.corners) for box in boxes)


def parse_boxes(text: str, form: BoxForm = "corners") -> list[Box]:
    """Read what :func:`format_boxes` writes.

    Parameters
    ----------
    text : str
        Whole numbers, four a box. Line ends and spaces both separate.
    form : {"corners", "original"}, optional
        What the four numbers are. It cannot be told from the text.

    Returns
    -------
    list of Box
        The boxes in the order of the text.

    Raises
    ------
    CamError
        If the text is not whole numbers in fours, or a box has a negative size.

    Examples
    --------
    >>> parse_boxes("41 145 362 202 ", "original")
    [Box(x=41, y=145, width=362, height=202)]
    """
    make: Callable[..., Box] = Box if _is_original(form) else Box.from_corners
    try:
        numbers = [int(word) for word in text.split()]
    except ValueError as error:
        raise CamError(f"boxes are whole numbers, four a box: {error}") from error
    if len(numbers) % 4:
        raise CamError(f"boxes are whole numbers, four a box, but there are {len(numbers)} numbers")
    boxes = [make(*numbers[start : start + 4]) for start in range(0, len(numbers), 4)]
    for index, box in enumerate(boxes, 1):
        if box.width < 0 or box.height < 0:
            raise CamError(f"box {index} has a negative size; is its form {form!r}?")
    return boxes


def write_boxes(
    path: str | os.PathLike[str], boxes: Iterable[Box], form: BoxForm = "corners"
) -> None:
    """Write boxes to a text file in a form of :func:`format_boxes`.

    Parameters
    ----------
    path : path-like
        The file; it is replaced if it exists.
    boxes : iterable of Box
        The boxes.
    form : {"corners", "original"}, optional
        The form of the text.

    Raises
    ------
    CamError
        If the file cannot be written.
    """
    text = format_boxes(boxes, form)
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode("ascii"))


def read_boxes(path: str | os.PathLike[str], form: BoxForm = "corners") -> list[Box]:
    """Read boxes from a text file in a form of :func:`format_boxes`.

    Parameters
    ----------
    path : path-like
        The file.
    form : {"corners", "original"}, optional
        The form of the text.

    Returns
    -------
    list of Box
        The boxes in the order of the file.

    Raises
    ------
    CamError
        If the file is missing or does not hold boxes.
    """
    try:
        text = Path(path).read_text("ascii")
    except OSError as error:
        raise CamError(f"cannot read the boxes {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CamError(f"{path} is not a text file of boxes") from error
    try:
        return parse_boxes(text, form)
    except CamError as error:
        raise CamError(f"{path}: {error}") from error


def draw_boxes(
    picture: NDArray[np.uint8],
    predicted: Iterable[Box],
    ground_truth: Iterable[Box] = (),
) -> NDArray[np.uint8]:
    """Draw boxes on a picture: ground truth green, predicted red on top, as in the paper's figures.

    Parameters
    ----------
    picture : ndarray of uint8, shape (h, w, 3) or (h, w)
        A BGR or grey picture; it is not changed.
    predicted, ground_truth : iterable of Box
        The boxes in the picture's pixels.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
        A BGR picture. The lines are 1/160 of its longer side wide, at least one pixel.

    Raises
    ------
    CamError
        If the picture is not a BGR or grey picture of 8 bits.
    """
    if picture.dtype != np.uint8 or picture.size == 0 or picture.shape[2:] not in ((), (3,)):
        raise CamError(
            f"boxes are drawn on 8-bit BGR or grey pictures, not {picture.dtype} {picture.shape}"
        )
    if picture.ndim == 2:
        canvas = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    else:
        canvas = np.ascontiguousarray(picture).copy()
    line_width = max(1, round(max(canvas.shape[:2]) / 160))
    for boxes, color in ((ground_truth, _GREEN), (predicted, _RED)):
        for box in boxes:
            x1, y1, x2, y2 = box.inclusive_corners
            cv2.rectangle(canvas, (x1, y1), (x2, y2), color, line_width)
    return np.asarray(canvas, np.uint8)


def _deep_inside(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the pixels whose distance to the background is over 10 when the largest is 255.

    "Over 10" is of distances scaled and rounded half up, so it is ``255 d / d_max >= 10.5``, that
    is ``170² d² >= 7² d_max²``. Squared distances between pixels are whole numbers, which makes the
    comparison exact.
    """
    if mask.all() or not mask.any():
        # Without a background every distance is infinite, and without a foreground it is 0: they
        # are all equal, so nothing is scaled.
        return mask
    distances = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    squared = np.rint(np.square(distances, dtype=np.float64)).astype(np.int64)
    deep: NDArray[np.bool_] = squared * 170**2 >= squared.max() * 7**2
    return deep


def _contours(mask: NDArray[np.bool_]) -> Sequence[NDArray[Any]]:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return contours


def _limited(rectangle: Sequence[int], shape: tuple[int, ...]) -> Box:
    """Keep a rectangle off the right and lower edges, by the original's order of steps."""
    x, y, width, height = rectangle
    right, bottom = shape[1] - _MARGIN, shape[0] - _MARGIN
    return Box(
        max(min(x, right), 0),
        max(min(y, bottom), 0),
        max(min(width, right - x), 0),
        max(min(height, bottom - y), 0),
    )


def _merged(boxes: list[Box]) -> list[Box]:
    """Remove boxes that overlap an earlier one, skipping the box after each removed one.

    The skipping is the original's: its loop deletes from the list that it walks along.
    """
    start, size = np.split(np.array(boxes, dtype=np.int64).reshape(-1, 4), 2, axis=1)
    # Boxes that share over half of the larger one have middles less than half a height apart. Noise
    # gives tens of thousands of boxes, too many to compare each with all.
    middle = 2 * start[:, 1] + size[:, 1]
    by_middle = np.argsort(middle, kind="stable")
    slice_start = np.searchsorted(middle, middle - size[:, 1], "left", sorter=by_middle)
    slice_end = np.searchsorted(middle, middle + size[:, 1], "right", sorter=by_middle)
    kept = np.ones(len(boxes), dtype=bool)
    for first in range(len(boxes)):
        if not kept[first]:
            continue
        near = by_middle[slice_start[first] : slice_end[first]]
        later = np.sort(near[(near > first) & kept[near]])
        alike = later[_too_alike(start[first], size[first], start[later], size[later])]
        last_removed = first
        for rival in alike.tolist():
            follows_a_removed_one = last_removed != first and not kept[last_removed:rival].any()
            if not follows_a_removed_one:
                kept[rival] = False
                last_removed = rival
    return [box for box, is_kept in zip(boxes, kept.tolist(), strict=True) if is_kept]


def _too_alike(
    start: NDArray[np.int64],
    size: NDArray[np.int64],
    other_start: NDArray[np.int64],
    other_size: NDArray[np.int64],
) -> NDArray[np.bool_]:
    shared = np.minimum(start + size, other_start + other_size) - np.maximum(start, other_start)
    intersection = shared.clip(min=0).prod(axis=1)
    larger = np.maximum(size.prod(), other_size.prod(axis=1))
    alike: NDArray[np.bool_] = intersection > (_MOST_OVERLAP * larger).astype(np.int64)
    return alike


def _checked_grey(heatmap: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if heatmap.ndim != 2 or heatmap.dtype != np.uint8 or heatmap.size == 0:
        raise CamError(
            "the box generator reads a grey picture of 8 bits, shape (h, w), "
            f"not {heatmap.dtype} {heatmap.shape}; grey_heatmap makes one from a map"
        )
    return heatmap


def _checked_map(activation_map: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(activation_map, dtype=np.float64)
    if values.ndim != 2 or values.size == 0:
        raise CamError(f"a map has the shape (h, w), not {values.shape}")
    if np.isinf(values).any():
        raise CamError("the map holds infinite values, so it has no maximum to divide by")
    return np.nan_to_num(values, nan=0.0)


def _is_original(form: str) -> bool:
    if form not in ("corners", "original"):
        raise CamError(f"boxes are written as 'corners' or 'original', not {form!r}")
    return form == "original"
