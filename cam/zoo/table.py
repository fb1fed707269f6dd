"""The models: their files, layers and preprocessing, and where their weights are found."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cam.errors import CamError, nearest_names

__all__ = [
    "EMBEDDED",
    "MODELS",
    "ZOO",
    "Preprocessing",
    "ZooModel",
    "class_names",
    "find_weights",
    "get",
    "models_folder",
    "weights_folders",
]

UPSTREAM = "http://cnnlocalization.csail.mit.edu/demoCAM/models/"
"""Where the original weights are, released for unrestricted use."""

ENVIRONMENT_VARIABLE = "CAM_MODELS"
"""Names a folder in which weights are looked for first."""


@dataclass(frozen=True)
class Preprocessing:
    """How a crop's pixels become the network's input: ``(pixel - mean) * scale``.

    Attributes
    ----------
    channels : {"BGR", "RGB"}
        Order of the input's channels.
    mean : tuple of float
        What is subtracted from each channel, in that order.
    scale : float
        Factor after the subtraction.
    mean_file : str
        The file in the models folder with a mean for each pixel of the 256×256 picture, which the
        ten-crop style subtracts instead; empty if the channels' means do for it too.
    """

    channels: Literal["BGR", "RGB"]
    mean: tuple[float, float, float]
    scale: float = 1.0
    mean_file: str = ""

    def mean_picture(self) -> NDArray[np.float32]:
        """Return the mean that the ten-crop style subtracts.

        Returns
        -------
        numpy.ndarray
            float32 (3, 256, 256) or (3, 1, 1), channels in the input's order.
        """
        if self.mean_file:
            return _load_mean(self.mean_file)
        return np.array(self.mean, np.float32)[:, np.newaxis, np.newaxis]


ILSVRC_2012_MEAN = Preprocessing(
    "BGR", (104.00698793, 116.66876762, 122.67891434), mean_file="ilsvrc_2012_mean.npy"
)
"""Caffe's ``ilsvrc_2012_mean``."""


@lru_cache(maxsize=2)
def _load_mean(file_name: str) -> NDArray[np.float32]:
    mean: NDArray[np.float32] = np.load(models_folder() / file_name, allow_pickle=False)
    return mean


@dataclass(frozen=True)
class ZooModel:
    """One model of the table.

    Attributes
    ----------
    name : str
        The name to load it by.
    prototxt, caffemodel : str
        File names.
    last_conv, class_layer : str
        The blob with the last conv's activations, and the inner product with the class weights.
    crop : int
        Rows and columns of the network's input.
    categories : str
        The file with the class names, one a line.
    preprocessing : Preprocessing
        How pixels become input.
    urls : tuple of str
        Where the weights can be had; empty for the embedded model.
    note : str
        What a user should know about it.
    """

    name: str
    prototxt: str
    caffemodel: str
    last_conv: str
    class_layer: str
    crop: int
    categories: str = "categories1000.txt"
    preprocessing: Preprocessing = ILSVRC_2012_MEAN
    urls: tuple[str, ...] = ()
    note: str = ""


def _original(
    name: str,
    prototxt: str,
    caffemodel: str,
    head: tuple[str, str],
    crop: int,
    note: str,
    places: bool = False,
) -> ZooModel:
    # One README (CAM-Python's) spells the GoogLeNet files this way.
    other_spelling = caffemodel.replace("googlenet", "googlelet")
    return ZooModel(
        name,
        prototxt,
        caffemodel,
        *head,
        crop,
        categories="categories_places205.txt" if places else "categories1000.txt",
        urls=tuple(UPSTREAM + file for file in dict.fromkeys((caffemodel, other_spelling))),
        note=note,
    )


_GOOGLENET_HEAD, _ALEXNET_HEAD = ("CAM_conv", "CAM_fc"), ("conv7", "fc9")

ZOO: Sequence[ZooModel] = (
    ZooModel(
        "efficientnet-lite0",
        "efficientnet-lite0.prototxt",
        "efficientnet-lite0.caffemodel",
        "head/relu6",
        "classifier",
        224,
        preprocessing=Preprocessing("RGB", (127.0, 127.0, 127.0), 1 / 128),
        note="embedded, ImageNet; not from the paper",
    ),
    _original(
        "googlenet",
        "deploy_googlenetCAM.prototxt",
        "imagenet_googlenetCAM_train_iter_120000.caffemodel",
        _GOOGLENET_HEAD,
        224,
        "GoogLeNet-CAM, ImageNet",
    ),
    _original(
        "alexnet",
        "deploy_alexnetplusCAM_imagenet.prototxt",
        "alexnetplusCAM_imagenet.caffemodel",
        _ALEXNET_HEAD,
        227,
        "AlexNet+-CAM, ImageNet",
    ),
    _original(
        "vgg16",
        "deploy_vgg16CAM.prototxt",
        "vgg16CAM_train_iter_90000.caffemodel",
        _GOOGLENET_HEAD,
        224,
        "VGG16-CAM, ImageNet",
    ),
    _original(
        "googlenet-places205",
        "deploy_googlenetCAM_places205.prototxt",
        "places_googlenetCAM_train_iter_120000.caffemodel",
        _GOOGLENET_HEAD,
        224,
        "GoogLeNet-CAM, Places205 scenes",
        places=True,
    ),
    _original(
        "alexnet-places205",
        "deploy_alexnetplusCAM_places205.prototxt",
        "alexnetplusCAM_places205.caffemodel",
        _ALEXNET_HEAD,
        227,
        "AlexNet+-CAM, Places205 scenes",
        places=True,
    ),
)

MODELS = {model.name: model for model in ZOO}
EMBEDDED = ZOO[0].name
"""The model whose weights come with the project."""


def get(name: str) -> ZooModel:
    """Return a model of the table by its name.

    Raises
    ------
    CamError
        If there is none of that name; the message lists those that there are.

    Examples
    --------
    >>> get("alexnet").last_conv
    'conv7'
    """
    if name not in MODELS:
        raise CamError(
            f"no model {name!r}{nearest_names(name, MODELS)}; there are {', '.join(MODELS)}"
        )
    return MODELS[name]


def models_folder() -> Path:
    """Return the folder with the prototxts, class names and the embedded model.

    It lies inside an installed package, and beside the package in a checkout.
    """
    package = Path(__file__).parents[1]
    inside = package / "models"
    return inside if inside.is_dir() else package.parent / "models"


def weights_folders() -> list[Path]:
    """Return the folders in which weights are looked for, in that order.

    The folder that the environment variable ``CAM_MODELS`` names, ``models`` in the working
    directory, the project's own models folder, and the user's cache folder.
    """
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    folders = [Path(named)] if named else []
    folders += [Path("models"), models_folder(), cache_folder()]
    return list({folder.resolve(): folder for folder in folders}.values())


def cache_folder() -> Path:
    """Return the user's cache folder for downloaded weights."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("cam")) / "models"


def find_weights(model: ZooModel) -> Path:
    """Return the path of a model's caffemodel.

    Raises
    ------
    CamError
        If it is in none of the folders; the message says where it can be had and how.
    """
    folders = weights_folders()
    for folder in folders:
        path = folder / model.caffemodel
        if path.is_file():
            return path
    source = model.urls[0] if model.urls else "the project's repository"
    raise CamError(
        f"the weights of {model.name!r} are missing: {model.caffemodel} (from {source}) is not in "
        f"{', '.join(map(str, folders))}; get it with: cam models fetch {model.name}"
    )


@lru_cache(maxsize=8)
def class_names(file_name: str) -> tuple[str, ...]:
    """Return the class names of a file in the models folder, in the network's order.

    Examples
    --------
    >>> class_names("categories1000.txt")[0]
    'n01440764 tench, Tinca tinca'
    """
    text = (models_folder() / file_name).read_text(encoding="utf-8")
    return tuple(text.splitlines())
