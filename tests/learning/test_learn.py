"""`cam learn`: accuracy on real pictures, the network that it writes, and what it refuses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cam
from cam import zoo
from cam.batch import BatchOptions, run_batch
from cam.engines import open_engine
from cam.errors import CamError
from cam.explain.model import CamModel
from cam.explain.styles import get_style
from cam.learning.classifier import ClassifierOptions
from cam.learning.learn import Learned, LearnOptions, learn
from cam.pictures.reading import read_picture, write_picture

pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")

Run = Callable[..., tuple[int, str, str]]
NETWORK = ("deploy.prototxt", "weights.caffemodel", "categories.txt", "network.json")
COLORS = {"blue": (200, 40, 20), "green": (30, 180, 40), "red": (20, 30, 190)}
FAST = LearnOptions(ClassifierOptions(C=0.01), figures=False)


@pytest.fixture(scope="module")
def model() -> CamModel:
    return cam.load("efficientnet-lite0", engine="openvino")


@pytest.fixture(scope="module")
def actions(shared_data: Path) -> Path:
    return shared_data / "actions"


@pytest.fixture(scope="module")
def learned(model: CamModel, actions: Path, tmp_path_factory: pytest.TempPathFactory) -> Learned:
    """Return six actions, learned from 40 pictures each and tested on 20 each."""
    out = tmp_path_factory.mktemp("learned")
    return learn(model, actions / "train", out, actions / "test")


@pytest.fixture(scope="module")
def colors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with three classes of four pictures: noise of a colour."""
    folder = tmp_path_factory.mktemp("colors")
    generator = np.random.default_rng(0)
    for name, color in COLORS.items():
        for number in range(4):
            noise = generator.normal(color, 25, (60, 80, 3)).clip(0, 255).astype(np.uint8)
            (folder / name).mkdir(exist_ok=True)
            write_picture(folder / name / f"{number}.png", noise)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


# --- what is learned -----------------------------------------------------------------------------


def test_actions_are_told_apart(learned: Learned) -> None:
    assert learned.evaluation is not None
    assert learned.record["pictures"] == 120
    assert learned.record["accuracy"] >= 0.97
    assert learned.record["mean_class_accuracy"] >= 0.97
    assert learned.record["classes"][0] == "brushing_teeth"
    assert json.loads((learned.folder / "learning.json").read_text())["accuracy"] >= 0.97


def test_the_files_tell_what_was_found(learned: Learned) -> None:
    evaluation = learned.evaluation
    assert evaluation is not None
    rows = (learned.folder / "confusion.csv").read_text().splitlines()
    counts = np.array([row.split(",")[1:] for row in rows[1:]], int)
    np.testing.assert_array_equal(counts, evaluation.confusion)
    assert counts.trace() == round(120 * learned.record["accuracy"])
    lines = (learned.folder / "predictions.csv").read_text().splitlines()[1:]
    right = [line.split(",")[1] == line.split(",")[2] for line in lines]
    assert np.mean(right) == learned.record["accuracy"]
    assert [line.split(",")[0].split("/")[0] for line in lines] == [
        line.split(",")[1] for line in lines
    ]
    for name in ("confusion.png", "pictures.png"):
        assert read_picture(learned.folder / name).shape[0] > 300


@pytest.mark.parametrize("engine", ["openvino", "caffe:cpu"])
def test_the_network_gives_the_classifiers_decision_values_and_maps(
    learned: Learned, model: CamModel, actions: Path, pycaffe: Any, engine: str
) -> None:
    network = zoo.load_files(learned.prototxt, learned.caffemodel)
    decisions = open_engine(engine, replace(network, head=replace(network.head, scores="CAM_fc")))
    explaining = CamModel(network, open_engine(engine, network))
    for picture in sorted((actions / "test").glob("*/*_105.jpg")):
        base = model.explain(picture)
        expected = learned.classifier.decide(base.features[np.newaxis])[0]
        inputs = explaining.network_input(picture, get_style("pycaffe")).batch
        np.testing.assert_allclose(decisions.forward(inputs).scores[0], expected, atol=1e-4)
        found = explaining.explain(picture, top=6)
        assert found.names[0] == picture.parent.name
        assert base.output is not None
        maps = np.einsum("ck,khw->chw", learned.classifier.weights, base.output.activations[0])
        np.testing.assert_allclose(found.maps[0], maps[found.indices], atol=1e-4)


def test_caffe_takes_the_files_and_the_names_of_the_original_demo(
    learned: Learned, actions: Path, pycaffe: Any
) -> None:
    net = pycaffe.Net(str(learned.prototxt), pycaffe.TEST, weights=str(learned.caffemodel))
    picture = next((actions / "test/cooking").iterdir())
    model = cam.load_files(learned.prototxt, learned.caffemodel, engine="openvino")
    net.blobs["data"].data[...] = model.network_input(picture, get_style("pycaffe")).batch
    scores = net.forward()["prob"][0]
    np.testing.assert_allclose(scores, model.explain(picture).scores, atol=1e-5)
    weights = net.params["CAM_fc"][0].data
    np.testing.assert_array_equal(weights, learned.classifier.weights.astype(np.float32))


def test_a_second_call_gives_the_same_bytes(
    learned: Learned, model: CamModel, actions: Path, tmp_path: Path
) -> None:
    before = content(learned.folder)
    learn(model, actions / "train", learned.folder, actions / "test")
    assert content(learned.folder) == before
    # Elsewhere, from the features as from the pictures.
    stores = learned.folder / "features"
    learn(model, stores / "train", tmp_path, stores / "test")
    elsewhere = content(tmp_path)
    assert elsewhere == {name: before[name] for name in elsewhere}
    assert {*NETWORK, "learning.json", "confusion.png", "pictures.png"} <= elsewhere.keys()


def test_a_killed_call_goes_on_and_gives_the_same(
    model: CamModel, actions: Path, tmp_path: Path
) -> None:
    pictures, out = tmp_path / "pictures", tmp_path / "out"
    for path in sorted(actions.glob("train/*/*"))[:200]:
        (pictures / path.parent.name).mkdir(parents=True, exist_ok=True)
        (pictures / path.parent.name / path.name).symlink_to(path.resolve())
    command = [sys.executable, "-m", "cam", "learn", str(pictures), "-o", str(out)]
    command += ["--engine", "openvino", "--no-figures"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list(out.glob("features/train/pieces/0*.parquet")):
        assert process.poll() is None
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "features/train/pieces/000003.parquet").exists()
    assert not (out / "weights.caffemodel").exists()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    learn(model, pictures, tmp_path / "whole", options=LearnOptions(figures=False))
    assert content(out) == content(tmp_path / "whole")


# --- the network runs like any other -------------------------------------------------------------


@pytest.mark.parametrize("engine", ["openvino", "caffe:cpu"])
def test_the_files_alone_are_enough_for_every_command(
    learned: Learned, actions: Path, run: Run, tmp_path: Path, pycaffe: Any, engine: str
) -> None:
    picture = next((actions / "test/cutting_trees").iterdir())
    own = ("--prototxt", learned.prototxt, "--weights", learned.caffemodel, "--engine", engine)
    code, output, errors = run("run", picture, *own, "-o", "maps", "--top", "2")
    assert code == 0, errors
    assert "cutting_trees" in output.splitlines()[0] + output.splitlines()[1]
    record = json.loads(next(tmp_path.glob("maps/**/result.json")).read_text())["record"]
    assert record["preprocessing"]["channels"] == "RGB"
    assert record["model"] == "efficientnet-lite0-learned"
    for command in (
        ("localize", picture, *own),
        ("batch", actions / "test/cooking", *own, "-o", "store"),
        ("figure", "class-maps", picture, "--class", "cutting_trees", *own),
        ("export", "learned.onnx", *own[:4]),
    ):
        code, _, errors = run(*command)
        assert code == 0, errors


def test_all_of_three_classes_are_explained_where_none_are_said(
    model: CamModel, colors: Path, run: Run, tmp_path: Path
) -> None:
    learned = learn(model, colors, tmp_path / "out", options=FAST)
    picture = colors / "red" / "0.png"
    own = ("--prototxt", learned.prototxt, "--weights", learned.caffemodel, "--engine", "openvino")
    code, output, errors = run("run", picture, *own, "-o", "maps")
    assert code == 0, errors
    assert sum(name in output for name in COLORS) == 3
    code, _, errors = run("batch", picture, *own, "-o", "store")
    assert code == 0, errors
    assert json.loads((tmp_path / "store" / "run.json").read_text())["options"]["top"] == 3
    code, _, errors = run("run", picture, *own, "-o", "maps", "--top", "4")
    assert (code, "top 4 of 3 classes; it must be 1 to 3" in errors) == (2, True)


def test_what_is_named_goes_before_what_the_folder_says(learned: Learned) -> None:
    files = (learned.prototxt, learned.caffemodel)
    names = [f"action {number}" for number in range(6)]
    network = zoo.load_files(*files, names=names, name="mine")
    assert (network.class_names, network.name) == (tuple(names), "mine")
    assert network.preprocessing == zoo.get(zoo.EMBEDDED).preprocessing
    other = zoo.get("alexnet").preprocessing
    assert zoo.load_files(*files, preprocessing=other).preprocessing == other


# --- the other sources ---------------------------------------------------------------------------


def test_a_table_may_hold_out_a_part(model: CamModel, colors: Path, tmp_path: Path) -> None:
    lines = ["path,label,split\n"]
    for path in sorted(colors.glob("*/*.png")):
        part = "test" if path.stem == "3" else "train"
        lines.append(f"{path.relative_to(colors)},{path.parent.name},{part}\n")
    (tmp_path / "table.csv").write_text("".join(lines))
    options = replace(FAST, root=colors)
    found = learn(model, tmp_path / "table.csv", tmp_path / "out", options=options)
    assert found.record["training_pictures"] == [3, 3, 3]
    assert (found.record["measured_on"], found.record["pictures"]) == ("test", 3)
    assert found.record["accuracy"] == 1
    with pytest.raises(CamError, match="has a held-out part already"):
        learn(model, tmp_path / "table.csv", tmp_path / "out", colors, options)


@pytest.mark.parametrize("named", [False, True])
def test_caffes_lists_have_numbers(
    model: CamModel, colors: Path, tmp_path: Path, named: bool
) -> None:
    order = list(COLORS)
    paths = sorted(colors.glob("*/*.png"))
    lines = [f"{path} {order.index(path.parent.name)}\n" for path in paths]
    (tmp_path / "list.txt").write_text("".join(lines))
    options = replace(FAST, class_names=tuple(order) if named else None)
    found = learn(model, tmp_path / "list.txt", tmp_path / "out", options=options)
    expected = order if named else ["class 0", "class 1", "class 2"]
    assert found.record["classes"] == expected
    assert found.record["measured_on"] == "cross-validation"
    assert found.record["accuracy"] == 1


@pytest.mark.parametrize("labels", ["folders", "numbers", "names"])
def test_a_store_with_features_is_enough(
    model: CamModel, colors: Path, tmp_path: Path, labels: str
) -> None:
    source, options = colors, FAST
    if labels != "folders":
        source = tmp_path / "list.txt"
        paths = sorted(colors.glob("*/*.png"))
        source.write_text("".join(f"{p} {list(COLORS).index(p.parent.name)}\n" for p in paths))
    if labels == "names":
        options = replace(FAST, class_names=tuple(COLORS))
    run_batch(model, [source], tmp_path / "store", BatchOptions(outputs=("features",)))
    found = learn(model, tmp_path / "store", tmp_path / "out", options=options)
    expected = list(COLORS) if labels != "numbers" else list(model.class_names[:3])
    assert found.record["classes"] == expected
    assert not (tmp_path / "out/features").exists()


def test_a_store_is_enough_where_its_pictures_are_gone(
    model: CamModel, colors: Path, tmp_path: Path
) -> None:
    shutil.copytree(colors, tmp_path / "pictures")
    options = BatchOptions(outputs=("features",))
    run_batch(model, [tmp_path / "pictures"], tmp_path / "store", options)
    shutil.rmtree(tmp_path / "pictures")
    chosen = replace(FAST, figures=True)
    found = learn(model, tmp_path / "store", tmp_path / "out", options=chosen)
    assert found.record["accuracy"] == 1
    assert (tmp_path / "out/confusion.png").exists()
    assert not (tmp_path / "out/pictures.png").exists()


def test_ten_crops_are_learned_from_their_mean(
    model: CamModel, colors: Path, tmp_path: Path
) -> None:
    found = learn(model, colors, tmp_path, options=replace(FAST, style="matlab"))
    assert found.record["style"] == "matlab"
    picture = next(colors.glob("red/*"))
    features = model.explain(picture, style="matlab").features
    block = next(found.parts.train.blocks())
    index = block.names.index(f"red/{picture.name}")
    np.testing.assert_allclose(block.features[index], features, atol=1e-5)


# --- what is refused -----------------------------------------------------------------------------


def test_an_unreadable_picture_is_left_out_and_said(colors: Path, run: Run, tmp_path: Path) -> None:
    shutil.copytree(colors, tmp_path / "pictures")
    (tmp_path / "pictures/red/9.png").write_bytes(b"not a picture")
    arguments = ("learn", "pictures", "-o", "out", "--no-figures", "--engine", "openvino", "--json")
    code, output, errors = run(*arguments)
    assert code == 3
    record = json.loads(output)
    assert (record["failed"], record["training_pictures"]) == (1, [4, 4, 4])
    assert errors.splitlines()[-1].startswith("cam: red/9.png: ")


def one_line(run: Run, *arguments: object) -> str:
    code, _, errors = run("learn", *arguments, "--engine", "openvino", "--no-figures")
    assert code == 2
    assert errors.count("\n") == 1
    return errors


def test_what_cannot_be_learned_is_said_in_a_line(colors: Path, run: Run, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    shutil.copytree(colors, pictures)
    (pictures / "yellow").mkdir()
    assert "class 'yellow' has no picture" in one_line(run, "pictures", "-o", "a")
    (pictures / "yellow/broken.png").write_bytes(b"broken")
    said = one_line(run, "pictures", "-o", "b")
    assert "class 'yellow': no training picture that could be read" in said
    shutil.copy(pictures / "red/0.png", pictures / "yellow/broken.png")
    assert "class 'yellow' has one picture" in one_line(run, "pictures", "-o", "c")
    shutil.copy(pictures / "red/0.png", pictures / "loose.png")
    assert "loose.png lies in no folder" in one_line(run, "pictures", "-o", "d")
    (tmp_path / "one").mkdir()
    shutil.copytree(colors / "red", tmp_path / "one/red")
    assert "one class, red: a classifier needs two" in one_line(run, "one", "-o", "e")
    assert "no file or folder nowhere" in one_line(run, "nowhere", "-o", "f")
    said = one_line(run, colors, "--test", pictures / "red", "-o", "g")
    assert "lies in no folder" in said
    shutil.rmtree(pictures)
    shutil.copytree(colors / "red", pictures / "rad")
    said = one_line(run, colors, "--test", "pictures", "-o", "h")
    assert "labelled 'rad', which is none of the 3 classes; nearest: red" in said
    assert not [name for name in "abcdefgh" if (tmp_path / name / "weights.caffemodel").exists()]


def test_one_picture_is_enough_where_c_is_given(
    model: CamModel, colors: Path, tmp_path: Path
) -> None:
    for name in COLORS:
        (tmp_path / "pictures" / name).mkdir(parents=True)
        shutil.copy(colors / name / "0.png", tmp_path / "pictures" / name)
    found = learn(model, tmp_path / "pictures", tmp_path / "a", options=FAST)
    assert (found.record["accuracy"], found.record["measured_on"]) == (None, None)
    found = learn(model, tmp_path / "pictures", tmp_path / "b", colors, FAST)
    assert found.record["accuracy"] == 1


def test_labels_beyond_the_names_are_said_in_a_line(colors: Path, run: Run, tmp_path: Path) -> None:
    paths = sorted(colors.glob("*/*.png"))
    lines = [f"{path} {2 * (path.parent.name == 'red')}\n" for path in paths]
    (tmp_path / "list.txt").write_text("".join(lines))
    (tmp_path / "two.txt").write_text("other\nred\n")
    (tmp_path / "four.txt").write_text("other\nx\nred\ny\n")
    assert "class 'class 1': no training" in one_line(run, "list.txt", "-o", "a")
    said = one_line(run, "list.txt", "--class-names", "two.txt", "-o", "b")
    assert "labelled '2'" in said and "0 to 1" in said
    said = one_line(run, "list.txt", "--class-names", "four.txt", "-o", "c")
    assert "class 'x' and 1 others: no training" in said
    (tmp_path / "bad.txt").write_text("picture.png\n")
    assert "bad.txt, line 1: no class number" in one_line(run, "bad.txt", "-o", "d")
    (tmp_path / "blank.txt").write_text("other\nx \nred\n")
    said = one_line(run, "list.txt", "--class-names", "blank.txt", "-o", "c")
    assert "'x ': a name is one line" in said
    (tmp_path / "bad.csv").write_text("path,label,split\na.png,x,half\n")
    assert "neither train nor test" in one_line(run, "bad.csv", "-o", "e")
    (tmp_path / "bad.csv").write_text("path,split\na.png,train\n")
    assert "names no column label or class" in one_line(run, "bad.csv", "-o", "f")


def test_stores_that_do_not_fit_are_said_in_a_line(
    model: CamModel, colors: Path, run: Run, tmp_path: Path
) -> None:
    run_batch(model, [colors], tmp_path / "bare", BatchOptions(outputs=()))
    assert "bare has no features" in one_line(run, "bare", "-o", "a")
    options = BatchOptions(outputs=("features",), style="matlab")
    run_batch(model, [colors], tmp_path / "ten", options)
    assert "style is 'matlab' there" in one_line(run, "ten", "-o", "b")
    (tmp_path / "ten/pieces/000000.parquet").unlink()
    assert "12 pictures are missing" in one_line(run, "ten", "--style", "matlab", "-o", "c")
    run_batch(model, [colors / "red"], tmp_path / "flat", BatchOptions(outputs=("features",)))
    assert "lies in no folder of its class" in one_line(run, "flat", "-o", "d")
    (tmp_path / "list.txt").write_text(f"{colors}/red/0.png 7\n{colors}/blue/0.png 9\n")
    run_batch(model, ["list.txt"], tmp_path / "few", BatchOptions(outputs=("features",)))
    (tmp_path / "few/classes.txt").write_text("a\nb\n")
    assert "has the label 7, and the store knows 2 classes" in one_line(run, "few", "-o", "e")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ('{"prototxt": "deploy.prototxt", "format": {"name": "cam network"}}', "of version None"),
        (
            '{"prototxt": "deploy.prototxt", "format": {"name": "cam network", "version": 1}}',
            "not a whole description",
        ),
    ],
)
def test_a_damaged_description_is_refused(
    learned: Learned, tmp_path: Path, text: str, said: str
) -> None:
    for name in NETWORK:
        shutil.copy(learned.folder / name, tmp_path)
    (tmp_path / "network.json").write_text(text)
    with pytest.raises(CamError, match=said):
        zoo.load_files(tmp_path / "deploy.prototxt", tmp_path / "weights.caffemodel")


@pytest.mark.parametrize("text", ["[]", "{}", '{"prototxt": "deploy.prototxt"}', '{"nodes": []}'])
def test_a_file_of_that_name_from_elsewhere_is_passed_over(
    learned: Learned, tmp_path: Path, text: str
) -> None:
    for name in NETWORK:
        shutil.copy(learned.folder / name, tmp_path)
    (tmp_path / "network.json").write_text(text)
    network = zoo.load_files(tmp_path / "deploy.prototxt", tmp_path / "weights.caffemodel")
    assert (network.name, network.class_names[0]) == ("deploy", "class 0")
