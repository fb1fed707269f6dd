"""The same work side by side: this program, the pycaffe port, torchcam and pytorch-grad-cam.

All contestants run the same network with the same weights on the same decoded picture, in turns
within one process, so that what disturbs the machine disturbs them all. Times are wall clock and
processor time; ratios are taken turn by turn. Each call of a contestant ends with what a user
wants: five overlays, or the original's figure.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property, lru_cache
from importlib import metadata
from math import prod
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cam import zoo
from cam.caffe.caffemodel import Blobs
from cam.caffe.head import Head, find_head
from cam.caffe.network import Network, load_network, load_weights
from cam.errors import CamError
from cam.explain.model import CamModel, load_files
from cam.explain.styles import get_style
from cam.fidelity.doctor import versions
from cam.files import models_folder
from cam.pictures.reading import Picture, center_crop

__all__ = [
    "CONTESTANTS",
    "TARGETS",
    "Contestant",
    "Target",
    "bench",
    "explain_alone",
    "multiply_accumulates",
    "quartiles",
    "summarize",
]

TOP = 5
CALLS_PER_TURN = 3
MATRIX_SIZE = 1024
TOLERANCE = 1e-4
"""How far another framework's scores and activations may lie from the engine's, of the largest."""

RIVAL_PACKAGES = ("torch", "torchcam", "grad-cam", "torchvision", "matplotlib", "pillow")

Call = Callable[[], Any]


class NotHereError(Exception):
    """A contestant cannot run on this machine; the message says why."""


@dataclass(frozen=True)
class Setup:
    """What all contestants work on.

    Attributes
    ----------
    model : CamModel
        The model with the engine that is measured.
    network, weights, head
        Its network.
    prototxt, caffemodel : pathlib.Path
        The files that they come from.
    picture : numpy.ndarray
        The decoded picture, uint8 BGR.
    threads : int
        How many threads each contestant may use.
    """

    model: CamModel
    network: Network
    weights: Mapping[str, Blobs]
    head: Head
    prototxt: Path
    caffemodel: Path
    picture: Picture
    threads: int

    def batch(self, style: str) -> NDArray[np.float32]:
        """Return the network's input for the picture in a style."""
        prepared = get_style(style).prepare(
            self.picture, self.model.crop_size, self.model.preprocessing
        )
        return prepared.batch

    @cached_property
    def torch_network(self) -> Any:
        """The network in PyTorch, checked against the engine."""
        try:
            import torch
        except ImportError as error:
            raise NotHereError(f"PyTorch is not installed ({error})") from error
        from benchmarks.torchnet import TorchNetwork

        torch.set_num_threads(self.threads)
        network = TorchNetwork(self.network, self.weights, self.head)
        seen = []
        with torch.inference_mode():
            hook = network.last_conv.register_forward_hook(lambda *a: seen.append(a[2].numpy()))
            scores = network(torch.from_numpy(self.batch("pycaffe"))).softmax(1).numpy()
            hook.remove()
        self.check("PyTorch", seen[0], scores)
        return network

    def check(
        self, name: str, activations: NDArray[np.float32], scores: NDArray[np.float32]
    ) -> None:
        """Raise `CamError` if another framework's result for the picture is not the engine's."""
        forward = self.model.engine.forward(self.batch("pycaffe"))
        for ours, theirs in ((forward.activations, activations), (forward.scores, scores)):
            difference = float(np.abs(ours - theirs).max() / np.abs(ours).max())
            if not difference <= TOLERANCE:
                raise CamError(
                    f"{name} does not compute the same network: {difference:.1e} of the largest "
                    f"value apart, {TOLERANCE:.0e} allowed"
                )


def _forward(setup: Setup, style: str) -> Call:
    batch, engine = setup.batch(style), setup.model.engine
    return lambda: engine.forward(batch)


def _overlays(setup: Setup) -> Call:
    def call() -> list[Picture]:
        result = setup.model.explain(setup.picture, TOP, "pycaffe")
        return [result.overlay(k) for k in range(TOP)]

    return call


def _figure(setup: Setup) -> Call:
    return lambda: setup.model.explain(setup.picture, TOP, "matlab").montage()


def _pycaffe_port(setup: Setup) -> Call:
    """Do what `py_demo.py` of gcucurull/CAM-Python does between reading and showing a picture."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    try:
        import caffe
    except ImportError as error:
        raise NotHereError(f"pycaffe is not installed ({error})") from error
    caffe.set_mode_cpu()
    net = caffe.Net(str(setup.prototxt), caffe.TEST, weights=str(setup.caffemodel))
    crop, input_name = setup.model.crop_size, setup.network.input_name
    net.blobs[input_name].reshape(1, 3, crop, crop)
    mean = np.array(setup.model.preprocessing.mean)[:, np.newaxis, np.newaxis]
    if setup.model.preprocessing.channels != "BGR":
        raise NotHereError("the port knows networks of BGR pictures only")

    def stretched(values: NDArray[Any]) -> Any:
        return cv2.normalize(
            values.astype(np.float64),
            None,
            0.0,
            1.0,
            cv2.NORM_MINMAX,  # type: ignore[call-overload]
        )

    def call() -> list[Picture]:
        frame = cv2.resize(setup.picture, (256, 256))
        pixels = frame[center_crop(np.asarray(frame, np.uint8), crop)].transpose(2, 0, 1)
        net.blobs[input_name].data[...] = (pixels - mean) * setup.model.preprocessing.scale
        net.forward()
        scores = net.blobs[setup.head.scores].data[0]
        activation = net.blobs[setup.head.last_conv].data[0]
        class_weights = net.params[setup.head.class_layer][0].data
        vectors = activation.reshape(len(activation), -1)
        overlays = []
        for index in np.argsort(scores)[::-1][:TOP]:
            raw = np.dot(class_weights[index], vectors).reshape(activation.shape[1:])
            heat_map = stretched(cv2.resize(raw.astype(np.float64), (256, 256)))
            heat = cv2.applyColorMap(np.round(heat_map * 255).astype(np.uint8), cv2.COLORMAP_JET)
            overlay = 0.2 * stretched(frame) + 0.7 * stretched(heat)
            overlays.append(np.round(overlay * 255).astype(np.uint8))
        return overlays

    call()
    setup.check("Caffe", net.blobs[setup.head.last_conv].data, net.blobs[setup.head.scores].data)
    return call


def _torch_forward(setup: Setup) -> Call:
    network = setup.torch_network
    import torch

    batch = torch.from_numpy(setup.batch("pycaffe"))

    def call() -> Any:
        with torch.inference_mode():
            return network(batch)

    return call


def _torchcam(setup: Setup) -> Call:
    network = setup.torch_network
    try:
        from torchcam.methods import CAM
        from torchcam.utils import overlay_mask
    except ImportError as error:
        raise NotHereError(f"torchcam is not installed ({error})") from error
    import torch
    from PIL import Image

    style, model = get_style("pycaffe"), setup.model
    extractor = CAM(network, network.last_conv, network.class_layer)

    def call() -> list[Any]:
        prepared = style.prepare(setup.picture, model.crop_size, model.preprocessing)
        with torch.inference_mode():
            scores = network(torch.from_numpy(prepared.batch))
        background = Image.fromarray(np.ascontiguousarray(prepared.frame[:, :, ::-1]))
        overlays = []
        for index in scores[0].topk(TOP).indices.tolist():
            (heat_map,) = extractor(index, scores)
            overlays.append(overlay_mask(background, Image.fromarray(heat_map[0].numpy())))
        return overlays

    return call


def _grad_cam(setup: Setup) -> Call:
    network = setup.torch_network
    grad_cam, show_cam_on_image, class_target = _import_grad_cam()
    import torch

    style, model = get_style("pycaffe"), setup.model
    extractor = grad_cam(model=network, target_layers=[network.last_conv])

    def call() -> list[Any]:
        prepared = style.prepare(setup.picture, model.crop_size, model.preprocessing)
        batch = torch.from_numpy(prepared.batch)
        with torch.no_grad():
            scores = network(batch)
        targets = [class_target(index) for index in scores[0].topk(TOP).indices.tolist()]
        heat_maps = extractor(input_tensor=batch.repeat(TOP, 1, 1, 1), targets=targets)
        cropped = prepared.frame[center_crop(prepared.frame, model.crop_size)]
        background = cropped[:, :, ::-1].astype(np.float32) / 255
        return [show_cam_on_image(background, heat_map, use_rgb=True) for heat_map in heat_maps]

    return call


def _import_grad_cam() -> tuple[Any, Any, Any]:
    """Return GradCAM, show_cam_on_image and ClassifierOutputTarget."""
    try:
        import torchvision  # noqa: F401
    except ImportError as error:
        raise NotHereError(f"pytorch-grad-cam needs torchvision ({error})") from error
    except RuntimeError:
        _declare_torchvision_operators()
    try:
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.image import show_cam_on_image
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    except (ImportError, RuntimeError) as error:
        raise NotHereError(f"pytorch-grad-cam does not import ({error})") from error
    return GradCAM, show_cam_on_image, ClassifierOutputTarget


@lru_cache(maxsize=1)
def _declare_torchvision_operators() -> Any:
    """Let a torchvision that was built for CUDA import beside a PyTorch without CUDA.

    It cannot load its compiled operators there, and its Python parts, all that GradCAM uses, ask
    for these two names when they are imported. The declaration lasts as long as what is returned.
    """
    import torch

    make_library: Any = torch.library.Library
    library = make_library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


def _random_matrices() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    generator = np.random.default_rng(0)
    shape = (2, MATRIX_SIZE, MATRIX_SIZE)
    first, second = generator.standard_normal(shape, dtype=np.float32)
    return first, second


def _sgemm_numpy(setup: Setup) -> Call:
    first, second = _random_matrices()
    product = np.empty_like(first)
    return lambda: np.matmul(first, second, out=product)


def _sgemm_openvino(setup: Setup) -> Call:
    import openvino
    from onnx import TensorProto, helper, numpy_helper

    first, second = _random_matrices()
    shapes = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, list(first.shape))
        for name in ("a", "c")
    }
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["a", "b"], ["c"])],
        "sgemm",
        [shapes["a"]],
        [shapes["c"]],
        [numpy_helper.from_array(second, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    core = openvino.Core()
    options = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": setup.threads,
    }
    compiled = core.compile_model(core.read_model(model.SerializeToString(), b""), "CPU", options)
    request = compiled.create_infer_request()
    request.set_input_tensor(openvino.Tensor(first, shared_memory=True))
    return request.infer  # type: ignore[no-any-return]


def _sgemm_torch(setup: Setup) -> Call:
    try:
        import torch
    except ImportError as error:
        raise NotHereError(f"PyTorch is not installed ({error})") from error
    torch.set_num_threads(setup.threads)
    first, second = (torch.from_numpy(matrix) for matrix in _random_matrices())
    product = torch.empty_like(first)
    return lambda: torch.matmul(first, second, out=product)


@dataclass(frozen=True)
class Contestant:
    """One piece of work that is measured.

    Attributes
    ----------
    key : str
        Its name in the results.
    label : str
        What it does, in words.
    prepare : callable
        Makes the call that is timed; raises `NotHereError` where it cannot run.
    """

    key: str
    label: str
    prepare: Callable[[Setup], Call]


CONTESTANTS = (
    Contestant("forward_1", "engine's forward alone, 1 crop", lambda s: _forward(s, "pycaffe")),
    Contestant("ours_1", "ours, 1 crop, five overlays", _overlays),
    Contestant("torch_forward_1", "PyTorch's forward alone, 1 crop", _torch_forward),
    Contestant("torchcam_1", "torchcam, 1 crop, five overlays", _torchcam),
    Contestant("grad_cam_1", "pytorch-grad-cam, 1 crop, five overlays", _grad_cam),
    Contestant("pycaffe_port_1", "pycaffe port, 1 crop, five overlays", _pycaffe_port),
    Contestant("forward_10", "engine's forward alone, 10 crops", lambda s: _forward(s, "matlab")),
    Contestant("ours_10", "ours, 10 crops, merge and figure", _figure),
    Contestant("sgemm_numpy", "matrix product, NumPy", _sgemm_numpy),
    Contestant("sgemm_openvino", "matrix product, OpenVINO", _sgemm_openvino),
    Contestant("sgemm_torch", "matrix product, PyTorch", _sgemm_torch),
)


@dataclass(frozen=True)
class Target:
    """A ratio of two times that is to stay below a bound.

    Attributes
    ----------
    numerator, denominator : str
        Contestants' keys.
    at_most : float or None
        The bound, None where the ratio is only reported.
    """

    numerator: str
    denominator: str
    at_most: float | None = None


TARGETS = (
    Target("ours_1", "torchcam_1", 0.60),
    Target("ours_1", "pycaffe_port_1", 0.25),
    Target("forward_1", "pycaffe_port_1"),
    Target("ours_1", "grad_cam_1"),
    Target("ours_1", "forward_1", 1.10),
    Target("ours_10", "forward_10", 1.08),
)

SGEMM_SHARE_AT_LEAST = 0.75
PEAK_MEMORY_AT_MOST_MB = 600


def multiply_accumulates(network: Network) -> int:
    """Return how many multiplications and additions one crop takes.

    Parameters
    ----------
    network : Network
        The network; its convolutions and inner products are counted.

    Returns
    -------
    int
        Multiply-accumulates; the floating-point operations are twice as many.
    """
    total = 0
    for layer in network.layers:
        if layer.type in ("Convolution", "InnerProduct"):
            top = network.blob_shapes[layer.tops[0]]
            total += prod(network.weight_shapes[layer.name][0]) * prod(top[2:])
    return total


def quartiles(values: Sequence[float] | NDArray[np.float64]) -> dict[str, float]:
    """Return the median and the quartiles of some numbers.

    Examples
    --------
    >>> quartiles([3.0, 1.0, 2.0])
    {'q1': 1.5, 'median': 2.0, 'q3': 2.5}
    """
    q1, middle, q3 = (float(q) for q in np.quantile(values, (0.25, 0.5, 0.75)))
    return {"q1": q1, "median": middle, "q3": q3}


def bench(
    model: str = "googlenet",
    picture: Picture | None = None,
    rounds: int = 10,
    threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
    contestants: Sequence[Contestant] = CONTESTANTS,
) -> dict[str, Any]:
    """Measure all contestants that can run here.

    Parameters
    ----------
    model : str, optional
        A model of the table. Seeded random weights do where the original ones are missing: the
        time does not depend on their values.
    picture : numpy.ndarray, optional
        A decoded picture, uint8 BGR; the demo's photograph if not given.
    rounds : int, optional
        How often each contestant gets a turn: one call that is not timed, then three that are.
    threads : int, optional
        How many threads each contestant may use.
    progress : callable, optional
        Called with the turns done and the turns in all.
    contestants : sequence of Contestant, optional
        Whom to measure.

    Returns
    -------
    dict
        Machine, versions, settings, all times and what follows from them, ready for JSON.

    Raises
    ------
    CamError
        If there is no such model, or a contestant does not compute the same network.
    """
    if rounds < 1 or threads < 1:
        raise CamError(f"{rounds} rounds on {threads} threads; both must be 1 or more")
    info = zoo.get(model)
    prototxt = models_folder() / info.prototxt
    if picture is None:
        picture = np.asarray(cv2.imread(str(_DEMO_PICTURE)), np.uint8)
    with _caffemodel(info, prototxt) as (caffemodel, weights_note):
        memory = {
            style: _peak_memory(prototxt, caffemodel, style, threads)
            for style in ("pycaffe", "matlab")
        }
        setup = _set_up(info, prototxt, caffemodel, picture, threads)
        calls, missing = _prepare(contestants, setup)
        load_before = _load_average()
        turns = _measure(calls, rounds, threads, progress)
        macs = multiply_accumulates(setup.network)
        header = {
            "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "machine": {**_machine(), "load_average": [load_before, _load_average()]},
            "versions": _versions(),
            "model": {
                "name": info.name,
                "weights": weights_note,
                "multiply_accumulates": macs,
            },
            "settings": {
                "threads": threads,
                "rounds": rounds,
                "calls_per_turn": CALLS_PER_TURN,
                "picture": list(picture.shape),
            },
        }
    labels = {contestant.key: contestant.label for contestant in contestants}
    return {
        **header,
        "timings": {key: {"label": labels[key], **turns[key]} for key in turns},
        "not_run": {key: {"label": labels[key], "reason": missing[key]} for key in missing},
        **summarize(turns, macs),
        "peak_memory_mb": {"styles": memory, "at_most": PEAK_MEMORY_AT_MOST_MB},
    }


_DEMO_PICTURE = Path(__file__).parents[1] / "cam" / "data" / "coffee.png"

Turns = Mapping[str, Mapping[str, list[list[float]]]]


def summarize(turns: Turns, macs: int) -> dict[str, Any]:
    """Return ratios and rates, each with its quartiles over the rounds.

    Parameters
    ----------
    turns : mapping
        For each contestant ``wall_ms`` and ``cpu_ms``: for each round the times of its calls.
    macs : int
        Multiply-accumulates of one crop.

    Returns
    -------
    dict
        ``times``, ``ratios`` and, where matrix products were measured, ``sgemm``.
    """
    clocks = ("wall_ms", "cpu_ms")
    per_round = {
        key: {clock: np.array([median(turn) for turn in times[clock]]) for clock in clocks}
        for key, times in turns.items()
    }
    times = {
        key: {clock: quartiles(np.concatenate(turns[key][clock])) for clock in clocks}
        for key in turns
    }
    ratios = [
        {
            "numerator": target.numerator,
            "denominator": target.denominator,
            "at_most": target.at_most,
            **{
                clock: quartiles(
                    per_round[target.numerator][clock] / per_round[target.denominator][clock]
                )
                for clock in clocks
            },
        }
        for target in TARGETS
        if target.numerator in turns and target.denominator in turns
    ]
    products = [key for key in turns if key.startswith("sgemm")]
    if not products or "forward_1" not in turns:
        return {"times": times, "ratios": ratios}
    fastest = min(products, key=lambda key: times[key]["cpu_ms"]["median"])
    # Billions of operations a second, from milliseconds.
    product_rates = {c: 2e-6 * MATRIX_SIZE**3 / per_round[fastest][c] for c in clocks}
    forward_rates = {c: 2e-6 * macs / per_round["forward_1"][c] for c in clocks}
    sgemm = {
        "fastest": fastest,
        "matrix_size": MATRIX_SIZE,
        "at_least": SGEMM_SHARE_AT_LEAST,
        "gflops": {clock: quartiles(product_rates[clock]) for clock in clocks},
        "forward_gflops": {clock: quartiles(forward_rates[clock]) for clock in clocks},
        "share": {
            clock: quartiles(forward_rates[clock] / product_rates[clock]) for clock in clocks
        },
    }
    return {"times": times, "ratios": ratios, "sgemm": sgemm}


@contextmanager
def _caffemodel(info: zoo.ZooModel, prototxt: Path) -> Iterator[tuple[Path, str]]:
    """Give a model's weights, or seeded random ones, and say which they are."""
    try:
        path = zoo.find_weights(info)
    except CamError:
        with zoo.load_network(info.name, seed=0).weights_file() as path:
            yield path, "random, seed 0 (the original ones are not on this machine)"
    else:
        yield path, path.name


def _set_up(
    info: zoo.ZooModel, prototxt: Path, caffemodel: Path, picture: Picture, threads: int
) -> Setup:
    model = load_files(
        prototxt,
        caffemodel,
        preprocessing=info.preprocessing,
        class_names=zoo.class_names(info.categories),
        name=info.name,
        engine="openvino",
        threads=threads,
    )
    network = load_network(prototxt)
    weights = load_weights(network, caffemodel)
    head = find_head(network, info.last_conv, info.class_layer)
    return Setup(model, network, weights, head, prototxt, caffemodel, picture, threads)


def _prepare(
    contestants: Sequence[Contestant], setup: Setup
) -> tuple[dict[str, Call], dict[str, str]]:
    calls, missing = {}, {}
    for contestant in contestants:
        try:
            calls[contestant.key] = contestant.prepare(setup)
        except NotHereError as error:
            missing[contestant.key] = str(error)
    return calls, missing


def _measure(
    calls: Mapping[str, Call],
    rounds: int,
    threads: int,
    progress: Callable[[int, int], None] | None,
) -> dict[str, dict[str, list[list[float]]]]:
    from threadpoolctl import threadpool_limits

    turns: dict[str, dict[str, list[list[float]]]] = {
        key: {"wall_ms": [], "cpu_ms": []} for key in calls
    }
    order = list(calls)
    # Libraries come with pools of their own, and all of them are loaded by now.
    with threadpool_limits(threads):
        for number in range(rounds):
            for place, key in enumerate(order):
                wall, cpu = _turn(calls[key])
                turns[key]["wall_ms"].append(wall)
                turns[key]["cpu_ms"].append(cpu)
                if progress:
                    progress(number * len(order) + place + 1, rounds * len(order))
            order = order[1:] + order[:1]
    return turns


def _turn(call: Call) -> tuple[list[float], list[float]]:
    """Return wall and processor times in milliseconds; the first call fills caches untimed."""
    call()
    wall, cpu = [], []
    for _ in range(CALLS_PER_TURN):
        wall_start, cpu_start = time.perf_counter(), time.process_time()
        call()
        cpu.append((time.process_time() - cpu_start) * 1e3)
        wall.append((time.perf_counter() - wall_start) * 1e3)
    return wall, cpu


def _peak_memory(prototxt: Path, caffemodel: Path, style: str, threads: int) -> float:
    """Return the most memory in MB that a process of its own takes to explain one picture."""
    script = (
        "import sys; from benchmarks.measure import explain_alone; explain_alone(*sys.argv[1:])"
    )
    arguments = [str(prototxt), str(caffemodel), style, str(threads)]
    finished = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True
    )
    return float(finished.stdout)


def explain_alone(prototxt: str, caffemodel: str, style: str, threads: str) -> None:
    """Explain the demo's photograph and print this process's peak memory in MB."""
    model = load_files(prototxt, caffemodel, engine="openvino", threads=int(threads))
    model.explain(_DEMO_PICTURE, TOP, style).montage()
    print(_high_water_mark())


def _high_water_mark() -> float:
    status = Path("/proc/self/status")
    if status.exists():
        # What `getrusage` says on Linux contains the parent's memory before the program started.
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) / 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024


def _machine() -> dict[str, Any]:
    from threadpoolctl import threadpool_info

    libraries = {
        f"{pool['internal_api']} {pool['version']} ({pool.get('architecture', '')})"
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    }
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "blas": sorted(libraries),
    }


def _load_average() -> float | None:
    """Return how many processes wanted to run over the last minute, where the system says so."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _processor() -> str:
    table = Path("/proc/cpuinfo")
    if table.exists():
        for line in table.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    found = versions()
    # The machine is described beside the versions.
    found.pop("platform", None)
    for package in RIVAL_PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    try:
        import caffe
    except ImportError:
        found["caffe"] = "not installed"
    else:
        found["caffe"] = caffe.__version__
    return found
