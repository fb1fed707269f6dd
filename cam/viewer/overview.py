"""The first page of a report of many pages: what they hold together, and where each is."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from cam.viewer.page_files import head
from cam.viewer.sources import Source

_PAIRS = 200


@dataclass(frozen=True)
class PageSummary:
    """What one page of a report holds.

    Attributes
    ----------
    file : str
        Its file's name.
    pictures, failed, wrong, without_picture : int
        How many pictures it has, how many could not be explained, how many are taken for another
        class than their label's, and how many have no picture beside their maps.
    first, last : str
        The names of its first and last picture.
    confusions : mapping
        How often the class of a label is taken for another, by the names of both.
    """

    file: str
    pictures: int
    failed: int
    wrong: int
    without_picture: int
    first: str
    last: str
    confusions: Mapping[tuple[str, str], int]

    @classmethod
    def of(
        cls, file: str, listed: Sequence[Mapping[str, Any]], without_picture: int
    ) -> PageSummary:
        """Count what a page lists."""
        wrong = [picture for picture in listed if picture.get("wrong")]
        return cls(
            file,
            len(listed),
            sum(picture["status"] == "failed" for picture in listed),
            len(wrong),
            without_picture,
            listed[0]["name"] if listed else "",
            listed[-1]["name"] if listed else "",
            Counter((picture["label"]["name"], picture["top"]["name"]) for picture in wrong),
        )

    @property
    def notes(self) -> list[str]:
        """What a reader of the page should know."""
        if not self.without_picture:
            return []
        are = "picture is" if self.without_picture == 1 else "pictures are"
        return [
            f"{self.without_picture} {are} not where the store says; the maps are shown on grey."
        ]


def overview(
    title: str, sources: Sequence[Source], folder: str, pages: Sequence[PageSummary]
) -> str:
    """Return the page that lists the pages of a report, as HTML."""
    return "".join(_lines(title, sources, folder, pages))


def _lines(
    title: str, sources: Sequence[Source], folder: str, pages: Sequence[PageSummary]
) -> Iterator[str]:
    yield head(title)
    yield f"<header><h1>{html.escape(title)}</h1>\n"
    for source in sources:
        yield from (f"<p>{html.escape(line)}</p>\n" for line in source.lines)
        yield from (f'<p class="note">{html.escape(note)}</p>\n' for note in source.notes)
    yield "</header>\n<main>\n<h2>Pages</h2>\n"
    yield from _table(
        ("Page", "Pictures", "Wrong", "Failed", "From", "To"), _page_rows(folder, pages)
    )
    confusions: Counter[tuple[str, str]] = Counter()
    for page in pages:
        confusions.update(page.confusions)
    if confusions:
        yield "<h2>Confused classes</h2>\n"
        rows = (
            [_text(label), _text(top), str(count)]
            for (label, top), count in confusions.most_common(_PAIRS)
        )
        yield from _table(("Label", "Taken for", "Pictures"), rows)
    yield "</main>\n</body>\n</html>\n"


def _page_rows(folder: str, pages: Sequence[PageSummary]) -> Iterator[Sequence[str]]:
    for number, page in enumerate(pages, 1):
        link = f'<a href="{quote(folder)}/{quote(page.file)}">page&nbsp;{number}</a>'
        counts = [str(count) for count in (page.pictures, page.wrong, page.failed)]
        yield [link, *counts, _text(page.first), _text(page.last)]


def _text(name: str) -> str:
    return f"<bdi>{html.escape(name)}</bdi>"


def _table(heads: Sequence[str], rows: Iterator[Sequence[str]]) -> Iterator[str]:
    cells = "".join(f"<th>{name}</th>" for name in heads)
    yield f"<table>\n<thead><tr>{cells}</tr></thead>\n<tbody>\n"
    for row in rows:
        yield "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>\n"
    yield "</tbody>\n</table>\n"
