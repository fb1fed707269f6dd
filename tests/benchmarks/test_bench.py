from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from networks import loaded

from benchmarks import measure as bench
from benchmarks import report as bench_report
from benchmarks.measure import (
    Contestant,
    NotHereError,
    multiply_accumulates,
    quartiles,
    summarize,
)
from cam import zoo
from cam.caffe.head import find_head
from cam.caffe.network import load_network, parse_network
from cam.caffe.random_weights import seeded_weights
from cam.cli.bench import bench as command
from cam.engines.openvino import OpenVinoEngine
from cam.errors import CamError
from cam.files import models_folder

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


@pytest.fixture
def results() -> dict[str, Any]:
    times = turns(
        forward_1=[20.0, 20.0], ours_1=[21.0, 23.0], sgemm_numpy=[10.0, 10.0], ours_10=[200.0] * 2
    )
    return {
        "made": "2000-01-01T00:00:00+00:00",
        "machine": {
            "processor": "a processor",
            "cores": 2,
            "system": "a system",
            "blas": ["b"],
            "load_average": [1.0, None],
        },
        "versions": {"cam": "0", "torch": "not installed"},
        "model": {"name": "googlenet", "weights": "random, seed 0", "multiply_accumulates": 10**9},
        "settings": {"threads": 1, "rounds": 2, "calls_per_turn": 1, "picture": [30, 40, 3]},
        "timings": {key: {"label": f"label of {key}", **times[key]} for key in times},
        "not_run": {"torchcam_1": {"label": "label of torchcam_1", "reason": "not installed"}},
        **summarize(times, 10**9),
        "peak_memory_mb": {"styles": {"pycaffe": 300.0, "matlab": 700.0}, "at_most": 600},
    }


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
    size = bench.MATRIX_SIZE
    found = summarize(
        turns(forward_1=[20.0], sgemm_numpy=[30.0], sgemm_torch=[10.0]), macs=size**3
    )["sgemm"]
    assert found["fastest"] == "sgemm_torch"
    # As many operations as the product in twice its time.
    assert found["share"]["cpu_ms"]["median"] == pytest.approx(0.5)
    assert found["gflops"]["cpu_ms"]["median"] == pytest.approx(2e-9 * size**3 / 10e-3)


def test_quartiles_of_one_number_are_that_number() -> None:
    assert quartiles([4.0]) == {"q1": 4.0, "median": 4.0, "q3": 4.0}


@pytest.mark.parametrize("name", ["googlenet", "alexnet", "efficientnet-lite0"])
def test_the_network_in_pytorch_is_the_engines(name: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch (extra `bench`) is not installed")
    from benchmarks.torchnet import TorchNetwork

    info = zoo.get(name)
    network = load_network(models_folder() / info.prototxt)
    head, weights = find_head(network), seeded_weights(network)
    module = TorchNetwork(network, weights, head)
    seen: list[np.ndarray] = []
    module.last_conv.register_forward_hook(lambda *arguments: seen.append(arguments[2].numpy()))
    shape = (2, *network.input_shape[1:])
    batch = np.random.default_rng(0).uniform(-120, 140, shape).astype(np.float32)
    with torch.inference_mode():
        scores = module(torch.from_numpy(batch)).softmax(1).numpy()
    forward = OpenVinoEngine(loaded(network, weights, head)).forward(batch)
    np.testing.assert_allclose(scores, forward.scores, atol=1e-4 * forward.scores.max())
    largest = np.abs(forward.activations).max()
    np.testing.assert_allclose(seen[0], forward.activations, atol=1e-4 * largest)
    np.testing.assert_array_equal(module.class_layer.weight.detach(), weights[head.class_layer][0])


@pytest.mark.slow
def test_a_run_holds_times_versions_and_who_could_not_run() -> None:
    def absent(setup: bench.Setup) -> bench.Call:
        raise NotHereError("somewhere else")

    chosen = [c for c in bench.CONTESTANTS if c.key in ("forward_1", "ours_1", "sgemm_numpy")]
    done: list[tuple[int, int]] = []
    found = bench.bench(
        "efficientnet-lite0",
        rounds=2,
        progress=lambda *counts: done.append(counts),
        contestants=[*chosen, Contestant("absent_1", "who is absent", absent)],
    )
    assert done == [(turn, 6) for turn in range(1, 7)]
    assert found["not_run"] == {"absent_1": {"label": "who is absent", "reason": "somewhere else"}}
    for key in ("forward_1", "ours_1"):
        times = np.array(found["timings"][key]["cpu_ms"])
        assert times.shape == (2, bench.CALLS_PER_TURN)
        assert (times > 0).all()
    assert found["model"]["weights"] == "efficientnet-lite0.caffemodel"
    assert found["ratios"][0]["wall_ms"]["median"] > 0
    assert all(50 < peak < 2000 for peak in found["peak_memory_mb"]["styles"].values())
    json.dumps(found)


def test_the_summary_says_what_was_met_and_who_did_not_run(results: dict[str, Any]) -> None:
    text = "\n".join(bench_report.summary_lines(results))
    assert "random, seed 0" in text
    # 22 / 20 in the median of both rounds.
    assert "1.100 [1.075, 1.125]" in text
    assert "at most 1.10: met" in text
    assert "at most 600 MB: missed" in text
    assert "label of torchcam_1" in text
    assert "not run: not installed" in text


def test_a_report_leaves_the_rest_of_its_page_alone(
    results: dict[str, Any], tmp_path: Path
) -> None:
    page = tmp_path / "performance.md"
    bench_report.write_report(results, page)
    written = page.read_text()
    assert written.startswith("# Performance")
    page.write_text(written + "\nA batch takes a while.\n")
    results["model"]["weights"] = "the real ones"
    bench_report.write_report(results, page, tmp_path / "bars.png")
    again = page.read_text()
    assert again.endswith("\nA batch takes a while.\n")
    assert "the real ones" in again
    assert "random, seed 0" not in again
    assert "(bars.png)" in again
    assert again.count("| ratio |") == 1


def test_a_page_without_marks_is_not_written_to(results: dict[str, Any], tmp_path: Path) -> None:
    page = tmp_path / "other.md"
    page.write_text("# Something else\n")
    with pytest.raises(CamError, match="no place"):
        bench_report.write_report(results, page)
    assert page.read_text() == "# Something else\n"


def test_the_command_shows_plots_and_reports_an_earlier_run(
    results: dict[str, Any], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib (extra `bench`) is not installed")
    earlier = tmp_path / "bench.json"
    bench_report.write_results(results, earlier)
    arguments = ["--from", earlier, "--plot", tmp_path / "b.png", "--report", tmp_path / "p.md"]
    shown = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert shown.exit_code == 0, shown.output
    assert "at most 1.10: met" in shown.output
    assert (tmp_path / "b.png").stat().st_size > 1000
    assert "![" in (tmp_path / "p.md").read_text()


@pytest.mark.parametrize("text", ["", "{}", "[1]"])
def test_a_file_that_is_no_measurement_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(CamError, match=r"measure|cam bench"):
        bench_report.read_results(path)


def test_an_unknown_contestant_is_refused_with_the_nearest_name() -> None:
    result = CliRunner().invoke(command, ["--only", "torchcam"])
    assert isinstance(result.exception, CamError)
    assert "torchcam_1" in str(result.exception)
