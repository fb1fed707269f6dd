"""The table of what is measured side by side.

Each contestant's call ends with what a user wants, five overlays or the original's figure, or is a
part of that alone. All compute the same network with the same weights on the same decoded picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks import matrix_products, rivals
from benchmarks.workload import TOP, Call, Workload
from cam.pictures.reading import Picture

__all__ = ["CONTESTANTS", "Contestant"]


@dataclass(frozen=True)
class Contestant:
    """One piece of work that is measured.

    Attributes
    ----------
    key : str
        Its name in the results.
    label : str
        What it does, in words.
    prepare : callable
        Makes the call that is timed; raises `NotHereError` where it cannot run.
    """

    key: str
    label: str
    prepare: Callable[[Workload], Call]


def _forward(workload: Workload, style: str) -> Call:
    return partial(workload.model.engine.forward, workload.prepare(style).batch)


def _overlays(workload: Workload) -> Call:
    def call() -> list[Picture]:
        result = workload.model.explain(workload.picture, TOP, "pycaffe")
        return [result.overlay(k) for k in range(TOP)]

    return call


def _figure(workload: Workload) -> Call:
    return lambda: workload.model.explain(workload.picture, TOP, "matlab").montage()


CONTESTANTS = (
    Contestant("forward_1", "engine's forward alone, 1 crop", partial(_forward, style="pycaffe")),
    Contestant("ours_1", "ours, 1 crop, five overlays", _overlays),
    Contestant("torch_forward_1", "PyTorch's forward alone, 1 crop", rivals.torch_forward),
    Contestant("torchcam_1", "torchcam, 1 crop, five overlays", rivals.torchcam),
    Contestant("grad_cam_1", "pytorch-grad-cam, 1 crop, five overlays", rivals.grad_cam),
    Contestant("pycaffe_port_1", "pycaffe port, 1 crop, five overlays", rivals.pycaffe_port),
    Contestant("forward_10", "engine's forward alone, 10 crops", partial(_forward, style="matlab")),
    Contestant("ours_10", "ours, 10 crops, merge and figure", _figure),
    Contestant("sgemm_numpy", "matrix product, NumPy", matrix_products.numpy_product),
    Contestant("sgemm_openvino", "matrix product, OpenVINO", matrix_products.openvino_product),
    Contestant("sgemm_torch", "matrix product, PyTorch", matrix_products.torch_product),
)
