"""Every method of pycaffe's interface takes NumPy's integers and pathlib's paths.

Each entry of `CALLS` uses one of them and returns what can be seen of it, with numbers and file
names made by `number` and `path`: it must be the same whatever these make of them.
"""

from __future__ import annotations

import inspect
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

pytestmark = [pytest.mark.caffe, pytest.mark.usefixtures("project_caffe")]

PROTOTXT = """
name: "net" force_backward: true
input: "data" input_shape { dim: 2 dim: 3 dim: 8 dim: 8 }
layer { type: "Convolution" name: "conv" bottom: "data" top: "conv" convolution_param {
  num_output: 4 kernel_size: 3 weight_filler { type: "gaussian" std: 1 } } }
layer { type: "ReLU" name: "relu" bottom: "conv" top: "conv" include { max_level: 1 } }
layer { type: "InnerProduct" name: "ip" bottom: "conv" top: "ip" inner_product_param {
  num_output: 5 weight_filler { type: "gaussian" std: 0.1 } } }
"""

SOLVED_PROTOTXT = """
layer { type: "DummyData" name: "data" top: "data" top: "label" dummy_data_param {
  shape { dim: 2 dim: 3 } shape { dim: 2 dim: 1 }
  data_filler { type: "constant" value: 1 } data_filler { type: "constant" value: 2 } } }
layer { type: "InnerProduct" name: "ip" bottom: "data" top: "ip" inner_product_param {
  num_output: 1 } }
layer { type: "EuclideanLoss" name: "loss" bottom: "ip" bottom: "label" top: "loss" }
"""

PYTHON_LAYER = """
import caffe
import numpy as np

number = {}

class Repeat(caffe.Layer):
    def setup(self, bottom, top):
        self.times = number(int(self.param_str))
        self.blobs.add_blob(self.times, number(2))

    def reshape(self, bottom, top):
        top[number(0)].reshape(self.times, *map(number, bottom[number(0)].shape))

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data
"""

PYTHON_PROTOTXT = """
input: "data" input_shape { dim: 2 dim: 3 }
layer { type: "Python" name: "repeat" bottom: "data" top: "repeat"
  python_param { module: "repeat" layer: "Repeat" param_str: "4" } }
"""


class Given(NamedTuple):
    """What a call gets: Caffe, files, and how to make the numbers and paths of its arguments."""

    caffe: Any
    folder: Path
    number: Callable[[int], Any]
    path: Callable[[Path], Any]

    def file(self, name: str) -> Any:
        return self.path(self.folder / name)

    def net(self) -> Any:
        net = self.caffe.Net(str(self.folder / "net.prototxt"), self.caffe.TEST)
        net.copy_from(str(self.folder / "net.caffemodel"))
        net.blobs["data"].data[...] = np.arange(384).reshape(2, 3, 8, 8) / 100
        return net

    def solver(self) -> Any:
        return self.caffe.SGDSolver(str(self.folder / "solver.prototxt"))


def parameters(net: Any) -> list[list[float]]:
    return [blob.data.ravel().tolist() for blobs in net.params.values() for blob in blobs]


def blob_shapes(net: Any) -> dict[str, list[int]]:
    return {name: list(blob.shape) for name, blob in net.blobs.items()}


def a_net(given: Given, *arguments: Any, **named: Any) -> Any:
    net = given.caffe.Net(given.file("net.prototxt"), *arguments, **named)
    return list(net._layer_names), parameters(net)


def a_net_by_names(given: Given) -> Any:
    numbers = {"phase": given.number(1), "level": given.number(2)}
    return a_net(given, **numbers, stages=["a"], weights=given.file("net.caffemodel"))


def a_net_that_is_filled(given: Given) -> Any:
    given.caffe.set_random_seed(given.number(7))
    return a_net(given, given.number(0))


def forward(given: Given) -> Any:
    net = given.net()
    outputs = net.forward(start=given.number(0), end=given.number(1))
    return {name: data.tolist() for name, data in outputs.items()}


def backward(given: Given) -> Any:
    net = given.net()
    net.forward()
    net.blobs["ip"].diff[...] = 1
    outputs = net.backward(start=given.number(2), end=given.number(-3))
    return {name: diff.tolist() for name, diff in outputs.items()}


def forward_by_numbers(given: Given) -> Any:
    net = given.net()
    net._forward(given.number(0), given.number(2))
    net._backward(given.number(2), given.number(1))
    return net.blobs["ip"].data.tolist(), list(net._bottom_ids(given.number(2)))


def reshaped(given: Given) -> Any:
    net = given.net()
    net.blobs["data"].reshape(*map(given.number, (4, 3, 8, 8)))
    net.reshape()
    return blob_shapes(net)


def items(given: Given) -> Any:
    net, first = given.net(), given.number(0)
    kernel = net.params["conv"][first]
    return net.layers[first].type, net._layer_names[given.number(-1)], kernel.shape[first]


def weights_written(given: Given, write: str, read: str) -> Any:
    file, net, other = given.file("written"), given.net(), given.net()
    getattr(net, write)(file)
    other.params["conv"][0].data[...] = 0
    getattr(other, read)(file)
    return parameters(other)


def set_and_read(given: Given, name: str, value: int, reset: int) -> Any:
    getattr(given.caffe, f"set_{name}")(given.number(value))
    found = getattr(given.caffe, name)()
    getattr(given.caffe, f"set_{name}")(reset)
    return found


def multiprocess(given: Given) -> None:
    for value in (1, 0):
        given.caffe.set_multiprocess(given.number(value))


def solver_of(given: Given, kind: str) -> Any:
    return list(getattr(given.caffe, kind)(given.file("solver.prototxt")).net.blobs)


def stepped(given: Given) -> Any:
    solver = given.solver()
    solver.param.base_lr = given.number(1)
    solver.step(given.number(3))
    return solver.iter, solver.param.base_lr, parameters(solver.net)


def resumed(given: Given, method: str) -> Any:
    solver = given.solver()
    solver.step(2)
    solver.snapshot()
    state = given.file("snapshot_iter_2.solverstate")
    other = given.solver()
    getattr(other, method)(state)
    return other.iter, parameters(other.net)


def python_layer(given: Given) -> Any:
    kind = "int" if given.number is int else f"np.{given.number.__name__}"
    (given.folder / "repeat.py").write_text(PYTHON_LAYER.format(kind))
    sys.path.insert(0, str(given.folder))
    try:
        net = given.caffe.Net(given.file("python.prototxt"), given.number(1))
    finally:
        sys.path.remove(str(given.folder))
        sys.modules.pop("repeat", None)
        shutil.rmtree(given.folder / "__pycache__", ignore_errors=True)
    return blob_shapes(net), list(net.params["repeat"][0].shape)


def classified(given: Given) -> Any:
    files = (given.file("net.prototxt"), given.file("net.caffemodel"))
    dims = [given.number(10), given.number(12)]
    swap = [given.number(2), given.number(1), given.number(0)]
    classifier = given.caffe.Classifier(*files, image_dims=dims, channel_swap=swap, raw_scale=255)
    return classifier.predict([given.caffe.io.load_image(given.file("picture.png"))]).tolist()


def detected(given: Given) -> Any:
    files = (given.file("net.prototxt"), given.file("net.caffemodel"))
    detector = given.caffe.Detector(*files, context_pad=given.number(2))
    window = np.array([given.number(edge) for edge in (2, 1, 14, 15)])
    found = detector.detect_windows([(given.file("picture.png"), [window])])
    return [(Path(each["filename"]), each["prediction"].tolist()) for each in found]


def resized(given: Given) -> Any:
    picture = given.caffe.io.load_image(given.file("picture.png"))
    dims = (given.number(5), given.number(6))
    small = given.caffe.io.resize_image(picture, dims, interp_order=given.number(1))
    crops = given.caffe.io.oversample([small], tuple(map(given.number, (3, 4))))
    return small.tolist(), crops.tolist()


def datum(given: Given) -> Any:
    return given.caffe.io.array_to_datum(np.ones((3, 2, 2)), given.number(6)).SerializeToString()


def transformed(given: Given) -> Any:
    transformer = given.caffe.io.Transformer({"data": tuple(map(given.number, (1, 3, 8, 8)))})
    transformer.set_transpose("data", tuple(map(given.number, (2, 0, 1))))
    transformer.set_channel_swap("data", tuple(map(given.number, (2, 1, 0))))
    transformer.set_raw_scale("data", given.number(255))
    transformer.set_input_scale("data", given.number(2))
    transformer.set_mean("data", np.array([given.number(104), given.number(117), given.number(9)]))
    inputs = transformer.preprocess("data", given.caffe.io.load_image(given.file("picture.png")))
    return inputs.tolist(), transformer.deprocess("data", inputs).tolist()


def specified(given: Given) -> Any:
    layers, spec, number = given.caffe.layers, given.caffe.NetSpec(), given.number
    spec.data = layers.Input(shape={"dim": np.array([number(size) for size in (1, 3, 9, 9)])})
    kernel = [number(3), number(2)]
    spec.conv = layers.Convolution(spec.data, num_output=number(4), kernel_size=kernel)
    spec.a, spec.b = layers.Slice(spec.conv, ntop=number(2), axis=number(1))
    spec.power = layers.Power(spec.a, scale=number(2))
    spec.lmdb = layers.Data(source=given.file("lmdb"), batch_size=number(8))
    return str(spec.to_proto()), str(given.caffe.to_proto(spec.power))


def drawn(given: Given) -> Any:
    import caffe.draw
    from google.protobuf import text_format

    message = caffe.proto.caffe_pb2.NetParameter()
    text_format.Merge((given.folder / "net.prototxt").read_text(), message)
    caffe.draw.draw_net_to_file(message, given.file("net.dot"), phase=given.number(1))
    return (given.folder / "net.dot").read_bytes()


SOLVERS = ["SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"]

CALLS: dict[str, Callable[[Given], Any]] = {
    "Net(prototxt, phase)": lambda given: a_net(given, given.number(1))[0],
    "Net(prototxt, phase, level)": lambda given: a_net(given, given.number(1), given.number(2))[0],
    "Net(prototxt, weights, phase)": lambda given: a_net(
        given, given.file("net.caffemodel"), given.number(1)
    ),
    "Net(prototxt, phase, weights)": lambda given: a_net(
        given, given.number(1), given.file("net.caffemodel")
    ),
    "Net(prototxt, phase, weights=)": lambda given: a_net(
        given, given.number(1), weights=given.file("net.caffemodel")
    ),
    "Net(phase=, level=, stages=, weights=)": a_net_by_names,
    "set_random_seed": a_net_that_is_filled,
    "Net.forward": forward,
    "Net.backward": backward,
    "Net._forward + Net._backward": forward_by_numbers,
    "Net.save + Net.copy_from": lambda given: weights_written(given, "save", "copy_from"),
    "Net.save_hdf5 + Net.load_hdf5": lambda given: weights_written(given, "save_hdf5", "load_hdf5"),
    "Blob.reshape": reshaped,
    "Net.params + Net.layers + Blob.shape": items,
    "Layer + BlobVec.add_blob": python_layer,
    "set_solver_count + solver_count": lambda given: set_and_read(given, "solver_count", 3, 1),
    "set_solver_rank + solver_rank": lambda given: set_and_read(given, "solver_rank", 2, 0),
    "set_multiprocess": multiprocess,
    "get_solver": lambda given: solver_of(given, "get_solver"),
    **{
        f"{kind}Solver": lambda given, kind=kind: solver_of(given, f"{kind}Solver")
        for kind in SOLVERS
    },
    "SGDSolver.step + SGDSolver.param": stepped,
    "SGDSolver.restore": lambda given: resumed(given, "restore"),
    "SGDSolver.solve": lambda given: resumed(given, "solve"),
    "Classifier": classified,
    "Detector": detected,
    "io.load_image + io.resize_image + io.oversample": resized,
    "io.array_to_datum": datum,
    "io.Transformer": transformed,
    "NetSpec + layers + to_proto": specified,
    "draw.draw_net_to_file": drawn,
}

IN_A_PROCESS_OF_THEIR_OWN = ("init_log({})", "init_log({}, np.bool_(True))", "set_device({})")
"""Calls that can be made once, and that end the process where there is no GPU."""

TAKE_NEITHER = {
    *("set_mode_cpu", "set_mode_gpu", "has_nccl", "layer_type_list", "log", "params"),
    *("TRAIN", "TEST", "NCCL", "Timer"),
    *("Net.blobs", "Net.blob_loss_weights", "Net.layer_dict"),
    *("Net.inputs", "Net.outputs", "Net.top_names", "Net.bottom_names"),
    *("Net.forward_all", "Net.forward_backward_all", "Net.set_input_arrays", "Net.reshape"),
    *("Net.clear_param_diffs", "Net.share_with"),
    *("Net.before_forward", "Net.after_forward", "Net.before_backward", "Net.after_backward"),
    *("Blob.num", "Blob.channels", "Blob.height", "Blob.width", "Blob.count"),
    *("Blob.data", "Blob.diff", "BlobVec.append", "BlobVec.extend"),
    *("SGDSolver.net", "SGDSolver.test_nets", "SGDSolver.iter", "SGDSolver.lr"),
    *("SGDSolver.add_callback", "SGDSolver.share_weights", "SGDSolver.apply_update"),
    "SGDSolver.snapshot",
    *("io.blobproto_to_array", "io.array_to_blobproto", "io.datum_to_array"),
    *("io.arraylist_to_blobprotovector_str", "io.blobprotovector_str_to_arraylist"),
    *("draw.get_pooling_types_dict", "draw.get_edge_label", "draw.get_layer_lr_mult"),
    *("draw.get_layer_label", "draw.choose_color_by_layertype", "draw.get_pydot_graph"),
    "draw.draw_net",
}
"""All else that is public: without arguments, or of arrays, messages, names, functions and nets."""


@pytest.fixture(scope="module")
def folder(project_caffe, tmp_path_factory) -> Path:
    from skimage.io import imsave

    folder = tmp_path_factory.mktemp("files")
    (folder / "net.prototxt").write_text(PROTOTXT)
    (folder / "python.prototxt").write_text(PYTHON_PROTOTXT)
    (folder / "solved.prototxt").write_text(SOLVED_PROTOTXT)
    (folder / "solver.prototxt").write_text(
        f'net: "{folder}/solved.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 5\n'
        f'snapshot_prefix: "{folder}/snapshot" snapshot_after_train: false'
    )
    pixels = np.random.default_rng(0).integers(0, 256, (20, 22, 3), np.uint8)
    imsave(folder / "picture.png", pixels, check_contrast=False)
    project_caffe.set_random_seed(1)
    project_caffe.Net(str(folder / "net.prototxt"), 1).save(str(folder / "net.caffemodel"))
    return folder


@pytest.mark.parametrize("number", [np.int16, np.int32, np.int64, np.array])
@pytest.mark.parametrize("name", CALLS)
def test_numpy_integers_and_paths_do_what_ints_and_strings_do(
    name, number, project_caffe, folder
) -> None:
    expected = CALLS[name](Given(project_caffe, folder, int, str))
    assert CALLS[name](Given(project_caffe, folder, number, Path)) == expected


@pytest.mark.parametrize("call", IN_A_PROCESS_OF_THEIR_OWN)
def test_numpy_integers_do_what_ints_do_in_a_process_of_its_own(call) -> None:
    def ends(number: str) -> int:
        script = f"import caffe, numpy as np; caffe.{call.format(number)}; caffe.log('done')"
        return subprocess.run([sys.executable, "-c", script], capture_output=True).returncode

    assert ends("np.array(0)") == ends("np.int64(0)") == ends("0") != ends("'0'")


def test_nothing_public_is_left_out(project_caffe) -> None:
    import caffe.draw

    classes = {"Net": caffe.Net, "SGDSolver": caffe.SGDSolver, "Blob": caffe._caffe.Blob}
    classes["BlobVec"] = caffe._caffe.BlobVec
    public = {name for name, value in vars(caffe).items() if not inspect.ismodule(value)}
    for prefix, owner in classes.items():
        public |= {f"{prefix}.{name}" for name in dir(owner) if not name.startswith("_")}
    for module in (caffe.io, caffe.draw):
        own = [value for value in vars(module).values() if inspect.isroutine(value)]
        own += [value for value in vars(module).values() if inspect.isclass(value)]
        prefix = module.__name__.partition(".")[2]
        public |= {
            f"{prefix}.{each.__name__}" for each in own if each.__module__ == module.__name__
        }
    calls = [*CALLS, *IN_A_PROCESS_OF_THEIR_OWN]
    tested = {part.partition("(")[0] for call in calls for part in call.split(" + ")}
    public = {name for name in public if not name.startswith("_")}
    assert public - tested == TAKE_NEITHER


@pytest.mark.parametrize("wrong", [1.0, np.float64(1), np.array(1.0), np.array([1]), "1", None])
def test_nothing_else_is_an_integer(wrong, project_caffe, folder) -> None:
    blob = Given(project_caffe, folder, int, str).net().blobs["data"]
    with pytest.raises(TypeError):
        blob.reshape(1, wrong)


@pytest.mark.parametrize("number", [2**40, np.int64(2**40), np.array(2**40)])
def test_an_integer_too_large_is_an_error(number, project_caffe, folder) -> None:
    blob = Given(project_caffe, folder, int, str).net().blobs["data"]
    with pytest.raises(OverflowError):
        blob.reshape(1, number)


@pytest.mark.parametrize("rate", [np.float32(0.25), np.float64(0.25), np.array(0.25)])
def test_numpy_floats_are_floats(rate, project_caffe, folder) -> None:
    solver = Given(project_caffe, folder, int, str).solver()
    solver.param.base_lr = rate
    assert solver.param.base_lr == 0.25
