"""Random networks in Caffe and by the project: the same, or refused."""

from __future__ import annotations

from typing import Any

import pytest

from fuzzing import networks


def test_random_networks_are_the_same_each_time_and_of_all_layer_types() -> None:
    texts = [networks.random_network(number) for number in range(150)]
    assert networks.random_network(7) == texts[7]
    found = {layer.type for text in texts for layer in networks.parse_prototxt(text).layer}
    assert found == set(networks.PARAMETERS)


def test_there_are_parameters_for_every_layer_type() -> None:
    from cam.caffe.layer_types import LAYER_TYPES

    assert set(networks.PARAMETERS) == set(LAYER_TYPES)


@pytest.mark.caffe
@pytest.mark.slow
def test_random_networks_run_in_caffe_as_by_the_project(pycaffe: Any) -> None:
    tally = networks.run_networks(300, seed=0)
    assert tally.found == []
    assert tally.kinds["same"] > 200
