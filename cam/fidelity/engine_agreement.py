"""The two engines held against each other on the same files and pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cam.caffe.loaded import LoadedNetwork
from cam.engines import Engine, open_engine
from cam.explain.styles import PycaffeStyle
from cam.maps.activation_maps import return_cam_map
from cam.pictures.reading import PictureSource, read_picture

__all__ = ["BlobDifference", "Parity", "compare_engines"]

RELATIVE_TOLERANCE = 1e-4
GREY_LEVEL_TOLERANCE = 1
TOP = 5


@dataclass(frozen=True)
class BlobDifference:
    """How far one blob differs between two engines, over all pictures.

    Attributes
    ----------
    blob : str
        Its name.
    largest : float
        Largest absolute value that the reference gives.
    absolute : float
        Largest absolute difference.
    """

    blob: str
    largest: float
    absolute: float

    @property
    def relative(self) -> float:
        """Largest absolute difference, as a share of the reference's largest value."""
        return self.absolute / self.largest if self.largest else float(self.absolute > 0)


@dataclass(frozen=True)
class Parity:
    """How far two engines differ on some pictures.

    Attributes
    ----------
    blobs : tuple of BlobDifference
        The last conv, the class layer (before the softmax) and the probabilities.
    same_top : int
        On how many pictures the top five classes and their order are the same.
    pictures : int
        How many pictures were compared.
    grey_levels : int
        Largest difference of the heat maps of the reference's top five classes, of 255.
    tolerance : float
        The relative difference that a blob may have.
    """

    blobs: tuple[BlobDifference, ...]
    same_top: int
    pictures: int
    grey_levels: int
    tolerance: float = RELATIVE_TOLERANCE

    @property
    def holds(self) -> bool:
        """Whether all blobs are within the tolerance, heat maps within a level, classes equal."""
        return (
            all(blob.relative < self.tolerance for blob in self.blobs)
            and self.grey_levels <= GREY_LEVEL_TOLERANCE
            and self.same_top == self.pictures
        )


def compare_engines(
    network: LoadedNetwork,
    images: Iterable[PictureSource],
    reference: str = "caffe",
    other: str = "openvino",
    tolerance: float = RELATIVE_TOLERANCE,
) -> Parity:
    """Run the same pictures through two engines and compare what they give.

    Parameters
    ----------
    network : cam.caffe.loaded.LoadedNetwork
        The network.
    images : iterable
        Pictures, as `cam.pictures.reading.read_picture` takes them.
    reference, other : str, optional
        The engines, as `cam.engines.open_engine` takes them.
    tolerance : float, optional
        The relative difference that a blob may have. Two CPU implementations differ by some 1e-6;
        1e-3 is to be expected of a GPU.

    Returns
    -------
    Parity
        The differences.

    Raises
    ------
    CamError
        If an engine is not installed, or a picture or file cannot be read.
    """
    head, crop_size = network.head, network.crop_size
    style = PycaffeStyle()
    batches = [
        style.prepare(read_picture(image), crop_size, network.preprocessing).batch
        for image in images
    ]
    expected, found = (_blobs_of(engine, network, batches) for engine in (reference, other))
    blobs = tuple(
        BlobDifference(
            blob,
            max(float(np.abs(one[blob]).max()) for one in expected),
            max(
                float(np.abs(one[blob] - two[blob]).max())
                for one, two in zip(expected, found, strict=True)
            ),
        )
        for blob in expected[0]
    )
    orders = [_top(one[head.scores]) for one in expected]
    same = sum(
        np.array_equal(order, _top(two[head.scores]))
        for order, two in zip(orders, found, strict=True)
    )
    levels = max(
        int(np.abs(_heat_levels(one, network, order) - _heat_levels(two, network, order)).max())
        for one, two, order in zip(expected, found, orders, strict=True)
    )
    return Parity(blobs, same, len(batches), levels, tolerance)


def _blobs_of(
    choice: str, network: LoadedNetwork, batches: Sequence[NDArray[np.float32]]
) -> list[dict[str, NDArray[np.float32]]]:
    """Return last conv, class layer and probabilities of each batch."""
    head = network.head
    class_scores = network.network.layer(head.class_layer).tops[0]
    engines: list[tuple[str, Engine]] = [
        (scores, open_engine(choice, replace(network, head=replace(head, scores=scores))))
        for scores in (class_scores, head.scores)
    ]
    results = []
    for batch in batches:
        blobs: dict[str, NDArray[np.float32]] = {}
        for scores, engine in engines:
            output = engine.forward(batch)
            blobs[head.last_conv] = output.activations
            blobs[scores] = output.scores
        results.append(blobs)
    return results


def _top(scores: NDArray[np.float32]) -> NDArray[np.intp]:
    return PycaffeStyle().class_order(scores[0])[:TOP]


def _heat_levels(
    blobs: dict[str, NDArray[np.float32]], network: LoadedNetwork, order: NDArray[np.intp]
) -> NDArray[Any]:
    style = PycaffeStyle()
    maps = return_cam_map(blobs[network.head.last_conv], network.class_weights[order])
    merged = style.merge(maps, network.crop_size)
    return np.round(np.stack([style.normalize(m) for m in merged]) * 255).astype(np.int64)
