"""What every engine can be asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cam.caffe.loaded import LoadedNetwork
from cam.errors import CamError, InvalidValueError

Array = NDArray[np.float32]

FLOAT32, BFLOAT16 = "float32", "bfloat16"
"""What a network is computed in. Every engine has the first, in which all published numbers are."""


@dataclass(frozen=True, eq=False)
class NetworkOutput:
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

    def inputs(self, first: int, count: int) -> NetworkOutput:
        """Return what belongs to `count` inputs of the batch, from `first` on."""
        chosen = slice(first, first + count)
        return NetworkOutput(self.activations[chosen], self.scores[chosen])


ChooseClasses = Callable[[NetworkOutput], NDArray[np.intp]]
"""Says which classes are to be explained, (T,), once the scores are known."""


class Engine(Protocol):
    """Runs one network, from any number of threads at a time.

    Whatever other threads do, each call gives what it would give alone.

    Attributes
    ----------
    name : str
        What `open_engine` calls it.
    device : str
        What it runs on, for the record, such as ``"CPU"`` or ``"gpu:0"``.
    version : tuple of str
        The distribution that does the work and its version, for the record of a store.
    precision : str
        What it computes in: ``"float32"``, or ``"bfloat16"``. What it gives is float32 always.
    winograd : str
        Which calls compute 3×3 convolutions by Winograd's algorithm where that is faster:
        ``"auto"``, those of `submit`; ``"on"``, all; ``"off"``, none.
    network : cam.caffe.loaded.LoadedNetwork
        What it runs.
    batch_size : int
        How many inputs in one call of `submit` make the most of the machine.
    needs_blas_threads : bool
        Whether it computes in the BLAS library of this process, whose threads it then needs.
    """

    name: str
    device: str
    precision: str
    winograd: str
    network: LoadedNetwork

    @property
    def version(self) -> tuple[str, str]:
        """See above."""

    @property
    def batch_size(self) -> int:
        """See above."""

    @property
    def needs_blas_threads(self) -> bool:
        """See above."""

    def requests_in_flight(self, count: int) -> int:
        """Return how many calls of `submit` with `count` inputs keep the machine busy."""

    def warm_up(self, count: int) -> None:
        """Make everything ready for batches of `count` inputs, so that the first is not slower."""

    def forward(self, batch: Array) -> NetworkOutput:
        """Run a batch.

        Parameters
        ----------
        batch : numpy.ndarray
            float32 (N, 3, H, W), preprocessed, of the size that the network takes.

        Returns
        -------
        NetworkOutput
            Arrays that later calls do not change.

        Raises
        ------
        cam.errors.CamError
            If the batch is not of the network's size.
        """

    def submit(self, batch: Array) -> Callable[[], NetworkOutput]:
        """Begin to run a batch, for the most batches in a given time.

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

    def input_gradients(self, batch: Array, choose: ChooseClasses) -> tuple[NetworkOutput, Array]:
        """Return the gradients of class scores with respect to each number of the input.

        Parameters
        ----------
        batch : numpy.ndarray
            float32 (N, 3, H, W), as for `forward`.
        choose : callable
            Takes the output of the one forward pass and returns T classes. The score of a class is
            the class layer's output, before the softmax.

        Returns
        -------
        output : NetworkOutput
            As of `forward`.
        gradients : numpy.ndarray
            float32 (N, T, 3, H, W).

        Raises
        ------
        cam.errors.CamError
            If the engine runs networks forward only.
        """


def forward_only(name: str) -> CamError:
    """Return the error of an engine that is asked to run backward and cannot."""
    return CamError(
        f"saliency by backpropagation needs the caffe engine: {name} runs networks forward only; "
        "take --engine caffe where pycaffe is installed, as in the Docker image"
    )


def checked_batch(network: LoadedNetwork, batch: Array) -> Array:
    """Return a batch as a contiguous float32 array of the size that a network takes.

    Raises
    ------
    InvalidValueError
        If it is of another size.
    """
    size = network.network.input_shape[1:]
    if batch.ndim != 4 or batch.shape[1:] != size or not len(batch):
        raise InvalidValueError(
            f"a batch of shape {batch.shape} for a network that takes (N, "
            f"{', '.join(map(str, size))})"
        )
    return np.ascontiguousarray(batch, np.float32)
