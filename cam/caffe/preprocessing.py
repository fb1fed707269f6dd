"""How a network wants its pixels: the order of the channels, their mean and their scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from cam.arguments import checked, checked_fields
from cam.caffe.schema import message_class
from cam.errors import CamError, InvalidValueError
from cam.files import PathLike, models_folder, read_arrays, read_bytes

Channels = Literal["BGR", "RGB"]

MAX_MEAN_BYTES = 64 * 2**20


@checked_fields
@dataclass(frozen=True)
class Preprocessing:
    """How a crop's pixels become the network's input: ``(pixel - mean) * scale``.

    Attributes
    ----------
    channels : {"BGR", "RGB"}
        Order of the input's channels.
    mean : tuple of float
        What is subtracted from each channel, in that order.
    scale : float
        Factor after the subtraction.
    mean_file : str
        A file with a mean for each pixel of the frame, ``.npy`` or ``.binaryproto``, which the
        ten-crop style subtracts instead; a name without a folder is one of the project's models
        folder. Empty if the channels' means do for it too.
    """

    channels: Channels
    mean: tuple[float, float, float]
    scale: float = 1.0
    mean_file: str = ""

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (*self.mean, self.scale))):
            raise InvalidValueError("the mean and the scale of the input are finite numbers")

    @checked
    def mean_picture(self, size: int = 256) -> NDArray[np.float32]:
        """Return the mean that the ten-crop style subtracts.

        Parameters
        ----------
        size : int, optional
            Rows and columns of the frame.

        Returns
        -------
        numpy.ndarray
            float32 (3, size, size), or (3, 1, 1) if there is no mean picture of that size;
            channels in the input's order.
        """
        if self.mean_file:
            picture = _load_mean(self.mean_file)
            if picture.shape[1:] in ((size, size), (1, 1)):
                return picture
        return np.array(self.mean, np.float32)[:, np.newaxis, np.newaxis]


ILSVRC_2012_MEAN = Preprocessing(
    "BGR", (104.00698793, 116.66876762, 122.67891434), mean_file="ilsvrc_2012_mean.npy"
)
"""Caffe's ``ilsvrc_2012_mean``."""


def preprocessing_with(
    mean: tuple[float, float, float] | PathLike | None = None,
    scale: float | None = None,
    channels: Channels | None = None,
) -> Preprocessing:
    """Return a preprocessing by what differs from Caffe's ImageNet networks.

    Parameters
    ----------
    mean : tuple of float or path-like, optional
        The mean of each channel in the input's order, or a mean file of Caffe: ``.npy`` or
        ``.binaryproto``, (3, h, w) or (3,), whose average over the pixels is the channels' mean,
        as scripts for pycaffe take it. ILSVRC's if not given.
    scale : float, optional
        Factor after the subtraction; 1 if not given.
    channels : {"BGR", "RGB"}, optional
        Order of the input's channels; BGR if not given.

    Returns
    -------
    Preprocessing
        The preprocessing.

    Raises
    ------
    CamError
        If a number is not finite, or the file is not a mean of three channels.

    Examples
    --------
    >>> preprocessing_with((104.0, 117.0, 123.0)).mean_file
    ''
    """
    if mean is None and scale is None and channels is None:
        return ILSVRC_2012_MEAN
    order, factor = channels or "BGR", 1.0 if scale is None else scale
    if mean is None:
        values = ILSVRC_2012_MEAN.mean if order == "BGR" else ILSVRC_2012_MEAN.mean[::-1]
        return Preprocessing(order, (values[0], values[1], values[2]), factor)
    if isinstance(mean, tuple):
        return Preprocessing(order, mean, factor)
    path = Path(mean).absolute()
    picture = _load_mean(str(path))
    first, second, third = (float(value) for value in picture.mean(axis=(1, 2), dtype=np.float64))
    per_pixel = str(path) if picture.shape[1:] != (1, 1) else ""
    return Preprocessing(order, (first, second, third), factor, per_pixel)


@lru_cache(maxsize=4)
def _load_mean(mean_file: str) -> NDArray[np.float32]:
    path = models_folder() / mean_file
    if path.suffix == ".binaryproto":
        mean = _read_blob(path)
    else:
        mean = read_arrays(path, "the mean", MAX_MEAN_BYTES).get("array", np.zeros(()))
    if mean.ndim == 1:
        mean = mean[:, np.newaxis, np.newaxis]
    if mean.ndim != 3 or len(mean) != 3 or mean.dtype.kind != "f" or not np.isfinite(mean).all():
        raise CamError(f"{path}: an array of {mean.dtype} {mean.shape} is not a mean of 3 channels")
    single: NDArray[np.float32] = mean.astype(np.float32)
    single.flags.writeable = False
    return single


def _read_blob(path: Path) -> NDArray[Any]:
    blob = message_class("BlobProto")()
    try:
        blob.ParseFromString(read_bytes(path, "the mean", MAX_MEAN_BYTES))
    except DecodeError as error:
        raise CamError(f"{path}: not a mean of Caffe's compute_image_mean ({error})") from error
    shape = tuple(blob.shape.dim) or (blob.channels, blob.height, blob.width)
    numbers = np.array(blob.data, np.float32)
    # A fourth axis is that of the batch, in which the mean is alone.
    if math.prod(shape[-3:]) != numbers.size or min(shape) < 1:
        raise CamError(f"{path}: {numbers.size} numbers for a shape of {shape}")
    return numbers.reshape(shape[-3:])
