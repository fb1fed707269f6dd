from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from cam.errors import CamError
from cam.localization import grey_heatmap, read_heatmap


def test_a_map_becomes_grey_as_the_original_saves_it() -> None:
    grey = grey_heatmap([[-3.0, 0.0, math.nan], [1.0, 2.0, 4.0]])
    assert grey.tolist() == [[0, 0, 0], [64, 128, 255]]
    assert grey_heatmap(np.arange(6.0).reshape(2, 3).T).flags.c_contiguous
    assert not grey_heatmap([[-1.0, 0.0]]).any()


def test_files_that_are_no_pictures_are_named(tmp_path: Path) -> None:
    for content in (b"", b"not a picture", b"P5 40000 40000 255\n"):
        (tmp_path / "map.jpg").write_bytes(content)
        with pytest.raises(CamError, match="not a picture"):
            read_heatmap(tmp_path / "map.jpg")
    with pytest.raises(CamError, match="cannot read the heat map"):
        read_heatmap(tmp_path / "none.jpg")
