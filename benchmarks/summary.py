"""What follows from the times: ratios of contestants, and rates beside what the machine can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import prod
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.matrix_products import MATRIX_SIZE
from benchmarks.timing import CLOCKS, Turns, quartiles
from cam.caffe.network import Network

__all__ = ["TARGETS", "Target", "multiply_accumulates", "summarize"]

Times = Mapping[str, NDArray[np.float64]]
"""For each clock a number for each round."""


@dataclass(frozen=True)
class Target:
    """A ratio of two times that is to stay below a bound.

    Attributes
    ----------
    numerator, denominator : str
        Contestants' keys.
    at_most : float or None
        The bound, None where the ratio is only reported.
    """

    numerator: str
    denominator: str
    at_most: float | None = None


TARGETS = (
    Target("ours_1", "torchcam_1", 0.60),
    Target("ours_1", "pycaffe_port_1", 0.25),
    Target("forward_1", "pycaffe_port_1"),
    Target("ours_1", "grad_cam_1"),
    Target("ours_1", "forward_1", 1.10),
    Target("ours_10", "forward_10", 1.08),
)

SGEMM_SHARE_AT_LEAST = 0.75


def multiply_accumulates(network: Network) -> int:
    """Return how many multiplications and additions one crop takes.

    Parameters
    ----------
    network : Network
        The network; its convolutions and inner products are counted.

    Returns
    -------
    int
        Multiply-accumulates; the floating-point operations are twice as many.
    """
    total = 0
    for layer in network.layers:
        if layer.type in ("Convolution", "InnerProduct"):
            top = network.blob_shapes[layer.tops[0]]
            total += prod(network.weight_shapes[layer.name][0]) * prod(top[2:])
    return total


def summarize(turns: Turns, macs: int) -> dict[str, Any]:
    """Return ratios and rates, each with its quartiles over the rounds.

    Parameters
    ----------
    turns : mapping
        For each contestant ``wall_ms`` and ``cpu_ms``: for each round the times of its calls.
    macs : int
        Multiply-accumulates of one crop.

    Returns
    -------
    dict
        ``times``, ``ratios`` and, where matrix products were measured, ``sgemm``.
    """
    rounds = {
        key: {clock: np.array([median(turn) for turn in times[clock]]) for clock in CLOCKS}
        for key, times in turns.items()
    }
    times = {
        key: _by_clock({clock: np.concatenate(times[clock]) for clock in CLOCKS})
        for key, times in turns.items()
    }
    ratios = [
        {**asdict(target), **_ratio(rounds[target.numerator], rounds[target.denominator])}
        for target in TARGETS
        if target.numerator in turns and target.denominator in turns
    ]
    products = [key for key in turns if key.startswith("sgemm")]
    if not products or "forward_1" not in turns:
        return {"times": times, "ratios": ratios}
    fastest = min(products, key=lambda key: times[key]["cpu_ms"]["median"])
    return {"times": times, "ratios": ratios, "sgemm": _product_share(rounds, fastest, macs)}


def _product_share(rounds: Mapping[str, Times], fastest: str, macs: int) -> dict[str, Any]:
    """Return the rates of the forward and of the fastest matrix product, and their ratio."""
    # Billions of operations a second, from milliseconds.
    product = {clock: 2e-6 * MATRIX_SIZE**3 / rounds[fastest][clock] for clock in CLOCKS}
    forward = {clock: 2e-6 * macs / rounds["forward_1"][clock] for clock in CLOCKS}
    return {
        "fastest": fastest,
        "matrix_size": MATRIX_SIZE,
        "at_least": SGEMM_SHARE_AT_LEAST,
        "gflops": _by_clock(product),
        "forward_gflops": _by_clock(forward),
        "share": _ratio(forward, product),
    }


def _ratio(numerator: Times, denominator: Times) -> dict[str, dict[str, float]]:
    """Return the quartiles of a ratio that is taken round by round."""
    return _by_clock({clock: numerator[clock] / denominator[clock] for clock in CLOCKS})


def _by_clock(values: Times) -> dict[str, dict[str, float]]:
    return {clock: quartiles(values[clock]) for clock in CLOCKS}
