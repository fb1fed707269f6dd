from __future__ import annotations

import io
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from matlab_files import CONTENTS, WRITERS, write_version5, write_version73
from scipy.io import loadmat, savemat

from cam.errors import CamError
from cam.matlab import decode_mat, load_categories, read_mat, write_mat


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
def test_every_version_gives_the_same_values(tmp_path, writer):
    path = tmp_path / "all.mat"
    writer(path)
    found = read_mat(path)
    assert set(found) == set(CONTENTS)
    for name, expected in CONTENTS.items():
        if isinstance(expected, np.ndarray):
            assert found[name].dtype == expected.dtype, name
            np.testing.assert_array_equal(found[name], expected, err_msg=name)
        else:
            assert found[name] == expected


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
def test_bytes_in_memory_give_what_their_file_gives(tmp_path, writer):
    path = tmp_path / "all.mat"
    writer(path)
    # There is no file of this name, and none is opened.
    found = decode_mat(path.read_bytes(), "sent.mat", ["double", "text"])
    assert found["text"] == CONTENTS["text"]
    np.testing.assert_array_equal(found["double"], CONTENTS["double"])
    with pytest.raises(CamError, match=r"sent\.mat has no variable single2"):
        decode_mat(path.read_bytes(), "sent.mat", ["single2"])


def test_no_bytes_are_no_file(tmp_path):
    write_mat(tmp_path / "there.mat", {"x": 1})
    with pytest.raises(CamError, match="is empty"):
        decode_mat(b"", str(tmp_path / "there.mat"))


def test_an_open_file_gets_the_same_bytes(tmp_path):
    variables = {"x": np.arange(5.0), "names": ["a", "b"]}
    write_mat(tmp_path / "written.mat", variables)
    content = io.BytesIO()
    write_mat(content, variables)
    assert content.getvalue() == (tmp_path / "written.mat").read_bytes()


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
def test_only_the_variables_wanted_are_read(tmp_path, writer):
    path = tmp_path / "all.mat"
    writer(path)
    assert set(read_mat(path, ["text"], optional=["names", "absent"])) == {"text", "names"}
    with pytest.raises(CamError, match=r"no variable singel; nearest: single.* it holds .*double"):
        read_mat(path, ["singel"])


def test_a_double_that_matlab_stored_as_bytes_is_a_double(tmp_path):
    # MATLAB stores whole doubles in the smallest type that holds them.
    octave_like = {"idx": np.array([[969.0, 968.0]])}
    savemat(tmp_path / "a.mat", octave_like)
    raw = (tmp_path / "a.mat").read_bytes()
    data = np.array([969, 968], "<f8").tobytes()
    as_int16 = b"\x04\x00\x04\x00" + np.array([969, 968], "<u2").tobytes()
    element = b"\x09\x00\x00\x00\x10\x00\x00\x00" + data
    assert element in raw
    matrix_length = int.from_bytes(raw[132:136], "little") - len(element) + len(as_int16)
    raw = raw[:132] + matrix_length.to_bytes(4, "little") + raw[136:]
    (tmp_path / "a.mat").write_bytes(raw.replace(element, as_int16))
    found = read_mat(tmp_path / "a.mat")["idx"]
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, [[969, 968]])


def test_a_cell_table_keeps_its_shape(tmp_path):
    table = np.empty((2, 2), object)
    table[:] = [["/a/abbey", 0.0], ["/a/alley", 1.0]]
    savemat(tmp_path / "table.mat", {"categories": table})
    cell = read_mat(tmp_path / "table.mat")["categories"]
    assert cell.shape == (2, 2)
    assert cell[1, 0] == "/a/alley"
    assert load_categories(tmp_path / "table.mat") == ["/a/abbey", "/a/alley"]


def test_reading_version_73_without_h5py_says_what_to_install(tmp_path, monkeypatch):
    write_version73(tmp_path / "new.mat")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(CamError, match=r"needs h5py: pip install h5py, or"):
        read_mat(tmp_path / "new.mat")


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
def test_a_file_cut_short_gives_one_clear_line(tmp_path, writer):
    whole = tmp_path / "whole.mat"
    writer(whole)
    raw = whole.read_bytes()
    cut = tmp_path / "cut.mat"
    for size in [*range(130, len(raw) - 8, len(raw) // 7), len(raw) - 8]:
        cut.write_bytes(raw[:size])
        with pytest.raises(CamError) as raised:
            read_mat(cut)
        assert str(cut) in str(raised.value)
        assert "\n" not in str(raised.value)


def test_a_damaged_element_does_not_crash_the_reader(tmp_path):
    path = tmp_path / "damaged.mat"
    write_version5(path, compressed=False)
    raw = bytearray(path.read_bytes())
    raw[128] = 99  # the type of the first data element
    path.write_bytes(raw)
    with pytest.raises(CamError, match="damaged"):
        read_mat(path)


@pytest.mark.parametrize("content", [b"", b"GIF89a" * 40, b"\0" * 200, b"<html>404</html>"])
def test_a_foreign_file_is_named_as_such(tmp_path, content):
    path = tmp_path / "foreign.mat"
    path.write_bytes(content)
    with pytest.raises(CamError, match=r"empty|not a MATLAB file"):
        read_mat(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CamError, match=r"absent\.mat: No such file"):
        read_mat(tmp_path / "absent.mat")
    with pytest.raises(CamError, match="directory"):
        read_mat(tmp_path)


def test_a_size_that_the_file_cannot_hold_is_not_allocated(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "huge.mat"
    with h5py.File(path, "w") as file:
        file.create_dataset("scores", shape=(10**7, 10**6), chunks=(1000, 1000), dtype="f8")
    with pytest.raises(
        CamError, match="scores holds more than may be read, at an array of 1000000 x 10000000"
    ):
        read_mat(path)

    savemat(tmp_path / "old.mat", {"scores": np.zeros((3, 5))})
    raw = (tmp_path / "old.mat").read_bytes()
    dimensions = np.array([3, 5], "<i4").tobytes()
    assert raw.count(dimensions) == 1
    large = np.array([2**30, 2**20], "<i4").tobytes()
    (tmp_path / "old.mat").write_bytes(raw.replace(dimensions, large))
    with pytest.raises(CamError, match="15 numbers for an array of 1073741824 x 1048576"):
        read_mat(tmp_path / "old.mat")


def test_a_struct_of_version_73_is_refused_by_name(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "struct.mat", "w") as file:
        file.create_group("rec").create_dataset("x", data=[1.0])
    assert read_mat(tmp_path / "struct.mat") == {}
    with pytest.raises(CamError, match="rec is a struct"):
        read_mat(tmp_path / "struct.mat", ["rec"])


def test_what_is_written_reads_back(tmp_path):
    path = tmp_path / "out" / "result.mat"
    names = ["cup", "eggnog"]
    write_mat(path, {"idx": np.array([969, 968]), "names": names, "note": "cam", "top": 5})
    found = read_mat(path)
    assert found["idx"].dtype == np.int64
    assert found["top"].dtype == np.float64
    np.testing.assert_array_equal(found["idx"], [[969], [968]])
    assert found["names"] == ["cup", "eggnog"]
    assert found["note"] == "cam"
    assert loadmat(path)["names"].shape == (2, 1)


def test_what_cannot_be_written_leaves_no_file(tmp_path):
    with pytest.raises(CamError, match="cannot be the name"):
        write_mat(tmp_path / "a.mat", {"2nd": np.zeros(2)})
    with pytest.raises(CamError, match="cannot store"):
        write_mat(tmp_path / "a.mat", {"thing": object()})
    assert list(tmp_path.iterdir()) == []


def test_a_cell_of_cells_keeps_each(tmp_path):
    outer = np.empty((1, 2), object)
    for place, words in enumerate((["a", "b"], ["c", "d"])):
        inner = np.empty((2, 1), object)
        inner[:, 0] = words
        outer[0, place] = inner
    savemat(tmp_path / "cells.mat", {"cells": outer})
    found = read_mat(tmp_path / "cells.mat")["cells"]
    assert found.shape == (1, 2)
    assert found.ravel().tolist() == [["a", "b"], ["c", "d"]]


def test_a_struct_is_an_array_of_records(tmp_path):
    records = np.empty((1, 2), [("WNID", object), ("box", object)])
    records[0] = [("n01440764", np.array([[1.0, 2.0]])), ("n01443537", np.zeros((0, 0)))]
    savemat(tmp_path / "struct.mat", {"synsets": records}, do_compression=True)
    found = read_mat(tmp_path / "struct.mat")["synsets"]
    assert found.dtype.names == ("WNID", "box")
    assert [text.item() for text in found["WNID"].ravel()] == ["n01440764", "n01443537"]
    np.testing.assert_array_equal(found[0, 0]["box"], [[1, 2]])
    assert found[0, 1]["box"].size == 0


def test_kinds_that_are_not_read_are_named_or_left_out(tmp_path):
    from scipy.sparse import csc_array

    savemat(tmp_path / "some.mat", {"s": csc_array(np.eye(3)), "x": np.ones((2, 2))})
    assert set(read_mat(tmp_path / "some.mat")) == {"x"}
    with pytest.raises(CamError, match=r"some\.mat: s is sparse, which cannot be read"):
        read_mat(tmp_path / "some.mat", ["s"])


def test_a_big_endian_file_is_read():
    folder = scipys_files()
    found, expected = read_mat(folder / "big_endian.mat"), loadmat(folder / "big_endian.mat")
    for name, value in found.items():
        assert isinstance(value, list) or np.array_equal(value, expected[name])


def scipys_files() -> Path:
    """Return the folder of files that MATLAB 6 to 7.4 wrote, which SciPy carries; or skip."""
    import scipy.io.matlab

    folder = Path(scipy.io.matlab.__path__[0]) / "tests" / "data"
    if not folder.is_dir():
        pytest.skip("this SciPy comes without its tests")
    return folder


def test_files_that_matlab_wrote_are_read_as_scipy_reads_them():
    compared = 0
    for path in sorted(scipys_files().glob("test*_[67].*.mat")):
        if "hdf5" in path.name or "sparse" in path.name or "object" in path.name:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = {name: value for name, value in loadmat(path).items() if name[0] != "_"}
        ours = read_mat(path)
        assert set(ours) == {name for name in theirs if "func" not in name}, path.name
        for name in ours:
            assert_same(ours[name], theirs[name])
            compared += 1
    assert compared > 60


def assert_same(ours, theirs):
    """Hold a value of `read_mat` against SciPy's, which keeps text in arrays."""
    if isinstance(ours, str):
        assert ours == "".join(theirs.ravel())
    elif isinstance(ours, list):
        words = [
            np.ravel(item).tolist() if theirs.dtype == object else [item] for item in theirs.flat
        ]
        assert ours == ["".join(parts) for parts in words]
    elif theirs.size == 0:
        assert ours.size == 0
    else:
        assert ours.shape == theirs.shape
        columns = [(ours[name], theirs[name]) for name in ours.dtype.names or ()]
        if ours.dtype == object:
            columns = [(ours, theirs)]
        if not columns:
            np.testing.assert_array_equal(ours, theirs)
        for mine, other in columns:
            for one, two in zip(mine.ravel(), other.ravel(), strict=True):
                assert_same(one, two)


def test_a_file_that_matlab_wrote_in_version_73_is_read():
    pytest.importorskip("h5py")
    found = read_mat(scipys_files() / "testhdf5_7.4_GLNX86.mat")
    np.testing.assert_allclose(found["testdouble"], np.linspace(0, 2 * np.pi, 9)[np.newaxis])


def test_arrays_can_be_written_to(tmp_path):
    for name, writer in WRITERS.items():
        writer(tmp_path / "all.mat")
        for value in read_mat(tmp_path / "all.mat").values():
            assert not isinstance(value, np.ndarray) or value.flags.writeable, name


def test_what_has_no_end_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.mat")
    for path in (tmp_path / "pipe.mat", "/dev/zero"):
        with pytest.raises(CamError, match="not a regular file"):
            read_mat(path)
