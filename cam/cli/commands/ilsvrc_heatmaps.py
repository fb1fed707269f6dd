"""Make the heat maps of the ILSVRC localization experiment."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click

from cam.batch.ilsvrc import make_ilsvrc_heatmaps
from cam.cli.commands.saliency import SmoothOption
from cam.cli.declaring import argument, as_command, option, output_option
from cam.cli.messages import report_failures, show_note
from cam.cli.options import NetworkOptions
from cam.cli.progress import progress_bar
from cam.localization import read_picture_list


@dataclass(frozen=True)
class HeatMapsRequest(NetworkOptions, SmoothOption):
    """Of which pictures, and by which method."""

    pictures: Path = argument("LIST")
    output: Path = output_option(
        "Folder for the heat maps: top1/NAME.jpg to top5/NAME.jpg and NAME.mat.", required=True
    )
    root: Path | None = option(
        "The folder that LIST's paths are relative to; LIST's own if not given."
    )
    method: Literal["cam", "backpropagation"] = option(
        "Class activation maps, or the saliency that the paper compares them with.", default="cam"
    )


@as_command
def ilsvrc_heatmaps(request: HeatMapsRequest) -> int:
    """Make the heat maps of the pictures of a LIST in the original's layout.

    LIST has one picture a line, as Caffe's lists; class labels behind the paths are left out. For
    each picture ten crops go through the network; the merged map of each of the top five classes is
    resized to the picture's own size and divided by its maximum. Pictures that are there already
    are not made again, so that an interrupted run goes on where it ended.
    """
    pictures = read_picture_list(request.pictures, request.root)
    is_saliency = request.method == "backpropagation"
    model = request.open(backward=is_saliency)
    start = time.perf_counter()
    with progress_bar("heat maps", len(pictures)) as bar:
        run = make_ilsvrc_heatmaps(
            model, pictures, request.output, request.smooth if is_saliency else None, bar.advance
        )
    seconds = time.perf_counter() - start
    click.echo(
        f"{request.output}: {run.made} pictures made in {seconds:.1f} s "
        f"({run.made / seconds:.2f} a second), {run.present} were there, "
        f"{len(run.failures)} could not be read"
    )
    show_note(model.network)
    return report_failures(run.failures)
