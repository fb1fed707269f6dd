"""The models by name: their table, their weights, and where these are found."""

from cam.zoo.table import (
    EMBEDDED,
    ENVIRONMENT_VARIABLE,
    ILSVRC_2012_MEAN,
    MODELS,
    ZOO,
    Preprocessing,
    ZooModel,
    cache_folder,
    class_names,
    find_weights,
    get,
    models_folder,
    weights_folders,
)

__all__ = [
    "EMBEDDED",
    "ENVIRONMENT_VARIABLE",
    "ILSVRC_2012_MEAN",
    "MODELS",
    "ZOO",
    "Preprocessing",
    "ZooModel",
    "cache_folder",
    "class_names",
    "find_weights",
    "get",
    "models_folder",
    "weights_folders",
]
