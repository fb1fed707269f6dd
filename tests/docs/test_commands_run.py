"""What a reader can copy from the pages runs: each block, in order, in a folder of its page.

A block that is not run says why in a comment behind it, ``<!-- not run: … -->``. The folder has a
photographs and what the pages name beside them; nothing is installed or fetched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from locations import REPOSITORY
from markdown_pages import Block, blocks

NEEDED = {
    "README.md": ("Makefile", "pyproject.toml"),
    "README.zh-CN.md": ("Makefile", "pyproject.toml"),
    "docs/index.md": ("Makefile", "pyproject.toml"),
}
"""What of the checkout the commands of a page need beside the photographs."""

PROGRAMS = {"sh": ("bash", "-euo", "pipefail", "-c"), "python": (sys.executable, "-c")}

SCRIPT = """
import sys
import caffe

net = caffe.Net("mine.prototxt", "mine.caffemodel", caffe.TEST)
net.forward()
"""
"""What stands for a reader's own script of 2016."""


def wanted(page: Path) -> list[Block]:
    """Return a page's blocks that could run."""
    return [one for one in blocks(page) if one.language in PROGRAMS]


def pages() -> list[str]:
    """Return every page that has such blocks, but for those that are generated."""
    found = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")]
    made = ("_build", "generated", "gallery")
    return sorted(
        str(page.relative_to(REPOSITORY))
        for page in found
        if not set(made).intersection(page.parts) and wanted(page)
    )


def write_sets(folder: Path, coffee: Path) -> None:
    """Write sets of pictures with classes, as the pages name them: parts of a photograph."""
    photograph = cv2.imread(str(coffee))
    generator = np.random.default_rng(0)

    def write(path: Path, left: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        top, side = generator.integers(0, 100), 200
        cv2.imwrite(str(path), photograph[top : top + side, left : left + side])

    classes = {"toothbrushes": 0, "combs": 300}
    rows = ["path,label,split"]
    for part in ("pictures", "train", "test"):
        for name, left in classes.items():
            for number in range(4):
                write(folder / part / name / f"{number}.jpg", left + 10 * number)
                rows.append(f"{part}/{name}/{number}.jpg,{name},{part}")
    (folder / "table.csv").write_text("\n".join(row for row in rows if "pictures" not in row))
    for number in range(6):
        write(folder / "images" / f"{number}.jpg", 300 * (number % 2))
        write(folder / "photos" / f"{number}.jpg", 60 * number)
        write(folder / "scenes" / f"{number}.jpg", 60 * number)
        write(folder / "shots" / "one" / f"{number}.jpg", 60 * number)
        write(folder / "text" / ("with_text" if number % 2 else "without") / f"{number}.jpg", 0)
    lines = [f"{number}.jpg {number % 2}\n" for number in range(6)]
    (folder / "train.txt").write_text("".join(lines[:4]))
    (folder / "val.txt").write_text("".join(lines[4:]))
    (folder / "val.csv").write_text("path,label\nphotos/0.jpg,504\nphotos/1.jpg,968\n")
    (folder / "objects.csv").write_text("name,object,x,y,width,height\n0.jpg,cup,0,0,150,150\n")
    with tarfile.open(folder / "extra.tar", "w") as tar:
        tar.add(folder / "photos" / "0.jpg", "extra.jpg")


def prepared(folder: Path, coffee: Path, needed: tuple[str, ...]) -> dict[str, str]:
    """Put into a folder what the pages name, and return the environment of their commands."""
    for name in ("photo.jpg", "other.jpg", "picture.jpg", "sign.jpg"):
        shutil.copy(coffee, folder / name)  # pictures are judged by their bytes
    write_sets(folder, coffee)
    (folder / "py_demo.py").write_text(SCRIPT)
    (folder / "old.py").write_text(SCRIPT + "print sys.argv\n")
    models = REPOSITORY / "models"
    shutil.copy(models / "efficientnet-lite0.prototxt", folder / "mine.prototxt")
    (folder / "mine.caffemodel").symlink_to(models / "efficientnet-lite0.caffemodel")
    shutil.copy(models / "categories1000.txt", folder / "names.txt")
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(Path(sys.prefix) / "bin")
    (folder / ".venv" / ".installed").touch()  # for make
    tools = folder / "tools"
    tools.mkdir()
    (tools / "pip").write_text("#!/bin/sh\n")  # what a page installs is there
    (tools / "pip").chmod(0o755)
    for name in needed:
        (folder / name).symlink_to(REPOSITORY / name)
    nowhere = "http://127.0.0.1:9"
    return {
        **os.environ,
        "PATH": f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "http_proxy": nowhere,
        "https_proxy": nowhere,
    }


def run(block: Block, folder: Path, environment: dict[str, str]) -> str:
    """Run a block; return what it complains of if it fails."""
    code = block.text
    if block.language == "python":
        seen = folder / "seen.py"  # a page's snippets go on where the one before ended
        earlier = seen.read_text(encoding="utf-8") if seen.exists() else ""
        seen.write_text(code := earlier + code, encoding="utf-8")
    finished = subprocess.run(
        [*PROGRAMS[block.language], code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return f"line {block.line}: {finished.stderr}" if finished.returncode else ""


@pytest.mark.slow
@pytest.mark.parametrize("name", pages())
def test_the_blocks_of_a_page_run(name: str, tmp_path: Path, coffee: Path) -> None:
    if name in NEEDED and shutil.which("make") is None:
        pytest.skip("make is not installed, as in the Docker image")
    environment = prepared(tmp_path, coffee, NEEDED.get(name, ()))
    complaints = [
        run(one, tmp_path, environment) for one in wanted(REPOSITORY / name) if one.not_run is None
    ]
    assert [said for said in complaints if said] == []


def test_most_pages_have_something_that_runs() -> None:
    running = [
        name for name in pages() if any(not one.not_run for one in wanted(REPOSITORY / name))
    ]
    assert {"README.md", "docs/batch.md", "docs/learning.md", "docs/tutorial.md"} <= set(running)
