"""Blobs: arrays that a network and its user share, computed when they are read."""

from __future__ import annotations

import math
import operator
import weakref
from collections.abc import Callable
from typing import SupportsIndex

import numpy as np
from numpy.typing import NDArray

from cam.errors import InvalidValueError

__all__ = ["Array", "Blob", "Parameter"]

Array = NDArray[np.float32]
"""An array in single precision, as Caffe computes."""

_ITEM = np.dtype(np.float32).itemsize
_LEGACY_AXES = 4


class Blob:
    """One of a network's arrays, with pycaffe's attributes.

    `data` is memory that stays the same from pass to pass: whoever keeps it, or a view of it, sees
    each pass's values. What no one looks at is not computed.

    Parameters
    ----------
    shape : tuple of int
        Its shape; (N, C, H, W) for pictures.

    Examples
    --------
    >>> blob = Blob((1, 3, 2, 2))
    >>> blob.data[...] = 5
    >>> blob.num, blob.channels, blob.count, float(blob.data.sum())
    (1, 3, 12, 60.0)
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self._memory: bytearray | None = None
        self._given: weakref.ref[Array] | None = None
        self._compute: Callable[[], Array] | None = None
        self._diff: Array | None = None

    @property
    def data(self) -> Array:
        """float32, `shape`: its values, computed now if they have not been; writable."""
        self._settle()
        return self._view()

    @property
    def diff(self) -> Array:
        """float32, `shape`: room for a gradient, zeros until someone writes it."""
        if self._diff is None or self._diff.shape != self.shape:
            self._diff = np.zeros(self.shape, np.float32)
        return self._diff

    @property
    def count(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    @property
    def num(self) -> int:
        """The first axis of at most four, one where there is none."""
        return self._legacy_axis(0)

    @property
    def channels(self) -> int:
        """The second axis."""
        return self._legacy_axis(1)

    @property
    def height(self) -> int:
        """The third axis."""
        return self._legacy_axis(2)

    @property
    def width(self) -> int:
        """The fourth axis."""
        return self._legacy_axis(3)

    def reshape(self, *shape: SupportsIndex) -> None:
        """Give it another shape; the network follows at its next pass, or when it is reshaped.

        Parameters
        ----------
        *shape : int
            The axes, as Python's or NumPy's integers. The numbers stay, as far as there is room.
        """
        wanted = tuple(map(operator.index, shape))
        if min(wanted, default=0) < 0:
            raise InvalidValueError(f"a blob of shape {wanted}; axes are not negative")
        self._settle()
        self.shape = wanted

    def follow(self, shape: tuple[int, ...]) -> None:
        """Take the shape that the network finds; values of another shape need no computing."""
        if shape != self.shape:
            self._compute = None
            self.shape = shape

    @property
    def is_watched(self) -> bool:
        """Whether someone keeps its array or a view of it."""
        return self._given is not None and self._given() is not None

    def provide(self, shape: tuple[int, ...], compute: Callable[[], Array]) -> None:
        """Take new values, which `compute` returns when someone wants to see them."""
        self.shape = shape
        self._compute = compute
        if self.is_watched:
            self._settle()

    def _settle(self) -> None:
        """Compute the values if that is still to be done."""
        if self._compute is not None:
            values = self._compute()
            self._compute = None
            self._view()[...] = values

    def _view(self) -> Array:
        if self._memory is None or len(self._memory) < self.count * _ITEM:
            kept = self._memory or b""
            self._memory = bytearray(max(self.count, 1) * _ITEM)
            self._memory[: len(kept)] = kept
            self._given = None
        flat = None if self._given is None else self._given()
        if flat is None:
            # NumPy lets views of views keep the first array of those that do not own their memory
            # alive: as long as there is any, the weak reference finds this one.
            flat = np.frombuffer(self._memory, np.float32)
            self._given = weakref.ref(flat)
        return flat[: self.count].reshape(self.shape)

    def _legacy_axis(self, axis: int) -> int:
        if len(self.shape) > _LEGACY_AXES:
            raise InvalidValueError(
                f"a blob of shape {self.shape} has no num, channels, height and width; use shape"
            )
        return self.shape[axis] if axis < len(self.shape) else 1


class Parameter(Blob):
    """Weights of a layer: they are copied out of their file when someone asks for `data`.

    Parameters
    ----------
    values : numpy.ndarray
        float32. It is not written to.
    """

    def __init__(self, values: Array) -> None:
        super().__init__(values.shape)
        self._settled = values
        self._seen = False
        self.load(values)

    @property
    def data(self) -> Array:
        """float32, `shape`: the weights; what is written there counts from the next pass on."""
        self._seen = True
        return super().data

    def load(self, values: Array) -> None:
        """Take other values of the same shape; they are not written to."""
        self._settled = values
        self.provide(values.shape, lambda: values)

    def current(self) -> Array:
        """Return the values as they are now, in an array that does not change any more.

        It is the same array as long as the values are the same.
        """
        if self._seen:
            now = self._view()
            if now.shape != self._settled.shape or not _same_bits(now, self._settled):
                self._settled = now.copy()
            self._seen = self.is_watched
        return self._settled


def _same_bits(first: Array, second: Array) -> bool:
    # As numbers, NaN would differ from itself.
    return np.array_equal(first.view(np.uint32), second.view(np.uint32))
