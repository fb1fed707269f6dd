from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cam import zoo
from cam.caffe.preprocessing import ILSVRC_2012_MEAN
from cam.explain.styles import MatlabStyle, PycaffeStyle, Style
from cam.maps.activation_maps import enlarge_maps
from cam.maps.overlays import blend, blend_tables
from cam.matlab import imresize

MEAN = np.array([104.00698793, 116.66876762, 122.67891434])


def port_im2double(values: np.ndarray) -> np.ndarray:
    return cv2.normalize(values.astype("float"), None, 0.0, 1.0, cv2.NORM_MINMAX)


def port_input(picture: np.ndarray, crop: int) -> tuple[np.ndarray, np.ndarray]:
    """Do steps 1 to 3 of the port on the whole arrays, in double precision."""
    frame = cv2.resize(picture, (256, 256))
    first, last = int(128 - crop / 2), int(128 + crop / 2)
    pixels = frame[first:last, first:last].transpose(2, 0, 1)
    return frame, (pixels - MEAN[:, None, None]).astype(np.float32)


def port_overlay(frame: np.ndarray, raw_map: np.ndarray) -> np.ndarray:
    """Do steps 6 to 8 of the port on the whole arrays, in double precision."""
    enlarged = cv2.resize(raw_map.astype(np.float64), (256, 256))
    heat_map = port_im2double(enlarged)
    heat = cv2.applyColorMap(np.round(heat_map * 255).astype(np.uint8), cv2.COLORMAP_JET)
    overlay = port_im2double(frame) * 0.2 + port_im2double(heat) * 0.7
    # What `cv2.imshow` and a file show of values in [0, 1].
    return np.round(overlay * 255).astype(np.uint8)


def original_overlay(frame: np.ndarray, heat_map: np.ndarray) -> np.ndarray:
    """Do steps 7 and 8 of the original on the whole arrays, in double precision."""
    levels = np.floor(np.clip(heat_map, 0, 1) * 255 + 0.5).astype(int)
    # jet(256): three trapezia, a quarter of the map apart.
    steps = np.arange(1, 257)[:, None] - np.array([96, 32, -32])
    jet = np.clip(np.minimum(steps, 192 - steps) / 64, 0, 1)
    overlay = 0.2 * (frame / 255) + 0.7 * jet[levels][:, :, ::-1]
    return np.round(overlay * 255).astype(np.uint8)


def overlays(style: Style, frame: np.ndarray, maps: np.ndarray, crop: int = 224) -> np.ndarray:
    merged = style.merge(maps, crop)
    levels = np.stack([style.levels(style.normalize(of_class)) for of_class in merged])
    return style.overlays(frame, levels)


def pictures_of(lowest: int, highest: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.integers(lowest, highest + 1, (256, 256, 3)).astype(np.uint8)


@pytest.mark.parametrize("name", ["img1.jpg", "img2.jpg", "test.jpg", "sample_6.jpg"])
@pytest.mark.parametrize(("crop", "size"), [(224, 14), (227, 11), (224, 7)])
def test_overlays_of_real_pictures_are_those_of_the_ports_steps(
    shared_data: Path, name: str, crop: int, size: int
) -> None:
    picture = cv2.imread(str(shared_data / name))
    frame, batch = port_input(picture, crop)
    prepared = PycaffeStyle().prepare(picture, crop, ILSVRC_2012_MEAN)
    np.testing.assert_array_equal(prepared.frame, frame)
    np.testing.assert_array_equal(prepared.batch, batch[np.newaxis])
    maps = np.random.default_rng(size).standard_normal((1, 5, size, size)).astype(np.float32)
    expected = [port_overlay(frame, raw_map) for raw_map in maps[0]]
    np.testing.assert_array_equal(overlays(PycaffeStyle(), frame, maps, crop), expected)


@settings(deadline=None, max_examples=40)
@given(
    extremes=st.tuples(st.integers(0, 255), st.integers(0, 255)).map(sorted),
    scale=st.sampled_from([1e-8, 1.0, 1e4]),
    seed=st.integers(0, 99),
)
def test_overlays_are_those_of_the_ports_steps_whatever_the_extremes_are(
    extremes: list[int], scale: float, seed: int
) -> None:
    frame = pictures_of(*extremes, seed)
    maps = np.random.default_rng(seed).normal(0, scale, (1, 2, 14, 14)).astype(np.float32)
    expected = [port_overlay(frame, raw_map) for raw_map in maps[0]]
    np.testing.assert_array_equal(overlays(PycaffeStyle(), frame, maps), expected)


@pytest.mark.parametrize(
    "make",
    [
        lambda rows: np.zeros((rows, rows)),
        lambda rows: np.full((rows, rows), -3.0),
        lambda rows: np.eye(rows),
        # Two plateaus: only the steep slope between them has the colours in the middle.
        lambda rows: np.arange(rows)[:, None] // (rows // 2) * np.ones(rows),
    ],
    ids=["zero", "constant", "diagonal", "step"],
)
def test_maps_whose_picture_lacks_some_bytes_are_those_of_the_ports_steps(
    make: Callable[[int], np.ndarray],
) -> None:
    frame = pictures_of(7, 200, seed=0)
    maps = make(14).astype(np.float32)[np.newaxis, np.newaxis]
    expected = [port_overlay(frame, maps[0, 0])]
    np.testing.assert_array_equal(overlays(PycaffeStyle(), frame, maps), expected)


def test_the_channels_of_an_rgb_network_are_swapped_and_scaled() -> None:
    picture = pictures_of(0, 255, seed=1)
    info = zoo.get("efficientnet-lite0")
    prepared = PycaffeStyle().prepare(picture, info.crop_size, info.preprocessing)
    pixels = picture[16:240, 16:240, ::-1].transpose(2, 0, 1)
    np.testing.assert_array_equal(prepared.batch[0], (pixels - 127.0) / 128)


def test_overlays_of_the_original_are_those_of_its_steps() -> None:
    frame = pictures_of(0, 255, seed=2)
    heat_maps = np.random.default_rng(2).random((3, 256, 256))
    style = MatlabStyle()
    levels = np.stack([style.levels(heat_map) for heat_map in heat_maps])
    expected = [original_overlay(frame, heat_map) for heat_map in heat_maps]
    np.testing.assert_array_equal(style.overlays(frame, levels), expected)


@pytest.mark.parametrize("style", [PycaffeStyle(), PycaffeStyle("crop"), MatlabStyle()])
def test_a_map_is_the_same_alone_and_among_others(style: Style) -> None:
    maps = np.random.default_rng(3).standard_normal((style.crops, 4, 14, 14)).astype(np.float32)
    together = style.merge(maps, 224)
    for k in range(4):
        np.testing.assert_array_equal(style.merge(maps[:, k : k + 1], 224)[0], together[k])


@pytest.mark.parametrize("style", [PycaffeStyle(), PycaffeStyle("crop"), MatlabStyle()])
def test_a_number_that_is_none_takes_the_first_color_and_changes_no_other(style: Style) -> None:
    maps = np.random.default_rng(0).random((style.crops, 2, 7, 7), np.float32)
    maps[0, 0, 3, 3] = np.nan
    levels = style.levels_of_maps(maps, 224)
    for merged, of_class in zip(style.merge(maps, 224), levels, strict=True):
        missing = np.isnan(merged)
        known = merged[~missing].astype(float)
        expected = (known - known.min()) / (known.max() - known.min())
        assert (of_class[missing] == 0).all()
        assert np.abs(of_class[~missing] - 255 * expected).max() <= 1
    assert np.isnan(style.merge(maps, 224)[0]).any()


def test_the_lowest_color_lies_around_a_crops_map() -> None:
    maps = np.random.default_rng(4).standard_normal((1, 2, 14, 14)).astype(np.float32)
    merged = PycaffeStyle("crop").merge(maps, 224)
    for of_class in merged:
        border = np.ones((256, 256), bool)
        border[16:240, 16:240] = False
        assert np.unique(of_class[border]).tolist() == [of_class.min()]


@pytest.mark.parametrize(("size", "crop"), [(14, 224), (11, 227), (7, 224)])
def test_enlarged_maps_are_those_of_imresize(size: int, crop: int) -> None:
    maps = np.random.default_rng(size).standard_normal((10, 5, size, size)).astype(np.float32)
    expected = imresize(maps.transpose(2, 3, 0, 1), (crop, crop)).transpose(2, 3, 0, 1)
    enlarged = enlarge_maps(maps, crop)
    assert enlarged.dtype == np.float32
    # The order of the additions in double precision may move a rounding to single.
    np.testing.assert_allclose(enlarged, expected, rtol=0, atol=2**-23 * np.abs(expected).max())


def test_a_number_that_is_none_stays_around_its_pixel_when_maps_are_enlarged() -> None:
    maps = np.ones((1, 1, 14, 14), np.float32)
    maps[0, 0, 3, 4] = np.nan
    missing = np.isnan(enlarge_maps(maps, 224)[0, 0])
    assert 0 < missing.mean() < 0.1


def test_tables_hold_the_sum_of_every_pair_of_a_byte_and_a_level() -> None:
    picture_share = 0.2 * np.arange(256) / 255
    heat_share = 0.7 * np.random.default_rng(5).random((3, 256))
    tables = blend_tables(picture_share, heat_share)
    levels, bytes_ = np.divmod(np.arange(65536), 256)
    sums = picture_share[bytes_] + heat_share[:, levels]
    np.testing.assert_array_equal(tables, np.round(255 * sums))
    picture = pictures_of(0, 255, seed=6)
    of_map = pictures_of(0, 255, seed=7)[:, :, 0]
    (overlay,) = blend(picture, of_map[np.newaxis], [tables])
    expected = [tables[c][of_map.astype(int) * 256 + picture[:, :, c]] for c in range(3)]
    np.testing.assert_array_equal(overlay, np.stack(expected, axis=-1))
