"""What the shell offers for names: models, styles, classes and colour maps, from small tables."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem

from cam import zoo
from cam.explain.styles import STYLES
from cam.maps.colors import COLOR_BLIND_SAFE, OPENCV_COLORMAPS
from cam.zoo.class_names import class_names

MOST_CLASSES = 200


def complete_models(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer the models of the table."""
    return beginning(incomplete, ((model.name, model.note) for model in zoo.ZOO))


def complete_styles(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer the styles that have a name."""
    return beginning(incomplete, ((style, "") for style in STYLES))


def complete_colormaps(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer OpenCV's colour maps, those for colour-blind readers marked."""
    notes = dict.fromkeys(COLOR_BLIND_SAFE, "safe for colour-blind readers")
    return beginning(incomplete, ((name, notes.get(name, "")) for name in OPENCV_COLORMAPS))


def complete_classes(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer the first names of the classes of the model that was named before."""
    asked = ctx.params.get("model") or zoo.EMBEDDED
    model = zoo.MODELS.get(asked)
    if model is None or ctx.params.get("prototxt"):
        return []
    named = []
    for name in class_names(model.categories):
        plain = zoo.plain_name(name)
        named += [(plain.split(",")[0], name), (name.removesuffix(plain).strip(), plain)]
    return beginning(incomplete, named)[:MOST_CLASSES]


def beginning(incomplete: str, named: Iterable[tuple[str, str]]) -> list[CompletionItem]:
    """Offer those of some names, each with a note, that begin as the word does."""
    begun = incomplete.lower()
    # What bash is given stands on the command line as it is; other shells quote it themselves.
    quotes = os.environ.get("_CAM_COMPLETE", "").startswith("bash")
    return [
        CompletionItem(re.sub(r"([^\w.,/-])", r"\\\1", name) if quotes else name, help=note or None)
        for name, note in named
        if name and name.lower().startswith(begun)
    ]
