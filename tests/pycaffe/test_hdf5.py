"""Weights in HDF5: what Caffe writes, and what nobody should."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cam.errors import CamError
from cam.pycaffe.hdf5 import read_weights, write_weights

h5py = pytest.importorskip("h5py")

WEIGHTS = {
    "conv1": (np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2), np.ones(2, np.float32)),
    "inception_3a/1x1": tuple(np.full((k + 1,), k, np.float32) for k in range(12)),
}


def test_weights_come_back_with_their_axes_in_their_order_also_of_names_with_slashes(
    tmp_path: Path,
) -> None:
    write_weights(tmp_path / "x.h5", WEIGHTS)
    found = read_weights(tmp_path / "x.h5")
    assert found.keys() == WEIGHTS.keys()
    for name, blobs in WEIGHTS.items():
        for actual, expected in zip(found[name], blobs, strict=True):
            np.testing.assert_array_equal(actual, expected)


def claims_much(file: Any) -> None:
    file.create_dataset("data/conv1/0", (1 << 40,), "f4", chunks=(1 << 20,))


def lies_elsewhere(file: Any) -> None:
    file["data/conv1/0"] = h5py.ExternalLink("/etc/passwd", "/x")


def goes_in_circles(file: Any) -> None:
    group = file.create_group("data/conv1")
    group["again"] = file["data"]
    group["and again"] = file["data"]


def holds_text(file: Any) -> None:
    file["data/conv1/0"] = "text"


def has_no_numbered_blobs(file: Any) -> None:
    file["data/conv1/weight"] = np.ones(3)


def has_no_group(file: Any) -> None:
    file["other"] = np.ones(3)


@pytest.mark.parametrize(
    "make",
    [
        claims_much,
        lies_elsewhere,
        goes_in_circles,
        holds_text,
        has_no_numbered_blobs,
        has_no_group,
    ],
)
def test_a_file_of_something_else_is_refused_in_one_line(
    tmp_path: Path, make: Callable[[Any], None]
) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        make(file)
    with pytest.raises(CamError, match=r"x\.h5: not a file of weights"):
        read_weights(tmp_path / "x.h5")


def test_what_is_no_file_of_weights_is_refused(tmp_path: Path) -> None:
    write_weights(tmp_path / "x.h5", WEIGHTS)
    whole = (tmp_path / "x.h5").read_bytes()
    for data in (b"", b"text", whole[:700], whole[:1000] + b"\xff" * 500 + whole[1500:]):
        (tmp_path / "damaged.h5").write_bytes(data)
        with pytest.raises(CamError, match="damaged"):
            read_weights(tmp_path / "damaged.h5")
    os.mkfifo(tmp_path / "pipe.h5")
    with pytest.raises(CamError, match="not a regular file"):
        read_weights(tmp_path / "pipe.h5")
