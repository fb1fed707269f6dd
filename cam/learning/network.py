"""A learned classifier as an ordinary network: a base network with a new class layer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cam.caffe.caffemodel import CaffeModel, write_caffemodel
from cam.caffe.layers import Layer
from cam.caffe.loaded import LoadedNetwork
from cam.caffe.prototxt import upgraded, write_prototxt
from cam.files import PathLike
from cam.learning.classifier import LinearClassifier
from cam.zoo.companion import Companion, write_companion

PROTOTXT, CAFFEMODEL = "deploy.prototxt", "weights.caffemodel"

COMMENT = """\
Written by cam learn: the convolutions of {base}, and a class layer of {classes} learned classes.
Input: {channels}, (pixel - mean) * {scale}, mean {mean}."""


def write_learned_network(
    folder: PathLike, base: LoadedNetwork, classifier: LinearClassifier, class_names: Sequence[str]
) -> None:
    """Write a learned network so that it runs like any other.

    Parameters
    ----------
    folder : path-like
        Where to write ``deploy.prototxt`` and ``weights.caffemodel``, ``categories.txt`` and, for
        what these cannot say, ``network.json`` (see `cam.zoo.companion`).
    base : cam.caffe.loaded.LoadedNetwork
        The network whose pooled features were learned from.
    classifier : LinearClassifier
        What was learned.
    class_names : sequence of str
        The names of its classes.
    """
    target, preprocessing = Path(folder), base.preprocessing
    model = learned_network(base, classifier)
    comment = COMMENT.format(
        base=base.name,
        classes=len(class_names),
        channels=preprocessing.channels,
        scale=preprocessing.scale,
        mean=", ".join(map(str, preprocessing.mean)),
    )
    write_caffemodel(target / CAFFEMODEL, model)
    companion = Companion(f"{base.name}-learned", base.name, preprocessing, tuple(class_names))
    write_companion(target / PROTOTXT, companion)
    write_prototxt(target / PROTOTXT, model.net, comment)


def learned_network(base: LoadedNetwork, classifier: LinearClassifier) -> CaffeModel:
    """Return the network whose class scores are a classifier's decision values.

    Parameters
    ----------
    base : cam.caffe.loaded.LoadedNetwork
        The network whose pooled features were learned from.
    classifier : LinearClassifier
        What was learned.

    Returns
    -------
    cam.caffe.caffemodel.CaffeModel
        What the base network's pooling needs of it, an inner product ``CAM_fc`` behind the
        pooling and a softmax ``prob``, the names that the original's demo knows.
    """
    kept = _needed(base)
    net = upgraded(base.network.message)
    inputs = [message for message in net.layer if message.type == "Input"]
    del net.layer[:]
    net.layer.extend([*inputs, *(layer.message for layer in kept)])
    taken = {name for layer in kept for name in (layer.name, *layer.tops)}
    pooled = _pooled(net, base, taken)
    scores = _free("CAM_fc", taken)
    inner_product = net.layer.add(name=scores, type="InnerProduct", bottom=[pooled], top=[scores])
    inner_product.inner_product_param.num_output = len(classifier.weights)
    softmax = _free("prob", taken)
    net.layer.add(name=softmax, type="Softmax", bottom=[scores], top=[softmax])
    blobs = {layer.name: base.weights[layer.name] for layer in kept if layer.name in base.weights}
    blobs[scores] = (
        classifier.weights.astype(np.float32),
        classifier.intercepts.astype(np.float32),
    )
    return CaffeModel(net, blobs)


def _needed(base: LoadedNetwork) -> list[Layer]:
    """Return the layers up to the pooling that it needs, in their order."""
    layers, blob = base.network.layers, base.head.last_conv
    last = (
        max(i for i, layer in enumerate(layers) if blob in layer.tops)
        if base.pooling is None
        else layers.index(base.pooling)
    )
    wanted, kept = set(layers[last].tops), []
    for layer in reversed(layers[: last + 1]):
        if wanted.intersection(layer.tops):
            wanted.update(layer.bottoms)
            kept.append(layer)
    return kept[::-1]


def _pooled(net: Any, base: LoadedNetwork, taken: set[str]) -> str:
    """Return the blob with the pooled features; without a pooling in the network, add one."""
    if base.pooling is not None:
        return base.pooling.tops[0]
    name = _free("CAM_pool", taken)
    pooling = net.layer.add(name=name, type="Pooling", bottom=[base.head.last_conv], top=[name])
    pooling.pooling_param.pool = pooling.pooling_param.AVE
    pooling.pooling_param.global_pooling = True
    return name


def _free(name: str, taken: set[str]) -> str:
    """Return a name that no layer and no blob has, and keep it."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name
