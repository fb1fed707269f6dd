"""Train a network with Caffe."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from rich import progress
from rich.console import Console

from cam.cli import exit_codes
from cam.cli.declaring import Count, as_command, option
from cam.cli.options import JsonOption
from cam.cli.progress import bar_console
from cam.errors import CamError
from cam.training import HistoryEntry, TrainingProgress
from cam.training import train as train_job
from cam.training.solver import read_job


@dataclass(frozen=True)
class TrainRequest(JsonOption):
    """What to train, from where on, and on what."""

    solver: Path = option("The solver, a prototxt.", required=True)
    weights: Path | None = option("A caffemodel to begin from.")
    snapshot: Path | None = option("A solverstate to go on from.")
    freeze: bool = option(
        "Train the last conv and the class layer only (CAM_conv and CAM_fc in the paper's "
        "networks), and leave the rest as --weights has it."
    )
    engine: str | None = option(
        "caffe:cpu or caffe:gpu:N. Default: caffe, on the device that the solver names."
    )
    device: str | None = option("The old name of --engine.", hidden=True)
    threads: Count | None = option("Threads for the network on the CPU.")
    max_iter: Count | None = option("Iterations, if not as in the solver.")
    history: Path | None = option(
        "Where losses and tests are recorded, .json or .csv. Default: PREFIX_history.json."
    )

    @property
    def chosen_engine(self) -> str:
        """The engine that is asked for; ``--device`` was the option of cam 0.1."""
        if self.device is None:
            return self.engine or "caffe"
        if self.engine is not None:
            raise CamError("--device is the old name of --engine; give --engine alone")
        click.echo(
            f"cam: --device {self.device} is deprecated; say --engine caffe:{self.device}", err=True
        )
        return f"caffe:{self.device}"


@as_command
def train(request: TrainRequest) -> int:
    """Train a network with Caffe, as caffe train does, with its files checked first.

    Paths in the solver and the network are relative to the working directory. An interrupt (Ctrl-C)
    or SIGTERM makes a snapshot and ends training, exit code 130; --snapshot goes on from there.
    """
    engine = request.chosen_engine
    job = read_job(request.solver)
    with _stop_signals() as should_stop, _progress_display() as report:
        trained = train_job(
            job,
            weights=request.weights,
            snapshot=request.snapshot,
            head_only=request.freeze,
            engine=engine,
            threads=request.threads,
            max_iter=request.max_iter,
            history=request.history,
            report=report,
            should_stop=should_stop,
        )
    line = f"{trained.iteration} iterations done: {trained.caffemodel}"
    if not trained.finished:
        again = f"cam train --solver {request.solver} --snapshot {trained.solverstate}"
        freeze = " --freeze" if request.freeze else ""
        line = f"stopped after {trained.iteration} iterations; go on with: {again}{freeze}"
    request.show(asdict(trained), [line])
    return exit_codes.SUCCESS if trained.finished else exit_codes.INTERRUPTED


@contextmanager
def _stop_signals() -> Iterator[Callable[[], bool]]:
    """Take the first interrupt as a wish to stop; the second one ends the program as usual."""
    requested = False

    def request(number: int, frame: Any) -> None:
        nonlocal requested
        requested = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        click.echo("stopping after this iteration; interrupt again to leave without", err=True)

    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: requested
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _progress_display() -> Iterator[Callable[[TrainingProgress], None]]:
    """Show a bar where standard error is a terminal, and a line for each entry of the history."""
    columns = (
        progress.TextColumn("iteration"),
        progress.MofNCompleteColumn(),
        progress.BarColumn(),
        progress.TextColumn("{task.description}"),
        progress.TextColumn("{task.fields[left]}"),
    )
    console = Console(stderr=True, highlight=False)
    bar_on = bar_console()
    with progress.Progress(*columns, console=bar_on) as bar:
        task = bar.add_task("", left="")

        def report(now: TrainingProgress) -> None:
            seconds, loss = now.seconds_left, _loss(now.loss)
            left = "" if seconds is None else f"{timedelta(seconds=round(seconds))} left"
            bar.update(task, completed=now.iteration, total=now.last, description=loss, left=left)
            if now.entry is not None:
                text = ", ".join(filter(None, [*_parts(now.entry), left]))
                # Through the bar, which it would else disturb, unless that is silent.
                (console if bar_on.quiet else bar_on).print(text, soft_wrap=True, highlight=False)

        yield report


def _parts(entry: HistoryEntry) -> Iterator[str]:
    yield f"iteration {entry.iteration}"
    yield _loss(entry.loss)
    yield f"rate {entry.rate:g}"
    yield from (f"test {name} {value:.4f}" for name, value in entry.test.items())


def _loss(loss: float | None) -> str:
    return "" if loss is None else f"loss {loss:.4f}"
