"""The models by name: their files, layers and preprocessing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cam.caffe.preprocessing import ILSVRC_2012_MEAN, Preprocessing
from cam.errors import InvalidValueError, nearest_names

UPSTREAM = "http://cnnlocalization.csail.mit.edu/demoCAM/models/"
"""Where the original weights are, released for unrestricted use."""


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
    crop_size : int
        Rows and columns of the network's input.
    categories : str
        The file with the class names, one a line.
    preprocessing : cam.caffe.preprocessing.Preprocessing
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
    crop_size: int
    categories: str = "categories1000.txt"
    preprocessing: Preprocessing = ILSVRC_2012_MEAN
    urls: tuple[str, ...] = ()
    note: str = ""


def _original(
    name: str,
    prototxt: str,
    caffemodel: str,
    head: tuple[str, str],
    crop_size: int,
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
        crop_size,
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
        raise InvalidValueError(
            f"no model {name!r}{nearest_names(name, MODELS)}; there are {', '.join(MODELS)}"
        )
    return MODELS[name]
