"""Write a network as an ONNX file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
import onnx

from cam.cli.declaring import argument, as_command
from cam.cli.messages import show_note
from cam.cli.options import NetworkOptions
from cam.cli.progress import working
from cam.engines.onnx_graph import to_onnx
from cam.files import write_bytes


@dataclass(frozen=True)
class ExportRequest(NetworkOptions):
    """Which network, and where to."""

    output: Path = argument("OUTPUT")


@as_command
def export(request: ExportRequest) -> None:
    """Write a network as an ONNX file.

    Its outputs are the last conv's activations and the class probabilities; the input takes any
    number of crops.
    """
    with working("loading the network"):
        loaded = request.load()
    show_note(loaded)
    outputs = (loaded.head.last_conv, loaded.head.scores)
    exported = to_onnx(loaded.network, loaded.weights, outputs)
    onnx.checker.check_model(exported)
    write_bytes(request.output, exported.SerializeToString(deterministic=True))
    click.echo(f"{request.output}: input {loaded.network.input_name}, outputs {', '.join(outputs)}")
