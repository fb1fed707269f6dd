"""`cam ilsvrc-heatmaps`: the heat maps of the ILSVRC localization experiment."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from cam.cli.options import ChosenNetwork, network_options, show_note
from cam.cli.saliency import smooth_option

EXIT_SOME_FAILED = 3


@click.command()
@click.argument("list_file", type=click.Path(path_type=Path), metavar="LIST")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder for the heat maps: top1/NAME.jpg to top5/NAME.jpg and NAME.mat.",
)
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    help="The folder that LIST's paths are relative to; LIST's own if not given.",
)
@click.option(
    "--method",
    type=click.Choice(["cam", "backpropagation"]),
    default="cam",
    show_default=True,
    help="Class activation maps, or the saliency that the paper compares them with.",
)
@smooth_option
@network_options
def ilsvrc_heatmaps(
    list_file: Path,
    output: Path,
    root: Path | None,
    method: str,
    smooth: float,
    network: ChosenNetwork,
) -> None:
    """Make the heat maps of the pictures of a LIST in the original's layout.

    LIST has one picture a line, as Caffe's lists; class labels behind the paths are left out. For
    each picture ten crops go through the network; the merged map of each of the top five classes is
    resized to the picture's own size and divided by its maximum. Pictures that are there already
    are not made again, so that an interrupted run goes on where it ended.
    """
    from cam.errors import CamError
    from cam.explain.saliency import METHOD, explain_by_backpropagation, smoothed
    from cam.localization.ilsvrc_heatmaps import (
        TOP,
        is_complete,
        read_picture_list,
        write_ilsvrc_heatmaps,
        write_record,
    )
    from cam.pictures.reading import read_picture

    pictures = read_picture_list(list_file, root)
    missing = [path for path in pictures if not is_complete(output, path.stem)]
    model = network.open(backward=method == METHOD)
    record = {**model.record, "style": "matlab", "method": method}
    if method == METHOD:
        record["smooth"] = smooth
    show_note(model.network)
    write_record(output, record)
    failures = []
    start = time.perf_counter()
    with click.progressbar(missing, label="heat maps", file=sys.stderr) as bar:
        for path in bar:
            try:
                picture = read_picture(path)
            except CamError as error:
                failures.append(str(error))
                continue
            if method == METHOD:
                saliency = explain_by_backpropagation(model, picture, TOP, "matlab")
                explanation = smoothed(saliency, smooth)
            else:
                explanation = model.explain(picture, TOP, "matlab")
            write_ilsvrc_heatmaps(explanation, picture.shape[:2], output, path.stem)
    seconds = time.perf_counter() - start
    made = len(missing) - len(failures)
    click.echo(
        f"{output}: {made} pictures made in {seconds:.1f} s ({made / seconds:.2f} a second), "
        f"{len(pictures) - len(missing)} were there, {len(failures)} could not be read"
    )
    for failure in failures:
        click.echo(f"cam: {failure}", err=True)
    if failures:
        raise SystemExit(EXIT_SOME_FAILED)
