from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cam.errors import CamError
from cam.maps.activation_maps import (
    enlarge_maps,
    merge_ten_crop,
    py_returnCAMmap,
    return_cam_map,
    ten_crop_positions,
)
from cam.maps.colors import matlab_heat_picture


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


@pytest.mark.parametrize(("crop", "last", "center"), [(224, 32, 16), (227, 29, 15), (256, 0, 0)])
def test_ten_crop_positions_are_those_of_caffe(crop, last, center):
    # classification_demo.m: i = [0 256 - crop] + 1 over columns, j the same over rows, the center
    # at floor((256 - crop + 1) / 2) + 1, counted from one.
    positions = ten_crop_positions(crop)
    corners = [(0, 0), (last, 0), (0, last), (last, last), (center, center)]
    assert [(row, column) for row, column, _ in positions] == corners * 2
    assert [mirrored for _, _, mirrored in positions] == [False] * 5 + [True] * 5


def test_a_crop_larger_than_the_frame_is_refused():
    with pytest.raises(CamError, match="300 pixels"):
        ten_crop_positions(300)


@settings(deadline=None, max_examples=25)
@given(crop=st.integers(1, 12), frame=st.integers(12, 15), seed=st.integers(0, 99))
def test_merging_the_crops_of_a_picture_gives_the_picture_times_its_cover(crop, frame, seed):
    picture = np.random.default_rng(seed).integers(-9, 9, (frame, frame)).astype(np.float32)
    crops, cover = [], np.zeros((frame, frame))
    for row, column, mirrored in ten_crop_positions(crop, frame):
        cut = picture[row : row + crop, column : column + crop]
        crops.append(cut[:, ::-1] if mirrored else cut)
        cover[row : row + crop, column : column + crop] += 1
    merged = merge_ten_crop(np.array(crops)[:, np.newaxis], crop, frame)
    assert merged.dtype == np.float32
    np.testing.assert_array_equal(merged[0], 3 * np.abs(picture) * cover)


def test_maps_that_are_not_ten_crops_are_refused():
    with pytest.raises(CamError, match=r"\(10, classes, 224, 224\)"):
        merge_ten_crop(np.zeros((9, 5, 224, 224)), 224)
    with pytest.raises(CamError, match=r"\(10, classes, 224, 224\)"):
        merge_ten_crop(np.zeros((10, 5, 14, 14)), 224)


def test_a_heat_picture_uses_the_whole_colour_map_and_the_range_given():
    ramp = np.linspace(0, 255, 256)[np.newaxis]
    picture = matlab_heat_picture(ramp)
    assert picture.shape == (1, 256, 3)
    np.testing.assert_array_equal(picture[0, [0, -1]], [[0, 0, 0.515625], [0.5, 0, 0]])
    np.testing.assert_array_equal(matlab_heat_picture(ramp, (0, 510))[0, -1], picture[0, 128])


def test_a_heat_picture_shows_what_is_not_a_number_as_the_lowest_level():
    heat_map = np.array([[np.nan, 1.0, 2.0]])
    picture = matlab_heat_picture(heat_map)
    np.testing.assert_array_equal(picture[0, 0], picture[0, 1])
    assert np.all(matlab_heat_picture(np.full((2, 2), np.nan)) == picture[0, 0])


def test_a_heat_picture_needs_rows_and_columns():
    with pytest.raises(CamError, match="rows and columns"):
        matlab_heat_picture(np.zeros((2, 3, 4)))
