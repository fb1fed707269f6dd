"""The one error for what only Caffe itself can do."""

from __future__ import annotations

from cam.errors import CamError

__all__ = ["needs_caffe"]


def needs_caffe(what: str) -> CamError:
    """Return the error for something that this module does not do.

    Parameters
    ----------
    what : str
        What was asked for, as the beginning of the sentence.

    Examples
    --------
    >>> str(needs_caffe("Net.backward"))[:44]
    'Net.backward needs Caffe itself (the caffe e'
    """
    return CamError(
        f"{what} needs Caffe itself (the caffe engine): without it, networks run forward only. "
        "Run the script where pycaffe is installed, as in the Docker image; docs/scripts.md says "
        "what is not covered"
    )
