from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cam.errors import CamError, nearest_names
from cam.files import (
    MAX_JSON_DEPTH,
    TEMPORARY_PREFIX,
    atomic_path,
    file_name,
    read_arrays,
    read_bytes,
    read_json,
    read_text,
    sha256_of,
    write_json,
    write_text,
)


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


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "No such file"),
        (lambda path: path.mkdir(), "Is a directory"),
        (os.mkfifo, "not a regular file"),
        (lambda path: path.write_bytes(b"12345"), "5 bytes, over the limit of 4"),
    ],
)
def test_what_is_no_file_within_the_limit_is_refused_in_one_line(
    make: Callable[[Path], object], reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "list.txt"
    make(path)
    with pytest.raises(CamError, match=rf"^cannot read the list .*list\.txt: .*{reason}"):
        read_bytes(path, "the list", limit=4)


def test_a_missing_file_is_a_file_not_found_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="cannot read"):
        read_text(tmp_path / "none")


def test_a_device_without_end_is_not_read() -> None:
    with pytest.raises(CamError, match="not a regular file"):
        read_bytes("/dev/zero")


def test_a_name_with_a_nul_is_refused() -> None:
    with pytest.raises(CamError, match="cannot read"):
        read_bytes("a\0b")


def test_text_is_read_without_its_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfcup\n")
    assert read_text(tmp_path / "a.txt") == "cup\n"
    (tmp_path / "a.txt").write_bytes(b"\xff")
    with pytest.raises(CamError, match="not text in UTF-8"):
        read_text(tmp_path / "a.txt")


@pytest.mark.parametrize("text", ["{", "[" * 100_000])
def test_what_is_not_json_is_refused(text: str, tmp_path: Path) -> None:
    write_text(tmp_path / "a.json", text)
    with pytest.raises(CamError, match="not JSON"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_json_is_read_to_a_depth_and_no_deeper(opening: str, tmp_path: Path) -> None:
    closing = {"[": "]", "{": "}"}[opening[0]]
    (tmp_path / "a.json").write_text(opening * MAX_JSON_DEPTH + "1" + closing * MAX_JSON_DEPTH)
    read_json(tmp_path / "a.json")
    for depth in (MAX_JSON_DEPTH + 1, 900, 100_000):
        (tmp_path / "a.json").write_text(opening * depth + "1" + closing * depth)
        with pytest.raises(CamError, match="of at most 64 levels"):
            read_json(tmp_path / "a.json")


def test_json_reads_back(tmp_path: Path) -> None:
    write_json(tmp_path / "new" / "a.json", {"top": [1, 2.5, "é"]})
    assert read_json(tmp_path / "new" / "a.json") == {"top": [1, 2.5, "é"]}


def test_an_error_while_writing_names_the_file(tmp_path: Path) -> None:
    with (
        pytest.raises(CamError, match=r"cannot write .*a\.txt: No space"),
        atomic_path(tmp_path / "a.txt"),
    ):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


@given(st.text(max_size=300))
def test_a_file_name_is_never_a_path(text: str) -> None:
    name = file_name(text)
    assert name not in ("", ".", "..")
    assert not set(name) & set("/\\\0\n")
    assert len(os.fsencode(name)) <= 200


def npz_of(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def npy_of(header: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()


def test_arrays_come_back_by_their_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.arange(3), b=np.array(["text"]))
    np.save(tmp_path / "x.npy", np.eye(2))
    arrays = read_arrays(tmp_path / "x.npz")
    assert arrays["a"].tolist() == [0, 1, 2]
    assert arrays["b"].tolist() == ["text"]
    assert read_arrays(tmp_path / "x.npy")["array"].tolist() == np.eye(2).tolist()


@pytest.mark.parametrize(
    "data",
    [
        npy_of("{'descr': '<f4', 'fortran_order': False, 'shape': (3,"),
        npy_of("{'descr': '<f4', 'fortran_order': False, 'shape': (" + "9" * 30 + ",)}"),
        npy_of("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999,)}"),
        npy_of("{'descr': '|O', 'fortran_order': False, 'shape': (3,)}"),
        b"text",
        b"",
    ],
    ids=["open bracket", "30 digits", "cut short", "pickled", "text", "empty"],
)
def test_damaged_arrays_are_refused_alone_and_in_archives(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(data)
    npz_of(tmp_path / "x.npz", {"maps.npy": data})
    for name in ("x.npy", "x.npz"):
        with pytest.raises(CamError, match=rf"{name}: not arrays of NumPy, or damaged"):
            read_arrays(tmp_path / name)


def test_an_archive_that_unpacks_to_more_than_the_limit_is_refused(tmp_path: Path) -> None:
    npz_of(tmp_path / "x.npz", {f"{k}.npy": bytes(1 << 20) for k in range(4)})
    with pytest.raises(CamError, match="over the limit of 4194303"):
        read_arrays(tmp_path / "x.npz", limit=4 * 2**20 - 1)
