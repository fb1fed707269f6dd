"""Compiled networks kept on disk, so that a second start does not compile again.

A file holds the SHA-256 of its content and the content, OpenVINO's export of a compiled network.
Its name is a digest of everything that the result depends on: the network, the weights, the
engine's version and options, the processor. Files are written under another name and renamed, so
that concurrent starts never see half of one; a damaged one is made again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from cam.errors import CamError
from cam.files import atomic_path, sha256_of

__all__ = ["cache_folder", "compile_cached"]

ENVIRONMENT_VARIABLE = "CAM_COMPILED"
"""Names another folder for compiled networks, or, as ``off``, keeps none."""

MAX_FOLDER_BYTES = 2 * 2**30
DIGEST_BYTES = hashlib.sha256().digest_size


def cache_folder() -> Path | None:
    """Return the folder that compiled networks are kept in, or None if none are kept."""
    import platformdirs

    named = os.environ.get(ENVIRONMENT_VARIABLE)
    if named == "off":
        return None
    return Path(named) if named else Path(platformdirs.user_cache_dir("cam")) / "compiled"


def compile_cached(
    core: Any, options: Mapping[str, Any], key: Mapping[str, Any], build: Callable[[], Any]
) -> Any:
    """Compile a network for the CPU, or load it from the cache.

    Parameters
    ----------
    core : openvino.Core
        The runtime.
    options : mapping
        The compilation's options.
    key : mapping
        What the network is made from, ready for JSON. Options, processor, and the versions of
        OpenVINO and of the code that writes the graph are added.
    build : callable
        Returns the ``openvino.Model``; called only if it is not in the cache.

    Returns
    -------
    openvino.CompiledModel
        The compiled network, the same whether it comes from the cache or not.
    """
    import openvino

    folder = cache_folder()
    if folder is None:
        return core.compile_model(build(), "CPU", dict(options))
    everything = {
        **key,
        "options": {name: str(value) for name, value in options.items()},
        "openvino": openvino.get_version(),
        "writer": sha256_of(Path(__file__).with_name("onnx_graph.py")),
        "processor": core.get_property("CPU", "FULL_DEVICE_NAME"),
        "capabilities": sorted(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
    }
    name = hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()
    path = folder / f"{name}.blob"
    content = _read(path)
    if content is not None:
        try:
            return core.import_model(content, "CPU", dict(options))
        except RuntimeError:
            # Its bytes are as they were written, and this runtime does not take them all the same.
            pass
    compiled = core.compile_model(build(), "CPU", dict(options))
    # A full or read-only disk costs the next start's speed and nothing else.
    with suppress(OSError, CamError):
        exported = compiled.export_model()
        # Older releases of OpenVINO give the bytes themselves.
        _write(path, exported if isinstance(exported, bytes) else exported.getvalue())
    return compiled


def _read(path: Path) -> bytes | None:
    try:
        data = path.read_bytes()
        os.utime(path)
    except OSError:
        return None
    digest, content = data[:DIGEST_BYTES], data[DIGEST_BYTES:]
    return content if hashlib.sha256(content).digest() == digest else None


def _write(path: Path, content: bytes) -> None:
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(hashlib.sha256(content).digest())
        file.write(content)
    _remove_oldest(path.parent)


def _remove_oldest(folder: Path) -> None:
    """Keep the folder under its limit by removing what was used longest ago."""
    files = sorted(folder.glob("*.blob"), key=lambda file: file.stat().st_mtime, reverse=True)
    total = 0
    for file in files:
        total += file.stat().st_size
        if total > MAX_FOLDER_BYTES:
            file.unlink(missing_ok=True)
