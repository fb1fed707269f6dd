from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import loadmat, savemat

from cam.errors import CamError
from cam.localization import (
    VARIANTS,
    Candidates,
    Evaluation,
    GroundTruth,
    Predictions,
    devkit_labels,
    evaluate,
    overlap,
    read_ground_truth,
    read_heatmap_folder,
    read_ilsvrc_ids,
    read_submission,
    write_submission,
)
from cam.localization.tables import TopErrors, parse_measurement

SYNSETS = {"n01440764": 449, "n01443537": 450, "n02119789": 1, "n01751748": 490, "n00001740": 1860}
ANNOTATION = """<annotation>
  <folder>val</folder><filename>{name}</filename>
  <source><database>ILSVRC_2012</database></source>
  <size><width>500</width><height>375</height><depth>3</depth></size>
  <segmented>0</segmented>
{objects}</annotation>
"""
OBJECT = """  <object>
    <name>{wnid}</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>
    <bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>
  </object>
"""


@pytest.fixture(scope="module")
def validation(shared_data: Path) -> GroundTruth:
    return read_ground_truth(shared_data / "ilsvrc2014_val_boxes.mat")


def perfect_guesses(truth: GroundTruth, guesses: int = 5) -> Predictions:
    """Guess each picture's label, with its boxes one after the other."""
    first = np.searchsorted(truth.box_pictures, np.arange(len(truth)))
    count = np.bincount(truth.box_pictures, minlength=len(truth))
    which = first[:, None] + np.arange(guesses) % count[:, None]
    return Predictions(np.repeat(truth.labels[:, None], guesses, axis=1), truth.boxes[which])


def one_picture(*boxes: Sequence[float], label: int = 7) -> GroundTruth:
    return GroundTruth(
        names=("picture",),
        labels=np.array([label]),
        boxes=np.array(boxes, np.float64).reshape(-1, 4),
        box_labels=np.full(len(boxes), label),
        box_pictures=np.zeros(len(boxes), np.int64),
        blacklisted=np.array([False]),
    )


def one_guess(*box: float, label: int = 7) -> Predictions:
    return Predictions(np.array([[label]]), np.array([[box]], np.float64))


def plain_evaluation(truth: GroundTruth, predictions: Predictions) -> Evaluation:
    """Measure the errors picture by picture and guess by guess, as the devkit defines them."""
    classification, localization = [], []
    for guesses in range(1, predictions.labels.shape[1] + 1):
        class_errors, errors, evaluated = 0, 0, 0
        for picture in range(len(truth)):
            label_found = box_found = False
            for guess in range(guesses):
                if predictions.labels[picture, guess] != truth.labels[picture]:
                    continue
                label_found = True
                x1, y1, x2, y2 = (float(v) for v in predictions.boxes[picture, guess])
                for k in range(len(truth.boxes)):
                    if truth.box_pictures[k] != picture:
                        continue
                    if truth.box_labels[k] != truth.labels[picture]:
                        continue
                    u1, v1, u2, v2 = (float(v) for v in truth.boxes[k])
                    across = min(x2, u2) - max(x1, u1) + 1
                    down = min(y2, v2) - max(y1, v1) + 1
                    if across > 0 and down > 0:
                        shared = across * down
                        union = (x2 - x1 + 1) * (y2 - y1 + 1) + (u2 - u1 + 1) * (v2 - v1 + 1)
                        if not shared / (union - shared) < 0.5:
                            box_found = True
            class_errors += not label_found
            if not truth.blacklisted[picture]:
                evaluated += 1
                errors += not box_found
        classification.append(class_errors / len(truth))
        localization.append(errors / evaluated)
    blacklisted = int(truth.blacklisted.sum())
    return Evaluation(tuple(classification), tuple(localization), len(truth), blacklisted)


def one_row(candidates: Candidates, row: int) -> Predictions:
    return Candidates(candidates.labels[row : row + 1], candidates.boxes[row : row + 1]).guesses()


def heat_map_folder(folder: Path, heatmap: bytes) -> None:
    """Write the original's layout: picture a with real heat maps, picture b with dark ones."""
    dark = cv2.imencode(".jpg", np.zeros((20, 30), np.uint8))[1].tobytes()
    order = np.arange(1, 1001, dtype=np.float32)[:, None]
    b_order = np.concatenate([order[4::-1], order[5:]])
    for name, content, indices in (("a", heatmap, order), ("b", dark, b_order)):
        savemat(folder / f"{name}.mat", {"IDX_category": indices, "value_category": indices / 1000})
        for rank in range(1, 6):
            (folder / f"top{rank}").mkdir(exist_ok=True)
            (folder / f"top{rank}" / f"{name}.jpg").write_bytes(content)


def save_meta(path: Path, id_field: str) -> None:
    """Write a file of the structure of the devkit's meta.mat, inner nodes included."""
    synsets = np.empty(
        (len(SYNSETS), 1), dtype=[(id_field, object), ("WNID", object), ("words", object)]
    )
    for row, (wnid, number) in enumerate(SYNSETS.items()):
        synsets[row, 0] = (np.array([[number]], np.float64), wnid, "some words")
    savemat(path, {"synsets": synsets})


def test_perfect_boxes_have_no_error_on_the_whole_validation_set(validation: GroundTruth) -> None:
    assert len(validation) == 50_000
    assert len(validation.boxes) == 80_477
    started = time.perf_counter()
    evaluation = evaluate(validation, perfect_guesses(validation))
    assert time.perf_counter() - started < 10
    assert evaluation.localization == (0.0,) * 5
    assert evaluation.classification == (0.0,) * 5
    assert evaluation.pictures == 50_000


def test_a_wrong_label_is_always_wrong(validation: GroundTruth) -> None:
    guesses = perfect_guesses(validation)
    evaluation = evaluate(validation, replace(guesses, labels=np.full_like(guesses.labels, 1001)))
    assert evaluation.localization == (1.0,) * 5
    assert evaluation.classification == (1.0,) * 5


def test_a_constant_label_is_right_for_its_own_pictures(validation: GroundTruth) -> None:
    guesses = perfect_guesses(validation, guesses=1)
    evaluation = evaluate(validation, replace(guesses, labels=np.full_like(guesses.labels, 490)))
    # The validation set has 50 pictures of each class.
    assert evaluation.classification == evaluation.localization == (1 - 50 / 50_000,)


def test_boxes_flip_where_their_overlap_crosses_one_half(validation: GroundTruth) -> None:
    """Widen each picture's first box to one side until the overlap is just over and under 0.5.

    A box of w columns widened to n columns overlaps by w/n, which is 0.5 at n = 2w: a right guess.
    One column more makes it wrong, unless another box of the picture has the overlap.
    """
    first = np.searchsorted(validation.box_pictures, np.arange(len(validation)))
    single = np.bincount(validation.box_pictures) == 1
    truth = validation.select(np.array(validation.names)[single].tolist())
    half = truth.boxes.copy()
    assert np.array_equal(half, validation.boxes[first[single]])
    half[:, 2] += half[:, 2] - half[:, 0] + 1
    labels = truth.labels[:, None]
    assert np.array_equal(overlap(half, truth.boxes), np.full(len(truth), 0.5))
    assert evaluate(truth, Predictions(labels, half[:, None])).localization == (0.0,)
    half[:, 2] += 1
    assert evaluate(truth, Predictions(labels, half[:, None])).localization == (1.0,)


@pytest.mark.parametrize(
    ("box", "error"),
    [
        ((10, 10, 29, 29), 0.0),
        ((10, 10, 29, 19), 0.0),  # 200 of 400 pixels
        ((10, 10, 29, 18.9), 1.0),
        ((10, 10, 49, 29), 0.0),  # 400 of 800
        ((9, 10, 49, 29), 1.0),
        ((30, 10, 49, 29), 1.0),
        ((np.nan, np.nan, np.nan, np.nan), 1.0),
    ],
)
def test_corners_are_pixels_of_the_box(box: tuple[float, ...], error: float) -> None:
    assert evaluate(one_picture((10, 10, 29, 29)), one_guess(*box)).localization == (error,)


def test_the_best_of_several_boxes_counts() -> None:
    truth = one_picture((0, 0, 9, 9), (50, 50, 99, 99))
    assert evaluate(truth, one_guess(50, 50, 99, 90)).localization == (0.0,)


def test_a_box_of_another_label_does_not_count() -> None:
    truth = replace(one_picture((0, 0, 9, 9)), box_labels=np.array([8]))
    assert evaluate(truth, one_guess(0, 0, 9, 9)).localization == (1.0,)
    assert evaluate(truth, one_guess(0, 0, 9, 9, label=8)).localization == (1.0,)


def test_guesses_after_the_fifth_are_ignored() -> None:
    labels = np.array([[1, 2, 3, 4, 5, 7]])
    boxes = np.tile(np.array([0.0, 0, 9, 9]), (1, 6, 1))
    evaluation = evaluate(one_picture((0, 0, 9, 9)), Predictions(labels, boxes))
    assert evaluation.classification == (1.0,) * 5


@pytest.mark.parametrize("seed", range(4))
def test_a_plain_evaluation_agrees_on_random_predictions(
    seed: int, validation: GroundTruth
) -> None:
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(validation), 60, replace=False)
    truth = validation.select([validation.names[index] for index in chosen])
    truth = replace(
        truth,
        blacklisted=rng.random(60) < 0.2,
        box_labels=np.where(rng.random(len(truth.boxes)) < 0.1, 1, truth.box_labels),
    )
    guesses = perfect_guesses(truth)
    right_label = rng.random(guesses.labels.shape) < 0.3
    predictions = Predictions(
        np.where(right_label, guesses.labels, rng.integers(1, 1001, guesses.labels.shape)),
        np.round(guesses.boxes + rng.normal(0, 40, guesses.boxes.shape)),
    )
    assert evaluate(truth, predictions) == plain_evaluation(truth, predictions)


def test_the_blacklist_is_left_out_of_the_localization_error_only() -> None:
    truth = GroundTruth(
        names=("a", "b", "c"),
        labels=np.array([1, 2, 3]),
        boxes=np.tile([0.0, 0, 9, 9], (3, 1)),
        box_labels=np.array([1, 2, 3]),
        box_pictures=np.arange(3),
        blacklisted=np.array([False, True, False]),
    )
    guesses = Predictions(np.array([[1], [9], [9]]), np.tile([0.0, 0, 9, 9], (3, 1, 1)))
    evaluation = evaluate(truth, guesses)
    assert evaluation.classification == (2 / 3,)
    assert evaluation.localization == (1 / 2,)
    assert (evaluation.pictures, evaluation.blacklisted) == (3, 1)


def test_the_variants_are_those_of_the_original_script() -> None:
    labels = np.array([[11, 12, 13, 14, 15]])
    boxes = np.arange(40, dtype=np.float64).reshape(1, 5, 2, 4)
    candidates = Candidates(labels, boxes)
    for variant, expected in {
        "bbox1": [(11, 0), (12, 8), (13, 16), (14, 24), (15, 32)],
        "bbox2": [(11, 4), (12, 12), (13, 20), (14, 28), (15, 36)],
        "combined": [(11, 0), (11, 4), (12, 8), (12, 12), (13, 16)],
    }.items():
        guesses = candidates.guesses(variant)  # type: ignore[arg-type]
        found = zip(guesses.labels[0].tolist(), guesses.boxes[0, :, 0].tolist(), strict=True)
        assert list(found) == expected


def test_a_missing_second_box_is_replaced_by_the_first() -> None:
    boxes = np.arange(40, dtype=np.float64).reshape(1, 5, 2, 4)
    boxes[0, 0, 1] = np.nan
    boxes[0, 1] = np.nan
    guesses = Candidates(np.array([[1, 2, 3, 4, 5]]), boxes).guesses("combined")
    assert guesses.boxes[0, 1].tolist() == [0, 1, 2, 3]
    assert np.isnan(guesses.boxes[0, 2:4]).all()
    assert guesses.labels.tolist() == [[1, 1, 2, 2, 3]]


def test_the_devkit_ids_and_caffe_indices_are_matched_by_synset(tmp_path: Path) -> None:
    for field in ("ILSVRC2012_ID", "ILSVRC2014_ID"):
        path = tmp_path / f"{field}.mat"
        save_meta(path, field)
        assert read_ilsvrc_ids(path) == SYNSETS
    (tmp_path / "map_clsloc.txt").write_text("n02119789 1 kit_fox\nn02100735 2 English_setter\n")
    assert read_ilsvrc_ids(tmp_path / "map_clsloc.txt") == {"n02119789": 1, "n02100735": 2}
    names = ["n01440764 tench, Tinca tinca", "n01443537 goldfish", "n02119789 kit fox"]
    assert devkit_labels(names, SYNSETS).tolist() == [449, 450, 1]


def test_every_class_of_the_networks_has_a_devkit_label(shared_data: Path) -> None:
    cells = loadmat(str(shared_data / "categories1000.mat"))["categories"].ravel()
    names = [str(cell.item()) for cell in cells]
    shuffled = np.random.default_rng(0).permutation(1000) + 1
    ids = {name[:9]: int(number) for name, number in zip(names, shuffled, strict=True)}
    assert devkit_labels(names, ids).tolist() == shuffled.tolist()


def test_a_missing_meta_file_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(CamError, match=r"meta\.mat.*devkit.*image-net\.org"):
        read_ilsvrc_ids(tmp_path / "meta.mat")
    with pytest.raises(CamError, match="class 0 is 'tench'"):
        devkit_labels(["tench"], SYNSETS)
    with pytest.raises(CamError, match="no synset n99999999"):
        devkit_labels(["n99999999 nothing"], SYNSETS)


def test_xml_annotations_give_what_the_cache_gives(validation: GroundTruth, tmp_path: Path) -> None:
    truth = validation.select(validation.names[:40])
    wnids = {int(label): f"n{int(label):08d}" for label in truth.labels}
    for index, name in enumerate(truth.names):
        boxes = truth.boxes[truth.box_pictures == index].astype(int).tolist()
        objects = "".join(
            OBJECT.format(*box, wnid=wnids[int(truth.labels[index])]) for box in boxes
        )
        (tmp_path / f"{name}.xml").write_text(ANNOTATION.format(name=name, objects=objects))
    (tmp_path / "labels.txt").write_text("".join(f"{label}\n" for label in truth.labels))
    (tmp_path / "blacklist.txt").write_text("3\n36\n")
    read = read_ground_truth(
        tmp_path,
        labels=tmp_path / "labels.txt",
        blacklist=tmp_path / "blacklist.txt",
        ilsvrc_ids={wnid: label for label, wnid in wnids.items()},
    )
    assert read.names == truth.names
    assert np.flatnonzero(read.blacklisted).tolist() == [2, 35]
    for field in ("labels", "boxes", "box_labels", "box_pictures"):
        np.testing.assert_array_equal(getattr(read, field), getattr(truth, field))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('<!DOCTYPE a [<!ENTITY b "bb">]><annotation>&b;</annotation>', "document type"),
        ("<annotation><object>", "not an annotation"),
        ("<annotation><object><name>n01440764</name></object></annotation>", "not an annotation"),
        (ANNOTATION.format(name="a", objects=OBJECT.format(1, 1, 2, 2, wnid="n1")), "no synset"),
        (
            ANNOTATION.format(name="a", objects=OBJECT.format(1, 1, 2, "inf", wnid="n01440764")),
            "not finite",
        ),
        (ANNOTATION.format(name="a", objects=""), "no object to take a label from"),
        ("<a>" * 1000 + " " * (1 << 20), "over the limit of 1048576"),
    ],
)
def test_bad_annotations_are_refused(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(content)
    with pytest.raises(CamError, match=message) as caught:
        read_ground_truth(tmp_path, ilsvrc_ids=SYNSETS)
    assert "\n" not in str(caught.value)


def test_a_document_type_cannot_hide_in_another_encoding(tmp_path: Path) -> None:
    text = '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a><annotation/>'
    (tmp_path / "a.xml").write_bytes(text.encode("utf-16"))
    with pytest.raises(CamError, match="UTF-8"):
        read_ground_truth(tmp_path, ilsvrc_ids=SYNSETS)


def test_bad_ground_truth_files_are_refused(tmp_path: Path, shared_data: Path) -> None:
    cache = tmp_path / "cache.mat"
    cache.write_bytes((shared_data / "ilsvrc2014_val_boxes.mat").read_bytes()[:5000])
    with pytest.raises(CamError, match="damaged"):
        read_ground_truth(cache)
    savemat(cache, {"other": 1})
    with pytest.raises(CamError, match="no variable rec"):
        read_ground_truth(cache)
    savemat(cache, {"rec": np.zeros((1, 2), dtype=[("boxes", object)]), "synsets": 1})
    with pytest.raises(CamError, match="no rec"):
        read_ground_truth(cache)
    with pytest.raises(CamError, match="not the devkit's meta file"):
        read_ilsvrc_ids(cache)
    with pytest.raises(CamError, match="neither a folder"):
        read_ground_truth(tmp_path / "boxes.csv")
    with pytest.raises(CamError, match=r"cannot read.*none\.mat"):
        read_ground_truth(tmp_path / "none.mat")
    with pytest.raises(CamError, match="meta file"):
        read_ground_truth(tmp_path)
    with pytest.raises(CamError, match="no XML"):
        read_ground_truth(tmp_path, ilsvrc_ids=SYNSETS)
    (tmp_path / "map.txt").write_text("kit fox 1\n")
    with pytest.raises(CamError, match="not a map of synsets"):
        read_ilsvrc_ids(tmp_path / "map.txt")


def test_bad_label_and_blacklist_files_are_refused(tmp_path: Path) -> None:
    objects = OBJECT.format(1, 1, 20, 20, wnid="n01440764")
    (tmp_path / "a.xml").write_text(ANNOTATION.format(name="a", objects=objects))
    text = tmp_path / "numbers.txt"
    for content, message in (("1\n2\n", "2 labels"), ("0\n", "1 to 1000"), ("x\n", "whole")):
        text.write_text(content)
        with pytest.raises(CamError, match=message):
            read_ground_truth(tmp_path, labels=text, ilsvrc_ids=SYNSETS)
    for content in ("2\n", "0\n"):
        text.write_text(content)
        with pytest.raises(CamError, match="not among"):
            read_ground_truth(tmp_path, blacklist=text, ilsvrc_ids=SYNSETS)


def test_pictures_are_selected_by_name_in_the_order_given(validation: GroundTruth) -> None:
    names = [f"val/ILSVRC2012_val_{number:08d}.JPEG" for number in (23, 2, 1)]
    truth = validation.select(names)
    assert truth.names[1] == "ILSVRC2012_val_00000002"
    assert truth.labels.tolist()[1:] == [361, 490]
    assert truth.boxes[truth.box_pictures == 1].tolist() == [[45, 49, 499, 162], [2, 69, 437, 207]]
    with pytest.raises(CamError, match="no picture dog"):
        validation.select(["dog.jpg"])
    with pytest.raises(CamError, match="twice"):
        validation.select(names * 2)


def test_submissions_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "submission.txt"
    predictions = Predictions(
        np.array([[449, 1], [490, 0]]),
        np.array([[[1, 2, 3.5, 4], [0, 0, 9, 9]], [[5, 6, 7, 8], [np.nan] * 4]]),
    )
    write_submission(path, predictions)
    assert path.read_text() == "449 1 2 3.5 4 1 0 0 9 9\n490 5 6 7 8 0 -1 -1 -1 -1\n"
    read = read_submission(path)
    np.testing.assert_array_equal(read.labels, predictions.labels)
    np.testing.assert_array_equal(read.boxes[0], predictions.boxes[0])
    truth = one_picture((0, 0, 0, 0), label=490)
    assert evaluate(truth, Predictions(read.labels[1:], read.boxes[1:])).localization[0] == 1.0


def test_submissions_may_have_lines_of_different_lengths(tmp_path: Path) -> None:
    path = tmp_path / "submission.txt"
    guess = "7 0 0 9 9 "
    path.write_text(f"{guess * 7}\n{guess}\n{guess.replace(' ', ',')[:-1]}\n")
    read = read_submission(path)
    assert read.labels.tolist() == [[7] * 5, [7, 0, 0, 0, 0], [7, 0, 0, 0, 0]]
    assert read.boxes.shape == (3, 5, 4)
    assert np.isnan(read.boxes[1, 1:]).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1"),
        ("1 0 0 9 9\n\n", "line 2"),
        ("1 0 0 9 9\n1 0 0 9\n", "line 2"),
        ("1 0 0 9 9\n1 0 0 9 nine\n", "line 2.*nine"),
        ("1 0 0 9 9\n1.5 0 0 9 9\n", "line 2.*whole number"),
        ("1 0 0 9 9\n-1 0 0 9 9\n", "line 2.*whole number"),
        ("1 0 0 9 9\nnan 0 0 9 9\n", "line 2.*whole number"),
        ("1 0 0 9 9\n1 0 0 9 inf\n", "line 2.*finite"),
    ],
)
def test_bad_submissions_name_the_line(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "submission.txt"
    path.write_text(content)
    with pytest.raises(CamError, match=message) as caught:
        read_submission(path)
    assert "\n" not in str(caught.value)


def test_predictions_that_do_not_fit_are_refused() -> None:
    truth = one_picture((0, 0, 9, 9))
    with pytest.raises(CamError, match="2 pictures"):
        evaluate(truth, Predictions(np.ones((2, 1), np.int64), np.zeros((2, 1, 4))))
    with pytest.raises(CamError, match="blacklist"):
        evaluate(replace(truth, blacklisted=np.array([True])), one_guess(0, 0, 9, 9))
    with pytest.raises(CamError, match="shape"):
        Predictions(np.ones((2, 1), np.int64), np.zeros((2, 4)))
    with pytest.raises(CamError, match="shape"):
        Predictions(np.ones((2, 0), np.int64), np.zeros((2, 0, 4)))
    candidates = Candidates(np.ones((1, 2), np.int64), np.zeros((1, 2, 1, 4)))
    for variant in VARIANTS:
        with pytest.raises(CamError, match="needs"):
            candidates.guesses(variant)
    with pytest.raises(CamError, match="both"):
        candidates.guesses("both")  # type: ignore[arg-type]


def test_a_folder_of_heat_maps_gives_the_original_boxes(shared_data: Path, tmp_path: Path) -> None:
    heat_map_folder(tmp_path, (shared_data / "heatmap_6.jpg").read_bytes())
    calls: list[None] = []
    candidates = read_heatmap_folder(
        tmp_path, ["b", "a.JPEG"], np.arange(1000) + 1, on_picture=lambda: calls.append(None)
    )
    assert len(calls) == 2
    assert candidates.labels.tolist() == [[5, 4, 3, 2, 1], [1, 2, 3, 4, 5]]
    expected = [[41, 145, 403, 347], [102, 188, 344, 314]]
    assert candidates.boxes[1].tolist() == [expected] * 5
    assert np.isnan(candidates.boxes[0]).all()
    (tmp_path / "top2" / "a_default.txt").write_text("1 2 3 4 ")
    reused = read_heatmap_folder(tmp_path, ["a"], np.arange(1000), reuse_boxes=True)
    assert reused.boxes[0, 1, 0].tolist() == [1, 2, 4, 6]
    assert np.isnan(reused.boxes[0, 1, 1]).all()
    truth = one_picture((41, 145, 403, 347), label=1)
    assert evaluate(truth.select(["picture"]), one_row(candidates, 1)).localization == (0.0,) * 5


def test_boxes_written_by_the_original_are_those_that_are_found(shared_data: Path) -> None:
    folder = shared_data / "ilsvrc_heatmaps"
    names = sorted(path.stem for path in folder.glob("*.mat"))
    found, reused = (
        read_heatmap_folder(folder, names, np.arange(1000) + 1, reuse_boxes=reuse)
        for reuse in (False, True)
    )
    assert len(names) == 100
    np.testing.assert_array_equal(found.labels, reused.labels)
    np.testing.assert_array_equal(found.boxes, reused.boxes)


def test_corners_of_a_negative_size_are_swapped(tmp_path: Path) -> None:
    """As the original does it, whose evaluation takes the smaller and the larger of each two."""
    heat_map_folder(tmp_path, b"")
    for rank in range(1, 6):
        (tmp_path / f"top{rank}" / "a_default.txt").write_text("9 9 20 20 370 89 -3 -1 ")
    candidates = read_heatmap_folder(tmp_path, ["a"], np.arange(1000) + 1, reuse_boxes=True)
    guesses = candidates.guesses("bbox2")
    assert guesses.boxes[0].tolist() == [[367, 88, 370, 89]] * 5
    assert evaluate(one_picture((367, 88, 370, 89), label=1), guesses).localization[0] == 0


def test_bad_heat_map_folders_are_refused(tmp_path: Path) -> None:
    dark = cv2.imencode(".jpg", np.zeros((20, 30), np.uint8))[1].tobytes()
    heat_map_folder(tmp_path, dark)
    with pytest.raises(CamError, match=r"cannot read.*c\.mat"):
        read_heatmap_folder(tmp_path, ["a", "c"], np.arange(1000))
    with pytest.raises(CamError, match="not within 1 to 3"):
        read_heatmap_folder(tmp_path, ["a"], np.arange(3))
    savemat(tmp_path / "a.mat", {"IDX_category": np.arange(3)})
    with pytest.raises(CamError, match="IDX_category"):
        read_heatmap_folder(tmp_path, ["a"], np.arange(1000))


def test_results_are_what_the_tables_read() -> None:
    evaluation = Evaluation((0.5, 0.4, 0.3, 0.2, 0.1), (0.6, 0.5, 0.4, 0.3, 0.2), 1000, 10)
    record = json.loads(json.dumps(evaluation.to_json("GoogLeNet-GAP", "googlenet")))
    measurement = parse_measurement(record)
    assert measurement.classification == TopErrors(50.0, 10.0)
    assert measurement.localization == TopErrors(60.0, 20.0)
    assert (measurement.pictures, measurement.model) == (1000, "googlenet")
    assert record["localization"]["top3"] == 40.0


@pytest.mark.parametrize("number", ["9" * 30, "\u0661", "-1", "1.0"])
def test_an_ilsvrc_id_is_a_plain_number(number: str, tmp_path: Path) -> None:
    (tmp_path / "map.txt").write_text(f"n02119789 {number} kit_fox\n", encoding="utf-8")
    with pytest.raises(CamError, match="not a map of synsets"):
        read_ilsvrc_ids(tmp_path / "map.txt")


def test_an_ilsvrc_id_of_a_mat_file_is_a_number_that_fits(tmp_path: Path) -> None:
    for number in (1e30, np.inf, np.nan):
        savemat(tmp_path / "meta.mat", {"synsets": {"ILSVRC2012_ID": number, "WNID": "n02119789"}})
        with pytest.raises(CamError, match="a synset has no WNID and ILSVRC2012_ID"):
            read_ilsvrc_ids(tmp_path / "meta.mat")
