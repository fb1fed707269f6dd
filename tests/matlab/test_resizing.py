from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from cam.errors import CamError
from cam.matlab import imresize

COUNTING = np.arange(16.0).reshape(4, 4)
GRADIENT = np.array([[1, 1.25, 1.75, 2], [1.5, 1.75, 2.25, 2.5], [2.5, 2.75, 3.25, 3.5]])
STEP = np.array([[0.0, 0, 1, 1, 0]])

# Outputs of MATLAB itself, as its users published them on Stack Overflow (questions 26812289,
# 21997094, 17380407 and 42020435). MATLAB printed four decimals at most.
PUBLISHED = [
    (COUNTING, 0.5, "bilinear", True, [[3.125, 4.875], [10.125, 11.875]]),
    (COUNTING, 0.5, "bilinear", False, [[2.5, 4.5], [10.5, 12.5]]),
    (COUNTING, 0.5, "bicubic", False, [[2.1875, 4.3125], [10.6875, 12.8125]]),
    (
        [[1.0, 2], [3, 4]],
        (4, 4),
        "bilinear",
        None,
        [*GRADIENT.tolist(), [3, 3.25, 3.75, 4]],
    ),
    (
        [*GRADIENT.tolist(), [3, 3.25, 3.75, 4]],
        (2, 2),
        "bilinear",
        None,
        [[1.5625, 2.1875], [2.8125, 3.4375]],
    ),
    ([[0.0, 1, 2]], (1, 5), "bilinear", None, [[0, 0.4, 1, 1.6, 2]]),
    (STEP, (1, 10), "nearest", None, [[0, 0, 0, 0, 1, 1, 1, 1, 0, 0]]),
    (STEP, (1, 10), "bilinear", None, [[0, 0, 0, 0.25, 0.75, 1, 1, 0.75, 0.25, 0]]),
]


@pytest.mark.parametrize(("image", "size", "method", "antialiasing", "expected"), PUBLISHED)
def test_imresize_gives_outputs_published_by_users_of_matlab(
    image, size, method, antialiasing, expected
):
    np.testing.assert_allclose(imresize(image, size, method, antialiasing), expected, atol=5e-5)


def test_bicubic_gives_the_published_output_except_where_the_border_rule_changed():
    # Published in 2013, when MATLAB repeated the border pixel: its last value is -0.0703. Mirroring
    # adds the fourth pixel once more, with the kernel's weight -0.0234 at distance 1.75.
    published = [0, -0.0234, -0.0703, 0.2031, 0.7969, 1.0938, 1.0938, 0.7969, 0.2031]
    resized = imresize(STEP, (1, 10))[0]
    np.testing.assert_allclose(resized[:-1], published, atol=5e-5)
    assert resized[-1] == pytest.approx(-0.0703125 - 0.0234375)


def by_definition(image, size, scale, kernel, width, antialiasing):
    """Resize a single column pixel by pixel, straight from the definition in the documentation."""
    stretch = min(scale, 1.0) if antialiasing else 1.0
    padded = np.concatenate([image[::-1], image, image[::-1]] * 9)
    origin = len(image) * 13
    resized = []
    for pixel in range(size):
        center = (pixel + 0.5) / scale - 0.5
        reach = int(np.ceil(width / stretch)) + 1
        taps = np.arange(int(np.floor(center)) - reach, int(np.floor(center)) + reach + 1)
        weights = np.array([kernel(stretch * (center - tap)) for tap in taps])
        resized.append(weights @ padded[origin + taps] / weights.sum())
    return np.array(resized)


def keys(x):
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x <= 2 else 0.0


@settings(deadline=None, max_examples=60)
@given(
    image=npst.arrays(np.float64, st.integers(1, 40), elements=st.floats(-100, 100)),
    size=st.integers(1, 60),
    antialiasing=st.booleans(),
)
@pytest.mark.parametrize(
    ("method", "kernel", "width"),
    [("bicubic", keys, 4), ("bilinear", lambda x: max(0.0, 1 - abs(x)), 2)],
)
def test_imresize_follows_the_definition(method, kernel, width, image, size, antialiasing):
    scale = size / len(image)
    if len(image) * 9 < width / min(scale, 1):  # the reference's padding would be too short
        return
    expected = by_definition(image, size, scale, kernel, width, antialiasing)
    resized = imresize(image[:, np.newaxis], (size, 1), method, antialiasing)
    np.testing.assert_allclose(resized[:, 0], expected, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.float64])
def test_the_type_is_kept_and_the_trailing_axes_are_independent(dtype):
    images = np.random.default_rng(0).integers(0, 256, (9, 7, 2, 3)).astype(dtype)
    resized = imresize(images, (5, 12))
    assert resized.dtype == dtype
    assert resized.shape == (5, 12, 2, 3)
    for first in range(2):
        for second in range(3):
            alone = imresize(images[..., first, second], (5, 12))
            np.testing.assert_array_equal(resized[..., first, second], alone)


def test_integers_are_rounded_half_away_from_zero_and_saturated():
    assert imresize(np.array([[1], [2]], np.uint8), (1, 1), "bilinear").item() == 2
    assert imresize(np.array([[-1], [-2]], np.int16), (1, 1), "bilinear").item() == -2
    edge = imresize(np.array([[0, 0, 255, 255]], np.uint8), (1, 16))
    assert edge.min() == 0
    assert edge.max() == 255
    assert imresize(np.array([[0, 0, 65535, 65535]], np.uint16), (1, 16)).max() == 65535


def test_integers_are_rounded_between_the_axes():
    # Rows first: (0 + 1) / 2 rounds to 1 and 0 / 2 is 0; (1 + 0) / 2 rounds to 1. In double: 0.25.
    image = np.array([[0, 0], [1, 0]])
    assert imresize(image.astype(np.uint8), (1, 1), "bilinear", False).item() == 1
    assert imresize(image.astype(np.float64), (1, 1), "bilinear", False).item() == 0.25


def test_the_axis_that_shrinks_most_is_resized_first():
    # The rounding between the axes tells the orders apart. Columns shrink to 3/8, rows to 1/2.
    image = np.random.default_rng(0).integers(0, 256, (12, 16), np.uint8)
    columns_first = imresize(imresize(image, (12, 6)), (6, 6))
    rows_first = imresize(imresize(image, (6, 16)), (6, 6))
    assert np.any(columns_first != rows_first)
    np.testing.assert_array_equal(imresize(image, (6, 6)), columns_first)
    np.testing.assert_array_equal(imresize(image.T, (6, 6)), columns_first.T)


def test_logical_pictures_are_cut_above_128():
    picture = np.array([[True, True, False, False]])
    resized = imresize(picture, (1, 8), "bilinear")
    np.testing.assert_array_equal(resized, [[1, 1, 1, 1, 0, 0, 0, 0]])
    assert resized.dtype == np.bool_


@pytest.mark.parametrize(
    ("given_size", "shape"),
    [
        (0.5, (5, 4)),
        (0.51, (5, 4)),
        ((0.5, 1.5), (5, 11)),
        ((4, 14), (4, 14)),
        ((4.0, 14.0), (4, 14)),
        ((3, None), (3, 3)),
        ((float("nan"), 14), (18, 14)),
        (np.float32(2), (18, 14)),
    ],
)
def test_output_size(given_size, shape):
    assert imresize(np.zeros((9, 7)), given_size).shape == shape


def test_a_scale_that_rounds_the_size_up_is_not_the_scale_of_that_size():
    # 7 * 0.4 = 2.8 -> 3 pixels, spaced by 1 / 0.4 = 2.5, not by 7 / 3.
    image = np.arange(7.0)[np.newaxis]
    by_scale = imresize(image, (1.0, 0.4), "nearest")
    np.testing.assert_array_equal(by_scale, [[1, 3, 6]])
    np.testing.assert_array_equal(imresize(image, (1, 3), "nearest"), [[1, 3, 5]])


def test_nearest_repeats_and_skips_pixels():
    image = np.array([[1, 2], [3, 4]])
    doubled = imresize(image.astype(np.uint8), 2, "nearest")
    np.testing.assert_array_equal(doubled, np.kron(image, np.ones((2, 2), int)))
    # Half-way between two pixels MATLAB's kernel takes the right one, -0.5 <= x < 0.5.
    np.testing.assert_array_equal(imresize(np.arange(6.0)[np.newaxis], 0.5, "nearest"), [[1, 3, 5]])


def test_the_same_size_changes_nothing():
    image = np.random.default_rng(0).random((6, 5))
    for method in ("nearest", "bilinear", "bicubic"):
        np.testing.assert_array_equal(imresize(image, (6, 5), method), image)


def test_a_pixel_that_is_not_a_number_reaches_only_its_neighbours():
    image = np.zeros((14, 14))
    image[3, 3] = np.nan
    spoilt = np.isnan(imresize(image, (224, 224)))
    assert spoilt[56, 56]
    assert 0 < spoilt.sum() <= (4 * 16 + 16) ** 2


def test_bicubic_agrees_with_pillow_inside_the_picture():
    # Pillow has the same kernel and antialiasing; near the border it cuts the kernel instead of
    # mirroring, and it computes in single precision.
    image_module = pytest.importorskip("PIL.Image")
    picture = np.random.default_rng(1).random((60, 80)).astype(np.float32)
    theirs = np.asarray(image_module.fromarray(picture).resize((37, 29), image_module.BICUBIC))
    ours = imresize(picture, (29, 37))
    np.testing.assert_allclose(ours[2:-2, 2:-2], theirs[2:-2, 2:-2], atol=2e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(5), 2), "rows and columns"),
        ((np.zeros((0, 5)), 2), "rows and columns"),
        ((np.zeros((5, 5), complex), 2), "complex128"),
        ((np.zeros((5, 5), np.int64) == 0, 0), "positive"),
        ((np.zeros((5, 5)), -1), "positive"),
        ((np.zeros((5, 5)), np.inf), "positive"),
        ((np.zeros((5, 5)), (0, 3)), "positive"),
        ((np.zeros((5, 5)), (1, 2, 3)), "one scale or two numbers"),
        ((np.zeros((5, 5)), (None, None)), "one scale or two numbers"),
        ((np.zeros((5, 5)), "half"), "scale_or_size is a number or several"),
        ((np.zeros((5, 5)), 2, "bicubc"), "nearest: bicubic"),
    ],
)
def test_bad_input_gives_one_clear_line(arguments, message):
    with pytest.raises(CamError, match=message) as raised:
        imresize(*arguments)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ten_maps_take_milliseconds(dtype):
    maps = np.random.default_rng(0).random((14, 14, 10)).astype(dtype)
    times = []
    for _ in range(20):
        start = time.perf_counter()
        imresize(maps, (224, 224))
        times.append(time.perf_counter() - start)
    # 0.5 ms on one core; the limit leaves room for a busy machine.
    assert min(times) < 2e-3
