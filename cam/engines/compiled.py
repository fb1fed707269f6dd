"""Compiled networks kept on disk, so that a second start does not compile again.

A file holds OpenVINO's export of a compiled network behind a SHA-256 of that and of the file's own
name, which is a digest of everything that the result depends on: the network, the weights, the
engine's version and options, the processor. Files are written under another name and renamed, so
that concurrent starts never see half of one; a damaged one is made again. A compiled network is
code: a folder or file that anyone but the user could have written is not used.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from cam.errors import CamError
from cam.files import atomic_path, sha256_of

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
        "writer": _writer_digest(),
        "processor": core.get_property("CPU", "FULL_DEVICE_NAME"),
        "capabilities": sorted(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
    }
    name = hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()
    path = folder / f"{name}.blob"
    content = _read(path) if _is_the_users_alone(folder) else None
    if content is not None:
        # Its bytes are as they were written, and a runtime may refuse them all the same.
        with suppress(RuntimeError):
            return core.import_model(content, "CPU", dict(options))
    compiled = core.compile_model(build(), "CPU", dict(options))
    if folder.exists() and not _is_the_users_alone(folder):
        return compiled
    # A full or read-only disk costs the next start's speed and nothing else.
    with suppress(OSError, CamError):
        exported = compiled.export_model()
        # Older releases of OpenVINO give the bytes themselves.
        _write(path, exported if isinstance(exported, bytes) else exported.getbuffer())
    return compiled


@lru_cache(maxsize=1)
def _writer_digest() -> str:
    """Return a digest of the code that makes the graph: its writers and all of `cam.caffe`."""
    package = Path(__file__).parents[1]
    writers = [
        package / "engines" / name for name in ("onnx_graph.py", "openvino_graph.py", "winograd.py")
    ]
    sources = [*writers, *sorted(package.glob("caffe/**/*.p*[!c]"))]
    return hashlib.sha256("".join(map(sha256_of, sources)).encode()).hexdigest()


def _is_the_users_alone(path: Path) -> bool:
    """Tell whether a folder or file belongs to the user, and no one else may write to it."""
    try:
        status = path.stat()
    except OSError:
        return False
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _digest(path: Path, content: bytes | memoryview) -> bytes:
    digest = hashlib.sha256(path.name.encode())
    digest.update(content)
    return digest.digest()


def _read(path: Path) -> bytes | None:
    try:
        if not _is_the_users_alone(path):
            return None
        with path.open("rb") as file:
            digest, content = file.read(DIGEST_BYTES), file.read()
        os.utime(path)
    except OSError:
        return None
    return content if _digest(path, content) == digest else None


def _write(path: Path, content: bytes | memoryview) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(_digest(path, content))
        file.write(content)
    path.chmod(0o600)
    _remove_oldest(path.parent)


def _remove_oldest(folder: Path) -> None:
    """Keep the folder under its limit by removing what was used longest ago."""
    files = sorted(folder.glob("*.blob"), key=lambda file: file.stat().st_mtime, reverse=True)
    total = 0
    for file in files:
        total += file.stat().st_size
        if total > MAX_FOLDER_BYTES:
            file.unlink(missing_ok=True)
