"""What a reader can copy from the pages runs: each block, in order, in a folder of its page.

A block that is not run says why in a comment behind it, ``<!-- not run: … -->``. The folder has a
photograph and the checkout; nothing is installed or fetched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from locations import REPOSITORY
from markdown_pages import Block, blocks

PAGES = {
    "README.md": ("Makefile", "pyproject.toml"),
    "docs/index.md": ("Makefile", "pyproject.toml"),
    "docs/tutorial.md": (),
    "docs/howto/any-class.md": (),
    "docs/howto/arrays.md": (),
    "docs/howto/boxes.md": (),
    "docs/howto/own-network.md": (),
    "docs/howto/offline.md": (),
}
"""The pages, and what of the checkout their commands need beside the photograph."""

PROGRAMS = {"sh": ("bash", "-euo", "pipefail", "-c"), "python": (sys.executable, "-c")}


def prepared(folder: Path, coffee: Path, needed: tuple[str, ...]) -> dict[str, str]:
    """Put into a folder what the pages name, and return the environment of their commands."""
    for name in ("photo.jpg", "other.jpg"):
        shutil.copy(coffee, folder / name)  # pictures are judged by their bytes
    models = REPOSITORY / "models"
    shutil.copy(models / "efficientnet-lite0.prototxt", folder / "mine.prototxt")
    (folder / "mine.caffemodel").symlink_to(models / "efficientnet-lite0.caffemodel")
    shutil.copy(models / "categories1000.txt", folder / "names.txt")
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(Path(sys.prefix) / "bin")
    (folder / ".venv" / ".installed").touch()  # for make
    for name in needed:
        (folder / name).symlink_to(REPOSITORY / name)
    nowhere = "http://127.0.0.1:9"
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
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
@pytest.mark.parametrize("name", PAGES)
def test_the_blocks_of_a_page_run(name: str, tmp_path: Path, coffee: Path) -> None:
    environment = prepared(tmp_path, coffee, PAGES[name])
    wanted = [one for one in blocks(REPOSITORY / name) if one.language in PROGRAMS]
    assert wanted
    complaints = [run(one, tmp_path, environment) for one in wanted if one.not_run is None]
    assert [said for said in complaints if said] == []
