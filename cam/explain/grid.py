"""Results that show themselves: in notebooks, and many on one contact sheet."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cam.arguments import checked
from cam.errors import CamError, InvalidValueError
from cam.explain.drawing import MONTAGE_SIDE, PUBLISHED, Drawing, scaled_size
from cam.maps.montage import captioned, montage
from cam.pictures.reading import Picture
from cam.zoo import short_name

if TYPE_CHECKING:
    from cam.explain.explanation import Explanation
    from cam.explain.model import CamModel

THUMBNAIL = 192
"""Pixels of the longer side of what a notebook shows."""

MOST_SHOWN = 10
"""How many classes of a result a notebook shows, and how many rows of a grid."""

SIDES: Mapping[str, int] = {"frame": 256, "picture": MONTAGE_SIDE}
"""Pixels of a contact sheet's squares, by the size that is asked for, if that is no number."""

_JPEG_QUALITY = 85
_ROW = "display:flex;flex-wrap:wrap;gap:8px;align-items:flex-end"


class Grid:
    """Many results side by side, each with its best class: shows itself in a notebook.

    Parameters
    ----------
    explanations : iterable of cam.explain.explanation.Explanation
        The results.
    columns : int, optional
        How many stand side by side in `picture`.
    drawing : cam.explain.drawing.Drawing, optional
        How they are drawn; as published, but in the pictures' own proportions, if not given.

    Examples
    --------
    >>> Grid(model.explain_many(["a.jpg", "b.jpg"]))  # doctest: +SKIP
    """

    @checked
    def __init__(
        self,
        explanations: Iterable[Explanation],
        columns: int | None = None,
        drawing: Drawing = PUBLISHED,
    ) -> None:
        self.explanations = tuple(explanations)
        self.columns = columns
        self.drawing = drawing

    def __repr__(self) -> str:
        return f"<Grid of {len(self.explanations)} results>"

    def picture(self) -> Picture:
        """Return the contact sheet, uint8 (H, W, 3) BGR; see `contact_sheet`."""
        cells = [
            sheet_cell(one, picture_name(one) or str(number), 0, self.drawing)
            for number, one in enumerate(self.explanations, 1)
        ]
        return contact_sheet(cells, self.columns)

    def _repr_html_(self) -> str:
        shown = self.explanations[: MOST_SHOWN * (self.columns or MOST_SHOWN)]
        figures = [
            _figure(thumbnail(one, 0, THUMBNAIL, self.drawing), picture_name(one), *_told(one, 0))
            for one in shown
        ]
        return _flex(figures, len(self.explanations) - len(shown))


def sheet_cell(
    explanation: Explanation, name: str, rank: int = 0, drawing: Drawing = PUBLISHED
) -> Picture:
    """Return one picture of a contact sheet: a map, what it is called, its class and probability.

    Parameters
    ----------
    explanation : cam.explain.explanation.Explanation
        The result.
    name : str
        What the picture is called.
    rank : int, optional
        Which of the result's classes.
    drawing : cam.explain.drawing.Drawing, optional
        How it is drawn. The longer side has as many pixels as the size says, 256 for ``"frame"``.

    Returns
    -------
    numpy.ndarray
        uint8 (rows, columns, 3) BGR: a white square, the picture at its foot, and two lines below.
    """
    side = SIDES[drawing.size] if isinstance(drawing.size, str) else int(drawing.size)
    shown = thumbnail(explanation, rank, side, drawing)
    rows, columns = shown.shape[:2]
    cell = np.full((max(side, rows), max(side, columns), 3), 255, np.uint8)
    left = (cell.shape[1] - columns) // 2
    cell[-rows:, left : left + columns] = shown
    class_name = drawing.name(explanation.names[rank]).split(",")[0]
    told = f"{class_name} {explanation.probabilities[rank]:.3f}"
    return captioned(cell, [name, told], max(1.0, side / 256))


def contact_sheet(cells: Sequence[Picture], columns: int | None = None) -> Picture:
    """Return pictures in rows; as many rows as columns if their number is not given.

    Raises
    ------
    InvalidValueError
        If there is none.
    """
    if not cells:
        raise InvalidValueError("a contact sheet needs a picture")
    return montage(cells, columns or int(np.ceil(np.sqrt(len(cells)))))


def thumbnail(
    explanation: Explanation, rank: int, side: int, drawing: Drawing = PUBLISHED
) -> Picture:
    """Return an overlay in the picture's own proportions, its longer side so many pixels long.

    The frame's overlay is brought back to these proportions where the drawing asks for the frame,
    or the picture itself is not there. Without maps the frame is all that is shown.
    """
    rows, columns = scaled_size(explanation.picture_size, side)
    shown = explanation.frame
    if explanation.maps.size:
        if drawing.size != "frame":
            with suppress(CamError):
                return explanation.overlay(rank, drawing, size=side)
        shown = explanation.overlay(rank, drawing, size="frame")
    return np.asarray(cv2.resize(shown, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)


def explanation_html(explanation: Explanation) -> str:
    """Return a result as HTML without anything outside of it: the picture and its classes' maps."""
    ranks = range(min(len(explanation.indices), MOST_SHOWN))
    plain = replace(explanation, maps=explanation.maps[:, :0])
    model = str(explanation.record.get("model", ""))
    figures = [_figure(thumbnail(plain, 0, THUMBNAIL), picture_name(explanation), model)]
    figures += [
        _figure(thumbnail(explanation, rank, THUMBNAIL), *_told(explanation, rank))
        for rank in ranks
    ]
    return _flex(figures, len(explanation.indices) - len(ranks))


def model_html(model: CamModel) -> str:
    """Return what a model is, as a small table of HTML."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{name}</th><td>{html.escape(str(value))}</td></tr>"
        for name, value in model_facts(model).items()
    )
    return f"<table>{rows}</table>"


def model_facts(model: CamModel) -> dict[str, object]:
    """Return what is to be known of a model at a glance."""
    head = model.network.head
    return {
        "model": model.name,
        "engine": f"{model.engine.name} on {model.engine.device}",
        "classes": len(model.class_names),
        "crop": f"{model.crop_size}x{model.crop_size}",
        "last conv": head.last_conv,
        "class layer": head.class_layer,
    }


def picture_name(explanation: Explanation) -> str:
    """Return the name of the picture's file; empty if it is none."""
    return "" if explanation.path is None else Path(explanation.path).name


def _told(explanation: Explanation, rank: int) -> tuple[str, str]:
    """Return a class's first name, and its rank and probability."""
    name = short_name(explanation.names[rank])
    return name, f"{rank + 1}: {explanation.probabilities[rank]:.3f}"


def _figure(picture: Picture, *lines: str) -> str:
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    data = base64.b64encode(encoded.tobytes()).decode()
    texts = [html.escape(line) for line in lines if line]
    return (
        f'<figure style="margin:0"><img alt="{", ".join(texts)}" '
        f'src="data:image/jpeg;base64,{data}">'
        f"<figcaption>{'<br>'.join(texts)}</figcaption></figure>"
    )


def _flex(figures: Sequence[str], more: int) -> str:
    rest = f"<p>and {more} more</p>" if more > 0 else ""
    return f'<div style="{_ROW}">{"".join(figures)}</div>{rest}'
