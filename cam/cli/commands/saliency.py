"""Make saliency maps by backpropagation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from cam.cli.declaring import as_command, option, output_option
from cam.cli.drawing import DrawingOptions
from cam.cli.located import report_located
from cam.cli.options import BoxOptions, ClassOptions, NetworkOptions, StyleOptions
from cam.cli.pictures import FOLDER_FOR_EACH, NamedPicture, PicturesCommand
from cam.explain.located import locate, save_located
from cam.explain.saliency import SMOOTHING, explain_by_backpropagation, smoothed


@dataclass(frozen=True)
class SmoothOption:
    """How saliency is smoothed."""

    smooth: float = option(
        "Smooth saliency before boxes are found: a Gaussian's standard deviation as a fraction of "
        "the crop's side. 0 for none.",
        default=SMOOTHING,
    )


@dataclass(frozen=True)
class SaliencyRequest(
    NetworkOptions,
    StyleOptions,
    BoxOptions,
    ClassOptions,
    SmoothOption,
    DrawingOptions,
    PicturesCommand,
):
    """Whose saliency."""

    top: int = option("How many top classes.", default=1)
    output: Path = output_option(FOLDER_FOR_EACH, "cam-saliency")


@as_command
def saliency(request: SaliencyRequest) -> int:
    """Make saliency maps by backpropagation (Simonyan et al., 2013). Needs the caffe engine.

    The saliency of a pixel is the gradient of the class's score with respect to it, the largest
    absolute value of its channels. For each PICTURE (a picture, folder, glob, list, table or .tar
    file) a folder with what cam run writes, and with the boxes and grey maps that cam localize
    writes, these of smoothed saliency.
    """
    rule, style, drawing = request.box_rule, request.chosen_style, request.drawing
    pictures = request.find(request.output)
    model = request.open(backward=True)
    classes = request.chosen_classes(model)

    def explain(one: NamedPicture) -> dict[str, Any]:
        top = request.top
        result = explain_by_backpropagation(model, one.picture, top, style, classes=classes)
        result = replace(result, source=one.source)
        located = locate(smoothed(result, request.smooth), rule, ranked=classes is None)
        result.save(one.folder, drawing)
        save_located(one.folder, one.picture, located)
        return {**result.to_dict(), **report_located(one, located, request.as_json)}

    return pictures.each(explain, request.as_json, partial(request.show_notes, model.network))
