"""Compare two results, ours or MATLAB's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import click

from cam.cli import exit_codes
from cam.cli.declaring import Count, argument, as_command, option, output_option
from cam.cli.differences import MEASURES, matlab_indices, measures
from cam.cli.options import JsonOption
from cam.cli.progress import working
from cam.fidelity import Comparison, Tolerance, compare_files
from cam.fidelity.comparison_picture import comparison_picture
from cam.fidelity.demo_files import here_or_fetched
from cam.files import write_json
from cam.pictures.reading import write_picture

NotNegative = Annotated[float, click.FloatRange(min=0)]


@dataclass(frozen=True)
class CompareRequest(JsonOption):
    """Which two results, and how far apart they may be."""

    ours: Path = argument("OURS")
    theirs: Path = argument("THEIRS")
    tolerance: NotNegative = option(
        "For numbers: the largest difference allowed, as a share of their largest magnitude.",
        default=1e-3,
    )
    levels: NotNegative = option(
        "For pictures and heat maps: the difference allowed, of 255 grey levels.", default=1.0
    )
    share: float = option(
        "The share of the pixels that must be within --levels.",
        type=click.FloatRange(0, 1),
        default=0.999,
    )
    rank: Count | None = option("For a single heat map: the rank of its class.")
    net: Path | None = option("A .mat file with the class layer, to compare features with maps.")
    output: Path = output_option("Folder for comparison.png and comparison.json.", "cam-compare")


@as_command
def compare(request: CompareRequest) -> int:
    """Compare two results: ours with ours, or with the original's files and pictures.

    Each is a folder of results, a .mat file of features, maps or of the workspace of the original
    demo.m, a composite figure (result.jpg) or the picture of one heat map; the name of a file of
    the original's demo will do where cam fetch-demo has fetched it. Exit code 0 if everything is
    within the tolerance, 1 if not, 2 if the two cannot be lined up.
    """
    with working("comparing"):
        comparison = compare_files(
            here_or_fetched(request.ours),
            here_or_fetched(request.theirs),
            Tolerance(request.tolerance, request.levels, request.share),
            None if request.rank is None else request.rank - 1,
            None if request.net is None else here_or_fetched(request.net),
        )
    report = comparison.to_dict()
    write_json(request.output / "comparison.json", report)
    write_picture(request.output / "comparison.png", comparison_picture(comparison))
    request.show(report, _lines(comparison, request.output))
    return exit_codes.SUCCESS if comparison.within else exit_codes.OUTSIDE_TOLERANCE


def _lines(comparison: Comparison, folder: Path) -> Iterator[str]:
    """Give a table of the differences, the order of the classes, and the notes."""
    yield f"ours:   {comparison.ours.path} ({comparison.ours.kind})"
    yield f"theirs: {comparison.theirs.path} ({comparison.theirs.kind})"
    levels = comparison.tolerance.levels
    within_levels = f"within {levels:g} level{'' if levels == 1 else 's'}"
    if comparison.differences:
        yield f"quantity       shape             {MEASURES}  {within_levels}"
    for name, apart in comparison.differences.items():
        shape = "x".join(map(str, apart.shape))
        share = f"{100 * apart.within_levels:.3f}%"
        yield (
            f"{name:14s} {shape:16s} {measures(apart)}  {share:>{len(within_levels)}s}"
            f"{'' if apart.within else '  outside'}"
        )
    ranking = comparison.ranking
    if ranking is not None:
        count = len(ranking.ours)
        yield (
            f"top-1 {'the same' if ranking.top1 else 'differs'}, top-{count} has {ranking.common} "
            f"of {count} in common, {'in the same order' if ranking.within else 'outside'}"
        )
        if not ranking.within:
            yield f"  ours {matlab_indices(ranking.ours)}"
            yield f"  theirs {matlab_indices(ranking.theirs)}"
    yield from (f"note: {note}" for note in comparison.notes)
    yield f"{'within' if comparison.within else 'outside'} the tolerance"
    yield f"written to {folder}: comparison.png, comparison.json"
