from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from browser import PHONE, accessibility_faults, pixels, watched

import cam
from cam.batch import BatchOptions, run_batch
from cam.batch.stored import StoreReader
from cam.explain.explanation import Explanation
from cam.explain.styles import get_style
from cam.viewer.page_files import data_block, head, tail
from cam.viewer.payload import data_uri, payload
from cam.viewer.report import write_report
from cam.zoo import find_class

NAMES = ("one", "two", "</script><script>alert(1)</script>", "صورة \u202egpj", "n" * 240)
ESPRESSO = 967
CANVAS = "dialog canvas"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, coffee: Path) -> Path:
    """Return a table of pictures with labels: one is right, the others wrong, one is broken."""
    folder = tmp_path_factory.mktemp("pictures")
    picture = cv2.imread(str(coffee))
    rows = [("path", "label")]
    for number, name in enumerate(NAMES):
        part = np.roll(picture, 50 * number, axis=1)[: 300 + 20 * number, : 500 - 60 * number]
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".png", part)[1].tobytes())
        rows.append((f"{name}.png", str(ESPRESSO if number == 0 else number)))
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    rows.append(("broken.png", "0"))
    with (folder / "table.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder / "table.csv"


@pytest.fixture(scope="module")
def report(model: cam.CamModel, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    run_batch(model, [pictures], folder / "store", BatchOptions(style="matlab"))
    write_report([folder / "store"], folder / "report.html")
    return folder / "report.html"


@contextmanager
def opened(browser: Any, path: Path, **settings: Any) -> Iterator[Any]:
    with watched(browser, path.as_uri(), **settings) as page:
        page.goto(path.as_uri())
        page.wait_for_selector(".card")
        yield page


def names(page: Any) -> list[str]:
    return [name.removesuffix(".png") for name in page.locator(".card > bdi").all_inner_texts()]


def drawn(page: Any) -> None:
    """Wait until the large picture is drawn."""
    page.locator(".viewer[data-state=drawn]").wait_for()


def page_of(folder: Path, explanation: Explanation) -> Path:
    """Write a report's page of one picture, which has the picture itself without loss."""
    said = payload(explanation, "picture") | {"picture": data_uri(explanation.picture)}
    top = {key: said["classes"][0][key] for key in ("index", "name", "probability")}
    size = {"rows": said["rows"], "columns": said["columns"]}
    listed = {"name": "picture", "status": "ok", "reason": "", "top": top, "wrong": False, **size}
    given = {"title": "", "sources": [], "notes": [], "page": None, "pictures": [listed]}
    blocks = data_block("picture-0", said) + data_block("report", given)
    (folder / "page.html").write_text(head("") + blocks + tail(), encoding="utf-8")
    return folder / "page.html"


@pytest.mark.parametrize(
    ("style", "placement"), [("pycaffe", "stretch"), ("pycaffe", "crop"), ("matlab", "stretch")]
)
@pytest.mark.parametrize("size", ["frame", "picture"])
def test_overlays_are_the_librarys_pixel_for_pixel(
    style: str,
    placement: str,
    size: str,
    model: cam.CamModel,
    coffee: Path,
    browser: Any,
    tmp_path: Path,
) -> None:
    explanation = model.explain(coffee, top=2, style=get_style(style, placement))
    with opened(browser, page_of(tmp_path, explanation)) as page:
        page.locator(".card").click()
        page.get_by_label("Size").select_option(size)
        for k, options in enumerate(({}, {"alpha": 0.3, "colormap": "viridis"})):
            page.locator(".class input").nth(k).check()
            if options:
                page.get_by_label("Colours").select_option("viridis")
                page.get_by_label("Opacity").fill("30")
            drawn(page)
            shown = pixels(page, CANVAS)
            expected = explanation.overlay(k, size=size, **options)
            assert np.abs(shown.astype(int) - expected).max() <= 1


def test_a_reports_overlays_are_those_of_what_the_store_keeps(
    model: cam.CamModel, pictures: Path, browser: Any, tmp_path: Path
) -> None:
    options = BatchOptions(top=2, precision="float32")
    run_batch(model, [pictures], tmp_path / "store", options)
    write_report([tmp_path / "store"], tmp_path / "report.html")
    expected = model.explain(pictures.parent / "two.png", top=2)
    with opened(browser, tmp_path / "report.html") as page:
        page.locator(".card").nth(1).click()
        page.get_by_label("Size").select_option("frame")
        page.keyboard.press("2")
        drawn(page)
        shown = pixels(page, CANVAS)
    assert np.abs(shown.astype(int) - expected.overlay(1)).max() <= 1


def test_no_other_script_runs_and_nothing_is_asked_for(report: Path, browser: Any) -> None:
    expected = ("Content Security Policy",)
    with opened(browser, report, expected_errors=expected) as page:
        ran = page.evaluate(
            """async () => {
              const script = document.createElement("script");
              script.textContent = "window.ran = true";
              document.body.append(script);
              const asked = await fetch("https://example.org/").then(() => true, () => false);
              return [Boolean(window.ran), asked];
            }"""
        )
    assert ran == [False, False]


def test_pictures_are_found_filtered_and_sorted(report: Path, browser: Any) -> None:
    with opened(browser, report) as page:
        assert names(page) == [*NAMES, "broken"]
        page.get_by_label("Find").fill("TWO")
        assert names(page) == ["two"]
        page.get_by_label("Find").fill("")
        page.get_by_label("Show").select_option("right")
        assert names(page) == ["one"]
        page.get_by_label("Show").select_option("failed")
        assert names(page) == ["broken"]
        assert page.locator(".reason").inner_text()
        page.get_by_label("Show").select_option("wrong")
        assert names(page) == list(NAMES[1:])
        page.get_by_label("Show").select_option("all")
        page.get_by_label("Sorted").select_option("unsure")
        shares = page.locator(".card .top > span").all_inner_texts()
        numbers = [float(share.removesuffix(" %")) for share in shares]
        assert numbers == sorted(numbers) and len(numbers) == len(NAMES)
        assert page.get_by_role("status").inner_text() == "6 pictures"


def test_a_confused_pair_shows_its_pictures(report: Path, browser: Any) -> None:
    with opened(browser, report) as page:
        page.get_by_text("Confused classes").click()
        page.locator("tbody tr").first.get_by_role("button").click()
        assert names(page) == ["two"]
        page.locator(".chip").click()
        assert len(names(page)) == len(NAMES) + 1


def test_a_class_shows_pictures_of_it_and_taken_for_it(
    report: Path, browser: Any, model: cam.CamModel
) -> None:
    name = model.class_names[find_class(model.class_names, str(ESPRESSO))]
    with opened(browser, report) as page:
        page.get_by_role("combobox", name="Class").select_option(name)
        assert "one" in names(page) and "broken" not in names(page)


def test_the_keyboard_does_it_all(report: Path, browser: Any) -> None:
    with opened(browser, report) as page:
        page.keyboard.press("/")
        page.keyboard.type("t")
        assert page.get_by_label("Find").input_value() == "t"
        page.get_by_label("Find").fill("")
        page.locator(".card").nth(1).focus()
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("Enter")
        drawn(page)
        assert page.locator("dialog h2").inner_text() == "one.png"
        before = pixels(page, CANVAS)
        page.keyboard.press("3")
        drawn(page)
        assert page.locator(".class input").nth(2).is_checked()
        assert (pixels(page, CANVAS) != before).any()
        page.keyboard.press("ArrowRight")
        drawn(page)
        assert page.locator("dialog h2").inner_text() == "two.png"
        page.keyboard.press("Escape")
        assert not page.locator("dialog").is_visible()
        # The page moves the focus when it hears that the dialog is closed, which is a moment later.
        page.wait_for_function("document.activeElement.textContent.startsWith('two')", timeout=5000)


def test_the_slider_goes_from_the_picture_to_the_heat(
    report: Path, browser: Any, model: cam.CamModel, pictures: Path
) -> None:
    frame = model.explain(pictures.parent / "one.png", style="matlab").frame
    with opened(browser, report) as page:
        page.locator(".card").first.click()
        page.get_by_label("Size").select_option("frame")
        drawn(page)
        published = pixels(page, CANVAS)
        page.get_by_label("Opacity").fill("0")
        np.testing.assert_array_equal(pixels(page, CANVAS), frame)
        page.get_by_label("Mixed as published").check()
        np.testing.assert_array_equal(pixels(page, CANVAS), published)


def test_the_pointer_reads_the_librarys_values(
    model: cam.CamModel, coffee: Path, browser: Any, tmp_path: Path
) -> None:
    explanation = model.explain(coffee, top=1)
    with opened(browser, page_of(tmp_path, explanation)) as page:
        page.locator(".card").click()
        page.get_by_label("Size").select_option("frame")
        drawn(page)
        box = page.locator(CANVAS).bounding_box()
        page.mouse.move(
            box["x"] + box["width"] * 100.5 / 256, box["y"] + box["height"] * 60.5 / 256
        )
        said = page.locator(".readout").inner_text().split()
    assert said[:4] == ["x", "100,", "y", "60"]
    assert float(said[5]) == pytest.approx(explanation.merged[0, 60, 100], rel=1e-3)
    assert float(said[7]) == pytest.approx(explanation.heat_maps[0, 60, 100], abs=1e-3)


def test_boxes_lie_where_the_library_finds_them(
    model: cam.CamModel, coffee: Path, browser: Any, tmp_path: Path
) -> None:
    explanation = model.explain(coffee, top=1)
    with opened(browser, page_of(tmp_path, explanation)) as page:
        page.locator(".card").click()
        page.get_by_label("Boxes").check()
        drawn(page)
        found = [
            tuple(int(rectangle.get_attribute(side)) for side in ("x", "y", "width", "height"))
            for rectangle in page.locator("dialog rect").all()
        ]
    assert found == [tuple(box) for box in explanation.boxes(0)] != []


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_maps_that_are_no_numbers_are_said(
    model: cam.CamModel, coffee: Path, browser: Any, tmp_path: Path
) -> None:
    explanation = model.explain(coffee, top=1)
    explanation.maps[...] = np.nan
    with opened(browser, page_of(tmp_path, explanation)) as page:
        page.locator(".card").click()
        drawn(page)
        assert "no numbers" in page.locator("dialog .note").inner_text()


@pytest.mark.parametrize("missing", ["maps", "pictures"])
def test_what_is_not_there_is_said_on_the_page(
    missing: str, model: cam.CamModel, coffee: Path, browser: Any, tmp_path: Path
) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "one.png").write_bytes(coffee.read_bytes())
    outputs = () if missing == "maps" else ("maps",)
    run_batch(model, [tmp_path / "pictures"], tmp_path / "store", BatchOptions(outputs=outputs))
    if missing == "pictures":
        (tmp_path / "pictures" / "one.png").unlink()
    write_report([tmp_path / "store"], tmp_path / "report.html")
    with opened(browser, tmp_path / "report.html") as page:
        assert page.locator("header .note").count() == 1
        page.locator(".card").click()
        drawn(page)
        said = page.locator("dialog .note").inner_text()
    assert ("--save maps" if missing == "maps" else "not found") in said


@pytest.mark.slow
def test_a_report_of_100_photographs_shows_the_librarys_overlays(
    model: cam.CamModel, shared_data: Path, browser: Any, tmp_path: Path
) -> None:
    folder = shared_data / "ilsvrc_val"
    run_batch(model, [folder / "val.txt"], tmp_path / "store", BatchOptions(style="matlab"))
    write_report([tmp_path / "store"], tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size < 40e6
    reader = StoreReader(tmp_path / "store")
    with opened(browser, tmp_path / "report.html") as page:
        assert page.locator(".card").count() == 100
        page.locator(".card").first.click()
        page.get_by_label("Size").select_option("frame")
        for row in reader.rows():
            drawn(page)
            assert page.locator("dialog h2").inner_text() == row.entry.name
            expected = reader.explanation(row, row.entry.read()).overlay(0)
            assert np.abs(pixels(page, CANVAS).astype(int) - expected).max() <= 1
            page.keyboard.press("ArrowRight")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 860}, PHONE], ids=["wide", "phone"])
def test_axe_finds_no_serious_fault_and_nothing_is_cut_off(
    scheme: str, viewport: dict[str, int], report: Path, browser: Any, tmp_path: Path
) -> None:
    width = viewport["width"]
    with opened(browser, report, color_scheme=scheme, viewport=viewport) as page:
        page.get_by_text("Confused classes").click()
        page.wait_for_function("document.querySelector('.thumbnail canvas').width > 1")
        page.screenshot(path=tmp_path / f"list-{scheme}-{width}.png")
        assert accessibility_faults(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.locator(".card").nth(4).click()
        drawn(page)
        page.screenshot(path=tmp_path / f"picture-{scheme}-{width}.png")
        assert accessibility_faults(page) == []
        assert page.evaluate("document.querySelector('dialog').scrollWidth") <= width
