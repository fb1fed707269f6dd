"""`caffe.Detector`: a network that classifies windows of pictures, with some of what is around."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cam.errors import InvalidValueError
from cam.files import PathLike
from cam.pycaffe import io
from cam.pycaffe.blob import Array
from cam.pycaffe.classifier import prepared
from cam.pycaffe.errors import needs_caffe
from cam.pycaffe.net import TEST, Net

__all__ = ["Detector"]


class Detector(Net):
    """A network that classifies windows of pictures, as R-CNN does.

    Parameters
    ----------
    model_file, pretrained_file : path-like
        The prototxt and the caffemodel.
    mean, input_scale, raw_scale, channel_swap : optional
        As of `cam.pycaffe.io.Transformer`.
    context_pad : int, optional
        How many pixels of the input, on each side, show what is around the window.
    """

    def __init__(
        self,
        model_file: PathLike,
        pretrained_file: PathLike,
        mean: NDArray[Any] | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
        context_pad: int | None = None,
    ) -> None:
        super().__init__(model_file, TEST, weights=pretrained_file)
        self.transformer = prepared(self, mean, input_scale, raw_scale, channel_swap)
        self.configure_crop(context_pad)

    def configure_crop(self, context_pad: int | None) -> None:
        """Set how much of what is around windows is shown, and what stands beyond the picture.

        Parameters
        ----------
        context_pad : int or None
            Pixels on each side of the input.
        """
        name = self.inputs[0]
        channels, rows, columns = self.blobs[name].shape[1:]
        self.crop_dims = np.array((rows, columns, channels))
        self.context_pad = context_pad
        # Beyond the picture lies the mean, as a picture before the transformer's steps.
        mean = self.transformer.mean.get(name)
        self.crop_mean: NDArray[Any] = np.zeros(tuple(self.crop_dims), np.float32)
        if mean is not None:
            beyond = mean.transpose((1, 2, 0)).copy()
            if name in self.transformer.channel_swap:
                beyond = beyond[:, :, np.argsort(self.transformer.channel_swap[name])]
            if name in self.transformer.raw_scale:
                beyond = beyond / self.transformer.raw_scale[name]
            self.crop_mean = beyond

    def detect_windows(
        self, images_windows: Iterable[tuple[PathLike, Iterable[ArrayLike]]]
    ) -> list[dict[str, Any]]:
        """Classify windows of pictures.

        Parameters
        ----------
        images_windows : iterable of (path-like, iterable of array-like)
            Pictures and their windows (ymin, xmin, ymax, xmax) in pixels.

        Returns
        -------
        list of dict
            ``window``, ``prediction`` (the probabilities) and ``filename`` of each window.
        """
        found: list[dict[str, Any]] = []
        crops: list[Array] = []
        name = self.inputs[0]
        for filename, windows in images_windows:
            image = io.load_image(filename)
            for window in windows:
                found.append({"window": window, "prediction": None, "filename": filename})
                crop = self.crop(image, window)
                crops.append(self.transformer.preprocess(name, crop))
        if not found:
            raise InvalidValueError("no windows to classify")
        predictions = self.forward_all(None, **{name: np.stack(crops)})[self.outputs[0]]
        for detection, prediction in zip(found, predictions, strict=True):
            detection["prediction"] = prediction
        return found

    def detect_selective_search(self, image_fnames: Sequence[PathLike]) -> NoReturn:
        """Refuse: the proposals are computed in MATLAB by a package that no longer exists."""
        raise needs_caffe("Detector.detect_selective_search, with MATLAB and selective search,")

    def crop(self, im: NDArray[Any], window: ArrayLike) -> Array:
        """Cut a window out of a picture, with what is around it.

        Parameters
        ----------
        im : numpy.ndarray
            (H, W, K).
        window : array-like
            ymin, xmin, ymax, xmax.

        Returns
        -------
        numpy.ndarray
            The window, or with a context an array of the input's size.
        """
        box = np.asarray(window)
        if not self.context_pad:
            top, left, bottom, right = box.astype(int)
            return np.asarray(im[top:bottom, left:right])
        size = int(self.crop_dims[0])
        # The window fills the input but for the pad: so much larger is what is cut out.
        scale = size / (size - 2 * self.context_pad)
        half = np.array([box[2] - box[0] + 1, box[3] - box[1] + 1]) / 2
        center = box[:2] + half
        half = half * scale
        around = np.round(np.r_[center, center] + np.r_[-half, half]).astype(int)
        return self._with_mean_around(im, around, size)

    def _with_mean_around(self, im: NDArray[Any], around: NDArray[Any], size: int) -> Array:
        """Resize what a box shows of a picture, and lay it into the mean where it lies in it."""
        inside = np.clip(around, 0, np.tile(im.shape[:2], 2))
        scales = size / (around[2:] - around[:2] + 1)
        pads = [round(pad) for pad in np.maximum(0, -around[:2]) * scales]
        shown = inside[2:] - inside[:2] + 1
        if min(shown) <= 0:
            raise InvalidValueError(f"a window of {around.tolist()} beside its picture")
        rows, columns = (
            min(round(length), size - pad) for length, pad in zip(shown * scales, pads, strict=True)
        )
        part = im[inside[0] : inside[2], inside[1] : inside[3]]
        crop: Array = np.ones(tuple(self.crop_dims), np.float32) * self.crop_mean
        crop[pads[0] : pads[0] + rows, pads[1] : pads[1] + columns] = io.resize_image(
            part, (rows, columns)
        )
        return crop
