from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import pytest

from cam.cli.figure import NAMES
from cam.figures.sheets import FIGURES

pytest.importorskip("matplotlib")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def figure(run: Run) -> Run:
    """Return a function that runs `cam figure`: (exit code, output, errors)."""
    return partial(run, "figure")


def test_the_command_offers_every_figure() -> None:
    assert NAMES == FIGURES


@pytest.mark.parametrize(
    ("name", "count", "arguments"),
    [
        ("top5", 1, ["--title", "coffee"]),
        ("class-maps", 3, ["--class", "cup", "--per-row", "2"]),
        ("boxes", 1, ["--truth", "truth"]),
        ("scenes", 2, ["--label", "drinking", "--label", "eating"]),
        ("comparison", 1, ["--also", "efficientnet-lite0"]),
    ],
)
def test_each_figure_is_written_as_png_and_pdf(
    figure: Run, coffee: Path, name: str, count: int, arguments: list[str]
) -> None:
    Path("truth").mkdir()
    Path("truth/coffee.txt").write_text("160 15 440 300\n")
    # One crop is enough for the drawing.
    network = ("--engine", "openvino", "--style", "pycaffe")
    code, output, errors = figure(name, *[coffee] * count, *arguments, *network)
    assert code == 0
    assert "not one of the paper's networks" in errors
    assert cv2.imread(f"cam-figures/{name}.png") is not None
    assert Path(f"cam-figures/{name}.pdf").read_bytes().startswith(b"%PDF")
    assert output.count("written to") == 2


def test_backpropagation_stands_beside_the_maps(figure: Run, pycaffe: Any, coffee: Path) -> None:
    arguments = ("--backprop", "efficientnet-lite0", "--style", "pycaffe", "-o", "out/figure5")
    assert figure("comparison", coffee, *arguments)[0] == 0
    assert {path.name for path in Path("out").iterdir()} == {"figure5.png", "figure5.pdf"}


@pytest.mark.parametrize("suffix", [".png", ".PDF", ""])
def test_an_extension_of_the_output_is_not_doubled(figure: Run, coffee: Path, suffix: str) -> None:
    network = ("--engine", "openvino", "--style", "pycaffe")
    assert figure("class-maps", coffee, *network, "-o", f"out/figure1.2{suffix}")[0] == 0
    assert {path.name for path in Path("out").iterdir()} == {"figure1.2.png", "figure1.2.pdf"}


@pytest.mark.parametrize(
    "arguments",
    [["top5", "a.png", "b.png"], ["scenes", "a.png", "--label", "x", "--label", "y"]],
)
def test_counts_are_checked_before_the_network_is_loaded(
    figure: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    def open_model(*_: Any) -> None:
        raise AssertionError("the network was loaded")

    monkeypatch.setattr("cam.cli.options.open_model", open_model)
    assert figure(*arguments)[0] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["top5", "a.png", "b.png"], "of one picture"),
        (["scenes", "a.png", "--label", "x", "--label", "y"], "labels: 2, pictures: 1"),
        (["comparison", "a.png", "--backprop", "efficientnet-lite0"], "needs the caffe engine"),
        (["boxes", "a.png", "--truth", "none.mat"], "none.mat"),
        (["class-maps", "none.png"], "none.png"),
    ],
)
def test_bad_requests_are_refused(
    figure: Run, coffee: Path, arguments: list[str], message: str
) -> None:
    for name in ("a.png", "b.png"):
        Path(name).write_bytes(coffee.read_bytes())
    code, _, errors = figure(*arguments, "--engine", "openvino", "--style", "pycaffe")
    assert code == 2
    assert message in errors.splitlines()[-1]
    assert not Path("cam-figures").exists()
