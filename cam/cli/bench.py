"""`cam bench`: the same work side by side with other programs."""

from __future__ import annotations

from pathlib import Path

import click

from cam.cli.progress import bar_console


@click.command()
@click.option("--model", "-m", default="googlenet", show_default=True, help="A model of the table.")
@click.option("--image", type=click.Path(path_type=Path), help="Default: the demo's photograph.")
@click.option(
    "--rounds", type=click.IntRange(min=1), default=10, show_default=True, help="Turns for each."
)
@click.option(
    "--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Threads for each."
)
@click.option("--only", multiple=True, metavar="KEY", help="Measure these only; can be repeated.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write all times as JSON.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the times as bars.")
@click.option(
    "--report", type=click.Path(path_type=Path), help="Put the results into this Markdown page."
)
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    help="Measure nothing; show, plot or report what an earlier call wrote with -o.",
)
def bench(
    model: str,
    image: Path | None,
    rounds: int,
    threads: int,
    only: tuple[str, ...],
    output: Path | None,
    plot: Path | None,
    report: Path | None,
    source: Path | None,
) -> None:
    """Measure this program beside the pycaffe port, torchcam and pytorch-grad-cam.

    All run the same network with the same weights in turns. What is not installed is left out and
    said; to have all of it: pip install '.[bench]' in the project's folder.
    """
    from benchmarks import report as bench_report

    if source is not None:
        results = bench_report.read_results(source)
    else:
        results = _measure(model, image, rounds, threads, only)
    click.echo("\n".join(bench_report.summary_lines(results)))
    if output is not None:
        bench_report.write_results(results, output)
    if plot is not None:
        bench_report.plot(results, plot)
    if report is not None:
        bench_report.write_report(results, report, plot)


def _measure(
    model: str, image: Path | None, rounds: int, threads: int, only: tuple[str, ...]
) -> dict[str, object]:
    from rich.progress import Progress

    import benchmarks as bench
    from cam.errors import CamError, nearest_names
    from cam.pictures.reading import read_picture

    known = {contestant.key: contestant for contestant in bench.CONTESTANTS}
    for key in only:
        if key not in known:
            raise CamError(f"nothing to measure called {key!r}{nearest_names(key, known)}")
    chosen = [contestant for key, contestant in known.items() if not only or key in only]
    picture = None if image is None else read_picture(image)
    with Progress(console=bar_console(), transient=True) as bar:
        task = bar.add_task(f"{model}, {len(chosen)} contestants", total=None)
        return bench.bench(
            model,
            picture,
            rounds,
            threads,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
            contestants=chosen,
        )
