"""Differences and classes as the commands that compare show them."""

from __future__ import annotations

from collections.abc import Iterable

from cam.fidelity import Difference

MEASURES = " largest      mean  relative  correlation"
"""The heads of the columns of `measures`."""


def measures(apart: Difference) -> str:
    """Return the columns of a table that say how far two arrays are apart."""
    correlation = "" if apart.correlation is None else f"{apart.correlation:.6f}"
    numbers = f"{apart.max_abs:8.3g}  {apart.mean_abs:8.3g}  {apart.relative:8.2g}"
    return f"{numbers}  {correlation:>11s}"


def matlab_indices(classes: Iterable[int]) -> str:
    """Return the indices of classes as MATLAB counts them."""
    return f"(from 1, as MATLAB): {' '.join(str(index + 1) for index in classes)}"
