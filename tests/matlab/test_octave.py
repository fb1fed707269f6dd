"""The same steps in GNU Octave, as a second implementation to compare with."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from locations import REPOSITORY
from scipy.io import loadmat, savemat

import cam
from cam.explain.styles import MatlabStyle
from cam.fidelity import compare_files
from cam.maps.activation_maps import return_cam_map
from cam.maps.colors import matlab_heat_picture
from cam.maps.montage import montage
from cam.matlab import (
    imresize,
    jet,
    load_features,
    load_network,
    save_features,
    save_network,
    write_mat,
)
from cam.pictures.reading import write_picture

FUNCTIONS = REPOSITORY / "tests" / "octave"
TOP = 5


@pytest.fixture(scope="module")
def octave():
    """Return a function that calls one of ours in Octave and gives back what it saved."""
    program = shutil.which("octave-cli")
    if program is None:
        pytest.skip("GNU Octave (octave-cli) is not installed")

    def call(name, output, *arguments):
        quoted = ", ".join(f"'{argument}'" for argument in (*arguments, output))
        script = f"pkg load image; addpath ('{FUNCTIONS}'); {name} ({quoted});"
        command = [program, "--quiet", "--no-init-file", "--no-history", "--eval", script]
        result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if "package image is not installed" in result.stderr:
            pytest.skip("Octave's image package (octave-image) is not installed")
        # The exit code is no witness: some builds of Octave 7 fail while they shut down.
        assert Path(output).exists(), result.stderr
        return loadmat(output)

    return call


def ours(network, features, picture, crop):
    """Do the steps of the matlab style on features, without a network."""
    style = MatlabStyle()
    mean_scores = features.scores.mean(axis=0)
    idx = style.class_order(mean_scores)[:TOP]
    cams = return_cam_map(features.activations, network.class_weights[idx])
    merged = style.merge(cams, crop)
    levels = np.stack([style.levels(style.normalize(heat_map)) for heat_map in merged])
    figure = montage([picture, *style.overlays(picture, levels)])
    return idx, mean_scores[idx], cams, merged, figure


def compare(theirs, network, features, picture, crop):
    idx, val, cams, merged, figure = ours(network, features, picture, crop)
    np.testing.assert_array_equal(theirs["idx"].ravel(), idx + 1)
    assert [str(name[0]) for name in theirs["names"].ravel()] == [
        network.categories[index] for index in idx
    ]
    np.testing.assert_allclose(theirs["val"].ravel(), val, rtol=1e-5)
    # Sums over a thousand channels in single precision, in another order.
    largest = np.abs(cams).max()
    np.testing.assert_allclose(theirs["cams"].transpose(3, 2, 1, 0), cams, atol=2e-6 * largest)
    their_merged = theirs["merged"].transpose(2, 0, 1)
    np.testing.assert_allclose(their_merged, merged, atol=2e-6 * merged.max())
    their_figure = np.round(theirs["figure_picture"][:, :, ::-1] * 255)
    assert their_figure.shape == figure.shape
    difference = np.abs(their_figure - figure)
    # Where rounding puts a pixel into the next of the 256 colours, a channel moves by 0.7 * 4
    # levels; everywhere else by half a level at most.
    assert difference.max() <= 3
    assert np.mean(difference > 1) < 1e-4


@pytest.mark.parametrize("crop", [224, 227])
def test_octave_makes_the_same_figure_from_the_files_that_we_write(octave, tmp_path, crop):
    random = np.random.default_rng(crop)
    activations = np.maximum(random.standard_normal((10, 64, 11, 11)), 0).astype(np.float32)
    scores = random.dirichlet(np.ones(20), 10).astype(np.float32)
    weights = random.standard_normal((20, 64)).astype(np.float32)
    picture = random.integers(0, 256, (256, 256, 3), np.uint8)
    save_network(tmp_path / "net.mat", weights, [f"n{index:08d} thing" for index in range(20)])
    save_features(tmp_path / "img.mat", activations, scores)
    write_mat(tmp_path / "in.mat", {"img": picture[:, :, ::-1], "crop": crop, "top": TOP})
    files = [tmp_path / name for name in ("net.mat", "img.mat", "in.mat")]
    theirs = octave("all_steps", tmp_path / "out.mat", *files)
    network, features = load_network(files[0]), load_features(files[1])
    compare(theirs, network, features, picture, crop)


def test_octave_makes_the_same_figure_of_img1(octave, shared_data, tmp_path):
    picture = imresize(cv2.imread(str(shared_data / "img1.jpg")), (256, 256))
    write_mat(tmp_path / "in.mat", {"img": picture[:, :, ::-1], "crop": 224, "top": TOP})
    files = [shared_data / "data_net.mat", shared_data / "data_img1.mat", tmp_path / "in.mat"]
    theirs = octave("all_steps", tmp_path / "out.mat", *files)
    network, features = load_network(files[0]), load_features(files[1])
    compare(theirs, network, features, picture, 224)

    reference = loadmat(shared_data / "octave_img1.mat")
    np.testing.assert_allclose(theirs["cams"], reference["cams"], atol=1e-4)
    np.testing.assert_allclose(theirs["merged"], reference["merged"], rtol=1e-4)


def test_octave_resizes_alike(octave, tmp_path):
    # Octave does not divide by the sum of the weights, so only sizes for which it is one agree:
    # enlarging, shrinking by whole factors, and shrinking without antialiasing.
    random = np.random.default_rng(0)
    cases = [
        (random.standard_normal((14, 14)), (224, 224), "bicubic", True),
        (random.standard_normal((11, 11)), (227, 227), "bicubic", True),
        (random.standard_normal((7, 9)), (31, 40), "bilinear", True),
        (random.standard_normal((30, 24)), (10, 6), "bicubic", True),
        (random.standard_normal((30, 24)), (10, 6), "bilinear", True),
        (random.standard_normal((30, 24)), (11, 7), "bicubic", False),
        (random.standard_normal((31, 23)), (12, 57), "nearest", False),
        (random.standard_normal((30, 23)), 0.45, "bicubic", False),
    ]
    cells = {name: np.empty(len(cases), object) for name in ("pictures", "sizes", "methods")}
    for index, (picture, size, method, _) in enumerate(cases):
        cells["pictures"][index] = picture
        cells["sizes"][index] = np.atleast_2d(np.array(size, float))
        cells["methods"][index] = method
    smooth = np.array([case[3] for case in cases])
    savemat(tmp_path / "in.mat", {**cells, "smooth": smooth})
    theirs = octave("resized_pictures", tmp_path / "out.mat", tmp_path / "in.mat")
    for case, resized in zip(cases, theirs["resized"].ravel(), strict=True):
        np.testing.assert_allclose(imresize(*case), resized, atol=1e-12)


def test_octave_colors_alike(octave, tmp_path):
    random = np.random.default_rng(0)
    maps = np.empty(4, object)
    maps[0] = random.random((40, 30)).astype(np.float32)
    maps[1] = np.arange(-128.0, 128.0).reshape(16, 16)
    maps[2] = np.where(random.random((20, 20)) < 0.1, np.nan, random.random((20, 20)))
    maps[3] = np.full((3, 3), 0.3)
    lengths = [*range(1, 40), 64, 255, 256]
    savemat(tmp_path / "in.mat", {"maps": maps, "lengths": np.array(lengths, float)})
    theirs = octave("colored_maps", tmp_path / "out.mat", tmp_path / "in.mat")
    for heat_map, colored in zip(maps, theirs["colored"].ravel(), strict=True):
        np.testing.assert_allclose(matlab_heat_picture(heat_map), colored, atol=1e-12)
    for length, colormap in zip(lengths, theirs["colormaps"].ravel(), strict=True):
        np.testing.assert_allclose(jet(length), colormap, atol=1e-12)


def test_octave_runs_the_cached_demo_on_our_files_and_gets_our_figure(octave, tmp_path, coffee):
    model = cam.load("efficientnet-lite0", engine="openvino")
    result = model.explain(coffee, style="matlab")
    result.to_mat(tmp_path / "data_img1.mat")
    save_network(tmp_path / "data_net.mat", model.class_weights, model.class_names)
    # As a PNG: other decoders read a JPEG a level apart, and other resizers a picture of its size.
    write_picture(tmp_path / "img1.png", result.frame)
    theirs = octave("cached_demo", tmp_path / "out.mat", tmp_path)
    np.testing.assert_array_equal(theirs["idx"].ravel(), result.indices + 1)
    assert tuple(str(name[0]) for name in theirs["names"].ravel()) == result.names

    figure = cv2.imread(str(tmp_path / "result.png"))
    assert figure.shape == result.montage().shape
    difference = np.abs(figure.astype(int) - result.montage())
    # One level of the colour map, where rounding puts a pixel there, is three of a channel here.
    assert difference.max() <= 3
    assert np.mean(difference > 1) < 1e-4
    result.save(tmp_path / "ours")
    outcome = compare_files(tmp_path / "ours", tmp_path / "result.png")
    assert outcome.within
    assert outcome.differences["heat_maps"].shape == (5, 256, 256)
