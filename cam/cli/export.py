"""`cam export`: a network as ONNX."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--model", "-m", help="A model of the table. Default: the embedded one.")
@click.option("--prototxt", type=click.Path(path_type=Path), help="A deploy network of your own.")
@click.option("--weights", type=click.Path(path_type=Path), help="Its caffemodel.")
@click.option("--last-conv", help="Its last conv blob.")
@click.option("--class-layer", help="Its inner product with the class weights.")
def export(
    output: Path,
    model: str | None,
    prototxt: Path | None,
    weights: Path | None,
    last_conv: str | None,
    class_layer: str | None,
) -> None:
    """Write a network as an ONNX file.

    Its outputs are the last conv's activations and the class probabilities; the input takes any
    number of crops.
    """
    from cam import zoo
    from cam.engines.onnx_graph import to_onnx
    from cam.errors import CamError
    from cam.files import atomic_path

    if (prototxt is None) != (weights is None):
        raise CamError("--prototxt and --weights belong together")
    if prototxt is None or weights is None:
        loaded = zoo.load_network(model or zoo.EMBEDDED)
    else:
        loaded = zoo.load_files(prototxt, weights, last_conv=last_conv, class_layer=class_layer)
    network, head = loaded.network, loaded.head
    exported = to_onnx(network, loaded.weights, (head.last_conv, head.scores))
    with atomic_path(output) as temporary:
        temporary.write_bytes(exported.SerializeToString(deterministic=True))
    click.echo(f"{output}: input {network.input_name}, outputs {head.last_conv}, {head.scores}")
