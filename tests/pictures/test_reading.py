"""Every kind of picture that a user may bring is read as OpenCV and Pillow read it, or refused."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from cam.errors import CamError, InvalidValueError
from cam.pictures.reading import center_crop, read_picture, write_picture

ROWS, COLUMNS = 42, 60


def photograph() -> Image.Image:
    """Return smooth colours without symmetry, which compression changes little."""
    y, x = np.mgrid[0:ROWS, 0:COLUMNS] / [[[ROWS]], [[COLUMNS]]]
    channels = [255 * x, 255 * y, 120 + 100 * np.sin(5 * x + 3 * y)]
    return Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))


def encoded(image: Image.Image, format_: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def read_bytes(data: bytes, folder: Path, name: str = "picture") -> NDArray[np.uint8]:
    path = folder / name
    path.write_bytes(data)
    picture = read_picture(path)
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
    assert picture.shape[2] == 3
    return picture


def bgr(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image.convert("RGB"))[:, :, ::-1]


def mean_difference(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    assert a.shape == b.shape
    return float(np.abs(a.astype(int) - b).mean())


# --- formats -------------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_are_read_exactly(format_: str, tmp_path: Path) -> None:
    image = photograph()
    np.testing.assert_array_equal(read_bytes(encoded(image, format_), tmp_path), bgr(image))


@pytest.mark.parametrize(
    ("format_", "options"),
    [
        ("JPEG", {"quality": 95}),
        ("JPEG", {"quality": 95, "progressive": True}),
        ("JPEG", {"quality": 95, "subsampling": 0}),
        ("WEBP", {"quality": 95}),
    ],
)
def test_photographs_formats_are_read(format_: str, options: Any, tmp_path: Path) -> None:
    data = encoded(photograph(), format_, **options)
    assert mean_difference(read_bytes(data, tmp_path), bgr(photograph())) < 3


def test_a_gif_is_read_or_refused(tmp_path: Path) -> None:
    data = encoded(photograph(), "GIF")
    sample = tmp_path / "sample.gif"
    sample.write_bytes(data)
    if not cv2.haveImageReader(str(sample)):  # it came with OpenCV 4.11, and not in every build
        with pytest.raises(CamError, match="not a picture in a format that OpenCV reads"):
            read_bytes(data, tmp_path)
    else:
        assert mean_difference(read_bytes(data, tmp_path), bgr(photograph())) < 8


def test_a_file_is_what_opencvs_imread_gives(shared_data: Path) -> None:
    for name in ("img1.jpg", "img2.jpg", "test.jpg", "sample_6.jpg"):
        path = shared_data / name
        np.testing.assert_array_equal(read_picture(path), cv2.imread(str(path)))
        np.testing.assert_array_equal(read_picture(str(path)), cv2.imread(str(path)))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_modes_of_png_are_read_as_colour(mode: str, tmp_path: Path) -> None:
    image = photograph().convert(mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(100)
    np.testing.assert_array_equal(read_bytes(encoded(image, "PNG"), tmp_path), bgr(image))


def test_a_cmyk_jpeg_has_its_colours(tmp_path: Path) -> None:
    image = photograph().convert("CMYK")
    data = encoded(image, "JPEG", quality=95)
    assert mean_difference(read_bytes(data, tmp_path), bgr(photograph())) < 6


@pytest.mark.parametrize("extension", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_are_scaled_to_eight(extension: str, channels: int, tmp_path: Path) -> None:
    pixels = bgr(photograph())[:, :, :channels]
    _, data = cv2.imencode(extension, pixels.astype(np.uint16) * 257)
    read = read_bytes(data.tobytes(), tmp_path)
    np.testing.assert_array_equal(read, np.broadcast_to(pixels, read.shape))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_with_an_exif_orientation_is_turned_upright(
    orientation: int, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(photograph(), "JPEG", exif=exif, quality=97)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    read = read_bytes(data, tmp_path)
    assert mean_difference(read, bgr(upright)) < 2
    assert read.shape == ((ROWS, COLUMNS, 3) if orientation < 5 else (COLUMNS, ROWS, 3))
    np.testing.assert_array_equal(read_picture(Image.open(io.BytesIO(data))), bgr(upright))


@pytest.mark.parametrize("format_", ["PNG", "BMP", "JPEG"])
def test_a_picture_of_one_pixel_is_read(format_: str, tmp_path: Path) -> None:
    image = Image.new("RGB", (1, 1), (255, 128, 0))
    assert mean_difference(read_bytes(encoded(image, format_), tmp_path), bgr(image)) < 3


@pytest.mark.parametrize("name", ["café.png", "写真.png", "two words.png", "noextension"])
def test_any_file_name_is_read(name: str, tmp_path: Path) -> None:
    image = photograph()
    np.testing.assert_array_equal(read_bytes(encoded(image, "PNG"), tmp_path, name), bgr(image))


# --- what is cut off -----------------------------------------------------------------------------


def with_thumbnail(quality: int = 90) -> bytes:
    """Return a JPEG whose header holds another JPEG, complete with its end marker."""
    data = encoded(photograph(), "JPEG", quality=quality)
    thumbnail = b"Exif\0\0" + encoded(photograph().resize((16, 12)), "JPEG")
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    return data[:2] + segment + data[2:]


TRUNCATED: dict[str, bytes] = {
    "jpeg": encoded(photograph(), "JPEG", quality=90),
    "progressive jpeg": encoded(photograph(), "JPEG", quality=90, progressive=True),
    "jpeg with thumbnail": with_thumbnail(),
    "png": encoded(photograph(), "PNG"),
    "bmp": encoded(photograph(), "BMP"),
    "tiff": encoded(photograph(), "TIFF"),
    "webp": encoded(photograph(), "WEBP"),
}


@pytest.mark.parametrize("kind", TRUNCATED)
def test_a_truncated_picture_is_refused_wherever_it_is_cut(kind: str, tmp_path: Path) -> None:
    data = TRUNCATED[kind]
    read_bytes(data, tmp_path)
    for fraction in (0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
        with pytest.raises(CamError, match="picture"):
            read_bytes(data[: max(1, int(len(data) * fraction))], tmp_path)
    if kind not in ("bmp", "tiff"):
        with pytest.raises(CamError, match="picture"):
            read_bytes(data[:-2], tmp_path)


def test_a_jpeg_with_a_thumbnail_or_with_bytes_behind_its_end_is_read(tmp_path: Path) -> None:
    plain = read_bytes(TRUNCATED["jpeg"], tmp_path)
    for data in (with_thumbnail(), TRUNCATED["jpeg"] + b"appended by a camera" * 100):
        np.testing.assert_array_equal(read_bytes(data, tmp_path), plain)


def test_a_jpeg_with_fill_bytes_before_a_marker_is_read(tmp_path: Path) -> None:
    data = TRUNCATED["jpeg"]
    filled = data[:2] + b"\xff" * 5 + data[2:]
    plain = read_bytes(data, tmp_path)
    np.testing.assert_array_equal(read_bytes(filled, tmp_path), plain)


# --- what is no picture --------------------------------------------------------------------------

NO_PICTURES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "cannot read .*No such file"),
    "directory": (lambda path: path.mkdir(), "cannot read .*Is a directory"),
    "empty": (lambda path: path.write_bytes(b""), "the file is empty"),
    "text": (lambda path: path.write_text("no picture"), "not a picture"),
    "html": (lambda path: path.write_text("<!DOCTYPE html><html></html>"), "not a picture"),
    "zeros": (lambda path: path.write_bytes(bytes(5000)), "not a picture"),
    "only a jpeg's first bytes": (lambda path: path.write_bytes(b"\xff\xd8\xff"), "truncated"),
    "only a png's signature": (
        lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n"),
        "truncated",
    ),
}


@pytest.mark.parametrize("kind", NO_PICTURES)
def test_what_is_no_picture_is_refused_with_a_reason(kind: str, tmp_path: Path) -> None:
    make, words = NO_PICTURES[kind]
    path = tmp_path / "picture.jpg"
    make(path)
    with pytest.raises(CamError, match=words) as caught:
        read_picture(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_has_no_end_or_is_huge_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path / "pipe.jpg", "/dev/zero"):
        with pytest.raises(CamError, match="not a regular file"):
            read_picture(path)
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(CamError, match=r"huge\.jpg: 1099511627776 bytes, over the limit"):
        read_picture(tmp_path / "huge.jpg")


@pytest.mark.parametrize("source", [None, 7, [[1, 2]], b"bytes"])
def test_what_is_neither_path_nor_array_nor_image_is_refused(source: Any) -> None:
    with pytest.raises(InvalidValueError, match="a picture is a path, an array or a Pillow image"):
        read_picture(source)


STARTS = [b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"BM", b"GIF89a", b"II*\0"]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(STARTS), st.binary(max_size=200))
def test_random_bytes_are_read_or_refused(tmp_path: Path, start: bytes, rest: bytes) -> None:
    path = tmp_path / "picture"
    path.write_bytes(start + rest)
    try:
        picture = read_picture(path)
    except CamError as error:
        assert "\n" not in str(error)
    else:
        assert picture.dtype == np.uint8


# --- arrays and Pillow images --------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (4, 6, 3), (4, 6, 4), (1, 1)], ids=str)
def test_arrays_of_every_shape_become_bgr(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    picture = read_picture(array)
    assert picture.shape == (*shape[:2], 3)
    expected = np.atleast_3d(array)[:, :, :3]
    np.testing.assert_array_equal(picture, np.broadcast_to(expected, picture.shape))
    assert picture.flags.c_contiguous


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, ">u2", np.float16, np.float32, np.float64])
def test_arrays_of_every_type_become_eight_bits(dtype: Any) -> None:
    levels = np.array([[0, 51, 102], [153, 204, 255]], np.uint8)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        array = levels / 255
    else:
        array = levels.astype(int) * (257 if kind.itemsize == 2 else 1)
    picture = read_picture(array.astype(kind))
    np.testing.assert_array_equal(picture[:, :, 0], levels)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 6, 2), np.uint8),
        np.zeros((4, 6, 5), np.uint8),
        np.zeros((2, 4, 6, 3), np.uint8),
        np.zeros(12, np.uint8),
        np.zeros((0, 6, 3), np.uint8),
        np.zeros((3, 0), np.uint8),
        np.full((4, 6), 200.0),
        np.full((4, 6), -0.5),
        np.full((4, 6), np.nan),
        np.full((4, 6), 7, np.int64),
        np.zeros((4, 6), bool),
        np.zeros((4, 6), complex),
        np.zeros((4, 6), object),
        np.zeros((4, 6), "U3"),
        np.zeros((4, 6), "M8[s]"),
        np.zeros((4, 6), [("r", "u1")]),
        np.array([[0.5, np.nan]]),
        np.array([[0.5, np.inf]], np.float16),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_that_are_no_pictures_are_refused(array: NDArray[Any]) -> None:
    with pytest.raises(InvalidValueError, match="is not a picture") as raised:
        read_picture(array)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I", "F"]
)
def test_pillow_images_of_every_mode_become_bgr(mode: str) -> None:
    image = Image.new("LAB", (6, 4), (128, 0, 0)) if mode == "LAB" else photograph().convert(mode)
    np.testing.assert_array_equal(read_picture(image), bgr(image))


@pytest.mark.parametrize("dtype", [np.uint16, np.int32], ids=["I;16", "I"])
def test_pillow_images_of_sixteen_bits_are_scaled(dtype: Any) -> None:
    levels = np.array([[0, 51, 102], [153, 204, 255]])
    image = Image.fromarray((levels * 257).astype(dtype))
    assert image.mode in ("I;16", "I")
    np.testing.assert_array_equal(read_picture(image)[:, :, 1], levels)


def test_a_truncated_pillow_image_is_refused() -> None:
    data = TRUNCATED["png"]
    with pytest.raises(CamError, match="Pillow cannot decode the picture"):
        read_picture(Image.open(io.BytesIO(data[: len(data) // 2])))


# --- crops and writing ---------------------------------------------------------------------------


@pytest.mark.parametrize(("crop", "first", "last"), [(224, 16, 240), (227, 14, 241), (256, 0, 256)])
def test_the_center_crop_is_the_ports(crop: int, first: int, last: int) -> None:
    rows, columns = center_crop(np.zeros((256, 256, 3), np.uint8), crop)
    assert (rows, columns) == (slice(first, last), slice(first, last))


@pytest.mark.parametrize("extension", [".png", ".bmp", ".PNG"])
def test_a_written_picture_reads_back(extension: str, tmp_path: Path) -> None:
    picture = bgr(photograph())
    write_picture(tmp_path / f"new/out{extension}", picture)
    np.testing.assert_array_equal(read_picture(tmp_path / f"new/out{extension}"), picture)


@pytest.mark.parametrize("name", ["out.xyz", "out", ".png"])
def test_a_format_that_cannot_be_written_is_an_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(CamError, match="OpenCV does not write"):
        write_picture(tmp_path / name, bgr(photograph()))
    assert not list(tmp_path.iterdir())
