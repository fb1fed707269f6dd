"""A good call of every public function and method, with arguments to put others in the place of."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from locations import REPOSITORY

import cam
from cam import localization, matlab, zoo
from cam.batch import BatchOptions
from cam.caffe.loaded import LoadedNetwork
from cam.explain.styles import PycaffeStyle
from cam.fidelity import Tolerance
from cam.fidelity.results import result_of
from cam.localization import Box, BoxRule, Candidates, GroundTruth, Predictions
from cam.pycaffe.io import Transformer
from cam.training import HistoryEntry

Arguments = dict[str, Any]

ROOMS = (
    "cam",
    "cam.batch",
    "cam.engines",
    "cam.fidelity",
    "cam.localization",
    "cam.maps.activation_maps",
    "cam.maps.colors",
    "cam.maps.montage",
    "cam.maps.ten_crops",
    "cam.matlab",
    "cam.pictures.reading",
    "cam.pycaffe",
    "cam.pycaffe.io",
    "cam.training",
    "cam.zoo",
)
"""What has names for others: those of ``__all__``, or the functions and classes of the module."""

CLASSES = (
    cam.CamModel,
    cam.Drawing,
    cam.Explanation,
    cam.Grid,
    cam.Preprocessing,
    Candidates,
    GroundTruth,
    LoadedNetwork,
    Transformer,
    BoxRule,
)
"""Classes whose methods are called, too."""

NOT_CALLED = {
    "cam.CamError": "an error",
    "cam.CamModel": "its parts come from load",
    "cam.Explanation": "explain makes it",
    "cam.batch.BatchWork": "its plan makes it",
    "cam.batch.run_pieces": "run_batch calls it",
    "cam.engines.Engine": "a protocol",
    "cam.engines.EngineChoice": "choose_engine makes it",
    "cam.engines.NetworkOutput": "an engine makes it",
    "cam.fidelity.ComparedQuantity": "compare makes it",
    "cam.fidelity.Comparison": "compare makes it",
    "cam.fidelity.Difference": "measure makes it",
    "cam.localization.Box": "four numbers, of which find_boxes makes many",
    "cam.localization.Candidates": "read_heatmap_folder makes it",
    "cam.localization.Evaluation": "evaluate makes it",
    "cam.maps.ten_crops.CropPosition": "ten_crop_positions makes it",
    "cam.matlab.Features": "load_features makes it",
    "cam.matlab.MatlabNetwork": "load_network makes it",
    "cam.pycaffe.install": "takes no argument, and changes what caffe is in this process",
    "cam.training.HistoryEntry": "training makes it",
    "cam.training.TrainingProgress": "training makes it",
    "cam.training.TrainingResult": "training makes it",
    "cam.training.train": "needs Caffe, and minutes",
}
"""Public names that have no call here, and why."""


def public_names() -> Iterator[str]:
    """Yield every public function and class, and the methods of `CLASSES`, by their full names."""
    for room in ROOMS:
        module = import_module(room)
        for name in getattr(module, "__all__", None) or _own_names(module):
            if isinstance(getattr(module, name), type) or inspect.isroutine(getattr(module, name)):
                yield f"{room}.{name}"
    for owner in CLASSES:
        for name, value in vars(owner).items():
            is_method = inspect.isfunction(value) or isinstance(value, classmethod)
            if is_method and not name.startswith("_"):
                yield f"{owner.__name__}.{name}"


def _own_names(module: Any) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", "").startswith(module.__name__)
    ]


class GoodCalls:
    """Good calls, made of the embedded network, one picture and files of a folder."""

    def __init__(self, folder: Path) -> None:
        self.picture = REPOSITORY / "cam" / "data" / "coffee.png"
        self.model = cam.load(engine="openvino")
        self.explanation = self.model.explain(self.picture)
        self.folder = folder
        self._write_files()

    def _write_files(self) -> None:
        folder, explanation = self.folder, self.explanation
        explanation.save(folder / "result")
        explanation.to_mat(folder / "features.mat")
        matlab.save_network(folder / "network.mat", np.ones((2, 3)), ["cup", "spoon"])
        localization.write_boxes(folder / "boxes.txt", [Box(1, 1, 2, 2)])
        matlab.write_mat(folder / "order.mat", {"x": [1.0]})
        (folder / "ids.txt").write_text("n01440764 1 tench\n")
        (folder / "names.txt").write_text("cup\nspoon\n")
        (folder / "list.txt").write_text("coffee.png\n")
        (folder / "submission.txt").write_text("1 0 0 9 9\n")
        (folder / "history.json").write_text("[]")
        (folder / "a.xml").write_text(
            "<a><object><name>n01440764</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax>"
            "<ymax>9</ymax></bndbox></object></a>"
        )
        (folder / "labels.txt").write_text("1\n")
        (folder / "blacklist.txt").write_text("")
        heat_maps = [np.full((9, 9), 50, np.uint8)] * localization.TOP
        localization.write_ilsvrc_heatmaps(
            heat_maps, np.ones(5, np.float32), np.arange(5), folder / "ilsvrc", "a"
        )

    def all(self) -> Mapping[str, tuple[Callable[..., Any], Arguments]]:
        """Return a function and its arguments by the function's full name."""
        named = {**self._maps(), **self._matlab(), **self._pictures(), **self._networks()}
        named |= {**self._localization(), **self._stores(), **self._io()}
        found = {name: (_function(name), arguments) for name, arguments in named.items()}
        return found | self._methods()

    def _maps(self) -> dict[str, Arguments]:
        heat, grey = np.eye(4), np.zeros((4, 6, 3), np.uint8)
        activations, weights = np.ones((1, 2, 3, 3), np.float32), np.ones((5, 2), np.float32)
        of_maps = {"activations": activations, "class_weights": weights}
        return {
            "cam.im2double": {"im": heat},
            "cam.py_map2jpg": {"imgmap": heat, "rang": (0, 1), "colorMap": "jet"},
            "cam.py_returnCAMmap": {"activation": activations, "weights_LR": weights},
            "cam.maps.activation_maps.py_returnCAMmap": {
                "activation": activations,
                "weights_LR": weights,
            },
            "cam.maps.activation_maps.return_cam_map": of_maps,
            "cam.maps.activation_maps.pooled_features": {
                "activations": activations,
                "maximum": True,
            },
            "cam.maps.activation_maps.enlarge_maps": {"maps": activations, "size": 8},
            "cam.maps.colors.colors": {"name": "jet"},
            "cam.maps.colors.colors_of": {"name": "viridis"},
            "cam.maps.colors.im2double": {"im": heat},
            "cam.maps.colors.matlab_heat_levels": {"heat_map": heat, "rang": (0, 1)},
            "cam.maps.colors.matlab_heat_picture": {"heat_map": heat, "rang": (0, 1)},
            "cam.maps.colors.py_heat_levels": {"heat_map": heat},
            "cam.maps.colors.py_map2jpg": {"imgmap": heat, "rang": None, "colorMap": "jet"},
            "cam.maps.montage.caption": {"lines": ["cup"], "width": 99, "scale": 1.0},
            "cam.maps.montage.captioned": {"picture": grey, "lines": ["cup"], "scale": 1.0},
            "cam.maps.montage.fitted": {"picture": grey, "rows": 9, "columns": 9},
            "cam.maps.montage.montage": {"pictures": [grey] * 3, "columns": 2},
            "cam.maps.ten_crops.merge_ten_crop": {
                "maps": np.ones((10, 1, 8, 8)),
                "crop": 8,
                "frame": 10,
            },
            "cam.maps.ten_crops.ten_crop_positions": {"crop": 8, "frame": 10},
        }

    def _matlab(self) -> dict[str, Arguments]:
        order = self.folder / "order.mat"
        heat = np.eye(4)
        return {
            "cam.matlab.decode_mat": {
                "data": order.read_bytes(),
                "name": "order.mat",
                "wanted": ["x"],
                "optional": ["y"],
            },
            "cam.matlab.gray2ind": {"image": heat, "levels": 64},
            "cam.matlab.im2double": {"image": heat},
            "cam.matlab.imresize": {
                "image": heat,
                "scale_or_size": (8, 8),
                "method": "bicubic",
                "antialiasing": True,
            },
            "cam.matlab.ind2rgb": {"indices": np.eye(4, dtype=np.uint8), "colormap": np.eye(3)},
            "cam.matlab.jet": {"levels": 64},
            "cam.matlab.load_categories": {"path": self.folder / "network.mat"},
            "cam.matlab.load_features": {"path": self.folder / "features.mat"},
            "cam.matlab.load_network": {"path": self.folder / "network.mat"},
            "cam.matlab.mat2gray": {"matrix": heat, "limits": (0, 1)},
            "cam.matlab.read_mat": {"path": order, "wanted": ["x"], "optional": ["y"]},
            "cam.matlab.save_features": {
                "path": "features.mat",
                "activations": np.ones((1, 2, 3, 3)),
                "scores": np.ones((1, 5)),
            },
            "cam.matlab.save_network": {
                "path": "network.mat",
                "class_weights": np.ones((2, 3)),
                "categories": ["cup", "spoon"],
            },
            "cam.matlab.write_mat": {"path": "x.mat", "variables": {"x": heat}},
        }

    def _pictures(self) -> dict[str, Arguments]:
        picture = np.zeros((9, 9, 3), np.uint8)
        return {
            "cam.pictures.reading.center_crop": {"frame": picture, "crop": 4},
            "cam.pictures.reading.decode_picture": {
                "data": self.picture.read_bytes(),
                "source": "coffee.png",
                "grey": True,
            },
            "cam.pictures.reading.frame_size": {"crop": 224},
            "cam.pictures.reading.read_picture": {"source": self.picture},
            "cam.pictures.reading.write_picture": {"path": "a.png", "picture": picture},
        }

    def _networks(self) -> dict[str, Arguments]:
        model = zoo.get(zoo.EMBEDDED)
        files: Arguments = {
            "prototxt": self.model.network.prototxt,
            "caffemodel": self.model.network.caffemodel,
            "last_conv": model.last_conv,
            "class_layer": model.class_layer,
            "preprocessing": model.preprocessing,
            "name": "a network",
        }
        names = self.model.class_names
        engine = {"engine": "openvino", "threads": 1, "precision": "float32"}
        return {
            "cam.Preprocessing": {
                "channels": "BGR",
                "mean": (104.0, 117.0, 123.0),
                "scale": 1.0,
                "mean_file": "",
            },
            "cam.load": {"name": zoo.EMBEDDED, **engine},
            "cam.load_files": {**files, "class_names": names, **engine},
            "cam.engines.choose_engine": {
                "choice": "openvino",
                "backward": False,
                "precision": "float32",
            },
            "cam.engines.open_engine": {
                "choice": "openvino",
                "network": self.model.network,
                "threads": 1,
                "backward": False,
                "precision": "float32",
            },
            "cam.zoo.ZooModel": {"name": "a", "prototxt": "a", "caffemodel": "a"}
            | {"last_conv": "a", "class_layer": "a", "crop_size": 224, "categories": "a"}
            | {"preprocessing": model.preprocessing, "urls": ("a",), "note": "a"},
            "cam.zoo.cache_folder": {},
            "cam.zoo.check_weights": {"path": self.model.network.caffemodel, "model": model},
            "cam.zoo.class_names": {"file_name": "categories1000.txt"},
            "cam.zoo.default_class_names": {"count": 3},
            "cam.zoo.find_class": {"class_names": ["cup", "spoon"], "wanted": "cup"},
            "cam.zoo.find_weights": {"model": model},
            "cam.zoo.get": {"name": zoo.EMBEDDED},
            "cam.zoo.load_files": {**files, "names": names, "seed": None},
            "cam.zoo.load_network": {"name": zoo.EMBEDDED, "seed": None},
            "cam.zoo.plain_name": {"name": "n01440764 tench"},
            "cam.zoo.read_class_names": {"path": self.folder / "names.txt"},
            "cam.zoo.short_name": {"name": "n01440764 tench"},
            "cam.zoo.weights_folders": {},
        }

    def _localization(self) -> dict[str, Arguments]:
        grey, boxes, ids = np.eye(40, dtype=np.uint8) * 255, [Box(1, 1, 2, 2)], {"n01440764": 1}
        record = {"model": "a"}
        of_boxes: Arguments = {
            "heatmap": grey,
            "rule": "original",
            "thresholds": (20, 100),
            "fraction": 0.2,
        }
        calls: dict[str, Arguments] = {
            "BoxRule": {"name": "original", "thresholds": (20,), "fraction": 0.2},
            "GroundTruth": vars(self._truth()),
            "Predictions": {"labels": np.array([[1]]), "boxes": np.ones((1, 1, 4))},
            "checked_map": {"activation_map": np.eye(4)},
            "devkit_labels": {"categories": ["n01440764 tench"], "ilsvrc_ids": ids},
            "draw_boxes": {
                "picture": np.zeros((9, 9, 3), np.uint8),
                "predicted": boxes,
                "ground_truth": boxes,
            },
            "evaluate": {"ground_truth": self._truth(), "predictions": self._guesses()},
            "find_boxes": of_boxes,
            "format_boxes": {"boxes": boxes, "form": "corners"},
            "grey_heatmap": {"activation_map": np.eye(4)},
            "is_complete": {"folder": self.folder / "ilsvrc", "name": "a"},
            "levels_of_colors": {
                "picture": np.zeros((2, 2, 3), np.uint8),
                "colors": np.zeros((256, 3), np.uint8),
            },
            "original_boxes": {"heatmap": grey, "thresholds": (20, 100)},
            "overlap": {"boxes": np.ones(4), "others": np.ones(4)},
            "paper_box": {"activation_map": np.eye(4), "fraction": 0.2},
            "parse_boxes": {"text": "1 1 2 2", "form": "corners"},
            "picture_heatmap": {"merged_map": np.eye(4), "picture_size": (9, 9)},
            "read_boxes": {"path": self.folder / "boxes.txt", "form": "corners"},
            "read_ground_truth": {
                "boxes": self.folder,
                "labels": self.folder / "labels.txt",
                "blacklist": self.folder / "blacklist.txt",
                "ilsvrc_ids": ids,
            },
            "read_heatmap": {"path": self.picture},
            "read_heatmap_folder": {
                "folder": self.folder / "ilsvrc",
                "names": ["a"],
                "class_labels": np.arange(1, 6),
                "rule": BoxRule(),
                "reuse_boxes": False,
                "workers": 1,
                "on_picture": lambda: None,
            },
            "read_ilsvrc_ids": {"path": self.folder / "ids.txt"},
            "read_picture_list": {"path": self.folder / "list.txt", "root": self.folder},
            "read_record": {"folder": self.folder},
            "read_submission": {"path": self.folder / "submission.txt"},
            "write_boxes": {"path": "boxes.txt", "boxes": boxes, "form": "corners"},
            "write_ilsvrc_heatmaps": {
                "heatmaps": [grey],
                "scores": np.ones(5),
                "order": np.arange(5),
                "folder": "heat maps",
                "name": "a",
            },
            "write_record": {"folder": "record", "record": record},
            "write_submission": {"path": "guesses.txt", "predictions": self._guesses()},
        }
        return {f"cam.localization.{name}": arguments for name, arguments in calls.items()}

    @staticmethod
    def _truth() -> GroundTruth:
        return GroundTruth(
            names=("a",),
            labels=np.array([7]),
            boxes=np.ones((1, 4)),
            box_labels=np.array([7]),
            box_pictures=np.array([0]),
            blacklisted=np.array([False]),
        )

    @staticmethod
    def _guesses() -> Predictions:
        return Predictions(np.array([[1]]), np.ones((1, 1, 4)))

    def _stores(self) -> dict[str, Arguments]:
        result = result_of(self.explanation)
        run: Arguments = {"folder": "store", "options": BatchOptions(top=1), "workers": 1}
        return {
            "cam.batch.BatchOptions": {"top": 1, "style": "pycaffe", "placement": "stretch"}
            | {"outputs": ("maps",), "precision": "float16", "heat_format": "png"}
            | {"box_rule": "original", "layout": "store", "batch_size": 1, "piece_size": 1}
            | {"classes": "top"},
            "cam.batch.run_batch": {"model": self.model, "inputs": [self.picture], **run}
            | {"root": self.folder, "say": str},
            "cam.batch.run_entries": {
                **run,
                "folder": "no store",
                "model": self.model,
                "entries": [],
                "say": str,
            },
            "cam.fidelity.Tolerance": {"relative": 1e-3, "levels": 1.0, "share": 0.9},
            "cam.fidelity.compare": {
                "ours": result,
                "theirs": result,
                "tolerance": Tolerance(),
                "class_weights": self.model.class_weights,
            },
            "cam.fidelity.compare_files": {
                "ours": self.folder / "result",
                "theirs": self.folder / "result",
                "tolerance": Tolerance(),
                "rank": None,
                "network": self.folder / "network.mat",
            },
            "cam.fidelity.measure": {
                "first": np.eye(4),
                "second": np.eye(4),
                "tolerance": Tolerance(),
                "white": 255.0,
            },
            "cam.training.read_history": {"path": self.folder / "history.json"},
            "cam.training.write_history": {
                "path": "history.json",
                "entries": [HistoryEntry(1, 0.5, 0.1, 1.0)],
            },
        }

    def _io(self) -> dict[str, Arguments]:
        io = import_module("cam.pycaffe.io")
        array, picture = np.ones((2, 3, 4)), np.eye(4)[:, :, np.newaxis]
        calls: dict[str, Arguments] = {
            "Transformer": {"inputs": {"data": (1, 3, 4, 4)}},
            "array_to_blobproto": {"arr": array, "diff": array},
            "array_to_datum": {"arr": array, "label": 1},
            "arraylist_to_blobprotovector_str": {"arraylist": [array]},
            "blobproto_to_array": {"blob": io.array_to_blobproto(array), "return_diff": False},
            "blobprotovector_str_to_arraylist": {
                "str": io.arraylist_to_blobprotovector_str([array])
            },
            "datum_to_array": {"datum": io.array_to_datum(array)},
            "load_image": {"filename": self.picture, "color": True},
            "oversample": {"images": [picture], "crop_dims": (2, 2)},
            "resize_image": {"im": picture, "new_dims": (8, 8), "interp_order": 1},
        }
        named = {f"cam.pycaffe.io.{name}": arguments for name, arguments in calls.items()}
        return {**named, "cam.pycaffe.modules": {}}

    def _methods(self) -> dict[str, tuple[Callable[..., Any], Arguments]]:
        owners: dict[str, tuple[Any, Mapping[str, Arguments]]] = {
            "CamModel": (self.model, self._of_model()),
            "Explanation": (self.explanation, self._of_explanation()),
            "Drawing": (
                cam.Drawing(size="picture"),
                {"name": {"class_name": "cup"}, "for_montage": {"picture_size": (9, 9)}},
            ),
            "Grid": (cam.Grid([self.explanation]), {"picture": {}}),
            "Preprocessing": (self.model.preprocessing, {"mean_picture": {"size": 256}}),
            "LoadedNetwork": (self.model.network, {"weights_file": {}}),
            "BoxRule": (BoxRule(), {"boxes": {"heatmap": np.eye(40, dtype=np.uint8) * 255}}),
            "GroundTruth": (self._truth(), {"select": {"names": ["a"]}}),
            "Candidates": (
                Candidates(np.ones((1, 5), int), np.ones((1, 5, 2, 4))),
                {"guesses": {"variant": "bbox1"}},
            ),
            "Transformer": (self._transformer(), self._of_transformer()),
        }
        return {
            "cam.Drawing": (cam.Drawing, self._drawing()),
            "cam.Grid": (
                cam.Grid,
                {"explanations": [self.explanation], "columns": 2, "drawing": cam.Drawing()},
            ),
        } | {
            f"{owner}.{name}": (getattr(value, name), arguments)
            for owner, (value, calls) in owners.items()
            for name, arguments in calls.items()
        }

    @staticmethod
    def _drawing() -> Arguments:
        return {"size": 300, "colormap": "viridis", "alpha": 0.5, "blend": "alpha"} | {
            "boxes": BoxRule(),
            "color_bar": True,
            "plain_names": True,
            "columns": 2,
            "format": "png",
            "rgba": True,
        }

    def _of_model(self) -> Mapping[str, Arguments]:
        style = PycaffeStyle()
        explain: Arguments = {"top": 2, "style": "pycaffe", "placement": "stretch", "classes": None}
        return {
            "warm_up": {"style": "pycaffe"},
            "class_index": {"wanted": "espresso"},
            "explain": {"image": self.picture, **explain},
            "explain_many": {"images": [self.picture], **explain, "batch_size": 2},
            "network_input": {"image": self.picture, "style": style},
            "explain_output": {
                "network_input": self.model.network_input(self.picture, style),
                "output": self.explanation.output,
                "style": style,
                "top": 2,
                "classes": None,
                "source": self.picture,
            },
            "rank_classes": {
                "output": self.explanation.output,
                "style": style,
                "top": 2,
                "classes": None,
            },
            "top_count": {"top": 2},
        }

    def _of_explanation(self) -> Mapping[str, Arguments]:
        drawing, saliency = cam.Drawing(), self.explanation
        picture: Arguments = {"drawing": drawing, "size": 64, "colormap": "viridis"}
        both: Arguments = {**picture, "saliency": saliency}
        return {
            "heat_picture": {"k": 0, **picture},
            "heat_rgba": {"k": 0, **picture},
            "overlay": {"k": 0, **both, "boxes": True},
            "overlays": {**both, "alpha": 0.5},
            "drawn": {"drawing": drawing, "ranks": [0], "saliency": saliency},
            "montage": {"captions": True, **both, "columns": 2},
            "of_class": {"index": "espresso"},
            "of_classes": {"classes": [1, 2]},
            "picture_heat_map": {"k": 0, "size": (9, 9)},
            "boxes": {"k": 0, "rule": BoxRule(), "size": (9, 9)},
            "to_dict": {},
            "to_npz": {"path": "maps.npz"},
            "to_mat": {"path": "features.mat"},
            "to_ilsvrc": {"folder": "ilsvrc", "name": "a"},
            "save": {"folder": "saved", **both},
            "load": {"folder": self.folder / "result", "picture": self.picture},
        }

    @staticmethod
    def _transformer() -> Transformer:
        transformer = Transformer({"data": (1, 3, 4, 4)})
        transformer.set_transpose("data", (2, 0, 1))
        return transformer

    @staticmethod
    def _of_transformer() -> Mapping[str, Arguments]:
        return {
            "preprocess": {"in_": "data", "data": np.ones((4, 4, 3))},
            "deprocess": {"in_": "data", "data": np.ones((3, 4, 4))},
            "set_transpose": {"in_": "data", "order": (2, 0, 1)},
            "set_channel_swap": {"in_": "data", "order": (2, 1, 0)},
            "set_raw_scale": {"in_": "data", "scale": 1.0},
            "set_mean": {"in_": "data", "mean": np.ones(3)},
            "set_input_scale": {"in_": "data", "scale": 1.0},
        }


def _function(name: str) -> Callable[..., Any]:
    room, _, plain = name.rpartition(".")
    function: Callable[..., Any] = getattr(import_module(room), plain)
    return function
