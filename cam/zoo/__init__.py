"""The models by name: their table, their weights and class names, and loading them."""

from cam.zoo.class_names import (
    class_names,
    default_class_names,
    find_class,
    plain_name,
    read_class_names,
    short_name,
)
from cam.zoo.loading import load_files, load_network
from cam.zoo.table import EMBEDDED, MODELS, UPSTREAM, ZOO, ZooModel, get
from cam.zoo.weights import cache_folder, check_weights, find_weights, weights_folders

__all__ = [
    "EMBEDDED",
    "MODELS",
    "UPSTREAM",
    "ZOO",
    "ZooModel",
    "cache_folder",
    "check_weights",
    "class_names",
    "default_class_names",
    "find_class",
    "find_weights",
    "get",
    "load_files",
    "load_network",
    "plain_name",
    "read_class_names",
    "short_name",
    "weights_folders",
]
