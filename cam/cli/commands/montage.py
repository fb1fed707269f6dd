"""Put the maps of many pictures on one contact sheet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import click

from cam.batch.store import is_store
from cam.cli.declaring import Count, argument, as_command, option, output_option
from cam.cli.drawing import SheetOptions
from cam.cli.messages import report_failures, say
from cam.cli.options import ForwardOptions, NamedClassOption, StyleOptions
from cam.cli.progress import progress_bar
from cam.errors import CamError, InvalidValueError
from cam.explain.drawing import FORMATS, Drawing
from cam.explain.explanation import RESULT_FILE, Explanation
from cam.explain.grid import contact_sheet, sheet_cell
from cam.explain.model import CamModel
from cam.pictures.lists import find_pictures
from cam.pictures.reading import Picture, write_picture
from cam.viewer.sources import open_source


@dataclass(frozen=True)
class MontageRequest(ForwardOptions, StyleOptions, NamedClassOption, SheetOptions):
    """Which pictures or results, and how they are drawn."""

    sources: tuple[str, ...] = argument("PICTURE|FOLDER|STORE...")
    most: Count = option("How many pictures at most.", default=100)
    output: Path = output_option("The sheet, .png, .jpg, .pdf or .svg.", "montage.png")

    @cached_property
    def running(self) -> CamModel:
        """The model, for pictures that have no results yet; loaded when it is first needed."""
        return self.open()

    def results(self) -> Iterator[tuple[str, Explanation | CamError]]:
        """Yield each picture's name and its result, or why there is none."""
        for source in self.sources:
            yield from _stored(source) if _has_results(source) else self._explained(source)

    def _explained(self, source: str) -> Iterator[tuple[str, Explanation | CamError]]:
        try:
            for entry in find_pictures([source]):
                try:
                    picture, classes = entry.read(), list(self.named_classes) or None
                    style = self.chosen_style
                    yield entry.name, self.running.explain(picture, 1, style, classes=classes)
                except CamError as error:
                    yield entry.name, error
        except CamError as error:
            yield source, error

    def cells(self, name: str, result: Explanation, drawing: Drawing) -> Iterator[Picture]:
        """Yield a result's pictures for the sheet: of the named classes, or of the best one."""
        chosen = result.of_classes(self.named_classes) if self.named_classes else result
        for rank in range(len(self.named_classes) or 1):
            yield sheet_cell(chosen, name, rank, drawing)


@as_command
def montage(request: MontageRequest) -> int:
    """Put the maps of many pictures on one contact sheet, each with its best class.

    A PICTURE is one as of cam run, or a FOLDER or list of them; a FOLDER may also hold results of
    cam run, and a STORE is one of cam batch: these need no network. With --class the sheet has the
    map of that class.
    """
    drawing, failures, cells, pictures = request.drawing, [], list[Picture](), 0
    if request.output.suffix.lower().lstrip(".") not in FORMATS:
        raise InvalidValueError(f"a sheet is a .png, .jpg, .pdf or .svg, not {request.output}")
    if not all(map(_has_results, request.sources)):
        # Before the bar, since its own progress is shown.
        _ = request.running
    with progress_bar("pictures") as bar:
        for name, result in request.results():
            if pictures == request.most:
                say(f"the first {pictures} pictures only; --most takes more")
                break
            try:
                if isinstance(result, CamError):
                    raise result
                cells += request.cells(Path(name).name, result, drawing)
                pictures += 1
            except CamError as error:
                failures.append(str(error))
            bar.advance(1)
    if not cells:
        raise CamError(failures[0] if failures else "no picture was found")
    write_picture(request.output, contact_sheet(cells, request.columns))
    if "running" in vars(request):
        request.show_notes(request.running.network)
    click.echo(f"{request.output}: {pictures} pictures")
    return report_failures(failures)


def _has_results(source: str) -> bool:
    folder = Path(source)
    return folder.is_dir() and (
        is_store(folder) or any(any(folder.glob(f"{at}{RESULT_FILE}")) for at in ("", "*/"))
    )


def _stored(source: str) -> Iterator[tuple[str, Explanation | CamError]]:
    """Yield what a store or a folder of results holds."""
    for job in open_source(source).jobs():
        one = job()
        yield one.name, one.explanation or CamError(f"{one.name}: {one.reason}")
