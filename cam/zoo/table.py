"""The models by name: their files, layers and preprocessing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cam.arguments import checked, checked_fields
from cam.caffe.preprocessing import ILSVRC_2012_MEAN, Preprocessing
from cam.errors import InvalidValueError, nearest_names

UPSTREAM = "http://cnnlocalization.csail.mit.edu/demoCAM/models/"
"""Where the original weights are, released for unrestricted use."""


@checked_fields
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


_ARCHITECTURES = {
    "googlenet": ("GoogLeNet-CAM", "CAM_conv", "CAM_fc", 224),
    "alexnet": ("AlexNet+-CAM", "conv7", "fc9", 227),
    "vgg16": ("VGG16-CAM", "CAM_conv", "CAM_fc", 224),
}
"""Title, last conv, class layer and crop of the paper's networks."""


def _original(name: str, prototxt: str, caffemodel: str) -> ZooModel:
    """Return a model of the original release; its files are named without what all have."""
    architecture, _, scenes = name.partition("-")
    title, last_conv, class_layer, crop_size = _ARCHITECTURES[architecture]
    weights = f"{caffemodel}.caffemodel"
    # One README (CAM-Python's) spells the GoogLeNet files this way.
    other_spelling = weights.replace("googlenet", "googlelet")
    return ZooModel(
        name,
        f"deploy_{prototxt}.prototxt",
        weights,
        last_conv,
        class_layer,
        crop_size,
        categories="categories_places205.txt" if scenes else "categories1000.txt",
        urls=tuple(UPSTREAM + file for file in dict.fromkeys((weights, other_spelling))),
        note=f"{title}, Places205 scenes" if scenes else f"{title}, ImageNet",
    )


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
    _original("googlenet", "googlenetCAM", "imagenet_googlenetCAM_train_iter_120000"),
    _original("alexnet", "alexnetplusCAM_imagenet", "alexnetplusCAM_imagenet"),
    _original("vgg16", "vgg16CAM", "vgg16CAM_train_iter_90000"),
    _original(
        "googlenet-places205", "googlenetCAM_places205", "places_googlenetCAM_train_iter_120000"
    ),
    _original("alexnet-places205", "alexnetplusCAM_places205", "alexnetplusCAM_places205"),
)

MODELS = {model.name: model for model in ZOO}
EMBEDDED = ZOO[0].name
"""The model whose weights come with the project."""


@checked
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
