"""Which engines there are, and which one `auto` takes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from cam.arguments import checked
from cam.caffe.loaded import LoadedNetwork
from cam.engines.protocol import FLOAT32, Engine, forward_only
from cam.errors import CamError, InvalidValueError, nearest_names

ENGINES: Mapping[str, str] = {"openvino": "cam.engines.openvino", "caffe": "cam.engines.caffe"}
"""Each engine and its module, which has `start`, `obstacle`, `RUNS_BACKWARD` and `PRECISIONS`.

``start(network, device, threads, precision)`` returns the running engine; ``obstacle(device)`` says
in a few words, at little cost, why it could not start, and is empty if it could. An empty device
leaves the choice to the engine.
"""

AUTO_ORDER = ("caffe:gpu:0", "openvino:cpu", "caffe:cpu")
"""What ``auto`` tries. On a CPU OpenVINO takes a half to a tenth of Caffe's time."""

DEFAULT_VARIABLE = "CAM_ENGINE"
"""Names the engine to take where none is named."""


@dataclass(frozen=True)
class EngineChoice:
    """An engine that is to run a network, and why this one.

    Attributes
    ----------
    name : str
        One of `ENGINES`.
    device : str
        What it is to run on; empty where the engine chooses.
    precision : str
        What it is to compute in.
    reason : str
        Why it was taken, in one line.
    """

    name: str
    device: str
    precision: str
    reason: str

    def open(self, network: LoadedNetwork, threads: int | None = None) -> Engine:
        """Start the engine on a network; see `open_engine`."""
        if threads is not None and threads < 1:
            raise InvalidValueError(f"{threads} threads; at least 1 is needed")
        engine: Engine = _module(self.name).start(network, self.device, threads, self.precision)
        return engine


def default_choice() -> str:
    """Return the engine to take where none is named: by ``CAM_ENGINE``, or ``"auto"``."""
    return os.environ.get(DEFAULT_VARIABLE) or "auto"


@checked
def choose_engine(
    choice: str | None = None, backward: bool = False, precision: str = FLOAT32
) -> EngineChoice:
    """Return which engine is taken, and why.

    The arguments and errors are those of `open_engine`.

    Examples
    --------
    >>> choose_engine("openvino").reason
    'openvino was named'
    """
    wanted = default_choice() if choice is None else choice
    if wanted == "auto":
        return _fastest(backward, precision)
    name, _, device = wanted.partition(":")
    if name not in ENGINES:
        known = ("auto", *ENGINES)
        raise InvalidValueError(
            f"no engine {wanted!r}{nearest_names(name, known)}; there are {', '.join(known)}"
        )
    if backward and not _module(name).RUNS_BACKWARD:
        raise forward_only(name)
    if precision not in _module(name).PRECISIONS:
        raise _no_such_precision(name, precision)
    reason = f"{wanted} was named" if choice is not None else f"{DEFAULT_VARIABLE} is {wanted}"
    return EngineChoice(name, device.lower(), precision, reason)


@checked
def open_engine(
    choice: str | None,
    network: LoadedNetwork,
    threads: int | None = None,
    backward: bool = False,
    precision: str = FLOAT32,
) -> Engine:
    """Start an engine on a network.

    Parameters
    ----------
    choice : str or None
        ``"openvino"``; ``"caffe"``, with ``":cpu"`` or ``":gpu:N"`` behind it to name a device; or
        ``"auto"``: Caffe on a GPU that works, else OpenVINO, else Caffe on the CPU. None for
        `default_choice`.
    network : cam.caffe.loaded.LoadedNetwork
        What it is to run.
    threads : int, optional
        How many threads a forward pass may use; the engine's choice if not given.
    backward : bool, optional
        Whether it must have `cam.engines.Engine.input_gradients`.
    precision : {"float32", "bfloat16"}, optional
        What it is to compute in; ``"bfloat16"`` is OpenVINO's, on processors with units for it.

    Returns
    -------
    Engine
        The engine.

    Raises
    ------
    CamError
        If there is no such engine, it is not installed, it cannot run backward and must, or it
        cannot compute in this precision here.
    """
    return choose_engine(choice, backward, precision).open(network, threads)


def _fastest(backward: bool, precision: str) -> EngineChoice:
    passed: list[str] = []
    for choice in AUTO_ORDER:
        name, _, device = choice.partition(":")
        obstacle = _unsuited(name, backward, precision) or _module(name).obstacle(device)
        if not obstacle:
            reason = f"auto, the fastest here: {'; '.join(passed) or 'a GPU that Caffe can use'}"
            return EngineChoice(name, device, precision, reason)
        passed.append(f"not {choice}, {obstacle}")
    if backward:
        raise forward_only("openvino")
    raise CamError(
        f"no engine can run: {'; '.join(passed)}; cam doctor says what is wrong with each"
    )


def _unsuited(name: str, backward: bool, precision: str) -> str:
    """Say what an engine can never do that it would have to; empty if it can."""
    module = _module(name)
    if backward and not module.RUNS_BACKWARD:
        return "which runs networks forward only"
    return "" if precision in module.PRECISIONS else f"which has no {precision}"


def _no_such_precision(name: str, precision: str) -> InvalidValueError:
    takers = [other for other in ENGINES if precision in _module(other).PRECISIONS]
    if not takers:
        known = sorted({one for other in ENGINES for one in _module(other).PRECISIONS})
        nearest = nearest_names(precision, known)
        return InvalidValueError(f"no precision {precision!r}{nearest}; there are {known}")
    return InvalidValueError(
        f"the {name} engine does not compute in {precision}; take --engine {', '.join(takers)}"
    )


def _module(name: str) -> Any:
    return import_module(ENGINES[name])
