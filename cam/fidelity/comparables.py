"""What a file holds that can be compared: result folders, MATLAB files and pictures.

Every file ends up as the same few quantities, with the axes of Caffe and classes counted from 0,
whatever the file's own order is. `cam.fidelity` lines two of them up.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from cam.errors import CamError
from cam.explain.styles import MatlabStyle, PycaffeStyle
from cam.fidelity.cached_demo import CROPS
from cam.maps.activation_maps import enlarge_maps, merge_ten_crop, return_cam_map
from cam.maps.colors import HEAT_SHARE, PICTURE_SHARE, colors
from cam.matlab.functions import jet, mat2gray
from cam.matlab.matfiles import read_mat
from cam.pictures.reading import FRAME, Picture, read_picture

__all__ = ["Comparable", "add_maps", "complete", "read_comparable"]

Array = NDArray[Any]

GAP = 8
HEAT_COLOR_DISTANCE = 12.0
"""How far, in grey levels, the median pixel of a heat picture may be from the colour map.

JPEG moves it by two or three; photographs are 60 and more away.
"""

WORKSPACE_TOP = 5
"""How many classes the original `demo.m` goes through; its variables are of the last one."""


@dataclass
class Comparable:
    """What one file or folder holds.

    Attributes
    ----------
    path : pathlib.Path
        The file or folder.
    kind : str
        What it is, in words.
    whole : dict of str to numpy.ndarray
        Quantities of the picture or the network: ``activations`` (N, K, h, w), ``crop_scores``
        (N, C), ``scores`` (C,), ``class_weights`` (C, K), ``frame`` (H, W, 3) uint8 BGR.
    by_rank : dict of str to dict of int to numpy.ndarray
        Quantities of each class, by its rank from 0: ``maps`` (N, h, w), ``merged`` (H, W),
        ``heat_maps`` (H, W) in [0, 1], ``heat_pictures`` and ``overlays`` (H, W, 3) uint8 BGR,
        ``probabilities`` ().
    classes : numpy.ndarray or None
        The classes by rank, counted from 0, if they are known.
    names : dict of int to str
        Names of classes, as far as they are known.
    notes : list of str
        What had to be assumed.
    """

    path: Path
    kind: str
    whole: dict[str, Array] = field(default_factory=dict)
    by_rank: dict[str, dict[int, Array]] = field(default_factory=dict)
    classes: NDArray[np.intp] | None = None
    names: dict[int, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def holds(self) -> list[str]:
        """Return the names of what there is to compare."""
        ranking = [] if self.classes is None else ["classes"]
        return [*ranking, *self.whole, *self.by_rank]

    def put(self, quantity: str, rank: int, value: Array) -> None:
        """Add a quantity of one class."""
        self.by_rank.setdefault(quantity, {})[rank] = value


def read_comparable(path: Path, rank: int | None = None) -> Comparable:
    """Find out what a file holds.

    Parameters
    ----------
    path : pathlib.Path
        A result folder, or one of its ``.npz`` and ``.json`` files; a ``.mat`` file of features,
        of maps or of the original demo's workspace; a composite figure such as ``result.jpg``; or
        the picture of a heat map.
    rank : int, optional
        For a heat map's picture: the rank of its class, from 0. By default what its name says
        (``top2_...``), or the best one.

    Returns
    -------
    Comparable
        What it holds; `complete` adds what follows from that.

    Raises
    ------
    CamError
        If it cannot be read, or holds nothing that can be compared.
    """
    if not path.exists():
        raise CamError(f"cannot read {path}: there is no such file or folder")
    if path.is_dir():
        found = _read_folder(path)
    elif path.suffix.lower() in _RESULT_FILES:
        found = Comparable(path, "part of a result")
        _RESULT_FILES[path.suffix.lower()](found, path)
    elif path.suffix.lower() == ".mat":
        found = _read_mat_file(path)
    else:
        found = _read_picture_file(path, rank)
    _add_ranking(found)
    return found


def _read_folder(folder: Path) -> Comparable:
    if not (folder / "result.json").is_file():
        results = sorted(folder.glob("*/result.json"))
        if len(results) != 1:
            inside = ", ".join(result.parent.name for result in results[:5])
            raise CamError(
                f"{folder} is not a result folder: it has no result.json"
                + (f"; name one of those in it: {inside}" if results else "")
            )
        folder = results[0].parent
    found = Comparable(folder, "result folder")
    _read_summary(found, folder / "result.json")
    if (folder / "maps.npz").is_file():
        _read_arrays(found, folder / "maps.npz")
    if (folder / "features.mat").is_file():
        features = _read_mat_file(folder / "features.mat")
        found.whole |= features.whole
    if (folder / "montage.png").is_file():
        found.whole["frame"] = read_picture(folder / "montage.png")[:FRAME, :FRAME]
    for file in sorted(folder.glob("top*_*.png")):
        match = re.fullmatch(r"top(\d+)_.*_(heat|overlay)\.png", file.name)
        if match:
            quantity = {"heat": "heat_pictures", "overlay": "overlays"}[match[2]]
            found.put(quantity, int(match[1]) - 1, read_picture(file))
    return found


def _read_summary(found: Comparable, path: Path) -> None:
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        base, top = summary["index_base"], summary["top"]
        found.classes = np.array([entry["index"] - base for entry in top], np.intp)
        found.names |= {entry["index"] - base: entry["name"] for entry in top}
        for entry in top:
            found.put("probabilities", entry["rank"] - 1, np.array(entry["probability"]))
        style = summary["record"].get("style", "")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CamError(f"{path} is not the summary of a result: {error!r}") from error
    found.kind = f"result of style {style}" if style else "result"


def _read_arrays(found: Comparable, path: Path) -> None:
    try:
        with np.load(path, allow_pickle=False) as archive:
            # Each access to a member of the archive reads and unpacks it again.
            arrays = {name: archive[name] for name in _ARRAYS}
        found.classes = arrays["indices"].astype(np.intp)
        found.whole["scores"] = arrays["scores"]
        for k, index in enumerate(found.classes.tolist()):
            found.put("maps", k, arrays["maps"][:, k])
            found.put("heat_maps", k, arrays["heat_maps"][k])
            found.put("probabilities", k, arrays["probabilities"][k])
            found.names[index] = str(arrays["names"][k])
    # NumPy raises what zipfile, zlib and its own parser raise.
    except Exception as error:
        raise CamError(f"{path} does not hold the arrays of a result: {error}") from error


_ARRAYS = ("indices", "names", "probabilities", "scores", "maps", "heat_maps")

_RESULT_FILES: Mapping[str, Callable[[Comparable, Path], None]] = {
    ".json": _read_summary,
    ".npz": _read_arrays,
}


def _read_mat_file(path: Path) -> Comparable:
    variables = read_mat(path, [], optional=[*_VARIABLES, "topNum"])
    found = Comparable(path, "MATLAB file")
    top = variables.pop("topNum", None)
    last_rank = int(top.flat[0]) - 1 if _is_count(top) else WORKSPACE_TOP - 1
    for name, value in variables.items():
        quantity = _VARIABLES[name]
        if quantity == "categories":
            if isinstance(value, list):
                found.names = dict(enumerate(value))
            continue
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub" or not value.size:
            found.notes.append(f"{name} of {path.name} does not hold real numbers; passed over")
            continue
        try:
            _READERS[quantity](found, name, value, last_rank)
        except (_ShapeError, CamError) as error:
            found.notes.append(f"{name} of {path.name}: {error}; passed over")
    if not found.holds():
        held = ", ".join(read_mat(path)) or "nothing"
        raise CamError(
            f"{path} holds nothing that can be compared: it has {held}; known are "
            f"{', '.join(_VARIABLES)}" + "".join(f"; {note}" for note in found.notes)
        )
    return found


def _is_count(value: Any) -> TypeGuard[Array]:
    return isinstance(value, np.ndarray) and value.dtype.kind in "fiu" and value.size == 1


class _ShapeError(Exception):
    """A variable whose shape its quantity cannot have."""

    def __init__(self, value: Array, expected: str) -> None:
        shape = " x ".join(map(str, value.shape))
        super().__init__(f"it is {shape}, not {expected}")


def _swapped(found: Comparable, name: str) -> None:
    found.notes.append(f"{name} of {found.path.name} has its axes in Caffe's order, not MATLAB's")


def _batch(found: Comparable, name: str, value: Array, expected: str) -> Array:
    """Return (width, height, channels, crops) as (crops, channels, height, width)."""
    if value.ndim == 3:  # MATLAB drops a last axis of length one
        value = value[..., np.newaxis]
    if value.ndim != 4:
        raise _ShapeError(value, expected)
    if value.shape[2] == value.shape[3] and value.shape[0] != value.shape[1]:
        _swapped(found, name)
        return value
    return value.transpose(3, 2, 1, 0)


def _read_activations(found: Comparable, name: str, value: Array, _: int) -> None:
    expected = "width x height x channels x crops"
    found.whole["activations"] = _batch(found, name, value, expected)


def _read_maps(found: Comparable, name: str, value: Array, _: int) -> None:
    maps = _batch(found, name, value, "width x height x classes x crops")
    for rank in range(maps.shape[1]):
        found.put("maps", rank, maps[:, rank])


def _read_crop_scores(found: Comparable, name: str, value: Array, _: int) -> None:
    columns = value.reshape(-1, value.shape[-1], order="F")
    if 1 in columns.shape:
        columns = columns.reshape(-1, 1)
    elif columns.shape[0] < columns.shape[1]:
        _swapped(found, name)
        columns = columns.T
    found.whole["crop_scores"] = columns.T


def _read_scores(found: Comparable, name: str, value: Array, _: int) -> None:
    if max(value.shape) != value.size:
        raise _ShapeError(value, "one score for each class")
    found.whole["scores"] = value.ravel()


def _read_weights(found: Comparable, name: str, value: Array, _: int) -> None:
    weights = value.squeeze()
    if weights.ndim != 2:
        raise _ShapeError(value, "channels x classes")
    found.whole["class_weights"] = weights.T


def _first_column(value: Array) -> Array:
    """Return a vector, or the first of several columns along the longest axis."""
    return value.ravel(order="F")[: max(value.shape)]


def _read_classes(found: Comparable, name: str, value: Array, _: int) -> None:
    indices = _first_column(value).astype(np.intp)
    if np.any(indices != _first_column(value)) or indices.min() < 0:
        raise CamError("it does not hold the indices of classes")
    if indices.min() > 0:
        found.classes = indices - 1
    else:
        found.notes.append(f"{name} of {found.path.name} has a 0: taken as counted from 0")
        found.classes = indices


def _read_probabilities(found: Comparable, name: str, value: Array, _: int) -> None:
    for rank, probability in enumerate(_first_column(value)):
        found.put("probabilities", rank, probability)


def _read_merged(found: Comparable, name: str, value: Array, last_rank: int) -> None:
    if value.ndim == 2:
        found.put("merged", last_rank, value)
    elif value.ndim == 3:
        for rank in range(value.shape[2]):
            found.put("merged", rank, value[:, :, rank])
    else:
        raise _ShapeError(value, "height x width x classes")


def _bgr(value: Array) -> Picture:
    if value.ndim != 3 or value.shape[2] != 3:
        raise _ShapeError(value, "height x width x 3")
    return read_picture(value[:, :, ::-1])


def _read_frame(found: Comparable, name: str, value: Array, _: int) -> None:
    found.whole["frame"] = _bgr(value)


def _read_heat_picture(found: Comparable, name: str, value: Array, _: int) -> None:
    number = re.search(r"(\d+)$", name)
    found.put("heat_pictures", int(number[1]) - 1 if number else 0, _bgr(value))


def _read_last_overlay(found: Comparable, name: str, value: Array, last_rank: int) -> None:
    found.put("overlays", last_rank, _bgr(value))


def _read_figure(found: Comparable, name: str, value: Array, _: int) -> None:
    if not _split_figure(found, _bgr(value)):
        raise _ShapeError(value, "a picture and heat maps with 8 white columns between")


_Reader = Callable[[Comparable, str, Array, int], None]

_READERS: Mapping[str, _Reader] = {
    "activations": _read_activations,
    "maps": _read_maps,
    "crop_scores": _read_crop_scores,
    "scores": _read_scores,
    "class_weights": _read_weights,
    "classes": _read_classes,
    "probabilities": _read_probabilities,
    "merged": _read_merged,
    "frame": _read_frame,
    "heat_picture": _read_heat_picture,
    "last_overlay": _read_last_overlay,
    "figure": _read_figure,
}

# Short names, and those of the workspace that the original demo.m leaves.
_VARIABLES: Mapping[str, str] = {
    "activation_lastconv": "activations",
    "scores": "crop_scores",
    "scoresMean": "scores",
    "weights_LR": "class_weights",
    "categories": "categories",
    "idx": "classes",
    "IDX_category": "classes",
    "val": "probabilities",
    "value_category": "probabilities",
    "cams": "maps",
    "curCAMmapAll": "maps",
    "merged": "merged",
    "curCAMmap_image": "merged",
    "curCAMLarge": "merged",
    **{f"heat_top{rank}": "heat_picture" for rank in range(1, 11)},
    "img": "frame",
    "curHeatMap": "last_overlay",
    "curResult": "figure",
}


def _read_picture_file(path: Path, rank: int | None) -> Comparable:
    picture = read_picture(path)
    found = Comparable(path, "composite figure")
    if path.suffix.lower() in (".jpg", ".jpeg"):
        found.notes.append(f"{path.name} is a JPEG: compression alone moves pixels by some levels")
    if _split_figure(found, picture):
        return found
    if rank is None:
        named = re.match(r"top(\d+)", path.name)
        rank = int(named[1]) - 1 if named else 0
        if not named:
            found.notes.append(f"{path.name} is taken as the best class's; --rank says otherwise")
    found.kind = "heat-map picture"
    if _is_grey(picture):
        found.put("heat_maps", rank, picture[:, :, 0] / 255.0)
    elif _heat_of_colors(picture) is not None:
        found.put("heat_pictures", rank, picture)
    elif _is_overlay(picture):
        found.kind = "overlay"
        found.put("overlays", rank, picture)
    else:
        raise CamError(
            f"{path} is none of the pictures that can be compared: a heat map in the colours of "
            "jet or in grey, an overlay of one, or a row of overlays with 8 white columns between"
        )
    return found


def _is_overlay(picture: Picture) -> bool:
    """Tell whether some colour of the map, in its share, leaves a picture in its share."""
    pixels = picture.reshape(-1, 1, 3)
    pixels = pixels[:: max(1, len(pixels) // 4096)].astype(np.float32)
    rest = pixels - np.float32(HEAT_SHARE) * colors("jet").astype(np.float32)
    outside = np.maximum(-rest, rest - np.float32(255 * PICTURE_SHARE)).clip(min=0)
    return bool(np.median(outside.max(axis=2).min(axis=1)) <= HEAT_COLOR_DISTANCE)


def _is_grey(picture: Picture) -> bool:
    # JPEG may move the channels of grey pixels by one level.
    channels = picture.astype(np.int16)
    return bool(np.ptp(channels, axis=2).max() <= 2)


def _split_figure(found: Comparable, picture: Picture) -> bool:
    """Take a row of pictures with white columns between, and maybe captions below, apart."""
    rows, columns = picture.shape[:2]
    count, rest = divmod(columns + GAP, FRAME + GAP)
    if rows < FRAME or count < 2 or rest:
        return False
    tiles = [picture[:FRAME, k * (FRAME + GAP) :][:, : FRAME + GAP] for k in range(count)]
    if any(tile[:, FRAME:].mean() < 240 for tile in tiles[:-1]):
        return False
    found.whole["frame"] = tiles[0][:, :FRAME]
    for rank, tile in enumerate(tiles[1:]):
        found.put("overlays", rank, tile[:, :FRAME])
    return True


def _heat_of_colors(picture: Array) -> Array | None:
    """Return the level, in [0, 1], of each pixel in MATLAB's or OpenCV's jet, or None."""
    from scipy.spatial import KDTree

    pixels = picture.reshape(-1, 3)
    some = pixels[:: max(1, len(pixels) // 4096)]
    palettes = [KDTree(palette) for palette in (jet(256)[:, ::-1] * 255, colors("jet"))]
    away = [float(np.median(palette.query(some)[0])) for palette in palettes]
    if min(away) > HEAT_COLOR_DISTANCE:
        return None
    _, levels = palettes[int(np.argmin(away))].query(pixels)
    return np.asarray(levels.reshape(picture.shape[:2]) / 255.0)


def _add_ranking(found: Comparable) -> None:
    """Add mean scores, order and probabilities of the classes, where they follow from others."""
    whole = found.whole
    if "crop_scores" in whole and "scores" not in whole:
        whole["scores"] = whole["crop_scores"].mean(axis=0)
    if "scores" not in whole:
        return
    if found.classes is None:
        found.classes = MatlabStyle().class_order(whole["scores"])
    if "probabilities" not in found.by_rank and found.classes.max() < len(whole["scores"]):
        for rank, score in enumerate(whole["scores"][found.classes]):
            found.put("probabilities", rank, np.asarray(score))


def add_maps(
    found: Comparable, other: Comparable, class_weights: NDArray[np.float32] | None = None
) -> None:
    """Make the maps of the top classes from activations, where there are none.

    Parameters
    ----------
    found : Comparable
        What has activations and scores.
    other : Comparable
        What it is to be compared with: its top classes get maps, too.
    class_weights : numpy.ndarray, optional
        Shape (C, K); those of `found` if not given. Without either nothing is done.

    Raises
    ------
    CamError
        If the class weights do not fit the activations.
    """
    activations = found.whole.get("activations")
    weights = found.whole.get("class_weights", class_weights)
    if activations is None or weights is None or found.classes is None or "maps" in found.by_rank:
        return
    ranks = {int(index): rank for rank, index in enumerate(found.classes)}
    wanted = [*found.classes[:WORKSPACE_TOP]]
    if other.classes is not None:
        wanted += [index for index in other.classes[:WORKSPACE_TOP] if index in ranks]
    chosen = list(dict.fromkeys(int(index) for index in wanted))
    if max(chosen) >= len(weights):
        raise CamError(f"{found.path}: class {max(chosen)} of a class layer of {len(weights)}")
    maps = return_cam_map(activations, weights[chosen])
    for k, index in enumerate(chosen):
        found.put("maps", ranks[index], maps[:, k])


def complete(found: Comparable, other: Comparable) -> None:
    """Add the merged maps and heat maps that follow from what is there, as far as `other` has them.

    Parameters
    ----------
    found : Comparable
        What is completed: merged maps from those of ten crops; heat maps from merged maps, from
        the map of a single crop, from colours, and from overlays.
    other : Comparable
        What it is to be compared with.
    """
    own = found.by_rank
    if "merged" not in own and ("merged" in other.by_rank or not own.keys() & _DRAWN):
        _merge_crops(found)
    if not other.by_rank.keys() & {*_DRAWN, "merged", "maps"}:
        return
    for quantity, convert in _HEAT_MAP_SOURCES.items():
        for rank, value in own.get(quantity, {}).items():
            if rank not in own.get("heat_maps", {}):
                heat_map = convert(found, value)
                if heat_map is not None:
                    found.put("heat_maps", rank, heat_map)


_DRAWN = {"heat_maps", "heat_pictures", "overlays"}


def _merge_crops(found: Comparable) -> None:
    """Add the merged maps of ten crops, if their maps are of a known size."""
    for rank, maps in found.by_rank.get("maps", {}).items():
        crop = CROPS.get(maps.shape[1])
        if crop is not None and len(maps) == MatlabStyle().crops:
            (merged,) = merge_ten_crop(enlarge_maps(maps[:, np.newaxis], crop), crop)
            found.put("merged", rank, np.asarray(merged))


def _heat_of_merged(found: Comparable, merged: Array) -> Array:
    return mat2gray(merged)


def _heat_of_one_crop(found: Comparable, maps: Array) -> Array | None:
    """Lay a single crop's map over the whole picture, as the pycaffe style does."""
    if len(maps) != 1:
        return None
    style = PycaffeStyle()
    return style.normalize(style.merge(maps[:, np.newaxis], FRAME)[0])


def _heat_of_picture(found: Comparable, picture: Array) -> Array | None:
    return _heat_of_colors(picture)


def _heat_of_overlay(found: Comparable, overlay: Array) -> Array | None:
    frame = found.whole.get("frame")
    if frame is None or frame.shape != overlay.shape:
        return None
    return _heat_of_colors((overlay - PICTURE_SHARE * frame) / HEAT_SHARE)


_HEAT_MAP_SOURCES: Mapping[str, Callable[[Comparable, Array], Array | None]] = {
    "merged": _heat_of_merged,
    "maps": _heat_of_one_crop,
    "heat_pictures": _heat_of_picture,
    "overlays": _heat_of_overlay,
}
