"""Numbers of any type as floating-point numbers wide enough to add and stretch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cam.errors import real_array


def floating(values: ArrayLike, what: str = "a map") -> NDArray[Any]:
    """Return real numbers in a type in which they neither wrap nor overflow.

    NumPy adds integers in their own type, in which 200 + 100 may be 44, and single bytes and half
    precision do the same to sums of a thousand channels.

    Parameters
    ----------
    values : array_like
        Any shape. Integers and logical values become double precision, half precision becomes
        single; single, double and longer ones are returned as they are.
    what : str, optional
        What they are, for the message.

    Returns
    -------
    numpy.ndarray
        Same shape.

    Raises
    ------
    InvalidValueError
        If they are no real numbers.
    """
    array = real_array(values, what)
    if array.dtype.kind in "biu":
        return array.astype(np.float64)
    return array.astype(np.float32) if array.dtype.itemsize < 4 else array
