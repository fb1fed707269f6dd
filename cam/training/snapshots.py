"""Caffe's snapshots, a caffemodel and a solverstate: made whole, and found again after a move."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cam.caffe.caffemodel import read_caffemodel
from cam.errors import CamError
from cam.files import read_bytes, write_bytes

MAX_BYTES = 2**31
"""The largest message that protobuf reads; a state may be twice as large as its caffemodel."""


@contextmanager
def unfinished_folder(final: Path) -> Iterator[Path]:
    """Give a folder for what Caffe has not written whole yet; remove it afterwards.

    Parameters
    ----------
    final : pathlib.Path
        The final path, or how the final paths begin; the folder lies beside it.

    Yields
    ------
    pathlib.Path
        The folder.

    Raises
    ------
    CamError
        If no file can be written there.
    """
    folder = final.parent / f".{final.name}.partial"
    # What a killed run has left.
    shutil.rmtree(folder, ignore_errors=True)
    # Where it cannot write, Caffe would end the process hours later.
    write_bytes(folder / "probe", b"")
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def finish_snapshot(unfinished: Path, final: Path) -> tuple[Path, Path]:
    """Give a snapshot its final names.

    Parameters
    ----------
    unfinished : pathlib.Path
        The folder that Caffe wrote it to.
    final : pathlib.Path
        Its final path without the extensions.

    Returns
    -------
    model, state : pathlib.Path
        The caffemodel and the solverstate.
    """
    model, state = (final.with_name(final.name + kind) for kind in (".caffemodel", ".solverstate"))
    described = _read_state(unfinished / state.name)
    described.learned_net = str(model)
    (unfinished / state.name).write_bytes(described.SerializeToString())
    # The state names the caffemodel, and so comes second.
    return (unfinished / model.name).replace(model), (unfinished / state.name).replace(state)


def linked_state(snapshot: Path, folder: Path) -> Path:
    """Return a copy of a solverstate whose caffemodel is where it says.

    Parameters
    ----------
    snapshot : pathlib.Path
        The solverstate; its caffemodel lies beside it or where it lay when it was made.
    folder : pathlib.Path
        Where the copy goes.

    Returns
    -------
    pathlib.Path
        The copy.

    Raises
    ------
    CamError
        If it is no solverstate, or its caffemodel is not there or cannot be read.
    """
    state = _read_state(snapshot)
    if not (state.HasField("iter") and state.learned_net):
        raise CamError(f"{snapshot}: not a solverstate (it names no iteration and caffemodel)")
    beside = snapshot.with_name(Path(state.learned_net).name)
    for model in (beside, Path(state.learned_net)):
        if model.is_file():
            read_caffemodel(model)
            copy = folder / "linked.solverstate"
            state.learned_net = str(model)
            copy.write_bytes(state.SerializeToString())
            return copy
    raise CamError(f"{snapshot}: its caffemodel {state.learned_net} is not there, nor {beside}")


def _read_state(path: Path) -> Any:
    from caffe.proto import caffe_pb2
    from google.protobuf.message import DecodeError

    state = caffe_pb2.SolverState()
    try:
        state.ParseFromString(read_bytes(path, limit=MAX_BYTES))
    except DecodeError as error:
        raise CamError(f"{path}: truncated, or not a solverstate") from error
    return state
