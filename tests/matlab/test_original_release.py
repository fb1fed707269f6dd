from __future__ import annotations

import numpy as np
import pytest
from matlab_files import write_version73
from scipy.io import loadmat, savemat

from cam.errors import CamError
from cam.matlab import (
    load_categories,
    load_features,
    load_network,
    save_features,
    save_network,
    write_mat,
)


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


@pytest.mark.parametrize("shape", [(3, 0), (0, 3), (0, 0), (3, 0, 2)])
def test_categories_of_no_columns_or_rows_are_explained(tmp_path, shape):
    write_mat(tmp_path / "a.mat", {"categories": np.empty(shape, np.object_)})
    with pytest.raises(CamError, match="categories is not a cell of text"):
        load_categories(tmp_path / "a.mat")


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
