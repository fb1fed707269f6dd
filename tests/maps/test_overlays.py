"""The overlays' tables give what adding and rounding each pixel gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cam.maps.overlays import blend, blend_tables


@settings(deadline=None)
@given(st.integers(0, 99), st.floats(0, 0.5), st.floats(0, 0.5))
def test_tables_give_the_rounded_sum_of_both_shares(seed: int, low: float, high: float) -> None:
    numbers = np.random.default_rng(seed)
    picture = numbers.integers(0, 256, (5, 7, 3), np.uint8)
    levels = numbers.integers(0, 256, (2, 5, 7), np.uint8)
    picture_share, heat_share = low * numbers.random(256), high * numbers.random((3, 256))
    # The plain way: each pixel of each map, in double precision.
    sums = picture_share[picture] + np.moveaxis(heat_share[:, levels], 0, -1)
    tables = blend_tables(picture_share, heat_share)
    np.testing.assert_array_equal(blend(picture, levels, [tables] * 2), np.rint(255 * sums))


def test_tables_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        blend_tables(np.zeros(256), np.zeros((3, 256)))[0, 0] = 1
