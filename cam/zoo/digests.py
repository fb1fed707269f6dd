"""The record of the digests of files that were fetched, beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cam.errors import CamError
from cam.files import read_json

DIGESTS = "sha256.json"
"""The record of digests, a file in the folder of the files that it is of."""

_MOST_DIGESTS_BYTES = 2**20


def check_recorded(path: Path, digest: str, source: Path | None = None) -> bool:
    """Compare a file's digest with the one recorded for its name.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    digest : str
        Its SHA-256.
    source : pathlib.Path, optional
        The file with this digest, where it is still to be copied to `path`; errors name it.

    Returns
    -------
    bool
        True if a record was there and agrees, False if there was none.

    Raises
    ------
    CamError
        If the record is of other bytes.
    """
    recorded = read_digests(path.parent).get(path.name)
    if recorded is not None and recorded != digest:
        raise CamError(
            f"{source or path}: its SHA-256 is {digest}, and {recorded} was recorded when it "
            f"was first seen; if the change is meant, remove its line from {path.parent / DIGESTS}"
        )
    return recorded is not None


def read_digests(folder: Path) -> dict[str, Any]:
    """Return the recorded digest of each file of a folder, by name.

    Raises
    ------
    CamError
        If the record is damaged.
    """
    path, what = folder / DIGESTS, "the recorded digests in"
    if not path.exists():
        return {}
    digests = read_json(path, what, _MOST_DIGESTS_BYTES)
    if not isinstance(digests, dict):
        raise CamError(f"cannot read {what} {path}: not a table of names")
    return digests
