"""Measure networks with and without Winograd's algorithm, in turns on one thread.

    python -m benchmarks.winograd googlenet:10 googlenet:1 vgg16:1

Each network has the number of its inputs behind it. Random weights are taken where the model's own
are missing. Prints a table in Markdown: processor time, medians with the quartiles in brackets.
"""

from __future__ import annotations

import os
import time

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.command import run_command
from benchmarks.networks import open_network
from benchmarks.timing import quartiles
from cam.engines import Engine, open_engine
from cam.engines.winograd import ENVIRONMENT_VARIABLE

_HEAD = "| network | inputs | direct, ms | in tiles, ms | ratio | difference |"


@click.command(help=__doc__)
@click.argument("cases", nargs=-1, required=True, metavar="NAME:COUNT...")
@click.option("--rounds", type=click.IntRange(min=1), default=15, show_default=True)
def with_and_without(cases: tuple[str, ...], rounds: int) -> None:
    """Measure; its help is that of the module."""
    click.echo(f"{_HEAD}\n| --- | ---: | ---: | ---: | ---: | ---: |")
    for case in cases:
        name, _, count = case.partition(":")
        click.echo(_row(name, int(count or 1), rounds))


def _row(name: str, count: int, rounds: int) -> str:
    with open_network(name) as files:
        shape = (count, *files.loaded.network.input_shape[1:])
        batch = np.random.default_rng(0).normal(0, 50, shape).astype(np.float32)
        engines = []
        for setting in ("off", "on"):
            os.environ[ENVIRONMENT_VARIABLE] = setting
            engines.append(open_engine("openvino", files.loaded, 1))
        direct, tiled = (engine.forward(batch).activations for engine in engines)
        times = np.array([[_milliseconds(one, batch) for one in engines] for _ in range(rounds)])
    difference = abs(tiled - direct).max() / abs(direct).max()
    columns = (times[:, 0], times[:, 1])
    cells = [_cell(values, 1) for values in columns] + [_cell(columns[1] / columns[0], 3)]
    return f"| `{name}` | {count} | {' | '.join(cells)} | {difference:.1e} |"


def _milliseconds(engine: Engine, batch: NDArray[np.float32]) -> float:
    start = time.process_time()
    engine.forward(batch)
    return (time.process_time() - start) * 1e3


def _cell(values: NDArray[np.float64], digits: int) -> str:
    found = quartiles(values)
    return "{median:.{0}f} [{q1:.{0}f}, {q3:.{0}f}]".format(digits, **found)


if __name__ == "__main__":
    run_command(with_and_without)
