"""What the child process of MATLAB files of version 7.3 costs `cam compare`: timed in turns.

    python benchmarks/mat_files.py

Two files of random features of ten crops, of the size that the original's have, in version 7 and in
version 7.3; a turn is one comparison of each.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from benchmarks.timing import quartiles
from cam.matlab import write_mat

TURNS = 15


def write_pair(folder: Path, version: str, generator: np.random.Generator) -> list[str]:
    """Write two files of features; return their paths."""
    paths = [folder / f"{name}-{version}.mat" for name in "ab"]
    for path in paths:
        features = {
            "activation_lastconv": generator.random((14, 14, 1024, 10), dtype=np.float32),
            "scores": generator.random((1000, 10), dtype=np.float32),
        }
        if version == "7":
            write_mat(path, features)
        else:
            _write_hdf5(path, features)
    return list(map(str, paths))


def _write_hdf5(path: Path, variables: dict[str, Any]) -> None:
    with h5py.File(path, "w") as file:
        for name, value in variables.items():
            stored = file.create_dataset(name, data=value.T, compression="gzip")
            stored.attrs["MATLAB_class"] = np.bytes_(b"single")


def main() -> None:
    """Time the comparisons and print medians and quartiles."""
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        pairs = {version: write_pair(Path(name), version, generator) for version in ("7", "7.3")}
        seconds: dict[str, list[float]] = {version: [] for version in pairs}
        for _ in range(TURNS):
            for version, pair in pairs.items():
                begun = time.perf_counter()
                subprocess.run([sys.executable, "-m", "cam", "compare", *pair], capture_output=True)
                seconds[version].append(time.perf_counter() - begun)
    for version, measured in seconds.items():
        print(f"version {version}: {quartiles(measured)}")


if __name__ == "__main__":
    main()
