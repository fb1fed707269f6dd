"""The learned network: of any base network, what its pooling needs and a new class layer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from networks import loaded

from cam import zoo
from cam.caffe.loaded import LoadedNetwork
from cam.caffe.network import parse_network
from cam.caffe.preprocessing import preprocessing_with
from cam.caffe.random_weights import seeded_weights
from cam.engines import open_engine
from cam.explain.model import open_model
from cam.explain.styles import get_style
from cam.learning.classifier import LinearClassifier
from cam.learning.network import write_learned_network

NAMES = ("one", "two", "three")

BRANCHES = """
name: "branches"
input: "data" input_shape { dim: 2 dim: 3 dim: 40 dim: 40 }
layer { name: "CAM_fc" type: "Convolution" bottom: "data" top: "prob"
        convolution_param { num_output: 8 kernel_size: 5 stride: 4 } }
layer { name: "relu" type: "ReLU" bottom: "prob" top: "prob" }
layer { name: "conv2" type: "Convolution" bottom: "prob" top: "conv2"
        convolution_param { num_output: 8 kernel_size: 3 } }
layer { name: "pool" type: "Pooling" bottom: "conv2" top: "pool"
        pooling_param { pool: MAX global_pooling: true } }
layer { name: "drop" type: "Dropout" bottom: "pool" top: "pool" }
layer { name: "aside" type: "InnerProduct" bottom: "data" top: "aside"
        inner_product_param { num_output: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
        inner_product_param { num_output: 5 } }
layer { name: "out" type: "Softmax" bottom: "fc" top: "out" }
"""


def branches() -> LoadedNetwork:
    network = parse_network(BRANCHES)
    return loaded(network, seeded_weights(network, 1))


def squeezenet(shared_data: Path) -> LoadedNetwork:
    return zoo.load_files(
        shared_data / "squeezenet_v1.0.prototxt",
        shared_data / "squeezenet_v1.0.caffemodel",
        preprocessing=preprocessing_with((104.0, 117.0, 123.0)),
    )


def earlier_features() -> LoadedNetwork:
    """Return a network whose maps are taken from another blob than the pooling's."""
    base = branches()
    return replace(base, head=replace(base.head, last_conv="prob"))


@pytest.mark.parametrize("kind", ["embedded", "alexnet", "branches", "squeezenet", "earlier"])
def test_any_base_network_gets_the_new_class_layer(
    tmp_path: Path, coffee: Path, shared_data: Path, kind: str
) -> None:
    base = {
        "embedded": zoo.load_network,
        "alexnet": lambda: zoo.load_network("alexnet", seed=0),
        "branches": branches,
        "squeezenet": lambda: squeezenet(shared_data),
        "earlier": earlier_features,
    }[kind]()
    generator = np.random.default_rng(0)
    classifier = LinearClassifier(
        generator.normal(0, 0.1, (3, base.feature_count)), generator.normal(0, 1, 3)
    )
    write_learned_network(tmp_path, base, classifier, NAMES)
    network = zoo.load_files(tmp_path / "deploy.prototxt", tmp_path / "weights.caffemodel")
    assert network.class_names == NAMES
    assert network.preprocessing == base.preprocessing
    assert network.head.last_conv == base.head.last_conv
    assert network.pools_maximum == base.pools_maximum == (kind == "branches")
    head = replace(network.head, scores=network.network.layer(network.head.class_layer).tops[0])
    style = get_style("pycaffe")
    model = open_model(base, "openvino")
    features = model.explain(coffee, top=1).features
    inputs = model.network_input(coffee, style).batch
    found = open_engine("openvino", replace(network, head=head)).forward(inputs).scores[0]
    expected = classifier.decide(features[np.newaxis])[0]
    np.testing.assert_allclose(found, expected, atol=1e-4 * max(1, np.abs(expected).max()))


def test_nothing_that_the_pooling_does_not_need_is_kept(tmp_path: Path) -> None:
    classifier = LinearClassifier(np.ones((3, 8)), np.zeros(3))
    write_learned_network(tmp_path, branches(), classifier, NAMES)
    network = zoo.load_files(tmp_path / "deploy.prototxt", tmp_path / "weights.caffemodel")
    names = [layer.name for layer in network.network.layers]
    assert names == ["CAM_fc", "relu", "conv2", "pool", "CAM_fc_", "prob_"]
    assert network.network.input_shape == (2, 3, 40, 40)


def test_the_same_classifier_gives_the_same_bytes(tmp_path: Path) -> None:
    classifier = LinearClassifier(np.ones((3, 8)), np.zeros(3))
    for folder in ("a", "b"):
        write_learned_network(tmp_path / folder, branches(), classifier, NAMES)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(files) == 4
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
