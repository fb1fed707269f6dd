"""A network as data: its shapes, its weights, its head, and what is refused beforehand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cam.caffe import prototxt
from cam.caffe.caffemodel import CaffeModel
from cam.caffe.head import Head, find_head
from cam.caffe.network import (
    build_network,
    connect_layers,
    fit_weights,
    load_network,
    parse_network,
    selected_layers,
)
from cam.caffe.prototxt import parse_prototxt
from cam.errors import CamError
from cam.zoo.table import ZOO

INPUT = 'input: "data" input_dim: 2 input_dim: 4 input_dim: 6 input_dim: 6 '


def layer(kind: str, parameters: str = "", bottom: str = "data", top: str = "out") -> str:
    bottoms = " ".join(f'bottom: "{each}"' for each in bottom.split())
    tops = " ".join(f'top: "{each}"' for each in top.split())
    return f'layer {{ name: "{kind} {top}" type: "{kind}" {bottoms} {tops} {parameters} }} '


def convolution(parameters: str) -> str:
    return layer("Convolution", f"convolution_param {{ {parameters} }}")


def pooling(parameters: str) -> str:
    return layer("Pooling", f"pooling_param {{ {parameters} }}")


REFUSED = {
    "a bottom that nothing writes": layer("ReLU", bottom="dada"),
    "a top that is written twice": layer("ReLU") + layer("TanH"),
    "two bottoms where there is one": layer("ReLU", bottom="data data"),
    "one bottom where there are two": layer("Eltwise"),
    "no bottom": layer("ReLU", bottom=""),
    "two tops where there is one": layer("ReLU", top="a b"),
    "no top": layer("ReLU", top=""),
    "in place where it cannot be": layer("TanH", top="a") + layer("AbsVal", bottom="a", top="a"),
    "in place on a blob that is read": layer("ReLU") + layer("ReLU", bottom="data", top="data"),
    "kernel of nothing": convolution("num_output: 2"),
    "convolution of nothing": convolution("kernel_size: 3"),
    "convolution without stride": convolution("num_output: 2 kernel_size: 3 stride: 0"),
    "kernel given twice": convolution("num_output: 2 kernel_size: 3 kernel_h: 3 kernel_w: 3"),
    "half a kernel": convolution("num_output: 2 kernel_h: 3"),
    "half a stride": convolution("num_output: 2 kernel_size: 1 stride_h: 2"),
    "pad given twice": convolution("num_output: 2 kernel_size: 3 pad: 1 pad_h: 1"),
    "three kernels": convolution("num_output: 2 kernel_size: 1 kernel_size: 1 kernel_size: 1"),
    "groups that do not divide the inputs": convolution("num_output: 6 kernel_size: 1 group: 3"),
    "groups that do not divide the outputs": convolution("num_output: 3 kernel_size: 1 group: 2"),
    "kernel beyond the picture": convolution("num_output: 2 kernel_size: 9"),
    "pooling without a kernel": pooling("stride: 2"),
    "pooling with half a kernel": pooling("kernel_h: 3"),
    "pooling kernel given twice": pooling("kernel_size: 3 kernel_h: 3 kernel_w: 3"),
    "pooling with half a stride": pooling("kernel_size: 3 stride_w: 2"),
    "pooling with half a pad": pooling("kernel_size: 3 pad_h: 1"),
    "pooling pad as large as its kernel": pooling("kernel_size: 2 pad: 2"),
    "global pooling with a kernel": pooling("global_pooling: true kernel_size: 6"),
    "global pooling with a stride": pooling("global_pooling: true stride: 2"),
    "global pooling with a pad": pooling("global_pooling: true pad: 1"),
    "pooling of no picture": layer("Flatten", top="f")
    + layer("Pooling", "pooling_param { kernel_size: 2 }", "f"),
    "lrn of an even number": layer("LRN", "lrn_param { local_size: 4 }"),
    "inner product of nothing": layer("InnerProduct"),
    "inner product beyond the axes": layer(
        "InnerProduct", "inner_product_param { num_output: 2 axis: 4 }"
    ),
    "concat of unlike shapes": layer("Pooling", "pooling_param { kernel_size: 2 }", top="p")
    + layer("Concat", bottom="data p"),
    "concat of unlike axes": layer("Flatten", top="f") + layer("Concat", bottom="data f"),
    "concat axis given twice": layer(
        "Concat", "concat_param { axis: 1 concat_dim: 1 }", "data data"
    ),
    "eltwise of unlike shapes": layer("Flatten", top="f") + layer("Eltwise", bottom="data f"),
    "too few coefficients": layer("Eltwise", "eltwise_param { coeff: 1 }", "data data"),
    "coefficients of a product": layer(
        "Eltwise", "eltwise_param { operation: PROD coeff: 1 coeff: 2 }", "data data"
    ),
    "scale beyond the axes": layer("Scale", "scale_param { axis: 2 num_axes: 3 }"),
    "bias of axes below nothing": layer("Bias", "bias_param { num_axes: -2 }"),
    "reshape to another count": layer("Reshape", "reshape_param { shape { dim: 0 dim: 7 } }"),
    "reshape with two unknowns": layer(
        "Reshape", "reshape_param { shape { dim: 0 dim: -1 dim: -1 } }"
    ),
    "reshape to what does not divide": layer(
        "Reshape", "reshape_param { shape { dim: 0 dim: 5 dim: -1 } }"
    ),
    "softmax beyond the axes": layer("Softmax", "softmax_param { axis: 4 }"),
    "a type that there is not": layer("Convolutoin"),
}
"""Networks that Caffe refuses, by ending the process."""

ALIASED = {
    "a split blob read after its twin is changed": layer("Split", top="a b")
    + layer("ReLU", bottom="a", top="a")
    + layer("TanH", bottom="b"),
    "a blob read after its flat form is changed": layer("TanH", top="a")
    + layer("Flatten", bottom="a", top="b")
    + layer("ReLU", bottom="b", top="b")
    + layer("AbsVal", bottom="a"),
    "a blob read after its other shape is changed": layer("TanH", top="a")
    + layer("Reshape", "reshape_param { shape { dim: 0 dim: -1 } }", "a", "b")
    + layer("Sigmoid", bottom="b", top="b")
    + layer("AbsVal", bottom="a"),
    "a blob read after a concat of it alone is changed": layer("TanH", top="a")
    + layer("Concat", bottom="a", top="b")
    + layer("ReLU", bottom="b", top="b")
    + layer("AbsVal", bottom="a"),
}
"""Networks that Caffe runs in shared memory, so that a blob is not what its layer wrote."""


@pytest.mark.parametrize("name", REFUSED | ALIASED)
def test_what_does_not_fit_is_an_error_that_names_the_layer(name: str) -> None:
    with pytest.raises(CamError, match=r"^prototxt: layer '.*' of type '\w+': .+") as caught:
        parse_network(INPUT + {**REFUSED, **ALIASED}[name])
    assert "\n" not in str(caught.value)


TRY_NETWORKS = """
import json, os, sys
import caffe
names = []
for name, path in json.load(open(sys.argv[1])).items():
    child = os.fork()
    if not child:
        os.close(2)
        caffe.Net(path, caffe.TEST)
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        names.append(name)
print(json.dumps(names))
"""


def run_by_caffe(networks: dict[str, str], folder: Path) -> list[str]:
    """Return the names of the networks that Caffe takes, each tried in a process of its own."""
    paths = {}
    for index, (name, text) in enumerate(networks.items()):
        path = folder / f"{index}.prototxt"
        path.write_text(text, encoding="utf-8")
        paths[name] = str(path)
    table = folder / "networks.json"
    table.write_text(json.dumps(paths), encoding="utf-8")
    finished = subprocess.run(
        [sys.executable, "-c", TRY_NETWORKS, str(table)],
        capture_output=True,
        check=True,
        env={**os.environ, "GLOG_minloglevel": "3"},
    )
    names: list[str] = json.loads(finished.stdout.splitlines()[-1])
    return names


@pytest.mark.caffe
def test_caffe_refuses_them_too(pycaffe: Any, tmp_path: Path) -> None:
    networks = {name: INPUT + text for name, text in REFUSED.items()}
    networks["one that fits"] = INPUT + convolution("num_output: 3 kernel_size: 2")
    assert run_by_caffe(networks, tmp_path) == ["one that fits"]


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
@pytest.mark.parametrize(
    "of_nothing",
    [
        lambda number: layer("ReLU", f"relu_param {{ negative_slope: {number} }}"),
        lambda number: layer("Power", f"power_param {{ shift: {number} }}"),
        lambda number: layer(
            "Eltwise", f"eltwise_param {{ coeff: 1 coeff: {number} }}", "data data"
        ),
    ],
)
def test_a_parameter_that_is_no_finite_number_is_refused(
    of_nothing: Callable[[str], str], number: str
) -> None:
    with pytest.raises(CamError, match=rf"layer '.*its \w+ is {number}, not a finite number"):
        parse_network(INPUT + of_nothing(number))


def test_a_last_conv_that_writes_nothing_is_refused(models: Path) -> None:
    text = (models / "efficientnet-lite0.prototxt").read_text(encoding="utf-8")
    split = 'layer { name: "twins" type: "Split" bottom: "head/relu6" }'
    with pytest.raises(CamError, match="layer 'twins' of type 'Split' writes no blob"):
        find_head(parse_network(text + split), last_conv="twins")


def test_a_typo_in_a_type_gets_the_nearest_names() -> None:
    with pytest.raises(CamError, match="cannot be run; nearest: Convolution"):
        parse_network(INPUT + layer("Convolutoin"))


def test_a_typo_in_a_bottom_gets_the_nearest_names() -> None:
    with pytest.raises(CamError, match="nothing before it writes its bottom 'dada'; nearest: data"):
        parse_network(INPUT + layer("ReLU", bottom="dada"))


def test_a_window_beside_the_picture_has_no_average() -> None:
    with pytest.raises(CamError, match=r"layer 'Pooling out'.*have no average"):
        parse_network(INPUT + pooling("pool: AVE kernel_size: 2 stride: 8"))


def test_a_flattening_of_no_axes_is_refused_though_caffe_adds_one() -> None:
    with pytest.raises(CamError, match=r"layer 'Flatten out'.*axes 2 to 1"):
        parse_network(INPUT + layer("Flatten", "flatten_param { axis: 2 end_axis: 1 }"))


def test_two_layers_with_weights_may_not_share_a_name() -> None:
    same = 'layer {{ name: "same" type: "Scale" bottom: "{}" top: "{}" }} '
    with pytest.raises(CamError, match=r"layer 'same'.*another layer with weights has this name"):
        parse_network(INPUT + same.format("data", "a") + same.format("a", "out"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (layer("ReLU"), "no input"),
        (INPUT + 'input: "other" input_dim: 1 input_dim: 1 input_dim: 1 input_dim: 1', "2 inputs"),
        ('input: "data" input_dim: 2 input_dim: 4', r"input 'data' has shape \(2, 4\)"),
        ('input: "data"', r"input 'data' has shape \(\)"),
        ('input: "data" input_shape { dim: 1 dim: 3 dim: 0 dim: 5 }', r"shape \(1, 3, 0, 5\)"),
        ('layer { name: "data" type: "Input" top: "data" }', r"shape \(\)"),
        ("", "no input"),
    ],
)
def test_a_network_takes_one_picture(text: str, words: str) -> None:
    with pytest.raises(CamError, match=words):
        parse_network(text)


def test_a_training_network_says_that_it_is_one(models: Path) -> None:
    with pytest.raises(CamError, match="it may be a training network"):
        load_network(models / "train_val_googlenetCAM.prototxt")


# --- phases --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "runs"),
    [
        ("", True),
        ("include { phase: TEST }", True),
        ("include { phase: TRAIN }", False),
        ("include { phase: TRAIN } include { phase: TEST }", True),
        ("exclude { phase: TEST }", False),
        ("exclude { phase: TRAIN }", True),
        ("include { stage: 'deploy' }", False),
        ("include { not_stage: 'deploy' }", True),
        ("exclude { stage: 'deploy' }", True),
        ("include { min_level: 1 }", False),
        ("include { min_level: 0 }", True),
        ("include { max_level: -1 }", False),
    ],
)
def test_layers_of_the_test_phase_run(rule: str, runs: bool) -> None:
    network = parse_network(INPUT + layer("TanH", top="x") + layer("ReLU", rule))
    assert ("out" in network.blob_shapes) == runs


@pytest.mark.caffe
def test_caffe_runs_the_same_layers(pycaffe: Any, tmp_path: Path) -> None:
    rules = [
        "include { phase: TEST }",
        "include { phase: TRAIN }",
        "exclude { phase: TEST }",
        "exclude { phase: TRAIN }",
        "include { stage: 'deploy' }",
        "include { not_stage: 'deploy' }",
        "include { min_level: 1 }",
        "include { max_level: -1 }",
    ]
    text = INPUT + "".join(layer("TanH", rule, top=f"o{i}") for i, rule in enumerate(rules))
    path = tmp_path / "phases.prototxt"
    path.write_text(text, encoding="utf-8")
    blobs = [name for name in pycaffe.Net(str(path), pycaffe.TEST).blobs if name.startswith("o")]
    assert blobs == [name for name in parse_network(text).blob_shapes if name.startswith("o")]


# --- the original networks -----------------------------------------------------------------------

ORIGINAL = [model for model in ZOO if model.name != "efficientnet-lite0"]


@pytest.mark.parametrize("model", ZOO, ids=lambda model: model.name)
def test_the_head_is_found_from_the_graph(model: Any, models: Path) -> None:
    network = load_network(models / model.prototxt)
    assert find_head(network) == Head(model.last_conv, model.class_layer, "prob")
    assert network.input_shape[1:] == (3, model.crop_size, model.crop_size)


@pytest.mark.caffe
@pytest.mark.parametrize("model", ZOO, ids=lambda model: model.name)
def test_blobs_and_weights_have_the_shapes_that_caffe_gives_them(
    model: Any, models: Path, pycaffe: Any, tmp_path: Path
) -> None:
    network = load_network(models / model.prototxt)
    message = prototxt.read_prototxt(models / model.prototxt)
    if message.input_dim:
        message.input_dim[0] = 1
    prototxt.write_prototxt(tmp_path / "one.prototxt", message)
    net = pycaffe.Net(str(tmp_path / "one.prototxt"), pycaffe.TEST)
    ours = {name: shape[1:] for name, shape in network.blob_shapes.items()}
    # Caffe splits blobs that several layers read and adds the copies under other names.
    theirs = {name: tuple(blob.shape)[1:] for name, blob in net.blobs.items() if name in ours}
    assert theirs == ours
    assert {
        name: tuple(tuple(blob.shape) for blob in blobs) for name, blobs in net.params.items()
    } == network.weight_shapes


@pytest.mark.parametrize(
    ("name", "last_conv", "maps", "classes"),
    [
        ("deploy_googlenetCAM.prototxt", "CAM_conv", (1024, 14, 14), 1000),
        ("deploy_googlenetCAM_places205.prototxt", "CAM_conv", (1024, 14, 14), 205),
        ("deploy_vgg16CAM.prototxt", "CAM_conv", (1024, 14, 14), 1000),
        ("deploy_alexnetplusCAM_imagenet.prototxt", "conv7", (512, 11, 11), 1000),
        ("deploy_alexnetplusCAM_places205.prototxt", "conv7", (512, 11, 11), 205),
    ],
)
def test_maps_have_the_size_of_the_paper(
    models: Path, name: str, last_conv: str, maps: tuple[int, ...], classes: int
) -> None:
    network = load_network(models / name)
    head = find_head(network)
    assert network.blob_shapes[last_conv] == (10, *maps)
    assert network.weight_shapes[head.class_layer][0] == (classes, maps[0])


# --- heads ---------------------------------------------------------------------------------------

CONVOLUTION = convolution("num_output: 8 kernel_size: 3")
CLASSES = "inner_product_param { num_output: 5 }"
GLOBAL = "pooling_param { pool: AVE global_pooling: true }"


def head_network(middle: str, pooled: str = "gap", end: str = "") -> Any:
    return parse_network(
        INPUT
        + CONVOLUTION
        + middle
        + layer("InnerProduct", CLASSES, pooled, "fc")
        + (end or layer("Softmax", "", "fc", "prob"))
    )


def test_a_pooling_of_the_maps_own_size_is_global() -> None:
    network = head_network(
        layer("Pooling", "pooling_param { pool: AVE kernel_size: 4 }", "out", "gap")
    )
    assert find_head(network) == Head("out", "InnerProduct fc", "prob")


def test_the_head_is_found_through_dropout_flatten_and_reshape() -> None:
    network = head_network(
        layer("ReLU", "", "out", "out")
        + layer("Pooling", GLOBAL, "out", "gap")
        + layer("Dropout", "", "gap", "gap")
        + layer("Flatten", "", "gap", "flat")
        + layer("Reshape", "reshape_param { shape { dim: 0 dim: -1 } }", "flat", "again"),
        "again",
    )
    assert find_head(network).last_conv == "out"


def test_the_last_of_several_heads_is_taken_and_another_by_name() -> None:
    network = parse_network(
        INPUT
        + CONVOLUTION
        + layer("Pooling", GLOBAL, "data", "gap1")
        + layer("Pooling", GLOBAL, "out", "gap2")
        + layer("InnerProduct", CLASSES, "gap1", "fc1")
        + layer("InnerProduct", CLASSES, "gap2", "fc2")
        + layer("Softmax", "", "fc1", "prob1")
        + layer("Softmax", "", "fc2", "prob2")
    )
    assert find_head(network) == Head("out", "InnerProduct fc2", "prob2")
    first = find_head(network, class_layer="InnerProduct fc1")
    assert first == Head("data", "InnerProduct fc1", "prob1")


@pytest.mark.parametrize(
    ("middle", "pooled", "end", "words"),
    [
        ("", "out", "", "no global pooling before .*global average pooling.*section 2"),
        (
            layer("Pooling", "pooling_param { pool: AVE kernel_size: 2 }", "out", "gap"),
            "gap",
            "",
            "no global pooling before",
        ),
        (
            layer("Pooling", GLOBAL, "out", "g") + layer("ReLU", "", "g", "gap"),
            "gap",
            "",
            "no global pooling before",
        ),
        (layer("Pooling", GLOBAL, "out", "gap"), "gap", layer("TanH", "", "fc", "t"), "no Softmax"),
    ],
)
def test_a_network_without_the_head_is_refused_with_the_reason(
    middle: str, pooled: str, end: str, words: str
) -> None:
    with pytest.raises(CamError, match=words):
        find_head(head_network(middle, pooled, end))


def test_a_network_without_an_inner_product_is_refused() -> None:
    with pytest.raises(CamError, match="global average pooling"):
        find_head(parse_network(INPUT + CONVOLUTION))


def test_names_that_are_not_there_get_the_nearest(models: Path) -> None:
    network = load_network(models / "deploy_googlenetCAM.prototxt")
    with pytest.raises(CamError, match="no layer 'CAM_cnv'; nearest: CAM_conv"):
        find_head(network, last_conv="CAM_cnv")
    with pytest.raises(CamError, match="no layer 'CAM_fx'; nearest: CAM_fc"):
        find_head(network, class_layer="CAM_fx")


def test_named_layers_that_are_no_head_are_refused(models: Path) -> None:
    network = load_network(models / "deploy_googlenetCAM.prototxt")
    with pytest.raises(CamError, match=r"weights of shape \(1000, 1024\).*CAM needs"):
        find_head(network, last_conv="inception_4e/output")
    with pytest.raises(CamError, match="CAM_conv"):
        find_head(network, class_layer="CAM_conv")
    with pytest.raises(CamError, match="'prob' has shape"):
        find_head(network, last_conv="prob")


def test_the_layer_that_writes_the_blob_may_be_named(models: Path) -> None:
    network = load_network(models / "deploy_googlenetCAM.prototxt")
    assert find_head(network, last_conv="CAM_conv").last_conv == "CAM_conv"
    assert find_head(network, last_conv="CAM_relu").last_conv == "CAM_conv"


# --- weights -------------------------------------------------------------------------------------

TINY = INPUT + convolution("num_output: 3 kernel_size: 2") + layer("Flatten", "", "out", "f")
SHAPES = ((3, 4, 2, 2), (3,))
ZEROS = tuple(np.zeros(shape, np.float32) for shape in SHAPES)


def caffemodel(*blobs: Any, name: str = "Convolution out") -> CaffeModel:
    return CaffeModel(parse_prototxt('layer { name: "x" }'), {name: blobs})


@pytest.mark.parametrize("shapes", [SHAPES, ((3, 4, 2, 2), (1, 1, 1, 3))], ids=["shape", "legacy"])
def test_weights_get_the_shapes_that_the_network_asks_for(shapes: Any) -> None:
    model = caffemodel(*(np.zeros(shape, np.float32) for shape in shapes))
    ((weight, bias),) = fit_weights(parse_network(TINY), model, "w").values()
    assert (weight.shape, bias.shape) == SHAPES
    assert np.shares_memory(weight, model.blobs["Convolution out"][0])


def test_layers_that_the_network_does_not_have_are_passed_over() -> None:
    model = CaffeModel(None, {"Convolution out": ZEROS, "fc8": ZEROS})
    assert list(fit_weights(parse_network(TINY), model, "w")) == ["Convolution out"]


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (
            caffemodel(np.zeros(1), name="Convolution oot"),
            "no weights for layer 'Convolution out' of prototxt; nearest: Convolution oot",
        ),
        (caffemodel(np.zeros((3, 4, 2, 2))), "has 1 blobs; prototxt asks for 2"),
        (
            caffemodel(np.zeros((3, 4, 3, 3)), np.zeros(3)),
            r"has a blob of shape \(3, 4, 3, 3\); prototxt asks for \(3, 4, 2, 2\)",
        ),
        (caffemodel(np.zeros((3, 4, 2, 2)), np.zeros(4)), r"shape \(4,\).*asks for \(3,\)"),
        (caffemodel(np.zeros((3, 4, 2, 2)), np.zeros((3, 1))), r"shape \(3, 1\)"),
        (caffemodel(np.zeros((3, 4, 2, 2)), np.zeros((1, 3))), r"shape \(1, 3\)"),
        (
            CaffeModel(None, {"Convolution out": ZEROS, "Flatten f": ZEROS[1:]}),
            "has weights for layer 'Flatten f'",
        ),
    ],
)
def test_weights_that_do_not_fit_say_which_and_how(model: CaffeModel, words: str) -> None:
    with pytest.raises(CamError, match=words):
        fit_weights(parse_network(TINY), model, "w.caffemodel")


def test_a_network_in_both_styles_is_refused() -> None:
    text = INPUT + layer("ReLU", top="r") + 'layers { name: "t" type: TANH bottom: "r" top: "t" }'
    with pytest.raises(CamError, match="both"):
        build_network(parse_prototxt(text), "mixed.prototxt")


RULES = {
    "always": "",
    "training": "include { phase: TRAIN }",
    "not training": "exclude { phase: TRAIN }",
    "from level 1": "include { min_level: 1 }",
    "to level 1": "include { max_level: 1 }",
    "stage a": 'include { stage: "a" }',
    "stages a and b": 'include { stage: "a" stage: "b" }',
    "stage a or b": 'include { stage: "a" } include { stage: "b" }',
    "not stage a": 'include { not_stage: "a" }',
}
STAGES = ("stage a", "stages a and b", "stage a or b")


@pytest.mark.parametrize(
    ("state", "phase", "left_out"),
    [
        ("", "TEST", {"training", "from level 1", *STAGES}),
        ("", "TRAIN", {"not training", "from level 1", *STAGES}),
        ("level: 2", "TEST", {"training", "to level 1", *STAGES}),
        ('stage: "a"', "TEST", {"training", "from level 1", "stages a and b", "not stage a"}),
        ('stage: "b" stage: "a"', "TEST", {"training", "from level 1", "not stage a"}),
    ],
)
def test_layers_run_in_their_phase_level_and_stages(
    state: str, phase: str, left_out: set[str]
) -> None:
    layers = "".join(
        f'layer {{ name: "{name}" type: "ReLU" {rule} }}' for name, rule in RULES.items()
    )
    net = parse_prototxt(f"state {{ {state} }} {layers}")
    assert {each.name for each in selected_layers(net, "net", phase)} == set(RULES) - left_out


def test_layers_are_connected_to_any_inputs() -> None:
    net = parse_prototxt(layer("Eltwise", bottom="a b", top="c") + layer("ReLU", "", "c", "c"))
    layers = selected_layers(net, "net")
    network = connect_layers(net, "net", layers, {"a": (2, 3), "b": (2, 3)})
    assert network.inputs == ("a", "b")
    assert network.blob_shapes == {"a": (2, 3), "b": (2, 3), "c": (2, 3)}
    with pytest.raises(CamError, match="different shapes"):
        connect_layers(net, "net", layers, {"a": (2, 3), "b": (3, 2)})
    with pytest.raises(CamError, match="2 inputs"):
        build_network(
            parse_prototxt('input: "a" input_shape { dim: 1 } input: "b" input_shape { dim: 1 }'),
            "net",
        )
