"""Saliency by backpropagation, with which the paper compares class activation maps.

A pixel is salient for a class if a small change of it changes the class's score: the saliency is
the gradient of the score with respect to the input, the largest absolute value of its channels
(Simonyan et al., 2013, section 3.1). It needs a backward pass, and so the `caffe` engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cam.errors import CamError, InvalidValueError
from cam.explain.explanation import ClassChoice, Explanation
from cam.explain.model import CamModel
from cam.explain.styles import Style, get_style
from cam.pictures.reading import PictureSource

METHOD = "backpropagation"
"""What the record of an explanation calls the method."""

SMOOTHING = 0.02
"""How much saliency is smoothed before boxes are found in it, see `smoothed`. Neither paper says:
without it a map is a spray of single pixels, each of which is a box."""


def saliency_map(gradient: NDArray[Any]) -> NDArray[Any]:
    """Return the saliency of each pixel: the largest absolute value of the channels' gradients.

    Parameters
    ----------
    gradient : numpy.ndarray
        Shape (N, 3, h, w), the gradient of a class's score with respect to the input.

    Returns
    -------
    numpy.ndarray
        Shape (N, h, w), type of `gradient`, not negative.

    Raises
    ------
    CamError
        If the gradient has another shape.

    References
    ----------
    Simonyan, Vedaldi, Zisserman, *Deep Inside Convolutional Networks: Visualising Image
    Classification Models and Saliency Maps*, 2013, section 3.1.

    Examples
    --------
    >>> saliency_map(np.array([[[[1.0]], [[-3.0]], [[2.0]]]]))
    array([[[3.]]])
    """
    if gradient.ndim != 4:
        raise CamError(f"a gradient has the shape (N, channels, h, w), not {gradient.shape}")
    largest: NDArray[Any] = np.abs(gradient).max(axis=1)
    return largest


def explain_by_backpropagation(
    model: CamModel,
    image: PictureSource,
    top: int | None = None,
    style: str | Style = "pycaffe",
    placement: str = "stretch",
    classes: Sequence[ClassChoice] | None = None,
) -> Explanation:
    """Return the saliency of one picture's top classes, or of one class.

    Parameters
    ----------
    model : cam.explain.model.CamModel
        The model, running on the `caffe` engine.
    image : path-like, numpy.ndarray or PIL.Image.Image
        The picture; see `cam.pictures.reading.read_picture`.
    top : int, optional
        How many classes. 5, or all of fewer, if not given.
    style : {"pycaffe", "matlab"} or cam.explain.styles.Style, optional
        One center crop, or ten crops whose saliency is merged as `mergeTenCrop` does.
    placement : {"stretch", "crop"}, optional
        For the pycaffe style: the saliency stretched over the whole picture, as the maps of the
        port, or on the center crop where it belongs.
    classes : sequence of int or str, optional
        The classes in place of the top ones; see `cam.explain.model.CamModel.explain`.

    Returns
    -------
    cam.explain.explanation.Explanation
        As for class activation maps, with the saliency of each crop's pixels in `maps`,
        (crops, T, crop, crop), and ``"method": "backpropagation"`` in the record.

    Raises
    ------
    CamError
        If the model does not run on Caffe, the picture cannot be read, or an argument is out of
        range.

    Notes
    -----
    The score is the class layer's output, before the softmax: maximising a probability can be
    done by lowering the other classes' scores (Simonyan et al., section 2). The gradient is taken
    with respect to the network's input; a pixel's differs by the constant factor of the
    preprocessing.

    Examples
    --------
    >>> model = cam.load("googlenet", engine="caffe")  # doctest: +SKIP
    >>> explain_by_backpropagation(model, "photograph.jpg").save("saliency")  # doctest: +SKIP
    """
    count = model.top_count(top)
    chosen_style = get_style(style, placement)
    chosen = None if classes is None else [model.class_index(one) for one in classes]
    network_input = model.network_input(image, chosen_style)
    output, gradients = model.engine.input_gradients(
        network_input.batch,
        lambda output: model.rank_classes(output, chosen_style, count, chosen)[1],
    )
    explanation = model.explain_output(network_input, output, chosen_style, count, chosen, image)
    return replace(
        explanation,
        maps=np.stack([saliency_map(gradient) for gradient in gradients]),
        record={**explanation.record, "method": METHOD},
        # The saliency of other classes does not follow from the class layer.
        class_layer=None,
    )


def smoothed(explanation: Explanation, fraction: float = SMOOTHING) -> Explanation:
    """Return an explanation whose maps are smoothed with a Gaussian.

    Parameters
    ----------
    explanation : cam.explain.explanation.Explanation
        From `explain_by_backpropagation`.
    fraction : float, optional
        The Gaussian's standard deviation as a fraction of the crop's side; 0 leaves the maps alone.

    Returns
    -------
    cam.explain.explanation.Explanation
        The same classes.

    Raises
    ------
    CamError
        If the fraction is not from 0 up to 1.
    """
    if not 0 <= fraction < 1:
        raise InvalidValueError(f"smoothing is a fraction of the crop's side, not {fraction}")
    if fraction == 0:
        return explanation
    sigma = fraction * explanation.crop_size
    maps = explanation.maps.copy()
    for crop_map in maps.reshape(-1, *maps.shape[2:]):
        crop_map[:] = cv2.GaussianBlur(crop_map, (0, 0), sigma)
    return replace(explanation, maps=maps)
