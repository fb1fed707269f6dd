"""Measure how many inputs a second an engine runs, for several batch sizes in turns.

    python scripts/bench_engine.py --engine caffe:gpu:0 1 10 64

Random weights are taken where the model's own are missing. Prints a table in Markdown: medians,
with the lowest and the highest in brackets.
"""

from __future__ import annotations

from time import perf_counter

import click
import numpy as np

from cam import zoo
from cam.engines import Engine, open_engine
from cam.errors import MissingFileError


def seconds(engine: Engine, batch: np.ndarray) -> float:
    """Return how long one forward pass takes."""
    start = perf_counter()
    engine.forward(batch)
    return perf_counter() - start


@click.command(help=__doc__)
@click.argument("batch_sizes", type=click.IntRange(min=1), nargs=-1, required=True)
@click.option("--model", default="googlenet", show_default=True)
@click.option("--engine", "choice", default="auto", show_default=True)
@click.option("--threads", type=click.IntRange(min=1))
@click.option("--rounds", type=click.IntRange(min=1), default=10, show_default=True)
def main(
    batch_sizes: tuple[int, ...], model: str, choice: str, threads: int | None, rounds: int
) -> None:
    try:
        network, weights_are = zoo.load_network(model), "its own weights"
    except MissingFileError:
        network, weights_are = zoo.load_network(model, seed=0), "random weights"
    generator = np.random.default_rng(0)
    shape = network.network.input_shape[1:]
    batches = [generator.normal(0, 50, (n, *shape)).astype(np.float32) for n in batch_sizes]
    engines = [open_engine(choice, network, threads) for _ in batches]
    for engine, batch in zip(engines, batches, strict=True):
        engine.forward(batch)
    times = np.array(
        [[seconds(e, b) for e, b in zip(engines, batches, strict=True)] for _ in range(rounds)]
    )
    click.echo(f"{model}, {weights_are}, {engines[0].name} on {engines[0].device}\n")
    click.echo("| batch | ms | inputs a second |\n| ---: | ---: | ---: |")
    for size, column in zip(batch_sizes, times.T, strict=True):
        low, middle, high = column.min(), np.median(column), column.max()
        click.echo(
            f"| {size} | {middle * 1e3:.1f} ({low * 1e3:.1f} to {high * 1e3:.1f}) "
            f"| {size / middle:.1f} ({size / high:.1f} to {size / low:.1f}) |"
        )


if __name__ == "__main__":
    main()
