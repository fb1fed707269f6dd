"""Two engines held against each other on the same files and pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cam.caffe.head import Head
from cam.caffe.loaded import LoadedNetwork
from cam.engines import NetworkOutput, open_engine
from cam.explain.styles import PycaffeStyle
from cam.fidelity.difference import Difference, Tolerance, measure
from cam.maps.activation_maps import return_cam_map
from cam.pictures.reading import PictureSource, read_picture

__all__ = ["EngineAgreement", "RunsBatches", "compare_engines", "open_and_compare"]

Array: TypeAlias = NDArray[np.float32]

RELATIVE_TOLERANCE = 1e-4
GREY_LEVEL_TOLERANCE = 1
TOP = 5


class RunsBatches(Protocol):
    """What a comparison needs of an engine."""

    def forward(self, batch: Array) -> NetworkOutput:
        """Run a batch; see `cam.engines.Engine.forward`."""


@dataclass(frozen=True)
class EngineAgreement:
    """How far two engines agree on some pictures.

    Attributes
    ----------
    blobs : dict of str to cam.fidelity.Difference
        How far each blob differs, over all pictures.
    same_top : int
        On how many pictures the top five classes and their order are the same.
    pictures : int
        How many pictures were compared.
    grey_levels : int
        Largest difference of the heat maps of the reference's top five classes, of 255.
    """

    blobs: Mapping[str, Difference]
    same_top: int
    pictures: int
    grey_levels: int

    @property
    def holds(self) -> bool:
        """Whether all blobs are within the tolerance, heat maps within a level, classes equal."""
        return (
            all(apart.within for apart in self.blobs.values())
            and self.grey_levels <= GREY_LEVEL_TOLERANCE
            and self.same_top == self.pictures
        )


def compare_engines(
    reference: RunsBatches,
    other: RunsBatches,
    batches: Sequence[Array],
    head: Head,
    class_weights: Array,
    tolerance: float = RELATIVE_TOLERANCE,
) -> EngineAgreement:
    """Run the same batches through two engines and compare what they give.

    Parameters
    ----------
    reference, other : RunsBatches
        Two engines that run one network with one head.
    batches : sequence of numpy.ndarray
        Center crops of pictures, float32 (N, 3, H, W).
    head : cam.caffe.head.Head
        The names of the blobs that the engines give.
    class_weights : numpy.ndarray
        Shape (C, K): the class layer, for heat maps.
    tolerance : float, optional
        The difference that a blob may have, as a share of its largest magnitude. Two CPU
        implementations differ by some 1e-6; 1e-3 is to be expected of a GPU.

    Returns
    -------
    EngineAgreement
        The differences in the last conv and in the scores, in the order of the classes and in the
        heat maps.
    """
    style, crop, limit = PycaffeStyle(), batches[0].shape[2], Tolerance(tolerance)
    runs = [[engine.forward(batch) for batch in batches] for engine in (reference, other)]
    ours, theirs = (np.concatenate([forward.activations for forward in run]) for run in runs)
    scores, their_scores = (np.concatenate([forward.scores for forward in run]) for run in runs)
    orders, their_orders = (
        np.stack([style.class_order(of_picture)[:TOP] for of_picture in side])
        for side in (scores, their_scores)
    )
    # Of the reference's classes, whatever the other's are.
    levels, their_levels = (
        _heat_levels(side, class_weights, orders, crop) for side in (ours, theirs)
    )
    return EngineAgreement(
        blobs={
            head.last_conv: measure(ours, theirs, limit),
            head.scores: measure(scores, their_scores, limit),
        },
        same_top=int((orders == their_orders).all(axis=1).sum()),
        pictures=len(scores),
        grey_levels=int(measure(levels, their_levels).max_abs),
    )


def _heat_levels(
    activations: Array, class_weights: Array, orders: NDArray[np.intp], crop: int
) -> NDArray[np.uint8]:
    """Return the levels, of 255, of the heat maps of each picture's classes."""
    of_pictures = zip(activations[:, np.newaxis], class_weights[orders], strict=True)
    maps = [return_cam_map(one, weights) for one, weights in of_pictures]
    return np.stack([PycaffeStyle().levels_of_maps(of_picture, crop) for of_picture in maps])


def open_and_compare(
    network: LoadedNetwork,
    images: Iterable[PictureSource],
    reference: str = "caffe",
    other: str = "openvino",
    tolerance: float = RELATIVE_TOLERANCE,
) -> EngineAgreement:
    """Open two engines on the same files and compare what they give for the same pictures.

    Parameters
    ----------
    network : cam.caffe.loaded.LoadedNetwork
        The network.
    images : iterable
        Pictures, as `cam.pictures.reading.read_picture` takes them.
    reference, other : str, optional
        The engines, as `cam.engines.open_engine` takes them.
    tolerance : float, optional
        As for `compare_engines`.

    Returns
    -------
    EngineAgreement
        The differences, also in the class layer before the softmax.

    Raises
    ------
    CamError
        If an engine is not installed, or a picture or file cannot be read.
    """
    style, head = PycaffeStyle(), network.head
    batches = [
        style.prepare(read_picture(image), network.crop_size, network.preprocessing).batch
        for image in images
    ]
    blobs: dict[str, Difference] = {}
    for scores in (network.network.layer(head.class_layer).tops[0], head.scores):
        giving = replace(network, head=replace(head, scores=scores))
        first, second = (open_engine(choice, giving) for choice in (reference, other))
        weights = network.class_weights
        agreement = compare_engines(first, second, batches, giving.head, weights, tolerance)
        blobs |= agreement.blobs
    return replace(agreement, blobs=blobs)
