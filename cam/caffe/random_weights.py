"""Seeded random weights, for comparing engines and measuring speed where the real ones are missing.

The weights are drawn so that activations keep their size from layer to layer (He et al., 2015):
with others they die or grow out of all bounds, and a comparison would prove nothing.
"""

from __future__ import annotations

import math

import numpy as np

from cam.caffe.caffemodel import Blobs
from cam.caffe.head import find_head
from cam.caffe.network import Network


def seeded_weights(network: Network, seed: int = 0) -> dict[str, Blobs]:
    """Return random weights for a network.

    Parameters
    ----------
    network : Network
        The network.
    seed : int, optional
        The same seed gives the same weights.

    Returns
    -------
    dict of str to tuple of numpy.ndarray
        float32, by the layer's name. The class layer's weights are small, so that the softmax
        does not give everything to one class.
    """
    generator = np.random.default_rng(seed)
    class_layer = find_head(network).class_layer
    weights: dict[str, Blobs] = {}
    for layer in network.layers:
        shapes = network.weight_shapes.get(layer.name)
        if shapes is None:
            continue
        first, others = shapes[0], shapes[1:]
        if layer.type == "BatchNorm":
            variance, factor = others
            drawn = [generator.normal(0, 0.1, first), generator.uniform(0.5, 2, variance)]
            drawn += [np.ones(factor)]
        else:
            if len(first) < 2:
                # A number for each output (Scale, PReLU): near one, so that it leaves sizes alone.
                drawn = [generator.uniform(0.5, 1.5, first)]
            else:
                gain = 0.1 if layer.name == class_layer else 2.0
                drawn = [generator.normal(0, math.sqrt(gain / math.prod(first[1:])), first)]
            drawn += [generator.normal(0, 0.05, shape) for shape in others]
        weights[layer.name] = tuple(blob.astype(np.float32) for blob in drawn)
    return weights
