from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import cam

Run = Callable[..., tuple[int, str, str]]
STRETCHED = "--placement crop lays it where the crop was"


def complete(*words: str) -> list[str]:
    """Return what bash is offered for the last word."""
    environment = {
        **os.environ,
        "COMP_WORDS": " ".join(["cam", *words]),
        "COMP_CWORD": str(len(words)),
        "_CAM_COMPLETE": "bash_complete",
    }
    program = "from cam.cli import cli; cli(prog_name='cam')"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_run_draws_what_the_library_draws(run: Run, coffee: Path, tmp_path: Path) -> None:
    code, output, _ = run(
        *("run", coffee, "-o", "out", "--size", "picture", "--colormap", "viridis"),
        *("--alpha", 0.4, "--class", "cup", "--class", "n07920052", "--class", 0, "--plain-names"),
    )
    assert code == 0
    assert "n07920052" not in output
    folder = tmp_path / "out" / "coffee"
    model = cam.load(engine="openvino")
    result = model.explain(coffee, classes=["cup", "espresso", 0])
    for k, name in enumerate(("cup", "espresso", "tench")):
        drawn = cv2.imread(str(folder / f"top{k + 1}_{name}_overlay.png"))
        expected = result.overlay(k, size="picture", colormap="viridis", alpha=0.4)
        np.testing.assert_array_equal(drawn, expected)
    assert json.loads((folder / "result.json").read_text())["picture"] == str(coffee)


def test_the_default_files_are_those_of_a_plain_save(
    run: Run, coffee: Path, tmp_path: Path
) -> None:
    assert run("run", coffee, "-o", "out")[0] == 0
    plain = cam.load(engine="openvino").explain(coffee).save(tmp_path / "plain")
    pictures = [path for path in plain if path.suffix == ".png"]
    assert len(pictures) == 11
    for path in pictures:
        written = tmp_path / "out" / "coffee" / path.name
        assert written.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--size", "huge"), "no size 'huge'"),
        (("--size", "0"), "no size 0"),
        (("--alpha", "2"), "alpha is a share"),
        (("--colormap", "virdis"), "nearest: viridis"),
        (("--blend", "published", "--alpha", "1"), "alpha is for the blend"),
        (("--rgba", "--format", "jpg"), "PNG"),
    ],
)
def test_a_wrong_way_of_drawing_is_one_line_before_anything_runs(
    run: Run, coffee: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    code, output, errors = run("run", coffee, *arguments)
    assert (code, output) == (2, "")
    assert said in errors
    assert len(errors.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_heat_maps_are_written_with_transparency(run: Run, tmp_path: Path) -> None:
    assert run("demo", "--rgba", "--alpha", 0.25, "--top", 1)[0] == 0
    (heat,) = (tmp_path / "cam-out" / "coffee").glob("*_heat.png")
    assert np.asarray(Image.open(heat))[..., 3].max() == 64


def test_figures_are_drawn_the_same_way(run: Run, coffee: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plain = ("figure", "top5", coffee, "--class", "cup", "--class", "espresso", "-o")
    assert run(*plain, "a.png")[0] == 0
    assert run(*plain, "b.png", "--size", "picture", "--alpha", 0.5)[0] == 0
    # The pictures keep their proportions.
    heights = [cv2.imread(str(tmp_path / name)).shape[0] for name in ("a.png", "b.png")]
    assert heights[1] < heights[0]
    code, _, errors = run("figure", "class-maps", coffee, "--class", "cup", "--class", "tench")
    assert code == 2
    assert "shows one class" in errors
    code, _, errors = run("figure", "boxes", coffee, "--colormap", "viridis")
    assert (code, "--colormap does nothing for boxes" in errors) == (2, True)


def test_a_stretched_map_of_a_network_that_is_not_the_ports_is_said(run: Run, coffee: Path) -> None:
    assert STRETCHED in run("run", coffee)[2]
    for asked in (("--placement", "stretch"), ("--placement", "crop"), ("--style", "matlab")):
        assert STRETCHED not in run("run", coffee, *asked)[2]


def test_a_contact_sheet_is_of_pictures_results_and_stores(
    run: Run, coffee: Path, tmp_path: Path
) -> None:
    (tmp_path / "pictures").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "pictures" / name).write_bytes(coffee.read_bytes())
    (tmp_path / "pictures" / "c.png").write_bytes(b"no picture")
    assert run("run", coffee, "-o", "results", "--class", "cup", "--class", "espresso")[0] == 0
    assert run("batch", coffee, "-o", "store")[0] == 0
    code, output, errors = run("montage", "pictures", "results", "store", "--columns", 2)
    assert (code, output) == (3, "montage.png: 4 pictures\n")
    assert "c.png" in errors
    assert cv2.imread("montage.png").shape == (2 * 300 + 8, 2 * 256 + 8, 3)
    code, output, _ = run(
        *("montage", "results", "--class", "espresso", "--class", "cup", "-o", "two.jpg"),
        *("--size", 400, "--columns", 2, "--alpha", 0),
    )
    assert (code, output) == (0, "two.jpg: 1 pictures\n")
    sheet = cv2.imread("two.jpg")
    assert sheet.shape[1] == 2 * 400 + 8
    picture = cv2.resize(cv2.imread(str(coffee)), (400, 267), interpolation=cv2.INTER_AREA)
    assert np.abs(sheet[133:400, 408:].astype(int) - picture).mean() < 5


def test_a_contact_sheet_says_what_it_cannot_show(run: Run, coffee: Path, tmp_path: Path) -> None:
    assert run("run", coffee, "-o", "results", "--top", 1)[0] == 0
    code, _, errors = run("montage", "results", "--class", "tench")
    assert (code, "maps of n07920052 espresso only" in errors) == (2, True)
    code, _, errors = run("montage", coffee, "-o", "sheet.bmp")
    assert (code, "not sheet.bmp" in errors) == (2, True)
    code, _, errors = run("montage", coffee, coffee, "--most", 1)
    assert (code, "the first 1 pictures only" in errors) == (0, True)
    assert run("montage", tmp_path / "none")[0] == 2


def test_the_shell_is_offered_names() -> None:
    assert complete("run", "--model", "goo") == ["googlenet", "googlenet-places205"]
    assert complete("run", "--style", "m") == ["matlab"]
    assert complete("run", "--size", "p") == ["picture"]
    assert "viridis" in complete("figure", "--colormap", "v")
    assert complete("run", "--class", "espresso") == ["espresso\\ maker", "espresso"]
    assert complete("run", "--class", "n0792005") == ["n07920052"]
    assert complete("mont") == ["montage"]
    assert "/a/abbey" in complete("run", "--model", "googlenet-places205", "--class", "/a/ab")


def test_names_are_offered_without_what_is_heavy() -> None:
    program = (
        "import sys, cam.cli.commands.run; "
        "print([each for each in ('openvino', 'matplotlib', 'onnx', 'scipy.stats', 'caffe') "
        "if each in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
