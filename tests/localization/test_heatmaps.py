from __future__ import annotations

import math
from pathlib import Path

import cv2
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
    contents = {b"": "empty", b"not a picture": "not a picture", b"P5 40000 40000 255\n": "limit"}
    for content, reason in contents.items():
        (tmp_path / "map.jpg").write_bytes(content)
        with pytest.raises(CamError, match=reason):
            read_heatmap(tmp_path / "map.jpg")
    with pytest.raises(CamError, match="cannot read the heat map"):
        read_heatmap(tmp_path / "none.jpg")


def test_a_heat_map_that_claims_too_many_pixels_is_refused_before_it_is_decoded(
    tmp_path: Path,
) -> None:
    path = tmp_path / "map.jpg"
    data = cv2.imencode(".jpg", np.zeros((8, 8), np.uint8))[1].tobytes()
    at = data.index(b"\xff\xc0") + 5
    path.write_bytes(data[:at] + b"\x75\x30\x75\x30" + data[at + 4 :])
    with pytest.raises(CamError, match="30000 x 30000 pixels, over the limit"):
        read_heatmap(path)
