"""How pictures are drawn, as options: one group for every command that draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import click

from cam.cli.completing import beginning, complete_colormaps
from cam.cli.declaring import Count, choice, option
from cam.cli.options import values_for
from cam.explain.drawing import FORMATS, SIZES, Drawing
from cam.localization import Rule
from cam.maps.colors import COLOR_BLIND_SAFE


class Size(click.ParamType):  # type: ignore[type-arg]
    """The name of a size, or a number of pixels."""

    name = "frame|picture|N"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | int:
        """Return a name as it is, and a number as one."""
        return int(value) if str(value).isdecimal() else str(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        """Offer the names."""
        return beginning(incomplete, ((size, "") for size in SIZES))


@dataclass(frozen=True)
class OverlayOptions:
    """How a heat map lies over its picture."""

    size: Annotated[str | int, Size()] = option(
        "frame: 256x256 pixels, as published; picture: the map over the picture's own pixels; a "
        "number: its longer side so many pixels long.",
        default=SIZES[0],
    )
    colormap: str | None = option(
        "Colours by OpenCV's or matplotlib's name; for colour-blind readers "
        f"{', '.join(COLOR_BLIND_SAFE[:3])}. Default: the style's own JET.",
        shell_complete=complete_colormaps,
    )
    alpha: float | None = option("The heat map's share from 0 to 1; sets --blend alpha.")
    blend: str | None = option(
        "published: 0.2 picture + 0.7 heat; alpha: (1 - alpha) picture + alpha heat. Default: "
        "published.",
        type=click.Choice(["published", "alpha"]),
    )

    @property
    def drawing(self) -> Drawing:
        """How results are drawn.

        Raises
        ------
        CamError
            If there is no such way of drawing, or what it needs is not installed.
        """
        return Drawing(**values_for(Drawing, self))


@dataclass(frozen=True)
class SheetOptions(OverlayOptions):
    """How several results are drawn side by side."""

    boxes: Rule | None = option(
        "Draw the boxes of each class, by the original's rule or the paper's."
    )
    plain_names: bool = option("Leave WordNet ids out of captions, file names and lines.")
    columns: Count | None = option("How many pictures stand side by side.")


@dataclass(frozen=True)
class DrawingOptions(SheetOptions):
    """How a picture's result is drawn and written."""

    color_bar: bool = option("Put the colours and the values they stand for beside overlays.")
    format: str = choice("What pictures are written as; pdf and svg need matplotlib.", FORMATS)
    rgba: bool = option("Write heat maps with transparency, to be laid over the picture.")
