"""How far apart two arrays are: the one measure under every comparison of the project."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cam.arguments import checked, checked_fields
from cam.errors import InvalidValueError

__all__ = ["Array", "Difference", "Tolerance", "measure"]

Array: TypeAlias = NDArray[Any]
"""An array of any numbers."""

ROUNDING = 1e-4
"""Grey levels that a difference of whole levels may be off by, stored in single precision."""


@checked_fields
@dataclass(frozen=True)
class Tolerance:
    """What still counts as the same.

    Attributes
    ----------
    relative : float
        For numbers: the largest difference, as a share of the largest magnitude of the two.
    levels : float
        For pictures: the difference that a pixel may have, of 255 grey levels.
    share : float
        For pictures: the share of the pixels that must be within `levels`.
    """

    relative: float = 1e-3
    levels: float = 1.0
    share: float = 0.999


@dataclass(frozen=True)
class Difference:
    """How far apart two arrays are; the same whichever of the two is named first.

    Attributes
    ----------
    shape : tuple of int
        The shape of both.
    max_abs, mean_abs : float
        Largest and mean absolute difference.
    magnitude : float
        The largest magnitude of the two.
    relative : float
        `max_abs` over `magnitude`.
    correlation : float or None
        Pearson's; None where one of the two is constant.
    within_levels : float
        The share of the values no further apart than the tolerance's levels: of 255 between 0 and
        white for pictures, between the lowest and the highest value of the two for numbers.
    within : bool
        Whether they are the same within the tolerance.
    """

    shape: tuple[int, ...]
    max_abs: float
    mean_abs: float
    magnitude: float
    relative: float
    correlation: float | None
    within_levels: float
    within: bool


@checked
def measure(
    first: Array, second: Array, tolerance: Tolerance | None = None, white: float | None = None
) -> Difference:
    """Measure how far apart two arrays are.

    Parameters
    ----------
    first, second : numpy.ndarray
        Real numbers, of one shape. What is not a finite number differs by nothing from its like and
        by infinity from anything else.
    tolerance : Tolerance, optional
        What counts as the same.
    white : float, optional
        For pictures, which are judged by grey levels: the value of white. Others are judged by
        `Difference.relative`.

    Returns
    -------
    Difference
        The measures.

    Raises
    ------
    InvalidValueError
        If the shapes differ or the arrays are empty.

    Examples
    --------
    >>> apart = measure(np.array([0.5, 0.25]), np.array([0.5, 0.125]))
    >>> apart.max_abs, apart.relative, apart.within
    (0.125, 0.25, False)
    """
    if first.shape != second.shape or not first.size:
        raise InvalidValueError(f"cannot compare shapes {first.shape} and {second.shape}")
    tolerance = tolerance or Tolerance()
    first, second = first.astype(np.float64), second.astype(np.float64)
    same = (first == second) | (np.isnan(first) & np.isnan(second))
    with np.errstate(invalid="ignore"):
        apart = np.where(same, 0.0, np.abs(first - second))
    apart[np.isnan(apart)] = np.inf
    finite = np.concatenate([side[np.isfinite(side)] for side in (first, second)])
    # Where nothing has a magnitude or a range, values are equal or infinitely far apart.
    largest, magnitude = float(apart.max()), float(np.abs(finite).max(initial=0.0))
    relative = largest / magnitude if magnitude else largest
    unit = (white or (float(np.ptp(finite)) if finite.size else 0.0)) / 255.0 or 1.0
    share = float(np.mean(apart / unit <= tolerance.levels + ROUNDING))
    return Difference(
        shape=first.shape,
        max_abs=largest,
        mean_abs=float(apart.mean()),
        magnitude=magnitude,
        relative=relative,
        correlation=correlation(first, second),
        within_levels=share,
        within=share >= tolerance.share if white else relative <= tolerance.relative,
    )


def correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    """Return Pearson's correlation of the finite values, None where one side is constant."""
    finite = np.isfinite(first) & np.isfinite(second)
    x, y = first[finite], second[finite]
    if not x.size or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    if np.array_equal(x, y):
        return 1.0
    return float(np.corrcoef(x, y)[0, 1])
