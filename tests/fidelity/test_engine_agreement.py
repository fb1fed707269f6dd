"""The two engines on the same files: needs pycaffe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import pytest
from locations import DATA

from cam import zoo
from cam.caffe.network import find_head, load_network
from cam.caffe.random_weights import seeded_caffemodel
from cam.fidelity.engine_agreement import BlobDifference, Parity, compare_engines

pytestmark = pytest.mark.caffe

RESIDUAL = DATA / "residual.prototxt"


@pytest.mark.parametrize(
    "name",
    [pytest.param(m.name, marks=pytest.mark.slow if m.name == "vgg16" else ()) for m in zoo.ZOO],
)
def test_engines_agree_on_every_model_of_the_table(name: str, coffee: Path, pycaffe: Any) -> None:
    info = zoo.get(name)
    prototxt = zoo.models_folder() / info.prototxt
    network = load_network(prototxt)
    head = find_head(network)
    assert (head.last_conv, head.class_layer) == (info.last_conv, info.class_layer)
    with seeded_caffemodel(network, prototxt, seed=1) as caffemodel:
        parity = compare_engines(network, caffemodel, head, info.preprocessing, [coffee])
    # OpenCV's importer and Caffe differ by 5e-6 of the largest value on these networks; two
    # implementations that sum in another order do.
    assert max(blob.relative for blob in parity.blobs) < 5e-5
    assert parity.holds


def test_engines_agree_on_the_embedded_models_own_weights(coffee: Path, pycaffe: Any) -> None:
    info = zoo.get(zoo.EMBEDDED)
    network = load_network(zoo.models_folder() / info.prototxt)
    pictures = [coffee, cv2.imread(str(coffee))[:, ::-1].copy()]
    parity = compare_engines(
        network, zoo.find_weights(info), find_head(network), info.preprocessing, pictures
    )
    assert parity.holds
    assert parity.same_top == parity.pictures == 2


def test_engines_agree_on_a_residual_network(coffee: Path, pycaffe: Any) -> None:
    network = load_network(RESIDUAL)
    head = find_head(network)
    assert (head.last_conv, head.class_layer) == ("res2a", "fc10")
    with seeded_caffemodel(network, RESIDUAL) as caffemodel:
        parity = compare_engines(network, caffemodel, head, zoo.ILSVRC_2012_MEAN, [coffee])
    assert parity.holds


@pytest.mark.parametrize(
    ("relative", "grey_levels", "same_top", "holds"),
    [(9e-5, 1, 2, True), (2e-4, 1, 2, False), (9e-5, 2, 2, False), (9e-5, 1, 1, False)],
)
def test_parity_holds_within_its_tolerances(
    relative: float, grey_levels: int, same_top: int, holds: bool
) -> None:
    blob = BlobDifference("prob", largest=2.0, absolute=2 * relative)
    assert Parity((blob,), same_top, 2, grey_levels).holds is holds
