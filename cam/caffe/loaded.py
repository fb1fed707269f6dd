"""Everything that is known of one network: its files, layers, weights, head and classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cam.caffe.caffemodel import Blobs, CaffeModel, write_caffemodel
from cam.caffe.head import Head
from cam.caffe.layers import Layer
from cam.caffe.network import Network
from cam.caffe.preprocessing import Preprocessing
from cam.caffe.prototxt import upgraded


@dataclass(frozen=True, eq=False)
class LoadedNetwork:
    """One prototxt and caffemodel, read and checked; immutable.

    `cam.zoo.load_network` and `cam.zoo.load_files` are the ways to one. Engines run it.

    Attributes
    ----------
    name : str
        The model's name, or its prototxt's.
    prototxt : pathlib.Path
        The deploy network's file.
    caffemodel : pathlib.Path or None
        The weights' file; None for random weights.
    network : cam.caffe.network.Network
        Layers and shapes.
    weights : dict of str to tuple of numpy.ndarray
        Each layer's weights, float32, in the shapes that `network` asks for.
    head : cam.caffe.head.Head
        Where class activation maps come from.
    preprocessing : cam.caffe.preprocessing.Preprocessing
        How pixels become input.
    class_names : tuple of str
        The names of the classes, in the network's order.
    weights_sha256 : str
        The SHA-256 of the caffemodel, or of what random weights are made from. Without one,
        engines keep nothing of the network on disk.
    """

    name: str
    prototxt: Path
    caffemodel: Path | None
    network: Network
    weights: Mapping[str, Blobs]
    head: Head
    preprocessing: Preprocessing
    class_names: tuple[str, ...]
    weights_sha256: str

    @property
    def crop_size(self) -> int:
        """Rows and columns of the network's input."""
        return self.network.input_shape[2]

    @property
    def map_size(self) -> tuple[int, int]:
        """Rows and columns (h, w) of the last convolution's maps."""
        rows, columns = self.network.blob_shapes[self.head.last_conv][2:]
        return rows, columns

    @cached_property
    def class_weights(self) -> NDArray[np.float32]:
        """The weights of the class layer, float32 (C, K).

        Where each of the last convolution's maps is a class's, the identity matrix.
        """
        if self.head.class_layer not in self.weights:
            return np.eye(self.feature_count, dtype=np.float32)
        return np.asarray(self.weights[self.head.class_layer][0])

    @property
    def feature_count(self) -> int:
        """The number K of the last convolution's maps, and so of the pooled features."""
        return self.network.blob_shapes[self.head.last_conv][1]

    @cached_property
    def pooling(self) -> Layer | None:
        """The global pooling that reads the last convolution; None if another layer does."""
        blobs = self.network.blob_shapes
        for layer in self.network.layers:
            if layer.type == "Pooling" and layer.bottoms[0] == self.head.last_conv:
                return layer if blobs[layer.tops[0]][2:] == (1, 1) else None
        return None

    @property
    def pools_maximum(self) -> bool:
        """Whether the global pooling takes the maximum, not the average."""
        if self.pooling is None:
            return False
        parameters = self.pooling.message.pooling_param
        return bool(parameters.PoolMethod.Name(parameters.pool) == "MAX")

    @property
    def record(self) -> dict[str, Any]:
        """Names and digests of the files, and the head, for the record of a result."""
        return {
            "model": self.name,
            "prototxt": self.prototxt.name,
            "network_sha256": self.network.digest,
            "caffemodel": "random weights" if self.caffemodel is None else self.caffemodel.name,
            "caffemodel_sha256": self.weights_sha256,
            "last_conv": self.head.last_conv,
            "class_layer": self.head.class_layer,
            "crop": self.crop_size,
        }

    @contextmanager
    def weights_file(self) -> Iterator[Path]:
        """Give the caffemodel's path; random weights are written to one for the while."""
        if self.caffemodel is not None:
            yield self.caffemodel
            return
        with TemporaryDirectory() as folder:
            path = Path(folder) / "random.caffemodel"
            write_caffemodel(path, CaffeModel(upgraded(self.network.message), self.weights))
            yield path
