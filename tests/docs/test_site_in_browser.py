"""The built site, opened from its files in a real browser: nothing from elsewhere, no error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import browser as browsers
import pytest
from locations import REPOSITORY

SITE = REPOSITORY / "docs" / "_build" / "html"

pytestmark = pytest.mark.skipif(not (SITE / "index.html").is_file(), reason="make docs builds it")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsers.started() as started:
        yield started


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["index", "faq", "generated/gallery/index", "generated/api/cam"])
def test_a_page_asks_nothing_of_elsewhere(browser: Any, name: str, scheme: str) -> None:
    with browsers.watched(browser, SITE.as_uri(), color_scheme=scheme) as page:
        page.goto((SITE / f"{name}.html").as_uri())
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        first = int(background.split("(")[1].split(",")[0])
        assert (first > 127) == (scheme == "light")


@pytest.mark.parametrize("name", ["index", "faq", "tutorial", "commands"])
def test_a_page_is_no_wider_than_a_phone(browser: Any, name: str) -> None:
    with browsers.watched(browser, SITE.as_uri(), viewport=browsers.PHONE) as page:
        page.goto((SITE / f"{name}.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= browsers.PHONE["width"]


def test_the_search_works_from_files(browser: Any) -> None:
    with browsers.watched(browser, SITE.as_uri()) as page:
        page.goto((SITE / "search.html").as_uri() + "?q=Preprocessing")
        page.wait_for_selector("#search-results li a")
        assert "Preprocessing" in page.inner_text("#search-results")
