"""The project's own side of the interface: what is computed when, and what is refused."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import cam.pycaffe
from cam.errors import CamError
from cam.pycaffe import modules, passes
from cam.pycaffe.blob import Blob, Parameter
from cam.pycaffe.net import TEST, TRAIN, Net

CHAIN = """
input: "data" input_shape { dim: 1 dim: 2 dim: 4 dim: 4 }
layer { name: "one" type: "Power" bottom: "data" top: "one" power_param { shift: 1 } }
layer { name: "two" type: "Power" bottom: "one" top: "two" power_param { scale: 2 } }
layer { name: "three" type: "Convolution" bottom: "two" top: "three"
  convolution_param { num_output: 1 kernel_size: 1 weight_filler { value: 1 } } }
layer { name: "four" type: "ReLU" bottom: "three" top: "four" }
layer { name: "five" type: "TanH" bottom: "four" top: "five" }
"""


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Return the outputs of each graph that is compiled from now on."""
    compiled: list[list[str]] = []
    make = passes._Graph.__init__

    def record(self: Any, network: Any, weights: Any, wanted: list[str]) -> None:
        compiled.append(list(wanted))
        make(self, network, weights, wanted)

    monkeypatch.setattr(passes._Graph, "__init__", record)
    return compiled


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Return the outputs of each graph that runs from now on."""
    found: list[list[str]] = []
    run = passes._Graph.run

    def record(self: Any, inputs: Any) -> Any:
        found.append(self._wanted)
        return run(self, inputs)

    monkeypatch.setattr(passes._Graph, "run", record)
    return found


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write_text(text: str) -> Path:
        path = tmp_path / "net.prototxt"
        path.write_text(text, encoding="utf-8")
        return path

    return write_text


@pytest.fixture
def net(write: Callable[[str], Path]) -> Net:
    return Net(write(CHAIN), TEST)


# --- what is computed ----------------------------------------------------------------------------


def test_only_what_is_read_is_computed(net: Net, graphs: list[list[str]]) -> None:
    net.forward(end="three")
    assert graphs == [["three"]]
    assert (net.blobs["two"].data == 2).all()
    assert graphs == [["three"], ["two"]]
    net.blobs["two"].data.sum()
    assert len(graphs) == 2


def test_graphs_are_kept(net: Net, graphs: list[list[str]], runs: list[list[str]]) -> None:
    net.forward()
    net.blobs["two"].data.sum()
    for _ in range(3):
        net.forward()
        net.blobs["two"].data.sum()
    # What was read after one pass is computed with the next.
    assert graphs == [["five"], ["two"], ["five", "two"]]
    assert runs == [["five"], ["two"], *[["five", "two"]] * 3]
    net.forward()
    net.forward()
    assert len(graphs) == 3


def test_whoever_reads_all_blobs_gets_them_at_once(net: Net, graphs: list[list[str]]) -> None:
    net.forward()
    assert [float(blob.data.max()) for blob in net.blobs.values()][:4] == [0, 1, 2, 4]
    assert graphs == [["five"], ["one"], ["two"], ["five", "four", "one", "three", "two"]]
    net.forward()
    for blob in net.blobs.values():
        blob.data.sum()
    assert len(graphs) == 4


def test_another_size_is_another_graph_and_the_first_is_kept(
    net: Net, graphs: list[list[str]]
) -> None:
    for size in (1, 3, 1, 3):
        net.blobs["data"].reshape(size, 2, 4, 4)
        assert net.forward()["five"].shape == (size, 1, 4, 4)
    assert len(graphs) == 2


def test_weights_that_were_looked_at_and_not_changed_need_no_new_graph(
    net: Net, graphs: list[list[str]]
) -> None:
    net.forward()
    kept = net.params["three"][0].data
    net.forward()
    kept[...] = 1
    net.forward()
    assert len(graphs) == 1
    kept[...] = 3
    assert net.forward()["five"].shape == (1, 1, 4, 4)
    assert (net.blobs["three"].data == 12).all()
    assert len(graphs) > 1


def test_a_pass_that_is_read_late_has_the_weights_of_its_time(net: Net) -> None:
    net.forward(end="two")
    net.forward()
    weight = net.params["three"][0].data
    weight[...] = 5
    assert (net.blobs["three"].data == 4).all()
    net.forward()
    assert (net.blobs["three"].data == 20).all()


def test_blobs_that_share_memory_in_caffe_have_the_value_that_is_left_there(
    write: Callable[[str], Path],
) -> None:
    net = Net(
        write(
            """
            input: "data" input_shape { dim: 1 dim: 2 dim: 1 dim: 2 }
            layer { name: "p" type: "Power" bottom: "data" top: "p" }
            layer { name: "flat" type: "Flatten" bottom: "p" top: "flat" }
            layer { name: "relu" type: "ReLU" bottom: "flat" top: "flat" }
            """
        )
    )
    net.forward(data=np.array([-1, 2, -3, 4.0]).reshape(1, 2, 1, 2))
    assert net.blobs["flat"].data.tolist() == [[0, 2, 0, 4]]
    assert net.blobs["p"].data.tolist() == [[[[0, 2]], [[0, 4]]]]
    assert net.blobs["data"].data.ravel().tolist() == [-1, 2, -3, 4]


def test_numpy_integers_are_taken(net: Net) -> None:
    net.blobs["data"].reshape(*np.asarray([2, 2, 4, 4]))
    assert net.blobs["data"].shape == (2, 2, 4, 4)
    net._forward(np.int64(0), np.int32(3))
    assert (net.blobs["three"].data == 4).all()
    assert not net.blobs["five"].data.any()
    with pytest.raises(TypeError):
        net.blobs["data"].reshape(1.5)  # type: ignore[arg-type]
    with pytest.raises(CamError, match="not negative"):
        net.blobs["data"].reshape(-1, 2)


def test_paths_are_taken(write: Callable[[str], Path], tmp_path: Path) -> None:
    net = Net(write(CHAIN), TEST)
    net.params["three"][1].data[...] = 9
    net.save(tmp_path / "saved.caffemodel")
    other = Net(write(CHAIN), tmp_path / "saved.caffemodel", TEST)
    assert other.params["three"][1].data.tolist() == [9]


def test_without_a_phase_the_older_order_means_test(
    write: Callable[[str], Path], tmp_path: Path
) -> None:
    text = CHAIN + 'layer { name: "d" type: "Dropout" bottom: "five" top: "five" }'
    Net(write(text)).save(tmp_path / "saved.caffemodel")
    assert Net(write(text), tmp_path / "saved.caffemodel").forward()


# --- blobs ---------------------------------------------------------------------------------------


def test_a_blob_knows_whether_someone_keeps_its_array() -> None:
    blob = Blob((2, 3))
    assert not blob.is_watched
    view: Any = blob.data[1, ::2].T
    assert blob.is_watched
    view = view[1:]
    gc.collect()
    assert blob.is_watched
    del view
    assert not blob.is_watched


def test_what_no_one_reads_is_not_computed() -> None:
    blob, computed = Blob((2,)), []

    def compute() -> NDArray[np.float32]:
        computed.append(1)
        return np.ones(2, np.float32)

    blob.provide((2,), compute)
    blob.provide((2,), compute)
    assert not computed
    kept = blob.data
    assert len(computed) == 1
    blob.provide((2,), lambda: np.full(2, 3, np.float32))
    assert kept.tolist() == [3, 3]


def test_a_parameter_notices_changes_even_to_nan() -> None:
    file = np.array([1, 2], np.float32)
    file.flags.writeable = False
    parameter = Parameter(file)
    assert parameter.current() is file
    kept = parameter.data
    assert parameter.current() is file
    kept[0] = np.nan
    changed = parameter.current()
    assert changed is not file
    assert parameter.current() is changed
    kept[0] = 1
    assert parameter.current().tolist() == [1, 2]
    assert file.tolist() == [1, 2]


def test_a_blob_of_five_axes_has_no_channels() -> None:
    with pytest.raises(CamError, match="use shape"):
        _ = Blob((1, 2, 3, 4, 5)).channels
    scalar = Blob(())
    assert (scalar.count, scalar.num, scalar.data.shape) == (1, 1, ())


# --- what needs Caffe ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda caffe, net: net.backward(),
        lambda caffe, net: net.forward_backward_all(data=[]),
        lambda caffe, net: net.set_input_arrays(None, None),
        lambda caffe, net: net.after_forward(print),
        lambda caffe, net: caffe.SGDSolver("solver.prototxt"),
        lambda caffe, net: caffe.AdamSolver("solver.prototxt"),
        lambda caffe, net: caffe.get_solver("solver.prototxt"),
        lambda caffe, net: caffe.Layer(),
        lambda caffe, net: type("Own", (caffe.Layer,), {})(),
        lambda caffe, net: caffe.NCCL(None, ""),
    ],
)
def test_training_and_gradients_name_the_caffe_engine(
    net: Net, call: Callable[[Any, Net], Any]
) -> None:
    with pytest.raises(CamError, match=r"needs Caffe itself \(the caffe engine\)"):
        call(modules()["caffe"], net)


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ('layer { name: "x" type: "Data" top: "d" top: "l" }', "reads a database.*'x'"),
        ('layer { name: "x" type: "HDF5Data" top: "d" }', "HDF5Data"),
        ('layer { name: "x" type: "MemoryData" top: "d" top: "l" }', "MemoryData"),
        ('layer { name: "x" type: "Python" bottom: "data" top: "d" }', "layer in Python"),
    ],
)
def test_layers_that_need_caffe_are_named(
    write: Callable[[str], Path], layers: str, words: str
) -> None:
    with pytest.raises(CamError, match=rf"net\.prototxt: .*{words}.*the caffe engine"):
        Net(write(CHAIN + layers), TEST)


@pytest.mark.parametrize("kind", ["Dropout", "BatchNorm"])
def test_what_training_does_at_random_needs_caffe(write: Callable[[str], Path], kind: str) -> None:
    path = write(CHAIN + f'layer {{ name: "x" type: "{kind}" bottom: "five" top: "x" }}')
    assert Net(path, TEST).forward()
    net = Net(path, TRAIN)
    net.forward(end="five")
    with pytest.raises(CamError, match=rf"'{kind}' in the TRAIN phase.*the caffe engine"):
        net.forward()


def test_a_gpu_is_told_to_be_the_cpu() -> None:
    caffe = modules()["caffe"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        caffe.set_mode_cpu()
    with pytest.warns(UserWarning, match=r"set_device\(2\) changes nothing.*CPU"):
        caffe.set_device(2)
    with pytest.warns(UserWarning, match="set_mode_gpu"):
        caffe.set_mode_gpu()


# --- errors --------------------------------------------------------------------------------------


def test_weights_that_a_new_size_does_not_fit_are_named(write: Callable[[str], Path]) -> None:
    text = CHAIN + (
        'layer { name: "fc" type: "InnerProduct" bottom: "five" top: "fc" '
        "inner_product_param { num_output: 3 } }"
    )
    net = Net(write(text), TEST)
    net.blobs["data"].reshape(1, 2, 5, 5)
    for call in (net.forward, net.reshape):
        with pytest.raises(CamError, match=r"layer 'fc' has weights of the shapes \(\(3, 16\)"):
            call()
    net.blobs["data"].reshape(1, 2, 4, 4)
    assert net.forward()["fc"].shape == (1, 3)


def test_no_such_thing_is_answered_with_the_nearest(net: Net, write: Callable[[str], Path]) -> None:
    with pytest.raises(CamError, match="no layer 'thre'; nearest: three"):
        net.forward(start="thre")
    with pytest.raises(CamError, match="no blob 'fve'; nearest: five"):
        net.forward(blobs=["fve"])
    with pytest.raises(CamError, match="no phase 7"):
        Net(write(CHAIN), 7)
    filler = CHAIN.replace("weight_filler { value: 1 }", 'weight_filler { type: "gausian" }')
    with pytest.raises(CamError, match="no filler 'gausian'; nearest: gaussian"):
        Net(write(filler), TEST)


def test_shapes_and_tops_of_made_up_data_must_be_as_many(write: Callable[[str], Path]) -> None:
    text = (
        'layer { name: "d" type: "DummyData" top: "a" top: "b" top: "c" dummy_data_param '
        "{ shape { dim: 1 } shape { dim: 2 } } }"
    )
    with pytest.raises(CamError, match="2 shapes for 3 tops"):
        Net(write(text), TEST)


# --- modules -------------------------------------------------------------------------------------


def test_nothing_is_called_caffe_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    before = {name: sys.modules.get(name) for name in modules()}
    modules()
    assert {name: sys.modules.get(name) for name in before} == before
    for name in before:
        monkeypatch.setitem(sys.modules, name, None)
    installed = cam.pycaffe.install()
    import caffe
    import caffe.io
    from caffe import layers
    from caffe.proto import caffe_pb2

    assert caffe is installed
    assert caffe.io.Transformer is modules()["caffe.io"].Transformer
    assert layers is caffe.layers
    assert caffe_pb2.NetParameter().name == ""


def test_a_detectors_context_is_what_is_around_and_the_mean_beyond(
    write: Callable[[str], Path], tmp_path: Path
) -> None:
    net = write(CHAIN.replace("dim: 2 dim: 4 dim: 4", "dim: 3 dim: 12 dim: 12"))
    Net(net).save(tmp_path / "w.caffemodel")
    mean = np.array([10.0, 20.0, 30.0])
    detector = modules()["caffe"].Detector(
        net,
        tmp_path / "w.caffemodel",
        mean=mean,
        raw_scale=100,
        channel_swap=(2, 1, 0),
        context_pad=3,
    )
    image = np.zeros((40, 40, 3), np.float32)
    image[15:25, 15:25] = 1
    crop = detector.crop(image, np.array([17, 17, 22, 22]))
    # The window fills the input but for three pixels on each side; twice its size is shown.
    assert crop.shape == (12, 12, 3)
    assert (crop[3:9, 3:9] == 1).all()
    assert not crop[0].any()
    beside = detector.crop(image + 1, np.array([0, 0, 5, 5]))
    np.testing.assert_allclose(beside[0, 0], mean[::-1] / 100)
    assert (beside[3:, 3:] == 1).all()
