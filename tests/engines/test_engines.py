"""The engines on the original architectures, against plain NumPy and against each other."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
from locations import REPOSITORY
from networks import loaded
from numpy.typing import NDArray

from cam import zoo
from cam.caffe.head import Head, find_head
from cam.caffe.network import Network, load_network
from cam.engines import ENGINES, open_engine
from cam.engines import caffe as caffe_engine
from cam.engines.openvino import OpenVinoEngine
from cam.errors import CamError

TOLERANCE = 1e-4
"""Of a blob's maximum, as the project promises; float32 gives about 3e-6."""

GOOGLENET, ALEXNET, VGG16 = (
    "deploy_googlenetCAM.prototxt",
    "deploy_alexnetplusCAM_imagenet.prototxt",
    "deploy_vgg16CAM.prototxt",
)
ARCHITECTURES = [
    GOOGLENET,
    ALEXNET,
    pytest.param(VGG16, marks=pytest.mark.slow),
    "deploy_googlenetCAM_places205.prototxt",
    "deploy_alexnetplusCAM_places205.prototxt",
]

Weights = dict[str, tuple[NDArray[np.float32], ...]]


@pytest.fixture(autouse=True)
def without_kept_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile every network anew, as the code at hand writes it."""
    monkeypatch.setenv("CAM_COMPILED", "off")


@dataclass(frozen=True)
class Seeded:
    """An architecture with seeded random weights, and a seeded picture."""

    network: Network
    weights: Weights
    head: Head
    picture: NDArray[np.float32]


@lru_cache(maxsize=2)
def seeded(prototxt: str) -> Seeded:
    network = load_network(REPOSITORY / "models" / prototxt)
    head = find_head(network)
    layers = [layer.message for layer in network.layers]
    weights = reference.random_weights(layers, network.weight_shapes, seed=0)
    # With class weights of this size the probabilities spread over many classes.
    matrix, *bias = weights[head.class_layer]
    weights[head.class_layer] = (matrix * np.float32(0.01), *bias)
    generator = np.random.default_rng(1)
    shape = (1, *network.input_shape[1:])
    picture = generator.uniform(-120, 140, shape).astype(np.float32)
    return Seeded(network, weights, head, picture)


@cache
def reference_blobs(prototxt: str) -> tuple[NDArray[Any], NDArray[Any]]:
    case = seeded(prototxt)
    layers = [layer.message for layer in case.network.layers]
    blobs = reference.forward(layers, {"data": case.picture}, case.weights)
    return blobs[case.head.last_conv], blobs[case.head.scores]


def engine_for(case: Seeded, threads: int | None = 1) -> OpenVinoEngine:
    return OpenVinoEngine(loaded(case.network, case.weights, case.head), threads)


def relative_difference(actual: NDArray[Any], expected: NDArray[Any]) -> float:
    assert actual.shape == expected.shape
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("prototxt", ARCHITECTURES)
def test_the_openvino_engine_agrees_with_numpy(prototxt: str) -> None:
    case = seeded(prototxt)
    activations, scores = reference_blobs(prototxt)
    # Not a trivial comparison: activations are alive and no class has all of the probability.
    assert 0.2 < (activations > 0).mean() < 0.8
    assert scores.max() < 0.5
    result = engine_for(case).forward(case.picture)
    assert relative_difference(result.activations, activations) < TOLERANCE
    assert relative_difference(result.scores, scores) < TOLERANCE


@pytest.mark.caffe
@pytest.mark.parametrize(
    "prototxt", [GOOGLENET, ALEXNET, pytest.param(VGG16, marks=pytest.mark.slow)]
)
def test_the_caffe_engine_agrees_with_numpy(prototxt: str, pycaffe: Any, tmp_path: Path) -> None:
    case = seeded(prototxt)
    engine = open_engine("caffe:cpu", loaded(case.network, case.weights))
    assert (engine.name, engine.device) == ("caffe", "cpu")
    result = engine.forward(case.picture)
    activations, scores = reference_blobs(prototxt)
    assert relative_difference(result.activations, activations) < TOLERANCE
    assert relative_difference(result.scores, scores) < TOLERANCE
    np.testing.assert_array_equal(
        engine.network.class_weights, case.weights[case.head.class_layer][0]
    )


# --- a small network for what does not depend on the architecture ---------------------------------

SMALL = """
    name: "small" input: "data" input_dim: 1 input_dim: 3 input_dim: 32 input_dim: 32
    layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
      convolution_param { num_output: 16 kernel_size: 3 pad: 1 stride: 2 } }
    layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
    layer { name: "conv2" type: "Convolution" bottom: "conv1" top: "conv2"
      convolution_param { num_output: 24 kernel_size: 3 pad: 1 } }
    layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }
    layer { name: "gap" type: "Pooling" bottom: "conv2" top: "gap"
      pooling_param { pool: AVE global_pooling: true } }
    layer { name: "fc" type: "InnerProduct" bottom: "gap" top: "fc"
      inner_product_param { num_output: 10 } }
    layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
    """


@pytest.fixture
def small(tmp_path: Path) -> Seeded:
    path = tmp_path / "small.prototxt"
    path.write_text(SMALL, encoding="utf-8")
    network = load_network(path)
    layers = [layer.message for layer in network.layers]
    weights = reference.random_weights(layers, network.weight_shapes, seed=3)
    picture = np.random.default_rng(4).standard_normal((1, 3, 32, 32)).astype(np.float32)
    return Seeded(network, weights, find_head(network), picture)


@pytest.fixture(params=["openvino", pytest.param("caffe", marks=pytest.mark.caffe)])
def engine(request: pytest.FixtureRequest, small: Seeded, tmp_path: Path) -> Any:
    if request.param == "caffe":
        request.getfixturevalue("pycaffe")
    choice = {"openvino": "openvino", "caffe": "caffe:cpu"}[request.param]
    return open_engine(choice, loaded(small.network, small.weights), threads=1)


def pictures(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(5).standard_normal((count, 3, 32, 32)).astype(np.float32)


def test_a_forward_gives_what_the_protocol_says(engine: Any, small: Seeded) -> None:
    result = engine.forward(pictures(2))
    assert (result.activations.shape, result.scores.shape) == ((2, 24, 16, 16), (2, 10))
    assert (result.activations.dtype, result.scores.dtype) == (np.float32, np.float32)
    assert result.activations.min() == 0  # after the activation layer
    np.testing.assert_allclose(result.scores.sum(axis=1), 1, rtol=1e-6)
    assert engine.network.class_weights.shape == (10, 24)
    np.testing.assert_array_equal(engine.network.class_weights, small.weights["fc"][0])


def test_each_picture_of_a_batch_gets_its_own_result(engine: Any) -> None:
    batch = pictures(5)
    together = engine.forward(batch)
    for index in range(5):
        alone = engine.forward(batch[index : index + 1])
        np.testing.assert_allclose(alone.activations[0], together.activations[index], atol=1e-5)
        np.testing.assert_allclose(alone.scores[0], together.scores[index], atol=1e-6)


def test_batches_of_any_size_may_follow_each_other(engine: Any) -> None:
    sizes = (1, 10, 3, 1, 10)
    results = [engine.forward(pictures(size)).scores for size in sizes]
    assert [len(scores) for scores in results] == list(sizes)
    np.testing.assert_array_equal(results[0], results[3])
    np.testing.assert_array_equal(results[1], results[4])


def test_results_are_not_changed_by_later_calls(engine: Any) -> None:
    first = engine.forward(pictures(1))
    kept = first.activations.copy(), first.scores.copy()
    engine.forward(-pictures(1))
    np.testing.assert_array_equal(first.activations, kept[0])
    np.testing.assert_array_equal(first.scores, kept[1])


def test_the_batch_is_left_alone_and_need_not_be_contiguous(engine: Any) -> None:
    batch = pictures(2)
    expected = engine.forward(batch).scores
    turned = np.ascontiguousarray(batch.transpose(0, 1, 3, 2)).transpose(0, 1, 3, 2)
    kept = turned.copy()
    np.testing.assert_array_equal(engine.forward(turned).scores, expected)
    np.testing.assert_array_equal(engine.forward(turned.astype(np.float64)).scores, expected)
    np.testing.assert_array_equal(turned, kept)


@pytest.mark.parametrize(
    "shape", [(3, 32, 32), (1, 3, 31, 32), (1, 1, 32, 32), (1, 32, 32, 3), (0, 3, 32, 32)], ids=str
)
def test_a_batch_of_another_size_is_refused(engine: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(CamError, match=r"a batch of shape .* for a network that takes"):
        engine.forward(np.zeros(shape, np.float32))


def test_submitted_batches_give_what_a_forward_gives(engine: Any) -> None:
    batches = [pictures(3)[index : index + 1] for index in range(3)] * 3
    waiting = [engine.submit(batch) for batch in batches]
    for batch, result in zip(batches, waiting, strict=True):
        expected, actual = engine.forward(batch), result()
        np.testing.assert_allclose(actual.activations, expected.activations, atol=1e-5)
        np.testing.assert_allclose(actual.scores, expected.scores, atol=1e-6)


# --- single precision ----------------------------------------------------------------------------


def test_the_compiled_network_computes_in_single_precision(small: Seeded) -> None:
    engine = engine_for(small)
    engine.forward(small.picture)
    compiled = engine._compiled[1, "LATENCY"]._compiled
    assert compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"
    assert compiled.get_property("EXECUTION_MODE_HINT").name in ("ACCURACY", "PERFORMANCE")


@pytest.mark.parametrize("prototxt", [GOOGLENET, ALEXNET])
def test_results_have_the_accuracy_of_single_precision(prototxt: str) -> None:
    # bfloat16 has 8 bits: it would be wrong by about 1e-2 where the processor has it.
    case = seeded(prototxt)
    activations, scores = reference_blobs(prototxt)
    result = engine_for(case).forward(case.picture)
    assert relative_difference(result.activations, activations) < 1e-5
    assert relative_difference(result.scores, scores) < 1e-4


@pytest.mark.parametrize("threads", [1, 2, None])
def test_threads_can_be_set_and_change_nothing(small: Seeded, threads: int | None) -> None:
    engine = engine_for(small, threads)
    expected = engine_for(small, 1).forward(small.picture)
    result = engine.forward(small.picture)
    np.testing.assert_allclose(result.activations, expected.activations, atol=1e-5)
    if threads is not None:
        compiled = engine._compiled[1, "LATENCY"]._compiled
        # OpenVINO takes no more than there are processors.
        assert 1 <= compiled.get_property("INFERENCE_NUM_THREADS") <= threads


# --- choosing an engine --------------------------------------------------------------------------


def test_an_unknown_engine_is_refused_with_the_nearest_name(small: Seeded) -> None:
    with pytest.raises(CamError, match="no engine 'openvno'; nearest: openvino; there are"):
        open_engine("openvno", loaded(small.network, small.weights))
    assert list(ENGINES) == ["openvino", "caffe"]


def test_openvino_runs_on_the_cpu_only(small: Seeded) -> None:
    assert open_engine("openvino:cpu", loaded(small.network, small.weights))
    with pytest.raises(CamError, match="runs on the CPU, not on 'gpu:0'"):
        open_engine("openvino:gpu:0", loaded(small.network, small.weights))


def without_caffe(code: str) -> str:
    """Run code in a process that cannot import pycaffe, and return what it prints."""
    hide = "import sys; sys.modules['caffe'] = None\n"
    finished = subprocess.run(
        [sys.executable, "-c", hide + code],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
    )
    return finished.stdout.strip()


def test_the_caffe_engine_without_caffe_says_what_to_do() -> None:
    message = without_caffe(
        "from cam.engines.caffe import import_caffe\n"
        "from cam.errors import CamError\n"
        "try:\n    import_caffe()\nexcept CamError as error:\n    print(error)"
    )
    assert "the caffe engine needs pycaffe" in message
    assert "use the openvino engine" in message
    assert "\n" not in message


def test_auto_takes_openvino_where_there_is_no_caffe() -> None:
    code = "import cam; print(cam.load(engine='auto').engine.name)"
    assert without_caffe(code) == "openvino"


@pytest.mark.caffe
def test_auto_takes_openvino_where_caffe_has_no_gpu(
    small: Seeded, pycaffe: Any, tmp_path: Path
) -> None:
    engine = open_engine("auto", loaded(small.network, small.weights))
    assert engine.name == "openvino"


@pytest.mark.caffe
@pytest.mark.parametrize("device", ["tpu", "cpu:1", "gpu:x", "gpu:99"])
def test_a_device_that_is_not_there_is_refused(
    device: str, small: Seeded, pycaffe: Any, tmp_path: Path
) -> None:
    with pytest.raises(CamError, match=r"device|cannot use"):
        open_engine(f"caffe:{device}", loaded(small.network, small.weights))


# --- gradients -----------------------------------------------------------------------------------


@pytest.mark.caffe
def test_the_input_gradient_is_the_slope_of_the_score(
    small: Seeded, pycaffe: Any, tmp_path: Path
) -> None:
    from cam.engines.caffe import CaffeEngine

    engine = CaffeEngine(loaded(small.network, small.weights), "cpu")
    batch, classes = pictures(2), np.array([7, 2])
    _, gradients = engine.input_gradients(batch, lambda _: classes)
    gradient = gradients[[0, 1], [0, 1]]
    assert gradient.shape == batch.shape
    layers = [layer.message for layer in small.network.layers]

    def scores(inputs: NDArray[Any]) -> NDArray[Any]:
        blobs = reference.forward(layers, {"data": inputs}, small.weights)
        return np.asarray(blobs["fc"][[0, 1], classes])

    # Central differences in double precision along random directions.
    generator = np.random.default_rng(6)
    for _ in range(3):
        direction = generator.standard_normal(batch.shape)
        step = 1e-6
        slope = (scores(batch + step * direction) - scores(batch - step * direction)) / (2 * step)
        expected = (gradient * direction).sum(axis=(1, 2, 3))
        np.testing.assert_allclose(expected, slope, rtol=1e-3, atol=1e-4)


@pytest.mark.caffe
def test_a_gradient_leaves_later_forwards_as_they_are(
    small: Seeded, pycaffe: Any, tmp_path: Path
) -> None:
    from cam.engines.caffe import CaffeEngine

    engine = CaffeEngine(loaded(small.network, small.weights), "cpu")
    before = engine.forward(small.picture).scores
    first = engine.input_gradients(small.picture, lambda _: np.array([1]))[1]
    second = engine.input_gradients(small.picture, lambda _: np.array([1]))[1]
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(engine.forward(small.picture).scores, before)


def test_serial_results_from_many_threads(engine: Any) -> None:
    batches = [pictures(8)[index : index + 1] for index in range(8)]
    alone = [engine.forward(batch) for batch in batches]

    def run(index: int) -> Any:
        batch = batches[index % 8]
        return engine.forward(batch) if index % 3 else engine.submit(batch)()

    with ThreadPoolExecutor(8) as pool:
        for index, output in enumerate(pool.map(run, range(320))):
            expected = alone[index % 8]
            np.testing.assert_allclose(output.scores, expected.scores, atol=1e-6)
            np.testing.assert_allclose(output.activations, expected.activations, atol=1e-5)
            if index % 3:
                np.testing.assert_array_equal(output.scores, expected.scores)


def test_the_environment_names_the_engine_to_take(
    small: Seeded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAM_ENGINE", "openvno")
    with pytest.raises(CamError, match="no engine 'openvno'"):
        open_engine(None, loaded(small.network, small.weights))
    assert open_engine("openvino", loaded(small.network, small.weights)).name == "openvino"


def test_a_probe_for_a_gpu_runs_nothing_from_the_working_folder(
    tmp_path: Path, pycaffe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "caffe.py").write_text("open('executed', 'w')\n")
    (tmp_path / "sitecustomize.py").write_text("open('executed', 'w')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("cam.engines.caffe._has_cuda_driver", lambda: True)
    assert caffe_engine.gpu_works() is False
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(("model", "parts"), [(zoo.EMBEDDED, [2, 1]), ("googlenet", [3])])
def test_few_crops_run_at_once_where_memory_takes_the_time(model: str, parts: list[int]) -> None:
    network = zoo.load_network(model, seed=None if model == zoo.EMBEDDED else 0)
    engine = OpenVinoEngine(network, 1)
    batch = np.random.default_rng(0).uniform(-1, 1, (3, 3, 224, 224)).astype(np.float32)
    output = engine.forward(batch)
    assert sorted(count for count, _ in engine._compiled) == sorted(set(parts))
    for submitted in [engine.submit(batch) for _ in range(3)]:
        np.testing.assert_allclose(submitted().scores, output.scores, atol=1e-6)
    alone = np.concatenate([engine.forward(batch[k : k + 1]).activations for k in range(3)])
    assert relative_difference(output.activations, alone) < 1e-5
    assert engine.requests_in_flight(3) >= 1
