"""What a store was made with: its settings, checked whenever they are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from cam.errors import CamError
from cam.files import PathLike, read_json

RUN = "run.json"

FORMAT_NAME = "cam batch"

FORMAT_VERSION, WITHOUT_DIGESTS = 2, 1
"""The format that is written, and the one of stores whose pieces have no digests."""

MOST_PICTURES, LARGEST_PIECE_SIZE = 10**9, 10**5
"""How many pictures a store and a piece may have."""

_MOST_BYTES = 2**20

_Kind = TypeVar("_Kind")


def read_record(folder: PathLike) -> dict[str, Any]:
    """Return a store's settings: model, SHA-256 of the weights, engine, versions and options.

    Raises
    ------
    CamError
        If the folder is not a store, or one of a format that this version does not know.
    """
    path = Path(folder) / RUN
    try:
        record = read_json(path, limit=_MOST_BYTES)
        name, version = record["format"]["name"], record["format"]["version"]
    except (CamError, LookupError, TypeError) as error:
        raise CamError(f"{folder} is not a store of cam batch: no readable {RUN}") from error
    if name != FORMAT_NAME:
        raise CamError(f"{folder} is not a store of cam batch: its {RUN} is something else's")
    if version not in (FORMAT_VERSION, WITHOUT_DIGESTS):
        raise CamError(
            f"{folder}: a store of format {version!r}; this version knows {FORMAT_VERSION}"
        )
    for names, is_right in _CHECKED.items():
        if not is_right(recorded(folder, record, names, object)):
            raise _no_value(folder, names)
    return dict(record)


def recorded(folder: PathLike, record: Mapping[str, Any], names: str, kind: type[_Kind]) -> _Kind:
    """Return a value of a store's settings.

    Parameters
    ----------
    folder : path-like
        The store, for messages.
    record : mapping
        Its settings.
    names : str
        The names that lead to the value, with dots between: ``"options.style"``.
    kind : type
        What it is.

    Raises
    ------
    CamError
        If it is not there, or something else.
    """
    value: Any = record
    for name in names.split("."):
        if not isinstance(value, Mapping) or name not in value:
            raise _no_value(folder, names)
        value = value[name]
    if not isinstance(value, kind):
        raise _no_value(folder, names)
    return value


def _no_value(folder: PathLike, names: str) -> CamError:
    return CamError(
        f"{Path(folder) / RUN} is damaged: no {names} that a store can have; restore the file, or "
        "make the store anew"
    )


def _is_count(value: object, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


_CHECKED: Mapping[str, Callable[[object], bool]] = {
    "pictures.count": lambda count: _is_count(count, 0, MOST_PICTURES),
    "pictures.sha256": lambda digest: re.fullmatch("[0-9a-f]{64}", str(digest)) is not None,
    "piece_size": lambda size: _is_count(size, 1, LARGEST_PIECE_SIZE),
}
"""What is looked at in a store's settings whenever they are read."""
