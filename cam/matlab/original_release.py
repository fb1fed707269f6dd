"""The files of the original release: features, the class layer and class names, read and written.

The original demo loads and saves them with ``online = 0``. MATLAB counts axes from the fastest:
what Caffe calls (N, K, h, w) is (w, h, K, N) there, and class weights (classes, K) are
(K, classes). The functions below turn both ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cam.arguments import checked
from cam.errors import CamError, InvalidValueError
from cam.files import PathLike
from cam.matlab.mat_files import read_mat, write_mat
from cam.matlab.mat_values import MatValue


class MatlabNetwork(NamedTuple):
    """The class layer and the class names of a network.

    Attributes
    ----------
    class_weights : numpy.ndarray
        Shape (classes, K), single precision.
    categories : list of str or None
        The class names in order, if the file has them.
    """

    class_weights: NDArray[np.float32]
    categories: list[str] | None


class Features(NamedTuple):
    """What a network gave for the crops of one picture.

    Attributes
    ----------
    activations : numpy.ndarray
        The last convolution's output, shape (N, K, h, w), single precision.
    scores : numpy.ndarray
        The class scores, shape (N, classes), single precision.
    """

    activations: NDArray[np.float32]
    scores: NDArray[np.float32]


@checked
def load_network(path: PathLike) -> MatlabNetwork:
    """Read the class layer of the original's `data_net.mat`.

    Parameters
    ----------
    path : path-like
        A file with `weights_LR` (K x classes) and, if it has them, `categories`.

    Returns
    -------
    MatlabNetwork
        The class weights, (classes, K), and the class names.

    Raises
    ------
    CamError
        If the file or a variable does not hold this.
    """
    found = read_mat(path, ["weights_LR"], optional=["categories"])
    weights = _numbers(path, "weights_LR", found["weights_LR"])
    if weights.ndim != 2:
        raise CamError(
            f"{path}: weights_LR has the shape {_by(weights.shape)}, not channels x classes"
        )
    class_weights = np.ascontiguousarray(weights.T, dtype=np.float32)
    if "categories" not in found:
        return MatlabNetwork(class_weights, None)
    categories = _text_column(path, found["categories"])
    if len(categories) != len(class_weights):
        raise CamError(
            f"{path}: {len(categories)} categories do not fit weights_LR, which is "
            f"{_by(weights.shape)} (channels x classes)"
        )
    return MatlabNetwork(class_weights, categories)


@checked
def load_features(path: PathLike) -> Features:
    """Read the activations and scores of the original's `data_img1.mat`.

    Parameters
    ----------
    path : path-like
        A file with `activation_lastconv` (w x h x K x N, or w x h x K for one crop) and `scores`
        (classes x N, 1 x 1 x classes x N, or a vector for one crop).

    Returns
    -------
    Features
        Activations (N, K, h, w) and scores (N, classes).

    Raises
    ------
    CamError
        If the file or a variable does not hold this, or the two do not fit each other.

    Notes
    -----
    The features of the second picture in the original repository come from another snapshot of the
    network than `data_net.mat`: their scores do not follow from `weights_LR` to better than about
    0.3 in the logarithm.
    """
    found = read_mat(path, ["activation_lastconv", "scores"])
    activations = _numbers(path, "activation_lastconv", found["activation_lastconv"])
    if activations.ndim not in {3, 4}:
        raise CamError(
            f"{path}: activation_lastconv is {_by(activations.shape)}, not width x height x "
            "channels x crops"
        )
    if activations.ndim == 3:  # MATLAB drops a last axis of length one
        activations = activations[..., np.newaxis]
    crops = activations.shape[3]
    scores = _numbers(path, "scores", found["scores"])
    columns = _score_columns(scores, crops)
    if columns.shape[1] != crops:
        raise CamError(
            f"{path}: scores is {_by(scores.shape)}, not classes x {crops}; "
            f"activation_lastconv has {crops} crops"
        )
    return Features(
        np.ascontiguousarray(activations.transpose(3, 2, 1, 0), dtype=np.float32),
        np.ascontiguousarray(columns.T, dtype=np.float32),
    )


@checked
def load_categories(path: PathLike) -> list[str]:
    """Read the class names of `categories1000.mat` or `categories_places205.mat`.

    Parameters
    ----------
    path : path-like
        A file with the cell `categories`: a vector of names, or names in the first of several
        columns.

    Returns
    -------
    list of str
        The names in the order of the classes.

    Raises
    ------
    CamError
        If the file does not hold this.
    """
    return _text_column(path, read_mat(path, ["categories"])["categories"])


@checked
def save_features(
    path: PathLike | IO[bytes], activations: NDArray[Any], scores: NDArray[Any]
) -> None:
    """Write activations and scores as the original demo loads them with ``online = 0``.

    Parameters
    ----------
    path : path-like or binary file
        The file, which the demo calls `data_img1.mat`.
    activations : numpy.ndarray
        The last convolution's output, shape (N, K, h, w).
    scores : numpy.ndarray
        The class scores, shape (N, classes).

    Raises
    ------
    CamError
        If the shapes do not fit each other, or the file cannot be written.

    Notes
    -----
    `activation_lastconv` is w x h x K x N and `scores` classes x N, single precision. For N = 1
    MATLAB shows the former without its last axis, which the demo does not expect: it is made for
    ten crops.
    """
    if activations.ndim != 4 or scores.ndim != 2 or len(activations) != len(scores):
        raise InvalidValueError(
            "features to save have the shapes (N, K, h, w) and (N, classes), not "
            f"{activations.shape} and {scores.shape}"
        )
    write_mat(
        path,
        {
            "activation_lastconv": activations.transpose(3, 2, 1, 0).astype(np.float32),
            "scores": scores.T.astype(np.float32),
        },
    )


@checked
def save_network(path: PathLike, class_weights: NDArray[Any], categories: Sequence[str]) -> None:
    """Write the class layer as the original demo loads it with ``online = 0``.

    Parameters
    ----------
    path : path-like
        The file, which the demo calls `data_net.mat`.
    class_weights : numpy.ndarray
        Shape (classes, K).
    categories : sequence of str
        The class names in order.

    Raises
    ------
    CamError
        If the names do not fit the weights, or the file cannot be written.

    Notes
    -----
    `weights_LR` is K x classes, single precision, and `categories` a cell column.
    """
    if class_weights.ndim != 2 or len(class_weights) != len(categories):
        raise InvalidValueError(
            f"class weights of shape {class_weights.shape} do not fit {len(categories)} "
            "categories: they need the shape (classes, K)"
        )
    weights = class_weights.T.astype(np.float32)
    write_mat(path, {"weights_LR": weights, "categories": list(categories)})


def _numbers(path: PathLike, name: str, value: MatValue) -> NDArray[Any]:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu" or not value.size:
        raise CamError(f"{path}: {name} does not hold real numbers")
    return value


def _text_column(path: PathLike, value: MatValue) -> list[str]:
    """Return a cell vector of text, or the first column of a cell with several."""
    items = value
    if isinstance(value, np.ndarray) and value.dtype == np.object_ and value.ndim == 2:
        items = [item for item, *_ in value.tolist()] if value.size else []
    if isinstance(items, list) and items and all(isinstance(item, str) for item in items):
        return items
    raise CamError(f"{path}: categories is not a cell of text")


def _score_columns(scores: NDArray[Any], crops: int) -> NDArray[Any]:
    """Return scores as classes x crops, whatever axes of length one there are or are not."""
    if crops == 1 and max(scores.shape) == scores.size:
        return scores.reshape(-1, 1)
    return scores.reshape(-1, scores.shape[-1], order="F")


def _by(shape: Sequence[int]) -> str:
    return " x ".join(str(length) for length in shape)
