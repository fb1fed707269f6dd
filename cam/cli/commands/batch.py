"""Make the class activation maps of many pictures into a store."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import click

from cam.batch import BatchOptions, run_batch, run_pieces
from cam.batch.rows import HEAT_FORMATS, LAYOUTS, OUTPUTS, PRECISIONS
from cam.batch.store import Summary, begun_engine, failures
from cam.cli.commands.store import summary_lines
from cam.cli.declaring import Count, argument, as_command, choice, option, output_option
from cam.cli.messages import report_failures, say, show_note
from cam.cli.options import ForwardOptions, JsonOption, StyleOptions, TopOption, values_for
from cam.cli.progress import progress_bar
from cam.engines.protocol import BFLOAT16, FLOAT32
from cam.errors import CamError
from cam.localization import Rule
from cam.pictures.lists import find_pictures

NOTHING = "nothing"
FAILURES_SHOWN = 100


@dataclass(frozen=True)
class BatchRequest(ForwardOptions, TopOption, StyleOptions, JsonOption):
    """Which pictures, what to make of them, and how to go about it."""

    inputs: tuple[str, ...] = argument("INPUT...")
    store: Path = output_option(
        "Folder for the results, a store; an interrupted batch goes on if it is named again.",
        required=True,
        metavar="STORE",
    )
    outputs: tuple[str, ...] = option(
        "What to keep of each picture beside its top classes; may be given several times.",
        "--save",
        type=click.Choice([*OUTPUTS, NOTHING]),
        default=("maps",),
    )
    precision: str | None = option(
        "What the network is computed in, as for cam run: float32 or bfloat16. Default: float32.",
        # float16 is what it used to be: see `settled`.
        type=click.Choice([FLOAT32, BFLOAT16, PRECISIONS[0]]),
        metavar="[float32|bfloat16]",
    )
    numbers: str | None = option(
        "What raw maps and scores are stored in. Default: float16.", type=click.Choice(PRECISIONS)
    )
    heat_format: str = choice("Of the grey heat maps of 256x256 pixels.", HEAT_FORMATS)
    box_rule: Rule = option(
        "Of --save boxes. original: the released box generator, several boxes; paper: one box "
        "around the largest part above a fraction of the maximum.",
        "--rule",
        default="original",
    )
    layout: str = choice(
        "ilsvrc: also the folder of the original's ILSVRC heat maps, in STORE/ilsvrc.", LAYOUTS
    )
    root: Path | None = option(
        "Where relative paths of lists and tables start; each list's own folder if not given."
    )
    batch_size: Count | None = option(
        "Pictures in one call of the network. Default: what suits the engine."
    )
    piece_size: Count = option("Pictures that are committed together.", default=64)
    workers: Count | None = option(
        "Threads that read pictures and make maps. Default: one for each processor."
    )
    scheduler: str | None = option(
        "Run on a Dask cluster: its scheduler's address, tcp://HOST:8786."
    )

    @property
    def options(self) -> BatchOptions:
        """What the results depend on."""
        if NOTHING in self.outputs and len(self.outputs) > 1:
            raise CamError("--save nothing stands alone")
        outputs = () if NOTHING in self.outputs else self.outputs
        kept = {"outputs": outputs, "precision": self.numbers or PRECISIONS[0]}
        return BatchOptions(**{**values_for(BatchOptions, self), **kept})

    def settled(self) -> BatchRequest:
        """Return the request with `--precision float16` and `float32` in today's words.

        They used to say what is stored, and still do where `--numbers` is not given: a store never
        has less than was asked for.
        """
        if self.numbers is not None or self.precision not in PRECISIONS:
            return self
        click.echo(
            "cam: --precision says what the network is computed in; what is stored is said by "
            f"--numbers {self.precision}, which is taken",
            err=True,
        )
        return replace(self, precision=None, numbers=self.precision)


@as_command
def batch(request: BatchRequest) -> int:
    """Make the class activation maps of many pictures.

    An INPUT is a folder, a glob pattern, a list file (.txt: a path a line, or Caffe's path and
    class number), a table (.csv with the columns path and label), a .tar file or a picture.
    """
    request = request.settled()
    options = request.options
    # What is named is looked for before the network is loaded.
    next(find_pictures(request.inputs, root=request.root))
    begun = time.perf_counter()
    summary, pictures = _run(request, options)
    seconds = time.perf_counter() - begun
    if request.as_json:
        run = {"pictures_in_this_run": pictures, "seconds": seconds}
        click.echo(json.dumps({**asdict(summary), **run}))
    else:
        rate = f", {pictures / seconds:.1f} a second" if pictures else ""
        for line in summary_lines(request.store, summary):
            click.echo(line)
        click.echo(f"{pictures} of them in this run, {seconds:.1f} s{rate}")
    return report_failures(_failure_lines(request.store, summary.failed))


def _run(request: BatchRequest, options: BatchOptions) -> tuple[Summary, int]:
    """Return what the store holds, and how many pictures this run has done."""
    if request.engine is None:
        request = replace(request, engine=begun_engine(request.store))
    model = request.open()
    runner: Any = run_pieces
    if request.scheduler is not None:
        from cam.batch.cluster import DaskRunner

        runner = DaskRunner(request.scheduler, request.open, say_workers)
    with progress_bar("pictures", rate=True, stays=True) as bar:
        summary = run_batch(
            model,
            request.inputs,
            request.store,
            options,
            root=request.root,
            workers=request.workers,
            progress=bar,
            runner=runner,
            say=say,
        )
    show_note(model.network)
    return summary, bar.advanced


def _failure_lines(store: Path, count: int) -> Iterator[str]:
    for name, reason in islice(failures(store), FAILURES_SHOWN):
        yield f"{name}: {reason}"
    if count > FAILURES_SHOWN:
        yield f"and {count - FAILURES_SHOWN} more, all in {store / 'failed.csv'}"


def say_workers(count: int) -> None:
    """Say how many workers a cluster has."""
    click.echo(f"workers: {count or 'none yet, waiting'}", err=True)
