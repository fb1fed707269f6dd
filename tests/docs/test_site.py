"""The built site: every public name, every link, every question, and nothing from elsewhere.

`make docs` builds it and runs these tests.
"""

from __future__ import annotations

import pkgutil
import re
from html.parser import HTMLParser
from importlib import import_module
from inspect import ismodule
from pathlib import Path
from types import ModuleType
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import pytest
from locations import REPOSITORY

import cam

SITE = REPOSITORY / "docs" / "_build" / "html"

pytestmark = pytest.mark.skipif(not (SITE / "index.html").is_file(), reason="make docs builds it")

QUESTIONS = (
    "another class than the top five",
    "the picture's own size",
    "my own classes",
    "Which names does Python offer",
    "How do I cite it",
    "Where is the repository",
    "What does auto take",
    "the default placement off by up to 16 pixels",
    "the frame that ten crops leave in a map",
)


class Page(HTMLParser):
    """The links, anchors, headings and loaded files of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.headings: list[str] = []
        self._in_heading = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors.add(values.get("id", ""))
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag == "link" and "href" in values:
            self.loaded.append(values["href"])
        elif "src" in values:
            self.loaded.append(values["src"])
        if re.fullmatch("h[1-6]", tag):
            self._in_heading = True
            self.headings.append("")

    def handle_endtag(self, tag: str) -> None:
        if re.fullmatch("h[1-6]", tag):
            self._in_heading = False

    def handle_data(self, data: str) -> None:
        if self._in_heading:
            self.headings[-1] += data

    def neighbours(self) -> set[Path]:
        """Return the pages of the site that its links lead to."""
        parts = [urlsplit(link) for link in self.links]
        inside = [part.path for part in parts if not part.scheme and part.path.endswith(".html")]
        return {(self.path.parent / unquote(path)).resolve() for path in inside}


@pytest.fixture(scope="module")
def pages() -> dict[Path, Page]:
    return {
        path: Page(path) for path in SITE.rglob("*.html") if SITE / "_static" not in path.parents
    }


def public_modules(package: ModuleType = cam) -> list[ModuleType]:
    found = [package]
    for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if "._" in info.name or info.name == "cam.cli":
            continue
        module = import_module(info.name)
        found += public_modules(module) if info.ispkg else [module]
    return found


def public_names(module: ModuleType) -> list[str]:
    own = [name for name, value in vars(module).items() if is_own(value, module)]
    return list(getattr(module, "__all__", own))


def is_own(value: object, module: ModuleType) -> bool:
    is_here = getattr(value, "__module__", None) == module.__name__
    name = getattr(value, "__name__", "_")
    return is_here and not name.startswith("_") and not isinstance(value, TypeVar)


def test_each_public_name_has_its_place_in_the_reference(pages: dict[Path, Page]) -> None:
    reference = SITE / "generated" / "api"
    anchors = set().union(
        *(page.anchors for path, page in pages.items() if reference in path.parents)
    )
    wanted = {
        f"{module.__name__}.{name}"
        for module in public_modules()
        for name in public_names(module)
        if not ismodule(getattr(module, name))
    }
    assert len(wanted) > 500
    documented = anchors | {anchor.removeprefix("module-") for anchor in anchors}
    assert wanted - documented == set()


def test_names_that_stay_are_in_the_table_of_the_interface(pages: dict[Path, Page]) -> None:
    links = " ".join(pages[SITE / "api.html"].links)
    assert [name for name in cam.__all__ if f"#cam.{name}" not in links] == []


def test_each_link_within_the_site_leads_somewhere(pages: dict[Path, Page]) -> None:
    broken = []
    for path, page in pages.items():
        for link in [*page.links, *page.loaded]:
            target = urlsplit(link)
            if target.scheme or link.startswith("#!"):
                continue
            file = (path.parent / unquote(target.path)).resolve() if target.path else path
            if not file.exists():
                broken.append(f"{path.relative_to(SITE)}: {link}")
                continue
            known = pages[file].anchors if file in pages else {target.fragment}
            if target.fragment and unquote(target.fragment) not in known:
                broken.append(f"{path.relative_to(SITE)}: {link}")
    assert broken == []


def test_links_to_elsewhere_are_whole_addresses(pages: dict[Path, Page]) -> None:
    outside = {link for page in pages.values() for link in page.links if urlsplit(link).scheme}
    assert [link for link in outside if not re.fullmatch(r"\w+://[\w.:-]+(/\S*)?", link)] == []


def test_no_page_loads_anything_from_elsewhere(pages: dict[Path, Page]) -> None:
    loaded = {link for page in pages.values() for link in page.loaded}
    assert [link for link in loaded if urlsplit(link).scheme not in ("", "data")] == []
    styles = "".join(path.read_text(encoding="utf-8") for path in SITE.rglob("*.css"))
    assert re.findall(r"url\(['\"]?(?:https?:)?//[^)]*|@import[^;]*//[^;]*", styles) == []


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_is_two_clicks_from_the_first_page(
    question: str, pages: dict[Path, Page]
) -> None:
    first = SITE / "index.html"
    one = pages[first].neighbours()
    two = set().union(*(pages[path].neighbours() for path in one if path in pages))
    found = [
        path
        for path in ({first} | one | two) & pages.keys()
        if any(question in heading.replace("’", "'") for heading in pages[path].headings)
    ]
    assert found != []
