"""Names that libraries had in Caffe's time and have no longer."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import cv2
import numpy as np

from cam.pycaffe.replacing import replaced

__all__ = ["old_names"]

NUMPY: Mapping[str, Any] = {
    "Inf": np.inf,
    "NaN": np.nan,
    "alltrue": np.all,
    "asscalar": lambda array: np.asarray(array).item(),
    "bool": bool,
    "complex": complex,
    "cumproduct": np.cumprod,
    "float": float,
    "float_": np.float64,
    "int": int,
    "long": int,
    "object": object,
    "product": np.prod,
    "row_stack": np.vstack,
    "sometrue": np.any,
    "str": str,
    "string_": np.bytes_,
    "unicode": str,
    "unicode_": np.str_,
}
OPENCV: Mapping[str, Any] = {
    "CV_AA": cv2.LINE_AA,
    "CV_LOAD_IMAGE_ANYCOLOR": cv2.IMREAD_ANYCOLOR,
    "CV_LOAD_IMAGE_ANYDEPTH": cv2.IMREAD_ANYDEPTH,
    "CV_LOAD_IMAGE_COLOR": cv2.IMREAD_COLOR,
    "CV_LOAD_IMAGE_GRAYSCALE": cv2.IMREAD_GRAYSCALE,
    "CV_LOAD_IMAGE_UNCHANGED": cv2.IMREAD_UNCHANGED,
}
TIME: Mapping[str, Any] = {"clock": time.perf_counter}


def _fromstring(string: Any, dtype: Any = float, count: int = -1, sep: str = "") -> Any:
    """Return the numbers of a text, or of bytes, which NumPy's own no longer takes."""
    if sep:
        return _numpy_fromstring(string, dtype, count, sep=sep)
    return np.frombuffer(string, dtype, count).copy()


_numpy_fromstring = np.fromstring


@contextmanager
def old_names() -> Iterator[None]:
    """Give NumPy, OpenCV and Python's `time` their old names for the while."""
    with ExitStack() as stack:
        for module, names in ((np, NUMPY), (cv2, OPENCV), (time, TIME)):
            stack.enter_context(replaced(module, names, only_missing=True))
        stack.enter_context(replaced(np, {"fromstring": _fromstring}))
        yield
