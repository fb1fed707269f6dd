"""The pooled features: what the network's own pooling computes, and what its class layer reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from networks import loaded

import cam
from cam import zoo
from cam.caffe.network import parse_network
from cam.caffe.random_weights import seeded_weights
from cam.engines import open_engine
from cam.errors import CamError
from cam.explain.explanation import Explanation
from cam.explain.model import CamModel, open_model
from cam.explain.styles import get_style

SMALL = """
layer { name: "data" type: "Input" top: "data"
        input_param { shape { dim: 1 dim: 3 dim: 40 dim: 40 } } }
layer { name: "CAM_conv" type: "Convolution" bottom: "data" top: "CAM_conv"
        convolution_param { num_output: 8 kernel_size: 5 stride: 4 } }
layer { name: "CAM_pool" type: "Pooling" bottom: "CAM_conv" top: "CAM_pool"
        pooling_param { pool: METHOD global_pooling: true } }
layer { name: "CAM_fc" type: "InnerProduct" bottom: "CAM_pool" top: "CAM_fc"
        inner_product_param { num_output: 3 } }
layer { name: "prob" type: "Softmax" bottom: "CAM_fc" top: "prob" }
"""


@pytest.mark.parametrize("style", ["pycaffe", "matlab"])
@pytest.mark.parametrize("method", ["AVE", "MAX"])
def test_features_are_what_the_networks_own_pooling_gives(
    coffee: Path, method: str, style: str
) -> None:
    network = parse_network(SMALL.replace("METHOD", method))
    small = loaded(network, seeded_weights(network, 0))
    features = open_model(small, "openvino").explain(coffee, top=1, style=style).features
    pooled = replace(small, head=replace(small.head, scores="CAM_pool"))
    model = CamModel(small, open_engine("openvino", pooled))
    output = model.engine.forward(model.network_input(coffee, get_style(style)).batch)
    expected = output.scores.reshape(len(output.scores), -1).mean(axis=0)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, expected, atol=1e-5 * np.abs(expected).max())


def test_the_class_layer_of_the_features_gives_the_scores(coffee: Path) -> None:
    network = zoo.load_network()
    explanation = open_model(network, "openvino").explain(coffee)
    weights, bias = network.weights[network.head.class_layer]
    logits = weights.astype(np.float64) @ explanation.features + bias
    probabilities = np.exp(logits - logits.max())
    np.testing.assert_allclose(probabilities / probabilities.sum(), explanation.scores, atol=1e-6)


def test_files_of_an_explanation_have_no_features(coffee: Path, tmp_path: Path) -> None:
    cam.load(engine="openvino").explain(coffee).save(tmp_path)
    with pytest.raises(CamError, match="explain the picture again"):
        _ = Explanation.load(tmp_path).features
