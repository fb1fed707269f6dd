"""The files in models/: the original networks by the table of their layers, names, weights."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from locations import DATA, REPOSITORY

from cam import zoo
from cam.caffe.caffemodel import read_caffemodel
from cam.caffe.head import find_head
from cam.caffe.network import load_network, load_weights
from cam.caffe.preprocessing import ILSVRC_2012_MEAN
from cam.caffe.prototxt import layer_type_name, read_prototxt
from cam.files import sha256_of

NETWORKS = [
    "deploy_googlenetCAM.prototxt",
    "deploy_googlenetCAM_places205.prototxt",
    "deploy_alexnetplusCAM_imagenet.prototxt",
    "deploy_alexnetplusCAM_places205.prototxt",
    "deploy_vgg16CAM.prototxt",
    "train_val_googlenetCAM.prototxt",
]
OLDER_STYLE = {name for name in NETWORKS if "alexnet" in name or "vgg16" in name}

EMBEDDED_SHA256 = "31a3ef16758068ddb85d7a34008f3af3157bec9072b23ed7d841948b0635d2be"


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    """Return the table of the original networks' layers."""
    table: dict[str, Any] = json.loads((DATA / "nets.json").read_text(encoding="utf-8"))
    return table


def plain(message: Any) -> dict[str, Any]:
    """Return the fields that a message has, enums by name and numbers in single precision."""

    def value_of(field: Any, value: Any) -> Any:
        if field.message_type:
            return plain(value)
        if field.enum_type:
            return field.enum_type.values_by_number[value].name
        return np.float32(value) if isinstance(value, float) else value

    return {
        field.name: value_of(field, value)
        if isinstance(value, (str, bytes)) or not hasattr(value, "__len__")
        else [value_of(field, each) for each in value]
        for field, value in message.ListFields()
    }


def in_single_precision(value: Any) -> Any:
    if isinstance(value, dict):
        # A list without entries is no field of a message.
        return {key: in_single_precision(each) for key, each in value.items() if each != []}
    if isinstance(value, list):
        return [in_single_precision(each) for each in value]
    return np.float32(value) if isinstance(value, float) else value


def assert_is_the_network_of_the_table(net: Any, expected: dict[str, Any], older: bool) -> None:
    layers, others = (net.layers, net.layer) if older else (net.layer, net.layers)
    assert not others
    described = [plain(layer) for layer in layers]
    if older:
        for layer in described:
            layer["type"] = layer_type_name(layer["type"])
    assert [layer["name"] for layer in described] == [each["name"] for each in expected["layers"]]
    for layer, wanted in zip(described, expected["layers"], strict=True):
        assert layer == in_single_precision(wanted)
    assert net.name == expected["name"]
    assert list(net.input) == expected["input"]
    assert list(net.input_dim) == expected["input_dim"]
    assert net.force_backward == expected["force_backward"]


def test_the_table_has_the_networks_that_are_here(facts: dict[str, Any]) -> None:
    assert set(facts) == set(NETWORKS)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_is_the_originals(name: str, facts: dict[str, Any], models: Path) -> None:
    net = read_prototxt(models / name)
    assert_is_the_network_of_the_table(net, facts[name], name in OLDER_STYLE)


@pytest.mark.caffe
@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_is_the_originals_as_caffe_reads_it(
    name: str, facts: dict[str, Any], models: Path, pycaffe: Any
) -> None:
    from caffe.proto import caffe_pb2
    from google.protobuf import text_format

    net = text_format.Parse((models / name).read_text(encoding="utf-8"), caffe_pb2.NetParameter())
    assert_is_the_network_of_the_table(net, facts[name], name in OLDER_STYLE)


@pytest.mark.parametrize("name", NETWORKS)
def test_files_are_written_in_the_originals_style(name: str, models: Path) -> None:
    text = (models / name).read_text(encoding="utf-8")
    blocks = set(re.findall(r"^(\w+) \{", text, re.MULTILINE))
    types = re.findall(r"^  type: (.*)$", text, re.MULTILINE)
    if name in OLDER_STYLE:
        assert blocks == {"layers"}
        assert all(re.fullmatch(r"[A-Z_0-9]+", each) for each in types)
    else:
        assert blocks == {"layer"}
        assert all(re.fullmatch(r'"\w+"', each) for each in types)
    assert ("input_dim" in text) == name.startswith("deploy")
    assert ("force_backward: true" in text) == name.startswith("deploy_googlenet")


def test_the_solver_has_the_papers_values(models: Path) -> None:
    solver = read_prototxt(models / "solver_googlenetCAM.prototxt", "SolverParameter")
    described = plain(solver)
    assert (
        described.items()
        >= {
            "base_lr": np.float32(0.001),
            "lr_policy": "step",
            "gamma": np.float32(0.1),
            "stepsize": 40000,
            "max_iter": 160000,
            "momentum": np.float32(0.9),
            "weight_decay": np.float32(0.0005),
            "test_iter": [1000],
            "test_interval": 3000,
            "snapshot": 10000,
            "solver_mode": "GPU",
        }.items()
    )
    assert (REPOSITORY / solver.net).resolve() == models / "train_val_googlenetCAM.prototxt"


# --- the embedded model --------------------------------------------------------------------------


def test_the_embedded_weights_are_the_recorded_ones() -> None:
    assert sha256_of(zoo.find_weights(zoo.get(zoo.EMBEDDED))) == EMBEDDED_SHA256


def test_the_embedded_weights_fit_their_network_and_no_layer_is_left_over(models: Path) -> None:
    model = zoo.get(zoo.EMBEDDED)
    network = load_network(models / model.prototxt)
    weights = load_weights(network, models / model.caffemodel)
    assert set(weights) == set(read_caffemodel(models / model.caffemodel).blobs)
    assert all(np.isfinite(blob).all() for blobs in weights.values() for blob in blobs)
    head = find_head(network)
    assert network.blob_shapes[head.last_conv][1:] == (1280, 7, 7)
    assert weights[head.class_layer][0].shape == (1000, 1280)


def test_the_embedded_model_comes_with_its_licence(models: Path) -> None:
    text = (models / "efficientnet-lite0.LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text


# --- class names and mean ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "original", "count"),
    [
        ("categories1000.txt", "categories1000.mat", 1000),
        ("categories_places205.txt", "categories_places205.mat", 205),
    ],
)
def test_class_names_equal_the_originals_entry_by_entry(
    file: str, original: str, count: int, shared_data: Path
) -> None:
    from scipy.io import loadmat

    contents = loadmat(shared_data / original)
    (cell,) = (value for key, value in contents.items() if not key.startswith("__"))
    # The scenes come with their numbers in a second column.
    names = cell if 1 in cell.shape else cell[:, 0]
    expected = [str(entry.item()) for entry in names.reshape(-1)]
    assert len(expected) == count
    assert list(zoo.class_names(file)) == expected


def test_the_names_for_matlab_equal_the_originals(shared_data: Path) -> None:
    from scipy.io import loadmat

    ours = loadmat(REPOSITORY / "categories1000.mat")["categories"]
    theirs = loadmat(shared_data / "categories1000.mat")["categories"]
    assert ours.shape == theirs.shape
    for a, b in zip(ours.reshape(-1), theirs.reshape(-1), strict=True):
        assert a.item() == b.item()


def test_the_mean_picture_equals_the_originals(shared_data: Path) -> None:
    from scipy.io import loadmat

    original = loadmat(shared_data / "ilsvrc_2012_mean.mat")["mean_data"]  # width, height, BGR
    mean = ILSVRC_2012_MEAN.mean_picture()
    assert mean.dtype == np.float32
    np.testing.assert_array_equal(mean, original.transpose(2, 1, 0))
    # The port's numbers for each channel are the means of this picture.
    np.testing.assert_allclose(
        mean.mean(axis=(1, 2), dtype=np.float64), ILSVRC_2012_MEAN.mean, rtol=1e-9
    )
