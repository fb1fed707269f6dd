"""Caffe's files: read and written in every style, against pycaffe, and what is wrong with them."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cam.caffe.caffemodel import CaffeModel, read_caffemodel, write_caffemodel
from cam.caffe.prototxt import (
    format_prototxt,
    layer_type_name,
    parse_prototxt,
    read_prototxt,
    upgraded,
    write_prototxt,
)
from cam.caffe.schema import message_class
from cam.errors import CamError

Arrays = tuple[NDArray[np.float32], ...]

PROTOTXTS = [
    "deploy_googlenetCAM.prototxt",
    "deploy_googlenetCAM_places205.prototxt",
    "deploy_alexnetplusCAM_imagenet.prototxt",
    "deploy_alexnetplusCAM_places205.prototxt",
    "deploy_vgg16CAM.prototxt",
    "train_val_googlenetCAM.prototxt",
    "efficientnet-lite0.prototxt",
]

STYLES = ["layer", "layers"]


def net_of(style: str, *names: str) -> Any:
    """Return a network of convolutions in one of the two styles."""
    net = message_class("NetParameter")(name="tiny", input=["data"], input_dim=[1, 4, 6, 6])
    for name in names or ("conv", "fc"):
        if style == "layer":
            net.layer.add(name=name, type="Convolution", bottom=["data"], top=[name])
        else:
            kind = message_class("V1LayerParameter").LayerType.Value("CONVOLUTION")
            net.layers.add(name=name, type=kind, bottom=["data"], top=[name])
    return net


def arrays(seed: int, *shapes: tuple[int, ...]) -> Arrays:
    generator = np.random.default_rng(seed)
    return tuple(generator.standard_normal(shape).astype(np.float32) for shape in shapes)


def model_of(style: str) -> CaffeModel:
    blobs = {"conv": arrays(1, (3, 4, 2, 2), (3,)), "fc": arrays(2, (5, 75), (5,))}
    return CaffeModel(net_of(style), blobs)


def assert_same_blobs(actual: Any, expected: Any) -> None:
    assert list(actual) == list(expected)
    for name in expected:
        assert len(actual[name]) == len(expected[name])
        for got, wanted in zip(actual[name], expected[name], strict=True):
            assert got.dtype == np.float32
            assert got.shape == wanted.shape
            np.testing.assert_array_equal(got, wanted)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "net.caffemodel"


# --- prototxt ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROTOTXTS)
def test_a_prototxt_reads_back_from_its_own_text(name: str, models: Path, tmp_path: Path) -> None:
    net = read_prototxt(models / name)
    assert parse_prototxt(format_prototxt(net)) == net
    write_prototxt(tmp_path / "again.prototxt", net, "a comment\n\nof three lines")
    text = (tmp_path / "again.prototxt").read_text(encoding="utf-8")
    assert text.startswith("# a comment\n#\n# of three lines\nname:")
    assert read_prototxt(tmp_path / "again.prototxt") == net


@pytest.mark.caffe
@pytest.mark.parametrize("name", [name for name in PROTOTXTS if "train" not in name])
def test_the_older_style_is_upgraded_as_caffe_does(
    name: str, models: Path, pycaffe: Any, tmp_path: Path
) -> None:
    # Caffe's own reading of the file: loaded as a network and saved again.
    message = read_prototxt(models / name)
    net = pycaffe.Net(str(models / name), pycaffe.TEST)
    net.save(str(tmp_path / "saved.caffemodel"))
    theirs = {each.name: each for each in read_caffemodel(tmp_path / "saved.caffemodel").net.layer}
    for layer in upgraded(message).layer:
        saved = theirs[layer.name]
        assert (saved.type, list(saved.top)) == (layer.type, list(layer.top))
        for field, value in layer.ListFields():
            if field.name.endswith("_param"):
                assert getattr(saved, field.name) == value, f"{layer.name}: {field.name}"


V1_LAYERS = """
    input: "data" input_dim: 1 input_dim: 4 input_dim: 6 input_dim: 6
    layers {
      name: "c" type: CONVOLUTION bottom: "data" top: "c"
      blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0 param: "w" param: "b"
      convolution_param { num_output: 2 kernel_size: 1 }
    }
    layers { name: "r" type: RELU bottom: "c" top: "c" relu_param { negative_slope: 0.5 } }
    layers { name: "p" type: POWER bottom: "c" top: "p" power_param { shift: 2 } }
    layers { name: "n" type: LRN bottom: "p" top: "n" include { phase: TEST } }
    layers { name: "a" type: ABSVAL bottom: "n" top: "a" exclude { phase: TRAIN } }
    layers { name: "s" type: SOFTMAX bottom: "a" top: "s" }
    """


@pytest.mark.caffe
def test_learning_rates_decays_and_rules_are_upgraded_as_caffe_does(
    pycaffe: Any, tmp_path: Path
) -> None:
    (tmp_path / "v1.prototxt").write_text(V1_LAYERS, encoding="utf-8")
    net = pycaffe.Net(str(tmp_path / "v1.prototxt"), pycaffe.TEST)
    net.save(str(tmp_path / "saved.caffemodel"))
    theirs = {each.name: each for each in read_caffemodel(tmp_path / "saved.caffemodel").net.layer}
    ours = upgraded(parse_prototxt(V1_LAYERS))
    assert [layer.name for layer in ours.layer] == list("crpnas")
    for layer in ours.layer:
        saved = theirs[layer.name]
        # Caffe adds the input as a layer, the phase it ran in and the weights, and no more.
        for field in ("phase", "blobs"):
            saved.ClearField(field)
        if layer.name in ("r", "p"):  # read through a copy that Caffe makes of "c" where needed
            layer.bottom[:] = saved.bottom
        assert saved == layer


def test_every_older_type_has_a_name_in_the_schema_of_caffe() -> None:
    names = {
        "INNER_PRODUCT": "InnerProduct",
        "SOFTMAX_LOSS": "SoftmaxWithLoss",
        "HDF5_DATA": "HDF5Data",
        "TANH": "TanH",
        "ABSVAL": "AbsVal",
        "LRN": "LRN",
        "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss",
    }
    assert {name: layer_type_name(name) for name in names} == names


@pytest.mark.caffe
def test_every_older_type_is_a_layer_of_caffe(pycaffe: Any) -> None:
    known = set(pycaffe.layer_type_list())
    names = {layer_type_name(name) for name in message_class("V1LayerParameter").LayerType.keys()}  # noqa: SIM118
    # HDF5Data and its like are there in builds with HDF5 only; NONE is no type.
    assert {name for name in names if "HDF5" not in name} - known == {"None"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("layr { }", 'line 1: Caffe has no field "layr" here; nearest: layer, layers'),
        (
            'layer {\n  name: "c"\n  convolution_param { kernal_size: 3 }\n}',
            'line 3: Caffe has no field "kernal_size" here; nearest: kernel_size',
        ),
        ("layer {\n  pooling_param { pool: MAXX }\n}", "line 2.*no value named MAXX"),
        ("layers {\n  type: CONV\n}", "line 2.*no value named CONV"),
        ('layer {\n  name: "x"\n', "line [123]: "),
        ("name: 3", "line 1.*Expected string"),
        ("layer {\n  pooling_param { pad: -1 }\n}", "line 2.*out of range"),
        ('name: "a"\nname: "b"', 'line 2.*multiple "name"'),
        ("<html><body>Not found</body></html>", "line 1"),
        ('{"name": "GoogleNet"}', "line 1"),
    ],
)
def test_a_typo_is_reported_with_its_line(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "typo.prototxt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CamError, match=f"typo.prototxt, {words}") as caught:
        read_prototxt(path)
    assert "\n" not in str(caught.value)


def test_a_solver_is_read_as_a_solver(tmp_path: Path) -> None:
    solver = parse_prototxt("base_lr: 0.001 solver_mode: GPU", message="SolverParameter")
    assert solver.base_lr == np.float32(0.001)
    with pytest.raises(CamError, match='no field "base_lr"'):
        parse_prototxt("base_lr: 0.001")


def test_text_that_is_no_prototxt_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CamError, match=r"cannot read .*missing\.prototxt: No such file"):
        read_prototxt(tmp_path / "missing.prototxt")
    with pytest.raises(CamError, match=r"cannot read .*: Is a directory"):
        read_prototxt(tmp_path)
    binary = tmp_path / "net.caffemodel"
    write_caffemodel(binary, model_of("layer"))
    with pytest.raises(CamError, match="not text in UTF-8"):
        read_prototxt(binary)
    large = tmp_path / "large.prototxt"
    with large.open("wb") as file:
        file.truncate(100 * 2**20)
    with pytest.raises(CamError, match="over the limit"):
        read_prototxt(large)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(), st.text('layer{}:"name \n0-9#', max_size=60)))
def test_any_text_is_a_message_or_an_error_of_one_line(text: str) -> None:
    try:
        parse_prototxt(text)
    except CamError as error:
        assert "\n" not in str(error)


def test_deeply_nested_text_is_an_error() -> None:
    with pytest.raises(CamError):
        parse_prototxt("layer {" * 100_000)


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "windows.prototxt"
    path.write_bytes(b'\xef\xbb\xbfname: "x"\r\nlayer { name: "y" }\r\n')
    assert read_prototxt(path).layer[0].name == "y"


# --- caffemodels ---------------------------------------------------------------------------------


@pytest.mark.parametrize("style", STYLES)
def test_a_caffemodel_reads_back(style: str, file: Path) -> None:
    model = model_of(style)
    write_caffemodel(file, model)
    read = read_caffemodel(file)
    assert_same_blobs(read.blobs, model.blobs)
    described = [layer.name for layer in getattr(read.net, style)]
    assert described == ["conv", "fc"]
    assert read.net.name == "tiny"


@pytest.mark.parametrize("style", STYLES)
def test_a_caffemodel_written_again_has_the_same_bytes(style: str, tmp_path: Path) -> None:
    write_caffemodel(tmp_path / "one", model_of(style))
    write_caffemodel(tmp_path / "two", read_caffemodel(tmp_path / "one"))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("style", STYLES)
def test_a_caffemodel_is_what_protobuf_reads(style: str, file: Path) -> None:
    model = model_of(style)
    write_caffemodel(file, model)
    net = message_class("NetParameter").FromString(file.read_bytes())
    conv = getattr(net, style)[0]
    assert list(conv.blobs[0].shape.dim) == [3, 4, 2, 2]
    np.testing.assert_array_equal(conv.blobs[0].data, model.blobs["conv"][0].reshape(-1))


def written(net: Any, file: Path) -> CaffeModel:
    """Write a message by protobuf alone and read it by the project."""
    file.write_bytes(net.SerializeToString())
    return read_caffemodel(file)


@pytest.mark.parametrize("style", STYLES)
def test_blobs_in_double_precision_become_single(style: str, file: Path) -> None:
    net = net_of(style, "conv")
    blob = getattr(net, style)[0].blobs.add()
    blob.shape.dim[:] = [2, 3]
    blob.double_data[:] = values = [0.1, 1e-3, -2, 3e38, 0, 1 / 3]
    expected = np.array(values, np.float32).reshape(2, 3)
    assert_same_blobs(written(net, file).blobs, {"conv": (expected,)})


@pytest.mark.parametrize("style", STYLES)
def test_legacy_blobs_have_four_axes(style: str, file: Path) -> None:
    net = net_of(style, "conv")
    layer = getattr(net, style)[0]
    layer.blobs.add(num=2, channels=1, height=3, width=1, data=range(6))
    layer.blobs.add(num=1, channels=1, height=1, width=2, data=[7, 8])
    model = written(net, file)
    expected = np.arange(6, dtype=np.float32).reshape(2, 1, 3, 1)
    bias = np.array([7, 8], np.float32).reshape(1, 1, 1, 2)
    assert_same_blobs(model.blobs, {"conv": (expected, bias)})
    write_caffemodel(file, model)
    again = getattr(message_class("NetParameter").FromString(file.read_bytes()), style)[0].blobs
    assert [blob.HasField("shape") for blob in again] == [False, False]
    assert (again[0].num, again[0].height, list(again[1].data)) == (2, 3, [7, 8])


def test_unpacked_and_repeated_data_is_read_in_its_order(file: Path) -> None:
    # Two numbers one by one (key 0x2d: field 5, fixed32), then two packed (key 0x2a).
    numbers = np.arange(4, dtype="<f4")
    data = b"".join(b"\x2d" + number.tobytes() for number in numbers[:2])
    data += b"\x2a\x08" + numbers[2:].tobytes()
    blob = data + b"\x3a\x03\x0a\x01\x04"
    layer = b"\x0a\x01c" + b"\x3a" + bytes([len(blob)]) + blob
    file.write_bytes(b"\xa2\x06" + bytes([len(layer)]) + layer)
    assert_same_blobs(read_caffemodel(file).blobs, {"c": (numbers.astype(np.float32),)})


def test_a_blob_of_one_number_may_have_no_shape(file: Path) -> None:
    net = net_of("layer", "prelu")
    net.layer[0].blobs.add(data=[0.25])
    assert_same_blobs(written(net, file).blobs, {"prelu": (np.array(0.25, np.float32),)})


def test_empty_blobs_are_read(file: Path) -> None:
    net = net_of("layer", "x")
    net.layer[0].blobs.add().shape.dim[:] = [0, 3]
    assert_same_blobs(written(net, file).blobs, {"x": (np.zeros((0, 3), np.float32),)})


def test_unknown_fields_are_carried_through(file: Path) -> None:
    # Fields that no release of Caffe has, in the network, a layer and a blob: number 2000, "new".
    unknown = b"\x82\x7d\x03new"
    blob = b"\x3a\x03\x0a\x01\x01" + b"\x2a\x04" + np.float32(2.5).tobytes() + unknown
    layer = b"\x0a\x01c" + b"\x3a" + bytes([len(blob)]) + blob + unknown
    file.write_bytes(unknown + b"\xa2\x06" + bytes([len(layer)]) + layer)
    model = read_caffemodel(file)
    assert float(model.blobs["c"][0][0]) == 2.5
    write_caffemodel(file, model)
    assert file.read_bytes().count(unknown) == 3
    assert_same_blobs(read_caffemodel(file).blobs, model.blobs)


def test_weights_are_views_of_the_file(file: Path) -> None:
    write_caffemodel(file, model_of("layer"))
    (weight, bias) = read_caffemodel(file).blobs["conv"]
    for array in (weight, bias):
        assert not array.flags.owndata
        assert not array.flags.writeable


def test_the_net_of_a_caffemodel_has_shapes_and_no_data(file: Path) -> None:
    write_caffemodel(file, model_of("layer"))
    blobs = read_caffemodel(file).net.layer[0].blobs
    assert [list(blob.shape.dim) for blob in blobs] == [[3, 4, 2, 2], [3]]
    assert not any(len(blob.data) for blob in blobs)


def test_a_failed_write_leaves_the_old_file(file: Path) -> None:
    write_caffemodel(file, model_of("layer"))
    before = file.read_bytes()
    broken = CaffeModel(net_of("layer", "conv"), {"conv": ("no array",)})  # type: ignore[dict-item]
    with pytest.raises(AttributeError, match="shape"):
        write_caffemodel(file, broken)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


shapes = st.lists(st.integers(0, 4), max_size=5).map(tuple)


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.dictionaries(st.text(min_size=1, max_size=8), st.lists(shapes, min_size=1, max_size=3)),
    st.sampled_from(STYLES),
)
def test_any_weights_read_back(file: Path, layers: dict[str, list[Any]], style: str) -> None:
    names = list(layers) or ["x"]
    blobs = {name: arrays(i, *layers[name]) for i, name in enumerate(layers)}
    write_caffemodel(file, CaffeModel(net_of(style, *names), blobs))
    assert_same_blobs(read_caffemodel(file).blobs, blobs)


# --- with Caffe ----------------------------------------------------------------------------------

DEPLOY = """
    name: "tiny" input: "data" input_shape { dim: 1 dim: 4 dim: 6 dim: 6 }
    layer {
      name: "conv" type: "Convolution" bottom: "data" top: "conv"
      convolution_param { num_output: 3 kernel_size: 2 }
    }
    layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
      inner_product_param { num_output: 5 } }
    """


@pytest.mark.caffe
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("legacy", [False, True], ids=["shape", "legacy"])
def test_caffe_loads_what_the_project_writes(
    style: str, legacy: bool, pycaffe: Any, tmp_path: Path
) -> None:
    model = model_of(style)
    if legacy:
        for layer in getattr(model.net, style):
            for array in model.blobs[layer.name]:
                sizes = (1,) * (4 - array.ndim) + array.shape
                names = ("num", "channels", "height", "width")
                layer.blobs.add(**dict(zip(names, sizes, strict=True)))
    (tmp_path / "net.prototxt").write_text(DEPLOY, encoding="utf-8")
    write_caffemodel(tmp_path / "net.caffemodel", model)
    net = pycaffe.Net(
        str(tmp_path / "net.prototxt"), pycaffe.TEST, weights=str(tmp_path / "net.caffemodel")
    )
    read = {name: tuple(blob.data.copy() for blob in net.params[name]) for name in net.params}
    assert_same_blobs(read, model.blobs)


@pytest.mark.caffe
def test_the_project_reads_what_caffe_writes(pycaffe: Any, tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(DEPLOY, encoding="utf-8")
    net = pycaffe.Net(str(tmp_path / "net.prototxt"), pycaffe.TEST)
    blobs = model_of("layer").blobs
    for name, values in blobs.items():
        for destination, array in zip(net.params[name], values, strict=True):
            destination.data[...] = array
    net.save(str(tmp_path / "net.caffemodel"))
    assert_same_blobs(read_caffemodel(tmp_path / "net.caffemodel").blobs, blobs)


# --- what is not a caffemodel --------------------------------------------------------------------


def assert_refused(path: Path, words: str | None = None) -> None:
    with pytest.raises(CamError, match=words) as caught:
        read_caffemodel(path)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("style", STYLES)
def test_a_truncated_caffemodel_is_refused_wherever_it_is_cut(style: str, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.caffemodel", tmp_path / "cut.caffemodel"
    write_caffemodel(whole, model_of(style))
    data = whole.read_bytes()
    complete = 0
    for length in [*range(0, 200), *range(200, len(data), 5), *range(len(data) - 60, len(data))]:
        cut.write_bytes(data[:length])
        try:
            net = message_class("NetParameter").FromString(data[:length])
        except DecodeError:
            assert_refused(cut)
            continue
        # Cut between two fields of the network, nothing tells that more should come; that weights
        # are missing is found when they are fitted to the network (below).
        if getattr(net, style):
            read_caffemodel(cut)
            complete += 1
        else:
            assert_refused(cut)
    assert complete < 12


def test_a_cut_between_two_layers_is_found_by_the_network(tmp_path: Path) -> None:
    from cam.caffe.network import fit_weights, parse_network

    write_caffemodel(tmp_path / "x", CaffeModel(net_of("layer", "conv"), {}))
    with pytest.raises(CamError, match="no weights for layer 'conv'"):
        fit_weights(parse_network(DEPLOY), read_caffemodel(tmp_path / "x"), "x")


def zip_file(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights.bin", b"\0" * 1000)


FOREIGN: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "zip": zip_file,
    "hdf5": lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(2000)),
    "html": lambda path: path.write_text("<!DOCTYPE html><html><body>404</body></html>"),
    "prototxt": lambda path: path.write_text(DEPLOY),
    "zeros": lambda path: path.write_bytes(bytes(4096)),
    "ones": lambda path: path.write_bytes(b"\xff" * 4096),
    "pickle": lambda path: path.write_bytes(b"\x80\x02}q\x00(X\x05\x00\x00\x00stateq\x01K\x01u."),
    "git lfs": lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid x\n"),
    "gzip": lambda path: path.write_bytes(b"\x1f\x8b\x08\x00" + bytes(100)),
    "directory": lambda path: path.mkdir(),
    "missing": lambda path: None,
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_files_are_refused_with_a_reason(kind: str, file: Path) -> None:
    FOREIGN[kind](file)
    assert_refused(file, {"empty": "is empty", "missing": "No such file"}.get(kind))


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(min_size=1, max_size=300))
def test_random_bytes_are_read_or_refused(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    try:
        read_caffemodel(file)
    except CamError as error:
        assert "\n" not in str(error)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_a_damaged_caffemodel_is_read_or_refused(file: Path, data: st.DataObject) -> None:
    write_caffemodel(file, model_of(data.draw(st.sampled_from(STYLES))))
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, 120))] = data.draw(st.integers(0, 255))
    file.write_bytes(content)
    try:
        read_caffemodel(file)
    except CamError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    "dims", [[3], [2, 2, 2], [-4, -1], [2**40, 2**40], [1] * 33 + [4], [0]], ids=str
)
def test_data_that_does_not_fill_its_shape_is_refused(dims: list[int], file: Path) -> None:
    net = net_of("layer", "conv")
    blob = net.layer[0].blobs.add(data=range(4))
    blob.shape.dim[:] = dims
    file.write_bytes(net.SerializeToString())
    assert_refused(file, "layer 'conv', blob 0 has 4 numbers for a shape of")


# --- memory --------------------------------------------------------------------------------------

MEASURE = """
import sys
from pathlib import Path
from cam.caffe.caffemodel import read_caffemodel

def own_memory():
    status = Path("/proc/self/status").read_text()
    return sum(int(line.split()[1]) for line in status.splitlines()
               if line.startswith(("RssAnon", "VmSwap")))

before = own_memory()
model = read_caffemodel(sys.argv[1])
total = sum(float(blob.sum()) for blobs in model.blobs.values() for blob in blobs)
print(own_memory() - before, total)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc here")
@pytest.mark.parametrize("style", STYLES)
def test_reading_a_large_caffemodel_does_not_copy_its_weights(style: str, file: Path) -> None:
    blobs = {"conv": (np.ones((50, 2**20), np.float32),), "fc": (np.zeros(3, np.float32),)}
    write_caffemodel(file, CaffeModel(net_of(style), blobs))
    assert file.stat().st_size > 200 * 2**20
    finished = subprocess.run(
        [sys.executable, "-c", MEASURE, str(file)], capture_output=True, text=True, check=True
    )
    grown, total = finished.stdout.split()
    assert float(total) == 50 * 2**20
    assert int(grown) < 20 * 2**10  # KB, for 200 MB of weights


@pytest.mark.parametrize(
    "fields",
    [
        b"\x10\x05",  # layers as a number
        b"\xa5\x06abcd",  # layer as four bytes
        b"\xa2\x06\x04\x0a\x00\x38\x07",  # a layer whose blobs are a number
        b"\xa2\x06\x08\x3a\x06\x28\x07\x3a\x02\x08\x00",  # a blob whose data is a number
        b"\xa2\x06\x0b\x3a\x09\x45abcd\x3a\x02\x08\x00",  # a blob whose double data is four bytes
    ],
)
def test_what_has_another_wire_type_is_a_field_that_nobody_knows(
    fields: bytes, tmp_path: Path
) -> None:
    content = message_class("NetParameter")()
    content.layer.add(name="named")
    data = content.SerializeToString() + fields
    (tmp_path / "x.caffemodel").write_bytes(data)
    model = read_caffemodel(tmp_path / "x.caffemodel")
    expected = message_class("NetParameter").FromString(data)
    assert model.net == expected
    assert sum(blob.size for blobs in model.blobs.values() for blob in blobs) == 0
