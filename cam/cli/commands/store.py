"""Say what a store holds, and whether it is sound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cam.batch.record import read_record, recorded
from cam.batch.store import Summary, check_store, summarize
from cam.cli.declaring import argument, as_command
from cam.cli.messages import runs_on
from cam.cli.options import JsonOption
from cam.cli.progress import working
from cam.errors import CamError

MOST_SHOWN = 5
"""How many problems a message names."""


@dataclass(frozen=True)
class StoreRequest(JsonOption):
    """Which store."""

    folder: Path = argument("STORE")


@as_command
def store(request: StoreRequest) -> None:
    """Say what a store of `cam batch` holds, and read all of it to see that it is sound."""
    folder = request.folder
    with working("reading the store"):
        problems = check_store(folder)
    if problems:
        more = f" and {len(problems) - MOST_SHOWN} more" if len(problems) > MOST_SHOWN else ""
        raise CamError(
            f"{'; '.join(problems[:MOST_SHOWN])}{more}: run the same batch again, which makes "
            "these anew"
        )
    record, summary = read_record(folder), summarize(folder)
    report = {"record": record, "summary": asdict(summary)}
    request.show(report, _lines(folder, record, summary))


def _lines(folder: Path, record: dict[str, Any], summary: Summary) -> Iterator[str]:
    def said(names: str) -> str:
        return recorded(folder, record, names, str)

    digest = said("model.caffemodel_sha256")
    ran = {name: said(f"model.{name}") for name in ("engine", "device")}
    yield f"{said('model.model')} ({said('model.caffemodel')}, SHA-256 {digest})"
    yield f"{runs_on({**record['model'], **ran})}, style {said('options.style')}"
    outputs = map(str, recorded(folder, record, "options.outputs", list))
    yield f"kept: {', '.join(['top classes', *outputs])}"
    yield from summary_lines(folder, summary)
    if summary.missing:
        yield "not finished: run the same batch again, which goes on from there"


def summary_lines(folder: Path, summary: Summary) -> Iterator[str]:
    """Say how many pictures a store has, and their accuracy where labels are given."""
    counts = f"{summary.explained} of {summary.pictures} pictures done"
    if summary.failed:
        counts += f", {summary.failed} could not be read"
    yield f"{folder}: {counts}"
    if summary.labelled:
        accuracies = ", ".join(
            f"top-{count} accuracy {share:.2%}" for count, share in summary.top_accuracy.items()
        )
        yield f"{accuracies} of {summary.labelled} pictures with labels"
