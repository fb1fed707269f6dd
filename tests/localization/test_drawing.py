from __future__ import annotations

import numpy as np
import pytest

from cam.errors import CamError
from cam.localization import Box, draw_boxes

GREEN, RED = (0, 255, 0), (0, 0, 255)


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


def test_other_pictures_are_refused() -> None:
    with pytest.raises(CamError, match="8-bit"):
        draw_boxes(np.zeros((4, 4)), [])  # type: ignore[arg-type]
