from __future__ import annotations

from pathlib import Path

import pytest

from cam import zoo
from cam.files import models_folder
from cam.zoo.caffe_root import caffe_root, link_models


def a_package(folder: Path) -> Path:
    (folder / "caffe").mkdir(parents=True)
    (folder / "caffe" / "__init__.py").touch()
    return folder


@pytest.fixture
def weights(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("CAM_MODELS", str(tmp_path / "weights"))
    return tmp_path / "weights"


def test_the_root_is_below_the_prefix_of_the_package_that_is_imported(
    tmp_path, monkeypatch
) -> None:
    packages = a_package(tmp_path / "lib" / "python3" / "site-packages")
    root = tmp_path / "share" / "caffe"
    (root / "python").mkdir(parents=True)
    (root / "python" / "caffe").symlink_to(packages / "caffe")
    for folder in (packages, root / "python"):
        with monkeypatch.context() as patch:
            patch.syspath_prepend(folder)
            assert caffe_root() == root


def test_the_root_of_a_package_in_a_checkout_is_the_checkout(tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(a_package(tmp_path / "python"))
    assert caffe_root() == tmp_path


def test_a_package_alone_has_no_root(tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(a_package(tmp_path / "site-packages"))
    assert caffe_root() is None


def test_the_projects_files_are_linked(tmp_path, weights) -> None:
    link_models(tmp_path)
    for path in models_folder().iterdir():
        assert (tmp_path / "models" / path.name).samefile(path)
    names = (tmp_path / "data" / "ilsvrc12" / "synset_words.txt").read_text().splitlines()
    assert tuple(names) == zoo.class_names("categories1000.txt")


def test_weights_are_found_as_soon_as_they_are_fetched(tmp_path, weights) -> None:
    model = zoo.get("vgg16")
    link_models(tmp_path)
    link = tmp_path / "models" / model.caffemodel
    if not (models_folder() / model.caffemodel).exists():
        assert not link.exists()
        weights.mkdir()
        (weights / model.caffemodel).write_bytes(b"weights")
        assert link.read_bytes() == b"weights"


def test_links_are_renewed_and_a_users_files_are_kept(tmp_path, weights) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / "mine.caffemodel").write_bytes(b"mine")
    (models / "efficientnet-lite0.prototxt").write_bytes(b"mine")
    (models / "categories1000.txt").symlink_to(tmp_path / "nowhere")
    link_models(tmp_path)
    link_models(tmp_path)
    assert (models / "mine.caffemodel").read_bytes() == b"mine"
    assert (models / "efficientnet-lite0.prototxt").read_bytes() == b"mine"
    assert (models / "categories1000.txt").is_file()
