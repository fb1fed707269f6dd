"""The paper's figure types: the table that `cam figure` offers, and how each is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cam.errors import CamError
from cam.explain.drawing import PUBLISHED, Drawing
from cam.explain.explanation import Explanation
from cam.explain.model import CamModel
from cam.explain.saliency import explain_by_backpropagation
from cam.explain.styles import Style
from cam.figures import sheets
from cam.localization import Box, BoxRule, read_boxes, read_ground_truth, read_ilsvrc_ids
from cam.pictures.lists import Entry
from cam.pictures.reading import Picture
from cam.zoo import short_name


@dataclass(frozen=True, eq=False)
class FigureRequest:
    """What a figure is to show.

    Attributes
    ----------
    entries : iterable of cam.pictures.lists.Entry
        The pictures; they are read when they are first needed.
    load : callable
        Loads the model that is asked for, or another one of the table by its name.
    style : cam.explain.styles.Style
        How maps are made.
    rule : cam.localization.BoxRule
        How boxes are found.
    title : str or None
        A title above the figure.
    named_classes : sequence of str
        The classes to show: their names, WordNet ids or indices; one for most figures.
    per_row : int or None
        How many pictures stand side by side.
    also, backprop : sequence of str
        Further models of the table, and models to backpropagate through.
    truth, meta : pathlib.Path or None
        The ground truth's boxes, and the devkit's meta file for XML annotations.
    labels : sequence of str
        A label for each picture.
    best, units : int
        How many pictures, and how many units of the class.
    share : float
        Pictures are cut to where a unit is above this share of its maximum.
    drawing : cam.explain.drawing.Drawing
        How maps lie over pictures.
    report : callable or None
        Called with 1 whenever a network has explained a picture, `count` times in all.
    """

    entries: Iterable[Entry]
    load: Callable[[str | None], CamModel]
    style: Style
    rule: BoxRule
    title: str | None = None
    named_classes: Sequence[str] = ()
    per_row: int | None = None
    also: Sequence[str] = ()
    backprop: Sequence[str] = ()
    truth: Path | None = None
    meta: Path | None = None
    labels: Sequence[str] = ()
    best: int = 6
    units: int = 3
    share: float = 0.5
    drawing: Drawing = PUBLISHED
    report: Callable[[int], object] | None = None

    @property
    def named_class(self) -> str | None:
        """The class to show, of a figure that shows one.

        Raises
        ------
        CamError
            If several are named.
        """
        if len(self.named_classes) > 1:
            raise CamError("this figure shows one class; top5 takes several with --class")
        return next(iter(self.named_classes), None)

    @property
    def count(self) -> int | None:
        """How many times a picture is explained; None where the pictures were not counted."""
        if not isinstance(self.entries, Sequence):
            return None
        return len(self.entries) * (1 + len(self.also) + len(self.backprop))

    @cached_property
    def pictures(self) -> list[Picture]:
        """Each picture, uint8 (H, W, 3) BGR."""
        return [entry.read() for entry in self.entries]

    @cached_property
    def model(self) -> CamModel:
        """The model that is asked for, loaded when it is first needed."""
        return self.load(None)

    @property
    def layout(self) -> dict[str, Any]:
        """The arguments that the functions for several pictures share."""
        per_row = {} if self.per_row is None else {"per_row": self.per_row}
        return {"title": self.title or "", **per_row}

    def explain(
        self, picture: Picture, wanted: str | None = None, model: CamModel | None = None
    ) -> Explanation:
        """Explain one class of a picture: `wanted`, or the class asked for, or the top one."""
        name = wanted or self.named_class
        classes = None if name is None else [name]
        return self.told((model or self.model).explain(picture, 1, self.style, classes=classes))

    def told(self, explanation: Explanation) -> Explanation:
        """Return an explanation, and say that it is there."""
        if self.report is not None:
            self.report(1)
        return explanation


def _class_maps(request: FigureRequest) -> sheets.Sheet:
    first = request.explain(request.pictures[0])
    shown = str(first.indices[0])
    others = [request.explain(image, shown) for image in request.pictures[1:]]
    return sheets.class_maps_sheet(
        [first, *others],
        **{**request.layout, "title": request.title},
        drawing=request.drawing,
    )


def _top_five(request: FigureRequest) -> sheets.Sheet:
    if len(request.pictures) != 1:
        raise CamError("top5 shows the top classes of one picture")
    (image,) = request.pictures
    classes = list(request.named_classes) or None
    explanation = request.told(request.model.explain(image, 5, request.style, classes=classes))
    return sheets.top_classes_sheet(explanation, request.title or "", request.drawing)


def _comparison(request: FigureRequest) -> sheets.Sheet:
    explanations = [request.explain(picture) for picture in request.pictures]
    columns = [(request.model.name, explanations)]
    # Another model's classes may have other numbers: they are found by their names.
    names = [explanation.names[0] for explanation in explanations]
    asked = list(zip(request.pictures, names, strict=True))
    for name in request.also:
        model = request.load(name)
        columns.append((name, [request.explain(*one, model) for one in asked]))
    for name in request.backprop:
        model = request.model if name == request.model.name else request.load(name)
        saliency = [
            request.told(
                explain_by_backpropagation(model, picture, 1, request.style, classes=[wanted])
            )
            for picture, wanted in asked
        ]
        columns.append((f"backprop {name}", saliency))
    return sheets.comparison_sheet(columns, request.title or "", request.drawing)


def _boxes(request: FigureRequest) -> sheets.Sheet:
    panels = []
    for picture, truth in zip(request.pictures, _truth_boxes(request), strict=True):
        explanation = request.explain(picture)
        # The largest box is the one that the evaluation takes.
        boxes = explanation.boxes(0, request.rule)[:1]
        panels.append(sheets.Panel(picture, sheets.name_and_score(explanation), boxes, truth))
    return sheets.boxes_sheet(panels, **request.layout)


def _truth_boxes(request: FigureRequest) -> list[Sequence[Box]]:
    source, stems = request.truth, [Path(entry.name).stem for entry in request.entries]
    if source is None:
        if request.meta is not None:
            raise CamError("--meta is for the XML annotations that --truth names")
        return [() for _ in stems]
    if source.is_dir() and request.meta is None:
        return [read_boxes(source / f"{stem}.txt") for stem in stems]
    ids = None if request.meta is None else read_ilsvrc_ids(request.meta)
    truth = read_ground_truth(source, ilsvrc_ids=ids).select(stems)
    return [
        [
            Box.from_inclusive_corners(*map(int, box))
            for box in truth.boxes[truth.box_pictures == index]
        ]
        for index in range(len(stems))
    ]


def _scenes(request: FigureRequest) -> sheets.Sheet:
    labels, images = request.labels, request.pictures
    if labels and len(labels) != len(images):
        raise CamError(
            f"--label goes once with each picture; labels: {len(labels)}, pictures: {len(images)}"
        )
    explanations = [request.explain(image) for image in images]
    named = labels or [short_name(explanation.names[0]) for explanation in explanations]
    labelled = list(zip(named, explanations, strict=True))
    return sheets.scenes_sheet(labelled, **request.layout, drawing=request.drawing)


@dataclass(frozen=True)
class FigureType:
    """One type of figure, for the command line.

    Attributes
    ----------
    help : str
        What it shows, in one line.
    make : callable
        Makes its sheet for a request; bad requests are refused before the model is loaded.
    options : tuple of str
        The options that it takes and not every type does: fields of `FigureRequest`.
    one_pass : bool
        Whether it takes the pictures one after the other, any number of them, and keeps few.
    """

    help: str
    make: Callable[[FigureRequest], sheets.Sheet]
    options: tuple[str, ...]
    one_pass: bool = False


_OVERLAY = ("size", "colormap", "alpha", "blend")
"""What figures of overlays take."""

FIGURES: Mapping[str, FigureType] = {
    "class-maps": FigureType(
        "the maps of one class over several pictures (figure 3)",
        _class_maps,
        ("named_classes", "per_row", "store", "best", *_OVERLAY),
    ),
    "top5": FigureType(
        "the maps of a picture's top five classes, with their scores (figure 4)",
        _top_five,
        ("named_classes", *_OVERLAY),
    ),
    "comparison": FigureType(
        "networks and backpropagation side by side, a picture a row (figure 5)",
        _comparison,
        ("named_classes", "also", "backprop", *_OVERLAY),
    ),
    "boxes": FigureType(
        "ground truth (green) and predicted boxes (red) on pictures (figure 6)",
        _boxes,
        ("named_classes", "per_row", "truth", "meta", "rule"),
    ),
    "scenes": FigureType(
        "labelled actions or scenes above their maps (figure 8)",
        _scenes,
        ("named_classes", "per_row", "labels", *_OVERLAY),
    ),
}
"""The paper's figure types, as `cam figure` calls them."""
