"""The engines that run a Caffe network, behind one protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cam.caffe.formats import Blobs
from cam.caffe.network import Head, Network
from cam.errors import CamError, nearest_names

__all__ = ["ENGINES", "Engine", "Forward", "open_engine"]

ENGINES = ("auto", "openvino", "caffe")

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
    batch_size : int
        How many inputs in one call of `submit` make the most of the machine.
    in_flight : int
        How many calls of `submit` should be under way to keep the machine busy.
    """

    name: str
    device: str
    class_weights: Array

    @property
    def batch_size(self) -> int:
        """See above."""

    @property
    def in_flight(self) -> int:
        """See above."""

    def prepare(self, count: int) -> None:
        """Do once what the first batch of `count` inputs would otherwise wait for."""

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

    def submit(self, batch: Array) -> Callable[[], Forward]:
        """Begin to run a batch, for the most batches in a given time; may be called by any thread.

        Parameters
        ----------
        batch : numpy.ndarray
            As for `forward`; it must not change before the result is there.

        Returns
        -------
        callable
            Waits for the result and returns it; to be called once. Scores and activations do not
            depend on what else is under way, and equal those of `forward` up to the rounding of
            single precision.

        Raises
        ------
        cam.errors.CamError
            If the batch is not of the network's size.
        """


def open_engine(
    choice: str,
    network: Network,
    weights: Mapping[str, Blobs],
    head: Head,
    caffemodel: Path,
    threads: int | None = None,
    weights_digest: str | None = None,
) -> Engine:
    """Start an engine on a network.

    Parameters
    ----------
    choice : str
        ``"openvino"``; ``"caffe"``, with ``":cpu"`` or ``":gpu:N"`` behind it to name a device;
        or ``"auto"``, which takes Caffe where pycaffe is installed.
    network, weights, head
        The network, its weights and its CAM head.
    caffemodel : pathlib.Path
        The file that the weights come from, which Caffe reads by itself.
    threads : int, optional
        How many threads a forward pass may use; the engine's choice if not given.
    weights_digest : str, optional
        The SHA-256 of `caffemodel`, with which compiled networks are kept for the next start.

    Returns
    -------
    Engine
        The engine.

    Raises
    ------
    CamError
        If there is no such engine, or it is not installed.
    """
    name, _, device = choice.partition(":")
    if name not in ENGINES:
        raise CamError(f"no engine {choice!r}{nearest_names(name, ENGINES)}; there are {ENGINES}")
    if name == "auto":
        name = "caffe" if find_spec("caffe") is not None else "openvino"
    if name == "caffe":
        from cam.engines.caffe import PycaffeEngine

        return PycaffeEngine(network, head, caffemodel, device or None, threads)
    if device.lower() not in ("", "cpu"):
        raise CamError(f"the openvino engine runs on the CPU, not on {device!r}")
    from cam.engines.openvino import OpenVinoEngine

    return OpenVinoEngine(network, weights, head, threads, weights_digest)
