"""`cam compare`: how far apart two results are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cam.fidelity import Comparison

EXIT_OUTSIDE = 1


@click.command()
@click.argument("ours", type=click.Path(path_type=Path))
@click.argument("theirs", type=click.Path(path_type=Path))
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=1e-3,
    show_default=True,
    help="For numbers: the largest difference allowed, as a share of their largest magnitude.",
)
@click.option(
    "--levels",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="For pictures and heat maps: the difference allowed, of 255 grey levels.",
)
@click.option(
    "--share",
    type=click.FloatRange(0, 1),
    default=0.999,
    show_default=True,
    help="The share of the pixels that must be within --levels.",
)
@click.option(
    "--rank", type=click.IntRange(min=1), help="For a single heat map: the rank of its class."
)
@click.option(
    "--net",
    type=click.Path(path_type=Path),
    help="A .mat file with the class layer, to compare features with maps.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("cam-compare"),
    show_default=True,
    help="Folder for comparison.png and comparison.json.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def compare(
    ours: Path,
    theirs: Path,
    tolerance: float,
    levels: float,
    share: float,
    rank: int | None,
    net: Path | None,
    output: Path,
    as_json: bool,
) -> int:
    """Compare two results: ours with ours, or with the original's files and pictures.

    Each is a folder of results, a .mat file of features, maps or of the workspace of the original
    demo.m, a composite figure (result.jpg) or the picture of one heat map. Exit code 0 if
    everything is within the tolerance, 1 if not, 2 if the two cannot be lined up.
    """
    from cam.fidelity import Tolerance, compare_files
    from cam.fidelity.picture import comparison_picture
    from cam.files import atomic_path
    from cam.pictures.reading import write_picture

    comparison = compare_files(
        ours,
        theirs,
        Tolerance(tolerance, levels, share),
        None if rank is None else rank - 1,
        net,
    )
    report = json.dumps(comparison.to_dict(), indent=2)
    with atomic_path(output / "comparison.json") as temporary:
        temporary.write_text(report + "\n", encoding="utf-8")
    write_picture(output / "comparison.png", comparison_picture(comparison))
    if as_json:
        click.echo(report)
    else:
        print_comparison(comparison)
        click.echo(f"written to {output}: comparison.png, comparison.json")
    return 0 if comparison.within else EXIT_OUTSIDE


def print_comparison(comparison: Comparison) -> None:
    """Print a table of the differences, the order of the classes, and the notes."""
    click.echo(f"ours:   {comparison.ours.path} ({comparison.ours.kind})")
    click.echo(f"theirs: {comparison.theirs.path} ({comparison.theirs.kind})")
    if comparison.differences:
        click.echo(
            "quantity       shape             largest      mean  relative  correlation  "
            "within 1 level"
        )
    for entry in comparison.differences:
        shape = "x".join(map(str, entry.shape))
        correlation = "" if entry.correlation is None else f"{entry.correlation:.6f}"
        click.echo(
            f"{entry.quantity:14s} {shape:16s} {entry.max_abs:8.3g}  {entry.mean_abs:8.3g}  "
            f"{entry.relative:8.2g}  {correlation:>11s}  {100 * entry.within_one_level:13.3f}%"
            f"{'' if entry.within else '  outside'}"
        )
    ranking = comparison.ranking
    if ranking is not None:
        count = len(ranking.ours)
        click.echo(
            f"top-1 {'the same' if ranking.top1 else 'differs'}, top-{count} has {ranking.common} "
            f"of {count} in common, {'in the same order' if ranking.within else 'outside'}"
        )
        if not ranking.within:
            for side, classes in (("ours", ranking.ours), ("theirs", ranking.theirs)):
                click.echo(f"  {side} (from 1, as MATLAB): {' '.join(str(c + 1) for c in classes)}")
    for note in comparison.notes:
        click.echo(f"note: {note}")
    click.echo(f"{'within' if comparison.within else 'outside'} the tolerance")
