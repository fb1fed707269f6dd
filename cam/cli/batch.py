"""`cam batch` and `cam store`: many pictures into a store, and what a store holds."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cam.cli.options import load_model, model_options, note_embedded, style_options
from cam.cli.progress import bar_console
from cam.errors import CamError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from cam.batch.store import Summary

EXIT_SOME_FAILED = 3
FAILURES_SHOWN = 100


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="STORE",
    help="Folder for the results; an interrupted batch goes on if it is named again.",
)
@model_options
@style_options
@click.option(
    "--save",
    "outputs",
    multiple=True,
    type=click.Choice(["maps", "scores", "boxes", "heat-maps", "nothing"]),
    default=["maps"],
    show_default=True,
    help="What to keep of each picture beside its top classes; may be given several times.",
)
@click.option(
    "--precision",
    type=click.Choice(["float16", "float32"]),
    default="float16",
    show_default=True,
    help="Of raw maps and scores.",
)
@click.option(
    "--heat-format",
    type=click.Choice(["png", "jpg"]),
    default="png",
    show_default=True,
    help="Of the grey heat maps of 256x256 pixels.",
)
@click.option(
    "--rule",
    "box_rule",
    type=click.Choice(["original", "paper"]),
    default="original",
    show_default=True,
    help="Of --save boxes. original: the released box generator, several boxes; paper: one box "
    "around the largest part above a fraction of the maximum.",
)
@click.option(
    "--layout",
    type=click.Choice(["store", "ilsvrc"]),
    default="store",
    show_default=True,
    help="ilsvrc: also the folder of the original's ILSVRC heat maps, in STORE/ilsvrc.",
)
@click.option(
    "--root",
    type=click.Path(path_type=Path),
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
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def batch(
    inputs: tuple[str, ...],
    output: Path,
    outputs: tuple[str, ...],
    root: Path | None,
    workers: int | None,
    scheduler: str | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Make the class activation maps of many pictures.

    An INPUT is a folder, a glob pattern, a list file (.txt: a path a line, or Caffe's path and
    class number), a table (.csv with the columns path and label), a .tar file or a picture.
    """
    from cam.batch import BatchOptions, run_batch, run_pieces
    from cam.batch.store import failures

    if "nothing" in outputs:
        if len(outputs) > 1:
            raise CamError("--save nothing stands alone")
        outputs = ()
    names = BatchOptions.__dataclass_fields__
    chosen = {name: options.pop(name) for name in list(options) if name in names}
    load = partial(load_model, **options)
    model = load()
    runner: Any = run_pieces
    if scheduler is not None:
        from cam.batch.cluster import DaskRunner

        runner = DaskRunner(scheduler, load, _say_workers)
    begun = time.perf_counter()
    with _bar() as bar:
        summary = run_batch(
            model,
            inputs,
            output,
            BatchOptions(outputs=outputs, **chosen),
            root=root,
            workers=workers,
            progress=bar,
            runner=runner,
        )
    seconds = time.perf_counter() - begun
    if as_json:
        run = {"pictures_in_this_run": bar.pictures, "seconds": seconds}
        click.echo(json.dumps({**asdict(summary), **run}))
    else:
        rate = f", {bar.pictures / seconds:.1f} a second" if bar.pictures else ""
        _print_summary(output, summary)
        click.echo(f"{bar.pictures} of them in this run, {seconds:.1f} s{rate}")
    note_embedded(model)
    for name, reason in islice(failures(output), FAILURES_SHOWN):
        click.echo(f"cam: {name}: {reason}", err=True)
    if summary.failed > FAILURES_SHOWN:
        more = summary.failed - FAILURES_SHOWN
        click.echo(f"cam: and {more} more, all in {output / 'failed.csv'}", err=True)
    return EXIT_SOME_FAILED if summary.failed else 0


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="STORE")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def store(folder: Path, as_json: bool) -> None:
    """Say what a store of `cam batch` holds, and read all of it to see that it is sound."""
    from cam.batch.store import check_store, read_record, summarize

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

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task
        self.pictures = 0

    def begin(self, done: int, total: int) -> None:
        self._progress.reset(self._task, total=total, completed=done)

    def advance(self, pictures: int) -> None:
        self.pictures += pictures
        self._progress.advance(self._task, pictures)


@contextmanager
def _bar() -> Iterator[_PictureBar]:
    """Show a bar with rate and time left on standard error, if that is a terminal."""
    from rich import progress
    from rich.text import Text

    class Rate(progress.ProgressColumn):
        def render(self, task: progress.Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:.1f} pictures/s")

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        Rate(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=bar_console()) as shown:
        yield _PictureBar(shown, shown.add_task("pictures", total=None))
