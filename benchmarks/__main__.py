"""``python -m benchmarks``: the same work side by side with other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from benchmarks import report as pages
from benchmarks.command import run_command
from benchmarks.contestants import CONTESTANTS
from benchmarks.side_by_side import measure
from cam.cli.progress import bar_console
from cam.errors import CamError, nearest_names
from cam.pictures.reading import read_picture

_PATH = click.Path(path_type=Path)
_COUNT = click.IntRange(min=1)


@click.command()
@click.option("--model", "-m", default="googlenet", show_default=True, help="A model of the table.")
@click.option("--image", type=_PATH, help="Default: the demo's photograph.")
@click.option("--rounds", type=_COUNT, default=10, show_default=True, help="Turns for each.")
@click.option("--threads", type=_COUNT, default=1, show_default=True, help="Threads for each.")
@click.option("--only", multiple=True, metavar="KEY", help="Measure these only; can be repeated.")
@click.option("-o", "--output", type=_PATH, help="Write all times as JSON.")
@click.option("--plot", type=_PATH, help="Draw the times as bars.")
@click.option("--report", type=_PATH, help="Put the results into this Markdown page.")
@click.option(
    "--from",
    "source",
    type=_PATH,
    help="Measure nothing; show, plot or report what an earlier call wrote with -o.",
)
def side_by_side(
    source: Path | None,
    output: Path | None,
    plot: Path | None,
    report: Path | None,
    **settings: Any,
) -> None:
    """Measure this program beside the pycaffe port, torchcam and pytorch-grad-cam.

    All run the same network with the same weights in turns. What is not installed is left out and
    said; to have all of it: pip install '.[bench]'.
    """
    results = _measure(**settings) if source is None else pages.read_results(source)
    click.echo("\n".join(pages.summary_lines(results)))
    if output is not None:
        pages.write_results(results, output)
    if plot is not None:
        pages.plot(results, plot)
    if report is not None:
        pages.write_report(results, report, plot)


def _measure(
    model: str, image: Path | None, rounds: int, threads: int, only: tuple[str, ...]
) -> dict[str, Any]:
    from rich.progress import Progress

    known = {contestant.key: contestant for contestant in CONTESTANTS}
    for key in only:
        if key not in known:
            raise CamError(f"nothing to measure called {key!r}{nearest_names(key, known)}")
    chosen = [contestant for key, contestant in known.items() if not only or key in only]
    picture = None if image is None else read_picture(image)
    with Progress(console=bar_console(), transient=True) as bar:
        task = bar.add_task(f"{model}, {len(chosen)} contestants", total=None)

        def progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        return measure(model, picture, rounds, threads, progress, chosen)


if __name__ == "__main__":
    run_command(side_by_side)
