"""Two engines on the same files and pictures; real ones need pycaffe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from locations import DATA

from cam import zoo
from cam.caffe.head import Head, find_head
from cam.engines import NetworkOutput
from cam.fidelity import Tolerance, measure
from cam.fidelity.engine_agreement import EngineAgreement, compare_engines, open_and_compare

RESIDUAL = DATA / "residual.prototxt"
HEAD = Head("conv", "fc", "prob")


@pytest.mark.caffe
@pytest.mark.parametrize(
    "name",
    [pytest.param(m.name, marks=pytest.mark.slow if m.name == "vgg16" else ()) for m in zoo.ZOO],
)
def test_engines_agree_on_every_model_of_the_table(name: str, coffee: Path, pycaffe: Any) -> None:
    info = zoo.get(name)
    network = zoo.load_network(name, seed=1)
    head = find_head(network.network)
    assert (head.last_conv, head.class_layer) == (info.last_conv, info.class_layer)
    agreement = open_and_compare(network, [coffee])
    # The last conv, the class layer before the softmax, and the probabilities.
    assert list(agreement.blobs) == [info.last_conv, info.class_layer, head.scores]
    # OpenCV's importer and Caffe differ by 5e-6 of the largest value on these networks; two
    # implementations that sum in another order do.
    assert max(apart.relative for apart in agreement.blobs.values()) < 5e-5
    assert agreement.holds


@pytest.mark.caffe
def test_engines_agree_on_the_embedded_models_own_weights(coffee: Path, pycaffe: Any) -> None:
    pictures = [coffee, cv2.imread(str(coffee))[:, ::-1].copy()]
    agreement = open_and_compare(zoo.load_network(), pictures)
    assert agreement.holds
    assert agreement.same_top == agreement.pictures == 2


@pytest.mark.caffe
def test_engines_agree_on_a_residual_network(coffee: Path, pycaffe: Any) -> None:
    network = zoo.load_files(RESIDUAL, None, seed=0)
    assert (network.head.last_conv, network.head.class_layer) == ("res2a", "fc10")
    agreement = open_and_compare(network, [coffee])
    assert agreement.holds


class Recorded:
    """Gives what was recorded for each batch, in turn."""

    def __init__(self, *forwards: NetworkOutput) -> None:
        self.forwards = list(forwards)

    def forward(self, batch: np.ndarray) -> NetworkOutput:
        return self.forwards.pop(0)


def forwards(pictures: int = 2) -> list[NetworkOutput]:
    random = np.random.default_rng(0)
    return [
        NetworkOutput(
            random.random((1, 4, 7, 7)).astype(np.float32),
            random.dirichlet(np.ones(9), 1).astype(np.float32),
        )
        for _ in range(pictures)
    ]


def agreement_of(
    ours: list[NetworkOutput], theirs: list[NetworkOutput], **options: Any
) -> EngineAgreement:
    weights = np.random.default_rng(1).standard_normal((9, 4)).astype(np.float32)
    batches = [np.zeros((1, 3, 224, 224), np.float32)] * len(ours)
    return compare_engines(Recorded(*ours), Recorded(*theirs), batches, HEAD, weights, **options)


def test_engines_that_give_the_same_agree() -> None:
    agreement = agreement_of(forwards(), forwards())
    assert agreement.holds
    assert (agreement.pictures, agreement.same_top, agreement.grey_levels) == (2, 2, 0)
    assert [apart.max_abs for apart in agreement.blobs.values()] == [0, 0]
    assert list(agreement.blobs) == ["conv", "prob"]


def test_the_largest_difference_over_all_pictures_decides() -> None:
    theirs = forwards()
    theirs[1].activations[0, 2, 3, 3] += 0.01
    agreement = agreement_of(forwards(), theirs)
    assert agreement.blobs["conv"].max_abs == pytest.approx(0.01, rel=1e-4)
    assert agreement.blobs["prob"].max_abs == 0
    assert not agreement.holds
    assert agreement_of(forwards(), theirs, tolerance=0.02).blobs["conv"].within


def test_other_classes_and_other_heat_maps_are_counted() -> None:
    theirs = forwards()
    theirs[0].scores[:] = theirs[0].scores[:, ::-1]
    assert agreement_of(forwards(), theirs).same_top == 1
    theirs[0].activations[:] = theirs[0].activations[:, :, ::-1]
    assert agreement_of(forwards(), theirs).grey_levels > 50


@pytest.mark.parametrize(
    ("relative", "grey_levels", "same_top", "holds"),
    [(9e-5, 1, 2, True), (2e-4, 1, 2, False), (9e-5, 2, 2, False), (9e-5, 1, 1, False)],
)
def test_agreement_holds_within_its_tolerances(
    relative: float, grey_levels: int, same_top: int, holds: bool
) -> None:
    apart = measure(np.array([2.0, 1.0]), np.array([2.0, 1.0 + 2 * relative]), Tolerance(1e-4))
    assert EngineAgreement({"prob": apart}, same_top, 2, grey_levels).holds is holds
