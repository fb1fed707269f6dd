"""The original's cached demo: maps from pre-extracted features, without any network.

The original repository carries the activations and scores of two pictures and the class layer of
its network, from which its `demo.m` with ``online = 0`` makes the maps.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cam import zoo
from cam.engines import NetworkOutput
from cam.errors import CamError
from cam.explain.explanation import ClassLayer, Explanation
from cam.explain.styles import MatlabStyle
from cam.files import sha256_of
from cam.maps.activation_maps import return_cam_map
from cam.matlab import matfiles
from cam.matlab.functions import imresize
from cam.pictures.reading import FRAME, PictureSource, read_picture
from cam.zoo.download import Progress, fetch_file

__all__ = [
    "CROPS",
    "DEMO_FILES",
    "OTHER_SNAPSHOT",
    "SAME_NETWORK",
    "demo_folder",
    "explain_features",
    "fetch_demo_file",
    "score_residual",
]

SOURCES = (
    "https://github.com/metalbubble/CAM/raw/master/",
    # The account was renamed to this one.
    "https://github.com/zhoubolei/CAM/raw/master/",
)

MAX_BYTES = 64 * 2**20

CROPS: Mapping[int, int] = {14: 224, 11: 227, 7: 224}
"""Rows of a crop by the rows of its map: the VGG and GoogLeNet networks, AlexNet+, EfficientNet."""

SAME_NETWORK = 1e-2
"""The largest `score_residual` of features and class layer of one network.

Single precision leaves about 1e-5; another snapshot of the same network gives about 0.3.
"""

OTHER_SNAPSHOT = (
    "the features of img2 in the original repository come from another snapshot of the network "
    "than data_net.mat; their scores do not follow from weights_LR to better than about 0.3 in "
    "the logarithm"
)


def _check_network(path: Path) -> None:
    class_weights, categories = matfiles.load_network(path)
    if class_weights.shape != (1000, 1024) or categories is None:
        raise CamError(f"{path}: not the class layer of GoogLeNet-CAM, 1024 x 1000, with names")


def _check_features(path: Path) -> None:
    features = matfiles.load_features(path)
    if features.activations.shape != (10, 1024, 14, 14) or features.scores.shape != (10, 1000):
        raise CamError(f"{path}: not the features of ten crops by GoogLeNet-CAM")


def _check_categories(path: Path) -> None:
    if len(matfiles.load_categories(path)) != 1000:
        raise CamError(f"{path}: not the names of 1000 classes")


def _check_picture(path: Path) -> None:
    read_picture(path)


DEMO_FILES: Mapping[str, Callable[[Path], None]] = {
    "data_net.mat": _check_network,
    "data_img1.mat": _check_features,
    "data_img2.mat": _check_features,
    "img1.jpg": _check_picture,
    "img2.jpg": _check_picture,
    "categories1000.mat": _check_categories,
}
"""The files of the cached demo, and what makes sure that each is what it should be."""


def demo_folder() -> Path:
    """Return the folder in the user's cache that the demo's files are fetched to."""
    return zoo.cache_folder().parent / "demo"


def fetch_demo_file(
    name: str,
    folder: str | os.PathLike[str] | None = None,
    source: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Get a file of the cached demo from the original repository, and check it.

    Parameters
    ----------
    name : str
        One of `DEMO_FILES`.
    folder : path-like, optional
        Where it is to be; `demo_folder` if not given.
    source : str, optional
        A folder, or the address of one, to take it from instead.
    progress : callable, optional
        As for `cam.zoo.download.fetch_file`.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    CamError
        If it cannot be had, is not what its name says, or has another SHA-256 than the recorded
        one.
    """
    target = Path(folder or demo_folder()) / name
    if source is None:
        sources = tuple(base + name for base in SOURCES)
    elif "://" in source:
        sources = (f"{source.rstrip('/')}/{name}",)
    else:
        sources = (str(Path(source) / name),)
    fetch_file(target, sources, DEMO_FILES[name], progress, MAX_BYTES)
    return target


def explain_features(
    features: str | os.PathLike[str],
    network: str | os.PathLike[str],
    image: PictureSource,
    top: int = 5,
    crop: int | None = None,
    first_crop: bool = False,
) -> Explanation:
    """Return the class activation maps that follow from pre-extracted features.

    Parameters
    ----------
    features : path-like
        A ``.mat`` file with the activations and scores of ten crops; see
        `cam.matlab.matfiles.load_features`.
    network : path-like
        A ``.mat`` file with the class layer; see `cam.matlab.matfiles.load_network`.
    image : path-like, numpy.ndarray or PIL.Image.Image
        The picture that the features are of.
    top : int, optional
        How many classes.
    crop : int, optional
        Rows and columns of a crop; by the size of the maps if not given (`CROPS`).
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
    activations, crop_scores = matfiles.load_features(features)
    class_weights, categories = matfiles.load_network(network)
    classes, channels = class_weights.shape
    if activations.shape[1] != channels or crop_scores.shape[1] != classes:
        raise CamError(
            f"{features} and {network} do not fit each other: {activations.shape[1]} channels and "
            f"{crop_scores.shape[1]} classes, {channels} channels and {classes} classes"
        )
    picture = read_picture(image)
    style = MatlabStyle()
    if len(activations) != style.crops:
        raise CamError(
            f"{features}: features of {len(activations)} crops; the original merges ten, which "
            "cam run --style matlab --save-mat writes"
        )
    if not 1 <= top <= classes:
        raise CamError(f"top {top} of {classes} classes; it must be 1 to {classes}")
    scores = crop_scores[0] if first_crop else crop_scores.mean(axis=0)
    indices = style.class_order(scores)[:top]
    names = categories or [f"class {index}" for index in range(classes)]
    return Explanation(
        frame=imresize(picture, (FRAME, FRAME)),
        picture_size=(picture.shape[0], picture.shape[1]),
        scores=scores,
        indices=indices,
        names=tuple(names[index] for index in indices),
        maps=return_cam_map(activations, class_weights[indices]),
        crop_size=crop or _crop_of(activations, features),
        output=NetworkOutput(activations, crop_scores),
        class_layer=ClassLayer(class_weights, names),
        style=style,
        record={
            "model": "pre-extracted features",
            "features": Path(features).name,
            "features_sha256": sha256_of(features),
            "network": Path(network).name,
            "network_sha256": sha256_of(network),
            "scores": "of the first crop" if first_crop else "mean of the crops",
            "score_residual": score_residual(activations, crop_scores, class_weights),
            "engine": "none",
            "device": "none",
            "style": style.name,
        },
    )


def _crop_of(activations: NDArray[np.float32], features: str | os.PathLike[str]) -> int:
    rows = activations.shape[2]
    if rows not in CROPS:
        raise CamError(f"{features}: maps of {rows} rows; name the size of the crops with --crop")
    return CROPS[rows]


def score_residual(
    activations: NDArray[np.float32],
    scores: NDArray[np.float32],
    class_weights: NDArray[np.float32],
) -> float:
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
