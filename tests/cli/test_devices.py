"""Disks and streams that are full or closed, folders that are gone, names that are no text."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cam.files import TEMPORARY_PREFIX


def command(folder: Path, *arguments: object, shell: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command in a folder, with what a shell does to its streams."""
    line = ["sh", "-c", f'exec "$@" {shell}', "sh", sys.executable, "-m", "cam"]
    return subprocess.run(
        [*line, *map(os.fsencode, map(str, arguments))],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="surrogateescape",
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return an empty disk of 40 kB, or skip where none can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, b"size=40k"):
        pytest.skip("mounting a disk needs more rights")
    yield folder
    libc.umount2(os.fsencode(folder), 2)


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "{coffee}", "-o", "{disk}/new/out"),
        ("localize", "{coffee}", "-o", "{disk}/new/out"),
        ("batch", "{coffee}", "--save", "scores", "--save", "maps", "-o", "{disk}/new/out"),
        ("export", "{disk}/new/network.onnx"),
        ("figure", "top5", "{coffee}", "-o", "{disk}/new/figure.png"),
    ],
)
def test_a_full_disk_is_one_line_and_leaves_no_empty_folders(
    small_disk: Path, coffee: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (small_disk / "other").write_bytes(bytes(36 * 1024))
    places = {"coffee": coffee, "disk": small_disk}
    ended = command(tmp_path, *(argument.format(**places) for argument in arguments))
    assert ended.returncode == 2
    said = [line for line in ended.stderr.splitlines() if line.startswith("cam: ")]
    assert len(said) == 1
    assert "o space left on" in said[0]
    left = list(small_disk.rglob("*"))
    assert not [path for path in left if path.is_dir() and not any(path.iterdir())]
    assert not [path for path in left if path.name.startswith(TEMPORARY_PREFIX)]


@pytest.mark.parametrize("arguments", [("models",), ("--help",), ("run", "{coffee}", "--json")])
def test_standard_output_on_a_full_device_is_one_line(
    coffee: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    words = (argument.format(coffee=coffee) for argument in arguments)
    ended = command(tmp_path, *words, shell=">/dev/full")
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1] == "cam: cannot write: No space left on device"
    assert "Traceback" not in ended.stderr


def test_standard_error_on_a_full_device_changes_no_exit_code(tmp_path: Path) -> None:
    assert command(tmp_path, "run", "missing.jpg", shell="2>/dev/full").returncode == 2


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_streams_are_no_hindrance(tmp_path: Path, closed: str) -> None:
    assert command(tmp_path, "models", shell=closed).returncode == 0
    assert command(tmp_path, "export", "network.onnx", shell=closed).returncode == 0
    # Nothing that was printed has gone into a file that was opened in a closed stream's place.
    assert (tmp_path / "network.onnx").read_bytes()[:1] == b"\x08"


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "missing.jpg"),
        ("run", "{coffee}"),
        ("run", "."),
        ("batch", "{coffee}", "-o", "store"),
        ("figure", "top5", "{coffee}"),
        ("compare", "a", "b"),
        ("learn", ".", "-o", "out"),
        ("script", "a.py"),
    ],
)
def test_a_working_folder_that_is_gone_is_one_line(
    coffee: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "gone").mkdir()
    words = [argument.format(coffee=coffee) for argument in arguments]
    line = ["sh", "-c", 'rmdir ../gone; exec "$@"', "sh", sys.executable, "-m", "cam", *words]
    ended = subprocess.run(line, cwd=tmp_path / "gone", capture_output=True, text=True)
    assert ended.returncode == 2
    assert len([one for one in ended.stderr.splitlines() if one.startswith("cam: ")]) == 1
    assert "Traceback" not in ended.stderr


def test_a_working_folder_that_is_gone_does_not_matter_where_it_is_not_used(
    coffee: Path, tmp_path: Path
) -> None:
    (tmp_path / "gone").mkdir()
    words = ["run", str(coffee), "-o", str(tmp_path / "out"), "--top", "1"]
    line = ["sh", "-c", 'rmdir ../gone; exec "$@"', "sh", sys.executable, "-m", "cam", *words]
    assert subprocess.run(line, cwd=tmp_path / "gone", capture_output=True).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "locale"),
    [
        (("run", "{coffee}", "--top", "1", "--save-mat", "-o"), "C"),
        (("run", "{coffee}", "--top", "1", "--json", "-o"), "C.UTF-8"),
        (("localize", "{coffee}", "--top", "1", "-o"), "C.UTF-8"),
        (("batch", "{coffee}", "--top", "1", "-o"), "C"),
        (("figure", "top5", "{coffee}", "-o"), "C.UTF-8"),
        (("export",), "C"),
    ],
)
def test_an_output_whose_name_is_not_utf8_is_written(
    coffee: Path, tmp_path: Path, arguments: tuple[str, ...], locale: str
) -> None:
    name = os.fsdecode(b"out\xff")
    words = [argument.format(coffee=coffee) for argument in arguments]
    line = ["env", f"LC_ALL={locale}", "PYTHONUTF8=0", "PYTHONCOERCECLOCALE=0"]
    ended = subprocess.run(
        [*line, sys.executable, "-m", "cam", *words, name], cwd=tmp_path, capture_output=True
    )
    assert (ended.returncode, b"Traceback" in ended.stderr) == (0, False)
    assert list(tmp_path.glob(f"{name}*"))
    if "--json" in words:
        assert json.loads(ended.stdout)[0]["folder"].startswith(name)
