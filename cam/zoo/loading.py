"""The two ways to a loaded network: a model of the table by its name, or any pair of files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from cam.arguments import checked
from cam.caffe.caffemodel import Blobs
from cam.caffe.head import find_head, with_softmax
from cam.caffe.loaded import LoadedNetwork
from cam.caffe.network import Network, load_weights
from cam.caffe.network import load_network as read_network
from cam.caffe.preprocessing import ILSVRC_2012_MEAN, Preprocessing
from cam.caffe.random_weights import seeded_weights
from cam.errors import CamError, InvalidValueError, whole_number
from cam.files import PathLike, models_folder, sha256_of
from cam.zoo.class_names import class_names, default_class_names
from cam.zoo.companion import read_companion
from cam.zoo.digests import check_recorded
from cam.zoo.table import EMBEDDED, get
from cam.zoo.weights import find_weights

_LARGEST_SEED = 2**63 - 1

LARGEST_CROP = 2048
"""Rows and columns of an input; that of the paper's networks has 224 or 227."""


@checked
def load_network(name: str = EMBEDDED, *, seed: int | None = None) -> LoadedNetwork:
    """Load a model of the table.

    Parameters
    ----------
    name : str, optional
        Its name, ``"googlenet"`` for example; the embedded model if not given.
    seed : int, optional
        Take random weights drawn from this seed, not the model's own.

    Returns
    -------
    LoadedNetwork
        The network.

    Raises
    ------
    CamError
        If there is no such model, or its weights are missing or do not fit.

    Examples
    --------
    >>> load_network("alexnet", seed=0).class_weights.shape
    (1000, 512)
    """
    model = get(name)
    return load_files(
        models_folder() / model.prototxt,
        None if seed is not None else find_weights(model),
        last_conv=model.last_conv,
        class_layer=model.class_layer,
        preprocessing=model.preprocessing,
        names=class_names(model.categories),
        name=model.name,
        seed=seed,
    )


@checked
def load_files(
    prototxt: PathLike,
    caffemodel: PathLike | None,
    *,
    last_conv: str | None = None,
    class_layer: str | None = None,
    preprocessing: Preprocessing | None = None,
    names: Sequence[str] | None = None,
    name: str | None = None,
    seed: int | None = None,
) -> LoadedNetwork:
    """Load any Caffe network with a head for class activation mapping; see `find_head`.

    Parameters
    ----------
    prototxt, caffemodel : path-like
        The deploy network and its weights; no weights if `seed` is given.
    last_conv, class_layer : str, optional
        The blob and the layer that make the maps; found from the graph if not given.
    preprocessing : cam.caffe.preprocessing.Preprocessing, optional
        How pixels become input. If not given, what ``network.json`` beside the prototxt says, as
        `cam learn` writes it (see `cam.zoo.companion`); Caffe's ImageNet mean without one.
    names : sequence of str, optional
        One name for each class. If not given, those that ``network.json`` names; without one, the
        ImageNet names for a network of 1000 classes, the Places names for one of 205, numbers
        otherwise.
    name : str, optional
        What to call the network; if not given, as ``network.json`` says, or the prototxt's file.
    seed : int, optional
        Take random weights drawn from this seed.

    Returns
    -------
    LoadedNetwork
        The network.

    Raises
    ------
    CamError
        If a file cannot be read, the two do not fit, or the network has no head for CAM.
    """
    network = with_softmax(read_network(prototxt), last_conv, class_layer)
    head = find_head(network, last_conv, class_layer)
    _check_input(network)
    classes = network.blob_shapes[head.scores][1]
    said = read_companion(prototxt)
    if names is None:
        names = default_class_names(classes) if said is None else said.class_names
    chosen_names = tuple(names)
    if len(chosen_names) != classes:
        raise InvalidValueError(
            f"{len(chosen_names)} class names for the {classes} classes of {prototxt}"
        )
    weights, digest = _weights_of(network, caffemodel, seed)
    return LoadedNetwork(
        name or (Path(prototxt).stem if said is None else said.name),
        Path(prototxt),
        None if caffemodel is None else Path(caffemodel),
        network,
        weights,
        head,
        preprocessing or (ILSVRC_2012_MEAN if said is None else said.preprocessing),
        chosen_names,
        digest,
    )


def _check_input(network: Network) -> None:
    channels, rows, columns = network.input_shape[1:]
    if rows != columns or rows > LARGEST_CROP or channels != 3:
        raise CamError(
            f"{network.source}: an input of {network.input_shape[1:]}; square crops of up to "
            f"{LARGEST_CROP} pixels with 3 channels are supported"
        )


def _weights_of(
    network: Network, caffemodel: PathLike | None, seed: int | None
) -> tuple[dict[str, Blobs], str]:
    """Return the weights and their digest."""
    if (caffemodel is None) == (seed is None):
        raise InvalidValueError("a network has either a caffemodel or a seed for random weights")
    if caffemodel is None:
        seed = whole_number(seed, "the seed", 0, _LARGEST_SEED)
        # The network's own digest stands beside this one wherever it counts.
        return seeded_weights(network, seed), hashlib.sha256(f"seed {seed}".encode()).hexdigest()
    weights = load_weights(network, caffemodel)
    digest = sha256_of(caffemodel)
    check_recorded(Path(caffemodel), digest)
    return weights, digest
