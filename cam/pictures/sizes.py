"""The size that a picture's file claims, found in its header before anything is decoded.

A decoder allocates what a header claims: 2 kB may ask for 3 GiB. OpenCV has a limit of its own,
2**30 pixels, which is one for the whole process and is read when OpenCV is loaded; Pillow, which
reads headers only, is not in the base installation. A size that cannot be told is no size.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Iterator

from cam.errors import CamError, InvalidValueError

MAX_PIXELS = 178_956_970
"""How many pixels a picture has at most if nothing else is said: where Pillow stops, too.

Decoding as many takes 1.1 GB; the largest sensors of cameras have 150 million.
"""

MAX_PIXELS_VARIABLE = "CAM_MAX_PIXELS"
"""The environment variable that sets another limit."""

FORMATS = "JPEG, PNG, BMP, TIFF, WebP, GIF, JPEG 2000, AVIF, PBM, PGM and PPM"
"""The formats of pictures that are read."""

_Size = tuple[int, int]

_MOST_SEGMENTS, _MOST_ENTRIES = 1 << 16, 4096
_START_OF_SCAN, _END = 0xDA, 0xD9
_WITHOUT_CONTENT = {0x01, *range(0xD0, 0xD9)}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 322, 323
_TIFF_NUMBERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
# As OpenCV reads them: a comment may stand wherever a blank may, but a number ends with a blank.
_PNM = re.compile(rb"P[1-6](?:\s|#[^\r\n]*[\r\n])*(\d{1,9})\s(?:\s|#[^\r\n]*[\r\n])*(\d{1,9})\s")
_AVIF_EXTENT = re.compile(rb"ispe.{4}(.{4})(.{4})", re.DOTALL)


def check_pixels(size: tuple[int, int], source: str) -> None:
    """Refuse a picture of too many pixels.

    Parameters
    ----------
    size : pair of int
        Its width and height.
    source : str
        Where it comes from, for the message.

    Raises
    ------
    CamError
        If it has more pixels than `MAX_PIXELS`, or than the environment variable CAM_MAX_PIXELS
        says.
    """
    text = os.environ.get(MAX_PIXELS_VARIABLE, str(MAX_PIXELS))
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise InvalidValueError(f"{MAX_PIXELS_VARIABLE} is a number of pixels, not {text[:40]!r}")
    width, height = size
    if width * height > int(text):
        raise CamError(
            f"{source}: {width} x {height} pixels, over the limit of {int(text)}; "
            f"{MAX_PIXELS_VARIABLE} sets another"
        )


def claimed_size(data: bytes) -> _Size | None:
    """Return width and height that the header of a picture's file claims.

    Parameters
    ----------
    data : bytes
        The whole file.

    Returns
    -------
    pair of int or None
        Width and height; None if the file is of none of the `FORMATS`, or its header is damaged.

    Examples
    --------
    >>> claimed_size(b"P5 640 480 255 ...")
    (640, 480)
    """
    for begins, size_of in _READERS:
        if begins.match(data):
            try:
                return size_of(data)
            except (struct.error, OverflowError):
                return None
    return None


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the segments of a JPEG that stand before its pixels.

    Parameters
    ----------
    data : bytes
        The whole file.

    Yields
    ------
    pair of int
        The marker, and where the segment's content begins. The last one is the start of the scan,
        if there is one.
    """
    at = 2
    for _ in range(_MOST_SEGMENTS):
        # Decoders pass over what stands between segments, and over any number of FF bytes.
        at = data.find(b"\xff", at)
        while at >= 0 and data[at : at + 1] == b"\xff":
            at += 1
        if at < 0 or at + 3 > len(data):
            return
        marker, at = data[at], at + 1
        if marker == _END:
            return
        if marker and marker not in _WITHOUT_CONTENT:
            yield marker, at
            if marker == _START_OF_SCAN:
                return
            at += int.from_bytes(data[at : at + 2], "big")


def _jpeg(data: bytes) -> _Size | None:
    for marker, at in jpeg_segments(data):
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 3)
            return width, height
    return None


def _png(data: bytes) -> _Size | None:
    kind, width, height = struct.unpack_from(">4sII", data, 12)
    return (width, height) if kind == b"IHDR" else None


def _bmp(data: bytes) -> _Size:
    if struct.unpack_from("<I", data, 14)[0] == 12:
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        width, height = struct.unpack_from("<ii", data, 18)
    return abs(width), abs(height)


def _gif(data: bytes) -> _Size:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


def _webp(data: bytes) -> _Size | None:
    kind = data[12:16]
    if kind == b"VP8X":
        low, middle, high = struct.unpack_from("<IHB", data, 23)
        return (low >> 8) + 1, (middle | high << 16) + 1
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _pnm(data: bytes) -> _Size | None:
    match = _PNM.match(data[: 1 << 16])
    return (int(match[1]), int(match[2])) if match else None


def _tiff(data: bytes) -> _Size | None:
    """Return the size of the first page, or of its tiles if they claim more than the page."""
    order = "<" if data[:2] == b"II" else ">"
    if struct.unpack_from(f"{order}H", data, 2)[0] == 42:
        (at,) = struct.unpack_from(f"{order}I", data, 4)
        count, entry, at = struct.unpack_from(f"{order}H", data, at)[0], f"{order}HHI", at + 2
    else:
        (at,) = struct.unpack_from(f"{order}Q", data, 8)
        count, entry, at = struct.unpack_from(f"{order}Q", data, at)[0], f"{order}HHQ", at + 8
    if count > _MOST_ENTRIES:
        return None
    head, found = struct.calcsize(entry), dict.fromkeys((_WIDTH, _HEIGHT), 0)
    for _ in range(count):
        tag, kind, _ = struct.unpack_from(entry, data, at)
        if tag in {_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT}:
            if kind not in _TIFF_NUMBERS:
                return None
            number = struct.unpack_from(order + _TIFF_NUMBERS[kind], data, at + head)[0]
            found[tag] = max(found.get(tag, 0), number)
        at += head + (head - 4)
    page = found[_WIDTH], found[_HEIGHT]
    tile = found.get(_TILE_WIDTH, 0), found.get(_TILE_HEIGHT, 0)
    return max(page, tile, key=lambda size: size[0] * size[1])


def _jpeg2000(data: bytes) -> _Size | None:
    at = 0
    for _ in range(_MOST_ENTRIES):
        if data[at : at + 4] == b"\xff\x4f\xff\x51":
            right, bottom, left, top = struct.unpack_from(">IIII", data, at + 8)
            # Decoders make an array of each channel, whatever becomes of it.
            channels = struct.unpack_from(">H", data, at + 40)[0]
            size = max(right - left, 0), max(bottom - top, 0)
            return size if channels <= 4 else None
        length, kind = struct.unpack_from(">I4s", data, at)
        header = 8
        if length == 1:
            length, header = struct.unpack_from(">Q", data, at + 8)[0], 16
        if kind != b"jp2c" and length < header:
            return None
        at += header if kind == b"jp2c" else length
    return None


def _avif(data: bytes) -> _Size | None:
    extents = [(found[1], found[2]) for found in _AVIF_EXTENT.finditer(data)]
    sizes = [(int.from_bytes(w, "big"), int.from_bytes(h, "big")) for w, h in extents]
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


_READERS: tuple[tuple[re.Pattern[bytes], Callable[[bytes], _Size | None]], ...] = (
    (re.compile(rb"\xff\xd8"), _jpeg),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), _png),
    (re.compile(rb"BM"), _bmp),
    (re.compile(rb"GIF8[79]a"), _gif),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), _webp),
    (re.compile(rb"P[1-6]"), _pnm),
    (re.compile(rb"II[*+]\0|MM\0[*+]"), _tiff),
    (re.compile(rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n"), _jpeg2000),
    (re.compile(rb".{4}ftyp", re.DOTALL), _avif),
)
