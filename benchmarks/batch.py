"""Measure what `cam batch` costs beside the network, and that its memory does not grow.

Prints, for pictures of ILSVRC's usual size, the rate of the engine alone in throughput mode, on
input that lies in memory ready for the network, and in turns with it the rate of a whole batch,
from JPEG files to the committed store. With --memory also the peak memory of `cam batch` for a list
and for one ten times as long.

A network whose weights are not here gets seeded random ones, which take the same time.
"""

from __future__ import annotations

import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import cv2
import numpy as np

from benchmarks.command import run_command
from benchmarks.machine import processor_name
from benchmarks.networks import MeasuredNetwork, open_network
from benchmarks.peak_memory import peak_memory
from benchmarks.workload import DEMO_PICTURE
from cam import zoo
from cam.batch import BatchOptions, run_batch
from cam.batch.pipeline import ahead
from cam.batch.rows import OUTPUTS
from cam.errors import CamError
from cam.explain.model import CamModel
from cam.explain.styles import get_style
from cam.pictures.reading import read_picture

PICTURE_SIZE = (500, 375)
JPEG_QUALITY = 95

_COUNT = click.IntRange(min=1)


@click.command(help=__doc__)
@click.argument("models", nargs=-1)
@click.option("--pictures", "count", type=_COUNT, default=500, show_default=True)
@click.option("--repeats", type=_COUNT, default=5, show_default=True)
@click.option("--style", default="pycaffe", show_default=True)
@click.option("--engine", default="openvino", show_default=True)
@click.option("--threads", type=_COUNT)
@click.option("--save", "kept", type=click.Choice(OUTPUTS), default="maps", show_default=True)
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder with JPEG files, which are taken instead of made ones.",
)
@click.option("--memory", is_flag=True, help="Measure peak memory, too.")
def many_pictures(
    models: tuple[str, ...],
    count: int,
    repeats: int,
    style: str,
    engine: str,
    threads: int | None,
    kept: str,
    source: Path | None,
    memory: bool,
) -> None:
    """Measure `cam batch`; its help is that of the module."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pictures = find_pictures(source or write_pictures(folder / "pictures", count), count)
        options = BatchOptions(style=style, outputs=(kept,))
        size = statistics.mean(path.stat().st_size for path in pictures)
        click.echo(
            f"{processor_name()}, {os.cpu_count()} processors; {count} JPEG files of "
            f"{'x'.join(map(str, PICTURE_SIZE)) if source is None else 'a folder'}, "
            f"{size / 1000:.0f} kB each; style {style}, {kept} kept"
        )
        for model in models or ("googlenet", zoo.EMBEDDED):
            with open_network(model) as files:
                compare_rates(files.load_model(engine, threads), pictures, folder, options, repeats)
                if memory:
                    arguments = ("--engine", engine, "--style", style, "--save", kept)
                    compare_memory(files, pictures, folder, arguments)


def find_pictures(folder: Path, count: int) -> list[Path]:
    """Return as many JPEG files of a folder, its files again and again where it has fewer."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    if not found:
        raise CamError(f"{folder}: no JPEG files")
    return list(itertools.islice(itertools.cycle(found), count))


def write_pictures(folder: Path, count: int) -> Path:
    """Write random parts of a photograph, each one different, into a new folder."""
    folder.mkdir()
    photograph = read_picture(DEMO_PICTURE)
    generator = np.random.default_rng(0)
    for number in range(count):
        rows, columns = generator.integers((150, 200), photograph.shape[:2])
        top = generator.integers(photograph.shape[0] - rows + 1)
        left = generator.integers(photograph.shape[1] - columns + 1)
        part = cv2.resize(photograph[top : top + rows, left : left + columns], PICTURE_SIZE)
        # Photographs have noise, which is most of what a JPEG decoder works on.
        noisy = np.clip(part + generator.normal(0, 6, part.shape), 0, 255).astype(np.uint8)
        path = folder / f"{number:05d}.jpg"
        cv2.imwrite(str(path), noisy, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return folder


@dataclass(frozen=True)
class Rate:
    """Pictures a second by the wall clock, and the processor time of each in milliseconds."""

    wall: float
    cpu_ms: float


def rate(work: Callable[[], None], pictures: int) -> Rate:
    """Time some work on pictures."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Rate(pictures / wall, 1e3 * cpu / pictures)


def compare_rates(
    model: CamModel, pictures: Sequence[Path], folder: Path, options: BatchOptions, repeats: int
) -> None:
    """Print the rates of the engine alone and of a whole batch, measured in turns."""
    # What is done once is done before.
    engine_rate(model, pictures[:20], options.style)
    batch_rate(model, pictures[:20], folder, options)
    alone, whole = [], []
    for _ in range(repeats):
        alone.append(engine_rate(model, pictures, options.style))
        whole.append(batch_rate(model, pictures, folder, options))
    pairs = list(zip(alone, whole, strict=True))
    in_flight = model.engine.requests_in_flight(1)
    click.echo(
        f"{model.name}: {model.engine.name}, {in_flight} requests in flight\n"
        f"  engine alone  {spread([a.wall for a in alone])} pictures/s\n"
        f"  cam batch     {spread([b.wall for b in whole])} pictures/s\n"
        f"  ratio         {spread([b.wall / a.wall for a, b in pairs], 3)}\n"
        f"  processor time per picture: engine {spread([a.cpu_ms for a in alone], 2)} ms\n"
        f"                           cam batch {spread([b.cpu_ms for b in whole], 2)} ms\n"
        f"                               ratio {spread([a.cpu_ms / b.cpu_ms for a, b in pairs], 3)}"
    )


def engine_rate(model: CamModel, pictures: Sequence[Path], style_name: str) -> Rate:
    """Run the engine alone on input that lies in memory."""
    style = get_style(style_name)
    some = [
        style.prepare(read_picture(path), model.crop_size, model.preprocessing).batch
        for path in pictures[:20]
    ]
    inputs = (some[number % len(some)] for number in range(len(pictures)))

    def work() -> None:
        for _ in ahead(model.engine.submit, inputs, model.engine.requests_in_flight(1)):
            pass

    return rate(work, len(pictures))


def batch_rate(
    model: CamModel, pictures: Sequence[Path], folder: Path, options: BatchOptions
) -> Rate:
    """Run a whole batch, from the files to the store."""
    listed = write_list(folder, pictures)
    with tempfile.TemporaryDirectory(dir=folder) as store:

        def work() -> None:
            run_batch(model, [listed], Path(store), options)

        return rate(work, len(pictures))


def compare_memory(
    files: MeasuredNetwork, pictures: Sequence[Path], folder: Path, options: Sequence[str]
) -> None:
    """Print the peak memory of `cam batch` for a list and for one ten times as long."""
    network = ["--prototxt", str(files.loaded.prototxt.absolute())]
    network += ["--weights", str(files.caffemodel.absolute())]
    peaks = []
    for times in (1, 10):
        listed = write_list(folder, [*pictures] * times)
        with tempfile.TemporaryDirectory(dir=folder) as store:
            command = [sys.executable, "-m", "cam", "batch", str(listed), "-o", store]
            peaks.append(peak_memory([*command, *network, *options]))
        click.echo(f"  peak memory for {times * len(pictures)} pictures: {peaks[-1]:.1f} MB")
    click.echo(f"  ratio {peaks[1] / peaks[0]:.3f}")


def write_list(folder: Path, pictures: Sequence[Path]) -> Path:
    """Write a list of pictures for `cam batch`."""
    listed = folder / "list.txt"
    listed.write_text("".join(f"{path}\n" for path in pictures), encoding="utf-8")
    return listed


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Write the median, and the lowest and the highest in brackets."""
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


if __name__ == "__main__":
    run_command(many_pictures)
