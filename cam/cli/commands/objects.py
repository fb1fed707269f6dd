"""Rank the objects that the active regions of each class's maps hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cam.cli.declaring import Count, argument, as_command, option
from cam.cli.options import JsonOption
from cam.cli.progress import working
from cam.learning.objects import HeldObject, held_objects, read_objects
from cam.localization import PAPER_FRACTION


@dataclass(frozen=True)
class ObjectsRequest(JsonOption):
    """Whose maps, which objects."""

    store: Path = argument("STORE")
    table: Path = argument("OBJECTS")
    best: Count = option("How many objects of a class to print.", default=10)
    share: float = option(
        "A region is where the map is above this share of its maximum.", default=PAPER_FRACTION
    )


@as_command
def objects(request: ObjectsRequest) -> None:
    """Rank the objects that the active regions of each class's maps hold (section 4.2).

    STORE is one of cam batch with maps. OBJECTS is a table (.csv) with the columns name (the
    picture's, as in the store), object, and x, y, width, height or mask (a picture file whose
    pixels above 0 are the object). With --json, all objects are printed.
    """
    with working("reading the store"):
        ranked = held_objects(request.store, read_objects(request.table), request.share)
    values = {name: [asdict(one) for one in held] for name, held in ranked.items()}
    request.show(values, _lines(ranked, request.best))


def _lines(ranked: Mapping[str, Sequence[HeldObject]], best: int) -> Iterator[str]:
    for name, held in ranked.items():
        yield f"{name} (pictures: {held[0].pictures})"
        for one in held[:best]:
            yield f"  {one.frequency:6.1%}  {one.name} (held in {one.held} of {one.present})"
