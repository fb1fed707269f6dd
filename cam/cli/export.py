"""`cam export`: a network as ONNX."""

from __future__ import annotations

from pathlib import Path

import click

from cam.cli.options import PATH, ChosenNetwork, network_options, show_note
from cam.engines.onnx_graph import to_onnx
from cam.files import write_bytes


@click.command()
@click.argument("output", type=PATH)
@network_options
def export(output: Path, network: ChosenNetwork) -> None:
    """Write a network as an ONNX file.

    Its outputs are the last conv's activations and the class probabilities; the input takes any
    number of crops.
    """
    loaded = network.load()
    show_note(loaded)
    head = loaded.head
    exported = to_onnx(loaded.network, loaded.weights, (head.last_conv, head.scores))
    write_bytes(output, exported.SerializeToString(deterministic=True))
    click.echo(
        f"{output}: input {loaded.network.input_name}, outputs {head.last_conv}, {head.scores}"
    )
