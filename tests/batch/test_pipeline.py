from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import cam
from cam.batch import BatchOptions, run_batch, run_entries
from cam.batch.pipeline import ahead
from cam.cli import main
from cam.errors import CamError
from cam.explain.model import CamModel
from cam.localization import find_boxes, picture_heatmap
from cam.pictures.lists import Entry
from cam.pictures.reading import read_picture, write_picture

pq = pytest.importorskip("pyarrow.parquet")

BAD = "0004.png"
COUNT = 11


@pytest.fixture(scope="module")
def model() -> CamModel:
    return cam.load("efficientnet-lite0", engine="openvino")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, coffee: Path) -> Path:
    """Return a folder with parts of a photograph; one file is cut short."""
    folder = tmp_path_factory.mktemp("pictures")
    photograph = read_picture(coffee)
    for number in range(COUNT):
        write_picture(folder / f"{number:04d}.png", photograph[20 * number :, 15 * number :])
    (folder / BAD).write_bytes((folder / BAD).read_bytes()[:3000])
    return folder


@pytest.fixture(scope="module")
def store(model: CamModel, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with everything in it."""
    folder = tmp_path_factory.mktemp("stores") / "reference"
    outputs = ("maps", "scores", "boxes", "heat-maps", "features")
    run_batch(model, [pictures], folder, BatchOptions(outputs=outputs, piece_size=4))
    return folder


def table(store: Path) -> dict[str, SimpleNamespace]:
    """Return the rows of a store by the pictures' names."""
    rows = pq.read_table(store / "pieces").to_pylist()
    return {row["name"]: SimpleNamespace(**row) for row in rows}


def explained(store: Path) -> dict[str, SimpleNamespace]:
    return {name: row for name, row in table(store).items() if row.status == "ok"}


def decoded(file: bytes) -> NDArray[np.uint8]:
    levels = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    assert levels is not None
    return levels.astype(np.uint8)


def content(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_pictures_stand_in_the_order_of_the_list(store: Path) -> None:
    rows = table(store)
    assert list(rows) == [f"{number:04d}.png" for number in range(COUNT)]
    assert [row.index for row in rows.values()] == list(range(COUNT))


def test_a_batch_gives_what_explain_gives(model: CamModel, pictures: Path, store: Path) -> None:
    for name, row in explained(store).items():
        picture = read_picture(pictures / name)
        alone = model.explain(picture)
        assert (row.height, row.width) == picture.shape[:2]
        np.testing.assert_array_equal(row.top_index, alone.indices)
        # Several streams divide the work of a layer otherwise than one: rounding of float32.
        np.testing.assert_allclose(row.top_probability, alone.probabilities, rtol=1e-4)
        maps = np.reshape(row.maps, alone.maps.shape)
        np.testing.assert_allclose(maps, alone.maps, atol=2e-3 * np.abs(alone.maps).max())
        np.testing.assert_allclose(row.scores, alone.scores, atol=1e-3)
        np.testing.assert_allclose(row.features, alone.features, atol=1e-5)
        heat = np.stack([decoded(png) for png in row.heat_maps])
        np.testing.assert_allclose(heat, 255 * alone.heat_maps, atol=0.51)
        for found, merged in zip(row.boxes, alone.merged, strict=True):
            wanted = find_boxes(picture_heatmap(merged, picture.shape[:2]))
            # A grey level that rounds the other way may move an edge.
            assert np.abs(np.array([*found]) - np.array(wanted)).max(initial=0) <= 1


def test_ten_crops_and_float32_give_what_explain_gives(
    model: CamModel, coffee: Path, tmp_path: Path
) -> None:
    options = BatchOptions(style="matlab", top=2, precision="float32")
    run_batch(model, [coffee], tmp_path, options)
    (row,) = table(tmp_path).values()
    alone = model.explain(coffee, top=2, style="matlab")
    np.testing.assert_array_equal(row.top_index, alone.indices)
    np.testing.assert_allclose(
        np.reshape(row.maps, (10, 2, 7, 7)), alone.maps, atol=1e-5 * np.abs(alone.maps).max()
    )
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["arrays"]["maps"] == {"shape": [10, 2, 7, 7], "type": "float32"}


def test_features_are_float32_and_nothing_else_changes_with_them(
    model: CamModel, pictures: Path, tmp_path: Path
) -> None:
    run_batch(model, [pictures], tmp_path / "with", BatchOptions(outputs=("features",)))
    run_batch(model, [pictures], tmp_path / "without", BatchOptions(outputs=()))
    kept, bare = (pq.read_table(tmp_path / name / "pieces") for name in ("with", "without"))
    assert str(kept.schema.field("features").type) == "list<element: float>"
    assert kept.drop(["features"]).equals(bare)
    records = [
        json.loads((tmp_path / name / "run.json").read_text()) for name in ("with", "without")
    ]
    assert records[0].pop("arrays") == {"features": {"shape": [1280], "type": "float32"}}
    assert records[1].pop("arrays") == {}
    assert records[0]["options"].pop("outputs") == ["features"]
    assert records[1]["options"].pop("outputs") == []
    assert records[0] == records[1]


def test_the_explained_class_may_be_the_label(
    model: CamModel, coffee: Path, tmp_path: Path
) -> None:
    entries = [Entry("labelled.png", str(coffee), label=504), Entry("not.png", str(coffee))]
    options = BatchOptions(top=1, outputs=("maps",), precision="float32", classes="label")
    run_entries(model, entries, tmp_path, options)
    rows = table(tmp_path)
    alone = model.explain(coffee, classes=[504])
    assert rows["labelled.png"].top_index == [504]
    np.testing.assert_allclose(
        np.reshape(rows["labelled.png"].maps, (1, 1, 7, 7)),
        alone.maps,
        atol=1e-5 * np.abs(alone.maps).max(),
    )
    assert rows["not.png"].reason == "cannot be explained: it has no label"
    assert json.loads((tmp_path / "run.json").read_text())["options"]["classes"] == "label"
    with pytest.raises(CamError, match="the top 1 only"):
        BatchOptions(classes="label")


def test_a_picture_that_cannot_be_read_is_recorded(store: Path) -> None:
    row = table(store)[BAD]
    assert (row.status, row.reason) == ("failed", "the picture is truncated")
    assert row.top_index is None and row.maps is None and row.boxes is None
    assert (store / "failed.csv").read_text() == f"name,reason\n{BAD},the picture is truncated\n"


@pytest.mark.parametrize("lost", [[0], [1, 2], [0, 2]])
def test_a_resumed_store_is_the_same_byte_for_byte(
    model: CamModel, pictures: Path, store: Path, tmp_path: Path, lost: list[int]
) -> None:
    class InterruptedHereError(Exception):
        pass

    class Progress:
        def begin(self, done: int, total: int) -> None:
            self.done, self.total = done, total

        def advance(self, pictures: int) -> None:
            self.done += pictures
            if self.done == 7 and interrupt:
                raise InterruptedHereError

    resumed, progress, interrupt = tmp_path / "resumed", Progress(), True
    outputs = ("features", "boxes", "maps", "heat-maps", "scores")
    options = BatchOptions(outputs=outputs, piece_size=4)
    with pytest.raises(InterruptedHereError):
        run_batch(model, [pictures], resumed, options, progress=progress)
    assert not (resumed / "summary.json").exists()
    interrupt = False
    for number in lost:
        (resumed / f"pieces/{number:06d}.parquet").unlink(missing_ok=True)
    run_batch(model, [pictures], resumed, options, progress=progress)
    assert progress.done == progress.total == COUNT
    assert content(resumed) == content(store)


def test_a_batch_of_several_pictures_gives_the_same(
    model: CamModel, pictures: Path, store: Path, tmp_path: Path
) -> None:
    run_batch(model, [pictures], tmp_path, BatchOptions(batch_size=3, precision="float32"))
    together, alone = explained(tmp_path), explained(store)
    assert list(together) == list(alone)
    for name, row in together.items():
        assert row.top_index == alone[name].top_index
        np.testing.assert_allclose(row.maps, alone[name].maps, atol=2e-3 * np.abs(row.maps).max())


def test_labels_give_the_accuracy(
    model: CamModel, pictures: Path, store: Path, tmp_path: Path
) -> None:
    best = {name: row.top_index for name, row in explained(store).items()}
    first, second, *_ = best.values()
    # One label is the best class, one the third, one is none of the five, and one is not given.
    labels = [first[0], second[2], 999, ""]
    lines = [f"{name},{label}\n" for name, label in zip(best, labels, strict=False)]
    (tmp_path / "labels.csv").write_text("path,label\n" + "".join(lines))
    summary = run_batch(model, [tmp_path / "labels.csv"], tmp_path / "store", root=pictures)
    assert summary.labelled == 3
    assert summary.top_accuracy == {"1": 1 / 3, "5": 2 / 3}
    stored = [row.label for row in table(tmp_path / "store").values()]
    assert stored == [*labels[:3], None]


@pytest.mark.parametrize(
    ("style", "output"), [("matlab", "maps"), ("matlab", "boxes"), ("pycaffe", "maps")]
)
def test_the_ilsvrc_layout_has_the_originals_files(
    model: CamModel, coffee: Path, tmp_path: Path, style: str, output: str
) -> None:
    options = BatchOptions(style=style, layout="ilsvrc", outputs=(output,))
    run_batch(model, [coffee], tmp_path / "s", options)
    alone = model.explain(coffee, style=style)
    alone.to_ilsvrc(tmp_path / "alone", "coffee")
    for rank in range(1, 6):
        name = f"top{rank}/coffee.jpg"
        ours, wanted = (
            decoded((folder / name).read_bytes()).astype(int)
            for folder in (tmp_path / "s/ilsvrc", tmp_path / "alone")
        )
        # JPEG of a grey level that rounds the other way.
        assert np.abs(ours - wanted).max() <= 3
    assert (tmp_path / "s/ilsvrc/coffee.mat").exists()


def test_the_ilsvrc_layout_refuses_what_it_cannot_hold(
    model: CamModel, pictures: Path, tmp_path: Path
) -> None:
    options = BatchOptions(style="matlab", layout="ilsvrc")
    with pytest.raises(CamError, match="two pictures called"):
        run_batch(model, [pictures, pictures], tmp_path, options)
    with pytest.raises(CamError, match="the top 5 classes"):
        BatchOptions(layout="ilsvrc", top=4)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"outputs": ("map",)}, "no output 'map'; nearest: maps"),
        ({"precision": "float64"}, "no precision 'float64'; nearest"),
        ({"batch_size": 0}, "1 picture or more"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(CamError, match=said):
        BatchOptions(**options)


def test_threads_of_opencv_are_as_before(model: CamModel, pictures: Path, tmp_path: Path) -> None:
    before = cv2.getNumThreads()
    run_batch(model, [pictures], tmp_path)
    assert cv2.getNumThreads() == before


def test_requests_under_way_do_not_touch_each_other(model: CamModel) -> None:
    generator = np.random.default_rng(0)
    inputs = generator.normal(0, 1, (12, 1, 3, 224, 224)).astype(np.float32)
    waits = [model.engine.submit(batch) for batch in inputs]
    results = [wait() for wait in waits]
    for batch, result in zip(inputs, results, strict=True):
        np.testing.assert_array_equal(model.engine.submit(batch)().scores, result.scores)
        alone = model.engine.forward(batch)
        np.testing.assert_allclose(result.scores, alone.scores, rtol=1e-3, atol=1e-7)
        scale = np.abs(alone.activations).max()
        np.testing.assert_allclose(result.activations, alone.activations, atol=1e-4 * scale)


@given(items=st.lists(st.integers()), count=st.integers(0, 5))
def test_ahead_keeps_order_and_never_more_than_it_may(items: list[int], count: int) -> None:
    started, most = 0, 0

    def start(item: int) -> Callable[[], int]:
        nonlocal started, most
        started += 1
        most = max(most, started - len(results))
        return lambda: item

    results: list[int] = []
    for result in ahead(start, items, count):
        results.append(result)
    assert results == items
    assert most <= count + 1


def test_ahead_waits_for_what_it_has_started() -> None:
    finished = []
    with ThreadPoolExecutor(2) as pool:
        release = threading.Event()

        def work(item: int) -> None:
            release.wait()
            finished.append(item)

        results = ahead(lambda item: pool.submit(work, item).result, range(10), 2)
        threading.Timer(0.05, release.set).start()
        next(results)
        results.close()
        assert sorted(finished) == [0, 1, 2]


def run_command(*arguments: object) -> int:
    with pytest.raises(SystemExit) as exited:
        main([str(argument) for argument in arguments])
    assert isinstance(exited.value.code, int)
    return exited.value.code


def test_the_command_ends_with_3_and_the_list_of_bad_pictures(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = ("batch", pictures, "-o", tmp_path, "--engine", "openvino")
    assert run_command(*batch) == 3
    told = capsys.readouterr()
    assert "10 of 11 pictures done, 1 could not be read" in told.out
    assert "11 of them in this run" in told.out
    note, failed = told.err.splitlines()
    assert note.startswith("efficientnet-lite0 is the embedded model")
    assert failed == f"cam: {BAD}: the picture is truncated"
    assert run_command(*batch, "--json") == 3
    again = json.loads(capsys.readouterr().out)
    assert (again["explained"], again["failed"], again["pictures_in_this_run"]) == (10, 1, 0)
    assert run_command(*batch, "--style", "matlab") == 2
    assert 'style is "pycaffe" there and "matlab" here' in capsys.readouterr().err
    assert run_command("store", tmp_path) == 0
    assert "10 of 11 pictures done" in capsys.readouterr().out


def test_the_command_refuses_what_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("batch", tmp_path / "nowhere", "-o", tmp_path / "store", "--engine", "openvino")
    assert run_command(*command) == 2
    assert capsys.readouterr().err == f"cam: no file or folder {tmp_path / 'nowhere'}\n"
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_piece_is_said_named_and_made_again(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = ("batch", pictures, "-o", tmp_path, "--engine", "openvino", "--piece-size", "4")
    assert run_command(*batch) == 3
    before, piece = content(tmp_path), tmp_path / "pieces/000001.parquet"
    piece.write_bytes(before["pieces/000001.parquet"].replace(b"PAR1", b"PAR2"))
    capsys.readouterr()
    assert run_command("store", tmp_path) == 2
    said = capsys.readouterr().err
    assert f"cam: {piece}: damaged: its SHA-256" in said
    assert said.count("\n") == 1
    assert run_command(*batch) == 3
    told = capsys.readouterr()
    assert told.err.count(f"cam: {piece} is damaged") == 1
    assert "4 of them in this run" in told.out
    assert content(tmp_path) == before
    assert run_command("store", tmp_path) == 0


def test_settings_that_say_nothing_of_a_model_are_one_line(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(store, tmp_path / "copy")
    for names in (["model"], ["model", "engine"], ["options", "outputs"]):
        record = json.loads((store / "run.json").read_text())
        (record if len(names) == 1 else record[names[0]])[names[-1]] = 5
        (tmp_path / "copy/run.json").write_text(json.dumps(record))
        assert run_command("store", tmp_path / "copy") == 2
        assert f"run.json is damaged: no {'.'.join(names)}" in capsys.readouterr().err


def test_the_command_finds_boxes_by_the_paper_s_rule(
    model: CamModel, coffee: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    chosen = ("--save", "boxes", "--rule", "paper", "--top", "1", "--engine", "openvino")
    assert run_command("batch", coffee, "-o", store, *chosen) == 0
    picture = read_picture(coffee)
    (merged,) = model.explain(picture, top=1).merged
    wanted = find_boxes(picture_heatmap(merged, picture.shape[:2]), "paper")
    (row,) = table(store).values()
    assert np.abs(np.array(row.boxes[0]) - np.array(wanted)).max() <= 1


def test_a_cluster_that_does_not_answer_leaves_nothing(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dask = pytest.importorskip("dask")
    pytest.importorskip("distributed")
    batch = ("batch", pictures, "-o", tmp_path / "store", "--engine", "openvino")
    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        assert run_command(*batch, "--scheduler", "tcp://127.0.0.1:1") == 2
    assert "no Dask scheduler answers" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_memory_does_not_grow_with_the_list(pictures: Path, tmp_path: Path) -> None:
    def peak(count: int) -> int:
        (tmp_path / "list.txt").write_text(f"{pictures / '0010.png'}\n" * count)
        command = [sys.executable, "-m", "cam", "batch", str(tmp_path / "list.txt")]
        command += ["-o", str(tmp_path / str(count)), "--engine", "openvino"]
        environment = {**os.environ, "CAM_COMPILED": str(tmp_path / "compiled")}
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0
        assert isinstance(usage, resource.struct_rusage)
        return usage.ru_maxrss

    peak(20)  # compiles the network, which takes more memory than finding it compiled
    assert peak(2000) < 1.1 * peak(200)
