from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from cam.cli import main
from cam.engines import NetworkOutput
from cam.explain.explanation import Explanation
from cam.explain.styles import MatlabStyle, PycaffeStyle
from cam.fidelity import Difference, compare, compare_files
from cam.fidelity.comparison_picture import comparison_picture
from cam.fidelity.results import decode_result, read_result, result_of
from cam.maps.activation_maps import return_cam_map
from cam.maps.colors import py_map2jpg
from cam.matlab import imresize, save_features, save_network, write_mat
from cam.pictures.reading import write_picture

CLASSES, CHANNELS = 20, 16
NAMES = tuple(f"n{index:08d} thing {index}" for index in range(CLASSES))


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def weights() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((CLASSES, CHANNELS)).astype(np.float32)


@pytest.fixture(scope="module")
def result(weights: np.ndarray, coffee: Path) -> Explanation:
    """Return a result of the matlab style from random features."""
    random = np.random.default_rng(0)
    fields = random.standard_normal((10 * CHANNELS, 14, 14))
    activations = np.stack([cv2.GaussianBlur(field, (0, 0), 2) for field in fields])
    activations = np.maximum(activations, 0).reshape(10, CHANNELS, 14, 14).astype(np.float32)
    scores = random.dirichlet(np.ones(CLASSES), 10).astype(np.float32)
    mean = scores.mean(axis=0)
    indices = np.argsort(-mean)[:5]
    return Explanation(
        frame=imresize(cv2.imread(str(coffee)), (256, 256)),
        scores=mean,
        indices=indices,
        names=tuple(NAMES[index] for index in indices),
        maps=return_cam_map(activations, weights[indices]),
        output=NetworkOutput(activations, scores),
        crop_size=224,
        picture_size=(256, 256),
        style=MatlabStyle(),
        record={"model": "random", "style": "matlab"},
    )


@pytest.fixture(scope="module")
def folder(result: Explanation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("ours")
    result.save(target)
    result.to_mat(target / "features.mat")
    return target


def matlab_variables(result: Explanation) -> dict[str, Any]:
    """Return what octave_img1.mat holds of a result."""
    return {
        "cams": result.maps.transpose(3, 2, 1, 0),
        "merged": result.merged.transpose(1, 2, 0),
        "heat_top1": result.heat_picture(0)[:, :, ::-1] / np.float32(255),
        "idx": result.indices[np.newaxis].astype(np.int32) + 1,
        "val": result.probabilities[np.newaxis],
    }


def found(ours: Path, theirs: Path, **options: Any) -> dict[str, Difference]:
    return compare_files(ours, theirs, **options).differences


def test_two_runs_of_ours_differ_by_zero(folder: Path, tmp_path: Path, capsys: Any) -> None:
    again = shutil.copytree(folder, tmp_path / "again")
    assert run("compare", folder, again, "--tolerance", 0, "-o", tmp_path / "out", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert report["within"]
    assert report["ranking"]["common"] == 5
    assert {entry["quantity"] for entry in report["quantities"]} == {
        *("scores", "activations", "crop_scores", "frame", "maps", "heat_maps"),
        *("heat_pictures", "overlays"),
    }
    for entry in report["quantities"]:
        assert entry["max_abs"] == entry["mean_abs"] == entry["relative"] == 0
        assert entry["correlation"] == entry["within_levels"] == 1


def test_a_result_in_memory_is_what_its_folder_is(result: Explanation, folder: Path) -> None:
    saved, held = read_result(folder), result_of(result)
    assert set(held.holds) == set(saved.holds)
    assert held.kind == saved.kind
    assert held.crops == saved.crops
    differences = compare(held, saved).differences
    assert set(differences) >= {"activations", "maps", "heat_maps", "heat_pictures", "overlays"}
    # Heat maps are saved in single precision.
    assert all(apart.max_abs < 1e-6 for apart in differences.values())


def test_files_in_memory_are_what_they_are_on_disk(folder: Path) -> None:
    for name in ("features.mat", "result.jpg"):
        on_disk = read_result(folder / name)
        held = decode_result((folder / name).read_bytes(), name)
        assert (held.holds, held.kind, held.notes) == (on_disk.holds, on_disk.kind, on_disk.notes)
        assert all(apart.max_abs == 0 for apart in compare(held, on_disk).differences.values())


def test_the_two_styles_differ_and_the_picture_shows_where(
    result: Explanation, folder: Path, one_crop: Path, tmp_path: Path, capsys: Any
) -> None:
    assert run("compare", folder, one_crop, "-o", tmp_path / "out") == 1
    printed = capsys.readouterr().out
    assert "one crop compared with the center crop of ten" in printed
    assert "outside the tolerance" in printed
    outcome = compare_files(folder, one_crop)
    assert outcome.differences["heat_maps"].max_abs > 0.2
    assert outcome.differences["maps"].max_abs == 0

    picture = cv2.imread(str(tmp_path / "out" / "comparison.png"))
    assert picture.shape[1] == 3 * 256 + 2 * 8
    # Below the header and the photograph: the best class's heat maps and their difference.
    row = picture[52 + 308 :][:256]
    np.testing.assert_array_equal(row[:, :256], result.heat_picture(0))
    (heat_maps,) = (one for one in outcome.quantities if one.name == "heat_maps")
    apart = heat_maps.ours[0] - heat_maps.theirs[0]
    drawn = row[2:-2, 530:-2].astype(int)
    inside = apart[2:-2, 2:-2]
    # Red where ours is higher, blue where theirs is, white where neither.
    assert (drawn[inside > 0.1][:, 2] == 255).all()
    assert (drawn[inside > 0.1][:, 0] < 240).all()
    assert (drawn[inside < -0.1][:, 0] == 255).all()
    assert (drawn[np.abs(inside) < 0.001] > 250).all()


@pytest.fixture(scope="module")
def one_crop(result: Explanation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the result of the pycaffe style from the center crop alone."""
    center = slice(4, 5)
    forward = NetworkOutput(result.output.activations[center], result.output.scores[center])
    port = replace(result, style=PycaffeStyle(), maps=result.maps[center], output=forward)
    target = tmp_path_factory.mktemp("port")
    port.save(target)
    return target


@pytest.mark.parametrize("name", ["result.jpg", "maps.npz", "top1_*_heat.png"])
def test_heat_maps_of_another_number_of_crops_get_a_hint_at_the_style(
    folder: Path, one_crop: Path, name: str
) -> None:
    (ten_crops,) = folder.glob(name)
    (note,) = (note for note in compare_files(one_crop, ten_crops).notes if "--style" in note)
    held = "unknown" if name.startswith("top1") else 10
    assert note.startswith(f"crops of the picture: ours 1, theirs {held}; compare like with like")
    # Where they differ for another reason, such as JPEG's compression, there is no such hint.
    outcome = compare_files(folder, folder / "result.jpg")
    assert not outcome.differences["heat_maps"].within
    assert not any("--style" in note for note in outcome.notes)


def test_the_table_says_how_many_levels_it_counts(
    folder: Path, tmp_path: Path, capsys: Any
) -> None:
    files = (folder, folder / "result.jpg", "-o", tmp_path)
    shares = {}
    for levels in (1, 12, 255):
        run("compare", *files, "--levels", levels)
        title, *rows = capsys.readouterr().out.splitlines()[2:5]
        assert title.endswith(f"within {levels} level{'s' * (levels > 1)}")
        assert rows[0].startswith("frame")
        shares[levels] = float(rows[0].split("%")[0].split()[-1])
        report = json.loads((tmp_path / "comparison.json").read_text())
        assert report["quantities"][0]["within_levels"] == pytest.approx(shares[levels] / 100, 1e-4)
        assert report["tolerance"]["levels"] == levels
    assert shares[1] < shares[12] <= shares[255] == 100


def test_a_matlab_file_of_maps_lines_up(result: Explanation, folder: Path, tmp_path: Path) -> None:
    write_mat(tmp_path / "theirs.mat", matlab_variables(result))
    outcome = compare_files(folder, tmp_path / "theirs.mat")
    entries = outcome.differences
    assert outcome.within
    assert set(entries) == {"maps", "merged", "heat_maps", "heat_pictures", "probabilities"}
    assert entries["maps"].shape == (5, 10, 14, 14)
    assert entries["merged"].shape == (5, 256, 256)
    assert max(entry.max_abs for entry in outcome.differences.values()) < 1e-6


def test_classes_line_up_by_index_whatever_their_rank(
    result: Explanation, folder: Path, tmp_path: Path
) -> None:
    order = [1, 0, 2, 4, 3]
    variables = matlab_variables(replace(result, indices=result.indices[order]))
    variables["cams"] = variables["cams"][:, :, order]
    variables["merged"] = variables["merged"][:, :, order]
    del variables["heat_top1"]
    write_mat(tmp_path / "theirs.mat", variables)
    outcome = compare_files(folder, tmp_path / "theirs.mat")
    assert all(entry.within for entry in outcome.differences.values())
    assert outcome.ranking is not None
    assert (outcome.ranking.common, outcome.ranking.top1) == (5, False)
    assert not outcome.within


def test_the_workspace_of_the_original_demo_lines_up(
    result: Explanation, folder: Path, weights: np.ndarray, tmp_path: Path
) -> None:
    order = np.argsort(-result.scores)
    write_mat(
        tmp_path / "workspace.mat",
        {
            "topNum": 5,
            "img": result.frame[:, :, ::-1],
            "activation_lastconv": result.output.activations.transpose(3, 2, 1, 0),
            "scores": result.output.scores.T,
            "scoresMean": result.scores,
            "IDX_category": order + 1.0,
            "value_category": result.scores[order],
            "weights_LR": weights.T,
            "categories": list(NAMES),
            "curCAMmapAll": result.maps.transpose(3, 2, 1, 0),
            "curCAMmap_image": result.merged[4],
            "curHeatMap": result.overlay(4)[:, :, ::-1] / 255,
            "curResult": result.montage()[:, :, ::-1] / 255,
        },
    )
    save_network(tmp_path / "net.mat", weights, NAMES)
    outcome = compare_files(folder, tmp_path / "workspace.mat")
    entries = outcome.differences
    assert outcome.within, outcome.differences
    assert entries["overlays"].shape == (5, 256, 256, 3)
    assert entries["overlays"].max_abs == 0
    merged = next(quantity for quantity in outcome.quantities if quantity.name == "merged")
    assert merged.classes == (int(result.indices[4]),)
    assert found(tmp_path / "net.mat", tmp_path / "workspace.mat")["class_weights"].max_abs == 0


@pytest.mark.parametrize("name", ["montage.png", "result.jpg"])
def test_a_composite_figure_gives_its_heat_maps_back(
    folder: Path, tmp_path: Path, name: str
) -> None:
    outcome = compare_files(folder, folder / name)
    entries = outcome.differences
    assert set(entries) == {"frame", "overlays", "heat_maps"}
    assert entries["heat_maps"].shape == (5, 256, 256)
    assert entries["heat_maps"].correlation > 0.995
    # JPEG keeps a quarter of the chroma samples only.
    assert outcome.within == name.endswith("png")
    assert any("lined up by rank" in note for note in outcome.notes)
    assert any("JPEG" in note for note in outcome.notes) == name.endswith("jpg")


def test_a_heat_maps_picture_is_compared_with_the_class_of_its_rank(
    result: Explanation, folder: Path, tmp_path: Path
) -> None:
    for name in ("top3_x_heat.png", "heat.png"):
        write_picture(tmp_path / name, result.heat_picture(2))
    named = found(folder, tmp_path / "top3_x_heat.png")
    assert named["heat_pictures"].max_abs == 0
    # A colour stands for its level's whole width.
    assert named["heat_maps"].max_abs <= 0.51 / 255
    assert found(folder, tmp_path / "heat.png", rank=2)["heat_pictures"].max_abs == 0
    assert found(folder, tmp_path / "heat.png")["heat_pictures"].max_abs > 100
    grey = np.round(result.heat_maps[0] * 255).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "grey.png"), grey)
    assert found(folder, tmp_path / "grey.png")["heat_maps"].max_abs <= 0.51 / 255
    write_picture(tmp_path / "over.png", result.overlay(1))
    assert found(folder, tmp_path / "over.png", rank=1)["overlays"].max_abs == 0


def test_a_heat_map_of_the_ports_colours_is_read_too(result: Explanation, tmp_path: Path) -> None:
    write_picture(tmp_path / "heat.png", py_map2jpg(result.heat_maps[0], None, "jet"))
    outcome = compare_files(tmp_path / "heat.png", tmp_path / "heat.png")
    levels = outcome.ours.by_rank["heat_maps"][0]
    np.testing.assert_allclose(levels, result.heat_maps[0], atol=0.51 / 255)


def test_features_are_compared_with_maps_through_the_class_layer(
    result: Explanation, weights: np.ndarray, tmp_path: Path
) -> None:
    save_features(tmp_path / "img.mat", result.output.activations, result.output.scores)
    save_network(tmp_path / "net.mat", weights, NAMES)
    write_mat(tmp_path / "theirs.mat", matlab_variables(result))
    files = (tmp_path / "img.mat", tmp_path / "theirs.mat")
    assert set(found(*files)) == {"probabilities"}
    assert run("compare", *files, "--net", tmp_path / "net.mat", "-o", tmp_path / "out") == 0
    entries = found(*files, network=tmp_path / "net.mat")
    assert {"maps", "merged", "heat_maps"} <= set(entries)
    assert all(entry.within for entry in entries.values())


def test_another_order_of_crops_is_found(result: Explanation, folder: Path, tmp_path: Path) -> None:
    # Rows in the outer loop, as an older mergeTenCrop.m has it.
    order = [0, 2, 1, 3, 4, 5, 7, 6, 8, 9]
    forward = result.output
    save_features(tmp_path / "img.mat", forward.activations[order], forward.scores[order])
    outcome = compare_files(folder, tmp_path / "img.mat")
    assert outcome.within
    (note,) = outcome.notes
    assert note.startswith("activations, crop_scores: crops of theirs lined up")
    assert note.endswith("1 3 2 4 5 6 8 7 9 10")


def test_arrays_in_caffes_order_are_recognised(result: Explanation, tmp_path: Path) -> None:
    forward = result.output
    save_features(tmp_path / "matlab.mat", forward.activations, forward.scores)
    variables = {"activation_lastconv": forward.activations, "scores": forward.scores}
    write_mat(tmp_path / "caffe.mat", variables)
    outcome = compare_files(tmp_path / "matlab.mat", tmp_path / "caffe.mat")
    assert outcome.within
    assert sum("axes in Caffe's order" in note for note in outcome.notes) == 2


def test_swapped_rows_and_columns_are_pointed_out(
    result: Explanation, folder: Path, tmp_path: Path
) -> None:
    variables = matlab_variables(result)
    write_mat(tmp_path / "theirs.mat", {"cams": variables["cams"].swapaxes(0, 1)})
    outcome = compare_files(folder, tmp_path / "theirs.mat")
    assert not outcome.within
    assert any("fits better with rows and columns" in note for note in outcome.notes)


def test_indices_from_the_other_base_are_pointed_out(result: Explanation, tmp_path: Path) -> None:
    for name, base in (("ours.mat", 2), ("theirs.mat", 1)):
        write_mat(tmp_path / name, {"idx": result.indices + base})
    outcome = compare_files(tmp_path / "ours.mat", tmp_path / "theirs.mat")
    assert not outcome.within
    assert any("off by one" in note for note in outcome.notes)


def test_the_order_of_the_first_crop_alone_is_pointed_out(
    result: Explanation, folder: Path, tmp_path: Path
) -> None:
    # 1 x 1 x classes x crops, which MATLAB's sort(mean(scores,2)) sorts crop by crop.
    order = np.argsort(-result.output.scores, axis=1) + 1
    write_mat(tmp_path / "theirs.mat", {"IDX_category": order.T[np.newaxis, np.newaxis]})
    outcome = compare_files(folder, tmp_path / "theirs.mat")
    assert not outcome.within
    assert any("first crop alone" in note for note in outcome.notes)


@pytest.fixture(scope="module")
def many_kinds(
    result: Explanation, folder: Path, one_crop: Path, weights: np.ndarray, tmp_path_factory: Any
) -> Path:
    """Return a folder with files that differ in what they hold, and in what it is."""
    target = tmp_path_factory.mktemp("kinds")
    random, forward = np.random.default_rng(5), result.output
    variables = matlab_variables(result)
    noisy = {
        name: value * (1 + 0.1 * random.random(value.shape)) for name, value in variables.items()
    }
    others = np.array([*result.indices[[3, 1]], *np.setdiff1d(np.arange(CLASSES), result.indices)])
    files: dict[str, dict[str, Any]] = {
        "maps": variables,
        "noisy": noisy | {"idx": variables["idx"]},
        "other_classes": {"cams": 2 * variables["cams"], "idx": others[:5] + 1},
        "ranks_only": {"cams": noisy["cams"][:, :, :3], "merged": noisy["merged"]},
        "cams_only": {"cams": noisy["cams"], "idx": variables["idx"]},
        "zeros": {"merged": 0 * variables["merged"], "idx": variables["idx"]},
        "swapped": {"cams": variables["cams"].swapaxes(0, 1), "idx": variables["idx"]},
        "two_sizes": {"cams": variables["cams"], "curCAMmapAll": variables["cams"][..., :1, :1]},
    }
    for name, held in files.items():
        write_mat(target / f"{name}.mat", held)
    order = [0, 2, 1, 3, 4, 5, 7, 6, 8, 9]
    save_features(target / "features.mat", forward.activations[order], forward.scores[order])
    scores = random.dirichlet(np.ones(CLASSES), 10)
    save_features(target / "others.mat", 0.5 * forward.activations, scores)
    save_network(target / "net.mat", weights, NAMES)
    shutil.copytree(folder, target / "ten")
    shutil.copytree(one_crop, target / "one")
    for name in ("result.jpg", "montage.png"):
        shutil.copy(folder / name, target)
    write_picture(target / "top2_heat.png", result.heat_picture(2))
    return target


PAIRS = (
    *("maps.mat noisy.mat", "maps.mat other_classes.mat", "maps.mat zeros.mat"),
    *("maps.mat swapped.mat", "noisy.mat ranks_only.mat", "cams_only.mat two_sizes.mat"),
    *("ten cams_only.mat", "ten noisy.mat", "ten one", "ten others.mat", "ten result.jpg"),
    *("one result.jpg", "one/maps.npz features.mat", "one top2_heat.png", "ten/result.json one"),
    *("features.mat ten", "features.mat others.mat", "features.mat maps.mat"),
    *("montage.png result.jpg", "others.mat other_classes.mat"),
)


@pytest.mark.parametrize("names", PAIRS)
def test_both_orders_of_the_two_sides_report_the_same(many_kinds: Path, names: str) -> None:
    files = [many_kinds / name for name in names.split()]
    report, mirrored = (
        compare_files(*sides, network=many_kinds / "net.mat").to_dict()
        for sides in (files, files[::-1])
    )
    assert report["within"] == mirrored["within"]
    assert len(report["notes"]) == len(mirrored["notes"])
    ranking, other = report["ranking"] or {}, mirrored["ranking"] or {}
    assert ranking.pop("ours", None) == other.pop("theirs", None)
    assert ranking.pop("theirs", None) == other.pop("ours", None)
    assert ranking == other
    assert report["quantities"]
    for quantity, again in zip(report["quantities"], mirrored["quantities"], strict=True):
        # A sum's last digits depend on its order, which is that of the crops of one side.
        mean, correlation = (pytest.approx(again.pop(key)) for key in ("mean_abs", "correlation"))
        assert quantity.pop("mean_abs") == mean
        assert quantity.pop("correlation") == correlation
        assert quantity == again


def test_what_holds_arrays_can_be_held_against_its_like(folder: Path) -> None:
    outcome, again = (compare_files(folder, folder) for _ in range(2))
    for one, other in ((outcome, again), (outcome.ours, again.ours)):
        assert one == one
        assert one != other
    assert len({*outcome.quantities, *again.quantities}) == 2 * len(outcome.quantities)


def test_files_that_cannot_be_lined_up_say_why(
    result: Explanation,
    folder: Path,
    weights: np.ndarray,
    coffee: Path,
    tmp_path: Path,
    capsys: Any,
) -> None:
    save_network(tmp_path / "net.mat", weights, NAMES)
    write_mat(tmp_path / "other.mat", {"x": 1.0, "struct_of_mine": [1.0, 2.0]})
    write_mat(tmp_path / "idx.mat", {"idx": [1.5, 2.0], "topNum": "five"})
    write_mat(tmp_path / "text.mat", {"val": "abc"})
    write_mat(tmp_path / "flat.mat", {"cams": np.ones((3, 4))})
    cv2.imwrite(str(tmp_path / "large.png"), np.full((300, 400), 7, np.uint8))
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "result.json").write_text("{}")
    shutil.copytree(folder, tmp_path / "many" / "a")
    shutil.copytree(folder, tmp_path / "many" / "b")
    ours = folder / "maps.npz"
    reasons = {
        "none.mat": "there is no such file",
        "net.mat": "holds class_weights",
        "other.mat": "it has x, struct_of_mine; known are activation_lastconv",
        "idx.mat": "idx of idx.mat: it does not hold the indices of classes; passed over",
        "text.mat": "val of text.mat: it does not hold real numbers; passed over",
        "flat.mat": "cams of flat.mat: it is 3 x 4, not width x height x classes x crops",
        "large.png": "heat_maps: of different sizes, 256 x 256, 300 x 400; not compared",
        "empty": "has no result.json",
        "broken": "not the summary of a result",
        "many": "name one of those in it: a, b",
    }
    for name, reason in reasons.items():
        assert run("compare", ours, tmp_path / name, "-o", tmp_path / "out") == 2, name
        assert reason in capsys.readouterr().err
    assert run("compare", ours, coffee, "-o", tmp_path / "out") == 2
    assert "none of the pictures that can be compared" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_with_one_result_in_it_and_its_single_files_will_do(
    folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "run" / "picture")
    assert compare_files(tmp_path / "run", folder).within
    assert found(folder / "maps.npz", folder)["maps"].max_abs == 0
    assert found(folder / "result.json", folder)["probabilities"].max_abs < 1e-7


def test_the_tolerance_decides(result: Explanation, folder: Path, tmp_path: Path) -> None:
    merged = result.merged.transpose(1, 2, 0) * np.float32(1.0005)
    write_mat(tmp_path / "theirs.mat", {"merged": merged, "idx": result.indices + 1})
    files = (folder, tmp_path / "theirs.mat", "-o", tmp_path / "out")
    assert run("compare", *files) == 0
    assert run("compare", *files, "--tolerance", 1e-4) == 1
    heat = result.heat_picture(0)
    heat[0, 0] = 255 - heat[0, 0]
    write_picture(tmp_path / "top1_heat.png", heat)
    files = (folder, tmp_path / "top1_heat.png", "-o", tmp_path / "out")
    assert run("compare", *files) == 0
    assert run("compare", *files, "--share", 1) == 1


def test_the_report_is_plain_json(folder: Path, tmp_path: Path) -> None:
    write_mat(tmp_path / "theirs.mat", {"val": [np.nan, 0.0, 0.0, 0.0, 0.0]})
    report = compare_files(folder, tmp_path / "theirs.mat").to_dict()
    assert json.loads(json.dumps(report, allow_nan=False))["quantities"][0]["relative"] is None


@pytest.mark.parametrize("quantity", ["maps", "merged", "heat_pictures", "overlays", "frame"])
def test_every_kind_of_quantity_can_be_drawn_alone(
    result: Explanation, folder: Path, tmp_path: Path, quantity: str
) -> None:
    write_mat(tmp_path / "all.mat", matlab_variables(result))
    theirs = tmp_path / "all.mat" if quantity == "merged" else folder
    outcome = compare_files(folder, theirs)
    outcome.quantities = [one for one in outcome.quantities if one.name == quantity]
    rows = 1 if quantity == "frame" else 5
    assert comparison_picture(outcome).shape == (44 + rows * 308, 784, 3)


def test_activations_scores_and_class_layers_can_be_drawn(
    folder: Path, weights: np.ndarray, tmp_path: Path
) -> None:
    save_network(tmp_path / "net.mat", weights, NAMES)
    for files in ((folder / "features.mat",) * 2, (tmp_path / "net.mat",) * 2):
        picture = comparison_picture(compare_files(*files))
        assert picture.shape[1:] == (784, 3)
        assert len(picture) > 150
