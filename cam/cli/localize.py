"""`cam localize`: boxes from heat maps, or from photographs by the model's maps."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cam.cli.options import load_model, model_options, note_embedded
from cam.cli.run import result_folders
from cam.errors import CamError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cam.explain.explanation import Explanation
    from cam.explain.model import CamModel
    from cam.localization.boxes import Box, Rule

__all__ = [
    "BoxRule",
    "LocatedClass",
    "box_options",
    "box_rule",
    "class_options",
    "locate",
    "print_boxes",
    "save_boxes",
]

Command = TypeVar("Command", bound=Callable[..., Any])

_BOX_OPTIONS = (
    click.option(
        "--rule",
        type=click.Choice(["original", "paper"]),
        default="original",
        show_default=True,
        help="original: the released box generator, several boxes; paper: one box around the "
        "largest part above a fraction of the maximum.",
    ),
    click.option(
        "--thresholds",
        default="20,100,110",
        show_default=True,
        help="Grey levels for the original's rule.",
    ),
    click.option(
        "--fraction",
        type=float,
        default=0.2,
        show_default=True,
        help="Fraction of the maximum for the paper's rule.",
    ),
)

_CLASS_OPTIONS = (
    click.option("--top", type=int, default=1, show_default=True, help="How many top classes."),
    click.option("--class", "class_", help="One class instead: its name, WordNet id or index."),
    click.option(
        "--style",
        default="matlab",
        show_default=True,
        help="matlab: ten crops, as the original's localization; pycaffe: one center crop.",
    ),
    click.option(
        "--placement",
        default="stretch",
        show_default=True,
        help="For pycaffe: the center crop's map stretched over the picture as the port does, or "
        "crop, where it belongs.",
    ),
)

_MOST_PRINTED = 10


@dataclass(frozen=True)
class BoxRule:
    """How boxes are found: the arguments of `cam.localization.boxes.find_boxes`."""

    rule: Rule
    thresholds: tuple[int, ...]
    fraction: float

    def boxes(self, heatmap: NDArray[np.uint8]) -> list[Box]:
        """Return the boxes of a grey heat map."""
        from cam.localization.boxes import find_boxes

        return find_boxes(heatmap, self.rule, thresholds=self.thresholds, fraction=self.fraction)


@dataclass(frozen=True)
class LocatedClass:
    """A heat map at its picture's own size and its boxes; `title` is empty without a class."""

    title: str
    heatmap: NDArray[np.uint8]
    boxes: Sequence[Box]
    rank: int = 0
    probability: float | None = None

    @property
    def prefix(self) -> str:
        """How the names of its files begin."""
        if not self.title:
            return ""
        name = re.sub(r"[^\w.-]+", "_", self.title.split(",")[0]).strip("_")
        return f"top{self.rank}_{name}_" if self.rank else f"{name}_"


def box_options(command: Command) -> Command:
    """Add ``--rule``, ``--thresholds`` and ``--fraction``; `box_rule` takes their values."""
    for option in reversed(_BOX_OPTIONS):
        command = option(command)
    return command


def class_options(command: Command) -> Command:
    """Add ``--top``, ``--class``, ``--style`` and ``--placement``."""
    for option in reversed(_CLASS_OPTIONS):
        command = option(command)
    return command


def box_rule(rule: Rule, thresholds: str, fraction: float) -> BoxRule:
    """Read the values of `box_options`."""
    try:
        levels = tuple(int(part) for part in thresholds.split(","))
    except ValueError as error:
        raise CamError(f"--thresholds {thresholds!r}: grey levels such as 20,100,110") from error
    return BoxRule(rule, levels, fraction)


@click.command()
@click.argument("pictures", nargs=-1, required=True, metavar="PICTURE...")
@click.option("--heatmap", is_flag=True, help="The pictures are grey heat maps, not photographs.")
@click.option(
    "--colormap", help="The pictures are heat maps in these colours: jet, or another of OpenCV's."
)
@click.option(
    "--on", "photograph", type=click.Path(path_type=Path), help="Draw a heat map's boxes on this."
)
@box_options
@class_options
@model_options
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("cam-out"),
    show_default=True,
    help="Folder for the results, one folder in it for each picture.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the boxes as JSON.")
def localize(
    pictures: tuple[str, ...],
    heatmap: bool,
    colormap: str | None,
    photograph: Path | None,
    rule: Rule,
    thresholds: str,
    fraction: float,
    top: int,
    class_: str | None,
    style: str,
    placement: str,
    output: Path,
    as_json: bool,
    **network: Any,
) -> None:
    """Find boxes in photographs, or in heat maps.

    Every PICTURE is a photograph, whose heat maps the model makes, unless --heatmap or --colormap
    says that it is a heat map itself. For each picture a folder with boxes.txt (x1 y1 x2 y2, one a
    line, largest first), boxes_original.txt (x y w h, all on one line, as the original writes
    them), the picture with the boxes (boxes.png) and the grey heat map (heatmap.png). For a
    photograph each class has its own, named topN_NAME_boxes.txt and so on, with --class
    NAME_boxes.txt.
    """
    how = box_rule(rule, thresholds, fraction)
    is_heatmap = heatmap or colormap is not None
    if photograph is not None and (not is_heatmap or len(pictures) > 1):
        raise CamError("--on is for one heat map (--heatmap or --colormap)")
    model = None if is_heatmap else load_model(**network)
    if model is not None:
        note_embedded(model)
    results = []
    for name, folder in result_folders(pictures, output).items():
        if model is None:
            picture, located = _heatmap_boxes(Path(name), colormap, photograph, how)
        else:
            picture, located = _photograph_boxes(model, name, (top, class_, style, placement), how)
        save_boxes(folder, picture, located)
        results.append(_as_dict(name, folder, located))
        if not as_json:
            print_boxes(name, folder, located)
    if as_json:
        click.echo(json.dumps(results, indent=2))


def locate(
    explanation: Explanation, picture_size: Sequence[int], how: BoxRule, ranked: bool = True
) -> list[LocatedClass]:
    """Find the boxes of each class of an explanation in the picture's own pixels."""
    from cam.localization.boxes import picture_heatmap

    located = []
    for k, (name, merged) in enumerate(zip(explanation.names, explanation.merged, strict=True)):
        heatmap = picture_heatmap(merged, picture_size)
        located.append(
            LocatedClass(
                name,
                heatmap,
                how.boxes(heatmap),
                rank=k + 1 if ranked else 0,
                probability=float(explanation.probabilities[k]),
            )
        )
    return located


def save_boxes(folder: Path, picture: NDArray[np.uint8], located: Sequence[LocatedClass]) -> None:
    """Write boxes in both forms, the picture with them and the grey heat map."""
    from cam.localization.boxes import draw_boxes, write_boxes
    from cam.pictures.reading import write_picture

    for one in located:
        write_boxes(folder / f"{one.prefix}boxes.txt", one.boxes)
        write_boxes(folder / f"{one.prefix}boxes_original.txt", one.boxes, "original")
        write_picture(folder / f"{one.prefix}boxes.png", draw_boxes(picture, one.boxes))
        write_picture(folder / f"{one.prefix}heatmap.png", one.heatmap)


def print_boxes(name: str, folder: Path, located: Sequence[LocatedClass]) -> None:
    """Print each class and its boxes."""
    click.echo(f"{name}: x1 y1 x2 y2, written to {folder}")
    for one in located:
        if one.probability is not None:
            click.echo(f"  {one.title} ({one.probability:.4f})")
        for box in one.boxes[:_MOST_PRINTED]:
            click.echo("  {:5d} {:5d} {:5d} {:5d}".format(*box.corners))
        if len(one.boxes) > _MOST_PRINTED:
            click.echo(f"  and {len(one.boxes) - _MOST_PRINTED} smaller ones")
        if not one.boxes:
            click.echo("  no box: nothing stands out")


def _heatmap_boxes(
    path: Path, colormap: str | None, photograph: Path | None, how: BoxRule
) -> tuple[NDArray[np.uint8], list[LocatedClass]]:
    from cam.pictures.reading import read_picture

    levels = _read_levels(path, colormap)
    picture = read_picture(path if photograph is None else photograph)
    if picture.shape[:2] != levels.shape:
        raise CamError(
            f"{photograph} has {picture.shape[1]}x{picture.shape[0]} pixels and the heat map "
            f"{path} {levels.shape[1]}x{levels.shape[0]}; boxes need both at one size"
        )
    return picture, [LocatedClass("", levels, how.boxes(levels))]


def _read_levels(path: Path, colormap: str | None) -> NDArray[np.uint8]:
    from cam.localization.boxes import levels_of_colors, read_heatmap
    from cam.maps.colors import colors
    from cam.pictures.reading import read_picture

    picture = read_picture(path)
    if colormap is not None:
        return levels_of_colors(picture, colors(colormap))
    # The channels of a grey picture stored as a colour JPEG differ by rounding only.
    if int((picture.max(axis=2) - picture.min(axis=2)).max()) > 8:
        raise CamError(
            f"{path} has colours, which are no grey levels; if they are those of a heat map, name "
            "them: --colormap jet"
        )
    return read_heatmap(path)


def _photograph_boxes(
    model: CamModel, name: str, asked: tuple[int, str | None, str, str], how: BoxRule
) -> tuple[NDArray[np.uint8], list[LocatedClass]]:
    from cam.pictures.reading import read_picture

    top, class_, style, placement = asked
    picture = read_picture(name)
    classes = None if class_ is None else [class_]
    explanation = model.explain(picture, top, style, placement, classes)
    return picture, locate(explanation, picture.shape[:2], how, ranked=class_ is None)


def _as_dict(name: str, folder: Path, located: Sequence[LocatedClass]) -> dict[str, Any]:
    return {
        "picture": name,
        "folder": str(folder),
        "located": [
            {
                "class": one.title or None,
                "probability": one.probability,
                "corners": [list(box.corners) for box in one.boxes],
            }
            for one in located
        ],
    }
