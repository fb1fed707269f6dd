"""MATLAB files made to crash the reader, to fill the memory, or to read what is not theirs."""

from __future__ import annotations

import os
import resource
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matlab_files import WRITERS, write_version5, write_version73
from scipy.io import savemat

from cam.errors import CamError
from cam.matlab import decode_mat, read_mat

FUZZ = settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
IN_A_CHILD = settings(FUZZ, max_examples=15)


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """Let no test take more than 4 GiB of addresses beyond what the process has."""
    if not Path("/proc/self/statm").exists():
        pytest.skip("only Linux says what a process has")
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 4 * 2**30, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def read_or_refuse(path: Path, seconds: float = 11) -> None:
    """Read a file: it may be refused, with one line, but nothing else may happen."""
    began = time.monotonic()
    try:
        read_mat(path)
    except CamError as error:
        assert str(path) in str(error)
        assert str(error).isprintable()
        assert len(str(error)) < 1000
    assert time.monotonic() - began < seconds


def refused(path: Path, reason: str) -> None:
    """See that a file is refused, and its bytes in memory are, too."""
    for read in (lambda: read_mat(path), lambda: decode_mat(path.read_bytes(), path.name)):
        with pytest.raises(CamError, match=reason) as raised:
            read()
        assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    "name", ["crash_mat_first.mat", "h5laughs.mat", "nestz10000.mat", "v6.mat", "v7.mat"]
)
def test_known_damaged_files_are_refused(
    shared_data: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("h5py")
    monkeypatch.setattr("cam.matlab.mat_version73._SECONDS", 2)
    refused(shared_data / "damaged" / name, "damaged|may be read|cannot be read in 2 s|deep")


def small_version5(compressed: bool, folder: Path) -> bytes:
    write_version5(folder / "seed.mat", compressed)
    return (folder / "seed.mat").read_bytes()


@FUZZ
@given(data=st.data(), compressed=st.booleans())
def test_flipped_bits_of_version_5_are_read_or_refused(
    tmp_path: Path, data: st.DataObject, compressed: bool
) -> None:
    content = bytearray(small_version5(compressed, tmp_path))
    for _ in range(data.draw(st.integers(1, 3))):
        bit = data.draw(st.integers(126 * 8, len(content) * 8 - 1))
        content[bit // 8] ^= 1 << bit % 8
    (tmp_path / "mutated.mat").write_bytes(content)
    read_or_refuse(tmp_path / "mutated.mat", 2)


@FUZZ
@given(data=st.data())
def test_flipped_bits_inside_a_compressed_variable_are_read_or_refused(
    tmp_path: Path, data: st.DataObject
) -> None:
    plain = small_version5(False, tmp_path)
    length = int.from_bytes(plain[132:136], "little") + 8
    variable = bytearray(plain[128 : 128 + length])
    for _ in range(data.draw(st.integers(1, 3))):
        bit = data.draw(st.integers(0, len(variable) * 8 - 1))
        variable[bit // 8] ^= 1 << bit % 8
    packed = zlib.compress(variable)
    element = b"\x0f\0\0\0" + len(packed).to_bytes(4, "little") + packed
    (tmp_path / "mutated.mat").write_bytes(plain[:128] + element)
    read_or_refuse(tmp_path / "mutated.mat", 2)


@IN_A_CHILD
@given(data=st.data())
def test_flipped_bits_of_version_73_are_read_or_refused(
    tmp_path: Path, data: st.DataObject
) -> None:
    write_version73(tmp_path / "mutated.mat")
    content = bytearray((tmp_path / "mutated.mat").read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        bit = data.draw(st.integers(512 * 8, len(content) * 8 - 1))
        content[bit // 8] ^= 1 << bit % 8
    (tmp_path / "mutated.mat").write_bytes(content)
    read_or_refuse(tmp_path / "mutated.mat")


@FUZZ
@given(st.binary(max_size=300), st.sampled_from(["<", ">"]))
def test_any_bytes_behind_a_header_are_read_or_refused(
    tmp_path: Path, content: bytes, order: str
) -> None:
    magic = b"\x00\x01IM" if order == "<" else b"\x01\x00MI"
    (tmp_path / "random.mat").write_bytes(b"MATLAB 5.0".ljust(124) + magic + content)
    read_or_refuse(tmp_path / "random.mat", 2)


# --- sizes ---------------------------------------------------------------------------------------


def element(kind: int, content: bytes) -> bytes:
    padding = b"" if kind in {14, 15} else bytes(-len(content) % 8)
    return kind.to_bytes(4, "little") + len(content).to_bytes(4, "little") + content + padding


def matrix(kind: int, shape: tuple[int, ...], rest: bytes, name: bytes = b"") -> bytes:
    flags = element(6, bytes([kind, 0, 0, 0, 0, 0, 0, 0]))
    return element(
        14, flags + element(5, np.array(shape, "<i4").tobytes()) + element(1, name) + rest
    )


def version5(path: Path, variable: bytes, compressed: bool) -> None:
    content = element(15, zlib.compress(variable)) if compressed else variable
    path.write_bytes(b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + content)


@pytest.mark.parametrize("compressed", [True, False])
def test_cells_nested_without_end_are_refused(tmp_path: Path, compressed: bool) -> None:
    inner = b""
    for depth in range(3000):
        inner = matrix(1, (1, 1), inner, b"x" if depth == 2999 else b"")
    version5(tmp_path / "nested.mat", inner, compressed)
    refused(tmp_path / "nested.mat", "more than 64 deep")


@pytest.mark.parametrize(
    ("kind", "shape", "rest"),
    [
        (6, (2**31 - 1, 2**31 - 1), element(9, bytes(8))),
        (6, (2**31 - 1, 2**31 - 1, 0), element(9, b"")),
        (6, (2,) * 70, element(9, bytes(8))),
        (1, (2**31 - 1, 1), b""),
        (2, (2**31 - 1, 2**20), element(5, b"\1\0\0\0") + element(1, b"")),
        (2, (2**31 - 1, 1), element(5, b"\1\0\0\0") + element(1, b"a")),
        (4, (2**31 - 1, 1), element(4, b"a\0")),
        (6, (1, 1), element(14, b"")),
        (4, (1, 1), element(9, bytes(8))),
        (1, (1, 1), element(9, bytes(8))),
        (99, (1, 1), element(9, bytes(8))),
    ],
)
def test_wrong_sizes_and_kinds_of_version_5_are_refused(
    tmp_path: Path, kind: int, shape: tuple[int, ...], rest: bytes
) -> None:
    for compressed in (True, False):
        version5(tmp_path / "wrong.mat", matrix(kind, shape, rest, b"x"), compressed)
        refused(tmp_path / "wrong.mat", "damaged|may be read")


def test_what_unpacks_to_more_than_may_be_read_or_than_it_says_is_refused(tmp_path: Path) -> None:
    numbers = (9).to_bytes(4, "little") + (2**30).to_bytes(4, "little") + bytes(2**26)
    variable = matrix(6, (2**27, 1), numbers, b"x")
    began = time.monotonic()
    for length, reason in ((2**30 + 64, "holds more than may be read"), (1000, "not what it says")):
        lying = variable[:4] + length.to_bytes(4, "little") + variable[8:]
        version5(tmp_path / "bomb.mat", lying, compressed=True)
        refused(tmp_path / "bomb.mat", reason)
    assert time.monotonic() - began < 4


def test_a_flood_of_empty_arrays_is_refused(tmp_path: Path) -> None:
    cell = matrix(1, (2**19, 1), element(14, b"") * 2**19, b"x")
    version5(tmp_path / "flood.mat", cell, compressed=True)
    refused(tmp_path / "flood.mat", "holds more than may be read")


def test_names_from_a_file_do_not_flood_the_message(tmp_path: Path) -> None:
    savemat(tmp_path / "many.mat", {f"v{k}": 1.0 for k in range(500)})
    with pytest.raises(CamError) as raised:
        read_mat(tmp_path / "many.mat", ["x"])
    assert len(str(raised.value)) < 400
    content = matrix(6, (1, 1), element(9, bytes(8)), b"\x1b[31mred\n")
    version5(tmp_path / "red.mat", content, compressed=False)
    with pytest.raises(CamError) as raised:
        read_mat(tmp_path / "red.mat", ["x"])
    assert str(raised.value).isprintable()


# --- version 7.3 ---------------------------------------------------------------------------------


def test_numbers_in_another_file_are_refused(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    (tmp_path / "secret").write_bytes(b"not theirs to read")
    with h5py.File(tmp_path / "outside.mat", "w") as file:
        file.create_dataset("x", (18,), "u1", external=[(str(tmp_path / "secret"), 0, 18)])
        with h5py.File(tmp_path / "other.h5", "w") as other:
            other["x"] = np.arange(18.0)
        layout = h5py.VirtualLayout((18,), "f8")
        layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "x", (18,))
        file.create_virtual_dataset("y", layout)
        references = [file["x"].ref]
        file.create_dataset("z", data=np.array(references, h5py.ref_dtype))
    for name in ("x", "y", "z"):
        with pytest.raises(CamError, match=f"{name} takes numbers out of other files"):
            read_mat(tmp_path / "outside.mat", [name])
        with pytest.raises(CamError, match="other files"):
            decode_mat((tmp_path / "outside.mat").read_bytes(), "outside.mat", [name])


def test_links_are_refused_and_not_followed(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    os.mkfifo(tmp_path / "pipe")
    with h5py.File(tmp_path / "links.mat", "w") as file:
        file["pipe"] = h5py.ExternalLink(str(tmp_path / "pipe"), "/x")
        file["loop"] = h5py.SoftLink("/loop")
        file["other"] = h5py.SoftLink("/x")
        file["x"] = np.ones((2, 2))
    assert set(read_mat(tmp_path / "links.mat", ["x"])) == {"x"}
    began = time.monotonic()
    for name in ("pipe", "loop", "other"):
        with pytest.raises(CamError, match=f"{name} is a link"):
            read_mat(tmp_path / "links.mat", [name])
        with pytest.raises(CamError, match="link"):
            decode_mat((tmp_path / "links.mat").read_bytes(), "links.mat", [name])
    assert time.monotonic() - began < 5


def test_references_without_end_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    h5py = pytest.importorskip("h5py")
    monkeypatch.setattr("cam.matlab.mat_version73._SECONDS", 2)
    with h5py.File(tmp_path / "laughs.mat", "w") as file:
        file["x"] = np.ones((1, 1))
        inner = file["x"]
        for level in range(8):
            cell = np.array([inner.ref] * 100, h5py.ref_dtype)
            inner = file.create_dataset(f"level{level}", data=cell)
        loop = file.create_dataset("loop", (1,), h5py.ref_dtype)
        loop[0] = loop.ref
    refused(tmp_path / "laughs.mat", "more than may be read|cannot be read in")
    with pytest.raises(CamError, match="more than 64 deep"):
        read_mat(tmp_path / "laughs.mat", ["loop"])


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_sizes_that_a_file_claims_are_not_allocated(
    tmp_path: Path, compression: str | None
) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "huge.mat", "w") as file:
        file.create_dataset("x", (7 * 2**30,), "u1", chunks=(2**20,), compression=compression)
        empty = file.create_dataset("empty", data=np.array([2**40, 2**40], np.uint64))
        empty.attrs["MATLAB_empty"], empty.attrs["MATLAB_class"] = 1, np.bytes_("double")
    began = time.monotonic()
    with pytest.raises(CamError, match="x holds more than may be read, at an array of 7516192768"):
        read_mat(tmp_path / "huge.mat", ["x"])
    with pytest.raises(CamError, match="damaged"):
        read_mat(tmp_path / "huge.mat", ["empty"])
    assert time.monotonic() - began < 5


def test_types_that_matlab_does_not_write_are_not_read(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "types.mat", "w") as file:
        file["text"] = "variable length"
        file["pair"] = np.zeros(3, [("a", "f8"), ("b", "i4")])
        file["object"] = np.zeros((1, 6), np.uint32)
        file["object"].attrs["MATLAB_class"] = np.bytes_("containers.Map")
    assert read_mat(tmp_path / "types.mat") == {}
    with pytest.raises(CamError, match="pair is of the type"):
        read_mat(tmp_path / "types.mat", ["pair"])
    with pytest.raises(CamError, match=r"object is of the class containers\.Map"):
        read_mat(tmp_path / "types.mat", ["object"])


def test_text_without_axes_is_one_row(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "text.mat", "w") as file:
        file["x"] = np.uint16(99)
        file["x"].attrs["MATLAB_class"] = np.bytes_("char")
    assert read_mat(tmp_path / "text.mat") == {"x": "c"}


def test_a_child_that_dies_or_hangs_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("h5py")
    write_version73(tmp_path / "good.mat")
    child = tmp_path / "child.py"
    monkeypatch.setattr("cam.matlab.mat_version73._CHILD", child)
    monkeypatch.setattr("cam.matlab.mat_version73._SECONDS", 1)
    monkeypatch.setattr("cam.matlab.mat_version73._PATIENCE", 1)
    child.write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    refused(tmp_path / "good.mat", "damaged")
    child.write_text("print('{', end='', flush=True); import time; time.sleep(60)")
    refused(tmp_path / "good.mat", "cannot be read in 1 s")


def test_nothing_in_the_current_folder_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("h5py")
    write_version73(tmp_path / "good.mat")
    for module in ("numpy", "h5py", "json", "resource", "sitecustomize"):
        (tmp_path / f"{module}.py").write_text("open('taken', 'w').close()")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    read_mat(tmp_path / "good.mat")
    assert not (tmp_path / "taken").exists()


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
def test_a_damaged_file_leaves_the_reader_as_it_was(tmp_path: Path, writer: object) -> None:
    path = tmp_path / "good.mat"
    writer(path)  # type: ignore[operator]
    content = path.read_bytes()
    (tmp_path / "bad.mat").write_bytes(content[: len(content) // 2])
    refused(tmp_path / "bad.mat", "damaged")
    assert read_mat(path, ["text"])["text"] == "naïve café"
