"""Make the maps of the original's cached demo, without a network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from cam.cli.declaring import Count, as_command, option, output_option
from cam.cli.drawing import DrawingOptions
from cam.cli.options import JsonOption, NamedClassOption, TopOption
from cam.errors import CamError
from cam.explain.drawing import Drawing
from cam.explain.explanation import Explanation
from cam.fidelity.cached_demo import OTHER_SNAPSHOT, SAME_NETWORK, explain_features
from cam.fidelity.demo_files import fetched_demo_file, here_or_fetched


@dataclass(frozen=True)
class MatlabDemoRequest(TopOption, NamedClassOption, DrawingOptions, JsonOption):
    """Which features of which picture."""

    features: Path | None = option("Activations and scores of ten crops, a .mat file.")
    net: Path | None = option("The class layer, a .mat file.")
    image: Path | None = option("The picture that the features are of.")
    crop: Count | None = option("Rows of a crop. Default: by the maps' size.")
    first_crop: bool = option(
        "Order the classes by the first crop's scores, as demo.m does with its own data_img1.mat."
    )
    output: Path = output_option(
        "Folder for the results, a folder in it for the picture.", "cam-matlab-demo"
    )


@as_command
def matlab_demo(request: MatlabDemoRequest) -> None:
    """Make the maps of the original's cached demo from its features, without a network.

    The files are those that cam fetch-demo gets, data_img1.mat, data_net.mat and img1.jpg, or
    others that the options name; the names of others that it gets will do.
    """
    if (request.features is None) != (request.image is None):
        raise CamError("--features and --image belong together: the features are of that picture")
    drawing = request.drawing
    given = {
        "data_img1.mat": request.features,
        "data_net.mat": request.net,
        "img1.jpg": request.image,
    }
    features, net, image = (
        fetched_demo_file(name) if path is None else here_or_fetched(path)
        for name, path in given.items()
    )
    result = explain_features(features, net, image, request.top, request.crop, request.first_crop)
    folder = request.output / image.stem
    if request.named_classes:
        result = result.of_classes(list(request.named_classes))
    result.save(folder, drawing)
    summary = {"image": str(image), "folder": str(folder), **result.to_dict()}
    request.show(summary, _lines(features, folder, result, drawing))
    if result.record["score_residual"] > SAME_NETWORK:
        click.echo(
            f"Note: the scores of {features.name} do not follow from its activations and the class "
            f"layer: they are off by up to {result.record['score_residual']:.2g} in the logarithm "
            f"(1e-5 is usual). {OTHER_SNAPSHOT[0].upper()}{OTHER_SNAPSHOT[1:]}.",
            err=True,
        )


def _lines(features: Path, folder: Path, result: Explanation, drawing: Drawing) -> Iterator[str]:
    yield f"{features}: features of ten crops, no network was run"
    yield "probability  index in MATLAB (from 1)  index (from 0)  class"
    for entry in result.to_dict()["top"]:
        index = entry["index"]
        name = drawing.name(entry["name"])
        yield f"{entry['probability']:11.4f}  {index + 1:24d}  {index:14d}  {name}"
    yield f"written to {folder}, the original's figure to {folder / 'result.jpg'}"
