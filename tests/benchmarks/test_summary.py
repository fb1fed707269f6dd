from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from benchmarks import timing
from benchmarks.matrix_products import MATRIX_SIZE
from benchmarks.summary import multiply_accumulates, summarize
from benchmarks.timing import quartiles
from cam.caffe.network import load_network, parse_network

SMALL = """
input: "data" input_dim: 1 input_dim: 4 input_dim: 8 input_dim: 8
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 6 kernel_size: 3 stride: 2 pad: 1 group: 2 } }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
        pooling_param { pool: AVE global_pooling: true } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
        inner_product_param { num_output: 5 } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


def turns(**milliseconds: list[float]) -> dict[str, dict[str, list[list[float]]]]:
    """Return the turns of contestants, one call of that many milliseconds in each."""
    calls = {key: [[value] for value in values] for key, values in milliseconds.items()}
    return {key: {"wall_ms": values, "cpu_ms": values} for key, values in calls.items()}


def test_multiply_accumulates_are_the_closed_form() -> None:
    # 4 x 4 outputs of 6 maps, each from 2 channels of 3 x 3; then 6 features to 5 classes.
    assert multiply_accumulates(parse_network(SMALL)) == 4 * 4 * 6 * 2 * 9 + 6 * 5


def test_googlenet_takes_2_21_billion_multiply_accumulates(models: Path) -> None:
    network = load_network(models / "deploy_googlenetCAM.prototxt")
    assert multiply_accumulates(network) == pytest.approx(2.21e9, rel=0.005)


def test_ratios_are_taken_turn_by_turn() -> None:
    # The machine slows down tenfold after the first round; the ratio stays.
    found = summarize(turns(forward_1=[10.0, 100.0, 100.0], ours_1=[11.0, 110.0, 110.0]), 1)
    (ratio,) = found["ratios"]
    assert ratio["wall_ms"] == pytest.approx({"q1": 1.1, "median": 1.1, "q3": 1.1})
    assert "sgemm" not in found


def test_the_forwards_share_is_of_the_fastest_matrix_product() -> None:
    size = MATRIX_SIZE
    found = summarize(
        turns(forward_1=[20.0], sgemm_numpy=[30.0], sgemm_torch=[10.0]), macs=size**3
    )["sgemm"]
    assert found["fastest"] == "sgemm_torch"
    # As many operations as the product in twice its time.
    assert found["share"]["cpu_ms"]["median"] == pytest.approx(0.5)
    assert found["gflops"]["cpu_ms"]["median"] == pytest.approx(2e-9 * size**3 / 10e-3)


def test_quartiles_of_one_number_are_that_number() -> None:
    assert quartiles([4.0]) == {"q1": 4.0, "median": 4.0, "q3": 4.0}


def test_the_examples_hold() -> None:
    found = doctest.testmod(timing)
    assert found.attempted == 1
    assert found.failed == 0
