"""What a prototxt and a caffemodel do not say of a network: preprocessing and class names.

`cam learn` writes it beside them, in ``network.json`` and the file of class names that this names;
`cam.zoo.load_files` reads it, so that the two files are enough to run the network. A file of this
name that something else has written, or that is about another prototxt, is passed over.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cam.caffe.preprocessing import Preprocessing
from cam.errors import CamError
from cam.files import PathLike, read_json, write_json, write_text
from cam.zoo.class_names import read_class_names

FILE, CATEGORIES = "network.json", "categories.txt"
FORMAT = {"name": "cam network", "version": 1}
MAX_BYTES = 2**20


@dataclass(frozen=True)
class Companion:
    """What `load_files` takes for what its caller does not name.

    Attributes
    ----------
    name : str
        What the network is called in records.
    base : str
        The network that its convolutions come from.
    preprocessing : cam.caffe.preprocessing.Preprocessing
        How pixels become input.
    class_names : tuple of str
        The names of the classes, in the network's order.
    """

    name: str
    base: str
    preprocessing: Preprocessing
    class_names: tuple[str, ...]


def write_companion(prototxt: PathLike, companion: Companion) -> None:
    """Write ``network.json`` and ``categories.txt`` beside a prototxt."""
    path = Path(prototxt)
    write_text(path.with_name(CATEGORIES), "".join(f"{name}\n" for name in companion.class_names))
    write_json(
        path.with_name(FILE),
        {
            "format": FORMAT,
            "prototxt": path.name,
            "name": companion.name,
            "base": companion.base,
            "preprocessing": asdict(companion.preprocessing),
            "categories": CATEGORIES,
        },
    )


def read_companion(prototxt: PathLike) -> Companion | None:
    """Return what ``network.json`` beside a prototxt says of it; None if there is none.

    Raises
    ------
    CamError
        If the file or the class names cannot be read, or it is of a later format.
    """
    path = Path(prototxt).with_name(FILE)
    if not path.exists():
        return None
    content = read_json(path, limit=MAX_BYTES)
    if not isinstance(content, dict) or content.get("prototxt") != Path(prototxt).name:
        return None
    described = content.get("format")
    if not isinstance(described, dict) or described.get("name") != FORMAT["name"]:
        return None
    if described != FORMAT:
        raise CamError(f"{path}: of version {described.get('version')!r}; this program reads 1")
    try:
        return Companion(
            name=str(content["name"]),
            base=str(content["base"]),
            preprocessing=_preprocessing(content["preprocessing"]),
            class_names=read_class_names(path.with_name(content["categories"])),
        )
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, CamError):
            raise
        raise CamError(f"{path}: not a whole description of a network ({error!r})") from error


def _preprocessing(described: dict[str, Any]) -> Preprocessing:
    first, second, third = (float(value) for value in described["mean"])
    return Preprocessing(
        "RGB" if described["channels"] == "RGB" else "BGR",
        (first, second, third),
        float(described["scale"]),
        str(described["mean_file"]),
    )
