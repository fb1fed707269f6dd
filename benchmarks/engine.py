"""Measure how many inputs a second an engine runs, for several batch sizes in turns.

    python -m benchmarks.engine --engine caffe:gpu:0 1 10 64

Random weights are taken where the model's own are missing. Prints a table in Markdown: medians,
with the lowest and the highest in brackets.
"""

from __future__ import annotations

from time import perf_counter

import click
import numpy as np

from benchmarks.command import run_command
from benchmarks.networks import open_network
from cam.engines import Engine, open_engine

_COUNT = click.IntRange(min=1)


def seconds(engine: Engine, batch: np.ndarray) -> float:
    """Return how long one forward pass takes."""
    start = perf_counter()
    engine.forward(batch)
    return perf_counter() - start


@click.command(help=__doc__)
@click.argument("batch_sizes", type=_COUNT, nargs=-1, required=True)
@click.option("--model", "-m", default="googlenet", show_default=True)
@click.option("--engine", "choice", default="auto", show_default=True)
@click.option("--threads", type=_COUNT)
@click.option("--rounds", type=_COUNT, default=10, show_default=True)
def engine_alone(
    batch_sizes: tuple[int, ...], model: str, choice: str, threads: int | None, rounds: int
) -> None:
    """Measure an engine; its help is that of the module."""
    generator = np.random.default_rng(0)
    with open_network(model) as files:
        shape = files.loaded.network.input_shape[1:]
        batches = [generator.normal(0, 50, (n, *shape)).astype(np.float32) for n in batch_sizes]
        engines = [open_engine(choice, files.loaded, threads) for _ in batches]
        pairs = list(zip(engines, batches, strict=True))
        for engine, batch in pairs:
            engine.forward(batch)
        times = np.array([[seconds(*pair) for pair in pairs] for _ in range(rounds)])
    click.echo(
        f"{model}, weights {files.weights_note}, {engines[0].name} on {engines[0].device}\n\n"
        "| batch | ms | inputs a second |\n| ---: | ---: | ---: |"
    )
    for size, column in zip(batch_sizes, times.T, strict=True):
        low, middle, high = column.min(), np.median(column), column.max()
        click.echo(
            f"| {size} | {middle * 1e3:.1f} ({low * 1e3:.1f} to {high * 1e3:.1f}) "
            f"| {size / middle:.1f} ({size / high:.1f} to {size / low:.1f}) |"
        )


if __name__ == "__main__":
    run_command(engine_alone)
