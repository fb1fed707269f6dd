"""`caffe.io`: pictures as pycaffe reads and prepares them, and arrays as Caffe's messages.

The values are those of pycaffe with scikit-image, which reads and resizes there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

import cv2
import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from cam.arguments import checked
from cam.caffe.schema import message_class
from cam.errors import CamError, InvalidValueError, nearest_names, real_array, whole_number
from cam.files import PathLike, read_bytes
from cam.pycaffe import caffe_pb2
from cam.pycaffe.blob import Array

__all__ = [
    "Transformer",
    "array_to_blobproto",
    "array_to_datum",
    "arraylist_to_blobprotovector_str",
    "blobproto_to_array",
    "blobprotovector_str_to_arraylist",
    "caffe_pb2",
    "datum_to_array",
    "load_image",
    "oversample",
    "resize_image",
]

_LARGEST_SIDE = 2**15
"""Rows or columns of what a picture is made into."""

LUMINANCE = (0.2125, 0.7154, 0.0721)
"""How much red, green and blue add to grey, as scikit-image has it."""

# Its stubs do not know arrays of any kind.
_zoom: Any = ndimage.zoom

_LEGACY_FIELDS = ("num", "channels", "height", "width")


@checked
def blobproto_to_array(blob: Any, return_diff: bool = False) -> NDArray[Any]:
    """Return the numbers of a ``BlobProto`` in its shape.

    Parameters
    ----------
    blob : protobuf message
        With a ``shape`` or the older four fields.
    return_diff : bool, optional
        Its ``diff`` instead of its ``data``.

    Raises
    ------
    ValueError
        If there are more or fewer numbers than its shape has room for.
    """
    _check_message(blob, "BlobProto")
    numbers = np.array(blob.diff if return_diff else blob.data)
    if any(map(blob.HasField, _LEGACY_FIELDS)):
        return numbers.reshape([getattr(blob, name) for name in _LEGACY_FIELDS])
    return numbers.reshape(tuple(blob.shape.dim))


@checked
def array_to_blobproto(arr: NDArray[Any], diff: NDArray[Any] | None = None) -> Any:
    """Return a ``BlobProto`` with an array's shape and numbers.

    Examples
    --------
    >>> blobproto_to_array(array_to_blobproto(np.array([[1, 2]]))).tolist()
    [[1.0, 2.0]]
    """
    blob = message_class("BlobProto")()
    blob.shape.dim.extend(arr.shape)
    blob.data.extend(arr.astype(float).flat)
    if diff is not None:
        blob.diff.extend(diff.astype(float).flat)
    return blob


@checked
def arraylist_to_blobprotovector_str(arraylist: Iterable[NDArray[Any]]) -> bytes:
    """Return arrays as a serialized ``BlobProtoVector``."""
    vector = message_class("BlobProtoVector")(blobs=map(array_to_blobproto, arraylist))
    serialized: bytes = vector.SerializeToString()
    return serialized


@checked
def blobprotovector_str_to_arraylist(str: bytes) -> list[NDArray[Any]]:
    """Return the arrays of a serialized ``BlobProtoVector``."""
    try:
        vector = message_class("BlobProtoVector").FromString(str)
    except DecodeError as error:
        raise InvalidValueError(f"not a serialized BlobProtoVector: {error}") from error
    return [blobproto_to_array(blob) for blob in vector.blobs]


@checked
def array_to_datum(arr: NDArray[Any], label: int | None = None) -> Any:
    """Return a ``Datum`` with an array (channels, height, width): bytes of uint8, else floats.

    Raises
    ------
    ValueError
        If the array has not three axes.
    """
    if arr.ndim != len("CHW"):
        raise InvalidValueError(f"an array of shape {arr.shape}; a datum is (C, H, W)")
    channels, height, width = arr.shape
    datum = message_class("Datum")(channels=channels, height=height, width=width)
    if arr.dtype == np.uint8:
        datum.data = arr.tobytes()
    else:
        datum.float_data.extend(arr.astype(float).flat)
    if label is not None:
        datum.label = label
    return datum


@checked
def datum_to_array(datum: Any) -> NDArray[Any]:
    """Return a ``Datum``'s array (channels, height, width), uint8 or float64."""
    _check_message(datum, "Datum")
    shape = (datum.channels, datum.height, datum.width)
    if datum.data:
        return np.frombuffer(datum.data, np.uint8).reshape(shape).copy()
    return np.array(datum.float_data, float).reshape(shape)


def _check_message(message: Any, kind: str) -> None:
    """Make sure of a message's kind, whichever module of Caffe's messages it is of."""
    if getattr(getattr(message, "DESCRIPTOR", None), "name", None) != kind:
        raise InvalidValueError(f"a {kind} is wanted, not {type(message).__name__}")


class Transformer:
    """Turns pictures into a network's input, and back.

    The steps, in their order: single precision, resize, transpose, swap channels, times the raw
    scale, less the mean, times the input scale.

    Parameters
    ----------
    inputs : mapping of str to tuple of int
        The shape (N, C, H, W) of each input.

    Examples
    --------
    >>> transformer = Transformer({"data": (1, 3, 2, 2)})
    >>> transformer.set_transpose("data", (2, 0, 1))
    >>> transformer.set_raw_scale("data", 255)
    >>> transformer.preprocess("data", np.ones((2, 2, 3)))[0].tolist()
    [[255.0, 255.0], [255.0, 255.0]]
    """

    @checked
    def __init__(self, inputs: Mapping[str, Sequence[int]]) -> None:
        self.inputs = inputs
        self.transpose: dict[str, Sequence[int]] = {}
        self.channel_swap: dict[str, Sequence[int]] = {}
        self.raw_scale: dict[str, float] = {}
        self.mean: dict[str, NDArray[Any]] = {}
        self.input_scale: dict[str, float] = {}

    @checked
    def preprocess(self, in_: str, data: NDArray[Any]) -> Array:
        """Return a picture as an input.

        Parameters
        ----------
        in_ : str
            Which input.
        data : numpy.ndarray
            (H, W, C). Where no step copies it, it is changed, as by pycaffe.

        Returns
        -------
        numpy.ndarray
            float32 (C, H, W) for a transpose of (2, 0, 1).
        """
        self._check(in_)
        result = _checked_picture(data, 2, 3).astype(np.float32, copy=False)
        size = self.inputs[in_][2:]
        if result.shape[:2] != size:
            result = resize_image(result, size)
        self._check_axes(in_, result)
        if in_ in self.transpose:
            result = result.transpose(self.transpose[in_])
        if in_ in self.channel_swap:
            result = result[self.channel_swap[in_], :, :]
        for step, values in (
            (np.multiply, self.raw_scale),
            (np.subtract, self.mean),
            (np.multiply, self.input_scale),
        ):
            # None is what a script sets to leave a step out.
            if values.get(in_) is not None:
                step(result, values[in_], out=result, casting="same_kind")
        return result

    @checked
    def deprocess(self, in_: str, data: NDArray[Any]) -> NDArray[Any]:
        """Return an input as a picture: each step of `preprocess` undone but for the size."""
        self._check(in_)
        result = data.copy().squeeze()
        self._check_axes(in_, result)
        for step, values in (
            (np.divide, self.input_scale),
            (np.add, self.mean),
            (np.divide, self.raw_scale),
        ):
            if values.get(in_) is not None:
                step(result, values[in_], out=result, casting="same_kind")
        if in_ in self.channel_swap:
            result = result[np.argsort(self.channel_swap[in_]), :, :]
        if in_ in self.transpose:
            result = result.transpose(np.argsort(self.transpose[in_]))
        return result

    @checked
    def set_transpose(self, in_: str, order: Sequence[int]) -> None:
        """Set where the picture's axes go: (2, 0, 1) makes (H, W, C) to (C, H, W)."""
        self._check(in_)
        if len(order) != len(self.inputs[in_]) - 1:
            raise InvalidValueError(f"{len(order)} axes for an input {tuple(self.inputs[in_])}")
        self.transpose[in_] = order

    @checked
    def set_channel_swap(self, in_: str, order: Sequence[int]) -> None:
        """Set the order of the channels, behind the transpose: (2, 1, 0) makes RGB to BGR."""
        self._check(in_)
        if len(order) != self.inputs[in_][1]:
            raise InvalidValueError(f"{len(order)} channels for {self.inputs[in_][1]}")
        self.channel_swap[in_] = order

    @checked
    def set_raw_scale(self, in_: str, scale: float) -> None:
        """Set the factor before the mean: 255 for pictures in [0, 1]."""
        self._check(in_)
        self.raw_scale[in_] = scale

    @checked
    def set_mean(self, in_: str, mean: NDArray[Any]) -> None:
        """Set what is subtracted.

        Parameters
        ----------
        in_ : str
            Of which input.
        mean : numpy.ndarray
            A number for each channel, or a picture (C, H, W) or (H, W), which is resized to the
            input's size.
        """
        self._check(in_)
        # As in pycaffe, a shape that is a list equals no array's: the mean is then resized.
        shape = self.inputs[in_]
        if mean.ndim == 1:
            if len(mean) != shape[1]:
                raise InvalidValueError(f"a mean of {len(mean)} channels for an input {shape}")
            mean = mean[:, np.newaxis, np.newaxis]
        elif mean.ndim not in (2, 3):
            raise InvalidValueError(f"a mean of shape {mean.shape}; (C,) and (C, H, W) are known")
        elif ((1,) * (3 - mean.ndim) + mean.shape) != shape[1:]:
            mean = _checked_picture(mean, 3)
            lowest, highest = mean.min(), mean.max()
            unit = (mean - lowest) / (highest - lowest)
            resized = resize_image(unit.transpose((1, 2, 0)), shape[2:])
            mean = resized.transpose((2, 0, 1)) * (highest - lowest) + lowest
        self.mean[in_] = mean

    @checked
    def set_input_scale(self, in_: str, scale: float) -> None:
        """Set the factor behind the mean."""
        self._check(in_)
        self.input_scale[in_] = scale

    def _check_axes(self, in_: str, data: NDArray[Any]) -> None:
        order = self.transpose.get(in_)
        if order is not None and data.ndim != len(order):
            raise InvalidValueError(f"a shape of {data.shape} does not fit the transpose {order}")

    def _check(self, in_: str) -> None:
        if in_ not in self.inputs:
            raise InvalidValueError(f"no input {in_!r}{nearest_names(in_, self.inputs)}")


@checked
def load_image(filename: PathLike | IO[bytes], color: bool = True) -> Array:
    """Read a picture.

    Parameters
    ----------
    filename : path-like or file object
        A file in any format that OpenCV reads, or one that is open. An EXIF orientation is not
        heeded, as by pycaffe.
    color : bool, optional
        Whether to give three channels.

    Returns
    -------
    numpy.ndarray
        float32 (H, W, 3) in RGB order, or (H, W, 1), values in [0, 1].

    Raises
    ------
    CamError
        If there is no picture.
    """
    if isinstance(filename, (str, os.PathLike)):
        data = read_bytes(filename, "the picture")
    else:
        data = filename.read()
    pixels = cv2.imdecode(np.frombuffer(data or b"\0", np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise CamError(f"{filename}: not a picture in a format that OpenCV reads")
    if pixels.dtype.kind == "u":
        largest = 2 ** (8 * pixels.itemsize) - 1
        pixels = np.multiply(pixels, 1 / largest, dtype=np.float64)
    if pixels.ndim == 2:
        return np.tile(pixels[:, :, np.newaxis], 3 if color else 1).astype(np.float32)
    rgb, alpha = pixels[:, :, 2::-1], pixels[:, :, 3:]
    if not color:
        if alpha.size:
            rgb = rgb * alpha + (1 - alpha)
        rgb = (rgb @ np.array(LUMINANCE))[:, :, np.newaxis]
    return np.ascontiguousarray(rgb, np.float32)


@checked
def resize_image(im: NDArray[Any], new_dims: Iterable[int], interp_order: int = 1) -> Array:
    """Resize a picture as scikit-image did in Caffe's time: without smoothing when it shrinks.

    Parameters
    ----------
    im : numpy.ndarray
        (H, W, K).
    new_dims : pair of int
        The new rows and columns.
    interp_order : int, optional
        The order of the splines; 1 is bilinear.

    Returns
    -------
    numpy.ndarray
        float32 (rows, columns, K).

    Examples
    --------
    >>> resize_image(np.array([[[0.0]], [[4.0]]]), (4, 1))[:, 0, 0].tolist()
    [0.0, 1.0, 3.0, 3.0]
    """
    im, (rows, columns) = _checked_picture(im, 3), _sides(new_dims)
    interp_order = whole_number(interp_order, "the order of the splines", 0, 5)
    if im.shape[-1] not in (1, 3):
        factors = np.array([rows, columns], float) / np.array(im.shape[:2])
        zoomed = _zoom(im, (*factors, 1), order=interp_order)
        return np.asarray(zoomed, np.float32)
    lowest, highest = im.min(), im.max()
    if not highest > lowest:
        return np.full((rows, columns, im.shape[-1]), lowest, np.float32)
    unit = (im - lowest) / (highest - lowest)
    # scikit-image's `resize`: beyond the outermost pixels' centers it goes on to zero.
    wanted = (rows, columns, im.shape[-1])
    zoomed = _zoom(
        unit,
        [1 / factor for factor in np.divide(im.shape, wanted)],
        order=interp_order,
        mode="grid-constant",
        grid_mode=True,
    )
    np.clip(zoomed, unit.min(), unit.max(), out=zoomed)
    return np.asarray(zoomed * (highest - lowest) + lowest, np.float32)


@checked
def oversample(images: ArrayLike, crop_dims: Iterable[int]) -> Array:
    """Cut four corners and the center out of each picture, and mirror each crop.

    Parameters
    ----------
    images : array-like
        (H, W, K) each, all of one size.
    crop_dims : pair of int
        Rows and columns of a crop.

    Returns
    -------
    numpy.ndarray
        float32 (10 N, rows, columns, K): for each picture the corners (upper left, upper right,
        lower left, lower right), the center, and the five mirrored.
    """
    pictures = _checked_picture(images, 4).astype(np.float32, copy=False)
    rows, columns = _sides(crop_dims)
    if rows > pictures.shape[1] or columns > pictures.shape[2]:
        raise InvalidValueError(f"crops of {(rows, columns)} from pictures {pictures.shape[1:3]}")
    below, right = pictures.shape[1] - rows, pictures.shape[2] - columns
    # Halves are cut off behind the subtraction, so that an odd difference rounds down.
    center = (int(pictures.shape[1] / 2 - rows / 2), int(pictures.shape[2] / 2 - columns / 2))
    corners = [(0, 0), (0, right), (below, 0), (below, right), center]
    crops = [pictures[:, y : y + rows, x : x + columns] for y, x in corners]
    crops += [crop[:, :, ::-1] for crop in crops]
    return np.stack(crops, axis=1).reshape(-1, rows, columns, pictures.shape[3])


def _checked_picture(pixels: ArrayLike, *axes: int) -> NDArray[Any]:
    array = real_array(pixels, "a picture", *axes)
    if not array.size:
        raise InvalidValueError(f"a picture of shape {array.shape} has no pixel")
    return array


def _sides(dims: Iterable[int]) -> list[int]:
    """Return rows and columns, which pycaffe cuts to whole numbers."""
    sides = real_array(list(dims), "rows and columns", 1)
    if len(sides) != 2 or not ((sides >= 1) & (sides <= _LARGEST_SIDE)).all():
        raise InvalidValueError(
            f"rows and columns are two numbers from 1 to {_LARGEST_SIDE}, not {sides.tolist()}"
        )
    return [int(side) for side in sides]
