"""A real browser for tests: Debian's chromium, driven by Playwright, with all requests watched."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-default-apps", "--no-first-run", "--disable-dev-shm-usage"),
)
PHONE = {"width": 390, "height": 844}


@contextmanager
def started() -> Iterator[Any]:
    """Start the browser, or skip; with ``CAM_REQUIRE_BROWSER=1`` in the environment, fail."""
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        program = None
    if program is None:
        told = "no chromium, or no Playwright, is installed here: apt-get install chromium"
        (pytest.fail if os.environ.get("CAM_REQUIRE_BROWSER") == "1" else pytest.skip)(told)
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*ARGUMENTS, *sandbox])
        yield browser
        browser.close()


@contextmanager
def watched(
    browser: Any, allowed: str, expected_errors: Sequence[str] = (), **settings: Any
) -> Iterator[Any]:
    """Open a page that may ask for addresses beginning with `allowed` only, and makes no error."""
    context = browser.new_context(**settings)
    context.set_default_timeout(20_000)
    refused, errors = [], []

    def answer(route: Any) -> None:
        if route.request.url.startswith((allowed, "data:", "blob:")):
            route.continue_()
        else:
            refused.append(route.request.url)
            route.abort()

    context.route("**/*", answer)
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("dialog", lambda dialog: (errors.append(dialog.message), dialog.dismiss()))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    try:
        yield page
    finally:
        context.close()
    assert refused == []
    assert [each for each in errors if not any(part in each for part in expected_errors)] == []


def pixels(page: Any, canvas: str) -> np.ndarray:
    """Return what a canvas shows, uint8 (rows, columns, 3) BGR."""
    said = page.evaluate(
        """(name) => {
          const canvas = document.querySelector(name);
          const { data } = canvas
            .getContext("2d")
            .getImageData(0, 0, canvas.width, canvas.height);
          let text = "";
          for (let i = 0; i < data.length; i += 8192) {
            text += String.fromCharCode(...data.subarray(i, i + 8192));
          }
          return [canvas.height, canvas.width, btoa(text)];
        }""",
        canvas,
    )
    rows, columns, data = said
    found = np.frombuffer(base64.b64decode(data), np.uint8).reshape(rows, columns, 4)
    assert (found[:, :, 3] == 255).all()
    return found[:, :, 2::-1]


def accessibility_faults(page: Any) -> list[str]:
    """Return the serious faults that axe-core finds in a page."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        f"{fault['id']}: {fault['nodes'][0]['html'][:200]}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ]
