"""How well a map lies on the boxes of its class, without a rule that makes boxes of it.

A map is (rows, columns) on the picture's own pixels, higher where the class is; boxes are float64
(B, 4), ``x1, y1, x2, y2`` with both corners inside, as in `cam.localization.ground_truth`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from cam.errors import InvalidValueError
from cam.localization.evaluation import overlap

Boxes = NDArray[np.float64]
Map = NDArray[np.floating]

TOLERANCE = 15
"""By how many pixels the point of the pointing game may miss a box."""

OVERLAPS = (0.3, 0.5, 0.7)
"""The overlaps with a box that count as found in MaxBoxAccV2; the first version has 0.5 only."""

THRESHOLDS = tuple(np.arange(100) / 100)
"""The parts of a map's range above which a pixel belongs to the object."""


def points_at_box(heat_map: Map, boxes: Boxes, tolerance: float = TOLERANCE) -> bool:
    """Tell whether the map's highest point lies in a box, or nearly: the pointing game.

    Parameters
    ----------
    heat_map : numpy.ndarray
        Shape (rows, columns). Of several highest points the first counts.
    boxes : numpy.ndarray
        Shape (B, 4), at least one.
    tolerance : float, optional
        By how many pixels it may miss.

    Returns
    -------
    bool
        Whether it hits. The mean over pictures is the accuracy.

    References
    ----------
    Zhang et al., Top-down Neural Attention by Excitation Backprop, ECCV 2016, section 4.2.

    Examples
    --------
    >>> heat_map = np.zeros((50, 50))
    >>> heat_map[10, 40] = 1
    >>> [points_at_box(heat_map, np.array([[0.0, 0, right, 20]])) for right in (20, 25)]
    [False, True]
    """
    values, boxes = _checked(heat_map, boxes)
    y, x = divmod(int(values.argmax()), values.shape[1])
    beyond_x = np.maximum(boxes[:, 0] - x, x - boxes[:, 2]).clip(min=0)
    beyond_y = np.maximum(boxes[:, 1] - y, y - boxes[:, 3]).clip(min=0)
    return bool((np.hypot(beyond_x, beyond_y) <= tolerance).any())


def energy_in_boxes(heat_map: Map, boxes: Boxes) -> float:
    """Return how much of the map lies in the boxes: the energy-based pointing game.

    Parameters
    ----------
    heat_map : numpy.ndarray
        Shape (rows, columns); its lowest value counts as 0.
    boxes : numpy.ndarray
        Shape (B, 4), at least one.

    Returns
    -------
    float
        From 0 to 1; 0 for a map that is the same everywhere.

    References
    ----------
    Wang et al., Score-CAM, CVPR Workshops 2020, section 4.3.

    Examples
    --------
    >>> energy_in_boxes(np.array([[1.0, 3.0], [0.0, 0.0]]), np.array([[1.0, 0, 1, 1]]))
    0.75
    """
    values, boxes = _checked(heat_map, boxes)
    values = values - values.min()
    inside = np.zeros(values.shape, bool)
    for x1, y1, x2, y2 in np.rint(boxes).astype(int).clip(min=0).tolist():
        inside[y1 : y2 + 1, x1 : x2 + 1] = True
    total = float(values.sum())
    return float(values[inside].sum()) / total if total > 0 else 0.0


def best_overlaps(heat_map: Map, boxes: Boxes, *, all_parts: bool = True) -> NDArray[np.float64]:
    """Return how well the boxes around the map's parts agree with the boxes, at every threshold.

    Parameters
    ----------
    heat_map : numpy.ndarray
        Shape (rows, columns).
    boxes : numpy.ndarray
        Shape (B, 4), at least one.
    all_parts : bool, optional
        Whether the best of all parts above the threshold counts (MaxBoxAccV2), or the largest only
        (MaxBoxAcc).

    Returns
    -------
    numpy.ndarray
        float64 (100,): intersection over union for each of `THRESHOLDS`.

    References
    ----------
    Choe et al., Evaluating Weakly Supervised Object Localization Methods Right, CVPR 2020, section
    4.1, and its journal version for MaxBoxAccV2. There pictures and boxes are resized to 224×224;
    here both keep the picture's own size.

    Examples
    --------
    >>> heat_map = np.zeros((20, 20))
    >>> heat_map[5:10, 5:10] = 1
    >>> float(best_overlaps(heat_map, np.array([[5.0, 5, 9, 9]])).max())
    1.0
    """
    values, boxes = _checked(heat_map, boxes)
    low, high = float(values.min()), float(values.max())
    scale = 255 / (high - low) if high > low else 0.0
    levels = ((values - low) * scale).astype(np.uint8)
    highest = int(levels.max())
    return np.array(
        [_best_overlap(levels > int(share * highest), boxes, all_parts) for share in THRESHOLDS]
    )


def max_box_accuracy(
    overlaps: Iterable[NDArray[np.float64]], wanted: Sequence[float] = OVERLAPS
) -> tuple[float, float]:
    """Return the share of pictures whose object is found, at the best threshold for all of them.

    Parameters
    ----------
    overlaps : iterable of numpy.ndarray
        What `best_overlaps` gives for each picture, at least one.
    wanted : sequence of float, optional
        The overlaps that count as found; the accuracy is the mean over them.

    Returns
    -------
    accuracy : float
        From 0 to 1.
    threshold : float
        The best threshold for the middle one of `wanted`, in [0, 1).

    Examples
    --------
    >>> sharp, blurred = np.zeros(100), np.zeros(100)
    >>> sharp[20:60], blurred[50:] = 0.8, 0.6
    >>> max_box_accuracy([sharp, blurred], [0.5])
    (1.0, 0.5)
    """
    table = np.stack(list(overlaps))
    found = (table[:, :, np.newaxis] >= np.asarray(wanted)).mean(axis=0)
    best = found.argmax(axis=0)
    accuracy = found[best, np.arange(len(wanted))].mean()
    return float(accuracy), float(THRESHOLDS[best[len(wanted) // 2]])


def _best_overlap(above: NDArray[np.bool_], boxes: Boxes, all_parts: bool) -> float:
    count, _, stats, _ = cv2.connectedComponentsWithStats(above.view(np.uint8), connectivity=8)
    if count < 2:
        return 0.0
    parts = stats[1:].astype(np.float64)
    if not all_parts:
        parts = parts[[parts[:, cv2.CC_STAT_AREA].argmax()]]
    x, y, width, height = parts[:, :4].T
    corners = np.stack([x, y, x + width - 1, y + height - 1], axis=1)
    return float(overlap(corners[:, np.newaxis], boxes).max())


def _checked(heat_map: Map, boxes: Boxes) -> tuple[NDArray[np.float64], Boxes]:
    values, corners = np.asarray(heat_map, np.float64), np.asarray(boxes, np.float64)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise InvalidValueError(
            f"a map has rows and columns of finite numbers; this one has the shape {values.shape}"
        )
    if corners.ndim != 2 or corners.shape[1:] != (4,) or not len(corners):
        raise InvalidValueError(f"boxes have the shape (B, 4), B at least 1, not {corners.shape}")
    return values, corners
