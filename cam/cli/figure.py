"""`cam figure`: the paper's figure types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cam.cli.options import ChosenNetwork, box_options, network_options, show_note, style_options
from cam.errors import CamError
from cam.explain.styles import Style
from cam.localization.boxes import BoxRule

if TYPE_CHECKING:
    from cam.explain.explanation import Explanation
    from cam.explain.model import CamModel
    from cam.figures.sheets import Sheet
    from cam.localization.boxes import Box
    from cam.pictures.reading import Picture

NAMES = ("class-maps", "top5", "comparison", "boxes", "scenes")
"""As `cam.figures.sheets.FIGURES`, which `cam --help` shall not wait for."""

SUFFIXES = (".png", ".pdf")


@dataclass(frozen=True)
class _Request:
    """What the command was asked for."""

    model: CamModel
    images: Sequence[str]
    class_: str | None
    style: Style
    also: Sequence[str]
    backprop: Sequence[str]
    truth: Path | None
    meta: Path | None
    labels: Sequence[str]
    rule: BoxRule
    title: str | None
    per_row: int | None
    engine: str | None
    threads: int | None

    def explain(self, image: str | Picture, model: CamModel | None = None) -> Explanation:
        """Explain one class of a picture: the class asked for, or the top one."""
        classes = None if self.class_ is None else [self.class_]
        return (model or self.model).explain(image, 1, self.style, classes=classes)

    @property
    def layout(self) -> dict[str, Any]:
        """The arguments that all figures of several pictures have."""
        return {
            "title": self.title or "",
            **({} if self.per_row is None else {"per_row": self.per_row}),
        }


@click.command()
@click.argument("name", type=click.Choice(NAMES), metavar="NAME")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--class", "class_", help="The class to show: its name, WordNet id or index.")
@click.option("--title", help="A title above the figure.")
@click.option("--per-row", type=click.IntRange(min=1), help="How many pictures side by side.")
@click.option(
    "--also", multiple=True, help="comparison: a further model of the table; may be repeated."
)
@click.option(
    "--backprop",
    multiple=True,
    help="comparison: a model to backpropagate through (needs the caffe engine); may be repeated.",
)
@click.option(
    "--truth",
    type=click.Path(path_type=Path),
    help="boxes: the ground truth. A folder of NAME.txt (x1 y1 x2 y2 a line) or, with --meta, of "
    "XML annotations; or the .mat in which the devkit caches them.",
)
@click.option(
    "--meta", type=click.Path(path_type=Path), help="The devkit's meta file, for XML annotations."
)
@click.option(
    "--label", "labels", multiple=True, help="scenes: a picture's label; once for each picture."
)
@style_options
@box_options
@network_options
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The figure's path; .png and .pdf are added. Default: cam-figures/NAME.",
)
def figure(name: str, output: Path | None, network: ChosenNetwork, **own: Any) -> None:
    """Draw one of the paper's figure types as PNG and PDF.

    \b
    class-maps   the maps of one class over several pictures (figure 3)
    top5         the maps of a picture's top five classes, with their scores (figure 4)
    comparison   networks and backpropagation side by side, a picture a row (figure 5)
    boxes        ground truth (green) and predicted boxes (red) on pictures (figure 6)
    scenes       labelled actions or scenes above their maps (figure 8)

    Without --class, class-maps shows the top class of the first picture, the others the top class
    of each.
    """  # noqa: D301 - click takes the backspace character as "do not wrap"
    from cam.figures.sheets import save_sheet

    _check_counts(name, **{key: own[key] for key in ("images", "class_", "labels")})
    model = network.open(backward=bool(own["backprop"]))
    show_note(model.network)
    request = _Request(model, engine=network.engine, threads=network.threads, **own)
    sheet = _SHEETS[name](request)
    base = output or Path("cam-figures") / name
    if base.suffix.lower() in SUFFIXES:
        base = base.with_suffix("")
    for suffix in SUFFIXES:
        path = base.with_name(base.name + suffix)
        save_sheet(sheet, path)
        click.echo(f"written to {path}")


def _check_counts(
    name: str, images: Sequence[str], class_: str | None, labels: Sequence[str]
) -> None:
    """Refuse what does not go together, before the network is loaded."""
    if name == "top5" and (len(images) != 1 or class_ is not None):
        raise CamError("top5 shows the top classes of one picture")
    if name == "scenes" and labels and len(labels) != len(images):
        raise CamError(
            f"--label goes once with each picture; labels: {len(labels)}, pictures: {len(images)}"
        )


def _class_maps(request: _Request) -> Sheet:
    from cam.figures.sheets import class_maps_sheet

    first, *others = (request.explain(image) for image in request.images)
    index = int(first.indices[0])
    explanations = [first, *(other.of_class(index) for other in others)]
    layout = request.layout
    return class_maps_sheet(explanations, **{**layout, "title": request.title})


def _top5(request: _Request) -> Sheet:
    from cam.figures.sheets import top_classes_sheet

    explanation = request.model.explain(request.images[0], 5, request.style)
    return top_classes_sheet(explanation, request.title or "")


def _comparison(request: _Request) -> Sheet:
    from cam import zoo
    from cam.explain.model import load, open_model
    from cam.explain.saliency import explain_by_backpropagation
    from cam.figures.sheets import comparison_sheet
    from cam.pictures.reading import read_picture

    pictures = [read_picture(image) for image in request.images]
    columns = [(request.model.name, [request.explain(picture) for picture in pictures])]
    names = [explanation.names[0] for explanation in columns[0][1]]
    for name in request.also:
        model = load(name, request.engine, request.threads)
        columns.append((name, _same_classes(model, pictures, names, request)))
    for name in request.backprop:
        is_main = name == request.model.name
        model = (
            request.model
            if is_main
            else open_model(zoo.load_network(name), request.engine, request.threads, backward=True)
        )
        saliency = [
            explain_by_backpropagation(
                model,
                picture,
                1,
                request.style,
                classes=[wanted],
            )
            for picture, wanted in zip(pictures, names, strict=True)
        ]
        columns.append((f"backprop {name}", saliency))
    return comparison_sheet(columns, request.title or "")


def _same_classes(
    model: CamModel, pictures: Sequence[Picture], names: Sequence[str], request: _Request
) -> list[Explanation]:
    """Explain the classes that another model was asked about, found by their names."""
    return [
        model.explain(picture, 1, request.style, classes=[name])
        for picture, name in zip(pictures, names, strict=True)
    ]


def _boxes(request: _Request) -> Sheet:
    from cam.explain.located import locate
    from cam.figures.sheets import BoxedPicture, boxes_sheet, format_score
    from cam.pictures.reading import read_picture
    from cam.zoo.class_names import short_name

    truths = _truth_boxes(request)
    boxed = []
    for image, truth in zip(request.images, truths, strict=True):
        picture = read_picture(image)
        (located,) = locate(request.explain(picture), request.rule)
        title = f"{short_name(located.name)}\n{format_score(located.probability or 0.0)}"
        # The largest box is the one that the evaluation takes.
        boxed.append(BoxedPicture(picture, located.boxes[:1], truth, title))
    return boxes_sheet(boxed, **request.layout)


def _truth_boxes(request: _Request) -> list[Sequence[Box]]:
    from cam.localization import read_ground_truth, read_ilsvrc_ids
    from cam.localization.boxes import Box, read_boxes

    source, stems = request.truth, [Path(image).stem for image in request.images]
    if source is None:
        return [() for _ in stems]
    if source.is_dir() and request.meta is None:
        return [read_boxes(source / f"{stem}.txt") for stem in stems]
    ids = None if request.meta is None else read_ilsvrc_ids(request.meta)
    truth = read_ground_truth(source, ilsvrc_ids=ids).select(stems)
    return [
        [
            Box.from_inclusive_corners(*(int(value) for value in box))
            for box in truth.boxes[truth.box_pictures == index]
        ]
        for index in range(len(stems))
    ]


def _scenes(request: _Request) -> Sheet:
    from cam.figures.sheets import scenes_sheet
    from cam.zoo.class_names import short_name

    explanations = [request.explain(image) for image in request.images]
    named = request.labels or [short_name(explanation.names[0]) for explanation in explanations]
    return scenes_sheet(list(zip(named, explanations, strict=True)), **request.layout)


_SHEETS: dict[str, Callable[[_Request], Sheet]] = {
    "class-maps": _class_maps,
    "top5": _top5,
    "comparison": _comparison,
    "boxes": _boxes,
    "scenes": _scenes,
}
