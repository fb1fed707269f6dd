"""Reading pictures, whoever they come from; the center crop; writing pictures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import cv2
import numpy as np
from numpy.typing import NDArray

from cam.arguments import checked
from cam.errors import CamError, InvalidValueError, real_array, whole_number
from cam.files import MAX_BYTES, read_bytes, write_bytes
from cam.pictures.sizes import FORMATS, check_pixels, claimed_size, jpeg_segments

if TYPE_CHECKING:
    from PIL.Image import Image


Picture = NDArray[np.uint8]
PictureSource = Union[str, os.PathLike[str], NDArray[Any], "Image"]

FRAME = 256
"""Rows and columns that pictures are resized to before they are cropped; see `frame_size`."""

_LARGEST_CROP = 2**15

_END_OF_IMAGE, _START_OF_SCAN = b"\xff\xd9", 0xDA


def read_picture(source: PictureSource) -> Picture:
    """Return a picture as OpenCV's `imread` gives it.

    Parameters
    ----------
    source : path-like, numpy.ndarray or PIL.Image.Image
        A file, in any format of `cam.pictures.sizes.FORMATS` that OpenCV reads; an array, (H, W),
        (H, W, 1), (H, W, 3) in BGR order or (H, W, 4) in BGRA order, of uint8, uint16 or
        floating-point numbers in [0, 1]; or a Pillow image.

    Returns
    -------
    numpy.ndarray
        uint8 (H, W, 3) in BGR order. Grey pictures are repeated over the channels, an alpha
        channel is dropped, 16-bit values are scaled to 8 bits, and pictures with an EXIF
        orientation are turned upright.

    Raises
    ------
    CamError
        If the picture is missing, empty, truncated or not a picture, if its file is over 512 MiB
        or not a regular file, or if it has more pixels than CAM_MAX_PIXELS allows; an
        `InvalidValueError` if an array or another object is no picture.

    Examples
    --------
    >>> read_picture(np.zeros((4, 6), dtype=np.uint8)).shape
    (4, 6, 3)
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if hasattr(source, "getexif"):
        return _from_pillow(source)
    if isinstance(source, (str, os.PathLike)):
        return decode_picture(read_bytes(source, limit=MAX_BYTES), os.fspath(source))
    raise InvalidValueError(
        f"a picture is a path, an array or a Pillow image, not {type(source).__name__}"
    )


@checked
def decode_picture(data: bytes, source: str, grey: bool = False) -> Picture:
    """Return the picture that the bytes of a file hold; see `read_picture`.

    Parameters
    ----------
    data : bytes
        A whole file.
    source : str
        Where it comes from, for messages.
    grey : bool, optional
        Whether to return grey levels, uint8 (H, W), as OpenCV makes them.

    Raises
    ------
    CamError
        If the picture is empty, truncated, too large or not a picture.
    """
    if not data:
        raise CamError(f"{source}: the file is empty")
    if _is_cut_off(data):
        raise CamError(f"{source}: the picture is truncated")
    size = claimed_size(data)
    if size is None:
        raise CamError(f"{source}: not a picture in a format that is read ({FORMATS}), or damaged")
    check_pixels(size, source)
    flag = cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error as error:
        raise CamError(f"{source}: OpenCV cannot decode the picture ({error.err})") from error
    if picture is None:
        raise CamError(f"{source}: not a picture in a format that OpenCV reads, or a damaged one")
    return np.asarray(picture, np.uint8)


def _is_cut_off(data: bytes) -> bool:
    """Tell whether a JPEG or PNG file ends too early, which decoders hide behind grey areas."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return b"IEND" not in data
    if data.startswith(b"\xff\xd8"):
        # The end of a thumbnail, in a header, is not the picture's.
        pixels = [at for marker, at in jpeg_segments(data) if marker == _START_OF_SCAN]
        return not pixels or data.rfind(_END_OF_IMAGE) < pixels[0]
    return False


def _from_pillow(image: Any) -> Picture:
    from PIL import ImageOps

    check_pixels(image.size, "the Pillow image")
    try:
        upright = ImageOps.exif_transpose(image)
        # Older releases of Pillow open 16-bit files as 32-bit ones.
        pixels = np.asarray(upright)
        if upright.mode.startswith("I;16") or (upright.mode == "I" and pixels.max() > 255):
            return _from_array(pixels.clip(0, 65535).astype(np.uint16))
        return np.ascontiguousarray(np.asarray(upright.convert("RGB"), np.uint8)[:, :, ::-1])
    except (OSError, ValueError) as error:
        raise CamError(f"Pillow cannot decode the picture: {error}") from error


def _from_array(array: NDArray[Any]) -> Picture:
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or 0 in array.shape or channels not in (1, 3, 4):
        raise InvalidValueError(
            f"an array of shape {array.shape} is not a picture; (H, W) and (H, W, 1, 3 or 4) are"
        )
    pixels = _to_uint8(array)
    if channels == 1:
        return np.ascontiguousarray(np.broadcast_to(np.atleast_3d(pixels), (*pixels.shape[:2], 3)))
    return np.ascontiguousarray(pixels[:, :, :3])


def _to_uint8(array: NDArray[Any]) -> Picture:
    if array.dtype == np.uint8:
        return array
    if array.dtype.newbyteorder("=") == np.uint16:
        return np.asarray(array >> 8, np.uint8)
    values = ""
    if array.dtype.kind == "f":
        lowest, highest = array.min(), array.max()
        if lowest >= 0 and highest <= 1:
            return np.round(array * 255).astype(np.uint8)
        values = f" with values {lowest} to {highest}"
    raise InvalidValueError(
        f"an array of {array.dtype}{values} is not a picture; uint8, uint16 and floating-point "
        "numbers in [0, 1] are"
    )


@checked
def frame_size(crop: int) -> int:
    """Return the rows and columns that a picture is resized to before crops are cut out of it.

    Parameters
    ----------
    crop : int
        Rows and columns of a crop.

    Returns
    -------
    int
        256, as in both published programs; for larger crops 256/224 of the crop.

    Examples
    --------
    >>> frame_size(224), frame_size(227), frame_size(448)
    (256, 256, 512)
    """
    crop = whole_number(crop, "the crop", 1, _LARGEST_CROP)
    return FRAME if crop <= FRAME else round(FRAME / 224 * crop)


@checked
def center_crop(frame: Picture, crop: int) -> tuple[slice, slice]:
    """Return the rows and columns of the port's center crop.

    Parameters
    ----------
    frame : numpy.ndarray
        (H, W, ...) picture.
    crop : int
        Rows and columns of the crop.

    Returns
    -------
    tuple of slice
        ``center ± crop / 2``, cut to whole numbers (`py_demo.py` of gcucurull/CAM-Python).

    Examples
    --------
    >>> center_crop(np.zeros((256, 256, 3), np.uint8), 227)
    (slice(14, 241, None), slice(14, 241, None))
    """
    sizes = real_array(frame, "a picture", 2, 3).shape[:2]
    crop = whole_number(crop, "the crop", 1, min(sizes))
    rows, columns = (slice(int(size / 2 - crop / 2), int(size / 2 + crop / 2)) for size in sizes)
    return rows, columns


@checked
def write_picture(path: str | os.PathLike[str], picture: Picture) -> None:
    """Write a BGR picture in the format that the file's extension names.

    Parameters
    ----------
    path : path-like
        The file to write; it appears complete or not at all.
    picture : numpy.ndarray
        uint8 (H, W, 3) in BGR order, or (H, W, 4) in BGRA order.

    Raises
    ------
    CamError
        If OpenCV does not write the format, matplotlib is missing for a ``.pdf`` or an ``.svg``,
        or the file cannot be written.
    """
    extension = Path(path).suffix
    if extension in (".pdf", ".svg"):
        from cam.pictures.matplotlib_files import write_page

        write_page(path, picture)
        return
    if (
        not isinstance(picture, np.ndarray)
        or picture.dtype != np.uint8
        or picture.ndim not in (2, 3)
    ):
        raise InvalidValueError(f"cannot write {path}: a picture is an array of uint8, (H, W, 3)")
    try:
        _, encoded = cv2.imencode(extension, picture)
    except cv2.error as error:
        raise CamError(f"cannot write {path}: OpenCV does not write {extension!r} files") from error
    write_bytes(path, encoded.tobytes())
