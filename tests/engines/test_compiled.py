from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cam import zoo
from cam.engines import compiled
from cam.engines.openvino import OpenVinoEngine

INFO = zoo.get(zoo.EMBEDDED)
BATCH = np.random.default_rng(0).uniform(-1, 1, (1, 3, 224, 224)).astype(np.float32)


def scores(threads: int | None = None, digest: str | None = None) -> np.ndarray:
    network = zoo.load_network()
    chosen = replace(network, weights_sha256=digest or network.weights_sha256)
    return OpenVinoEngine(chosen, threads).forward(BATCH).scores


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the empty folder that compiled networks are kept in."""
    monkeypatch.setenv("CAM_COMPILED", str(tmp_path / "compiled"))
    return tmp_path / "compiled"


@pytest.fixture
def no_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it fail to write the network as a graph, which only a compilation needs."""

    def fail(*arguments: Any) -> None:
        raise AssertionError("compiled again")

    monkeypatch.setattr("cam.engines.onnx_graph.to_onnx", fail)


def test_a_second_start_compiles_nothing_and_gives_the_same(
    folder: Path, request: pytest.FixtureRequest
) -> None:
    first = scores()
    assert len(list(folder.iterdir())) == 1
    request.getfixturevalue("no_graph")
    np.testing.assert_array_equal(scores(), first)


@pytest.mark.parametrize(
    ("offset", "value"), [(40, b"\x00\x01\x02"), (-3, b"xyz"), (0, b"\x00" * 32)]
)
def test_a_damaged_file_is_made_again(folder: Path, offset: int, value: bytes) -> None:
    first = scores()
    (file,) = folder.iterdir()
    sound = file.read_bytes()
    damaged = bytearray(sound)
    start = offset % len(damaged)
    damaged[start : start + len(value)] = value
    file.write_bytes(damaged)
    np.testing.assert_array_equal(scores(), first)
    assert compiled._read(file) is not None


def test_a_cut_off_file_is_made_again(folder: Path) -> None:
    first = scores()
    (file,) = folder.iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    np.testing.assert_array_equal(scores(), first)


def test_a_sound_file_that_the_runtime_refuses_is_made_again(folder: Path) -> None:
    first = scores()
    (file,) = folder.iterdir()
    compiled._write(file, b"not a compiled network")
    np.testing.assert_array_equal(scores(), first)


def test_other_weights_and_other_options_are_other_files(folder: Path) -> None:
    scores()
    scores(threads=1)
    scores(digest="0" * 64)
    assert len(list(folder.iterdir())) == 3


def test_concurrent_starts_do_not_disturb_each_other(folder: Path) -> None:
    with ProcessPoolExecutor(3) as pool:
        results = [future.result() for future in [pool.submit(scores, 1) for _ in range(3)]]
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])
    assert [file.suffix for file in folder.iterdir()] == [".blob"]


def test_nothing_is_kept_when_it_is_switched_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAM_COMPILED", "off")
    assert compiled.cache_folder() is None
    scores()


def test_an_unwritable_folder_costs_nothing_but_the_next_starts_speed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "taken").write_text("a file where the folder should be")
    monkeypatch.setenv("CAM_COMPILED", str(tmp_path / "taken"))
    assert scores().shape == (1, 1000)


def test_what_was_used_longest_ago_is_removed_over_the_limit(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "MAX_FOLDER_BYTES", 3 * 132)
    for age in (3, 1, 2):
        path = folder / f"{age}.blob"
        compiled._write(path, b"x" * 100)
        os.utime(path, (1_000_000 - age, 1_000_000 - age))
    compiled._write(folder / "new.blob", b"x" * 100)
    assert sorted(path.stem for path in folder.iterdir()) == ["1", "2", "new"]


def test_a_compiled_network_under_anothers_name_is_not_taken(folder: Path) -> None:
    scores(digest="0" * 64)
    (other,) = folder.iterdir()
    scores(digest="1" * 64)
    (mine,) = set(folder.iterdir()) - {other}
    mine.write_bytes(other.read_bytes())
    assert compiled._read(mine) is None
    assert compiled._read(other) is not None


@pytest.mark.parametrize("writable", ["folder", "file"])
def test_what_others_can_write_is_not_used(
    folder: Path, writable: str, request: pytest.FixtureRequest
) -> None:
    scores()
    (file,) = folder.iterdir()
    assert (folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
    (folder if writable == "folder" else file).chmod(0o777)
    request.getfixturevalue("no_graph")
    with pytest.raises(AssertionError, match="compiled again"):
        scores()


def test_the_key_covers_all_the_code_that_makes_the_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setattr(compiled, "sha256_of", lambda path: read.append(Path(path).name) or "")
    compiled._writer_digest.__wrapped__()
    assert {
        "onnx_graph.py",
        "winograd.py",
        "spatial.py",
        "elementwise.py",
        "layers.py",
        "network.py",
    } <= set(read)
