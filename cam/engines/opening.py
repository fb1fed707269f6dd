"""Which engines there are, and which one `auto` takes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module

from cam.caffe.loaded import LoadedNetwork
from cam.engines.protocol import Engine, forward_only
from cam.errors import CamError, InvalidValueError, nearest_names

ENGINES: Mapping[str, str] = {"openvino": "cam.engines.openvino", "caffe": "cam.engines.caffe"}
"""Each engine and its module, which has `start`, `is_ready` and `RUNS_BACKWARD`.

``start(network, device, threads)`` returns the running engine, ``is_ready(device)`` tells cheaply
whether it could; an empty device leaves the choice to the engine.
"""

AUTO_ORDER = ("caffe:gpu:0", "openvino:cpu", "caffe:cpu")
"""What ``auto`` tries. On a CPU OpenVINO takes a half to a tenth of Caffe's time."""

DEFAULT_VARIABLE = "CAM_ENGINE"
"""Names the engine to take where none is named."""


def default_choice() -> str:
    """Return the engine to take where none is named: by ``CAM_ENGINE``, or ``"auto"``."""
    return os.environ.get(DEFAULT_VARIABLE) or "auto"


def open_engine(
    choice: str | None, network: LoadedNetwork, threads: int | None = None, backward: bool = False
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

    Returns
    -------
    Engine
        The engine.

    Raises
    ------
    CamError
        If there is no such engine, it is not installed, or it cannot run backward and must.
    """
    if threads is not None and threads < 1:
        raise InvalidValueError(f"{threads} threads; at least 1 is needed")
    wanted = default_choice() if choice is None else choice
    name, _, device = (_fastest(backward) if wanted == "auto" else wanted).partition(":")
    if name not in ENGINES:
        known = ("auto", *ENGINES)
        raise InvalidValueError(
            f"no engine {wanted!r}{nearest_names(name, known)}; there are {', '.join(known)}"
        )
    module = import_module(ENGINES[name])
    if backward and not module.RUNS_BACKWARD:
        raise forward_only(name)
    engine: Engine = module.start(network, device.lower(), threads)
    return engine


def _fastest(backward: bool) -> str:
    for choice in AUTO_ORDER:
        name, _, device = choice.partition(":")
        module = import_module(ENGINES[name])
        if module.is_ready(device) and (module.RUNS_BACKWARD or not backward):
            return choice
    if backward:
        raise forward_only("openvino")
    raise CamError("no engine can run here; cam doctor says what is wrong with each")
