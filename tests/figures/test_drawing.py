from __future__ import annotations

import base64
import dataclasses
import sys
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

import cam
from cam.explain.explanation import Explanation
from cam.figures import drawing
from cam.figures.drawing import FORMATS, figure_files, save_sheet
from cam.figures.sheets import (
    Panel,
    Row,
    Sheet,
    boxes_sheet,
    class_maps_sheet,
    comparison_sheet,
    scenes_sheet,
    top_classes_sheet,
)
from cam.figures.types import FIGURES
from cam.localization.boxes import Box
from cam.pictures.matplotlib_files import plain_matplotlib

pytest.importorskip("matplotlib")

LONG = "n02443114 European polecat with a name that goes on and on, fitch, foulmart, foumart"
PICTURE = np.zeros((60, 100, 3), np.uint8)


@pytest.fixture(scope="module")
def sheets(top: Explanation, espresso: Explanation) -> dict[str, Sheet]:
    """Return one sheet of each type, with texts longer than their places."""
    long = dataclasses.replace(espresso, names=(LONG,))
    box = Box(10, 10, 50, 40)
    boxed = [
        Panel(PICTURE, f"{LONG}\n0.500", [box], [box]),
        Panel(PICTURE.transpose(1, 0, 2), "cup\n0.250", [box]),
    ]
    return {
        "class-maps": class_maps_sheet([long] * 5, per_row=3),
        "top5": top_classes_sheet(
            dataclasses.replace(top, names=(LONG, *top.names[1:])), "ground truth: " + 9 * "cup, "
        ),
        "comparison": comparison_sheet(
            [("GoogLeNet-GAP", [long, espresso]), ("backprop on " + 5 * "GoogLeNet ", [long] * 2)]
        ),
        "boxes": boxes_sheet(boxed, "Boxes", per_row=2),
        "scenes": scenes_sheet(
            [("Cooking", espresso), ("Cooking", espresso), (LONG, espresso), ("Playing", long)],
            "Actions",
        ),
    }


def drawn(sheet: Sheet) -> Any:
    with plain_matplotlib():
        figure = drawing._draw(sheet)
        figure.canvas.draw()
    return figure


@pytest.mark.parametrize("name", FIGURES)
def test_texts_and_pictures_never_overlap_and_stay_on_the_page(
    sheets: dict[str, Sheet], name: str
) -> None:
    figure = drawn(sheets[name])
    page = figure.bbox
    texts = [text.get_window_extent() for text in figure.texts]
    pictures = [axes.get_window_extent() for axes in figure.axes]
    assert texts
    for box in (*texts, *pictures):
        assert page.x0 <= box.x0 < box.x1 <= page.x1
        assert page.y0 <= box.y0 < box.y1 <= page.y1
    for one, other in combinations([*texts, *pictures], 2):
        width = min(one.x1, other.x1) - max(one.x0, other.x0)
        height = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert min(width, height) <= 0.5, (name, one, other)


@pytest.mark.parametrize("name", ["top5", "boxes"])
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_sheet_gives_the_same_bytes_each_time(
    sheets: dict[str, Sheet], name: str, suffix: str, tmp_path: Path
) -> None:
    import matplotlib

    files = [tmp_path / f"{number}{suffix}" for number in range(2)]
    save_sheet(sheets[name], files[0])
    with matplotlib.rc_context({"font.size": 20, "savefig.facecolor": "red"}):
        save_sheet(sheets[name], files[1])
    content = files[0].read_bytes()
    assert content == files[1].read_bytes()
    for trace in (b"Software", b"CreationDate", b"Producer", b"atplotlib", b"dc:date"):
        assert trace not in content


def test_an_svg_holds_each_picture_with_its_own_pixels(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    pictures = [generator.integers(0, 256, (3, 5, 3), np.uint8) for _ in range(2)]
    save_sheet(Sheet([Row([Panel(picture) for picture in pictures])]), tmp_path / "sheet.svg")
    found = ElementTree.parse(tmp_path / "sheet.svg").iter("{http://www.w3.org/2000/svg}image")
    for image, picture in zip(found, pictures, strict=True):
        data = image.attrib["{http://www.w3.org/1999/xlink}href"].partition("base64,")[2]
        pixels = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
        np.testing.assert_array_equal(pixels, picture)


@pytest.mark.parametrize(
    ("path", "files"),
    [
        ("out/figure1.2", ["figure1.2.png", "figure1.2.pdf"]),
        ("figure", ["figure.png", "figure.pdf"]),
        ("figure.PNG", ["figure.PNG"]),
        ("figure.pdf", ["figure.pdf"]),
        ("figure.svg", ["figure.svg"]),
    ],
)
def test_an_extension_is_the_only_format_that_is_written(path: str, files: list[str]) -> None:
    assert figure_files(path) == [Path(path).with_name(file) for file in files]


@pytest.mark.parametrize("path", ["figure.jpg", "figure.EPS"])
def test_formats_that_figures_are_not_written_in_are_refused(path: str) -> None:
    for call in (lambda: figure_files(path), lambda: save_sheet(Sheet([]), path)):
        with pytest.raises(cam.CamError, match=r"as \.png, \.pdf, \.svg, not as figure"):
            call()


def test_boxes_are_drawn_green_and_red_where_they_are(tmp_path: Path) -> None:
    box, truth = Box(20, 10, 60, 30), Box(5, 5, 40, 50)
    save_sheet(boxes_sheet([Panel(PICTURE, "", [box], [truth])]), tmp_path / "boxes.png")
    pixels = cv2.imread(str(tmp_path / "boxes.png")).astype(int)
    dark = pixels.sum(axis=2) < 30
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    scale = (columns[-1] - columns[0] + 1) / 100
    red = (pixels[..., 2] > 200) & (pixels[..., 0] < 50) & (pixels[..., 1] < 50)
    red[rows[-1] + 1 :] = False  # the legend
    ys, xs = np.nonzero(red)
    found = (xs.min() - columns[0], ys.min() - rows[0], xs.max() - columns[0], ys.max() - rows[0])
    # A line's middle lies on the box's edge.
    np.testing.assert_allclose(np.array(found) / scale, (20, 10, 80, 40), atol=1.5)
    assert ((pixels[..., 1] > 150) & (pixels[..., 2] < 50)).any()


def test_without_matplotlib_the_error_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(cam.CamError, match="pip install matplotlib"):
        save_sheet(Sheet([Row([Panel(PICTURE)])]), tmp_path / "figure.png")
    assert not list(tmp_path.iterdir())
