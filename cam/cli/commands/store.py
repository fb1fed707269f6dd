"""Say what a store holds, and whether it is sound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cam.batch.listing import ListedPicture, least_sure_pictures, write_table, wrong_pictures
from cam.batch.record import read_record, recorded
from cam.batch.store import Summary, check_store, summarize
from cam.cli.declaring import Count, argument, as_command, option
from cam.cli.messages import runs_on
from cam.cli.options import JsonOption
from cam.cli.progress import working
from cam.errors import CamError

MOST_SHOWN = 5
"""How many problems a message names."""


@dataclass(frozen=True)
class StoreRequest(JsonOption):
    """Which store, and which of its pictures to name."""

    folder: Path = argument("STORE")
    wrong: Count | None = option(
        "Name so many pictures that are taken for another class than their label's, surest first."
    )
    least_sure: Count | None = option(
        "Name so many pictures whose best class has the lowest probability."
    )
    table: Path | None = option("Write pictures, labels and classes as a CSV table.", "--csv")

    @property
    def lists(self) -> dict[str, list[ListedPicture]]:
        """The pictures that are asked for."""
        asked = {
            "wrong": (wrong_pictures, self.wrong),
            "least_sure": (least_sure_pictures, self.least_sure),
        }
        return {name: find(self.folder, count) for name, (find, count) in asked.items() if count}


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
    lists = request.lists
    said = {name: [one._asdict() for one in pictures] for name, pictures in lists.items()}
    report = {"record": record, "summary": asdict(summary), **said}
    if request.table is not None:
        write_table(folder, request.table)
    request.show(report, [*_lines(folder, record, summary), *_listed(lists)])


def _listed(lists: dict[str, list[ListedPicture]]) -> Iterator[str]:
    for name, pictures in lists.items():
        yield f"{name.replace('_', ' ')}:{'' if pictures else ' none'}"
        for picture in pictures:
            label = f", labelled {picture.label}" if picture.label else ""
            yield f"  {picture.probability:.4f}  {picture.name}: {picture.top}{label}"


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
