"""The examples of the documentation run as they stand, against a server on this machine."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from live_server import LiveServer
from locations import REPOSITORY

PAGE = (REPOSITORY / "docs" / "viewer.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8000"


def examples(language: str, begin: str) -> list[str]:
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return [block for block in blocks if begin in block and ADDRESS in block]


@pytest.fixture
def folder(tmp_path: Path, coffee: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    # Pictures are judged by their bytes.
    shutil.copy(coffee, tmp_path / "photo.jpg")
    return tmp_path


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")
def test_the_examples_for_curl_run(live: LiveServer, folder: Path) -> None:
    (block,) = examples("sh", "curl --data-binary")
    lines = [line for line in block.splitlines() if line.startswith("curl")]
    assert len(lines) == 8
    said = []
    for line in lines:
        command = shlex.split(line.replace(ADDRESS, live.url))
        run = ["curl", "--noproxy", "*", "--fail-with-body", "--silent", *command[1:]]
        said.append(subprocess.run(run, capture_output=True, check=True).stdout)
    top, any_class, *files, compared, models, classes = said
    assert len(json.loads(top)["classes"]) == 3
    assert [one["index"] for one in json.loads(any_class)["classes"]] == [968]
    assert files == [b"", b"", b""]
    assert json.loads(compared)["within"]
    assert json.loads(models)["models"]
    assert json.loads(classes)["found"] > 0
    assert (folder / "overlay.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "maps.npz").read_bytes().startswith(b"PK")
    assert (folder / "features.mat").read_bytes().startswith(b"MATLAB 5.0")


def test_the_example_for_python_runs(live: LiveServer, folder: Path) -> None:
    (block,) = examples("python", "urllib")
    script = block.replace(ADDRESS, live.url)
    command = [sys.executable, "-c", script]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    assert finished.stdout == "n07920052 espresso (1, 1, 7, 7)\n"


def test_the_limits_of_the_page_are_those_of_the_server() -> None:
    from cam.viewer.server.connections import HEAD_BYTES
    from cam.viewer.server.limits import MEBIBYTE, Limits

    limits = Limits()
    table = dict(re.findall(r"^\| ([^|]+?) +\|[^|]*\| ([^|]+?) +\|", PAGE, re.MULTILINE))
    said = {
        name: int(re.sub(r"\D", "", text.split(" ")[0]))
        for name, text in {
            "body": table["a request's body"],
            "pixels": table["a picture, before it is decoded"],
            "upload": table["the time a request takes to arrive"],
            "answer": table["the time until its answer, and to take that"],
            "queue": table["requests that wait"],
            "bodies": table["all bodies together"],
            "connections": table["connections"],
            "head": table["the head of a request"],
            "models": table["models open beside the first"],
        }.items()
    }
    assert said == {
        "body": limits.body_bytes // MEBIBYTE,
        "pixels": limits.pixels // 10**6,
        "upload": limits.upload_seconds,
        "answer": limits.answer_seconds,
        "queue": limits.queue,
        "bodies": limits.all_bodies_bytes // MEBIBYTE,
        "connections": limits.connections,
        "head": HEAD_BYTES // 2**10,
        "models": limits.models,
    }
