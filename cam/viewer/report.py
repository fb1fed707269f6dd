"""Stores and results as pages that need nothing else: no server, no network, no Python.

A report is written picture by picture, so that memory stays the same however many there are.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from cam.batch.pipeline import ONE_THREAD_EACH, ahead
from cam.errors import CamError, InvalidValueError
from cam.explain.explanation import remove_earlier
from cam.files import PathLike, atomic_path
from cam.viewer.overview import PageSummary, overview
from cam.viewer.page_files import data_block, head, tail
from cam.viewer.payload import payload
from cam.viewer.pictures_within import pictures_within
from cam.viewer.sources import Job, ReportPicture, Source, open_source

LARGEST = 39_800_000
"""Bytes of a page, at most."""

PER_PAGE = 1000
"""Pictures of a page, at most."""

_SCRIPT_BYTES = 100_000
_SMALLEST_SHARE = 9_000
"""Bytes for a picture and its texts, beside its maps, that a page has at least."""


@dataclass(frozen=True)
class ReportSummary:
    """What a report holds.

    Attributes
    ----------
    pages : tuple of pathlib.Path
        Its pages.
    pictures, failed, without_picture : int
        How many pictures it has, how many of them could not be explained, and how many have maps
        but no picture, since its file was not found.
    """

    pages: tuple[Path, ...]
    pictures: int
    failed: int
    without_picture: int


def write_report(
    inputs: Sequence[PathLike],
    output: PathLike,
    per_page: int = PER_PAGE,
    on_pictures: Callable[[int], object] = lambda count: None,
) -> ReportSummary:
    """Write stores and results as a report.

    Parameters
    ----------
    inputs : sequence of path-like
        Stores of `cam batch` and folders of `cam run`.
    output : path-like
        The HTML file, ``report.html``. Of more pictures than a page holds it is the list of the
        pages, which are in the folder ``report_pages`` beside it.
    per_page : int, optional
        Pictures of a page; fewer where they would be over `LARGEST` bytes.
    on_pictures : callable, optional
        Called with the number of pictures that are done since the last call.

    Returns
    -------
    ReportSummary
        What was written.

    Raises
    ------
    CamError
        If an input is neither, a store is damaged, no picture is done, or a file cannot be
        written.
    """
    target = Path(output)
    if target.suffix.lower() not in (".html", ".htm"):
        raise InvalidValueError(f"a report is a file that ends in .html, not {target}")
    if per_page < 1:
        raise InvalidValueError(f"a page has 1 picture or more, not {per_page}")
    sources = [open_source(path) for path in inputs]
    report = _Report.of(target, sources, per_page)
    workers = os.cpu_count() or 1
    with ONE_THREAD_EACH[True], ThreadPoolExecutor(workers, "cam-report") as pool:

        def start(job: tuple[int, Job]) -> Callable[[], _Prepared]:
            return pool.submit(_prepared, *job, report.share).result

        with closing(ahead(start, _jobs(sources), 2 * workers)) as pictures:
            return report.write(_told(pictures, on_pictures))


def count_pictures(inputs: Sequence[PathLike]) -> int:
    """Return how many pictures a report of stores and results will have."""
    return sum(open_source(path).count for path in inputs)


def _jobs(sources: Sequence[Source]) -> Iterator[tuple[int, Job]]:
    for number, source in enumerate(sources):
        for job in source.jobs():
            yield number, job


@dataclass(frozen=True)
class _Prepared:
    """A picture ready to be written: its line of the list, and what is read when it is shown."""

    summary: dict[str, Any]
    payload: dict[str, Any] | None = None
    has_picture: bool = True


def _prepared(source: int, job: Job, share: int) -> _Prepared:
    shown = job()
    try:
        return _written(shown, source, share)
    # Files come from anyone: arrays of them may not fit each other.
    except (CamError, ValueError, TypeError, IndexError) as error:
        failed = replace(shown, explanation=None, reason=f"damaged: {error}")
        return _written(failed, source, share)


def _written(shown: ReportPicture, source: int, share: int) -> _Prepared:
    summary = {**shown.summary, "source": source}
    explanation = shown.explanation
    if explanation is None:
        return _Prepared(summary)
    given = payload(explanation, shown.name, precision=shown.precision, boxes=shown.boxes, frame="")
    del given["record"]
    if shown.has_frame:
        room = share - len(json.dumps(given)) - len(json.dumps(summary))
        given |= pictures_within(room, explanation.frame, shown.picture)
    return _Prepared(summary, given, shown.has_frame)


def _told(
    pictures: Iterator[_Prepared], on_pictures: Callable[[int], object]
) -> Iterator[_Prepared]:
    for picture in pictures:
        on_pictures(1)
        yield picture


@dataclass(frozen=True)
class _Report:
    """Where a report goes, and how much a page of it holds."""

    target: Path
    sources: Sequence[Source]
    total: int
    per_page: int

    @classmethod
    def of(cls, target: Path, sources: Sequence[Source], per_page: int) -> _Report:
        total = sum(source.count for source in sources)
        if not total:
            names = ", ".join(source.name for source in sources)
            raise CamError(f"{names}: no picture is done yet, so there is nothing to report")
        largest = max(source.map_bytes for source in sources) + _SMALLEST_SHARE
        fitting = max(1, (LARGEST - _SCRIPT_BYTES) // largest)
        return cls(target, sources, total, min(per_page, fitting))

    @property
    def share(self) -> int:
        """Bytes of a page for each picture."""
        return (LARGEST - _SCRIPT_BYTES) // min(self.total, self.per_page)

    @property
    def title(self) -> str:
        return ", ".join(source.name for source in self.sources)

    @property
    def folder(self) -> Path:
        return self.target.with_name(f"{self.target.stem}_pages")

    def write(self, pictures: Iterator[_Prepared]) -> ReportSummary:
        if self.total <= self.per_page:
            pages = [self._write_page(self.target, None, pictures)]
            paths = [self.target]
        else:
            pages = list(self._write_pages(pictures))
            paths = [self.target, *(self.folder / page.file for page in pages)]
            with atomic_path(self.target) as temporary:
                text = overview(self.title, self.sources, self.folder.name, pages)
                temporary.write_text(text, encoding="utf-8", errors="replace")
        remove_earlier(
            self.folder, re.compile(r"\d+\.html").fullmatch, {path.name for path in paths}
        )
        failed = sum(page.failed for page in pages)
        return ReportSummary(
            tuple(paths),
            sum(page.pictures for page in pages),
            failed,
            sum(page.without_picture for page in pages),
        )

    def _write_pages(self, pictures: Iterator[_Prepared]) -> Iterator[PageSummary]:
        count = -(-self.total // self.per_page)
        for number in range(1, count + 1):
            links = {
                "number": number,
                "previous": f"{number - 1}.html" if number > 1 else None,
                "overview": f"../{quote(self.target.name)}",
                "next": f"{number + 1}.html" if number < count else None,
            }
            chunk = islice(pictures, self.per_page)
            yield self._write_page(self.folder / f"{number}.html", links, chunk)

    def _write_page(
        self, path: Path, links: dict[str, Any] | None, pictures: Iterator[_Prepared]
    ) -> PageSummary:
        with (
            atomic_path(path) as temporary,
            temporary.open("w", encoding="utf-8", errors="replace") as file,
        ):
            file.write(head(self.title))
            summary = self._write_pictures(file, path.name, links, pictures)
            file.write(tail())
        return summary

    def _write_pictures(
        self, file: IO[str], name: str, links: dict[str, Any] | None, pictures: Iterator[_Prepared]
    ) -> PageSummary:
        listed, without_picture = [], 0
        for number, picture in enumerate(pictures):
            listed.append(picture.summary)
            without_picture += not picture.has_picture
            if picture.payload is not None:
                file.write(data_block(f"picture-{number}", picture.payload))
        summary = PageSummary.of(name, listed, without_picture)
        sources = [
            {
                "name": source.name,
                "lines": source.lines,
                "notes": source.notes,
                "record": source.record,
            }
            for source in self.sources
        ]
        said = {"title": self.title, "sources": sources, "notes": summary.notes, "page": links}
        file.write(data_block("report", {**said, "pictures": listed}))
        return summary
