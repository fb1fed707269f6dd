"""MATLAB files, sound and damaged, read by the project and by GNU Octave."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from cam.errors import CamError
from cam.matlab import read_mat
from fuzzing import campaign, workers
from fuzzing.octave import PROGRAM, is_numbers, numbers_by_octave

DAMAGED = 60

pytestmark = pytest.mark.skipif(
    shutil.which(PROGRAM) is None, reason=f"GNU Octave ({PROGRAM}) is not installed"
)


@pytest.mark.parametrize("target", ["mat5", "mat7"])
def test_numbers_that_octave_reads_too_are_the_same(target: str, tmp_path: Path) -> None:
    material = campaign.materials([target])[target]
    make = workers.job_of(target, *material).make
    files = []
    for number, data in enumerate([*material.seeds, *map(make, range(DAMAGED))]):
        files.append(tmp_path / f"{number}.mat")
        files[-1].write_bytes(data)
    compared = 0
    for file, theirs in zip(files, numbers_by_octave(files), strict=True):
        try:
            ours = read_mat(file)
        except CamError:
            continue
        for name in theirs.keys() & {name for name, value in ours.items() if is_numbers(value)}:
            np.testing.assert_array_equal(ours[name], theirs[name], strict=False)
            assert np.shape(ours[name]) == theirs[name].shape
            compared += 1
    assert compared > 20
