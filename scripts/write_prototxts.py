"""Write the original networks' prototxts and the solver from a table of their layers.

The table (``nets.json``) lists name, type, bottoms, tops and parameters of every layer of the five
deploy networks and of the GoogLeNet-CAM training network of the original release. GoogLeNet-GMP,
which the paper compares with and whose files were not released, differs in the global pooling only.

    python scripts/write_prototxts.py tests/data/nets.json models
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from google.protobuf import json_format

from cam.caffe.prototxt import layer_type_name, write_prototxt
from cam.caffe.schema import message_class

OLDER_STYLE = (
    "deploy_alexnetplusCAM_imagenet.prototxt",
    "deploy_alexnetplusCAM_places205.prototxt",
    "deploy_vgg16CAM.prototxt",
)
"""The files of the original release that use ``layers`` with enum types."""

MAX_POOLED = {
    "deploy_googlenetCAM.prototxt": "deploy_googlenetGMP.prototxt",
    "train_val_googlenetCAM.prototxt": "train_val_googlenetGMP.prototxt",
}
"""The files that get a twin with global max pooling, which the paper compares with."""

SOLVER = {
    "net": "models/train_val_googlenetCAM.prototxt",
    "test_iter": [1000],
    "test_interval": 3000,
    "base_lr": 0.001,
    "lr_policy": "step",
    "gamma": 0.1,
    "stepsize": 40000,
    "display": 40,
    "average_loss": 40,
    "max_iter": 160000,
    "momentum": 0.9,
    "weight_decay": 0.0005,
    "snapshot": 10000,
    "snapshot_prefix": "models/imagenet_googlenetCAM_train",
    "solver_mode": "GPU",
}


def network_message(facts: dict[str, Any], older_style: bool) -> Any:
    """Return a ``NetParameter`` with the layers that a table lists."""
    net = message_class("NetParameter")(name=facts["name"], input=facts["input"])
    net.input_dim.extend(facts["input_dim"])
    if facts["force_backward"]:
        net.force_backward = True
    v1_types = message_class("V1LayerParameter").LayerType
    enum_names = {layer_type_name(name): name for name in v1_types.keys()}  # noqa: SIM118
    for layer in facts["layers"]:
        fields = dict(layer)
        if older_style:
            fields["type"] = enum_names[layer["type"]]
        json_format.ParseDict(fields, net.layers.add() if older_style else net.layer.add())
    return net


def max_pooled(net: Any) -> Any:
    """Return GoogLeNet-GMP: the network with global max pooling in place of global average."""
    result = message_class("NetParameter")()
    result.CopyFrom(net)
    result.name = f"{net.name}-GMP"
    (pooling,) = (layer.pooling_param for layer in result.layer if layer.name == "CAM_pool")
    pooling.pool = pooling.MAX
    return result


@click.command(help=__doc__)
@click.argument("table", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def main(table: Path, folder: Path) -> None:
    for name, facts in json.loads(table.read_text(encoding="utf-8")).items():
        net = network_message(facts, name in OLDER_STYLE)
        write_prototxt(folder / name, net)
        if name in MAX_POOLED:
            write_prototxt(folder / MAX_POOLED[name], max_pooled(net))
    for variant in ("CAM", "GMP"):
        fields = {
            key: value.replace("CAM", variant) if isinstance(value, str) else value
            for key, value in SOLVER.items()
        }
        solver = json_format.ParseDict(fields, message_class("SolverParameter")())
        write_prototxt(folder / f"solver_googlenet{variant}.prototxt", solver)


if __name__ == "__main__":
    main()
