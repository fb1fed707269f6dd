from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cam.errors import CamError, InvalidValueError
from cam.maps.activation_maps import enlarge_maps, py_returnCAMmap, return_cam_map
from cam.maps.colors import matlab_heat_picture
from cam.maps.ten_crops import merge_ten_crop
from cam.matlab import imresize


@pytest.fixture(scope="module")
def octave(shared_data):
    """Return what the original's functions gave for img1 under GNU Octave."""
    from scipy.io import loadmat

    return loadmat(shared_data / "octave_img1.mat")


@pytest.fixture(scope="module")
def img1(shared_data):
    """Return activations (10, K, h, w), scores (10, classes) and class weights (classes, K)."""
    from scipy.io import loadmat

    features = loadmat(shared_data / "data_img1.mat")
    network = loadmat(shared_data / "data_net.mat")
    activations = features["activation_lastconv"].transpose(3, 2, 1, 0)
    return activations, features["scores"].reshape(1000, 10).T, network["weights_LR"].T


@pytest.fixture(scope="module")
def merged_img1(img1, octave):
    activations, _, class_weights = img1
    maps = return_cam_map(activations, class_weights[octave["idx"].ravel() - 1])
    return merge_ten_crop(enlarge_maps(maps, 224), 224)


def port(activation, weights):
    """Do what the pycaffe port does for one image, class by class."""
    channels, rows, columns = activation[0].shape
    vectors = activation[0].reshape(channels, rows * columns)
    out = np.zeros([rows, columns, len(weights)])
    for top, weight in enumerate(weights):
        out[:, :, top] = np.dot(weight.reshape(1, channels), vectors).reshape(rows, columns)
    return out


def random_activations(*shape, dtype=np.float32):
    return np.maximum(np.random.default_rng(0).standard_normal(shape), 0).astype(dtype)


def test_the_five_classes_of_img1_are_those_of_the_original(img1, octave):
    mean_scores = img1[1].T.mean(axis=1)
    best = np.argsort(-mean_scores, kind="stable")[:5]
    np.testing.assert_array_equal(best + 1, octave["idx"].ravel())
    np.testing.assert_allclose(mean_scores[best], octave["val"].ravel(), rtol=1e-6)


def test_the_maps_of_img1_are_those_of_the_original(img1, octave):
    activations, _, class_weights = img1
    maps = return_cam_map(activations, class_weights[octave["idx"].ravel() - 1])
    np.testing.assert_allclose(maps.transpose(3, 2, 1, 0), octave["cams"], rtol=0, atol=1e-4)


def test_the_merged_maps_of_img1_are_those_of_the_original(merged_img1, octave):
    theirs = octave["merged"].transpose(2, 0, 1)
    # Both are sums of ten single-precision numbers; the enlargement is the only other difference.
    np.testing.assert_allclose(merged_img1, theirs, rtol=0, atol=1e-6 * theirs.max())


def test_the_heat_picture_of_img1_is_that_of_the_original(merged_img1, octave):
    difference = np.abs(matlab_heat_picture(merged_img1[0]) - octave["heat_top1"])
    # Where the sixth digit of a map decides between two of the 256 colours, one channel moves by
    # a step of the colour map, 1/64.
    assert difference.max() <= 1 / 64 + 1e-6
    assert np.mean(difference > 1e-6) < 1e-4


@pytest.mark.parametrize(
    ("channels", "rows", "columns", "classes"),
    [(1024, 14, 14, 5), (1024, 11, 11, 5), (1280, 7, 7, 1), (512, 14, 14, 20), (37, 3, 5, 2)],
)
def test_one_image_gives_the_bits_of_the_port(channels, rows, columns, classes):
    activation = random_activations(1, channels, rows, columns)
    weights = np.random.default_rng(1).standard_normal((classes, channels)).astype(np.float32)
    expected = port(activation, weights)
    result = py_returnCAMmap(activation, weights)
    assert result.dtype == np.float64
    np.testing.assert_array_equal(result, expected)
    maps = return_cam_map(activation, weights)
    assert maps.dtype == np.float32
    np.testing.assert_array_equal(maps[0].transpose(1, 2, 0), expected)


def test_weights_cut_out_of_a_larger_array_give_the_same_bits():
    activation = random_activations(1, 64, 5, 4)
    weights = np.random.default_rng(1).standard_normal((64, 10)).astype(np.float32)
    result = py_returnCAMmap(activation, weights.T[::2])
    np.testing.assert_array_equal(result, port(activation, np.ascontiguousarray(weights.T[::2])))


def test_a_batch_gives_the_maps_of_its_images():
    activations = random_activations(3, 16, 4, 6)
    weights = np.random.default_rng(1).standard_normal((5, 16)).astype(np.float32)
    batch = py_returnCAMmap(activations, weights)
    assert batch.shape == (4, 6, 5, 3)
    for image in range(3):
        alone = py_returnCAMmap(activations[image : image + 1], weights)
        np.testing.assert_array_equal(batch[..., image], alone)


def test_maps_are_the_weighted_sum():
    activations = random_activations(2, 16, 4, 6, dtype=np.float64)
    weights = np.random.default_rng(1).standard_normal((5, 16))
    expected = np.einsum("nkhw,tk->nthw", activations, weights)
    np.testing.assert_allclose(return_cam_map(activations, weights), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("activations", "weights", "message"),
    [
        ((16, 4, 4), (5, 16), r"\(N, K, h, w\)"),
        ((1, 16, 4, 4), (16, 5), "16 channels"),
        ((1, 16, 4, 4), (16,), "16 channels"),
    ],
)
def test_shapes_that_do_not_fit_are_named(activations, weights, message):
    for function in (return_cam_map, py_returnCAMmap):
        with pytest.raises(CamError, match=message):
            function(np.zeros(activations, np.float32), np.zeros(weights, np.float32))


NARROW = ["u1", "i1", "u2", "i2", "i4", "?", "f2"]


@pytest.mark.parametrize("kind", NARROW)
def test_narrow_numbers_neither_wrap_nor_overflow(kind):
    numbers = np.random.default_rng(0)
    activations = numbers.integers(0, 120, (1, 700, 3, 4)).astype(kind)
    weights = numbers.integers(-120, 120, (2, 700)).astype(kind)
    exact = np.einsum("nkhw,tk->nthw", activations.astype(float), weights.astype(float))
    maps = return_cam_map(activations, weights)
    assert maps.dtype == (np.float32 if kind == "f2" else np.float64)
    np.testing.assert_array_equal(maps, exact)
    np.testing.assert_array_equal(py_returnCAMmap(activations, weights)[..., 0], exact[0, 0])


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "?", "f2"])
def test_narrow_activations_under_single_weights_give_the_bits_of_the_port(kind):
    activation = np.random.default_rng(0).integers(0, 120, (1, 70, 3, 4)).astype(kind)
    weights = np.random.default_rng(1).standard_normal((2, 70)).astype(np.float32)
    assert return_cam_map(activation, weights).dtype == np.float32
    np.testing.assert_array_equal(py_returnCAMmap(activation, weights), port(activation, weights))


@pytest.mark.parametrize("kind", [complex, object, "U3", "M8[s]"])
def test_maps_of_what_is_no_real_number_are_refused(kind):
    good, bad = np.ones((1, 2, 3, 3)), np.zeros((1, 2, 3, 3), kind)
    for function in (return_cam_map, py_returnCAMmap):
        with pytest.raises(InvalidValueError, match="real numbers"):
            function(bad, np.ones((4, 2)))
        with pytest.raises(InvalidValueError, match="real numbers"):
            function(good, bad[0, :, :2, 0])


@settings(deadline=None)
@given(st.integers(2, 15), st.integers(15, 40), st.integers(0, 99))
def test_enlarged_maps_are_those_of_imresize(size, larger, seed):
    # The plain way: MATLAB's function, map by map.
    maps = np.random.default_rng(seed).standard_normal((2, 3, size, size)).astype(np.float32)
    expected = [[imresize(one, (larger, larger)) for one in of_crop] for of_crop in maps]
    # The order of the additions in double precision may move a rounding to single.
    atol = 2**-23 * np.abs(expected).max()
    np.testing.assert_allclose(enlarge_maps(maps, larger), expected, rtol=0, atol=atol)
