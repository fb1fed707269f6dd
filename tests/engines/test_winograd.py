"""3×3 convolutions in tiles, against plain NumPy and against the convolution computed directly."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
from numpy.typing import NDArray
from openvino import opset13 as nodes

from cam import zoo
from cam.caffe.preprocessing import preprocessing_with
from cam.engines import open_engine, winograd
from cam.engines.openvino import OpenVinoEngine
from cam.engines.winograd import TRANSFORMS, Convolution, fastest_tile, use_winograd
from cam.errors import InvalidValueError
from cam.explain.model import open_model
from cam.fidelity import measure

Array = NDArray[np.float32]
CORE = openvino.Core()


@pytest.fixture(autouse=True)
def nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAM_WINOGRAD", raising=False)
    monkeypatch.setenv("CAM_COMPILED", "off")


def convolved(data: Array, weights: Array, groups: int) -> NDArray[np.float64]:
    """Return a 3×3 convolution with padding 1 in double precision, one product after another."""
    padded = np.pad(data.astype(float), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    parts = zip(np.split(windows, groups, 1), np.split(weights.astype(float), groups), strict=True)
    return np.concatenate([np.einsum("ncyxij,kcij->nkyx", *part) for part in parts], 1)


def model(
    shape: tuple[int, ...],
    weights: Array,
    groups: int = 1,
    bias: Array | None = None,
    rectify: bool = False,
    **settings: Any,
) -> openvino.Model:
    chosen = {"strides": 1, "pads_begin": 1, "pads_end": 1, "dilations": 1, **settings}
    data = nodes.parameter(shape, np.float32)
    grouped = weights.reshape(groups, -1, *weights.shape[1:])
    places = [[value] * 2 for value in chosen.values()]
    result = (
        nodes.group_convolution(data, grouped, *places)
        if groups > 1
        else nodes.convolution(data, weights, *places)
    )
    if bias is not None:
        result = nodes.add(result, bias)
    return openvino.Model([nodes.relu(result) if rectify else result], [data], "model")


def run(network: openvino.Model, data: Array) -> Array:
    compiled = CORE.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled(data)[0])


def kinds(network: openvino.Model) -> list[str]:
    return sorted(node.get_type_name() for node in network.get_ordered_ops())


def normal(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def computed(rule: int) -> tuple[list[Convolution], Any]:
    """Return a rule that takes tiles of one size, and what it was asked about."""
    asked: list[Convolution] = []

    def take(convolution: Convolution) -> int:
        asked.append(convolution)
        return rule

    return asked, take


@pytest.mark.parametrize("size", TRANSFORMS)
def test_along_one_axis_the_tiles_are_the_sums_of_three_products(size: int) -> None:
    generator = np.random.default_rng(size)
    data, kernel = generator.normal(size=size + 2), generator.normal(size=3)
    algorithm = TRANSFORMS[size]
    result = algorithm.outputs @ ((algorithm.weights @ kernel) * (algorithm.data @ data))
    np.testing.assert_allclose(result, np.correlate(data, kernel, "valid"), rtol=1e-12, atol=1e-12)


def test_tiles_of_four_are_those_of_the_paper() -> None:
    algorithm = TRANSFORMS[4]
    # Lavin & Gray, section 4.3.
    np.testing.assert_array_equal(algorithm.data[1], [0, -4, -4, 1, 1, 0])
    np.testing.assert_array_equal(algorithm.data[3], [0, -2, -1, 2, 1, 0])
    np.testing.assert_allclose(algorithm.weights[3], [1 / 24, 1 / 12, 1 / 6])
    np.testing.assert_array_equal(algorithm.outputs[3], [0, 1, -1, 8, -8, 1])


@pytest.mark.parametrize("size", TRANSFORMS)
@pytest.mark.parametrize("image", [(1, 1), (4, 8), (13, 14), (7, 3), (2, 17)])
@pytest.mark.parametrize(("batch", "groups"), [(1, 1), (3, 1), (1, 2), (2, 4)])
def test_a_convolution_in_tiles_is_the_convolution(
    size: int, image: tuple[int, int], batch: int, groups: int
) -> None:
    data, weights = normal(batch, 16, *image), normal(24, 16 // groups, 3, 3)
    network = model(data.shape, weights, groups)
    asked, rule = computed(size)
    use_winograd(network, rule)
    expected = convolved(data, weights, groups)
    np.testing.assert_allclose(run(network, data), expected, atol=1e-5 * abs(expected).max())
    assert len(asked) == 1
    assert "Convolution" not in kinds(network)


@pytest.mark.parametrize("size", TRANSFORMS)
@pytest.mark.parametrize("rectify", [False, True])
def test_bias_and_rectifier_belong_to_the_tiles(size: int, rectify: bool) -> None:
    data, weights, bias = normal(2, 8, 9, 10), normal(8, 8, 3, 3), normal(1, 8, 1, 1) * 10
    network = model(data.shape, weights, bias=bias, rectify=rectify)
    asked, rule = computed(size)
    use_winograd(network, rule)
    expected = convolved(data, weights, 1) + bias
    expected = np.maximum(expected, 0) if rectify else expected
    np.testing.assert_allclose(run(network, data), expected, atol=1e-5 * abs(expected).max())
    assert asked[0].bias is not None
    assert asked[0].is_rectified == rectify


def test_a_value_that_several_layers_use_is_the_same_for_all() -> None:
    data, weights = normal(1, 8, 9, 9), normal(8, 8, 3, 3)
    source = nodes.parameter(data.shape, np.float32)
    direct = nodes.convolution(source, weights, [1, 1], [1, 1], [1, 1], [1, 1])
    both = nodes.subtract(nodes.relu(direct), nodes.relu(nodes.negative(direct)))
    network = openvino.Model([both], [source], "model")
    use_winograd(network, lambda _: 4)
    expected = convolved(data, weights, 1)
    np.testing.assert_allclose(run(network, data), expected, atol=1e-5 * abs(expected).max())


@pytest.mark.parametrize(
    ("kernel", "settings"),
    [
        ((3, 3), {"strides": 2}),
        ((3, 3), {"dilations": 2}),
        ((3, 3), {"pads_begin": 0}),
        ((3, 3), {"pads_end": 0}),
        ((5, 5), {}),
        ((1, 1), {}),
        ((3, 1), {}),
    ],
)
def test_other_convolutions_stay_as_they_are(
    kernel: tuple[int, int], settings: dict[str, int]
) -> None:
    network = model((1, 8, 16, 16), normal(8, 8, *kernel), **settings)
    before = kinds(network)
    asked, rule = computed(4)
    use_winograd(network, rule)
    assert not asked
    assert kinds(network) == before


def taken(batch: int, channels: int, image: int, groups: int = 1) -> int:
    weights = np.zeros((channels, channels // groups, 3, 3), np.float32)
    sizes: list[int] = []

    def rule(convolution: Convolution) -> int:
        sizes.append(fastest_tile(convolution))
        return 0

    use_winograd(model((batch, channels, image, image), weights, groups), rule)
    return sizes[0]


def test_the_rule_takes_large_tiles_for_much_work_and_none_for_little() -> None:
    assert taken(10, 512, 14) == 4
    assert taken(1, 512, 28) == 4
    assert taken(1, 512, 14) == 2
    assert taken(1, 16, 56) == 0
    assert taken(10, 8, 14) == 0
    assert taken(10, 256, 56, groups=256) == 0


ON_X86 = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"), reason="used on x86-64 only"
)
BATCH = np.random.default_rng(0).uniform(-120, 140, (1, 3, 224, 224)).astype(np.float32)


def results(setting: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Array, Array]:
    """Return a picture's activations by `forward` and by `submit`."""
    monkeypatch.setenv("CAM_WINOGRAD", setting)
    engine = OpenVinoEngine(zoo.load_network("googlenet", seed=0), 1)
    assert engine.winograd == setting
    return engine.forward(BATCH).activations, engine.submit(BATCH)().activations


@ON_X86
def test_the_engine_gives_the_same_with_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    direct, many_direct = results("off", monkeypatch)
    alone, many = results("auto", monkeypatch)
    tiles, many_tiles = results("on", monkeypatch)
    for same, other in ((direct, many_direct), (direct, alone), (tiles, many), (tiles, many_tiles)):
        np.testing.assert_allclose(same, other, atol=1e-7 * abs(direct).max())
    assert abs(tiles - direct).max() > 1e-7 * abs(direct).max()
    np.testing.assert_allclose(tiles, direct, atol=2e-5 * abs(direct).max())


@ON_X86
@pytest.mark.caffe
@pytest.mark.parametrize("name", ["googlenet", "vgg16"])
def test_tiles_are_as_close_to_caffe_as_the_direct_convolutions(
    name: str, monkeypatch: pytest.MonkeyPatch, pycaffe: Any
) -> None:
    monkeypatch.setenv("CAM_WINOGRAD", "on")
    network = zoo.load_network(name, seed=0)
    expected = open_engine("caffe:cpu", network).forward(BATCH)
    output = OpenVinoEngine(network, 1).forward(BATCH)
    # The project's bound for two engines is 1e-4; F(4x4, 3x3) cancels a digit of single precision.
    assert measure(output.activations, expected.activations).relative < 2e-5
    np.testing.assert_allclose(output.scores, expected.scores, atol=2e-5)


@ON_X86
@pytest.mark.slow
@pytest.mark.parametrize("style", ["pycaffe", "matlab"])
def test_a_hundred_pictures_have_the_same_classes_and_heat_maps_within_one_level(
    style: str, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = zoo.load_files(
        shared_data / "squeezenet_v1.0.prototxt",
        shared_data / "squeezenet_v1.0.caffemodel",
        preprocessing=preprocessing_with((104.0, 117.0, 123.0)),
    )
    models = []
    for setting in ("off", "on"):
        monkeypatch.setenv("CAM_WINOGRAD", setting)
        models.append(open_model(network, "openvino"))
    pictures = sorted((shared_data / "ilsvrc_val").glob("*.JPEG"))
    assert len(pictures) == 100
    for picture in pictures:
        direct, tiles = (model.explain(picture, style=style) for model in models)
        np.testing.assert_array_equal(tiles.indices, direct.indices)
        assert np.abs(tiles.levels.astype(np.int16) - direct.levels).max() <= 1


def test_a_setting_without_a_meaning_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAM_WINOGRAD", "no")
    with pytest.raises(InvalidValueError, match="CAM_WINOGRAD is 'no'; it can be auto, on, off"):
        OpenVinoEngine(zoo.load_network())


@pytest.mark.parametrize(("machine", "setting"), [("AMD64", "auto"), ("aarch64", "off")])
def test_it_is_used_where_it_was_measured(
    machine: str, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winograd.platform, "machine", lambda: machine)
    assert winograd.chosen_setting() == setting
