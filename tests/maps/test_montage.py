from __future__ import annotations

import numpy as np

from cam.maps.montage import caption, montage


def test_montage_has_eight_white_columns_between_pictures() -> None:
    black = np.zeros((3, 4, 3), np.uint8)
    row = montage([black, black, black])
    assert row.shape == (3, 3 * 4 + 2 * 8, 3)
    np.testing.assert_array_equal(np.flatnonzero(row[0, :, 0]), [*range(4, 12), *range(16, 24)])


def test_a_long_line_of_a_caption_is_written_smaller() -> None:
    for text in ("short", "a line that is much too long for a strip so narrow" * 3):
        strip = caption([text, ""], 200)
        assert strip.shape == (44, 200, 3)
        dark = np.flatnonzero((strip < 128).any(axis=(0, 2)))
        assert 0 < dark.min() < dark.max() < 199
