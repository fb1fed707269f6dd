from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from cam.errors import CamError, nearest_names
from cam.files import TEMPORARY_PREFIX, atomic_path, sha256_of


def test_the_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "scores.txt"
    with atomic_path(target) as temporary:
        temporary.write_text("0.7")
        assert not target.exists()
        assert (temporary.parent, temporary.suffix) == (target.parent, ".txt")
    assert target.read_text() == "0.7"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_half_written_stays(error: type[BaseException], tmp_path: Path) -> None:
    target = tmp_path / "scores.txt"
    target.write_text("old")
    with pytest.raises(error), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise error
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_the_file_is_as_readable_as_others(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    with atomic_path(tmp_path / "file") as temporary:
        temporary.write_text("x")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize(
    "name", ["n" * 251 + ".txt", "\u00fc" * 125 + ".jpg", "n." + "x" * 253, ".hidden"]
)
def test_temporary_names_have_the_prefix_and_are_never_too_long(name: str, tmp_path: Path) -> None:
    with atomic_path(tmp_path / name) as temporary:
        assert temporary.name.startswith(TEMPORARY_PREFIX)
        temporary.write_text("x")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_mask_of_the_process_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks: list[int] = []
    monkeypatch.setattr(os, "umask", masks.append)
    with atomic_path(tmp_path / "file"):
        pass
    assert masks == []


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(CamError, match=r"cannot write .*below.txt"),
        atomic_path(tmp_path / "file" / "below.txt"),
    ):
        pass


def test_a_folder_of_that_name_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "scores.txt").mkdir()
    with (
        pytest.raises(CamError, match=r"cannot write .*scores.txt: Is a directory"),
        atomic_path(tmp_path / "scores.txt") as temporary,
    ):
        temporary.write_text("x")
    assert list(tmp_path.iterdir()) == [tmp_path / "scores.txt"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_a_folder_that_may_not_be_written_is_an_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(CamError, match="Permission denied"), atomic_path(tmp_path / "x"):
        pass


def test_the_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    content = os.urandom(3 * 2**20 + 17)
    (tmp_path / "weights").write_bytes(content)
    assert sha256_of(tmp_path / "weights") == hashlib.sha256(content).hexdigest()


def test_nearest_names_come_with_the_best_first() -> None:
    known = ["conv1", "conv2", "CAM_conv", "prob"]
    assert nearest_names("CAM_con", known, count=1) == "; nearest: CAM_conv"
    assert nearest_names("conv", known, count=1).startswith("; nearest: conv")
    assert nearest_names("zzzz", known) == ""
    assert nearest_names("x", []) == ""
