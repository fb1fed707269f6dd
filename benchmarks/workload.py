"""What all contestants work on: one network with its weights, and one decoded picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.networks import MeasuredNetwork
from cam.errors import CamError
from cam.explain.model import CamModel
from cam.explain.styles import NetworkInput, get_style
from cam.pictures.reading import Picture

__all__ = ["DEMO_PICTURE", "TOP", "Call", "NotHereError", "Workload", "import_torch"]

DEMO_PICTURE = Path(__file__).parents[1] / "cam" / "data" / "coffee.png"

TOP = 5
"""How many classes are shown."""

TOLERANCE = 1e-4
"""How far another framework's scores and activations may lie from the engine's, of the largest."""

Call = Callable[[], Any]
"""What is timed."""


class NotHereError(Exception):
    """A contestant cannot run on this machine; the message says why."""


def import_torch(threads: int) -> Any:
    """Import PyTorch and let it use so many threads.

    Raises
    ------
    NotHereError
        If it is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise NotHereError(f"PyTorch is not installed ({error})") from error
    torch.set_num_threads(threads)
    return torch


@dataclass(frozen=True, eq=False)
class Workload:
    """What all contestants work on.

    Attributes
    ----------
    files : MeasuredNetwork
        The network, its weights and the files that they come from.
    model : cam.explain.model.CamModel
        The model with the engine that is measured.
    picture : numpy.ndarray
        The decoded picture, uint8 (H, W, 3) BGR.
    threads : int
        How many threads each contestant may use.
    """

    files: MeasuredNetwork
    model: CamModel
    picture: Picture
    threads: int

    def prepare(self, style: str = "pycaffe") -> NetworkInput:
        """Return the picture as a style gives it to the network."""
        return get_style(style).prepare(
            self.picture, self.model.crop_size, self.model.preprocessing
        )

    @cached_property
    def torch_network(self) -> Any:
        """The network in PyTorch, checked against the engine."""
        torch = import_torch(self.threads)
        from benchmarks.torchnet import TorchNetwork

        network = TorchNetwork(
            self.files.loaded.network, self.files.loaded.weights, self.files.loaded.head
        )
        seen = []
        with torch.inference_mode():
            hook = network.last_conv.register_forward_hook(lambda *a: seen.append(a[2].numpy()))
            scores = network(torch.from_numpy(self.prepare().batch)).softmax(1).numpy()
            hook.remove()
        self.check("PyTorch", seen[0], scores)
        return network

    def check(
        self, name: str, activations: NDArray[np.float32], scores: NDArray[np.float32]
    ) -> None:
        """Raise `CamError` if another framework's result for the picture is not the engine's.

        Parameters
        ----------
        name : str
            The framework.
        activations, scores : numpy.ndarray
            float32 (1, K, h, w) and (1, C).
        """
        forward = self.model.engine.forward(self.prepare().batch)
        for ours, theirs in ((forward.activations, activations), (forward.scores, scores)):
            difference = float(np.abs(ours - theirs).max() / np.abs(ours).max())
            if not difference <= TOLERANCE:
                raise CamError(
                    f"{name} does not compute the same network: {difference:.1e} of the largest "
                    f"value apart, {TOLERANCE:.0e} allowed"
                )
