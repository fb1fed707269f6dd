from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from cam import zoo
from cam.errors import CamError
from cam.files import models_folder


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, with an empty cache folder and no folder of models named."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(zoo.weights.ENVIRONMENT_VARIABLE, raising=False)
    return tmp_path


def test_the_table_has_the_models_of_the_paper_and_the_embedded_one() -> None:
    table = {
        model.name: (model.prototxt, model.last_conv, model.class_layer, model.crop_size)
        for model in zoo.ZOO
    }
    head = ("CAM_conv", "CAM_fc")
    assert table == {
        "googlenet": ("deploy_googlenetCAM.prototxt", *head, 224),
        "alexnet": ("deploy_alexnetplusCAM_imagenet.prototxt", "conv7", "fc9", 227),
        "vgg16": ("deploy_vgg16CAM.prototxt", *head, 224),
        "googlenet-places205": ("deploy_googlenetCAM_places205.prototxt", *head, 224),
        "alexnet-places205": ("deploy_alexnetplusCAM_places205.prototxt", "conv7", "fc9", 227),
        "efficientnet-lite0": ("efficientnet-lite0.prototxt", "head/relu6", "classifier", 224),
    }


def test_original_weights_have_the_upstream_names_and_both_spellings() -> None:
    weights = {model.name: model.caffemodel for model in zoo.ZOO if model.urls}
    assert weights == {
        "googlenet": "imagenet_googlenetCAM_train_iter_120000.caffemodel",
        "alexnet": "alexnetplusCAM_imagenet.caffemodel",
        "vgg16": "vgg16CAM_train_iter_90000.caffemodel",
        "googlenet-places205": "places_googlenetCAM_train_iter_120000.caffemodel",
        "alexnet-places205": "alexnetplusCAM_places205.caffemodel",
    }
    for name, file in weights.items():
        urls = zoo.get(name).urls
        assert urls[0] == f"http://cnnlocalization.csail.mit.edu/demoCAM/models/{file}"
        assert len(urls) == (2 if "googlenet" in name else 1)
        assert all("googlelet" in url for url in urls[1:])


def test_files_of_the_table_are_there() -> None:
    for model in zoo.ZOO:
        assert (models_folder() / model.prototxt).is_file()
        assert len(zoo.class_names(model.categories)) == (205 if "places" in model.name else 1000)


def test_the_embedded_model_says_that_it_is_not_from_the_paper() -> None:
    assert zoo.EMBEDDED == "efficientnet-lite0"
    assert "not from the paper" in zoo.get(zoo.EMBEDDED).note
    assert not zoo.get(zoo.EMBEDDED).urls


def test_preprocessing_of_the_embedded_model() -> None:
    preprocessing = zoo.get(zoo.EMBEDDED).preprocessing
    assert (preprocessing.channels, preprocessing.mean) == ("RGB", (127.0,) * 3)
    assert preprocessing.scale == 1 / 128
    np.testing.assert_array_equal(preprocessing.mean_picture(), np.full((3, 1, 1), 127))


def test_an_unknown_model_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(CamError, match=r"no model 'googlnet'; nearest: googlenet.*; there are "):
        zoo.get("googlnet")


def test_missing_weights_say_which_file_from_where_and_how(elsewhere: Path) -> None:
    model = dataclasses.replace(zoo.get("vgg16"), caffemodel="missing.caffemodel")
    with pytest.raises(CamError) as caught:
        zoo.find_weights(model)
    message = str(caught.value)
    assert "\n" not in message
    for part in ("missing.caffemodel", model.urls[0], "cam models fetch vgg16", str(elsewhere)):
        assert part in message


def test_folders_are_looked_through_in_their_order(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = dataclasses.replace(zoo.get("vgg16"), caffemodel="some.caffemodel")
    monkeypatch.setenv(zoo.weights.ENVIRONMENT_VARIABLE, str(elsewhere / "named"))
    folders = [elsewhere / "named", zoo.cache_folder()]
    for folder in reversed(folders):
        folder.mkdir(parents=True)
        (folder / model.caffemodel).write_bytes(b"weights")
        assert zoo.find_weights(model).resolve() == folder / model.caffemodel


def test_the_working_folder_is_not_looked_through(elsewhere: Path) -> None:
    planted = elsewhere / "models" / zoo.get(zoo.EMBEDDED).caffemodel
    planted.parent.mkdir()
    planted.write_bytes(b"someone else's")
    assert zoo.find_weights(zoo.get(zoo.EMBEDDED)).parent == models_folder()


def test_a_folder_of_the_files_name_is_not_the_weights(elsewhere: Path) -> None:
    model = dataclasses.replace(zoo.get("vgg16"), caffemodel="some.caffemodel")
    (elsewhere / "models" / "some.caffemodel").mkdir(parents=True)
    with pytest.raises(CamError, match="are missing"):
        zoo.find_weights(model)


def test_no_folder_is_looked_through_twice(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(zoo.weights.ENVIRONMENT_VARIABLE, str(elsewhere / "models"))
    folders = [folder.resolve() for folder in zoo.weights_folders()]
    assert len(folders) == len(set(folders))
    assert folders[0] == elsewhere / "models"


def test_the_projects_folder_is_named_once_from_within_it(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(models_folder().parent)
    assert zoo.weights_folders() == [models_folder(), zoo.cache_folder()]
