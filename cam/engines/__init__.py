"""The engines that run a Caffe network, behind one protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Engine", "Forward"]

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Forward:
    """What one forward pass gives.

    Attributes
    ----------
    activations : numpy.ndarray
        float32 (N, K, h, w): the last conv's activations, after any in-place activation layer.
    scores : numpy.ndarray
        float32 (N, C): the class probabilities.
    """

    activations: Array
    scores: Array


class Engine(Protocol):
    """Runs one network.

    Attributes
    ----------
    name : str
        ``"openvino"`` or ``"caffe"``.
    device : str
        What it runs on, for the record, such as ``"CPU"`` or ``"gpu:0"``.
    class_weights : numpy.ndarray
        float32 (C, K): the weights of the class layer.
    """

    name: str
    device: str
    class_weights: Array

    def forward(self, batch: Array) -> Forward:
        """Run a batch.

        Parameters
        ----------
        batch : numpy.ndarray
            float32 (N, 3, H, W), preprocessed, of the size that the network takes.

        Returns
        -------
        Forward
            Arrays that later calls do not change.

        Raises
        ------
        cam.errors.CamError
            If the batch is not of the network's size.
        """
        ...
