"""Mean files of Caffe and of NumPy, whoever they come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cam.caffe.preprocessing import preprocessing_with
from cam.caffe.schema import message_class
from cam.errors import CamError


def binaryproto(folder: Path, count: int, *shape: int) -> Path:
    blob = message_class("BlobProto")(data=[1.0] * count)
    blob.shape.dim[:] = shape
    path = folder / f"{count} {shape}.binaryproto"
    path.write_bytes(blob.SerializeToString())
    return path


@pytest.mark.parametrize("shape", [(1, 3, 2, 2), (3, 2, 2)])
def test_a_mean_of_caffe_is_read_with_and_without_its_axis_of_the_batch(
    shape: tuple[int, ...], tmp_path: Path
) -> None:
    found = preprocessing_with(binaryproto(tmp_path, 12, *shape))
    assert found.mean == (1, 1, 1)
    assert found.mean_picture(2).shape == (3, 2, 2)


@pytest.mark.parametrize(
    ("count", "shape"),
    [(3, (3, 1, 1, 1)), (12, (12,)), (12, (1, 3, 2, 3)), (12, (0, 3, 2, 2)), (12, (1, 3, -2, -2))],
)
def test_a_mean_of_caffe_of_another_shape_is_refused(
    count: int, shape: tuple[int, ...], tmp_path: Path
) -> None:
    with pytest.raises(CamError, match="binaryproto: "):
        preprocessing_with(binaryproto(tmp_path, count, *shape))


def test_a_mean_of_numpy_that_is_damaged_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((3, 4, 4), np.float32))
    data = (tmp_path / "x.npy").read_bytes()
    for k, shape in enumerate((b"(3, 4, 4 ", b"(9" + b"9" * 20 + b", 4, 4)")):
        path = tmp_path / f"{k}.npy"
        path.write_bytes(data.replace(b"(3, 4, 4)", shape))
        with pytest.raises(CamError, match="the mean"):
            preprocessing_with(path)
