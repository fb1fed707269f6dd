"""Reading what a file or folder holds that can be compared.

Every file ends up as the same few quantities, with the axes of Caffe and classes counted from 0,
whatever the file's own order is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cam.errors import CamError, MissingFileError
from cam.explain.explanation import Explanation
from cam.explain.styles import MatlabStyle
from cam.fidelity.difference import Array
from cam.fidelity.heat_pictures import heat_map_of_colors, is_grey, is_overlay, split_figure
from cam.fidelity.matlab_variables import LAST, VARIABLES, in_matlabs_order
from cam.files import read_arrays, read_json
from cam.matlab import MatValue, decode_mat, read_mat
from cam.pictures.reading import FRAME, Picture, decode_picture, read_picture

__all__ = ["StoredResult", "decode_result", "read_result", "result_of"]

WHOLE = ("frame", "activations", "crop_scores", "scores", "class_weights")
"""The quantities of a picture or a network, in the order of reports; see `StoredResult`."""

OF_CLASSES = ("probabilities", "maps", "merged", "heat_maps", "heat_pictures", "overlays")
"""The quantities of each class, in the order of reports; see `StoredResult`."""

WITH_CROPS = {"activations", "crop_scores", "maps"}
"""The quantities whose first axis is the crops of the picture."""

FIELDS = {"activations", "maps", "merged", "heat_maps"}
"""The quantities whose last two axes are rows and columns."""

WHITE = {"frame": 255.0, "heat_maps": 1.0, "heat_pictures": 255.0, "overlays": 255.0}
"""The quantities that are judged by grey levels, and their white."""

TOP = 5
"""How many classes the original `demo.m` goes through, and how many are compared by their order."""


@dataclass(eq=False)
class StoredResult:
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
    crops : int or None
        From how many crops of the picture its maps come, if that is known.
    notes : list of str
        What had to be assumed.
    """

    path: Path
    kind: str
    whole: dict[str, Array] = field(default_factory=dict)
    by_rank: dict[str, dict[int, Array]] = field(default_factory=dict)
    classes: NDArray[np.intp] | None = None
    names: dict[int, str] = field(default_factory=dict)
    crops: int | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def holds(self) -> list[str]:
        """The names of what there is to compare."""
        return [*([] if self.classes is None else ["classes"]), *self.whole, *self.by_rank]

    def to_dict(self) -> dict[str, Any]:
        """Return where it comes from and what it holds, ready for JSON."""
        return {"path": str(self.path), "kind": self.kind, "holds": self.holds}

    def add(self, quantity: str, values: Mapping[int, Array] | Array) -> None:
        """Add a quantity of classes: by their ranks, or along the first axis, best class first."""
        by_rank = values if isinstance(values, Mapping) else dict(enumerate(values))
        self.by_rank.setdefault(quantity, {}).update(by_rank)

    def of_each(self, quantity: str, by_class: bool) -> dict[int, Array]:
        """Return a quantity by class, or else by rank; best class first."""
        held = dict(sorted(self.by_rank[quantity].items()))
        if not by_class or self.classes is None:
            return held
        classes = self.classes.tolist()
        return {classes[rank]: value for rank, value in held.items() if rank < len(classes)}


def read_result(path: Path, rank: int | None = None) -> StoredResult:
    """Find out what a file holds.

    Parameters
    ----------
    path : pathlib.Path
        A result folder, or one of its ``.npz`` and ``.json`` files; a ``.mat`` file of features,
        of maps or of the original demo's workspace; a composite figure such as ``result.jpg``; or
        the picture of a heat map, in the colours of jet or in grey, or of an overlay of one.
    rank : int, optional
        For a heat map's picture: the rank of its class, from 0. By default what its name says
        (``top2_...``), or the best one.

    Returns
    -------
    StoredResult
        What it holds.

    Raises
    ------
    CamError
        If it cannot be read, or holds nothing that can be compared.
    """
    if not path.exists():
        raise MissingFileError(f"cannot read {path}: there is no such file or folder")
    if path.is_dir():
        return _read_folder(path)
    found = StoredResult(path, "part of a result")
    suffix = path.suffix.lower()
    if suffix == ".json":
        _read_summary(found, path)
    elif suffix == ".npz":
        _read_arrays(found, path)
    elif suffix == ".mat":
        _read_variables(found, partial(read_mat, path))
    else:
        _read_picture(found, read_picture(path), rank)
    return found


def decode_result(data: bytes, name: str, rank: int | None = None) -> StoredResult:
    """Find out what the bytes of a MATLAB file or of a picture hold; see `read_result`.

    Parameters
    ----------
    data : bytes
        The whole file.
    name : str
        Its name.
    rank : int, optional
        As for `read_result`.

    Returns
    -------
    StoredResult
        What it holds.

    Raises
    ------
    CamError
        As `read_result`.
    """
    found = StoredResult(Path(name), "part of a result")
    if found.path.suffix.lower() == ".mat":
        _read_variables(found, partial(decode_mat, data, name))
    else:
        _read_picture(found, decode_picture(data, name), rank)
    return found


def result_of(explanation: Explanation) -> StoredResult:
    """Return an explanation as a side of a comparison, as if it had been saved and read again."""
    ranks = range(len(explanation.indices))
    found = StoredResult(
        Path("the picture"),
        f"result of style {explanation.style.name}",
        {"frame": explanation.frame, "scores": explanation.scores},
        classes=explanation.indices,
        names=dict(zip(explanation.indices.tolist(), explanation.names, strict=True)),
        crops=len(explanation.maps),
    )
    if explanation.output is not None:
        found.whole["activations"] = explanation.output.activations
        found.whole["crop_scores"] = explanation.output.scores
    found.add("probabilities", explanation.probabilities)
    found.add("maps", explanation.maps.swapaxes(0, 1))
    found.add("heat_maps", explanation.heat_maps)
    found.add("heat_pictures", {rank: explanation.heat_picture(rank) for rank in ranks})
    found.add("overlays", {rank: explanation.overlay(rank) for rank in ranks})
    return found


def _read_folder(folder: Path) -> StoredResult:
    is_result = (folder / "result.json").is_file()
    folders = [folder] if is_result else [path.parent for path in folder.glob("*/result.json")]
    if len(folders) != 1:
        inside = ", ".join(sorted(path.name for path in folders)[:5])
        raise CamError(
            f"{folder} is not a result folder: it has no result.json"
            + (f"; name one of those in it: {inside}" if inside else "")
        )
    found = StoredResult(folders[0], "result folder")
    _read_summary(found, found.path / "result.json")
    if (path := found.path / "maps.npz").is_file():
        _read_arrays(found, path)
    if (path := found.path / "features.mat").is_file():
        found.whole |= read_result(path).whole
    if (path := found.path / "montage.png").is_file():
        found.whole["frame"] = read_picture(path)[:FRAME, :FRAME]
    for file in found.path.glob("top*_*.png"):
        if match := re.fullmatch(r"top(\d+)_.*_(heat|overlay)\.png", file.name):
            quantity = {"heat": "heat_pictures", "overlay": "overlays"}[match[2]]
            found.add(quantity, {int(match[1]) - 1: read_picture(file)})
    return found


def _read_summary(found: StoredResult, path: Path) -> None:
    summary = read_json(path)
    try:
        top, indices = summary["top"], [e["index"] - summary["index_base"] for e in summary["top"]]
        found.classes = np.array(indices, np.intp)
        found.names |= dict(zip(indices, [entry["name"] for entry in top], strict=True))
        found.add("probabilities", np.array([entry["probability"] for entry in top], np.float64))
        style = summary["record"].get("style", "")
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise CamError(f"{path} is not the summary of a result: {error!r}") from error
    found.kind = f"result of style {style}" if style else "result"


def _read_arrays(found: StoredResult, path: Path) -> None:
    arrays = read_arrays(path)
    try:
        maps, found.classes = arrays["maps"], arrays["indices"].astype(np.intp)
        found.whole["scores"], names = arrays["scores"], arrays["names"].tolist()
        for quantity in ("heat_maps", "probabilities"):
            found.add(quantity, arrays[quantity])
        found.names |= dict(zip(found.classes.tolist(), names, strict=True))
        found.add("maps", maps.swapaxes(0, 1))
        found.crops = len(maps)
    except (LookupError, TypeError, ValueError) as error:
        raise CamError(f"{path} does not hold the arrays of a result: {error}") from error


def _read_variables(found: StoredResult, read: Callable[..., dict[str, MatValue]]) -> None:
    """Read a MATLAB file; `read` takes the names of variables as `read_mat` does."""
    path, found.kind = found.path, "MATLAB file"
    variables = read([], optional=[*VARIABLES, "categories", "topNum"])
    categories, top = variables.pop("categories", None), variables.pop("topNum", None)
    if isinstance(categories, list):
        found.names = dict(enumerate(categories))
    for name, value in variables.items():
        try:
            _read_variable(found, name, value)
        except CamError as error:
            found.notes.append(f"{name} of {path.name}: {error}; passed over")
    is_count = isinstance(top, np.ndarray) and top.dtype.kind in "fiu" and top.size == 1
    last = int(np.asarray(top).flat[0]) if is_count else TOP
    for values in found.by_rank.values():
        if LAST in values:
            values[last - 1] = values.pop(LAST)
    if not found.holds:
        held = ", ".join(read()) or "nothing"
        raise CamError(
            f"{path} holds nothing that can be compared: it has {held}; known are "
            f"{', '.join(VARIABLES)}" + "".join(f"; {note}" for note in found.notes)
        )


def _read_variable(found: StoredResult, name: str, value: MatValue) -> None:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub" or not value.size:
        raise CamError("it does not hold real numbers")
    quantity, convert = VARIABLES[name]
    ordered = in_matlabs_order(quantity, value)
    if ordered is not value:
        found.notes.append(f"{name} of {found.path.name} has its axes in Caffe's order")
    converted = convert(ordered)
    if quantity in ("activations", "maps"):
        found.crops = 1 if value.ndim == 3 else ordered.shape[3]
    if quantity == "figure":
        if not _add_figure(found, converted):
            raise CamError("it is not a picture and heat maps with 8 white columns between")
    elif quantity == "classes":
        found.classes = converted - min(1, int(converted.min()))
        if converted.min() == 0:
            found.notes.append(f"{name} of {found.path.name} has a 0: taken as counted from 0")
    elif quantity in WHOLE:
        found.whole[quantity] = converted
    else:
        found.add(quantity, converted)


def _read_picture(found: StoredResult, picture: Picture, rank: int | None) -> None:
    path = found.path
    if path.suffix.lower() in (".jpg", ".jpeg"):
        found.notes.append(f"{path.name} is a JPEG: compression alone moves pixels by some levels")
    if _add_figure(found, picture):
        found.kind = "composite figure"
        return
    if rank is None:
        named = re.match(r"top(\d+)", path.name)
        rank = int(named[1]) - 1 if named else 0
        if not named:
            found.notes.append(f"{path.name} is taken as the best class's; --rank says otherwise")
    found.kind = "heat-map picture"
    if is_grey(picture):
        found.add("heat_maps", {rank: picture[:, :, 0] / 255.0})
    elif heat_map_of_colors(picture) is not None:
        found.add("heat_pictures", {rank: picture})
    elif is_overlay(picture):
        found.kind = "overlay"
        found.add("overlays", {rank: picture})
    else:
        raise CamError(
            f"{path} is none of the pictures that can be compared: a heat map in the colours of "
            "jet or in grey, an overlay of one, or a row of overlays with 8 white columns between"
        )


def _add_figure(found: StoredResult, picture: Picture) -> bool:
    """Add the parts of a composite figure; tell whether the picture is one."""
    frame, *overlays = split_figure(picture) or [picture]
    if overlays:
        found.whole["frame"] = frame
        found.add("overlays", np.stack(overlays))
        # Without captions it is the original's figure, and so of ten crops.
        found.crops = MatlabStyle().crops if len(picture) == FRAME else None
    return bool(overlays)
