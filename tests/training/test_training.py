"""Training: the LMDB, the solver's checks, and what Caffe makes of it. Much of it needs pycaffe."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from google.protobuf import text_format
from locations import DATA, REPOSITORY

from cam import zoo
from cam.caffe.caffemodel import read_caffemodel
from cam.caffe.network import build_network, load_network
from cam.caffe.prototxt import parse_prototxt, read_prototxt, write_prototxt
from cam.engines import open_engine
from cam.errors import CamError
from cam.fidelity.engine_agreement import open_and_compare
from cam.training import HistoryEntry, TrainingProgress, read_history, train, write_history
from cam.training.caffetools import failure_line, find_tool
from cam.training.imageset import LabelledPicture, list_folder, read_list, write_lmdb
from cam.training.networks import check_initial_weights, deploy_form, freeze, head_layers
from cam.training.snapshots import unfinished_folder
from cam.training.solver import read_job

Run = Callable[..., tuple[int, str, str]]

EXAMPLE = REPOSITORY / "examples" / "faces"

NET = """
name: "tiny"
layer {
  name: "data" type: "Data" top: "data" top: "label"
  transform_param { crop_size: 32 mean_value: 100 scale: 0.02 }
  data_param { source: "SOURCE" batch_size: 8 backend: LMDB }
}
layer {
  name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 6 kernel_size: 3 stride: 2 weight_filler { type: "msra" } }
}
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer {
  name: "CAM_conv" type: "Convolution" bottom: "conv1" top: "CAM_conv"
  convolution_param { num_output: 4 pad: 1 kernel_size: 3 weight_filler { type: "msra" } }
}
layer { name: "CAM_relu" type: "ReLU" bottom: "CAM_conv" top: "CAM_conv" }
layer {
  name: "CAM_pool" type: "Pooling" bottom: "CAM_conv" top: "CAM_pool"
  pooling_param { pool: AVE global_pooling: true }
}
layer {
  name: "CAM_fc" type: "InnerProduct" bottom: "CAM_pool" top: "CAM_fc"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "CAM_fc" bottom: "label" top: "loss" }
layer {
  name: "accuracy" type: "Accuracy" bottom: "CAM_fc" bottom: "label" top: "accuracy"
  include { phase: TEST }
}
"""

SOLVER = """
net: "NET"
base_lr: 0.05
lr_policy: "fixed"
momentum: 0.9
max_iter: 20
display: 5
average_loss: 5
test_iter: 1
test_interval: 10
snapshot: 10
snapshot_prefix: "PREFIX"
solver_mode: CPU
random_seed: 7
"""


def write_pictures(folder: Path, count: int = 8) -> list[LabelledPicture]:
    """Write pictures of noise with a bright square (class 1) or a dark one (class 0)."""
    generator = np.random.default_rng(0)
    pictures = []
    for index in range(count):
        picture = generator.integers(90, 130, (32, 32, 3)).astype(np.uint8)
        picture[8:20, 8:20] = 255 if index % 2 else 0
        name = f"class {index % 2}/{index}.png"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), picture)
        pictures.append(LabelledPicture(name, index % 2))
    return pictures


def write_job(folder: Path, network: str = NET, **changes: Any) -> Path:
    """Write the tiny network and its solver, with fields changed; None takes one away."""
    solver = parse_prototxt(SOLVER, message="SolverParameter")
    solver.net = str(folder / "net.prototxt")
    solver.snapshot_prefix = str(folder / "snapshots" / "tiny")
    for name, value in changes.items():
        if value is None:
            solver.ClearField(name)
        else:
            setattr(solver, name, value)
    (folder / "net.prototxt").write_text(network.replace("SOURCE", str(folder / "lmdb")))
    write_prototxt(folder / "solver.prototxt", solver)
    return folder / "solver.prototxt"


@pytest.fixture
def no_data_needed(tmp_path: Path) -> Path:
    """Return a folder with what passes for an LMDB before Caffe opens it."""
    (tmp_path / "lmdb").mkdir()
    (tmp_path / "lmdb" / "data.mdb").touch()
    return tmp_path


@pytest.fixture
def tiny(tmp_path: Path, pycaffe: Any) -> Path:
    """Return a folder with an LMDB, the tiny network and its solver."""
    pictures = write_pictures(tmp_path / "pictures")
    write_lmdb(pictures, tmp_path / "pictures", tmp_path / "lmdb", size=32)
    write_job(tmp_path)
    return tmp_path


# The networks of the paper


def test_the_training_networks_deploy_form_is_the_deploy_network(models: Path) -> None:
    for variant in ("CAM", "GMP"):
        training = read_prototxt(models / f"train_val_googlenet{variant}.prototxt")
        deploy = read_prototxt(models / f"deploy_googlenet{variant}.prototxt")
        found = deploy_form(training).layer[1:]
        assert [text_format.MessageToString(layer) for layer in found] == [
            text_format.MessageToString(layer) for layer in deploy.layer
        ]


@pytest.mark.parametrize("kind", ["deploy", "train_val"])
def test_the_gmp_networks_differ_from_the_cam_ones_in_the_pooling_only(
    kind: str, models: Path
) -> None:
    average = read_prototxt(models / f"{kind}_googlenetCAM.prototxt")
    maximum = read_prototxt(models / f"{kind}_googlenetGMP.prototxt")
    assert maximum.name == "GoogleNet-GMP"
    (changed,) = (
        (one, two) for one, two in zip(average.layer, maximum.layer, strict=True) if one != two
    )
    assert changed[0].name == "CAM_pool"
    assert changed[0].pooling_param.PoolMethod.Name(changed[0].pooling_param.pool) == "AVE"
    changed[0].pooling_param.pool = changed[0].pooling_param.MAX
    average.name = maximum.name
    assert average == maximum


def test_the_gmp_solver_trains_the_gmp_network(models: Path) -> None:
    average = read_prototxt(models / "solver_googlenetCAM.prototxt", "SolverParameter")
    maximum = read_prototxt(models / "solver_googlenetGMP.prototxt", "SolverParameter")
    assert maximum.net == "models/train_val_googlenetGMP.prototxt"
    maximum.net, maximum.snapshot_prefix = average.net, average.snapshot_prefix
    assert maximum == average


def test_the_gmp_network_takes_the_maximum_of_each_map(models: Path) -> None:
    prototxt = models / "deploy_googlenetGMP.prototxt"
    network = zoo.load_files(prototxt, None, seed=0)
    assert (network.head.last_conv, network.head.class_layer) == ("CAM_conv", "CAM_fc")
    batch = np.random.default_rng(0).normal(0, 1, (1, 3, 224, 224)).astype(np.float32)
    weights = network.weights
    forward = open_engine("openvino", network).forward(batch)
    class_weights, bias = (np.asarray(blob, float) for blob in weights["CAM_fc"])
    logits = class_weights @ forward.activations[0].max(axis=(1, 2)) + bias
    expected = np.exp(logits - logits.max())
    np.testing.assert_allclose(forward.scores[0], expected / expected.sum(), rtol=1e-3, atol=1e-6)


@pytest.mark.caffe
def test_the_engines_agree_on_the_gmp_network(models: Path, coffee: Path, pycaffe: Any) -> None:
    prototxt = models / "deploy_googlenetGMP.prototxt"
    agreement = open_and_compare(zoo.load_files(prototxt, None, seed=0), [coffee])
    assert agreement.holds


@pytest.mark.parametrize("model", zoo.ZOO, ids=lambda model: model.name)
def test_the_head_is_the_last_conv_and_the_class_layer(model: zoo.ZooModel, models: Path) -> None:
    expected = {"googlenet", "googlenet-places205", "vgg16"}
    found = head_layers(load_network(models / model.prototxt))
    if model.name in expected:
        assert found == {"CAM_conv", "CAM_fc"}
    else:
        assert len(found) == 2 and model.class_layer in found


def test_only_the_head_learns_when_the_rest_is_frozen(models: Path) -> None:
    net = read_prototxt(models / "train_val_googlenetCAM.prototxt")
    network = build_network(deploy_form(net), "train_val")
    frozen = freeze(net, network, head_layers(network))
    learning = [
        layer.name
        for layer in frozen.layer
        if layer.name in network.weight_shapes and any(spec.lr_mult for spec in layer.param)
    ]
    assert learning == ["CAM_conv", "CAM_fc"]
    assert all(len(layer.param) == 2 for layer in frozen.layer if layer.type == "Convolution")


def test_a_frozen_batch_norm_keeps_its_means() -> None:
    norm = 'layer { name: "norm" type: "BatchNorm" bottom: "conv1" top: "conv1" }'
    net = parse_prototxt(NET.replace('layer { name: "relu1"', norm + '\nlayer { name: "relu1"'))
    network = build_network(deploy_form(net), "tiny")
    frozen = freeze(net, network, head_layers(network))
    (layer,) = (layer for layer in frozen.layer if layer.name == "norm")
    assert layer.batch_norm_param.use_global_stats


def test_the_examples_deploy_network_is_its_training_network() -> None:
    expected = deploy_form(read_prototxt(EXAMPLE / "train_val.prototxt"))
    assert read_prototxt(EXAMPLE / "deploy.prototxt") == expected


def test_the_files_in_the_models_folder_are_what_the_script_writes(
    models: Path, tmp_path: Path
) -> None:
    script = REPOSITORY / "scripts" / "write_prototxts.py"
    table = DATA / "nets.json"
    subprocess.run([sys.executable, str(script), str(table), str(tmp_path)], check=True)
    written = list(tmp_path.iterdir())
    assert len(written) == 10
    for file in written:
        assert file.read_bytes() == (models / file.name).read_bytes()


# What is found before Caffe sees it


def test_a_sound_job_is_read(no_data_needed: Path) -> None:
    job = read_job(write_job(no_data_needed))
    assert job.network.input_shape == (1, 3, 32, 32)
    assert job.losses == (("loss", 1.0),)
    assert (job.label, job.classes) == ("label", 2)
    assert head_layers(job.network) == {"CAM_conv", "CAM_fc"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"net": None}, "needs one training network"),
        ({"train_net": "a.prototxt"}, "needs one training network"),
        ({"net": "nowhere.prototxt"}, "nowhere.prototxt is not there"),
        ({"lr_policy": "stepp"}, "'stepp'; nearest: step"),
        ({"lr_policy": "step", "gamma": 0.1}, "stepsize missing"),
        ({"lr_policy": "step", "gamma": 0.1, "stepsize": -4}, "stepsize count iterations"),
        ({"base_lr": None}, "base_lr missing"),
        ({"snapshot_prefix": None}, "snapshot_prefix missing"),
        ({"test_interval": None}, "test_interval missing"),
        ({"max_iter": -1}, "must be positive"),
        ({"type": "Adm"}, "'Adm'; nearest: Adam"),
        ({"snapshot_format": 0}, "BINARYPROTO"),
    ],
)
def test_a_solver_that_caffe_would_end_on_is_an_error(
    changes: dict[str, Any], message: str, no_data_needed: Path
) -> None:
    with pytest.raises(CamError, match=message):
        read_job(write_job(no_data_needed, **changes))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("lmdb", "elsewhere", "is not there"),
        ("backend: LMDB", "backend: LEVELDB", "not a LevelDB"),
        ("batch_size: 8", "batch_size: 0", "batch_size must be positive"),
        ("crop_size: 32", "", "no crop_size"),
        ("mean_value: 100", 'mean_file: "mean.binaryproto"', "mean_file"),
        ("SoftmaxWithLoss", "EuclideanLoss", "no SoftmaxWithLoss"),
        ('bottom: "conv1" top: "CAM_conv"', 'bottom: "conv" top: "CAM_conv"', "nearest: conv1"),
        ("global_pooling: true", "kernel_size: 2", "no global pooling"),
        ("num_output: 6", "num_outputs: 6", "no field"),
    ],
)
def test_a_network_that_caffe_would_end_on_is_an_error(
    old: str, new: str, message: str, no_data_needed: Path
) -> None:
    solver = write_job(no_data_needed, NET.replace("SOURCE", str(no_data_needed / "lmdb")))
    net = no_data_needed / "net.prototxt"
    assert old in net.read_text()
    net.write_text(net.read_text().replace(old, new))
    with pytest.raises(CamError, match=message):
        read_job(solver)


def test_an_lmdb_without_data_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "lmdb").mkdir()
    with pytest.raises(CamError, match="not an LMDB"):
        read_job(write_job(tmp_path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lists no pictures"),
        ("a.png 0\nb.png one\n", "line 2"),
        ("a.png\n", "line 1"),
        ("a.png -1\n", "line 1"),
        ("a.png 99999999999\n", "line 1"),
        (f"a.png {'9' * 5000}\n", "line 1"),
        ("a.png 0\n\n\ud800.png 1\n", "line 3: not text"),
        ("a.png 0\nb\0.png 1\n", "line 2: not text"),
    ],
)
def test_a_list_that_caffe_would_misread_is_an_error(
    text: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "list.txt").write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(CamError, match=message):
        read_list(tmp_path / "list.txt")


def test_lists_and_folders_give_labels(tmp_path: Path) -> None:
    pictures = write_pictures(tmp_path, 4)
    lines = "".join(f"{p.path} {p.label}\n" for p in pictures)
    (tmp_path / "list.txt").write_text(f"\ufeff{lines}\n", encoding="utf-8")
    assert read_list(tmp_path / "list.txt") == pictures
    found, names = list_folder(tmp_path)
    assert names == ["class 0", "class 1"]
    assert sorted(found, key=lambda p: p.path) == sorted(pictures, key=lambda p: p.path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CamError, match="no pictures"):
        list_folder(tmp_path)


@pytest.mark.parametrize("suffix", [".json", ".csv"])
def test_a_history_is_read_back(suffix: str, tmp_path: Path) -> None:
    records = [
        HistoryEntry(0, None, 0.01, 1.5, {"accuracy": 0.5, "loss": 0.7}),
        HistoryEntry(20, 0.625, 0.01, 12.25),
        HistoryEntry(40, 0.5, 0.001, 24.5, {"accuracy": 0.75, "loss": 0.4}),
    ]
    write_history(tmp_path / f"history{suffix}", records)
    assert read_history(tmp_path / f"history{suffix}") == records


def test_what_is_no_history_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CamError, match=r"\.csv"):
        read_history(tmp_path / "history.txt")
    for name, text in (
        ("a.json", '{"loss": 1}'),
        ("b.json", '[{"iteration": "one", "loss": 1, "rate": 1, "seconds": 1, "test": {}}]'),
        ("c.json", '[{"iteration": 1, "loss": 1, "rate": 1, "seconds": 1, "test": [1]}]'),
        ("d.json", '[{"iteration": 1e999, "loss": 1, "rate": 1, "seconds": 1, "test": {}}]'),
        ("a.csv", "iteration,loss\n1,2\n"),
        ("b.csv", "iteration,loss,rate,seconds\n1,2,3\n"),
        ("c.csv", "iteration,loss,rate,seconds\n1,2,3,4,5\n"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(CamError, match=f"{name}: not a history"):
            read_history(tmp_path / name)
    (tmp_path / "e.json").write_text("[")
    with pytest.raises(CamError, match="not JSON"):
        read_history(tmp_path / "e.json")


def test_a_history_is_one_line_an_entry_in_either_format(tmp_path: Path) -> None:
    entries = [
        HistoryEntry(0, None, 0.01, 1.5, {"accuracy": 0.5}),
        HistoryEntry(20, 0.625, 0.01, 2),
    ]
    write_history(tmp_path / "history.json", entries)
    write_history(tmp_path / "history.csv", entries)
    assert (tmp_path / "history.json").read_text() == (
        '[\n{"iteration": 0, "loss": null, "rate": 0.01, "seconds": 1.5, "test": {"accuracy": 0.5}}'
        ",\n"
        '{"iteration": 20, "loss": 0.625, "rate": 0.01, "seconds": 2, "test": {}}\n]\n'
    )
    assert (tmp_path / "history.csv").read_bytes() == (
        b"iteration,loss,rate,seconds,test accuracy\r\n0,,0.01,1.5,0.5\r\n20,0.625,0.01,2,\r\n"
    )


def test_the_reason_is_found_in_caffes_log() -> None:
    log = (
        "W1123 08:00:00.1 9 net.cpp:9] something else\n"
        "F1123 08:00:00.2 9 filler.hpp:293] Check failed: false Unknown filler name: msr\n"
        "*** Check failure stack trace: ***\n"
    )
    assert failure_line(log) == "Check failed: false Unknown filler name: msr"
    assert "without a message" in failure_line("")


# The LMDB


def stored(pycaffe: Any, folder: Path, count: int) -> tuple[Any, list[int]]:
    """Return the pictures and labels that Caffe's own layer reads from an LMDB."""
    net = folder / "read.prototxt"
    net.write_text(
        'layer { name: "data" type: "Data" top: "data" top: "label" data_param '
        f'{{ source: "{folder / "lmdb"}" batch_size: {count} backend: LMDB }} }}'
    )
    loaded = pycaffe.Net(str(net), pycaffe.TEST)
    blobs = loaded.forward()
    return blobs["data"].copy(), [int(label) for label in blobs["label"]]


@pytest.mark.caffe
def test_caffe_reads_the_pictures_of_the_lmdb(tmp_path: Path, pycaffe: Any) -> None:
    pictures = write_pictures(tmp_path / "pictures", 6)
    assert write_lmdb(pictures, tmp_path / "pictures", tmp_path / "lmdb", size=48) == 6
    data, labels = stored(pycaffe, tmp_path, 6)
    assert labels == [picture.label for picture in pictures]
    for blob, picture in zip(data, pictures, strict=True):
        original = cv2.imread(str(tmp_path / "pictures" / picture.path))
        expected = cv2.resize(original, (48, 48)).transpose(2, 0, 1)
        # OpenCV's bilinear differs by one level between its releases: Caffe has its own.
        assert np.abs(blob - expected).max() <= 1
    records = (tmp_path / "lmdb" / "data.mdb").read_bytes()
    assert all(f"{i:08d}_{p.path}".encode() in records for i, p in enumerate(pictures))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lmdb", "pictures", "read.prototxt"]


@pytest.mark.caffe
def test_a_seed_shuffles_the_same_way_each_time(tmp_path: Path, pycaffe: Any) -> None:
    pictures = write_pictures(tmp_path / "pictures", 8)
    orders = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        write_lmdb(
            pictures, tmp_path / "pictures", tmp_path / name / "lmdb", seed=seed, encoding="jpg"
        )
        orders.append(stored(pycaffe, tmp_path / name, 8)[0])
    assert np.array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[0], orders[2])


@pytest.mark.caffe
def test_what_cannot_be_decoded_stops_the_lmdb_or_is_left_out(tmp_path: Path, pycaffe: Any) -> None:
    pictures = write_pictures(tmp_path / "pictures", 4)
    (tmp_path / "pictures" / pictures[1].path).write_bytes(b"no picture")
    with pytest.raises(CamError, match=r"class 1/1.png: not a picture"):
        write_lmdb(pictures, tmp_path / "pictures", tmp_path / "lmdb")
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]
    done = write_lmdb(pictures, tmp_path / "pictures", tmp_path / "lmdb", skip_unreadable=True)
    assert done == 3
    with pytest.raises(CamError, match="there already"):
        write_lmdb(pictures, tmp_path / "pictures", tmp_path / "lmdb")
    with pytest.raises(CamError, match="no such picture"):
        write_lmdb([LabelledPicture("missing.png", 0)], tmp_path / "pictures", tmp_path / "other")


@pytest.mark.caffe
def test_the_script_prepares_an_lmdb_of_a_folder(tmp_path: Path, pycaffe: Any) -> None:
    write_pictures(tmp_path / "pictures", 4)
    script = [sys.executable, str(REPOSITORY / "scripts" / "prepare_lmdb.py")]
    arguments = [str(tmp_path / "pictures"), str(tmp_path / "lmdb")]
    subprocess.run([*script, *arguments, "--shuffle", "0"], check=True, capture_output=True)
    assert (tmp_path / "lmdb.categories.txt").read_text() == "class 0\nclass 1\n"
    again = subprocess.run([*script, *arguments], capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert "there already" in again.stderr


# Training


def weights_of(path: Path) -> dict[str, list[Any]]:
    return {name: [b.copy() for b in blobs] for name, blobs in read_caffemodel(path).blobs.items()}


def same_weights(one: Path, two: Path) -> bool:
    first, second = weights_of(one), weights_of(two)
    return first.keys() == second.keys() and all(
        np.array_equal(a, b)
        for name in first
        for a, b in zip(first[name], second[name])  # noqa: B905
    )


@pytest.mark.caffe
def test_training_gives_what_caffes_own_tool_gives(tiny: Path) -> None:
    progress: list[TrainingProgress] = []
    trained = train(read_job(tiny / "solver.prototxt"), report=progress.append)
    assert trained.finished and trained.iteration == 20
    assert trained.caffemodel == tiny / "snapshots" / "tiny_iter_20.caffemodel"
    losses = [record.loss for record in trained.history if record.loss is not None]
    assert losses[-1] < losses[0] / 2
    assert [record.iteration for record in trained.history] == [0, 5, 10, 15, 20]
    assert [bool(record.test) for record in trained.history] == [True, False, True, False, True]
    assert trained.history[-1].test["accuracy"] == 1
    assert [p.iteration for p in progress if p.entry is None] == list(range(1, 21))
    history = tiny / "snapshots" / "tiny_history.json"
    assert tuple(read_history(history)) == trained.history
    assert sorted(path.name for path in (tiny / "snapshots").iterdir()) == [
        "tiny_history.json",
        *(f"tiny_iter_{n}.{kind}" for n in (10, 20) for kind in ("caffemodel", "solverstate")),
    ]

    ours = tiny / "ours.caffemodel"
    trained.caffemodel.rename(ours)
    tool = [str(find_tool("caffe")), "train", "--solver", str(tiny / "solver.prototxt")]
    subprocess.run(tool, check=True, capture_output=True)
    assert same_weights(trained.caffemodel, ours)


@pytest.mark.caffe
def test_stopped_training_goes_on_as_if_it_had_not_stopped(tiny: Path) -> None:
    # Each batch is the whole LMDB, so that going on from its beginning changes nothing.
    solver = tiny / "solver.prototxt"
    whole = train(read_job(solver))
    kept = tiny / "whole.caffemodel"
    whole.caffemodel.rename(kept)
    seen: list[int] = []
    stopped = train(
        read_job(solver),
        report=lambda progress: seen.append(progress.iteration),
        should_stop=lambda: bool(seen) and seen[-1] == 7,
    )
    assert not stopped.finished and stopped.iteration == 7
    # Snapshots may be moved together.
    moved = tiny / "moved"
    (tiny / "snapshots").rename(moved)
    (tiny / "snapshots").mkdir()
    (moved / "tiny_history.json").rename(tiny / "snapshots" / "tiny_history.json")
    rest = train(read_job(solver), snapshot=moved / stopped.solverstate.name)
    assert rest.finished
    assert same_weights(rest.caffemodel, kept)
    iterations = [record.iteration for record in rest.history]
    assert iterations == [0, 5, 10, 15, 20]
    seconds = [record.seconds for record in rest.history]
    assert seconds == sorted(seconds)


@pytest.mark.caffe
def test_with_the_rest_frozen_only_the_head_changes(tiny: Path) -> None:
    solver = tiny / "solver.prototxt"
    before = train(read_job(solver), max_iter=2).caffemodel.rename(tiny / "before.caffemodel")
    after = train(read_job(solver), weights=before, head_only=True, max_iter=4).caffemodel
    old, new = weights_of(before), weights_of(after)
    changed = {n for n in old if any(not np.array_equal(a, b) for a, b in zip(old[n], new[n]))}  # noqa: B905
    assert changed == {"CAM_conv", "CAM_fc"}


@pytest.mark.caffe
def test_what_does_not_fit_is_an_error_before_training(tiny: Path) -> None:
    solver = tiny / "solver.prototxt"
    trained = train(read_job(solver), max_iter=1)
    three = NET.replace("num_output: 2", "num_output: 3")
    other = read_job(write_job(tiny, three))
    with pytest.raises(CamError, match="give it another name"):
        train(other, weights=trained.caffemodel)
    renamed = read_job(write_job(tiny, three.replace('"conv1"', '"first"')))
    with pytest.raises(CamError, match=r"no weights for first.*frozen"):
        model = read_caffemodel(trained.caffemodel)
        check_initial_weights(renamed.network, model, "a.caffemodel", ["first"])
    job = read_job(write_job(tiny))
    with pytest.raises(CamError, match="but not both"):
        train(job, weights=trained.caffemodel, snapshot=trained.solverstate)
    with pytest.raises(CamError, match="needs a caffemodel"):
        train(job, head_only=True)
    with pytest.raises(CamError, match="1 iterations are done, of 1"):
        train(job, snapshot=trained.solverstate, max_iter=1)
    with pytest.raises(CamError, match="not a solverstate"):
        train(job, snapshot=solver)
    trained.caffemodel.unlink()
    with pytest.raises(CamError, match="its caffemodel"):
        train(job, snapshot=trained.solverstate)
    with pytest.raises(CamError, match=r"\.json or a \.csv"):
        train(job, history=tiny / "history.txt")


@pytest.mark.caffe
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"msra"', '"msr"', "Caffe refuses .*Unknown filler name: msr"),
        ("num_output: 2", "num_output: 1", "label 1 in the training data.*1 classes"),
        ("scale: 0.02", "scale: 1e30", "the loss is .*learning rate"),
    ],
)
def test_what_only_caffe_can_find_is_one_line(old: str, new: str, message: str, tiny: Path) -> None:
    job = read_job(write_job(tiny, NET.replace(old, new), test_initialization=False))
    with pytest.raises(CamError, match=message) as raised:
        train(job)
    assert "\n" not in str(raised.value)
    assert not list((tiny / "snapshots").glob(".*"))


@pytest.mark.caffe
def test_a_gpu_that_is_not_there_is_an_error(tiny: Path) -> None:
    job = read_job(write_job(tiny, solver_mode=1, device_id=99))
    with pytest.raises(CamError, match="--engine caffe:cpu"):
        train(job)
    with pytest.raises(CamError, match="caffe:gpu:7 asks for a GPU"):
        train(job, engine="caffe:gpu:7")
    assert train(job, engine="caffe:cpu", max_iter=1).finished


@pytest.mark.caffe
@pytest.mark.parametrize("engine", ["openvino", "caffe:tpu", "caffe:cpu:1", "caffe:gpu:x", "cpu"])
def test_only_caffe_on_a_device_trains(engine: str, no_data_needed: Path, pycaffe: Any) -> None:
    job = read_job(write_job(no_data_needed))
    with pytest.raises(CamError, match=f"no engine '{engine}' for training"):
        train(job, engine=engine)


@pytest.mark.caffe
def test_the_old_option_for_the_device_works_with_a_warning(run: Run, tiny: Path) -> None:
    solver = write_job(tiny, solver_mode=1, device_id=99, max_iter=1)
    code, output, errors = run("train", "--solver", solver, "--device", "cpu")
    assert code == 0 and output.startswith("1 iterations done")
    assert "--device cpu is deprecated; say --engine caffe:cpu" in errors
    code, output, errors = run("train", "--solver", solver, "--engine", "caffe:cpu", "--json")
    assert code == 0 and json.loads(output)["history"][-1]["iteration"] == 1
    assert "deprecated" not in errors
    both = run("train", "--solver", solver, "--engine", "caffe:cpu", "--device", "cpu")
    assert both[0] == 2 and "give --engine alone" in both[2]


def test_the_help_shows_the_one_spelling_of_the_device(run: Run) -> None:
    _, output, _ = run("train", "--help")
    assert "--engine" in output and "--device" not in output


def test_a_place_for_snapshots_that_cannot_be_written_to_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CamError, match="cannot write"), unfinished_folder(tmp_path / "file" / "a"):
        pass


def test_unfinished_snapshots_are_gone_afterwards(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), unfinished_folder(tmp_path / "new" / "a") as folder:
        (folder / "a_iter_1.caffemodel").touch()
        raise KeyboardInterrupt
    assert list(tmp_path.rglob("*")) == [tmp_path / "new"]


@pytest.mark.caffe
def test_an_interrupt_makes_a_snapshot_and_ends(tiny: Path) -> None:
    solver = write_job(tiny, max_iter=10**6, display=5, snapshot=10**6)
    command = [sys.executable, "-m", "cam", "train", "--solver", str(solver)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None and process.stdout is not None
        for line in process.stderr:
            if line.startswith("iteration 5,"):
                break
        process.send_signal(signal.SIGINT)
        # Read to the end, so that a full pipe does not hold the process up.
        process.stderr.read()
        printed = process.stdout.read()
    assert process.returncode == 130
    assert "go on with: cam train --solver" in printed
    assert list((tiny / "snapshots").glob("tiny_iter_*.solverstate"))


def test_a_missing_solver_is_one_line_and_exit_code_2() -> None:
    command = [sys.executable, "-m", "cam", "train", "--solver", "nowhere.prototxt"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 2
    assert (
        finished.stderr
        == "cam: cannot read the prototxt nowhere.prototxt: No such file or directory\n"
    )


@pytest.mark.slow
@pytest.mark.caffe
def test_the_example_learns_and_looks_at_the_faces(tmp_path: Path, pycaffe: Any) -> None:
    pytest.importorskip("skimage", reason="the example's pictures are in scikit-image")
    options = ["--pictures", "1600", "--held-out", "160", "--max-iter", "250"]
    subprocess.run([sys.executable, str(EXAMPLE / "run.py"), str(tmp_path), *options], check=True)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["last_loss"] < 0.8 * result["first_loss"]
    assert result["accuracy"] > 0.6
    assert result["peak_in_face"] > 2 * result["peak_in_face_by_chance"]
    assert result["peak_in_face"] > 2 * result["peak_in_other_patch"]
    assert result["mean_overlap"] > 1.3 * result["mean_overlap_by_chance"]
    assert result["engines_agree"]
    assert cv2.imread(str(tmp_path / "maps.png")) is not None
