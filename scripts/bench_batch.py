#!/usr/bin/env python
"""Measure what `cam batch` costs beside the network, and that its memory does not grow.

Prints, for pictures of ILSVRC's usual size:
- the rate of the engine alone in throughput mode, on input that lies in memory ready for the
  network, and the rate of a whole batch from JPEG files to the committed store, in turns;
- with --memory, the peak memory of `cam batch` for a list and for one ten times as long.

A network whose weights are not here gets seeded random ones, which take the same time.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np

from cam import zoo
from cam.batch import BatchOptions, run_batch
from cam.batch.pipeline import ahead
from cam.caffe.loaded import LoadedNetwork
from cam.errors import MissingFileError
from cam.explain.model import CamModel, open_model
from cam.explain.styles import get_style
from cam.pictures.reading import read_picture

PHOTOGRAPH = Path(__file__).parents[1] / "cam" / "data" / "coffee.png"
PICTURE_SIZE = (500, 375)
JPEG_QUALITY = 95


def main() -> None:
    options = parse_arguments()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pictures = write_pictures(folder / "pictures", options.pictures)
        size = statistics.mean(path.stat().st_size for path in pictures)
        print(
            f"{platform.processor() or platform.machine()}, {os.cpu_count()} processors; "
            f"{len(pictures)} JPEG files of {PICTURE_SIZE[0]}x{PICTURE_SIZE[1]}, "
            f"{size / 1000:.0f} kB each; style {options.style}"
        )
        for name in options.models:
            network = network_of(name)
            model = open_model(network, options.engine, options.threads)
            compare_rates(model, pictures, folder, options.style, options.repeats)
            if options.memory:
                with network.weights_file() as caffemodel:
                    compare_memory(network.prototxt, caffemodel, pictures, folder, options)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=["googlenet", zoo.EMBEDDED])
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--style", default="pycaffe")
    parser.add_argument("--engine", default="openvino")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--memory", action="store_true", help="measure peak memory, too")
    return parser.parse_args()


def write_pictures(folder: Path, count: int) -> list[Path]:
    """Write random parts of a photograph, each one different."""
    folder.mkdir()
    photograph = read_picture(PHOTOGRAPH)
    generator = np.random.default_rng(0)
    paths = []
    for number in range(count):
        rows, columns = generator.integers((150, 200), photograph.shape[:2])
        top = generator.integers(photograph.shape[0] - rows + 1)
        left = generator.integers(photograph.shape[1] - columns + 1)
        part = cv2.resize(photograph[top : top + rows, left : left + columns], PICTURE_SIZE)
        # Photographs have noise, which is most of what a JPEG decoder works on.
        noisy = np.clip(part + generator.normal(0, 6, part.shape), 0, 255).astype(np.uint8)
        paths.append(folder / f"{number:05d}.jpg")
        cv2.imwrite(str(paths[-1]), noisy, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return paths


def network_of(name: str) -> LoadedNetwork:
    try:
        return zoo.load_network(name)
    except MissingFileError:
        return zoo.load_network(name, seed=0)


def compare_rates(
    model: CamModel, pictures: Sequence[Path], folder: Path, style: str, repeats: int
) -> None:
    rounds = []
    engine_rate(model, pictures[:20], style)
    batch_rate(model, pictures[:20], folder, style)
    for _ in range(repeats):
        rounds.append(
            (engine_rate(model, pictures, style), batch_rate(model, pictures, folder, style))
        )
    alone, whole = zip(*rounds, strict=True)
    in_flight = model.engine.requests_in_flight(1)
    print(f"{model.name}: {model.engine.name}, {in_flight} requests in flight")
    print(f"  engine alone  {spread([rate.wall for rate in alone])} pictures/s")
    print(f"  cam batch     {spread([rate.wall for rate in whole])} pictures/s")
    print(f"  ratio         {spread([b.wall / a.wall for a, b in rounds], 3)}")
    print(f"  processor time per picture: engine {spread([1e3 * a.cpu for a in alone], 2)} ms")
    print(f"                           cam batch {spread([1e3 * b.cpu for b in whole], 2)} ms")
    print(f"                               ratio {spread([a.cpu / b.cpu for a, b in rounds], 3)}")


class Rate:
    """Pictures a second, and the processor time of each in seconds."""

    def __init__(self, pictures: int) -> None:
        self._pictures = pictures
        self._begun = time.perf_counter(), time.process_time()

    def stop(self) -> Rate:
        self.wall = self._pictures / (time.perf_counter() - self._begun[0])
        self.cpu = (time.process_time() - self._begun[1]) / self._pictures
        return self


def engine_rate(model: CamModel, pictures: Sequence[Path], style_name: str) -> Rate:
    style = get_style(style_name)
    some = [
        style.prepare(read_picture(path), model.crop_size, model.preprocessing).batch
        for path in pictures[:20]
    ]
    inputs = (some[number % len(some)] for number in range(len(pictures)))
    rate = Rate(len(pictures))
    for _ in ahead(model.engine.submit, inputs, model.engine.requests_in_flight(1)):
        pass
    return rate.stop()


def batch_rate(model: CamModel, pictures: Sequence[Path], folder: Path, style: str) -> Rate:
    listed = folder / "list.txt"
    listed.write_text("".join(f"{path}\n" for path in pictures))
    with tempfile.TemporaryDirectory(dir=folder) as store:
        rate = Rate(len(pictures))
        run_batch(model, [listed], Path(store), BatchOptions(style=style))
        return rate.stop()


def compare_memory(
    prototxt: Path,
    caffemodel: Path,
    pictures: Sequence[Path],
    folder: Path,
    options: argparse.Namespace,
) -> None:
    peaks = []
    for times in (1, 10):
        listed = folder / "list.txt"
        listed.write_text("".join(f"{path}\n" for path in pictures) * times)
        with tempfile.TemporaryDirectory(dir=folder) as store:
            command = [sys.executable, "-m", "cam", "batch", str(listed), "-o", store]
            command += ["--prototxt", str(prototxt), "--weights", str(caffemodel)]
            command += ["--engine", options.engine, "--style", options.style]
            peaks.append(peak_memory(command))
            print(f"  peak memory for {times * len(pictures)} pictures: {peaks[-1]:.1f} MB")
    print(f"  ratio {peaks[1] / peaks[0]:.3f}")


def peak_memory(command: Sequence[str]) -> float:
    """Run a command and return the most memory that it had, in MB."""
    # Each command is a child of a process of its own, whose only child it is.
    code = (
        "import resource, subprocess, sys;"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code, *command], check=True, stdout=subprocess.PIPE, text=True
    )
    return int(shown.stdout) / 1000


def spread(values: Sequence[float], digits: int = 1) -> str:
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


if __name__ == "__main__":
    main()
