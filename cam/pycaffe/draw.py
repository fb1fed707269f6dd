"""`caffe.draw`: a network as a picture, drawn by Graphviz."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cam.errors import CamError
from cam.files import PathLike, write_bytes

__all__ = ["dot_text", "draw_net", "draw_net_to_file"]

COLORS = {
    "Convolution": "#FF5050",
    "Deconvolution": "#FF5050",
    "InnerProduct": "#CC33FF",
    "Pooling": "#FF9900",
}
"""The colours of layers by their types, as pycaffe has them."""

OTHER_COLOR, IN_PLACE_COLOR, BLOB_COLOR = "#6495ED", "#90EE90", "#E0E0E0"

WITH_WEIGHTS = ("Convolution", "Deconvolution", "InnerProduct")


def dot_text(
    caffe_net: Any,
    rankdir: str = "LR",
    label_edges: bool = True,
    phase: int | None = None,
    display_lrm: bool = False,
) -> str:
    """Return a network in Graphviz's language.

    Parameters
    ----------
    caffe_net : protobuf message
        A ``NetParameter``.
    rankdir : {"LR", "RL", "TB", "BT"}, optional
        From where to where it runs.
    label_edges : bool, optional
        Whether to write how many outputs a layer has.
    phase : int, optional
        ``TRAIN`` or ``TEST``; all layers if not given.
    display_lrm : bool, optional
        Whether to write the factors of the learning rate.

    Returns
    -------
    str
        A directed graph.
    """
    separator = " " if rankdir in ("TB", "BT") else "\n"
    lines = [f"digraph {_quoted(caffe_net.name or 'Net')} {{", f"rankdir={rankdir};"]
    for index, layer in enumerate(caffe_net.layer):
        if phase is not None and not _runs_in(layer, phase):
            continue
        lines.extend(_layer_lines(layer, f"layer {index}", separator, label_edges, display_lrm))
    return "\n".join([*dict.fromkeys(lines), "}"])


def draw_net(
    caffe_net: Any,
    rankdir: str,
    ext: str = "png",
    phase: int | None = None,
    display_lrm: bool = False,
) -> bytes:
    """Return a picture of a network in a format that Graphviz writes; ``"raw"`` is its language.

    Raises
    ------
    CamError
        If Graphviz is not installed or does not write the format.
    """
    text = dot_text(caffe_net, rankdir, phase=phase, display_lrm=display_lrm).encode()
    if ext == "raw":
        return text
    try:
        drawn = subprocess.run(["dot", f"-T{ext}"], input=text, capture_output=True, check=True)
    except FileNotFoundError as error:
        raise CamError("drawing networks needs Graphviz and its program dot") from error
    except subprocess.CalledProcessError as error:
        raise CamError(f"dot cannot draw the network: {error.stderr.decode().strip()}") from error
    return drawn.stdout


def draw_net_to_file(
    caffe_net: Any,
    filename: PathLike,
    rankdir: str = "LR",
    phase: int | None = None,
    display_lrm: bool = False,
) -> None:
    """Write a picture of a network in the format that the file's extension names."""
    extension = Path(filename).suffix[1:]
    write_bytes(filename, draw_net(caffe_net, rankdir, extension, phase, display_lrm))


def _runs_in(layer: Any, phase: int) -> bool:
    if layer.include:
        return any(rule.phase == phase for rule in layer.include)
    return not any(rule.phase == phase for rule in layer.exclude)


def _layer_lines(
    layer: Any, node: str, separator: str, label_edges: bool, display_lrm: bool
) -> Iterator[str]:
    in_place = len(layer.bottom) == 1 and list(layer.bottom) == list(layer.top)
    color = IN_PLACE_COLOR if in_place else COLORS.get(layer.type, OTHER_COLOR)
    label = _quoted(separator.join(_label(layer, display_lrm)))
    yield f'{_quoted(node)} [label={label}, shape=box, style=filled, fillcolor="{color}"];'
    for blob in (*layer.bottom, *layer.top):
        yield (
            f"{_quoted('blob ' + blob)} [label={_quoted(blob)}, shape=octagon, style=filled, "
            f'fillcolor="{BLOB_COLOR}"];'
        )
    for blob in layer.bottom:
        yield f"{_quoted('blob ' + blob)} -> {_quoted(node)};"
    outputs = _quoted(_outputs(layer) if label_edges else "")
    for blob in layer.top:
        yield f"{_quoted(node)} -> {_quoted('blob ' + blob)} [label={outputs}];"


def _label(layer: Any, display_lrm: bool) -> Iterator[str]:
    yield layer.name
    if layer.type == "Pooling":
        param = layer.pooling_param
        yield f"(Pooling {param.PoolMethod.Name(param.pool)})"
        yield from _geometry(param.kernel_size, param.stride, param.pad)
    else:
        yield f"({layer.type})"
    if layer.type in ("Convolution", "Deconvolution"):
        param = layer.convolution_param
        sizes = ((*param.kernel_size, 1)[0], (*param.stride, 1)[0], (*param.pad, 0)[0])
        yield from _geometry(*sizes)
    if display_lrm and layer.type in WITH_WEIGHTS:
        factors = [spec.lr_mult for spec in layer.param][:2]
        first, second = (*factors, 1.0, 1.0)[:2]
        if first or second:
            yield f"lr mult: {first:.1f}, {second:.1f}"


def _geometry(kernel: int, stride: int, pad: int) -> Iterator[str]:
    yield f"kernel size: {kernel}"
    yield f"stride: {stride}"
    yield f"pad: {pad}"


def _outputs(layer: Any) -> str:
    if layer.type == "Data":
        return f"Batch {layer.data_param.batch_size}"
    if layer.type in ("Convolution", "Deconvolution"):
        return str(layer.convolution_param.num_output)
    return str(layer.inner_product_param.num_output) if layer.type == "InnerProduct" else ""


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
