"""What is made of a request's picture: plain functions, called in threads."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import cv2

from cam.errors import CamError
from cam.explain.drawing import Drawing, scaled_size
from cam.explain.explanation import Explanation
from cam.explain.styles import get_style
from cam.fidelity.comparison import compare
from cam.fidelity.results import decode_result, result_of
from cam.pictures.reading import Picture, decode_picture
from cam.pictures.sizes import claimed_size
from cam.viewer.payload import data_uri, payload
from cam.viewer.server.limits import Limits, RefusedError
from cam.viewer.server.models import ServedModel
from cam.viewer.server.schemas import CompareQuery, ExplainQuery, ExportQuery, OverlayQuery
from cam.viewer.server.uploads import Upload

LARGE_PIXELS = 10_000_000
"""Pictures of more are worked on one after the other: each takes hundreds of megabytes."""

MEDIA_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "npz": "application/x-npz",
    "mat": "application/x-matlab-data",
}

# Reentrant, since a comparison explains a picture.
_one_large = threading.RLock()


class Answer(NamedTuple):
    """The body of an answer and its media type."""

    body: bytes
    media_type: str = "application/json"


@contextmanager
def _explained(
    model: ServedModel, data: bytes, query: ExplainQuery, limits: Limits
) -> Iterator[Explanation]:
    """Give the explanation of a picture; a large picture has the machine to itself meanwhile."""
    size = claimed_size(data) or (0, 0)
    _check_pixels(*size, limits)
    style = get_style(query.style, query.placement)
    top = model.model.top_count(query.top)
    classes = [model.model.class_index(name) for name in query.classes] or None
    if size[0] * size[1] <= LARGE_PIXELS:
        yield model.explain(decode_picture(data, "the picture"), style, top, classes)
        return
    with _one_large:
        yield model.explain(decode_picture(data, "the picture"), style, top, classes)


def _check_pixels(width: int, height: int, limits: Limits) -> None:
    if width * height > limits.pixels:
        raise RefusedError(413, f"{width} x {height} pixels, over the limit of {limits.pixels}")


def explain(model: ServedModel, data: bytes, query: ExplainQuery, limits: Limits) -> Answer:
    """Return the classes and maps of a picture as JSON; see `cam.viewer.payload`."""
    with _explained(model, data, query, limits) as explanation:
        return _json(_payload(explanation, query))


def _payload(explanation: Explanation, query: ExplainQuery) -> dict[str, Any]:
    boxes: list[list[list[int]]] = [[] for _ in explanation.names]
    if "boxes" in query.include:
        # A class at a time, since an explanation keeps the heat maps that it finds boxes in.
        alone = (explanation.of_class(int(index)) for index in explanation.indices)
        boxes = [[list(box) for box in one.boxes(0)] for one in alone]
    frame = None if "frame" in query.include else ""
    given = payload(explanation, query.name, boxes=boxes, frame=frame)
    if "overlays" in query.include:
        for k, entry in enumerate(given["classes"]):
            entry["overlay"] = data_uri(explanation.overlay(k))
    return given


def overlay(model: ServedModel, data: bytes, query: OverlayQuery, limits: Limits) -> Answer:
    """Return the overlay of one class as a picture."""
    size = int(query.size) if query.size.isdecimal() else query.size
    drawing = Drawing(
        size, query.colormap, query.alpha, boxes=query.boxes, color_bar=query.color_bar
    )
    with _explained(model, data, query, limits) as explanation:
        if query.k >= len(explanation.names):
            raise RefusedError(
                422, f"no class of rank {query.k}; there are {len(explanation.names)}, from 0"
            )
        if not isinstance(size, str):
            rows, columns = scaled_size(explanation.picture_size, size)
            _check_pixels(columns, rows, limits)
        return _picture(explanation.overlay(query.k, drawing), query.format)


def export(model: ServedModel, data: bytes, query: ExportQuery, limits: Limits) -> Answer:
    """Return the explanation as a file: arrays, features for MATLAB, or the montage."""
    with _explained(model, data, query, limits) as explanation:
        if query.format == "png":
            return _picture(explanation.montage(captions=True), "png")
        content = io.BytesIO()
        write: Callable[[io.BytesIO], None] = getattr(explanation, f"to_{query.format}")
        write(content)
        return Answer(content.getvalue(), MEDIA_TYPES[query.format])


def compare_with(
    model: ServedModel, picture: Upload, result: Upload, query: CompareQuery, limits: Limits
) -> Answer:
    """Return how far the explanation of a picture is from a result of MATLAB, as JSON."""
    rank = None if query.rank is None else query.rank - 1
    _check_pixels(*(claimed_size(result.data) or (0, 0)), limits)
    # A MATLAB file may unpack to hundreds of megabytes, too.
    with _one_large:
        theirs = decode_result(result.data, result.name, rank)
        with _explained(model, picture.data, query, limits) as explanation:
            outcome = compare(result_of(explanation), theirs, None, model.model.class_weights)
        return _json(outcome.to_dict())


def _json(value: Any) -> Answer:
    return Answer(json.dumps(value, allow_nan=False, separators=(",", ":")).encode())


def _picture(picture: Picture, kind: str) -> Answer:
    try:
        encoded = cv2.imencode(f".{kind}", picture)[1]
    except cv2.error as error:
        raise CamError(f"OpenCV cannot write this as {kind}: {error.err}") from error
    return Answer(encoded.tobytes(), MEDIA_TYPES[kind])
