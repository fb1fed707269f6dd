"""What a faster way to compute costs and saves: time, classes and heat maps beside the plain way's.

    python -m benchmarks.precision PICTURES... -m efficientnet-lite0 -m googlenet
    python -m benchmarks.precision PICTURES... --way winograd --style matlab -m googlenet

Each picture goes through the network in both ways, one thread, one after the other, so that what
disturbs the machine disturbs both. The plain way is single precision without Winograd's algorithm.
Random weights are taken where a model's own are missing. Prints a table in Markdown.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from time import process_time

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.command import run_command
from benchmarks.machine import machine_line
from benchmarks.networks import open_network
from cam import zoo
from cam.caffe.loaded import LoadedNetwork
from cam.cli.declaring import argument, as_command, choice, option
from cam.cli.options import OwnNetworkOptions
from cam.cli.progress import progress_bar
from cam.engines.protocol import BFLOAT16, FLOAT32
from cam.engines.winograd import ENVIRONMENT_VARIABLE
from cam.explain.model import CamModel, open_model
from cam.explain.styles import STYLES, Style, get_style
from cam.fidelity import measure
from cam.pictures.lists import find_pictures
from cam.pictures.reading import Picture

WAYS = {"bfloat16": (BFLOAT16, "off"), "winograd": (FLOAT32, "on")}
"""Precision, and what `CAM_WINOGRAD` is set to."""

PLAIN = (FLOAT32, "off")
TOP = 5
CLOSE = 0.01
"""Activations within this share of the picture's largest one count as close."""


@dataclass(frozen=True)
class PrecisionRequest(OwnNetworkOptions):
    """Which pictures, through which networks."""

    images: tuple[str, ...] = argument("PICTURE...")
    models: tuple[str, ...] = option(
        "A model of the table; may be repeated.", "-m", "--model", default=()
    )
    way: str = choice("The faster way.", list(WAYS))
    style: str = choice("How pictures become the network's input.", STYLES)


@dataclass(frozen=True)
class Apart:
    """How one picture's result in the faster way differs from that in the plain way.

    Attributes
    ----------
    seconds : tuple of float
        Processor time of the forward in the plain way, and in the faster one.
    activations : float
        Largest difference of an activation, as a share of the largest activation.
    close : float
        The share of the activations that are within `CLOSE`.
    top1, top5, order : bool
        Whether the best class is the same, whether the five best are, and also in their order.
    levels : numpy.ndarray
        How many pixels of the five heat maps are so many grey levels apart, (256,).
    """

    seconds: tuple[float, float]
    activations: float
    close: float
    top1: bool
    top5: bool
    order: bool
    levels: NDArray[np.intp]


def compare(models: Sequence[CamModel], picture: Picture, style: Style) -> Apart:
    """Explain a picture in both ways."""
    prepared = models[0].network_input(picture, style)
    outputs, seconds = [], []
    for model in models:
        begun = process_time()
        outputs.append(model.engine.forward(prepared.batch))
        seconds.append(process_time() - begun)
    exact, rounded = (
        model.explain_output(prepared, output, style, TOP)
        for model, output in zip(models, outputs, strict=True)
    )
    first, second = (output.activations for output in outputs)
    levels = rounded.of_classes(exact.indices.tolist()).levels
    steps = np.abs(levels.astype(np.int16) - exact.levels)
    return Apart(
        seconds=(seconds[0], seconds[1]),
        activations=measure(first, second).relative,
        close=float((np.abs(first - second) <= CLOSE * np.abs(first).max()).mean()),
        top1=bool(exact.indices[0] == rounded.indices[0]),
        top5=set(exact.indices) == set(rounded.indices),
        order=bool((exact.indices == rounded.indices).all()),
        levels=np.bincount(steps.ravel(), minlength=256),
    )


def row(title: str, found: Sequence[Apart]) -> str:
    """Return a line of the table."""
    ratios = [apart.seconds[1] / apart.seconds[0] for apart in found]
    first, middle, third = np.quantile(ratios, [0.25, 0.5, 0.75])
    largest = [apart.activations for apart in found]
    within = np.cumsum(np.sum([apart.levels for apart in found], axis=0))
    share = within / within[-1]
    cells = (
        title,
        f"{middle:.3f} [{first:.3f}, {third:.3f}]",
        f"{100 * np.median(largest):.2g} % ({100 * max(largest):.2g} %)",
        f"{100 * np.mean([apart.close for apart in found]):.2f} %",
        *(str(sum(getattr(apart, same) for apart in found)) for same in ("top1", "top5", "order")),
        f"{100 * share[1]:.1f}, {100 * share[4]:.1f} %",
        str(int(np.searchsorted(share, 0.999))),
        str(int(np.argmax(within == within[-1]))),
    )
    return f"| {' | '.join(cells)} |"


HEADER = (
    "| network | time of the plain way's | largest difference of an activation | within 1 % "
    "| same class | same five | same order | pixels within 1, 4 levels | 99.9 % within | all |\n"
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)


@as_command
def precision(request: PrecisionRequest) -> None:
    """Measure a faster way to compute beside the plain one; the module says how."""
    style = get_style(request.style)
    entries = list(find_pictures(request.images))
    click.echo(f"{machine_line()}; {len(entries)} pictures, one thread")
    click.echo(f"{request.way}, style {style.name}\n\n{HEADER}")
    with ExitStack() as stack:
        for title, network in networks(request, stack):
            models = [open_way(network, way) for way in (PLAIN, WAYS[request.way])]
            for model in models:
                model.warm_up(style)
            found = []
            with progress_bar("pictures", len(entries)) as bar:
                for entry in entries:
                    found.append(compare(models, entry.read(), style))
                    bar.advance(1)
            click.echo(row(title, found))


def open_way(network: LoadedNetwork, way: tuple[str, str]) -> CamModel:
    """Open a network on one thread, to be computed in one of the ways."""
    chosen, os.environ[ENVIRONMENT_VARIABLE] = way
    return open_model(network, "openvino", 1, precision=chosen)


def networks(request: PrecisionRequest, stack: ExitStack) -> Iterator[tuple[str, LoadedNetwork]]:
    """Yield the networks and how the table names them."""
    own = request.load_own()
    if own is not None:
        yield own.name, own
    for name in request.models or (() if own is not None else (zoo.EMBEDDED,)):
        files = stack.enter_context(open_network(name))
        yield f"{name}{', random weights' if files.is_random else ''}", files.loaded


if __name__ == "__main__":
    run_command(precision)
