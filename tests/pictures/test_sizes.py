"""A picture's size is known, and refused, before anything is decoded."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from cam.errors import CamError, InvalidValueError
from cam.pictures.reading import decode_picture, read_picture
from cam.pictures.sizes import MAX_PIXELS, check_pixels, claimed_size

WIDTH, HEIGHT = 67, 41


def picture(mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    return Image.fromarray(pixels).convert(mode)


def encoded(format_: str, mode: str = "RGB", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture(mode).save(buffer, format_, **options)
    return buffer.getvalue()


def opencvs(extension: str) -> bytes:
    return bytes(cv2.imencode(extension, np.asarray(picture()))[1])


FILES = {
    "jpeg": encoded("JPEG"),
    "progressive jpeg": encoded("JPEG", progressive=True),
    "jpeg with a comment": encoded("JPEG", comment=b"\xff\xc0 not a frame", exif=b"Exif\0\0II*\0"),
    "png": encoded("PNG"),
    "png of one bit": encoded("PNG", "1"),
    "bmp": encoded("BMP"),
    "tiff": encoded("TIFF"),
    "compressed tiff": encoded("TIFF", compression="tiff_deflate"),
    "opencv's tiff": opencvs(".tiff"),
    "webp": encoded("WEBP"),
    "lossless webp": encoded("WEBP", lossless=True),
    "webp with a profile": encoded("WEBP", icc_profile=b"profile"),
    "gif": encoded("GIF", "P"),
    "ppm": encoded("PPM"),
    "pgm": encoded("PPM", "L"),
    "pbm": encoded("PPM", "1"),
    "jpeg 2000": opencvs(".jp2"),
}


def with_avif() -> dict[str, bytes]:
    if not cv2.haveImageWriter("a.avif"):
        return FILES
    return {**FILES, "avif": opencvs(".avif")}


@pytest.mark.parametrize("kind", with_avif())
def test_the_size_is_that_of_the_decoded_picture(kind: str) -> None:
    data = with_avif()[kind]
    assert claimed_size(data) == (WIDTH, HEIGHT)
    if kind == "gif" and decoded(data) is None:
        return
    assert decode_picture(data, kind).shape == (HEIGHT, WIDTH, 3)


def decoded(data: bytes) -> Any:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None


def with_header(kind: str, width: int, height: int) -> bytes:
    """Return a file whose header claims another size."""
    data = bytearray(FILES[kind])
    if kind in {"jpeg", "progressive jpeg"}:
        at = next(k for k in range(len(data)) if data[k] == 0xFF and data[k + 1] in {0xC0, 0xC2})
        struct.pack_into(">HH", data, at + 5, height, width)
    elif kind == "png":
        struct.pack_into(">II", data, 16, width, height)
        struct.pack_into(">I", data, 29, zlib.crc32(data[12:29]))
    elif kind == "bmp":
        struct.pack_into("<ii", data, 18, width, height)
    elif kind == "tiff":
        return tiff({256: (4, width), 257: (4, height)})
    elif kind == "webp":
        struct.pack_into("<HH", data, 26, width & 0x3FFF, height & 0x3FFF)
    elif kind == "gif":
        struct.pack_into("<HH", data, 6, width, height)
    elif kind == "ppm":
        return f"P6 # a comment 1 1\n {width} {height}\n255\n".encode() + bytes(100)
    elif kind == "jpeg 2000":
        at = data.index(b"\xff\x4f\xff\x51")
        struct.pack_into(">II", data, at + 8, width, height)
    return bytes(data)


def tiff(tags: dict[int, tuple[int, int]], order: str = "<", big: bool = False) -> bytes:
    letters = b"II" if order == "<" else b"MM"
    codes = {1: "B3x", 3: "H2x", 4: "I"} if not big else {3: "H6x", 4: "I4x", 16: "Q"}
    entries = b"".join(
        struct.pack(f"{order}HH{'Q' if big else 'I'}{codes[kind]}", tag, kind, 1, value)
        for tag, (kind, value) in sorted(tags.items())
    )
    if big:
        start = letters + struct.pack(f"{order}HHHQ", 43, 8, 0, 16)
        return start + struct.pack(f"{order}Q", len(tags)) + entries + bytes(8)
    start = letters + struct.pack(f"{order}HI", 42, 8)
    return start + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize(
    "kind",
    ["jpeg", "progressive jpeg", "png", "bmp", "tiff", "gif", "ppm", "jpeg 2000", "webp"],
)
def test_a_size_over_the_limit_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    width, height = (16000, 16000) if kind == "webp" else (30000, 30000)
    (tmp_path / "bomb").write_bytes(with_header(kind, width, height))
    tracemalloc.start()
    began = time.monotonic()
    with pytest.raises(CamError, match=f"{width} x {height} pixels, over the limit") as raised:
        read_picture(tmp_path / "bomb")
    assert time.monotonic() - began < 0.3
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
    assert "CAM_MAX_PIXELS" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_known_lie_is_refused_in_milliseconds(shared_data: Path) -> None:
    began = time.monotonic()
    with pytest.raises(CamError, match="30000 x 30000 pixels, over the limit of 178956970"):
        read_picture(shared_data / "damaged" / "lie30000.jpg")
    assert time.monotonic() - began < 0.3


def test_the_limit_is_pillows_and_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert int(Image.MAX_IMAGE_PIXELS or 0) * 2 == MAX_PIXELS
    image = np.asarray(picture())
    data = FILES["png"]
    monkeypatch.setenv("CAM_MAX_PIXELS", str(WIDTH * HEIGHT))
    np.testing.assert_array_equal(decode_picture(data, "a")[:, :, ::-1], image)
    assert read_picture(picture()).shape == (HEIGHT, WIDTH, 3)
    monkeypatch.setenv("CAM_MAX_PIXELS", str(WIDTH * HEIGHT - 1))
    with pytest.raises(CamError, match=f"67 x 41 pixels, over the limit of {67 * 41 - 1}"):
        decode_picture(data, "a")
    with pytest.raises(CamError, match=f"67 x 41 pixels, over the limit of {67 * 41 - 1}"):
        read_picture(picture())
    monkeypatch.setenv("CAM_MAX_PIXELS", str(10**12))
    check_pixels((10**6, 10**6), "a")
    for wrong in ("many", "-1", "", "9" * 5000):
        monkeypatch.setenv("CAM_MAX_PIXELS", wrong)
        with pytest.raises(InvalidValueError, match="CAM_MAX_PIXELS is a number of pixels"):
            decode_picture(data, "a")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_tiff_files_of_every_kind_tell_their_size(order: str, big: bool) -> None:
    tags = {256: (3, 640), 257: (4, 480)}
    assert claimed_size(tiff(tags, order, big)) == (640, 480)
    tiles = {322: (4, 2**20), 323: (4, 2**20)}
    assert claimed_size(tiff(tags | tiles, order, big)) == (2**20, 2**20)


@pytest.mark.parametrize(
    "data",
    [
        b"II*\0\xff\xff\xff\xff" + bytes(20),
        b"II+\0\x08\0\0\0" + b"\xff" * 8 + bytes(20),
        b"II*\0\x08\0\0\0\xff\xff" + bytes(100),
        tiff({256: (1, 5), 257: (4, 5)}).replace(b"\0\1\1\0", b"\0\1\5\0"),
        b"P6 99999999999999999999 1 255\n",
        b"P6 10#5\n20 255\n",
        b"P6 1 1",
        b"\xff\xd8" + b"\xff\xe0\0\2" * 70000 + b"\xff\xc0\0\x11\x08\0\1\0\1",
        b"\xff\xd8\xff\xda\0\2\xff\xc0\0\x11\x08\0\1\0\1",
        b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0\0\0\0jp2h" * 9,
        b"\xff\x4f\xff\x51" + bytes(36) + b"\x40\0" + bytes(100),
        b"\0\0\0\x1cftypavif" + bytes(100),
        b"#?RADIANCE\n\n-Y 1 +X 1\n",
        b"RIFF\0\0\0\0WEBPVP9 " + bytes(100),
        b"\x89PNG\r\n\x1a\n\0\0\0\rIDAT" + bytes(100),
    ],
    ids=lambda data: repr(data[:8]),
)
def test_a_size_that_cannot_be_told_is_no_size(data: bytes) -> None:
    assert claimed_size(data) is None
    with pytest.raises(CamError, match=r"not a picture|truncated"):
        decode_picture(data, "a")


def test_garbage_and_fill_bytes_between_the_segments_of_a_jpeg_are_passed_over() -> None:
    data = FILES["jpeg"]
    for between in (b"\xff\xff\xff", b"garbage", b"garbage\xff\0garbage"):
        assert claimed_size(data[:2] + between + data[2:]) == (WIDTH, HEIGHT)


SEEDS = st.sampled_from(sorted(FILES))


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(kind=SEEDS, data=st.data())
def test_no_mutated_picture_decodes_to_another_size_than_its_header_claims(
    kind: str, data: st.DataObject
) -> None:
    content = bytearray(FILES[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        # Most of what matters stands in the first bytes.
        last = data.draw(st.sampled_from([64, len(content) - 1]))
        content[data.draw(st.integers(0, last))] = data.draw(st.integers(0, 255))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAM_MAX_PIXELS", "4000000")
        try:
            rows, columns, _ = decode_picture(bytes(content), "a").shape
        except CamError as error:
            assert "\n" not in str(error)
        else:
            claim = claimed_size(bytes(content))
            assert claim in {(columns, rows), (rows, columns)}  # EXIF may turn it
