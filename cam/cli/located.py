"""Boxes as the commands show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from cam.cli.pictures import NamedPicture
from cam.explain.located import LocatedClass

MOST_PRINTED = 10


def report_located(
    one: NamedPicture, located: Sequence[LocatedClass], as_json: bool
) -> dict[str, Any]:
    """Print each class and its boxes, unless they come as JSON; return what JSON says."""
    if not as_json:
        click.echo(f"{one.name}: x1 y1 x2 y2, written to {one.folder}")
        for each in located:
            if each.probability is not None:
                click.echo(f"  {each.name} ({each.probability:.4f})")
            for box in each.boxes[:MOST_PRINTED]:
                click.echo("  {:5d} {:5d} {:5d} {:5d}".format(*box.corners))
            if len(each.boxes) > MOST_PRINTED:
                click.echo(f"  and {len(each.boxes) - MOST_PRINTED} smaller ones")
            if not each.boxes:
                click.echo("  no box: nothing stands out")
    boxes = [each.to_dict() for each in located]
    return {"picture": one.name, "folder": str(one.folder), "located": boxes}
