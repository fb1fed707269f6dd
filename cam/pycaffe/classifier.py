"""`caffe.Classifier`: a network with the steps from pictures to class probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cam.files import PathLike
from cam.pycaffe import io
from cam.pycaffe.blob import Array
from cam.pycaffe.net import TEST, Net

__all__ = ["Classifier", "prepared"]


def prepared(
    net: Net,
    mean: NDArray[Any] | None,
    input_scale: float | None,
    raw_scale: float | None,
    channel_swap: Sequence[int] | None,
) -> io.Transformer:
    """Return the transformer for a network's first input, with the steps that are given."""
    name = net.inputs[0]
    transformer = io.Transformer({name: net.blobs[name].data.shape})
    transformer.set_transpose(name, (2, 0, 1))
    if mean is not None:
        transformer.set_mean(name, mean)
    if input_scale is not None:
        transformer.set_input_scale(name, input_scale)
    if raw_scale is not None:
        transformer.set_raw_scale(name, raw_scale)
    if channel_swap is not None:
        transformer.set_channel_swap(name, channel_swap)
    return transformer


class Classifier(Net):
    """A network that takes pictures of any size.

    Parameters
    ----------
    model_file, pretrained_file : path-like
        The prototxt and the caffemodel.
    image_dims : pair of int, optional
        Rows and columns that pictures are resized to before they are cropped; the input's if not
        given.
    mean, input_scale, raw_scale, channel_swap : optional
        As of `cam.pycaffe.io.Transformer`.
    """

    def __init__(
        self,
        model_file: PathLike,
        pretrained_file: PathLike,
        image_dims: Sequence[int] | None = None,
        mean: NDArray[Any] | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
    ) -> None:
        super().__init__(model_file, TEST, weights=pretrained_file)
        self.transformer = prepared(self, mean, input_scale, raw_scale, channel_swap)
        self.crop_dims = np.array(self.blobs[self.inputs[0]].shape[2:])
        self.image_dims = list(image_dims or self.crop_dims)

    def predict(self, inputs: Sequence[NDArray[Any]], oversample: bool = True) -> Array:
        """Return the class probabilities of pictures.

        Parameters
        ----------
        inputs : sequence of numpy.ndarray
            (H, W, K) each, as `cam.pycaffe.io.load_image` returns them.
        oversample : bool, optional
            Whether to average over ten crops; the center alone otherwise.

        Returns
        -------
        numpy.ndarray
            (N, classes).
        """
        resized = np.stack([io.resize_image(each, self.image_dims) for each in inputs])
        if oversample:
            crops = io.oversample(resized, self.crop_dims)
        else:
            start, stop = (
                (np.array(self.image_dims) / 2 + sign * self.crop_dims / 2).astype(int)
                for sign in (-1, 1)
            )
            crops = resized[:, start[0] : stop[0], start[1] : stop[1]]
        name = self.inputs[0]
        batch = np.stack([self.transformer.preprocess(name, crop) for crop in crops])
        predictions = self.forward_all(None, **{name: batch})[self.outputs[0]]
        if oversample:
            predictions = predictions.reshape(len(inputs), 10, -1).mean(axis=1)
        return predictions
