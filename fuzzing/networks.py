"""Random small networks over all layer types, run in Caffe and by the project.

Both must give the same blobs, or the project must refuse the network in one line; it must refuse
whatever Caffe ends the process on.
"""

from __future__ import annotations

import multiprocessing
import random
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cam.caffe.caffemodel import CaffeModel, write_caffemodel
from cam.caffe.network import Network, build_network
from cam.caffe.prototxt import parse_prototxt
from cam.errors import CamError

TOLERANCE = 1e-4
"""Of a blob's largest value."""

INPUTS = 3
"""A network differs if it does so for most of so many inputs: steps have no tolerance."""

Blobs = dict[str, NDArray[np.float32]]

_POSITIVE = "Sigmoid"
_IN_PLACE = ("ReLU", "Dropout", "Sigmoid", "TanH", "ELU", "PReLU", "Power", "BatchNorm", "Scale")
_IN_PLACE += ("Bias", "Softmax", "Exp", "AbsVal", "Split")


def _pick(source: random.Random, *choices: str) -> str:
    return source.choice(choices)


def _window(source: random.Random) -> str:
    """Return kernel, stride and pad, square or not, now and then none that Caffe takes."""
    parts = []
    if source.random() < 0.3:
        parts.append(f"kernel_h: {source.randint(1, 4)} kernel_w: {source.randint(1, 4)}")
    else:
        parts.append(f"kernel_size: {source.randint(1, 5)}")
    if source.random() < 0.5:
        parts.append(
            f"stride: {source.randint(1, 4)}"
            if source.random() < 0.7
            else f"stride_h: {source.randint(1, 3)} stride_w: {source.randint(1, 3)}"
        )
    if source.random() < 0.5:
        parts.append(
            f"pad: {source.randint(0, 3)}"
            if source.random() < 0.7
            else f"pad_h: {source.randint(0, 2)} pad_w: {source.randint(0, 2)}"
        )
    return " ".join(parts)


def _convolution(source: random.Random) -> str:
    group = source.choice((1, 1, 1, 2, 3))
    said = f"num_output: {source.choice((1, 2, 3, 4, 6)) * group} group: {group} {_window(source)}"
    if source.random() < 0.3:
        said += f" dilation: {source.randint(1, 3)}"
    return f"convolution_param {{ {said} bias_term: {_pick(source, 'true', 'false')} }}"


def _pooling(source: random.Random) -> str:
    method = _pick(source, "MAX", "AVE")
    if source.random() < 0.2:
        return f"pooling_param {{ pool: {method} global_pooling: true }}"
    mode = _pick(source, "", "", "round_mode: FLOOR", "round_mode: CEIL")
    return f"pooling_param {{ pool: {method} {_window(source)} {mode} }}"


def _lrn(source: random.Random) -> str:
    region = _pick(source, "ACROSS_CHANNELS", "WITHIN_CHANNEL")
    said = f"local_size: {source.choice((1, 3, 5, 5, 4))} alpha: {source.uniform(0.0001, 1):.4f}"
    return f"lrn_param {{ {said} beta: {source.uniform(0.3, 1):.3f} norm_region: {region} }}"


def _axis(source: random.Random) -> int:
    return source.choice((1, 1, 1, 2, 3, -1, -2, 0))


PARAMETERS: dict[str, Any] = {
    "AbsVal": lambda _: "",
    "ArgMax": lambda s: (
        f"argmax_param {{ top_k: {s.randint(1, 3)} "
        f"{_pick(s, '', 'axis: 1', 'axis: -1', 'out_max_val: true')} }}"
    ),
    "BNLL": lambda _: "",
    "BatchNorm": lambda s: f"batch_norm_param {{ eps: {_pick(s, '1e-5', '0.1')} }}",
    "Bias": lambda s: f"bias_param {{ axis: {_axis(s)} num_axes: {s.choice((1, 1, 0, 2, -1))} }}",
    "Clip": lambda s: "clip_param { min: -0.5 max: 0.7 }",
    "Concat": lambda s: f"concat_param {{ axis: {_axis(s)} }}",
    "Convolution": _convolution,
    "Crop": lambda s: (
        f"crop_param {{ axis: {s.choice((2, 2, 3, 1, -1))} offset: {s.randint(0, 2)} }}"
    ),
    "Deconvolution": _convolution,
    "Dropout": lambda _: "",
    "ELU": lambda s: f"elu_param {{ alpha: {s.uniform(0.1, 2):.3f} }}",
    "Eltwise": lambda s: (
        "eltwise_param { "
        + _pick(s, "operation: SUM", "operation: PROD", "operation: MAX", "coeff: 0.5 coeff: -2")
        + " }"
    ),
    "EuclideanLoss": lambda _: "",
    "Exp": lambda s: f"exp_param {{ base: {_pick(s, '-1', '2', '1.5')} scale: 0.3 shift: 0.1 }}",
    "Flatten": lambda s: (
        f"flatten_param {{ axis: {_axis(s)} end_axis: {s.choice((-1, -1, 2, 3))} }}"
    ),
    "InnerProduct": lambda s: (
        f"inner_product_param {{ num_output: {s.randint(1, 6)} "
        f"bias_term: {_pick(s, 'true', 'false')} transpose: {_pick(s, 'false', 'false', 'true')} }}"
    ),
    "LRN": _lrn,
    "Log": lambda s: f"log_param {{ base: {_pick(s, '-1', '2', '10')} scale: 0.5 shift: 1 }}",
    "PReLU": lambda s: f"prelu_param {{ channel_shared: {_pick(s, 'true', 'false')} }}",
    "Pooling": _pooling,
    "Power": lambda s: (
        f"power_param {{ power: {s.choice((1, 2, 3, 0))} "
        f"scale: {s.uniform(-1, 1):.3f} shift: {s.uniform(-1, 1):.3f} }}"
    ),
    "ReLU": lambda s: f"relu_param {{ negative_slope: {s.choice((0, 0, 0.1, 1, -0.5))} }}",
    "Reshape": lambda s: (
        "reshape_param { shape { "
        + _pick(
            s, "dim: 0 dim: -1", "dim: 0 dim: 0 dim: -1", "dim: 0 dim: 1 dim: -1 dim: 1", "dim: -1"
        )
        + " } }"
    ),
    "Scale": lambda s: (
        f"scale_param {{ axis: {_axis(s)} num_axes: {s.choice((1, 1, 0, 2, -1))} "
        f"bias_term: {_pick(s, 'true', 'false')} }}"
    ),
    "Sigmoid": lambda _: "",
    "Silence": lambda _: "",
    "Slice": lambda s: f"slice_param {{ axis: {_axis(s)} }}",
    "Softmax": lambda s: f"softmax_param {{ axis: {_axis(s)} }}",
    "Split": lambda _: "",
    "TanH": lambda _: "",
    "Threshold": lambda s: f"threshold_param {{ threshold: {s.uniform(-0.5, 0.5):.4f} }}",
    "SoftmaxWithLoss": lambda _: "",
    "Accuracy": lambda s: f"accuracy_param {{ top_k: {s.randint(1, 2)} }}",
}
"""The layer types, and random parameters for each."""

BOTTOMS = {"Concat": (1, 2, 3), "Eltwise": (2, 2, 3), "Crop": (2,), "EuclideanLoss": (2,)}
TOPS = {"Split": (2,), "Slice": (1, 2, 2, 3), "Silence": (0,)}


def random_network(number: int) -> str:
    """Return the prototxt of a random network; the same number gives the same one."""
    source = random.Random(number)
    rows, columns = (source.choice((1, 3, 5, 7, 8, 11)) for _ in range(2))
    shape = (source.choice((1, 2, 3)), source.choice((1, 3, 4, 6)), rows, columns)
    dims = " ".join(f"dim: {size}" for size in shape)
    text = f'input: "data" input_shape {{ {dims} }}\n'
    blobs, network = ["data"], _parsed(text)
    for index in range(source.randint(1, 8)):
        # Two attempts of three are dropped where the project refuses, so that networks grow.
        for attempt in range(3):
            layer, tops = _random_layer(source, index, blobs, network)
            grown = _attempted(text + layer)
            if grown is not None or (attempt == 2 and source.random() < 0.15):
                break
        else:
            continue
        text += layer
        if grown is None:
            return text
        network, blobs = grown, [*blobs, *tops]
    return text


def _random_layer(
    source: random.Random, index: int, blobs: list[str], network: Any
) -> tuple[str, list[str]]:
    kind = source.choice(list(PARAMETERS))
    # Later blobs more often: so chains grow, and aliases are read again now and then.
    bottoms = [
        blobs[max(source.randrange(len(blobs)), source.randrange(len(blobs)))]
        for _ in range(source.choice(BOTTOMS.get(kind, (1,))))
    ]
    if kind in ("Accuracy", "SoftmaxWithLoss"):
        return _with_labels(source, index, kind, bottoms[0])
    tops = [f"b{index}_{k}" for k in range(source.choice(TOPS.get(kind, (1,))))]
    if kind in _IN_PLACE and len(tops) == 1 and source.random() < 0.4:
        tops = [bottoms[0]]
    if kind == "Log":
        # Of numbers that are positive.
        before = f"p{index}"
        text = _layer(before, _POSITIVE, bottoms, [before], "")
        return text + _layer(f"l{index}", kind, [before], tops, PARAMETERS[kind](source)), tops
    text = _layer(f"l{index}", kind, bottoms, tops, PARAMETERS[kind](source))
    return text, [top for top in tops if top not in blobs]


def _with_labels(
    source: random.Random, index: int, kind: str, scores: str
) -> tuple[str, list[str]]:
    """Return a layer that measures scores by labels, which are the best of their squares."""
    squared, labels = f"s{index}", f"y{index}"
    text = _layer(squared, "Power", [scores], [squared], "power_param { power: 2 }")
    text += _layer(labels, "ArgMax", [squared], [labels], "argmax_param { axis: 1 }")
    return text + _layer(
        f"l{index}", kind, [scores, labels], [f"b{index}_0"], PARAMETERS[kind](source)
    ), []


def _layer(name: str, kind: str, bottoms: list[str], tops: list[str], said: str) -> str:
    blobs = [f'bottom: "{blob}"' for blob in bottoms] + [f'top: "{blob}"' for blob in tops]
    return f'layer {{ name: "{name}" type: "{kind}" {" ".join(blobs)} {said} }}\n'


def _parsed(text: str) -> Any:
    return parse_prototxt(text)


def _attempted(text: str) -> Network | None:
    try:
        return build_network(_parsed(text), "random")
    except CamError:
        return None


def random_weights(network: Network, number: int) -> dict[str, tuple[NDArray[np.float32], ...]]:
    """Return weights that leave activations of about their size."""
    generator = np.random.default_rng(number)
    weights = {}
    for name, shapes in network.weight_shapes.items():
        if network.layer(name).type == "BatchNorm":
            mean, variance, factor = shapes
            drawn = [generator.normal(0, 0.3, mean), generator.uniform(0.5, 2, variance)]
            drawn.append(np.full(factor, generator.choice((1.0, 2.5))))
        else:
            fan = [max(int(np.prod(shape[1:])), 1) for shape in shapes]
            drawn = [
                generator.normal(0, 1 / np.sqrt(inputs), shape)
                for inputs, shape in zip(fan, shapes, strict=True)
            ]
        weights[name] = tuple(np.asarray(blob, np.float32) for blob in drawn)
    return weights


def by_the_project(text: str, folder: Path, inputs: list[NDArray[np.float32]]) -> list[Blobs]:
    """Return all blobs of a network as the project's pycaffe, which OpenVINO runs, gives them.

    Raises
    ------
    CamError
        If the project refuses the network.
    """
    from cam.pycaffe.net import TEST, Net

    net = Net(folder / "net.prototxt", TEST, weights=folder / "net.caffemodel")
    results = []
    for values in inputs:
        net.blobs["data"].data[...] = values
        net.forward()
        results.append({name: np.array(blob.data) for name, blob in net.blobs.items()})
    return results


def by_the_engine(
    text: str, network: Network, folder: Path, inputs: list[NDArray[np.float32]]
) -> list[Blobs]:
    """Return two blobs of a network as the openvino engine gives them."""
    from cam.caffe.caffemodel import read_caffemodel
    from cam.caffe.head import Head
    from cam.caffe.loaded import LoadedNetwork
    from cam.caffe.network import fit_weights
    from cam.caffe.preprocessing import ILSVRC_2012_MEAN
    from cam.engines.openvino import OpenVinoEngine

    kept = [
        name
        for name, shape in network.blob_shapes.items()
        if name not in network.overwritten and name != "data" and shape[:1] == inputs[0].shape[:1]
    ]
    if not kept:
        return []
    weights = fit_weights(network, read_caffemodel(folder / "net.caffemodel"), "random")
    head = Head(kept[0], "", kept[-1])
    loaded = LoadedNetwork("random", folder, None, network, weights, head, ILSVRC_2012_MEAN, (), "")
    engine = OpenVinoEngine(loaded, threads=1)
    outputs = [engine.forward(values) for values in inputs]
    return [{kept[0]: one.activations, kept[-1]: one.scores} for one in outputs]


def _serve(connection: Connection) -> None:
    """Run networks in Caffe until one ends the process."""
    import caffe

    caffe.set_mode_cpu()
    while True:
        try:
            folder, inputs = connection.recv()
        except EOFError:
            return
        weights = f"{folder}/net.caffemodel"
        net = caffe.Net(f"{folder}/net.prototxt", caffe.TEST, weights=weights)
        results = []
        for values in inputs:
            net.blobs["data"].data[...] = values
            net.forward()
            results.append({name: blob.data.copy() for name, blob in net.blobs.items()})
        connection.send(results)


class CaffeProcess:
    """Caffe in a process of its own, which is started again when a network has ended it."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["caffe"])
        self._start()

    def _start(self) -> None:
        self._connection, theirs = self._context.Pipe()
        self._process = self._context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def run(self, folder: Path, inputs: list[NDArray[np.float32]]) -> list[Blobs] | None:
        """Return all blobs for each input; None if the network ends Caffe, or takes a minute."""
        try:
            self._connection.send((str(folder), inputs))
            if self._connection.poll(60):
                results: list[Blobs] = self._connection.recv()
                return results
        except (EOFError, OSError):
            pass
        self._process.kill()
        self._process.join()
        self._start()
        return None


@dataclass
class Tally:
    """What random networks did: how many of each kind, and which were found to differ."""

    kinds: Counter[str] = field(default_factory=Counter)
    layers: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    found: list[tuple[int, str, str]] = field(default_factory=list)


def compare(text: str, number: int, caffe: CaffeProcess) -> tuple[str, str]:
    """Run a network both ways.

    Parameters
    ----------
    text : str
        Its prototxt.
    number : int
        What weights and inputs are drawn from.
    caffe : CaffeProcess
        Caffe.

    Returns
    -------
    kind, detail : str
        ``"same"``; ``"refused"`` and why; ``"not finite"``, where Caffe gives no numbers;
        ``"rounded"``, where the order of numbers is one of their last digits; or ``"differs"``,
        ``"ends Caffe"`` or ``"fails"`` and what, which are findings.
    """
    try:
        network = build_network(_parsed(text), "random")
    except CamError as error:
        return "refused", str(error)
    generator = np.random.default_rng(number)
    shape = network.input_shape
    inputs = [generator.standard_normal(shape).astype(np.float32) for _ in range(INPUTS)]
    with TemporaryDirectory(prefix="networks-") as name:
        folder = Path(name)
        (folder / "net.prototxt").write_text(text, encoding="utf-8")
        weights = random_weights(network, number)
        write_caffemodel(folder / "net.caffemodel", CaffeModel(_parsed(text), weights))
        try:
            ours = by_the_project(text, folder, inputs)
            engine = by_the_engine(text, network, folder, inputs)
        except CamError as error:
            return "refused", str(error)
        except Exception as error:
            return "fails", f"{type(error).__name__}: {error}"[:500]
        theirs = caffe.run(folder, inputs)
    if theirs is None:
        return "ends Caffe", "the project runs it"
    if not all(np.isfinite(blob).all() for blobs in theirs for blob in blobs.values()):
        return "not finite", ""
    apart = _compared(theirs, ours, "pycaffe") or _compared(theirs, engine, "engine")
    if apart is not None and any(_are_nearly_equal(network, blobs) for blobs in theirs):
        return "rounded", ""
    return apart or ("same", "")


def _are_nearly_equal(network: Network, blobs: Blobs) -> bool:
    """Tell whether numbers of which an ArgMax takes the largest differ by their rounding only.

    The same number raised to a power twice, at two places of a vector, has two last digits in
    Caffe. Numbers that are equal stay so, and which of them is taken is Caffe's rule.
    """
    for layer in network.layers:
        if layer.type == "ArgMax":
            values = np.sort(blobs[layer.bottoms[0]], axis=None)
            steps = np.diff(values[np.abs(values) > 0])
            if ((steps > 0) & (steps < 1e-6 * np.abs(values).max(initial=0))).any():
                return True
    return False


def _compared(theirs: list[Blobs], ours: list[Blobs], who: str) -> tuple[str, str] | None:
    apart = [_difference(expected, actual) for expected, actual in zip(theirs, ours, strict=False)]
    differing = [one for one in apart if one]
    if len(differing) * 2 > max(len(apart), 1):
        return "differs", f"{who}: {differing[0]}"
    return None


def _difference(theirs: Blobs, ours: Blobs) -> str:
    for name, actual in ours.items():
        expected = theirs[name]
        if actual.size != expected.size:
            return f"{name} has the shape {actual.shape}, in Caffe {expected.shape}"
        apart = np.abs(actual.ravel() - expected.ravel()).max(initial=0)
        if not apart <= TOLERANCE * max(float(np.abs(expected).max(initial=0)), 1e-3):
            return f"{name} is off by {apart:.3g}, of {np.abs(expected).max():.3g}"
    return ""


def shrink(text: str, number: int, caffe: CaffeProcess) -> str:
    """Leave layers out of a network for as long as it is found to do the same."""
    kind, _ = compare(text, number, caffe)
    lines = text.splitlines(keepends=True)
    at = len(lines) - 1
    while at > 0:
        without = "".join(lines[:at] + lines[at + 1 :])
        if len(lines) > 2 and compare(without, number, caffe)[0] == kind:
            del lines[at]
        at -= 1
    return "".join(lines)


def run_networks(count: int, seed: int, show: Any = print) -> Tally:
    """Run random networks and count what they did; each finding is shown with a small network."""
    caffe, tally = CaffeProcess(), Tally()
    for number in range(seed * 10**9, seed * 10**9 + count):
        text = random_network(number)
        kind, detail = compare(text, number, caffe)
        tally.kinds[kind] += 1
        if kind == "refused":
            tally.refusals[detail.rpartition(": ")[2][:70]] += 1
        if kind == "same":
            tally.layers.update(layer.type for layer in _parsed(text).layer)
        if kind in ("differs", "ends Caffe", "fails"):
            small = shrink(text, number, caffe)
            tally.found.append((number, f"{kind}: {detail}", small))
            show(f"network {number} {kind}: {detail}\n{small}")
    return tally
