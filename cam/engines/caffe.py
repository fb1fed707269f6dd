"""The `caffe` engine: BVLC Caffe through pycaffe, on the CPU or on a GPU.

Caffe ends the process where it finds something wrong. Files and shapes are therefore checked by
`cam.caffe.network` before Caffe sees them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cam.caffe.formats import read_prototxt, write_prototxt
from cam.caffe.network import Head, Network
from cam.engines import Forward
from cam.errors import CamError

__all__ = ["PycaffeEngine", "gpu_works", "import_caffe"]


class PycaffeEngine:
    """Runs a network in Caffe.

    Parameters
    ----------
    network : Network
        The network; its `source` is the prototxt that Caffe reads.
    head : Head
        The blobs to give out.
    caffemodel : pathlib.Path
        The weights, which must have been checked against `network`.
    device : str, optional
        ``"cpu"`` or ``"gpu:N"``; a GPU where Caffe can use one if not given.
    threads : int, optional
        How many threads the BLAS library may use.

    Attributes
    ----------
    name, device, class_weights
        See `cam.engines.Engine`.

    Raises
    ------
    CamError
        If pycaffe is not installed, or the device cannot be used.
    """

    name = "caffe"

    def __init__(
        self,
        network: Network,
        head: Head,
        caffemodel: Path,
        device: str | None = None,
        threads: int | None = None,
    ) -> None:
        from threadpoolctl import ThreadpoolController

        self._caffe = import_caffe()
        self._gpu = _gpu_number(device)
        self.device = "cpu" if self._gpu is None else f"gpu:{self._gpu}"
        self._threads = threads
        self._network = network
        self._head = head
        self._lock = threading.Lock()
        self._use_device()
        self._net = _load_net(self._caffe, network, caffemodel)
        self._blas = ThreadpoolController()
        self.class_weights: NDArray[np.float32] = self._net.params[head.class_layer][0].data.copy()

    def prepare(self, count: int) -> None:
        """Reshape the network for batches of `count` inputs."""
        data = self._net.blobs[self._network.input_name]
        if data.num != count:
            data.reshape(count, *self._network.input_shape[1:])
            self._net.reshape()

    def forward(self, batch: NDArray[np.float32]) -> Forward:
        """Run a batch; see `cam.engines.Engine.forward`."""
        self._run(batch)
        blobs = self._net.blobs
        return Forward(
            blobs[self._head.last_conv].data.copy(), blobs[self._head.scores].data.copy()
        )

    @property
    def batch_size(self) -> int:
        """See `cam.engines.Engine`: a GPU needs many inputs at once, a CPU does not."""
        return 10 if self._gpu is None else 40

    in_flight = 1

    def submit(self, batch: NDArray[np.float32]) -> Callable[[], Forward]:
        """Run a batch; see `cam.engines.Engine.submit`. Caffe is done when this returns."""
        with self._lock:
            forward = self.forward(batch)
        return lambda: forward

    def input_gradient(
        self, batch: NDArray[np.float32], classes: NDArray[np.intp]
    ) -> NDArray[np.float32]:
        """Return the gradient of one class's score with respect to each input number.

        Parameters
        ----------
        batch : numpy.ndarray
            float32 (N, 3, H, W), as for `forward`.
        classes : numpy.ndarray
            int (N,): the class of each input. Its score is the class layer's output, before the
            softmax.

        Returns
        -------
        numpy.ndarray
            float32 (N, 3, H, W).
        """
        self._run(batch)
        top = self._network.layer(self._head.class_layer).tops[0]
        score_gradient = self._net.blobs[top].diff
        score_gradient[...] = 0
        score_gradient[np.arange(len(batch)), classes] = 1
        self._net.backward(start=self._head.class_layer)
        gradient: NDArray[np.float32] = self._net.blobs[self._network.input_name].diff.copy()
        return gradient

    def _run(self, batch: NDArray[np.float32]) -> None:
        expected = self._network.input_shape[1:]
        if batch.ndim != 4 or batch.shape[1:] != expected or not len(batch):
            raise CamError(
                f"a batch of shape {batch.shape} for a network that takes (N, "
                f"{', '.join(map(str, expected))})"
            )
        self._use_device()
        self.prepare(len(batch))
        self._net.blobs[self._network.input_name].data[...] = batch
        with self._blas.limit(limits=self._threads, user_api="blas"):
            self._net.forward()

    def _use_device(self) -> None:
        # Caffe keeps the device for each thread, so it is said before each use.
        if self._gpu is None:
            self._caffe.set_mode_cpu()
        else:
            self._caffe.set_device(self._gpu)
            self._caffe.set_mode_gpu()


def import_caffe() -> Any:
    """Import pycaffe with its log switched off, unless ``GLOG_minloglevel`` says otherwise.

    Raises
    ------
    CamError
        If pycaffe is not installed or does not import.
    """
    os.environ.setdefault("GLOG_minloglevel", "2")
    try:
        import caffe
    except ImportError as error:
        raise CamError(
            f"the caffe engine needs pycaffe, which does not import here ({error}); build it with "
            "docker/build_caffe.sh, take the Docker image, or use the openvino engine"
        ) from error
    return caffe


def gpu_works(number: int = 0) -> bool:
    """Tell whether Caffe can use a GPU.

    Caffe ends the process if it cannot, so another process tries.

    Parameters
    ----------
    number : int, optional
        Which GPU, from 0.

    Returns
    -------
    bool
        True if Caffe was built with CUDA and the GPU answers.
    """
    if not Path("/proc/driver/nvidia").exists():
        return False
    attempt = f"import caffe; caffe.set_device({number}); caffe.set_mode_gpu()"
    environment = {**os.environ, "GLOG_minloglevel": "3"}
    finished = subprocess.run(
        [sys.executable, "-c", attempt], env=environment, capture_output=True, check=False
    )
    return finished.returncode == 0


def _gpu_number(device: str | None) -> int | None:
    if device is None:
        return 0 if gpu_works() else None
    name, _, number = device.lower().partition(":")
    if name == "cpu" and not number:
        return None
    if name != "gpu" or not (number or "0").isdecimal():
        raise CamError(f"no device {device!r} for the caffe engine; there are cpu and gpu:N")
    if not gpu_works(int(number or 0)):
        raise CamError(f"Caffe cannot use {device}: it was built without CUDA, or no GPU answers")
    return int(number or 0)


def _load_net(caffe: Any, network: Network, caffemodel: Path) -> Any:
    message = read_prototxt(network.source)
    # Without it Caffe stops the gradient at the first layer that has weights.
    message.force_backward = True
    with tempfile.TemporaryDirectory() as folder:
        prototxt = Path(folder) / "deploy.prototxt"
        write_prototxt(prototxt, message)
        return caffe.Net(str(prototxt), caffe.TEST, weights=str(caffemodel))
