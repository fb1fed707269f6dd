"""Write a store or results as one page to look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from cam.cli.declaring import Count, argument, as_command, option, output_option
from cam.cli.progress import progress_bar
from cam.viewer.report import PER_PAGE, ReportSummary, count_pictures, write_report


@dataclass(frozen=True)
class ReportRequest:
    """Which results, and where the report goes."""

    inputs: tuple[Path, ...] = argument("STORE|FOLDER...")
    output: Path = output_option(
        "HTML file to write; of many pictures it lists the pages, in a folder beside it.",
        "report.html",
    )
    per_page: Count = option("Pictures of a page, at most.", default=PER_PAGE)


@as_command
def report(request: ReportRequest) -> None:
    """Write stores of `cam batch` and results of `cam run` as one page to look at.

    The page needs nothing else, neither network nor Python: it holds pictures, raw maps and what
    draws them.
    """
    total = count_pictures(request.inputs)
    with progress_bar("pictures", total, rate=True) as bar:
        summary = write_report(request.inputs, request.output, request.per_page, bar.advance)
    for line in _lines(request.output, summary):
        click.echo(line)


def _lines(output: Path, summary: ReportSummary) -> Iterator[str]:
    size = sum(page.stat().st_size for page in summary.pages) / 1e6
    pages = f" on {len(summary.pages) - 1} pages" if len(summary.pages) > 1 else ""
    yield f"{output}: {summary.pictures} pictures{pages}, {size:.1f} MB"
    if summary.failed:
        yield f"{summary.failed} of them failed; the report says why"
    if summary.without_picture:
        yield (
            f"{summary.without_picture} of them are not where the store says; their maps are shown "
            "without the picture"
        )
