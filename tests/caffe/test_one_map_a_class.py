"""Networks whose last convolution has one map for each class: NIN, SqueezeNet, and their like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cam
from cam import zoo
from cam.caffe.caffemodel import CaffeModel, write_caffemodel
from cam.caffe.head import Head, find_head, with_softmax
from cam.caffe.network import load_network, parse_network
from cam.caffe.preprocessing import preprocessing_with
from cam.caffe.prototxt import read_prototxt
from cam.caffe.random_weights import seeded_weights
from cam.errors import CamError
from cam.explain.model import CamModel, open_model
from cam.explain.saliency import explain_by_backpropagation

INPUT = """
name: "nin"
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 1 dim: 3 dim: 40 dim: 40 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
        convolution_param { num_output: 7 kernel_size: 5 stride: 4 } }
"""
RELU = 'layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }\n'
POOL = """layer { name: "pool" type: "Pooling" bottom: "conv1" top: "pool"
        pooling_param { pool: AVE kernel_size: 9 } }
"""
SOFTMAX = 'layer { name: "prob" type: "Softmax" bottom: "BOTTOM" top: "prob" }\n'


def written(folder: Path, text: str) -> tuple[Path, Path]:
    """Write a network with seeded weights."""
    prototxt, caffemodel = folder / "nin.prototxt", folder / "nin.caffemodel"
    prototxt.write_text(text)
    weights = seeded_weights(with_softmax(load_network(prototxt)), 0)
    write_caffemodel(caffemodel, CaffeModel(read_prototxt(prototxt), weights))
    return prototxt, caffemodel


@pytest.mark.parametrize(
    ("between", "end"),
    [
        ("", SOFTMAX.replace("BOTTOM", "pool")),
        ('layer { name: "drop" type: "Dropout" bottom: "pool" top: "pool" }\n', ""),
        ('layer { name: "flat" type: "Flatten" bottom: "pool" top: "flat" }\n', ""),
        (
            'layer { name: "flat" type: "Flatten" bottom: "pool" top: "flat" }\n',
            SOFTMAX.replace("BOTTOM", "flat"),
        ),
    ],
)
@pytest.mark.parametrize("engine", ["openvino", "caffe:cpu"])
def test_a_class_map_is_the_convolutions_map_and_its_mean_the_score(
    tmp_path: Path, coffee: Path, pycaffe: Any, engine: str, between: str, end: str
) -> None:
    files = written(tmp_path, INPUT + RELU + POOL + between + end)
    model = cam.load_files(*files, engine=engine)
    result = model.explain(coffee, top=7)
    assert result.output is not None
    np.testing.assert_array_equal(result.maps[0], result.output.activations[0, result.indices])
    logits = result.maps[0].mean(axis=(1, 2), dtype=np.float64)
    expected = np.exp(logits - logits.max())
    np.testing.assert_allclose(result.probabilities, expected / expected.sum(), atol=1e-6)


def test_caffes_scores_are_those_of_the_file(tmp_path: Path, pycaffe: Any) -> None:
    files = written(tmp_path, INPUT + RELU + POOL + SOFTMAX.replace("BOTTOM", "pool"))
    net = pycaffe.Net(str(files[0]), pycaffe.TEST, weights=str(files[1]))
    batch = np.random.default_rng(1).normal(0, 50, (4, 3, 40, 40)).astype(np.float32)
    net.blobs["data"].reshape(*batch.shape)
    net.blobs["data"].data[...] = batch
    expected = net.forward()["prob"].reshape(4, 7)
    for engine in ("openvino", "caffe:cpu"):
        scores = cam.load_files(*files, engine=engine).engine.forward(batch).scores
        np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_the_head_is_the_pooling_behind_the_convolution() -> None:
    network = parse_network(INPUT + RELU + POOL + SOFTMAX.replace("BOTTOM", "pool"))
    assert find_head(network) == Head("conv1", "pool", "prob")
    assert find_head(network, class_layer="pool") == Head("conv1", "pool", "prob")


def test_a_pooling_that_goes_on_is_no_head() -> None:
    attention = 'layer { name: "gate" type: "Sigmoid" bottom: "pool" top: "gate" }\n'
    with pytest.raises(CamError, match="no global pooling"):
        find_head(with_softmax(parse_network(INPUT + RELU + POOL + attention)))


def test_a_pooling_behind_a_concat_has_no_map_for_each_class() -> None:
    both = """layer { name: "both" type: "Concat" bottom: "conv1" bottom: "conv1" top: "both" }
    """
    network = parse_network(INPUT + both + POOL.replace('"conv1"', '"both"'))
    with pytest.raises(CamError, match="nor one behind a convolution"):
        find_head(with_softmax(network))


def test_the_softmax_is_appended_under_a_name_that_is_free() -> None:
    text = (INPUT + POOL).replace('"conv1"', '"prob"')
    network = with_softmax(parse_network(text))
    assert find_head(network) == Head("prob", "pool", "prob_")
    assert with_softmax(network) is network


def test_inner_products_without_a_softmax_get_one_and_others_stay() -> None:
    classes = """layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
        inner_product_param { num_output: 5 } }
    """
    network = with_softmax(parse_network(INPUT + RELU + POOL + classes))
    assert find_head(network) == Head("conv1", "fc", "prob")
    elsewhere = parse_network(
        INPUT + POOL + classes + 'layer { name: "t" type: "TanH" bottom: "fc" top: "t" }'
    )
    assert with_softmax(elsewhere) is elsewhere


def test_saliency_goes_backward_from_the_pooling(
    tmp_path: Path, coffee: Path, pycaffe: Any
) -> None:
    files = written(tmp_path, INPUT + POOL)
    model = cam.load_files(*files, engine="caffe:cpu")
    result = explain_by_backpropagation(model, coffee, 1)
    # Without a ReLU the score is linear in the input: the gradient is the kernel, pooled.
    kernel = model.network.weights["conv1"][0][result.indices[0]]
    largest = np.abs(kernel).max(axis=0)
    assert result.maps[0, 0].max() <= np.abs(kernel).sum(axis=(1, 2)).max()
    assert result.maps[0, 0, 0, 0] == pytest.approx(largest[0, 0] / 81, rel=1e-5)


@pytest.fixture(scope="module")
def squeezenet(shared_data: Path) -> zoo.loading.LoadedNetwork:
    return zoo.load_files(
        shared_data / "squeezenet_v1.0.prototxt",
        shared_data / "squeezenet_v1.0.caffemodel",
        preprocessing=preprocessing_with((104.0, 117.0, 123.0)),
    )


@pytest.mark.parametrize("engine", ["openvino", "caffe:cpu"])
def test_squeezenet_knows_about_half_of_the_validation_pictures(
    squeezenet: zoo.loading.LoadedNetwork, shared_data: Path, pycaffe: Any, engine: str
) -> None:
    folder = shared_data / "ilsvrc_val"
    lines = (folder / "map_clsloc.txt").read_text().splitlines()
    ids = {line.split()[1]: line.split()[0] for line in lines}
    labels = (folder / "ILSVRC2014_clsloc_validation_ground_truth.txt").read_text().split()
    names = (folder / "val.txt").read_text().split()
    wanted = [ids[labels[int(name[15:23]) - 1]] for name in names]
    model = open_model(squeezenet, engine)
    found = model.explain_many((folder / name for name in names), top=1)
    right = [result.names[0].startswith(one) for result, one in zip(found, wanted, strict=True)]
    # By the center crop 55 of these 100; resized straight to 227 pixels, 50.
    assert 0.5 <= np.mean(right) <= 0.6


def test_squeezenet_is_the_same_in_both_engines(
    squeezenet: zoo.loading.LoadedNetwork, shared_data: Path, pycaffe: Any
) -> None:
    results = [
        open_model(squeezenet, engine).explain(shared_data / "img1.jpg", style="matlab")
        for engine in ("openvino", "caffe:cpu")
    ]
    np.testing.assert_array_equal(results[0].indices, results[1].indices)
    np.testing.assert_allclose(results[0].scores, results[1].scores, atol=1e-5)
    scale = np.abs(results[1].maps).max()
    np.testing.assert_allclose(results[0].maps, results[1].maps, atol=1e-5 * scale)


# --- inputs larger than the frame of the paper ---------------------------------------------------

LARGE = (INPUT + POOL).replace("dim: 40", "dim: 299").replace("kernel_size: 9", "kernel_size: 74")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> CamModel:
    return cam.load_files(*written(tmp_path_factory.mktemp("large"), LARGE), engine="openvino")


def test_the_frame_grows_with_the_input(large: CamModel, coffee: Path) -> None:
    result = large.explain(coffee, top=2)
    assert result.frame.shape == result.overlay(0).shape == (342, 342, 3)
    assert result.merged.shape == result.levels.shape == (2, 342, 342)


def test_ten_crops_of_a_large_input_cover_the_frame(large: CamModel, coffee: Path) -> None:
    result = large.explain(coffee, top=2, style="matlab")
    assert result.maps.shape[0] == 10
    assert result.merged.shape == (2, 342, 342)
    assert (result.merged[:, [0, 0, -1, -1], [0, -1, 0, -1]] > 0).all()


def test_the_crops_placement_moves_the_map_onto_a_large_crop(large: CamModel, coffee: Path) -> None:
    result = large.explain(coffee, top=1, placement="crop")
    inside = result.merged[0, 21 : 21 + 299, 21 : 21 + 299]
    assert result.merged.shape == (1, 342, 342)
    assert result.merged[0, 0, 0] == inside.min()


def test_absurd_inputs_are_refused(tmp_path: Path) -> None:
    text = (INPUT + POOL.replace("kernel_size: 9", "global_pooling: true")).replace("40", "4000")
    with pytest.raises(CamError, match="square crops of up to 2048"):
        zoo.load_files(*written(tmp_path, text))
