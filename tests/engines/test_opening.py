"""Which engine is taken, on which device and in which precision, and why."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from locations import REPOSITORY

import cam
from cam import zoo
from cam.engines import caffe as caffe_engine
from cam.engines import choose_engine, open_engine
from cam.engines.openvino import OpenVinoEngine
from cam.errors import CamError

Run = Callable[..., tuple[int, str, str]]

CAPABILITIES = "OPTIMIZATION_CAPABILITIES"


@pytest.fixture(autouse=True)
def nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAM_ENGINE", raising=False)
    monkeypatch.setenv("CAM_COMPILED", "off")


class Machine:
    """A machine with or without pycaffe, NVIDIA's driver and a GPU that answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.installed = {"caffe", "openvino"}
        self.library, self.answers = False, False
        self.tried: list[list[str]] = []
        self.package = tmp_path / "caffe"
        for module in ("caffe", "openvino"):
            monkeypatch.setattr(f"cam.engines.{module}.find_spec", self.find)
        monkeypatch.setattr("cam.engines.caffe.ctypes.CDLL", self.load)
        monkeypatch.setattr("cam.engines.caffe.subprocess.run", self.try_gpu)

    def find(self, name: str) -> SimpleNamespace | None:
        origin = str(self.package / "__init__.py")
        return SimpleNamespace(origin=origin) if name in self.installed else None

    def load(self, name: str) -> None:
        if not self.library or name != "libcuda.so.1":
            raise OSError(f"{name}: cannot open shared object file")

    def try_gpu(self, command: list[str], **_: Any) -> SimpleNamespace:
        self.tried.append(command)
        return SimpleNamespace(returncode=0 if self.answers else -6)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    return Machine(monkeypatch, tmp_path)


# --- auto ----------------------------------------------------------------------------------------


def test_auto_takes_a_gpu_that_answers(machine: Machine) -> None:
    machine.library = machine.answers = True
    chosen = choose_engine()
    assert (chosen.name, chosen.device) == ("caffe", "gpu:0")
    assert chosen.reason == "auto, the fastest here: a GPU that Caffe can use"


def test_a_gpu_is_looked_for_once_by_its_driver_and_in_another_process(machine: Machine) -> None:
    machine.library = machine.answers = True
    assert choose_engine().device == choose_engine().device == "gpu:0"
    (command,) = machine.tried
    assert command[:3] == [sys.executable, "-I", "-c"]
    assert command[4] == str(machine.package)


def test_without_the_driver_nothing_is_tried(machine: Machine) -> None:
    machine.answers = True
    chosen = choose_engine()
    assert chosen.name == "openvino"
    assert not machine.tried
    assert "not caffe:gpu:0, as NVIDIA's driver is not installed" in chosen.reason


def test_auto_takes_openvino_where_caffe_was_built_without_cuda(machine: Machine) -> None:
    machine.library = True
    chosen = choose_engine()
    assert (chosen.name, chosen.device) == ("openvino", "cpu")
    assert "not caffe:gpu:0, which Caffe cannot use" in chosen.reason


def test_auto_takes_caffe_on_the_cpu_last(machine: Machine) -> None:
    machine.installed = {"caffe"}
    chosen = choose_engine()
    assert (chosen.name, chosen.device) == ("caffe", "cpu")
    assert "not openvino:cpu, which is not installed" in chosen.reason


def test_with_no_engine_at_all_each_is_said(machine: Machine) -> None:
    machine.installed = set()
    with pytest.raises(CamError, match=r"no engine can run: not caffe.* not openvino.* cam doc"):
        choose_engine()


def test_auto_takes_what_can_do_what_is_asked_for(machine: Machine) -> None:
    machine.library = machine.answers = True
    assert choose_engine(precision="bfloat16").name == "openvino"
    machine.library = False
    assert choose_engine(backward=True).name == "caffe"
    with pytest.raises(CamError, match="needs the caffe engine"):
        choose_engine(backward=True, precision="bfloat16")


def test_auto_imports_no_pycaffe_where_it_takes_openvino() -> None:
    script = (
        "import sys, cam; model = cam.load(); "
        "print(model.engine.name, sorted({'caffe', 'skimage', 'torch'} & set(sys.modules)))"
    )
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert finished.stdout == "openvino []\n", finished.stderr


# --- why -----------------------------------------------------------------------------------------


def test_the_reason_says_who_named_an_engine(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert choose_engine("caffe:cpu").reason == "caffe:cpu was named"
    monkeypatch.setenv("CAM_ENGINE", "caffe:cpu")
    assert choose_engine() == choose_engine(None)
    assert choose_engine().name == "caffe"
    assert choose_engine().reason == "CAM_ENGINE is caffe:cpu"
    assert choose_engine("openvino").reason == "openvino was named"


def test_the_record_of_a_result_says_what_was_taken_and_why(run: Run, tmp_path: Path) -> None:
    assert run("demo", "--engine", "openvino")[0] == 0
    assert run("demo", "-o", "auto")[0] == 0
    named, auto = (
        json.loads((tmp_path / folder / "coffee/result.json").read_text())["record"]
        for folder in ("cam-out", "auto")
    )
    assert named["engine_choice"] == "openvino was named"
    assert (named["engine"], named["device"], named["precision"]) == ("openvino", "CPU", "float32")
    assert auto["engine_choice"].startswith("auto, the fastest here: ")
    assert "\n" not in auto["engine_choice"]


# --- precision -----------------------------------------------------------------------------------


class Core:
    """OpenVINO's Core on a processor with the units that are named."""

    def __init__(self, units: list[str]) -> None:
        self.units = units

    def get_property(self, device: str, name: str) -> Any:
        return self.units if name == CAPABILITIES else "A processor of 2013 "


def test_bfloat16_is_refused_where_the_processor_has_no_units_for_it(
    monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setattr("openvino.Core", lambda: Core(["FP32", "INT8", "BIN"]))
    network = zoo.load_network()
    with pytest.raises(CamError, match="A processor of 2013") as raised:
        open_engine("openvino", network, precision="bfloat16")
    assert "\n" not in str(raised.value)
    code, _, errors = run("demo", "--precision", "bfloat16")
    assert code == 2
    assert errors.endswith("slower here; take --precision float32\n")
    assert OpenVinoEngine(network).precision == "float32"


def test_caffe_and_unknown_precisions_are_refused() -> None:
    with pytest.raises(CamError, match="caffe engine does not compute in bfloat16; take --e"):
        choose_engine("caffe:cpu", precision="bfloat16")
    with pytest.raises(CamError, match=r"no precision 'float64'; nearest: .*float32"):
        choose_engine("openvino", precision="float64")


@pytest.mark.parametrize(
    "command", ["compare-engines", "export", "ilsvrc-heatmaps", "saliency", "train", "verify"]
)
def test_commands_of_published_numbers_have_no_precision(run: Run, command: str) -> None:
    assert "--precision" not in run(command, "--help")[1]


@pytest.mark.parametrize("command", ["batch", "demo", "figure", "learn", "localize", "run"])
def test_commands_that_run_networks_have_it(run: Run, command: str) -> None:
    assert "--precision [float32|bfloat16]" in run(command, "--help")[1]


needs_bfloat16 = pytest.mark.skipif(
    "BF16" not in __import__("openvino").Core().get_property("CPU", CAPABILITIES),
    reason="this processor has no units for bfloat16",
)


@needs_bfloat16
def test_bfloat16_is_what_layers_are_computed_in(
    coffee: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAM_COMPILED", str(tmp_path / "compiled"))
    exact = cam.load(engine="openvino").explain(coffee)
    rounded = cam.load(precision="bfloat16").explain(coffee)
    assert rounded.record["precision"] == "bfloat16"
    assert rounded.output.activations.dtype == np.float32
    largest = np.abs(exact.output.activations).max()
    apart = np.abs(rounded.output.activations - exact.output.activations).max() / largest
    # Numbers of 8 bits, through fifty layers; single precision is below 1e-5.
    assert 1e-3 < apart < 0.2
    both = np.stack([exact.output.activations.ravel(), rounded.output.activations.ravel()])
    assert np.corrcoef(both)[0, 1] > 0.99
    assert rounded.indices[0] == exact.indices[0]
    # Each precision is a compiled network of its own.
    assert len(list((tmp_path / "compiled").iterdir())) == 2


@needs_bfloat16
def test_the_command_says_the_precision(run: Run, tmp_path: Path) -> None:
    code, output, _ = run("demo", "--precision", "bfloat16")
    assert code == 0
    assert "efficientnet-lite0, openvino on CPU in bfloat16" in output
    record = json.loads((tmp_path / "cam-out/coffee/result.json").read_text())["record"]
    assert record["precision"] == "bfloat16"


# --- the probe for a GPU -------------------------------------------------------------------------


def test_a_probe_runs_the_extension_of_pycaffe_alone(
    pycaffe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cam.engines.caffe._has_cuda_driver", lambda: True)
    package = Path(pycaffe.__file__).parent
    code = (
        "import sys; sys.path.append(sys.argv[1]); import _caffe; _caffe.set_mode_cpu(); "
        "print(hasattr(_caffe, 'set_device'), 'caffe' in sys.modules)"
    )
    finished = subprocess.run(
        [sys.executable, "-I", "-c", code, str(package)], capture_output=True, text=True
    )
    assert finished.stdout == "True False\n", finished.stderr
    assert caffe_engine.gpu_works() is False


# --- the images ----------------------------------------------------------------------------------


def test_the_images_take_caffe_unless_told_otherwise() -> None:
    text = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    stages = dict(re.findall(r"^FROM \S+ AS (\w[\w-]*)\n(.*?)(?=^FROM|\Z)", text, re.M | re.S))
    settings = {
        name: re.findall(r"^ENV .*?\bCAM_ENGINE=(\S*)", stage, re.M)
        for name, stage in stages.items()
    }
    assert settings["runtime"] == ["caffe"]
    of_stage = {stage: base for base, stage in re.findall(r"^FROM (\S+) AS (\S+)$", text, re.M)}
    assert of_stage["cpu"] == of_stage["gpu"] == "runtime"
    assert settings["cpu"] == settings["gpu"] == []
    # The tests try every engine.
    assert settings["test"] == [""]
