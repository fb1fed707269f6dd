from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io

import cam
from cam.cli import main
from cam.explain.explanation import Explanation
from cam.explain.model import CamModel
from cam.localization import (
    BoxRule,
    is_complete,
    original_boxes,
    read_heatmap,
    read_heatmap_folder,
    read_picture_list,
    read_record,
    write_record,
)
from cam.matlab import imresize

NAME = "ILSVRC2012_val_00000001"
SIZE = (90, 120)


@pytest.fixture(scope="module")
def model() -> CamModel:
    return cam.load(engine="openvino")


@pytest.fixture(scope="module")
def explanation(model: CamModel, coffee: Path) -> Explanation:
    return replace(model.explain(coffee, style="matlab"), picture_size=SIZE)


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as exit_:
        main([str(argument) for argument in arguments])
    return int(exit_.value.code or 0)


def test_the_files_are_those_that_the_original_evaluation_reads(
    explanation: Explanation, tmp_path: Path
) -> None:
    explanation.to_ilsvrc(tmp_path, NAME)
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    assert files == {f"{NAME}.mat", *(f"top{rank}/{NAME}.jpg" for rank in range(1, 6))}
    stored = scipy.io.loadmat(tmp_path / f"{NAME}.mat")
    for variable in ("IDX_category", "value_category"):
        assert stored[variable].shape == (1000, 1)
        assert stored[variable].dtype == np.float32
    order = stored["IDX_category"].ravel().astype(int) - 1
    assert order[:5].tolist() == explanation.indices.tolist()
    assert sorted(order) == list(range(1000))
    np.testing.assert_array_equal(stored["value_category"].ravel(), explanation.scores[order])
    assert (np.diff(stored["value_category"].ravel()) <= 0).all()


def test_the_heat_maps_are_the_merged_maps_by_their_maximum_at_the_pictures_size(
    explanation: Explanation, tmp_path: Path
) -> None:
    explanation.to_ilsvrc(tmp_path, NAME)
    for rank in range(5):
        stored = cv2.imread(str(tmp_path / f"top{rank + 1}" / f"{NAME}.jpg"), cv2.IMREAD_UNCHANGED)
        assert stored.shape == SIZE
        assert stored.dtype == np.uint8
        resized = imresize(explanation.merged[rank], SIZE).astype(np.float64)
        expected = np.clip(resized / resized.max(), 0, 1) * 255
        # MATLAB's quality of 75 changes smooth grey pictures by a few levels.
        assert np.abs(stored - expected).max() < 12
        assert np.abs(stored - expected).mean() < 1.5


def test_the_project_reads_its_own_folder(explanation: Explanation, tmp_path: Path) -> None:
    explanation.to_ilsvrc(tmp_path, NAME)
    ids = np.arange(1000) + 1
    candidates = read_heatmap_folder(tmp_path, [NAME], ids)
    assert candidates.labels.tolist() == [(explanation.indices + 1).tolist()]
    first = original_boxes(read_heatmap(tmp_path / "top1" / f"{NAME}.jpg"))[0]
    assert candidates.boxes[0, 0, 0].tolist() == list(first.corners)
    by_the_paper = read_heatmap_folder(tmp_path, [NAME], ids, rule=BoxRule("paper"))
    assert np.isnan(by_the_paper.boxes[0, :, 1]).all()
    assert not np.isnan(by_the_paper.boxes[0, :, 0]).any()


def test_a_picture_is_complete_only_when_all_is_written(
    explanation: Explanation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("cam.localization.ilsvrc_heatmaps.write_mat", fail)
        explanation.to_ilsvrc(tmp_path, NAME)
    assert not is_complete(tmp_path, NAME)
    explanation.to_ilsvrc(tmp_path, NAME)
    assert is_complete(tmp_path, NAME)


def test_fewer_classes_are_refused(model: CamModel, coffee: Path, tmp_path: Path) -> None:
    with pytest.raises(cam.CamError, match="the top 5 classes, not of 4"):
        model.explain(coffee, 4, "matlab").to_ilsvrc(tmp_path, NAME)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("a/one.JPEG 65\n\nwith space.JPEG\t970\n", ["a/one.JPEG", "with space.JPEG"]),
        ("a/one.JPEG\n with space.JPEG\n", ["a/one.JPEG", "with space.JPEG"]),
        # Not each line ends in a number: these are names.
        ("picture 1\npicture\n", ["picture 1", "picture"]),
    ],
)
def test_lists_are_those_of_caffe_with_or_without_labels(
    tmp_path: Path, content: str, names: list[str]
) -> None:
    source = tmp_path / "val.txt"
    source.write_text(content)
    assert read_picture_list(source) == [tmp_path / name for name in names]
    elsewhere = Path("elsewhere").absolute()
    assert read_picture_list(source, "elsewhere") == [elsewhere / name for name in names]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n", "lists no picture"),
        (b"a/one.jpg\nb/one.png\n", "two pictures called one"),
        (b"\xff\xfe", "not a text file"),
    ],
)
def test_bad_lists_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    source = tmp_path / "val.txt"
    source.write_bytes(content)
    with pytest.raises(cam.CamError, match=message):
        read_picture_list(source)
    with pytest.raises(cam.CamError, match="cannot read the list"):
        read_picture_list(tmp_path / "none.txt")


def test_a_folder_keeps_the_heat_maps_of_one_model(tmp_path: Path) -> None:
    record = {"model": "googlenet", "style": "matlab", "method": "cam", "engine": "caffe"}
    assert read_record(tmp_path) == {}
    write_record(tmp_path, record)
    write_record(tmp_path, {**record, "engine": "openvino"})
    assert read_record(tmp_path) == record
    with pytest.raises(cam.CamError, match="model 'googlenet', not 'vgg16'"):
        write_record(tmp_path, {**record, "model": "vgg16"})
    (tmp_path / "record.json").write_text("[]")
    with pytest.raises(cam.CamError, match="not a JSON object"):
        read_record(tmp_path)


def test_the_command_goes_on_where_it_ended_and_reports_what_it_cannot_read(
    coffee: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = cv2.resize(cv2.imread(str(coffee)), (120, 90))
    for name in ("one.png", "two.png"):
        cv2.imwrite(str(tmp_path / name), picture)
    (tmp_path / "three.png").write_text("no picture")
    (tmp_path / "list.txt").write_text("one.png 3\ntwo.png 4\nthree.png 5\n")
    arguments = ("ilsvrc-heatmaps", tmp_path / "list.txt", "-o", tmp_path / "out")
    assert run(*arguments, "--engine", "openvino") == 3
    output, errors = capsys.readouterr()
    assert "2 pictures made" in output
    assert "0 were there, 1 could not be read" in output
    assert "three.png" in errors
    before = (tmp_path / "out" / "one.mat").stat().st_mtime_ns
    (tmp_path / "out" / "two.mat").unlink()
    assert run(*arguments, "--engine", "openvino") == 3
    assert "1 pictures made" in capsys.readouterr().out
    assert (tmp_path / "out" / "one.mat").stat().st_mtime_ns == before
    record = json.loads((tmp_path / "out" / "record.json").read_text())
    assert (record["style"], record["method"]) == ("matlab", "cam")


def test_backpropagation_without_caffe_is_refused_before_any_file(
    tmp_path: Path, coffee: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "list.txt").write_text(f"{coffee}\n")
    arguments = ("--engine", "openvino", "--method", "backpropagation", "-o", tmp_path / "out")
    assert run("ilsvrc-heatmaps", tmp_path / "list.txt", *arguments) == 2
    assert "needs the caffe engine" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
