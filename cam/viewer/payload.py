"""The object that the report and the live page hand to the browser for each picture.

The browser colours the raw maps itself (`page/maps.js`), so that another class, opacity or colour
map needs no second request, and a report no server. One picture is one JSON object:

============== ========================================================================
``name``       what the picture is called; any text, from anyone
``rows``,      size of the picture itself, in pixels
``columns``
``style``,     ``"pycaffe"`` or ``"matlab"``, ``"stretch"`` or ``"crop"``: how maps become
``placement``  a heat map, see docs/method.md
``crop_size``, rows and columns of a crop and of the frame that crops are cut out of, on
``frame_size`` which the published overlays lie
``frame``      data URI of the frame; PNG, or JPEG where a report of many pictures has to
               stay small
``picture``    data URI of the picture in its own proportions; in reports that have room
``classes``    list, best first: ``{"index": from 0, "name", "probability", "boxes"}``,
               where each box is ``[x, y, width, height]`` in the picture's pixels
``maps``       raw maps: ``{"shape": [crops, T, h, w], "dtype": "float16" or "float32",
               "data": base64 of the numbers, little-endian, C order}``, T classes in the
               order of ``classes``
``label``      ``{"index", "name"}`` of the class that the picture is labelled with
``record``     model, engine, device, preprocessing and versions
============== ========================================================================

``frame``, ``picture``, ``maps``, ``label`` and ``record`` are left out where they are not known;
probabilities that are no numbers are null. Boxes may have sizes below zero, as the original's
program writes them.

Colour maps are handed over once, as `color_tables`; the live page asks for them at
``GET /api/colormaps``.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from cam.explain.explanation import Explanation
from cam.maps.colors import COLOR_BLIND_SAFE, colors
from cam.matlab import jet
from cam.pictures.reading import Picture

Precision = Literal["float16", "float32"]

COLOR_MAPS = (*COLOR_BLIND_SAFE, "jet", "turbo", "bone")
"""OpenCV's colour maps that the page offers."""

MATLAB_JET = "matlab jet"
"""What the page calls the colours of the matlab style, which OpenCV does not have."""


def payload(
    explanation: Explanation,
    name: str,
    *,
    precision: Precision = "float32",
    boxes: Sequence[Sequence[Sequence[int]]] | None = None,
    frame: str | None = None,
) -> dict[str, Any]:
    """Return an explanation as the JSON-ready object that the page takes.

    Parameters
    ----------
    explanation : cam.explain.explanation.Explanation
        The picture's classes and maps.
    name : str
        What the picture is called.
    precision : {"float16", "float32"}, optional
        Of the maps; half precision loses nothing where they come from a store that has it.
    boxes : sequence, optional
        For each class its boxes, ``x, y, width, height``; found by the original's rule if not
        given.
    frame : str, optional
        Data URI of the frame; a PNG, without loss, if not given, and left out if empty.

    Returns
    -------
    dict
        As the module says, with a record; without a label and without the picture.

    Examples
    --------
    >>> from cam.explain.styles import get_style
    >>> explanation = Explanation(
    ...     frame=np.zeros((256, 256, 3), np.uint8),
    ...     picture_size=(480, 640),
    ...     scores=np.array([0.25, 0.75], np.float32),
    ...     indices=np.array([1]),
    ...     names=("cup",),
    ...     maps=np.ones((1, 1, 7, 7), np.float32),
    ...     crop_size=224,
    ...     style=get_style("pycaffe"),
    ... )
    >>> given = payload(explanation, "photo.jpg", boxes=[[[10, 20, 30, 40]]])
    >>> given["classes"]
    [{'index': 1, 'name': 'cup', 'probability': 0.75, 'boxes': [[10, 20, 30, 40]]}]
    >>> given["maps"]["shape"], given["placement"]
    ([1, 1, 7, 7], 'stretch')
    """
    style = explanation.style.record
    if boxes is None:
        boxes = _boxes(explanation)
    if frame is None:
        frame = data_uri(explanation.frame)
    rows, columns = explanation.picture_size
    given = {
        "name": name,
        "rows": rows,
        "columns": columns,
        "style": style["style"],
        "placement": style.get("placement", "stretch"),
        "crop_size": explanation.crop_size,
        "frame_size": len(explanation.frame),
        "classes": [
            {"index": int(index), "name": class_name, "probability": number(value), "boxes": found}
            for index, class_name, value, found in zip(
                explanation.indices,
                explanation.names,
                explanation.probabilities,
                boxes,
                strict=True,
            )
        ],
        "record": dict(explanation.record),
    }
    if frame:
        given["frame"] = frame
    if explanation.maps.size:
        given["maps"] = packed(explanation.maps, precision)
    return given


def _boxes(explanation: Explanation) -> list[list[list[int]]]:
    ranks = range(len(explanation.names))
    if not explanation.maps.size:
        return [[] for _ in ranks]
    return [[list(box) for box in explanation.boxes(k)] for k in ranks]


def packed(maps: NDArray[Any], precision: Precision) -> dict[str, Any]:
    """Return raw maps, of shape (crops, T, h, w), as shape, type and base64."""
    numbers = np.ascontiguousarray(maps, np.dtype(precision).newbyteorder("<"))
    data = base64.b64encode(numbers.tobytes()).decode("ascii")
    return {"shape": list(maps.shape), "dtype": precision, "data": data}


def number(value: float) -> float | None:
    """Return a number as JSON has it: None for what is not finite."""
    return float(value) if math.isfinite(value) else None


def data_uri(picture: Picture, kind: Literal["png", "jpeg"] = "png", quality: int = 90) -> str:
    """Return a picture, uint8 (H, W, 3) BGR, as a data URI; the quality is JPEG's, 0 to 100."""
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality] if kind == "jpeg" else []
    encoded = cv2.imencode(f".{kind}", picture, settings)[1]
    return f"data:image/{kind};base64,{base64.b64encode(encoded.tobytes()).decode('ascii')}"


def color_tables() -> dict[str, str]:
    """Return the colour maps that the page offers: by name the base64 of 256 × (red, green, blue).

    Returns
    -------
    dict of str to str
        OpenCV's, and MATLAB's jet rounded to bytes.
    """
    tables = {name: colors(name)[:, ::-1] for name in COLOR_MAPS}
    tables[MATLAB_JET] = np.round(jet(256) * 255).astype(np.uint8)
    return {
        name: base64.b64encode(np.ascontiguousarray(table).tobytes()).decode("ascii")
        for name, table in tables.items()
    }
