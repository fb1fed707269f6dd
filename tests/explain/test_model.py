from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import scipy.io
from numpy.typing import NDArray
from PIL import Image

import cam
from cam.engines import NetworkOutput
from cam.explain.explanation import Explanation
from cam.explain.model import CamModel
from cam.explain.styles import NetworkInput, PycaffeStyle


@pytest.fixture(scope="module")
def model() -> CamModel:
    return cam.load("efficientnet-lite0", engine="openvino")


@pytest.fixture(scope="module")
def result(model: CamModel, coffee: Path) -> Explanation:
    return model.explain(coffee)


@pytest.mark.parametrize(
    ("picture", "name", "probability"),
    [
        # PyTorch's answers for the center crop of the 256×256 resize.
        ("img2.jpg", "n03877845 palace", 0.76),
        ("test.jpg", "n03792782 mountain bike", 0.745),
        ("sample_6.jpg", "n01735189 garter snake", 0.53),
    ],
)
def test_real_pictures_get_their_class(
    model: CamModel, shared_data: Path, picture: str, name: str, probability: float
) -> None:
    found = model.explain(shared_data / picture, top=1)
    assert found.names[0].startswith(name)
    assert found.probabilities[0] == pytest.approx(probability, abs=0.02)


def test_the_demos_photograph_is_an_espresso_and_its_map_lies_on_the_cup(
    result: Explanation,
) -> None:
    assert result.names[0] == "n07920052 espresso"
    peak = np.unravel_index(result.heat_maps[0].argmax(), result.heat_maps[0].shape)
    # The cup lies in these rows and columns of the 256×256 picture.
    assert 10 < peak[0] < 130
    assert 75 < peak[1] < 180


def test_shapes_and_types_are_as_documented(result: Explanation, model: CamModel) -> None:
    assert result.frame.shape == (256, 256, 3)
    assert result.frame.dtype == np.uint8
    assert result.scores.shape == (1000,)
    assert result.indices.shape == (5,)
    assert result.maps.shape == (1, 5, 7, 7)
    assert result.merged.shape == result.heat_maps.shape == (5, 256, 256)
    assert result.heat_maps.dtype == np.float64
    assert result.output.activations.shape == (1, model.class_weights.shape[1], 7, 7)
    assert result.overlay(0).shape == result.heat_picture(0).shape == (256, 256, 3)
    assert result.montage().shape == (256, 6 * 256 + 5 * 8, 3)


def test_the_top_classes_come_by_descending_probability(result: Explanation) -> None:
    assert (np.diff(result.probabilities) <= 0).all()
    np.testing.assert_array_equal(np.sort(result.scores)[::-1][:5], result.probabilities)
    assert result.scores.sum() == pytest.approx(1, abs=1e-5)


def test_maps_add_up_to_the_class_score(result: Explanation, model: CamModel) -> None:
    # Section 2 of the paper: the mean of a class's map is its score without the bias, so that the
    # differences of log probabilities are those of the means but for the biases.
    weights = cam_weights_bias()
    means = result.maps[0].astype(np.float64).mean(axis=(1, 2)) + weights[result.indices]
    log_scores = np.log(result.scores[result.indices].astype(np.float64))
    np.testing.assert_allclose(means - means[0], log_scores - log_scores[0], atol=1e-4)


def cam_weights_bias() -> np.ndarray:
    from cam import zoo
    from cam.caffe.caffemodel import read_caffemodel

    info = zoo.get(zoo.EMBEDDED)
    return np.asarray(read_caffemodel(zoo.find_weights(info)).blobs[info.class_layer][1])


def test_a_path_an_array_and_a_pillow_image_give_the_same(
    model: CamModel, result: Explanation, coffee: Path
) -> None:
    for source in (str(coffee), cv2.imread(str(coffee)), Image.open(coffee)):
        again = model.explain(source)
        np.testing.assert_array_equal(again.frame, result.frame)
        np.testing.assert_array_equal(again.maps, result.maps)


def test_many_pictures_give_what_each_gives_alone(model: CamModel, coffee: Path) -> None:
    picture = cv2.imread(str(coffee))
    pictures = [picture, picture[:, ::-1].copy(), picture[::-1].copy()]
    for style in ("pycaffe", "matlab"):
        many = list(model.explain_many(pictures, style=style, batch_size=2))
        assert len(many) == len(pictures)
        for one, alone in zip(many, (model.explain(p, style=style) for p in pictures), strict=True):
            np.testing.assert_array_equal(one.indices, alone.indices)
            # Another batch size may take other kernels, which round differently.
            np.testing.assert_allclose(one.maps, alone.maps, atol=1e-4 * np.abs(alone.maps).max())


def test_explain_many_reads_pictures_as_they_are_needed(model: CamModel, coffee: Path) -> None:
    def pictures() -> object:
        yield coffee
        raise AssertionError("the second picture was read too early")

    first = next(iter(model.explain_many(pictures(), batch_size=1)))  # type: ignore[arg-type]
    assert first.names[0] == "n07920052 espresso"


def test_the_crops_placement_moves_the_map_onto_the_crop(model: CamModel, coffee: Path) -> None:
    stretched = model.explain(coffee, top=1)
    placed = model.explain(coffee, top=1, placement="crop")
    np.testing.assert_array_equal(placed.maps, stretched.maps)
    inside = placed.heat_maps[0, 16:240, 16:240]
    expected = cam.im2double(cv2.resize(placed.maps[0, 0].astype(np.float64), (224, 224)))
    np.testing.assert_allclose(inside, expected, atol=1e-12)
    outside = placed.heat_maps[0].copy()
    outside[16:240, 16:240] = 0
    np.testing.assert_allclose(outside, 0, atol=1e-12)


def test_ten_crops_give_ten_maps_and_mean_scores(model: CamModel, coffee: Path) -> None:
    result = model.explain(coffee, style="matlab")
    assert result.maps.shape == (10, 5, 7, 7)
    np.testing.assert_allclose(result.scores, result.output.scores.mean(axis=0), rtol=1e-6)
    assert result.names[0] == "n07920052 espresso"


def test_npz_holds_plain_arrays(result: Explanation, tmp_path: Path) -> None:
    result.to_npz(tmp_path / "maps.npz")
    with np.load(tmp_path / "maps.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["maps"], result.maps)
        np.testing.assert_array_equal(arrays["indices"], result.indices)
        assert tuple(arrays["names"]) == result.names
        np.testing.assert_allclose(arrays["heat_maps"], result.heat_maps, atol=1e-7)


def test_mat_has_the_originals_variables_and_orders(result: Explanation, tmp_path: Path) -> None:
    result.to_mat(tmp_path / "features.mat")
    variables = scipy.io.loadmat(tmp_path / "features.mat")
    activations = result.output.activations
    stored = variables["activation_lastconv"]
    np.testing.assert_array_equal(stored.reshape(7, 7, 1280), activations[0].transpose(2, 1, 0))
    np.testing.assert_array_equal(variables["scores"].ravel(), result.scores)


def test_save_writes_every_picture_and_a_summary(result: Explanation, tmp_path: Path) -> None:
    written = result.save(tmp_path / "new" / "folder")
    assert sorted(written) == sorted((tmp_path / "new" / "folder").iterdir())
    names = {path.name for path in written}
    assert {"montage.png", "maps.npz", "result.json", "top1_n07920052_espresso_heat.png"} <= names
    np.testing.assert_array_equal(
        cv2.imread(str(tmp_path / "new/folder/top1_n07920052_espresso_overlay.png")),
        result.overlay(0),
    )
    summary = json.loads((tmp_path / "new/folder/result.json").read_text())
    assert summary["top"][0]["index"] == 967
    assert summary["index_base"] == 0
    assert len(summary["record"]["caffemodel_sha256"]) == 64
    assert summary["record"]["style"] == "pycaffe"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"top": 0}, "top 0 of 1000"),
        ({"top": 1001}, "top 1001 of 1000"),
        ({"style": "matlap"}, "nearest: matlab"),
        ({"placement": "center"}, "no placement"),
        ({"style": "matlab", "placement": "crop"}, "placement is for pycaffe"),
    ],
)
def test_arguments_out_of_range_are_refused(
    model: CamModel, coffee: Path, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(cam.CamError, match=message):
        model.explain(coffee, **arguments)  # type: ignore[arg-type]


def test_a_second_result_leaves_nothing_of_the_first(
    model: CamModel, coffee: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("not a result")
    ten_crops = model.explain(coffee, style="matlab")
    ten_crops.save(tmp_path)
    ten_crops.to_mat(tmp_path / "features.mat")
    written = model.explain(coffee, top=1).save(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([*written, tmp_path / "notes.txt"])


def test_scores_that_are_not_finite_are_refused(model: CamModel, result: Explanation) -> None:
    scores = np.full_like(result.output.scores, np.nan)
    output = NetworkOutput(result.output.activations, scores)
    picture = NetworkInput(result.frame, np.zeros((1, 3, 224, 224), np.float32), (256, 256))
    with pytest.raises(cam.CamError, match="not finite"):
        model.explain_output(picture, output, result.style)


def test_a_style_may_be_an_object_of_the_callers_own(model: CamModel, coffee: Path) -> None:
    class Upside(PycaffeStyle):
        """Turns every picture upside down first."""

        def prepare(self, picture, *arguments):  # type: ignore[no-untyped-def]
            return super().prepare(picture[::-1].copy(), *arguments)

    own = model.explain(coffee, style=Upside())
    turned = model.explain(cv2.imread(str(coffee))[::-1].copy())
    np.testing.assert_array_equal(own.maps, turned.maps)


def test_many_threads_get_what_one_gets(model: CamModel, coffee: Path) -> None:
    picture = cv2.imread(str(coffee))
    pictures = [np.roll(picture, 40 * shift, axis=1) for shift in range(8)]
    alone = [model.explain(one, top=1) for one in pictures]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda i: model.explain(pictures[i % 8], top=1), range(64)))
    for i, result in enumerate(together):
        np.testing.assert_array_equal(result.scores, alone[i % 8].scores)
        np.testing.assert_array_equal(result.maps, alone[i % 8].maps)


@pytest.mark.parametrize("style", ["pycaffe", "matlab"])
def test_a_saved_result_loads_again(
    model: CamModel, coffee: Path, style: str, tmp_path: Path
) -> None:
    result = model.explain(coffee, style=style)
    result.save(tmp_path)
    loaded = Explanation.load(tmp_path)
    for k in range(5):
        np.testing.assert_array_equal(loaded.overlay(k), result.overlay(k))
    assert loaded.to_dict() == json.loads(json.dumps(result.to_dict()))
    assert loaded.boxes(0) == result.boxes(0)
    assert loaded.of_class(int(result.indices[3])).names == result.names[3:4]
    with pytest.raises(cam.CamError, match="explain the picture again"):
        loaded.of_class(0)
    with pytest.raises(cam.CamError, match="activations are not here"):
        loaded.to_mat(tmp_path / "features.mat")


@pytest.mark.parametrize("damage", ["missing", "cut", "other"])
def test_what_is_no_whole_result_is_refused(
    result: Explanation, damage: str, tmp_path: Path
) -> None:
    result.save(tmp_path)
    maps = tmp_path / "maps.npz"
    if damage == "missing":
        maps.unlink()
    elif damage == "cut":
        maps.write_bytes(maps.read_bytes()[:-500])
    else:
        np.savez(maps, indices=np.arange(3))
    with pytest.raises(cam.CamError, match=r"maps\.npz|not a whole result"):
        Explanation.load(tmp_path)


def test_explanations_compare_and_hash_as_objects(result: Explanation) -> None:
    assert result == result
    assert len({result, result}) == 1


def test_one_picture_is_not_many(model: CamModel, coffee: Path) -> None:
    with pytest.raises(cam.CamError, match="images is several values"):
        next(model.explain_many(str(coffee)))


def test_no_threads_are_refused() -> None:
    with pytest.raises(cam.CamError, match="at least 1"):
        cam.load(threads=0)


def test_unknown_models_and_engines_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(cam.CamError, match="nearest: googlenet"):
        cam.load("googlnet")
    with pytest.raises(cam.CamError, match="nearest: openvino"):
        cam.load(engine="openvin")


def test_missing_weights_say_the_file_the_source_and_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CAM_MODELS", str(tmp_path))
    monkeypatch.setattr("cam.zoo.weights.weights_folders", lambda: [tmp_path])
    with pytest.raises(cam.CamError) as error:
        cam.load("googlenet")
    message = str(error.value)
    assert "imagenet_googlenetCAM_train_iter_120000.caffemodel" in message
    assert "http://cnnlocalization.csail.mit.edu/demoCAM/models/" in message
    assert "cam models fetch googlenet" in message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("indices", np.arange(995, 1000) + 3),
        ("indices", np.arange(5) - 1),
        ("indices", np.arange(5.0)),
        ("names", np.array(["one"])),
        ("names", np.arange(5)),
        ("maps", np.zeros((1, 4, 7, 7), np.float32)),
        ("maps", np.zeros((1, 5, 7, 0), np.float32)),
        ("maps", np.zeros((1, 5, 7, 7), complex)),
        ("scores", np.zeros((1, 1000), np.float32)),
        ("frame", np.zeros((256, 256, 4), np.uint8)),
        ("frame", np.zeros((256, 256, 3), np.uint16)),
        ("crop_size", np.array(10**9)),
        ("crop_size", np.array([224])),
        ("picture_size", np.array([10, 0])),
        ("picture_size", np.array([10**5, 10**5])),
        ("picture_size", np.array([10, 10, 10])),
    ],
)
def test_arrays_that_do_not_fit_each_other_are_no_result(
    result: Explanation, name: str, value: NDArray[Any], tmp_path: Path
) -> None:
    result.save(tmp_path)
    with np.load(tmp_path / "maps.npz") as arrays:
        changed = {**arrays, name: value}
    np.savez(tmp_path / "maps.npz", **changed)
    with pytest.raises(cam.CamError, match=rf"maps\.npz: (.*result: {name}|10+ x 10)"):
        Explanation.load(tmp_path)


@pytest.mark.parametrize("record", [None, [], {"style": 1}, {"style": "pycaffe", "placement": []}])
def test_a_record_of_no_style_is_no_result(
    result: Explanation, record: Any, tmp_path: Path
) -> None:
    result.save(tmp_path)
    summary = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    (tmp_path / "result.json").write_text(json.dumps({**summary, "record": record}))
    with pytest.raises(cam.CamError):
        Explanation.load(tmp_path)
