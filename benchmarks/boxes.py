"""The original's boxes of a folder of ILSVRC heat maps, timed in one or more checkouts in turns.

    python benchmarks/boxes.py heatMap-ILSVRCvalSet-googlenet . ../other-checkout

Each checkout has a process of its own with one thread. A turn is the boxes of all classes of one
picture in each of them, one after the other, so that what disturbs the machine disturbs all.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np

_WORKER = """
import sys, time
import cv2
from cam.localization.boxes import original_boxes
cv2.setNumThreads(1)
for line in sys.stdin:
    heatmaps = [cv2.imread(path, cv2.IMREAD_GRAYSCALE) for path in line.rstrip().split("|")]
    start = time.process_time()
    for heatmap in heatmaps:
        original_boxes(heatmap)
    print(time.process_time() - start, flush=True)
"""


def turns(folder: Path, checkouts: list[Path], rounds: int) -> np.ndarray:
    """Return seconds of processor time, shape (rounds, pictures, checkouts)."""
    names = sorted(path.name for path in (folder / "top1").glob("*.jpg"))
    lines = ["|".join(map(str, sorted(folder.glob(f"top*/{name}")))) for name in names]
    with ExitStack() as stack:
        workers = [stack.enter_context(_worker(checkout)) for checkout in checkouts]
        return np.array(
            [[[_ask(worker, line) for worker in workers] for line in lines] for _ in range(rounds)]
        )


def _worker(checkout: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": ""},
    )


def _ask(worker: subprocess.Popen[str], line: str) -> float:
    assert worker.stdin is not None
    assert worker.stdout is not None
    print(line, file=worker.stdin, flush=True)
    return float(worker.stdout.readline())


def main() -> None:
    """Print the medians over the pictures and the ratios to the last checkout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="top1/NAME.jpg to top5/NAME.jpg")
    parser.add_argument("checkouts", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    seconds = turns(arguments.folder.resolve(), arguments.checkouts, arguments.rounds)
    by_round = np.median(seconds, axis=1)
    for index, checkout in enumerate(arguments.checkouts):
        times = 1e3 * by_round[:, index]
        ratios = np.median(seconds[..., index] / seconds[..., -1], axis=1)
        print(
            f"{checkout}: {np.median(times):.1f} ms a picture ({times.min():.1f} to "
            f"{times.max():.1f}); of the last one's time {np.median(ratios):.3f} "
            f"({ratios.min():.3f} to {ratios.max():.3f})"
        )


if __name__ == "__main__":
    main()
