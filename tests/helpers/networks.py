"""Loaded networks for tests: any network with any weights, as if it came from files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cam.caffe.caffemodel import Blobs
from cam.caffe.head import Head, find_head
from cam.caffe.loaded import LoadedNetwork
from cam.caffe.network import Network
from cam.caffe.preprocessing import ILSVRC_2012_MEAN


def loaded(
    network: Network, weights: Mapping[str, Blobs], head: Head | None = None
) -> LoadedNetwork:
    """Return a network with these weights; without a digest, nothing of it is kept on disk."""
    found = head or find_head(network)
    classes = network.blob_shapes[found.scores][1]
    return LoadedNetwork(
        name=network.name,
        prototxt=Path(network.source),
        caffemodel=None,
        network=network,
        weights=weights,
        head=found,
        preprocessing=ILSVRC_2012_MEAN,
        class_names=tuple(f"class {index}" for index in range(classes)),
        weights_sha256="",
    )
