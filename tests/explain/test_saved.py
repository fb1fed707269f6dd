from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import cam
from cam.explain.saved import read_saved_arrays

WHOLE = {
    "frame": np.zeros((256, 256, 3), np.uint8),
    "picture_size": np.array([300, 400]),
    "scores": np.ones(5, np.float32),
    "indices": np.array([1]),
    "names": np.array(["cup"]),
    "maps": np.ones((1, 1, 7, 7), np.float32),
    "crop_size": np.array(224),
}


def test_arrays_that_go_together_are_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "maps.npz", **WHOLE)
    assert read_saved_arrays(tmp_path / "maps.npz").keys() == WHOLE.keys()


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("frame", np.zeros((256, 200, 3), np.uint8)),
        ("frame", np.zeros((300, 300, 3), np.uint8)),
        ("crop_size", np.array(0)),
        ("crop_size", np.array(448)),
    ],
)
def test_a_frame_that_is_none_of_its_crops_is_refused(
    name: str, array: NDArray[np.uint8], tmp_path: Path
) -> None:
    np.savez(tmp_path / "maps.npz", **{**WHOLE, name: array})
    with pytest.raises(cam.CamError, match="not the maps of a result"):
        read_saved_arrays(tmp_path / "maps.npz")
