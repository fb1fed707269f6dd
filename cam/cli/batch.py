"""`cam batch` and `cam store`: many pictures into a store, and what a store holds."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import click
from rich import progress
from rich.text import Text

from cam.batch import BatchOptions, run_batch, run_pieces
from cam.batch.pipeline import HEAT_FORMATS, LAYOUTS, OUTPUTS, PRECISIONS
from cam.batch.store import Summary, check_store, failures, read_record, summarize
from cam.cli import exit_codes
from cam.cli.options import (
    PATH,
    ChosenNetwork,
    json_option,
    network_options,
    output_option,
    show_note,
    style_options,
)
from cam.cli.progress import bar_console
from cam.errors import CamError
from cam.explain.styles import Style
from cam.localization.boxes import RULES
from cam.pictures.lists import find_pictures

NOTHING = "nothing"
FAILURES_SHOWN = 100


@dataclass(frozen=True)
class _Request:
    """What a batch is run with, beside what changes its results."""

    network: ChosenNetwork
    root: Path | None
    workers: int | None
    scheduler: str | None


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@output_option(
    None,
    "Folder for the results, a store; an interrupted batch goes on if it is named again.",
    required=True,
    metavar="STORE",
)
@network_options
@click.option("--top", type=int, default=5, show_default=True, help="How many top classes.")
@style_options
@click.option(
    "--save",
    "outputs",
    multiple=True,
    type=click.Choice([*OUTPUTS, NOTHING]),
    default=["maps"],
    show_default=True,
    help="What to keep of each picture beside its top classes; may be given several times.",
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="float16",
    show_default=True,
    help="Of raw maps and scores.",
)
@click.option(
    "--heat-format",
    type=click.Choice(HEAT_FORMATS),
    default="png",
    show_default=True,
    help="Of the grey heat maps of 256x256 pixels.",
)
@click.option(
    "--rule",
    "box_rule",
    type=click.Choice(RULES),
    default=RULES[0],
    show_default=True,
    help="Of --save boxes. original: the released box generator, several boxes; paper: one box "
    "around the largest part above a fraction of the maximum.",
)
@click.option(
    "--layout",
    type=click.Choice(LAYOUTS),
    default="store",
    show_default=True,
    help="ilsvrc: also the folder of the original's ILSVRC heat maps, in STORE/ilsvrc.",
)
@click.option(
    "--root",
    type=PATH,
    help="Where relative paths of lists and tables start; each list's own folder if not given.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    help="Pictures in one call of the network. Default: what suits the engine.",
)
@click.option(
    "--piece-size",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    help="Pictures that are committed together.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Threads that read pictures and make maps. Default: one for each processor.",
)
@click.option(
    "--scheduler", help="Run on a Dask cluster: its scheduler's address, tcp://HOST:8786."
)
@json_option
def batch(
    inputs: tuple[str, ...],
    output: Path,
    style: Style,
    outputs: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> int:
    """Make the class activation maps of many pictures.

    An INPUT is a folder, a glob pattern, a list file (.txt: a path a line, or Caffe's path and
    class number), a table (.csv with the columns path and label), a .tar file or a picture.
    """
    if NOTHING in outputs and len(outputs) > 1:
        raise CamError("--save nothing stands alone")
    request = _Request(**{name: options.pop(name) for name in _Request.__dataclass_fields__})
    chosen = BatchOptions(
        style=style.name,
        placement=style.record.get("placement", "stretch"),
        outputs=() if NOTHING in outputs else outputs,
        **options,
    )
    # What is named is looked for before the network is loaded.
    next(find_pictures(inputs, root=request.root))
    begun = time.perf_counter()
    summary, pictures = _run(inputs, output, chosen, request)
    seconds = time.perf_counter() - begun
    if as_json:
        run = {"pictures_in_this_run": pictures, "seconds": seconds}
        click.echo(json.dumps({**asdict(summary), **run}))
    else:
        rate = f", {pictures / seconds:.1f} a second" if pictures else ""
        _print_summary(output, summary)
        click.echo(f"{pictures} of them in this run, {seconds:.1f} s{rate}")
    _print_failures(output, summary)
    return exit_codes.SOME_FAILED if summary.failed else exit_codes.SUCCESS


def _run(
    inputs: tuple[str, ...], output: Path, chosen: BatchOptions, request: _Request
) -> tuple[Summary, int]:
    """Return what the store holds, and how many pictures this run has done."""
    model = request.network.open()
    show_note(model.network)
    runner: Any = run_pieces
    if request.scheduler is not None:
        from cam.batch.cluster import DaskRunner

        runner = DaskRunner(request.scheduler, request.network.open, _say_workers)
    with _bar() as bar:
        summary = run_batch(
            model,
            inputs,
            output,
            chosen,
            root=request.root,
            workers=request.workers,
            progress=bar,
            runner=runner,
        )
    return summary, bar.pictures


def _print_failures(output: Path, summary: Summary) -> None:
    for name, reason in islice(failures(output), FAILURES_SHOWN):
        click.echo(f"cam: {name}: {reason}", err=True)
    if summary.failed > FAILURES_SHOWN:
        more = summary.failed - FAILURES_SHOWN
        click.echo(f"cam: and {more} more, all in {output / 'failed.csv'}", err=True)


@click.command()
@click.argument("folder", type=PATH, metavar="STORE")
@json_option
def store(folder: Path, as_json: bool) -> None:
    """Say what a store of `cam batch` holds, and read all of it to see that it is sound."""
    problems = check_store(folder)
    if problems:
        raise CamError(
            f"{'; '.join(problems)}: remove these files and run the batch again, which makes them "
            "anew"
        )
    record, summary = read_record(folder), summarize(folder)
    if as_json:
        click.echo(json.dumps({"record": record, "summary": asdict(summary)}, indent=2))
        return
    model, options = record["model"], record["options"]
    click.echo(f"{model['model']} ({model['caffemodel']}, SHA-256 {model['caffemodel_sha256']})")
    click.echo(f"{model['engine']} on {model['device']}, style {options['style']}")
    click.echo(f"kept: {', '.join(['top classes', *options['outputs']])}")
    _print_summary(folder, summary)
    if summary.missing:
        click.echo("not finished: run the same batch again, which goes on from there")


def _print_summary(folder: Path, summary: Summary) -> None:
    counts = f"{summary.explained} of {summary.pictures} pictures done"
    if summary.failed:
        counts += f", {summary.failed} could not be read"
    click.echo(f"{folder}: {counts}")
    if summary.labelled:
        accuracies = ", ".join(
            f"top-{count} accuracy {share:.2%}" for count, share in summary.top_accuracy.items()
        )
        click.echo(f"{accuracies} of {summary.labelled} pictures with labels")


def _say_workers(count: int) -> None:
    click.echo(f"workers: {count or 'none yet, waiting'}", err=True)


class _PictureBar:
    """Shows how far a batch is; counts the pictures of this run."""

    def __init__(self, shown: progress.Progress) -> None:
        self._shown = shown
        self._task = shown.add_task("pictures", total=None)
        self.pictures = 0

    def begin(self, done: int, total: int) -> None:
        self._shown.reset(self._task, total=total, completed=done)

    def advance(self, pictures: int) -> None:
        self.pictures += pictures
        self._shown.advance(self._task, pictures)


class _Rate(progress.ProgressColumn):
    def render(self, task: progress.Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} pictures/s")


@contextmanager
def _bar() -> Iterator[_PictureBar]:
    """Show a bar with rate and time left on standard error, if that is a terminal."""
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        _Rate(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=bar_console()) as shown:
        yield _PictureBar(shown)
