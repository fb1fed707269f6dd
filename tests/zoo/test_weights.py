from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from file_server import FileServer, serve

from cam import zoo
from cam.caffe.caffemodel import CaffeModel, write_caffemodel
from cam.caffe.prototxt import read_prototxt
from cam.errors import CamError
from cam.zoo import weights
from cam.zoo.download import check_recorded

PROTOTXT = """
input: "data"
input_shape { dim: 1 dim: 3 dim: 8 dim: 8 }
layer {
  name: "CAM_fc" type: "InnerProduct" bottom: "data" top: "CAM_fc"
  inner_product_param { num_output: %d }
}
"""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve() as running:
        yield running


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: FileServer) -> zoo.ZooModel:
    """Return a model with one layer, whose second address has its weights."""
    monkeypatch.setenv("CAM_MODELS", str(tmp_path / "models"))
    prototxt = tmp_path / "net.prototxt"
    prototxt.write_text(PROTOTXT % 5)
    server.files["googleletCAM.caffemodel"] = caffemodel(tmp_path, 5)
    return zoo.ZooModel(
        "tiny",
        str(prototxt),
        "googlenetCAM.caffemodel",
        "data",
        "CAM_fc",
        8,
        urls=(server.url("googlenetCAM.caffemodel"), server.url("googleletCAM.caffemodel")),
    )


def caffemodel(folder: Path, classes: int, seed: int = 0) -> bytes:
    random = np.random.default_rng(seed)
    (folder / "written.prototxt").write_text(PROTOTXT % classes)
    net = read_prototxt(folder / "written.prototxt")
    blobs = (random.random((classes, 192), np.float32), random.random(classes, np.float32))
    write_caffemodel(folder / "written.caffemodel", CaffeModel(net, {"CAM_fc": blobs}))
    return (folder / "written.caffemodel").read_bytes()


def test_weights_come_from_the_other_spelling_where_the_first_is_missing(
    model: zoo.ZooModel, server: FileServer, tmp_path: Path
) -> None:
    fetched = weights.fetch(model)
    assert [name for name, _ in server.requests] == [
        "googlenetCAM.caffemodel",
        "googleletCAM.caffemodel",
    ]
    assert fetched.path == tmp_path / "models" / "googlenetCAM.caffemodel"
    assert fetched.parameters == 5 * 192 + 5
    assert zoo.find_weights(model) == fetched.path
    checked = weights.check_weights(fetched.path, model)
    assert checked == fetched
    assert check_recorded(fetched.path, checked.sha256)


@pytest.mark.parametrize(
    ("content", "message"),
    [("other network", r"\(6, 192\)"), ("cut short", "caffemodel"), ("page", "caffemodel")],
)
def test_weights_that_do_not_fit_the_network_are_refused_and_removed(
    model: zoo.ZooModel, server: FileServer, tmp_path: Path, content: str, message: str
) -> None:
    contents = {
        "other network": caffemodel(tmp_path, 6),
        "cut short": server.files["googleletCAM.caffemodel"][:-100],
        "page": b"<html>Moved</html>",
    }
    server.files["googlenetCAM.caffemodel"] = contents[content]
    with pytest.raises(CamError, match=message):
        weights.fetch(model)
    assert list((tmp_path / "models").iterdir()) == []


def test_a_cut_download_goes_on(model: zoo.ZooModel, server: FileServer) -> None:
    server.cut_after["googleletCAM.caffemodel"] = 1000
    with pytest.raises(CamError, match="the connection ended after 1000 of"):
        weights.fetch(model)
    server.cut_after.clear()
    weights.fetch(model)
    assert server.requests[-1] == ("googleletCAM.caffemodel", "bytes=1000-")


def test_other_weights_than_the_recorded_ones_are_refused(
    model: zoo.ZooModel, server: FileServer, tmp_path: Path
) -> None:
    kept = weights.fetch(model)
    server.files["googleletCAM.caffemodel"] = caffemodel(tmp_path, 5, seed=1)
    with pytest.raises(CamError, match="recorded when it was first seen"):
        weights.fetch(model)
    assert weights.check_weights(kept.path, model).sha256 == kept.sha256


def test_weights_come_from_a_file_that_the_user_names(model: zoo.ZooModel, tmp_path: Path) -> None:
    caffemodel(tmp_path, 5)
    fetched = weights.fetch(model, str(tmp_path / "written.caffemodel"))
    assert zoo.find_weights(model) == fetched.path
    assert fetched.path == tmp_path / "models" / "googlenetCAM.caffemodel"
    assert check_recorded(fetched.path, fetched.sha256)


def test_a_file_of_another_network_is_named_and_an_interrupted_download_goes_on(
    model: zoo.ZooModel, server: FileServer, tmp_path: Path
) -> None:
    server.cut_after["googleletCAM.caffemodel"] = 1000
    with pytest.raises(CamError, match="the connection ended after 1000 of"):
        weights.fetch(model)
    server.cut_after.clear()
    caffemodel(tmp_path, 6)
    with pytest.raises(CamError, match=r"written\.caffemodel.*\(6, 192\)"):
        weights.fetch(model, str(tmp_path / "written.caffemodel"))
    weights.fetch(model)
    assert server.requests[-1] == ("googleletCAM.caffemodel", "bytes=1000-")


def test_the_first_fetch_says_that_only_the_shapes_were_checked(
    model: zoo.ZooModel, server: FileServer
) -> None:
    came_over_http = "came over http"
    first, second = weights.fetch(model).notes, weights.fetch(model).notes
    assert [came_over_http in first[0], first[1]] == [True, weights.ONLY_SHAPES_CHECKED]
    assert len(second) == 1
    assert came_over_http in second[0]


def test_the_command_prints_what_a_fetch_says(
    model: zoo.ZooModel, run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zoo, "get", lambda name: model)
    code, output, errors = run("models", "fetch", "tiny")
    assert code == 0
    assert "SHA-256" in output
    assert f"note: {weights.ONLY_SHAPES_CHECKED}" in errors


def test_the_embedded_model_has_nothing_to_fetch() -> None:
    with pytest.raises(CamError, match="come with the project"):
        weights.fetch(zoo.get(zoo.EMBEDDED))


def test_every_original_model_has_its_upstream_address_first() -> None:
    for model in zoo.ZOO[1:]:
        assert model.urls[0] == zoo.table.UPSTREAM + model.caffemodel
    assert (
        zoo.get("googlenet").urls[1].endswith("imagenet_googleletCAM_train_iter_120000.caffemodel")
    )
