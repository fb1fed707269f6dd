from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import pytest

from cam.cli.commands.figure import figure as command
from cam.figures.types import FIGURES

pytest.importorskip("matplotlib")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def figure(run: Run) -> Run:
    """Return a function that runs `cam figure`: (exit code, output, errors)."""
    return partial(run, "figure")


def no_model(*_: Any, **__: Any) -> None:
    raise AssertionError("the network was loaded")


def test_the_command_has_every_option_of_the_figures() -> None:
    known = {parameter.name for parameter in command.params}
    for figure_type in FIGURES.values():
        assert set(figure_type.options) <= known


def test_the_help_names_every_figure(figure: Run) -> None:
    _, output, _ = figure("--help")
    for name, figure_type in FIGURES.items():
        assert f"{name} " in output
        assert figure_type.help in " ".join(output.split())


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


@pytest.mark.parametrize("suffix", [".png", ".PDF", ".svg"])
def test_an_extension_of_the_output_is_the_only_format(
    figure: Run, coffee: Path, suffix: str
) -> None:
    network = ("--engine", "openvino", "--style", "pycaffe")
    assert figure("class-maps", coffee, *network, "-o", f"out/figure1.2{suffix}")[0] == 0
    assert [path.name for path in Path("out").iterdir()] == [f"figure1.2{suffix}"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["top5", "a.png", "b.png"], "of one picture"),
        (["scenes", "a.png", "--label", "x", "--label", "y"], "labels: 2, pictures: 1"),
        (["boxes", "a.png", "--meta", "meta.mat"], "--truth"),
        (["top5", "a.png", "-o", "figure.jpg"], "not as figure.jpg"),
        (["class-maps", "a.png", "--also", "vgg16"], "--also does nothing for class-maps"),
        (["boxes", "a.png", "--alpha", "0.5"], "--alpha does nothing for boxes"),
        (["scenes", "a.png", "--class", "cup", "--class", "dog"], "shows one class"),
        (["comparison", "a.png", "--per-row", "2"], "--per-row does nothing for comparison"),
        (["boxes", "a.png", "--label", "x"], "--label does nothing for boxes: scenes only"),
        (["scenes", "a.png", "--rule", "paper"], "--rule does nothing for scenes: boxes only"),
    ],
)
def test_what_does_not_go_together_is_refused_before_the_network_is_loaded(
    figure: Run,
    coffee: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    for name in ("a.png", "b.png"):
        Path(name).write_bytes(coffee.read_bytes())
    monkeypatch.setattr("cam.cli.commands.figure.open_model", no_model)
    code, _, errors = figure(*arguments)
    assert code == 2
    assert message in errors
    assert errors.count("\n") == 1


def test_without_matplotlib_no_network_is_loaded(
    figure: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cam.cli.commands.figure.open_model", no_model)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, _, errors = figure("top5", "a.png")
    assert code == 2
    assert "pip install matplotlib" in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["comparison", "a.png", "--backprop", "efficientnet-lite0"], "needs the caffe engine"),
        (["boxes", "a.png", "--truth", "none.mat"], "none.mat"),
        (["class-maps", "none.png"], "none.png"),
    ],
)
def test_bad_requests_are_refused(
    figure: Run, coffee: Path, arguments: list[str], message: str
) -> None:
    Path("a.png").write_bytes(coffee.read_bytes())
    code, _, errors = figure(*arguments, "--engine", "openvino", "--style", "pycaffe")
    assert code == 2
    assert message in errors.splitlines()[-1]
    assert not Path("cam-figures").exists()
