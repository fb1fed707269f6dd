from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import PHONE, accessibility_faults, pixels, watched
from live_server import LiveServer, live_server

import cam
from cam.pictures.reading import read_picture

CANVAS = ".viewer .stage:first-child canvas"
SECOND = ".stage + .stage canvas"


@pytest.fixture(scope="module")
def live(model: cam.CamModel) -> Iterator[LiveServer]:
    with live_server(model) as server:
        yield server


@contextmanager
def opened(browser: Any, live: LiveServer, **settings: Any) -> Iterator[Any]:
    with watched(browser, live.url, **settings) as page:
        page.goto(live.url)
        page.wait_for_selector(".drop")
        yield page


def choose(page: Any, picture: Path) -> None:
    page.locator(".drop input").set_input_files(picture)
    drawn(page)


def drawn(page: Any) -> None:
    """Wait until an answer has come and is drawn."""
    # The page's policy lets no text be evaluated in it, and so no `wait_for_function`.
    page.get_by_role("status").filter(has_text=":").wait_for()
    page.locator(".viewer[data-state=drawn]").wait_for()


def apart(page: Any, canvas: str, expected: np.ndarray) -> int:
    return int(np.abs(pixels(page, canvas).astype(int) - expected).max())


@pytest.mark.parametrize(
    ("style", "placement"), [("pycaffe", "stretch"), ("pycaffe", "crop"), ("matlab", "stretch")]
)
def test_a_chosen_pictures_overlays_are_the_librarys(
    style: str, placement: str, browser: Any, live: LiveServer, model: cam.CamModel, coffee: Path
) -> None:
    expected = model.explain(coffee, style=style, placement=placement)
    with opened(browser, live) as page:
        page.get_by_role("combobox", name="Style").select_option(style)
        if placement == "crop":
            page.get_by_role("combobox", name="The crop's").select_option(placement)
        choose(page, coffee)
        assert apart(page, CANVAS, expected.overlay(0, size="picture")) <= 1
        page.get_by_label("Opacity").fill("25")
        assert apart(page, CANVAS, expected.overlay(0, size="picture", alpha=0.25)) <= 1
        page.get_by_label("Size").select_option("frame")
        page.get_by_label("Mixed as published").check()
        page.locator(".class input").nth(2).check()
        drawn(page)
        assert apart(page, CANVAS, expected.overlay(2)) <= 1


def test_a_picture_can_be_dropped_and_pasted(browser: Any, live: LiveServer, coffee: Path) -> None:
    hand_over = """async ([kind, text]) => {
      const bytes = Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
      const files = new DataTransfer();
      files.items.add(new File([bytes], `${kind}.png`, { type: "image/png" }));
      const event = kind === "drop"
        ? new DragEvent("drop", { dataTransfer: files, bubbles: true })
        : new ClipboardEvent("paste", { clipboardData: files, bubbles: true });
      document.body.dispatchEvent(event);
    }"""
    text = base64.b64encode(coffee.read_bytes()).decode()
    with opened(browser, live) as page:
        for kind in ("drop", "paste"):
            page.evaluate(hand_over, [kind, text])
            page.get_by_role("status").filter(has_text=f"{kind}.png:").wait_for()
            drawn(page)


def test_any_class_of_the_network_is_found_by_name_in_both_styles(
    browser: Any, live: LiveServer, model: cam.CamModel, coffee: Path
) -> None:
    with opened(browser, live) as page:
        choose(page, coffee)
        page.get_by_role("combobox", name="Style").select_option("both")
        page.get_by_placeholder("any class").fill("teapot")
        page.locator(".found button").first.wait_for()
        page.keyboard.press("Enter")
        page.locator(".chip").wait_for()
        drawn(page)
        page.get_by_label("Size").select_option("frame")
        drawn(page)
        page.locator(f"{SECOND}[width='256']").wait_for()
        for canvas, style in ((CANVAS, "pycaffe"), (SECOND, "matlab")):
            expected = model.explain(coffee, style=style, classes=["teapot"])
            assert apart(page, canvas, expected.overlay(0)) <= 1
        page.locator(".chip").click()
        drawn(page)
        assert page.locator(".class").count() == 5


def test_a_file_that_is_no_picture_is_said_in_one_line(
    browser: Any, live: LiveServer, coffee: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    with opened(browser, live, expected_errors=("400 (Bad Request)",)) as page:
        page.locator(".drop input").set_input_files(tmp_path / "bad.png")
        page.get_by_role("alert").wait_for()
        assert "truncated" in page.get_by_role("alert").inner_text()
        choose(page, coffee)
        assert not page.get_by_role("alert").is_visible()


def test_files_are_saved(
    browser: Any, live: LiveServer, model: cam.CamModel, coffee: Path, tmp_path: Path
) -> None:
    with opened(browser, live, accept_downloads=True) as page:
        choose(page, coffee)
        for kind in ("png", "npz", "mat"):
            with page.expect_download() as download:
                page.get_by_role("button", name=f", .{kind}").click()
            assert download.value.suggested_filename == f"coffee.{kind}"
            download.value.save_as(tmp_path / f"coffee.{kind}")
    saved = read_picture(tmp_path / "coffee.png")
    expected = model.explain(coffee)
    overlay = expected.overlay(0, size="picture")
    assert np.abs(saved.astype(int) - overlay).max() <= 1
    with np.load(tmp_path / "coffee.npz") as arrays:
        np.testing.assert_allclose(arrays["maps"], expected.maps, atol=1e-4)


def test_a_result_of_matlab_is_compared(
    browser: Any, live: LiveServer, model: cam.CamModel, coffee: Path, tmp_path: Path
) -> None:
    model.explain(coffee, style="matlab").to_mat(tmp_path / "features.mat")
    with opened(browser, live) as page:
        choose(page, coffee)
        page.locator(".actions input").set_input_files(tmp_path / "features.mat")
        page.get_by_role("region", name="Comparison").wait_for()
        said = page.get_by_role("region", name="Comparison").inner_text()
    assert "within the tolerance" in said


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 860}, PHONE], ids=["wide", "phone"])
def test_axe_finds_no_serious_fault_and_nothing_is_cut_off(
    scheme: str,
    viewport: dict[str, int],
    browser: Any,
    live: LiveServer,
    coffee: Path,
    tmp_path: Path,
) -> None:
    width = viewport["width"]
    with opened(browser, live, color_scheme=scheme, viewport=viewport) as page:
        assert accessibility_faults(page) == []
        page.get_by_role("combobox", name="Style").select_option("both")
        choose(page, coffee)
        page.wait_for_timeout(300)
        page.screenshot(path=tmp_path / f"live-{scheme}-{width}.png", full_page=True)
        assert accessibility_faults(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
