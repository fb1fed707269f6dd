"""The `caffe` engine: BVLC Caffe through pycaffe, on the CPU or on a GPU.

Caffe ends the process where it finds something wrong. Files and shapes are therefore checked by
`cam.caffe` before Caffe sees them.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from cam.caffe.loaded import LoadedNetwork
from cam.caffe.prototxt import write_prototxt
from cam.caffe.schema import message_class
from cam.engines.protocol import FLOAT32, Array, ChooseClasses, NetworkOutput, checked_batch
from cam.errors import CamError, InvalidValueError

RUNS_BACKWARD = True
PRECISIONS = (FLOAT32,)


def start(network: LoadedNetwork, device: str, threads: int | None, precision: str) -> CaffeEngine:
    """Start the engine; see `cam.engines.opening.ENGINES`."""
    return CaffeEngine(network, device or None, threads)


def obstacle(device: str) -> str:
    """Say why the engine could not start."""
    if find_spec("caffe") is None:
        return "as pycaffe is not installed"
    if device == "cpu":
        return ""
    if not _has_cuda_driver():
        return "as NVIDIA's driver is not installed"
    return "" if gpu_works() else "which Caffe cannot use"


class CaffeEngine:
    """Runs a network in Caffe, one call at a time; see `cam.engines.protocol.Engine`.

    Parameters
    ----------
    network : cam.caffe.loaded.LoadedNetwork
        The network.
    device : str, optional
        ``"cpu"`` or ``"gpu:N"``; a GPU where Caffe can use one if not given.
    threads : int, optional
        How many threads the BLAS library may use.

    Raises
    ------
    CamError
        If pycaffe is not installed, or the device cannot be used.
    """

    name = "caffe"
    precision = FLOAT32
    winograd = "off"
    needs_blas_threads = True

    def __init__(
        self, network: LoadedNetwork, device: str | None = None, threads: int | None = None
    ) -> None:
        from threadpoolctl import ThreadpoolController

        self._caffe = import_caffe()
        self._gpu = gpu_number(device)
        self.device = "cpu" if self._gpu is None else f"gpu:{self._gpu}"
        self.network = network
        self._threads = threads
        # Reentrant, since a forward pass is part of a backward one.
        self._lock = threading.RLock()
        self._use_device()
        self._net = _load_net(self._caffe, network)
        self._blas = ThreadpoolController()

    @property
    def version(self) -> tuple[str, str]:
        """Caffe and its version."""
        # Built from source it is a module without a package's metadata.
        try:
            return self.name, metadata.version(self.name)
        except metadata.PackageNotFoundError:
            return self.name, str(getattr(self._caffe, "__version__", "unknown"))

    @property
    def batch_size(self) -> int:
        """A GPU needs many inputs at once, a CPU does not."""
        return 10 if self._gpu is None else 40

    def requests_in_flight(self, count: int) -> int:
        """Caffe does one thing at a time."""
        return 1

    def warm_up(self, count: int) -> None:
        """Reshape the network for batches of `count` inputs."""
        with self._lock:
            data = self._net.blobs[self.network.network.input_name]
            if data.num != count:
                data.reshape(count, *self.network.network.input_shape[1:])
                self._net.reshape()

    def forward(self, batch: Array) -> NetworkOutput:
        """Run a batch."""
        inputs = checked_batch(self.network, batch)
        head = self.network.head
        with self._lock:
            self._use_device()
            self.warm_up(len(inputs))
            blobs = self._net.blobs
            blobs[self.network.network.input_name].data[...] = inputs
            with self._blas.limit(limits=self._threads, user_api="blas"):
                self._net.forward()
            scores = blobs[head.scores].data.reshape(len(inputs), -1)
            return NetworkOutput(blobs[head.last_conv].data.copy(), scores.copy())

    def submit(self, batch: Array) -> Callable[[], NetworkOutput]:
        """Run a batch; Caffe is done when this returns."""
        output = self.forward(batch)
        return lambda: output

    def input_gradients(self, batch: Array, choose: ChooseClasses) -> tuple[NetworkOutput, Array]:
        """Run a batch forward once, and backward once for each class."""
        class_layer = self.network.head.class_layer
        with self._lock:
            output = self.forward(batch)
            classes = choose(output)
            scores = self._net.blobs[self.network.network.layer(class_layer).tops[0]]
            inputs = self._net.blobs[self.network.network.input_name]
            gradients = np.empty((len(batch), len(classes), *batch.shape[1:]), np.float32)
            for k, index in enumerate(classes):
                scores.diff[...] = 0
                scores.diff[:, index] = 1
                self._net.backward(start=class_layer)
                gradients[:, k] = inputs.diff
        return output, gradients

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

    Caffe ends the process if it cannot, so another process tries, once in the life of this one. It
    takes no module from the working folder or from ``PYTHONPATH``, but the extension of the pycaffe
    that this process would import, alone: the rest of pycaffe takes four times as long to import.

    Parameters
    ----------
    number : int, optional
        Which GPU, from 0.

    Returns
    -------
    bool
        True if Caffe was built with CUDA and the GPU answers.
    """
    found = find_spec("caffe")
    if found is None or found.origin is None or not _has_cuda_driver():
        return False
    return _answers(Path(found.origin).parent, number)


@cache
def _answers(package: Path, number: int) -> bool:
    """Tell whether the Caffe of a pycaffe can use a GPU, by trying it in another process."""
    attempt = (
        "import sys; sys.path.append(sys.argv[1]); import _caffe; "
        f"_caffe.set_device({number}); _caffe.set_mode_gpu()"
    )
    finished = subprocess.run(
        [sys.executable, "-I", "-c", attempt, str(package)],
        env={**os.environ, "GLOG_minloglevel": "3"},
        capture_output=True,
        check=False,
    )
    return finished.returncode == 0


def _has_cuda_driver() -> bool:
    """Tell whether NVIDIA's driver is installed.

    Its library is what CUDA itself loads, and is found by one name everywhere: under WSL2 and on
    Jetson boards there is no ``/proc/driver/nvidia``, and in containers no ``nvidia-smi``.
    """
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def gpu_number(device: str | None) -> int | None:
    """Return which GPU a device's name means, or None for the CPU.

    Parameters
    ----------
    device : str or None
        ``"cpu"`` or ``"gpu:N"``; a GPU where Caffe can use one if None.

    Raises
    ------
    CamError
        If there is no such device, or Caffe cannot use it.
    """
    if device is None:
        return 0 if gpu_works() else None
    name, _, number = device.lower().partition(":")
    if name == "cpu" and not number:
        return None
    if name != "gpu" or not (number or "0").isdecimal():
        raise InvalidValueError(
            f"no device {device!r} for the caffe engine; there are cpu and gpu:N"
        )
    if not gpu_works(int(number or 0)):
        raise CamError(f"Caffe cannot use {device}: it was built without CUDA, or no GPU answers")
    return int(number or 0)


def _load_net(caffe: Any, network: LoadedNetwork) -> Any:
    message = message_class("NetParameter")()
    message.CopyFrom(network.network.message)
    # Without it Caffe stops the gradient at the first layer that has weights.
    message.force_backward = True
    with tempfile.TemporaryDirectory() as folder, network.weights_file() as weights:
        prototxt = Path(folder) / "deploy.prototxt"
        write_prototxt(prototxt, message)
        return caffe.Net(str(prototxt), caffe.TEST, weights=str(weights))
