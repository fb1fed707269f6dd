from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from cam.errors import CamError
from cam.matlab.matfiles import (
    load_categories,
    load_features,
    load_network,
    read_mat,
    save_features,
    save_network,
    write_mat,
)

CONTENTS = {
    "double": np.arange(24.0).reshape(2, 3, 4),
    "single": np.array([[0.5, -1.5]], np.float32),
    "bytes": np.array([[1], [255]], np.uint8),
    "signed": np.array([[-7, 7]], np.int32),
    "logical": np.array([[True, False, True]]),
    "complex": np.array([[1 + 2j, 3 - 4j]]),
    "text": "naïve café",
    "rows": ["abc", "xyz"],
    "names": ["n07930864 cup", "", "eggnog"],
    "empty": np.zeros((0, 3)),
}
KINDS = {
    "double": "double",
    "single": "single",
    "bytes": "uint8",
    "signed": "int32",
    "logical": "logical",
    "complex": "double",
    "empty": "double",
}


def as_cell(names):
    cell = np.empty((len(names), 1), object)
    cell[:, 0] = names
    return cell


def write_version5(path, compressed):
    values = dict(CONTENTS)
    values["rows"] = np.array(CONTENTS["rows"])
    values["names"] = as_cell(CONTENTS["names"])
    savemat(path, values, do_compression=compressed)


def write_version73(path, contents=None, userblock=True):
    """Write a file in the layout that MATLAB gives version 7.3."""
    h5py = pytest.importorskip("h5py")

    def char(parent, name, rows):
        codes = [np.frombuffer(row.encode("utf-16-le"), "<u2") for row in rows]
        if not len(codes[0]):
            dataset = parent.create_dataset(name, data=np.array([0, 0], np.uint64))
            dataset.attrs["MATLAB_empty"] = np.uint8(1)
        else:
            dataset = parent.create_dataset(name, data=np.array(codes).T)
        dataset.attrs["MATLAB_class"] = np.bytes_("char")
        dataset.attrs["MATLAB_int_decode"] = np.int32(2)
        return dataset

    with h5py.File(path, "w", userblock_size=512 if userblock else 0) as file:
        references = file.create_group("#refs#")
        for name, value in (CONTENTS if contents is None else contents).items():
            if isinstance(value, str):
                char(file, name, [value])
            elif name == "rows":
                char(file, name, value)
            elif isinstance(value, list):
                items = [char(references, f"{name}{i}", [text]) for i, text in enumerate(value)]
                data = np.array([[item.ref for item in items]], dtype=h5py.ref_dtype)
                file[name] = data
                file[name].attrs["MATLAB_class"] = np.bytes_("cell")
            else:
                stored = np.asarray(value)
                attributes = {"MATLAB_class": np.bytes_(KINDS.get(name, "single"))}
                if not stored.size:
                    attributes["MATLAB_empty"] = np.uint8(1)
                    stored = np.array(stored.shape, np.uint64)
                elif stored.dtype == bool:
                    stored = stored.astype(np.uint8)
                elif stored.dtype.kind == "c":
                    parts = np.zeros(stored.shape, [("real", "f8"), ("imag", "f8")])
                    parts["real"], parts["imag"] = stored.real, stored.imag
                    stored = parts
                file[name] = stored.T
                file[name].attrs.update(attributes)
    if userblock:
        with path.open("r+b") as file:
            header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 ."
            file.write(header.ljust(124) + b"\x00\x02IM")


WRITERS = {
    "version 6": lambda path: write_version5(path, compressed=False),
    "version 7": lambda path: write_version5(path, compressed=True),
    "version 7.3": write_version73,
    "version 7.3 without MATLAB's header": lambda path: write_version73(path, userblock=False),
}


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
    with pytest.raises(CamError, match="scores claims to be 10000000 x 1000000"):
        read_mat(path)

    savemat(tmp_path / "old.mat", {"scores": np.zeros((3, 5))})
    raw = (tmp_path / "old.mat").read_bytes()
    dimensions = np.array([3, 5], "<i4").tobytes()
    assert raw.count(dimensions) == 1
    large = np.array([2**30, 2**20], "<i4").tobytes()
    (tmp_path / "old.mat").write_bytes(raw.replace(dimensions, large))
    with pytest.raises(CamError, match="scores claims to be 1073741824 x 1048576"):
        read_mat(tmp_path / "old.mat")


def test_a_struct_of_version_73_is_refused_by_name(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "struct.mat", "w") as file:
        file.create_group("rec").create_dataset("x", data=[1.0])
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


def features(crops=10, channels=6, rows=3, columns=4, classes=7):
    random = np.random.default_rng(0)
    activations = random.random((crops, channels, rows, columns), dtype=np.float32)
    return activations, random.random((crops, classes), dtype=np.float32)


def test_features_are_saved_in_the_order_of_the_original(tmp_path):
    activations, scores = features()
    save_features(tmp_path / "data_img1.mat", activations, scores)
    stored = loadmat(tmp_path / "data_img1.mat")
    assert stored["activation_lastconv"].shape == (4, 3, 6, 10)
    assert stored["activation_lastconv"].dtype == np.float32
    assert stored["activation_lastconv"][1, 2, 5, 9] == activations[9, 5, 2, 1]
    np.testing.assert_array_equal(stored["scores"], scores.T)
    found = load_features(tmp_path / "data_img1.mat")
    np.testing.assert_array_equal(found.activations, activations)
    np.testing.assert_array_equal(found.scores, scores)


@pytest.mark.parametrize("version", ["5", "7.3"])
@pytest.mark.parametrize("shape", [(7, 10), (1, 1, 7, 10)])
def test_scores_of_ten_crops_may_have_leading_axes(tmp_path, version, shape):
    activations, scores = features()
    path = tmp_path / "features.mat"
    values = {
        "scores": scores.T.reshape(shape),
        "activation_lastconv": activations.transpose(3, 2, 1, 0),
        "extra": np.ones((2, 2), np.float32),
    }
    savemat(path, values) if version == "5" else write_version73(path, values)
    found = load_features(path)
    np.testing.assert_array_equal(found.scores, scores)
    np.testing.assert_array_equal(found.activations, activations)


@pytest.mark.parametrize("shape", [(7, 1), (1, 7), (7,), (1, 1, 7)])
def test_scores_of_one_crop_may_be_any_vector(tmp_path, shape):
    activations, scores = features(crops=1)
    path = tmp_path / "features.mat"
    transposed = activations.transpose(3, 2, 1, 0)[..., 0]
    savemat(path, {"scores": scores.reshape(shape), "activation_lastconv": transposed})
    found = load_features(path)
    np.testing.assert_array_equal(found.scores, scores)
    np.testing.assert_array_equal(found.activations, activations)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"scores": np.ones((7, 10))}, "no variable activation_lastconv; it holds scores"),
        ({"scores": np.ones((10, 7))}, "scores is 10 x 7, not classes x 10"),
        ({"scores": np.ones((7, 9))}, "scores is 7 x 9, not classes x 10"),
        ({"scores": "high"}, "scores does not hold real numbers"),
        ({"activation_lastconv": np.ones((4, 4))}, "activation_lastconv is 4 x 4"),
    ],
)
def test_features_that_do_not_fit_are_explained(tmp_path, values, message):
    activations, scores = features()
    good = {"scores": scores.T, "activation_lastconv": activations.transpose(3, 2, 1, 0)}
    missing = message.startswith("no variable")
    savemat(tmp_path / "features.mat", values if missing else good | values)
    with pytest.raises(CamError, match=message):
        load_features(tmp_path / "features.mat")


@pytest.mark.parametrize("names", [["cup", "eggnog", "espresso"], None])
def test_a_network_with_and_without_names(tmp_path, names):
    weights = np.random.default_rng(0).random((3, 5)).astype(np.float32)
    path = tmp_path / "data_net.mat"
    if names is None:
        write_mat(path, {"weights_LR": weights.T})
    else:
        save_network(path, weights, names)
        assert loadmat(path)["weights_LR"].shape == (5, 3)
    found = load_network(path)
    np.testing.assert_array_equal(found.class_weights, weights)
    assert found.class_weights.flags.c_contiguous
    assert found.categories == names


def test_a_network_that_does_not_fit_is_explained(tmp_path):
    with pytest.raises(CamError, match="2 categories"):
        save_network(tmp_path / "net.mat", np.zeros((3, 5)), ["a", "b"])
    write_mat(tmp_path / "net.mat", {"weights_LR": np.ones((5, 3)), "categories": ["a", "b"]})
    with pytest.raises(CamError, match="2 categories do not fit weights_LR, which is 5 x 3"):
        load_network(tmp_path / "net.mat")
    write_mat(tmp_path / "net.mat", {"weights_LR": np.ones((5, 3, 2))})
    with pytest.raises(CamError, match="5 x 3 x 2, not channels x classes"):
        load_network(tmp_path / "net.mat")
    with pytest.raises(CamError, match=r"\(N, K, h, w\)"):
        save_features(tmp_path / "a.mat", np.zeros((2, 3, 4)), np.zeros((2, 5)))


def test_categories_that_are_not_text_are_explained(tmp_path):
    write_mat(tmp_path / "a.mat", {"categories": np.arange(3.0)})
    with pytest.raises(CamError, match="not a cell of text"):
        load_categories(tmp_path / "a.mat")


def test_the_originals_features_follow_from_the_originals_weights(shared_data):
    network = load_network(shared_data / "data_net.mat")
    found = load_features(shared_data / "data_img1.mat")
    assert network.class_weights.shape == (1000, 1024)
    assert found.activations.shape == (10, 1024, 14, 14)
    assert found.scores.shape == (10, 1000)
    logits = found.activations.mean(axis=(2, 3)) @ network.class_weights.T
    # log(scores) = logits + bias of the class - log(sum of the crop): what is left after both are
    # taken out is rounding.
    left = np.log(found.scores) - logits
    left -= np.median(left, axis=0)
    left -= np.median(left, axis=1, keepdims=True)
    assert np.abs(left).max() < 5e-5


def test_the_originals_class_names(shared_data):
    names = load_categories(shared_data / "categories1000.mat")
    assert names == load_network(shared_data / "data_net.mat").categories
    assert names[968] == "n07930864 cup"
    places = load_categories(shared_data / "categories_places205.mat")
    assert len(places) == 205
    assert places[0] == "/a/abbey"


def test_the_originals_files_survive_a_round_trip(shared_data, tmp_path):
    original = load_features(shared_data / "data_img1.mat")
    save_features(tmp_path / "data_img1.mat", *original)
    stored = loadmat(tmp_path / "data_img1.mat")
    theirs = loadmat(shared_data / "data_img1.mat")
    name = "activation_lastconv"
    np.testing.assert_array_equal(stored[name], theirs[name])
    assert stored[name].dtype == theirs[name].dtype
    np.testing.assert_array_equal(stored["scores"], theirs["scores"].reshape(1000, 10))
