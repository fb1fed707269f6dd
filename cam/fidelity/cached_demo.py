"""The original's cached demo: maps from pre-extracted features, without any network.

The original repository carries the activations and scores of two pictures and the class layer of
its network, from which its `demo.m` with ``online = 0`` makes the maps.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cam import zoo
from cam.caffe.network import load_network
from cam.engines import NetworkOutput
from cam.errors import CamError
from cam.explain.explanation import ClassLayer, Explanation, source_of
from cam.explain.model import top_count
from cam.explain.styles import MatlabStyle
from cam.files import PathLike, models_folder, sha256_of
from cam.maps.activation_maps import return_cam_map
from cam.matlab import imresize, original_release
from cam.pictures.reading import FRAME, PictureSource, read_picture

__all__ = ["OTHER_SNAPSHOT", "SAME_NETWORK", "crop_of_maps", "explain_features", "score_residual"]

Array: TypeAlias = NDArray[np.float32]

SAME_NETWORK = 1e-2
"""The largest `score_residual` of features and class layer of one network.

Single precision leaves about 1e-5; another snapshot of the same network gives about 0.3.
"""

OTHER_SNAPSHOT = (
    "the features of img2 in the original repository come from another snapshot of the network "
    "than data_net.mat; their scores do not follow from weights_LR to better than about 0.3 in "
    "the logarithm"
)
"""What is said of features that another network made than the class layer's."""


def explain_features(
    features: PathLike,
    network: PathLike,
    image: PictureSource,
    top: int | None = None,
    crop: int | None = None,
    first_crop: bool = False,
) -> Explanation:
    """Return the class activation maps that follow from pre-extracted features.

    Parameters
    ----------
    features : path-like
        A ``.mat`` file with the activations and scores of ten crops; see
        `cam.matlab.original_release.load_features`.
    network : path-like
        A ``.mat`` file with the class layer; see `cam.matlab.original_release.load_network`.
    image : path-like, numpy.ndarray or PIL.Image.Image
        The picture that the features are of.
    top : int, optional
        How many classes. 5, or all of fewer, if not given.
    crop : int, optional
        Rows and columns of a crop; by the size of the maps if not given (`crop_of_maps`).
    first_crop : bool, optional
        Take the order and the probabilities of the classes from the first crop alone. So does the
        published `demo.m` with the published `data_img1.mat`: its ``mean(scores,2)`` does nothing
        to scores of 1 x 1 x 1000 x 10.

    Returns
    -------
    cam.explain.explanation.Explanation
        As `cam.explain.model.CamModel.explain` gives with ``style="matlab"``. The record says where
        the features came from, and its ``score_residual`` how well they fit the class layer.

    Raises
    ------
    CamError
        If a file does not hold what it should, or they do not fit each other.

    Examples
    --------
    >>> result = explain_features("data_img1.mat", "data_net.mat", "img1.jpg")  # doctest: +SKIP
    >>> result.names[0]  # doctest: +SKIP
    'n07930864 cup'
    """
    (activations, crop_scores), (class_weights, categories) = _load(features, network)
    style, count = MatlabStyle(), top_count(top, len(class_weights))
    rows = activations.shape[2]
    crop = crop or crop_of_maps(rows)
    if crop is None:
        raise CamError(f"{features}: maps of {rows} rows; name the size of the crops with --crop")
    scores = crop_scores[0] if first_crop else crop_scores.mean(axis=0)
    indices = style.class_order(scores)[:count]
    names = categories or zoo.default_class_names(len(class_weights))
    picture = read_picture(image)
    return Explanation(
        frame=imresize(picture, (FRAME, FRAME)),
        picture_size=(picture.shape[0], picture.shape[1]),
        scores=scores,
        indices=indices,
        names=tuple(names[index] for index in indices),
        maps=return_cam_map(activations, class_weights[indices]),
        crop_size=crop,
        output=NetworkOutput(activations, crop_scores),
        class_layer=ClassLayer(class_weights, names),
        style=style,
        record={
            **_files(features=features, network=network),
            "scores": "of the first crop" if first_crop else "mean of the crops",
            "score_residual": score_residual(activations, crop_scores, class_weights),
            **dict.fromkeys(("engine", "device"), "none"),
            **style.record,
        },
        source=source_of(image),
    )


def _load(
    features: PathLike, network: PathLike
) -> tuple[original_release.Features, original_release.MatlabNetwork]:
    """Read features and class layer, and make sure that the original could take them together."""
    loaded, layer = original_release.load_features(features), original_release.load_network(network)
    classes, channels = layer.class_weights.shape
    crops, own_channels = loaded.activations.shape[:2]
    if (own_channels, loaded.scores.shape[1]) != (channels, classes):
        raise CamError(
            f"{features} and {network} do not fit each other: {own_channels} channels and "
            f"{loaded.scores.shape[1]} classes, {channels} channels and {classes} classes"
        )
    if crops != MatlabStyle().crops:
        raise CamError(
            f"{features}: features of {crops} crops; the original merges ten, which "
            "cam run --style matlab --save-mat writes"
        )
    return loaded, layer


def _files(**files: PathLike) -> dict[str, str]:
    """Return what the record of a result says of the files that it comes from."""
    record = {"model": "pre-extracted features"}
    for role, file in files.items():
        record |= {role: Path(file).name, f"{role}_sha256": sha256_of(file)}
    return record


@lru_cache(maxsize=16)
def crop_of_maps(rows: int) -> int | None:
    """Return how many rows a crop has whose maps have that many, in the models of the table.

    Parameters
    ----------
    rows : int
        Rows of the maps of a crop.

    Returns
    -------
    int or None
        Rows of the crop; None if no model has such maps.

    Examples
    --------
    >>> crop_of_maps(14), crop_of_maps(11), crop_of_maps(13)
    (224, 227, None)
    """
    for model in zoo.ZOO:
        network = load_network(models_folder() / model.prototxt)
        if network.blob_shapes[model.last_conv][2] == rows:
            return network.input_shape[2]
    return None


def score_residual(activations: Array, scores: Array, class_weights: Array) -> float:
    """Return how far scores are from following from activations and class layer.

    The logarithm of a softmax score is the class's weights times the mean activations, plus the
    class's bias, plus a number that the crop's classes share. Neither of the latter two is known
    here: what is left after the mean over the classes and the mean over the crops are taken off
    must be zero.

    Parameters
    ----------
    activations : numpy.ndarray
        The last convolution's output, shape (N, K, h, w), N being 2 or more.
    scores : numpy.ndarray
        Shape (N, classes), after the softmax.
    class_weights : numpy.ndarray
        Shape (classes, K).

    Returns
    -------
    float
        The largest absolute residual, in the logarithm. Classes whose score is zero in some crop
        are passed over.

    References
    ----------
    Zhou et al., *Learning Deep Features for Discriminative Localization*, CVPR 2016, section 2.
    """
    positive = (scores > np.finfo(np.float32).tiny).all(axis=0)
    pooled = activations.mean(axis=(2, 3), dtype=np.float64)
    residual = np.log(scores[:, positive].astype(np.float64))
    residual -= pooled @ class_weights[positive].astype(np.float64).T
    residual -= residual.mean(axis=1, keepdims=True)
    residual -= residual.mean(axis=0)
    return float(np.abs(residual).max(initial=0.0))
