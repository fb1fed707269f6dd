"""Find boxes in photographs, or in heat maps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cam.cli.declaring import as_command, option, output_option
from cam.cli.located import report_located
from cam.cli.options import BoxOptions, ClassOptions, ForwardOptions, StyleOptions
from cam.cli.pictures import FOLDER_FOR_EACH, NamedPicture, PicturesCommand
from cam.errors import CamError
from cam.explain.located import LocatedClass, heat_map_levels, locate, save_located
from cam.pictures.reading import read_picture


@dataclass(frozen=True)
class LocalizeRequest(ForwardOptions, StyleOptions, BoxOptions, ClassOptions, PicturesCommand):
    """What to look for, in what."""

    top: int = option("How many top classes.", default=1)
    heatmap: bool = option("The pictures are grey heat maps, not photographs.")
    colormap: str | None = option(
        "The pictures are heat maps in these colours: jet, or another of OpenCV's."
    )
    photograph: Path | None = option("Draw a heat map's boxes on this.", "--on")
    output: Path = output_option(FOLDER_FOR_EACH, "cam-localize")


@as_command
def localize(request: LocalizeRequest) -> int:
    """Find boxes in photographs, or in heat maps.

    Every PICTURE (a picture, folder, glob, list, table or .tar file) is a photograph, whose heat
    maps the model makes, unless --heatmap or --colormap says that it is a heat map itself. For each
    picture a folder with boxes.txt (x1 y1 x2 y2, one a line, largest first), boxes_original.txt (x
    y w h, all on one line, as the original writes them), the picture with the boxes (boxes.png) and
    the grey heat map (heatmap.png). For a photograph each class has its own, named
    topN_NAME_boxes.txt and so on, with --class NAME_boxes.txt.
    """
    is_heat_map = request.heatmap or request.colormap is not None
    if request.photograph is not None and (not is_heat_map or len(request.pictures) > 1):
        raise CamError("--on is for one heat map (--heatmap or --colormap)")
    return _in_heat_maps(request) if is_heat_map else _in_photographs(request)


def _in_heat_maps(request: LocalizeRequest) -> int:
    rule = request.box_rule

    def find(one: NamedPicture) -> dict[str, Any]:
        levels = heat_map_levels(one.picture, one.path, request.colormap)
        picture = one.picture if request.photograph is None else read_picture(request.photograph)
        if picture.shape[:2] != levels.shape:
            raise CamError(
                f"{request.photograph} has {picture.shape[1]}x{picture.shape[0]} pixels and the "
                f"heat map {one.name} {levels.shape[1]}x{levels.shape[0]}; boxes need both at one "
                "size"
            )
        located = [LocatedClass("", levels, rule.boxes(levels))]
        save_located(one.folder, picture, located)
        return report_located(one, located, request.as_json)

    return request.find(request.output).each(find, request.as_json)


def _in_photographs(request: LocalizeRequest) -> int:
    rule, style = request.box_rule, request.chosen_style
    pictures = request.find(request.output)
    model = request.open()
    classes = request.chosen_classes(model)

    def find(one: NamedPicture) -> dict[str, Any]:
        explanation = model.explain(one.picture, request.top, style, classes=classes)
        located = locate(explanation, rule, ranked=classes is None)
        save_located(one.folder, one.picture, located)
        return report_located(one, located, request.as_json)

    return pictures.each(find, request.as_json, partial(request.show_notes, model.network))
