from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from locations import REPOSITORY
from networks import loaded

from benchmarks.__main__ import side_by_side
from benchmarks.batch import many_pictures
from benchmarks.contestants import CONTESTANTS, Contestant
from benchmarks.engine import engine_alone
from benchmarks.networks import open_network
from benchmarks.peak_memory import peak_memory
from benchmarks.side_by_side import measure
from benchmarks.summary import TARGETS
from benchmarks.timing import CALLS_PER_TURN, time_in_turns
from benchmarks.workload import Call, NotHereError, Workload
from cam import zoo
from cam.caffe.head import find_head
from cam.caffe.network import load_network
from cam.caffe.random_weights import seeded_weights
from cam.engines.openvino import OpenVinoEngine
from cam.errors import CamError, MissingFileError
from cam.files import models_folder
from cam.pictures.reading import read_picture


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
    forward = OpenVinoEngine(loaded(network, weights)).forward(batch)
    np.testing.assert_allclose(scores, forward.scores, atol=1e-4 * forward.scores.max())
    largest = np.abs(forward.activations).max()
    np.testing.assert_allclose(seen[0], forward.activations, atol=1e-4 * largest)
    np.testing.assert_array_equal(module.class_layer.weight.detach(), weights[head.class_layer][0])


@pytest.mark.slow
def test_a_run_holds_times_versions_and_who_could_not_run() -> None:
    def absent(workload: Workload) -> Call:
        raise NotHereError("somewhere else")

    chosen = [c for c in CONTESTANTS if c.key in ("forward_1", "ours_1", "sgemm_numpy")]
    done: list[tuple[int, int]] = []
    found = measure(
        "efficientnet-lite0",
        rounds=2,
        progress=lambda *counts: done.append(counts),
        contestants=[*chosen, Contestant("absent_1", "who is absent", absent)],
    )
    assert done == [(turn, 6) for turn in range(1, 7)]
    assert found["not_run"] == {"absent_1": {"label": "who is absent", "reason": "somewhere else"}}
    for key in ("forward_1", "ours_1"):
        times = np.array(found["timings"][key]["cpu_ms"])
        assert times.shape == (2, CALLS_PER_TURN)
        assert (times > 0).all()
    assert found["model"]["weights"] == "efficientnet-lite0.caffemodel"
    assert found["ratios"][0]["wall_ms"]["median"] > 0
    assert all(50 < peak < 2000 for peak in found["peak_memory_mb"]["styles"].values())
    json.dumps(found)


def test_an_unknown_contestant_is_refused_with_the_nearest_name() -> None:
    result = CliRunner().invoke(side_by_side, ["--only", "torchcam"])
    assert isinstance(result.exception, CamError)
    assert "torchcam_1" in str(result.exception)


def test_every_target_is_of_contestants() -> None:
    keys = [contestant.key for contestant in CONTESTANTS]
    assert len(set(keys)) == len(keys)
    assert {key for target in TARGETS for key in (target.numerator, target.denominator)} <= {*keys}


def test_contestants_change_places_from_round_to_round() -> None:
    seen: list[str] = []
    calls = {key: (lambda key=key: seen.append(key)) for key in "abc"}
    turns = time_in_turns(calls, rounds=2, threads=1)
    each = 1 + CALLS_PER_TURN
    assert "".join(seen) == "".join(key * each for key in "abcbca")
    assert {len(times) for key in "abc" for times in turns[key]["wall_ms"]} == {CALLS_PER_TURN}


@pytest.fixture
def workload(coffee: Path) -> Workload:
    with open_network(zoo.EMBEDDED) as files:
        return Workload(files, files.load_model("openvino", 1), read_picture(coffee), 1)


def test_a_framework_that_computes_another_network_is_found_out(workload: Workload) -> None:
    forward = workload.model.engine.forward(workload.prepare().batch)
    workload.check("Same", forward.activations, forward.scores)
    with pytest.raises(CamError, match="Other does not compute the same network"):
        workload.check("Other", forward.activations, forward.scores * np.float32(1.01))


@pytest.mark.parametrize(
    "key", ["ours_1", "ours_10", "forward_10", "sgemm_numpy", "sgemm_openvino"]
)
def test_our_own_contestants_run(key: str, workload: Workload) -> None:
    (contestant,) = (one for one in CONTESTANTS if one.key == key)
    assert contestant.prepare(workload)() is not None


@pytest.mark.caffe
def test_the_ports_overlays_are_ours(coffee: Path, pycaffe: object) -> None:
    by_key = {contestant.key: contestant for contestant in CONTESTANTS}
    with open_network("googlenet") as files:
        paper = Workload(files, files.load_model("openvino", 1), read_picture(coffee), 1)
        theirs, ours = (by_key[key].prepare(paper)() for key in ("pycaffe_port_1", "ours_1"))
    differences = np.abs(np.array(theirs, int) - np.array(ours, int))
    assert differences.max() <= 3
    assert (differences > 0).mean() < 1e-3


def test_without_weights_a_network_gets_random_ones(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def missing(info: zoo.ZooModel) -> Path:
        raise MissingFileError("not here")

    monkeypatch.setattr("cam.zoo.loading.find_weights", missing)
    with open_network("alexnet") as files:
        assert files.weights_note.startswith("random, seed 0")
        assert files.caffemodel.is_file() and "conv1" in files.loaded.weights
    assert not files.caffemodel.exists()


def test_peak_memory_is_that_of_the_command_alone() -> None:
    held = np.ones(300 * 2**20, np.uint8)
    small, large = (
        peak_memory([sys.executable, "-c", f"held = b'1' * ({size} * 2**20)"]) for size in (0, 200)
    )
    assert small < 100
    assert 195 < large - small < 205
    assert held.any()


def test_engines_are_measured_for_each_batch_size() -> None:
    arguments = ["1", "3", "--model", zoo.EMBEDDED, "--engine", "openvino", "--rounds", "1"]
    shown = CliRunner().invoke(engine_alone, arguments)
    assert shown.exit_code == 0, shown.output
    assert "weights efficientnet-lite0.caffemodel, openvino on CPU" in shown.output
    rows = [line.split("|")[1].strip() for line in shown.output.splitlines() if line[:1] == "|"]
    assert rows[2:] == ["1", "3"]


@pytest.mark.slow
def test_a_batch_is_measured_beside_the_engine() -> None:
    pytest.importorskip("pyarrow", reason="pyarrow (extra `batch`) is not installed")
    arguments = [zoo.EMBEDDED, "--pictures", "5", "--repeats", "1", "--memory"]
    shown = CliRunner().invoke(many_pictures, arguments)
    assert shown.exit_code == 0, shown.output
    for part in ("engine alone", "cam batch", "memory for 5 pictures", "memory for 50 pictures"):
        assert part in shown.output


def test_the_commands_end_with_one_line_for_bad_input() -> None:
    for module, *arguments in (
        ("benchmarks", "--from", "nowhere.json"),
        ("benchmarks.engine", "1", "--model", "nothing"),
        ("benchmarks.batch", "nothing", "--pictures", "1"),
    ):
        command = [sys.executable, "-m", module, *arguments]
        ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert ended.returncode == 2, ended.stderr
        assert ended.stderr.startswith("benchmarks: ") and ended.stderr.count("\n") == 1
