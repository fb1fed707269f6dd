"""`cam train`: a network trained with Caffe."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cam.cli.progress import bar_console

if TYPE_CHECKING:
    from cam.training import Progress, Record, Trained

_PATH = click.Path(path_type=Path)

EXIT_INTERRUPTED = 130


@click.command()
@click.option("--solver", type=_PATH, required=True, help="The solver, a prototxt.")
@click.option("--weights", type=_PATH, help="A caffemodel to begin from.")
@click.option("--snapshot", type=_PATH, help="A solverstate to go on from.")
@click.option(
    "--freeze",
    is_flag=True,
    help="Train the last conv and the class layer only (CAM_conv and CAM_fc in the paper's "
    "networks), and leave the rest as --weights has it.",
)
@click.option("--device", help="cpu or gpu:N. Default: as the solver's solver_mode says.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads for the network on the CPU.")
@click.option("--max-iter", type=click.IntRange(min=1), help="Iterations, if not as in the solver.")
@click.option(
    "--history",
    type=_PATH,
    help="Where losses and tests are recorded, .json or .csv. Default: PREFIX_history.json.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def train(
    solver: Path,
    weights: Path | None,
    snapshot: Path | None,
    freeze: bool,
    device: str | None,
    threads: int | None,
    max_iter: int | None,
    history: Path | None,
    as_json: bool,
) -> None:
    """Train a network with Caffe, as caffe train does, with its files checked first.

    Paths in the solver and the network are relative to the working directory. An interrupt (Ctrl-C)
    or SIGTERM makes a snapshot and ends training, exit code 130; --snapshot goes on from there.
    """
    from cam.training import train as run
    from cam.training.solver import read_job

    job = read_job(solver)
    with _stop_signals() as stop_requested, _progress_display() as report:
        trained = run(
            job,
            weights=weights,
            snapshot=snapshot,
            head_only=freeze,
            device=device,
            threads=threads,
            max_iter=max_iter,
            history=history,
            report=report,
            should_stop=stop_requested,
        )
    if as_json:
        click.echo(json.dumps(_as_dict(trained), indent=2))
    elif trained.finished:
        click.echo(f"{trained.iteration} iterations done: {trained.caffemodel}")
    else:
        again = f"cam train --solver {solver} --snapshot {trained.solverstate}"
        click.echo(
            f"stopped after {trained.iteration} iterations; go on with: {again}"
            + (" --freeze" if freeze else "")
        )
    if not trained.finished:
        raise SystemExit(EXIT_INTERRUPTED)


def _as_dict(trained: Trained) -> dict[str, Any]:
    return {
        "iteration": trained.iteration,
        "finished": trained.finished,
        "caffemodel": str(trained.caffemodel),
        "solverstate": str(trained.solverstate),
        "history": [{**vars(record), "test": dict(record.test)} for record in trained.history],
    }


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
def _progress_display() -> Iterator[Callable[[Progress], None]]:
    """Show a bar where standard error is a terminal, and a line for each record."""
    from rich import progress
    from rich.console import Console

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

        def report(now: Progress) -> None:
            loss = "" if now.loss is None else f"loss {now.loss:.4f}"
            left = "" if now.seconds_left is None else f"{_duration(now.seconds_left)} left"
            bar.update(task, completed=now.iteration, total=now.last, description=loss, left=left)
            if now.record is not None:
                text = f"{_record_line(now.record)}{', ' if left else ''}{left}"
                # Through the bar, which it would else disturb, unless that is silent.
                (console if bar_on.quiet else bar_on).print(text, soft_wrap=True, highlight=False)

        yield report


def _record_line(record: Record) -> str:
    parts = [f"iteration {record.iteration}"]
    if record.loss is not None:
        parts.append(f"loss {record.loss:.4f}")
    parts.append(f"rate {record.rate:g}")
    parts += [f"test {name} {value:.4f}" for name, value in record.test.items()]
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
