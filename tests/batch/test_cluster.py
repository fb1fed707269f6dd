from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cam
from cam.batch import BatchOptions, run_batch
from cam.batch.cluster import DaskRunner
from cam.errors import CamError
from cam.pictures.reading import read_picture, write_picture

pytest.importorskip("pyarrow")
distributed = pytest.importorskip("distributed")
dask = pytest.importorskip("dask")

pytestmark = pytest.mark.slow

load = partial(cam.load, "efficientnet-lite0", engine="openvino", threads=1)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Return a cluster of two processes."""
    local = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    )
    with local:
        yield local


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, coffee: Path) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    photograph = read_picture(coffee)
    for number in range(60):
        write_picture(folder / f"{number:02d}.jpg", np.roll(photograph, 10 * number, axis=1))
    (folder / "33.jpg").write_bytes(b"")
    return folder


def content(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


class KillAt:
    """Kills a worker when so many pictures are done."""

    def __init__(self, cluster: Any, pictures: int) -> None:
        self.cluster = cluster
        self.pictures = pictures
        self.done: list[int] = []

    def begin(self, done: int, total: int) -> None:
        assert done == 0

    def advance(self, pictures: int) -> None:
        self.done.append(pictures)
        if sum(self.done) == self.pictures:
            os.kill(self.cluster.workers[0].pid, signal.SIGKILL)


def test_a_killed_worker_loses_nothing_and_doubles_nothing(
    cluster: Any, pictures: Path, tmp_path: Path
) -> None:
    options = BatchOptions(piece_size=3)
    run_batch(load(), [pictures], tmp_path / "here", options)
    progress = KillAt(cluster, 15)
    runner = DaskRunner(cluster.scheduler_address, load)
    run_batch(load(), [pictures], tmp_path / "there", options, progress=progress, runner=runner)
    assert progress.done == [3] * 20
    assert content(tmp_path / "there") == content(tmp_path / "here")


def test_a_worker_with_another_network_is_refused(
    cluster: Any, pictures: Path, models: Path, tmp_path: Path
) -> None:
    other = partial(
        cam.load_files,
        models / "efficientnet-lite0.prototxt",
        models / "efficientnet-lite0.caffemodel",
        name="other",
        engine="openvino",
    )
    runner = DaskRunner(cluster.scheduler_address, other)
    with pytest.raises(CamError, match=r"worker .* model is 'other', not 'efficientnet-lite0'"):
        run_batch(load(), [pictures], tmp_path, runner=runner)


def test_a_scheduler_that_is_not_there_is_said(pictures: Path, tmp_path: Path) -> None:
    runner = DaskRunner("tcp://127.0.0.1:9", load)
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(CamError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"),
    ):
        run_batch(load(), [pictures], tmp_path, runner=runner)
