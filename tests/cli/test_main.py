from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from cam import zoo
from cam.cli import COMMANDS
from cam.files import models_folder

PROTOTXT = models_folder() / "efficientnet-lite0.prototxt"
CAFFEMODEL = models_folder() / "efficientnet-lite0.caffemodel"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_page(run, command: str) -> None:
    code, output, _ = run(command, "--help")
    assert code == 0
    assert output.startswith(f"Usage: cam {command}")


def test_help_imports_nothing_heavy() -> None:
    heavy = ("numpy", "cv2", "openvino", "onnx", "scipy", "google.protobuf", "matplotlib", "rich")
    script = (
        "import sys; from cam.cli import main\n"
        "try: main(['--help'])\n"
        f"finally: print([m for m in {heavy!r} if m in sys.modules], file=sys.stderr)"
    )
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert finished.stderr.strip() == "[]"


def test_demo_writes_a_montage_and_says_what_it_saw(run, tmp_path: Path) -> None:
    code, output, errors = run("demo", "--engine", "openvino")
    assert code == 0
    assert "index (from 0)" in output
    assert "967  n07920052 espresso" in output
    assert "not one of the paper's networks" in errors
    montage = cv2.imread(str(tmp_path / "cam-out/coffee/montage.png"))
    assert montage.shape[1] == 6 * 256 + 5 * 8


def test_run_prints_json_and_gives_each_picture_its_folder(
    run, coffee: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / coffee.name
    twin.write_bytes(coffee.read_bytes())
    code, output, _ = run(
        "run", coffee, twin, "--engine", "openvino", "--json", "-o", "out", "--top", 2
    )
    assert code == 0
    results = json.loads(output)
    assert [Path(result["folder"]).name for result in results] == ["coffee", "coffee-2"]
    assert [entry["index"] for entry in results[0]["top"]] == [967, 968]
    assert results[0]["record"]["engine"] == "openvino"
    assert (tmp_path / "out/coffee-2/montage.png").exists()


def test_run_takes_a_network_of_ones_own_and_finds_its_head(run, coffee: Path) -> None:
    options = ["--prototxt", PROTOTXT, "--weights", CAFFEMODEL, "--mean", 127, "--scale", 1 / 128]
    code, output, _ = run(
        "run", coffee, *options, "--channels", "RGB", "--engine", "openvino", "--json"
    )
    assert code == 0
    record = json.loads(output)[0]["record"]
    assert (record["last_conv"], record["class_layer"]) == ("head/relu6", "classifier")
    assert json.loads(output)[0]["top"][0]["index"] == 967


def test_run_writes_features_for_matlab(run, coffee: Path, tmp_path: Path) -> None:
    code, _, _ = run("run", coffee, "--engine", "openvino", "--style", "matlab", "--save-mat")
    assert code == 0
    for name in ("features.mat", "data_net.mat"):
        assert (tmp_path / "cam-out/coffee" / name).exists()
    assert (tmp_path / "cam-out/coffee/result.jpg").exists()


def test_two_runs_give_the_same(run) -> None:
    for folder in ("one", "two"):
        assert run("demo", "--engine", "openvino", "--style", "matlab", "-o", folder)[0] == 0
    code, output, _ = run("compare", "one/coffee", "two/coffee", "--tolerance", 0, "--json")
    assert code == 0
    differences = [quantity["max_abs"] for quantity in json.loads(output)["quantities"]]
    assert differences
    assert not any(differences)


def test_models_lists_every_model_and_what_is_missing(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cam.zoo.weights.weights_folders", lambda: [models_folder()])
    code, output, _ = run("models")
    assert code == 0
    for model in zoo.ZOO:
        assert model.name in output
        assert sum(line.startswith(f"{model.name} ") for line in output.splitlines()) == 1
    assert "missing" in output
    assert "cam models fetch googlenet" in output


def test_models_check_reports_a_file_that_fits(run) -> None:
    code, output, _ = run("models", "check", CAFFEMODEL)
    assert code == 0
    assert "fits efficientnet-lite0.prototxt" in output


@pytest.mark.parametrize("model", [(), ("--model", "vgg16")])
def test_models_check_says_that_a_file_is_missing(run, model: tuple[str, ...]) -> None:
    code, _, errors = run("models", "check", "nope", *model)
    assert code == 2
    assert "cannot read nope: there is no such file" in errors


def test_models_check_refuses_the_weights_of_another_network(run) -> None:
    code, _, errors = run("models", "check", CAFFEMODEL, "--model", "vgg16")
    assert code == 2
    assert "no weights for layer 'conv1_1'" in errors


def test_export_writes_a_valid_onnx_file(run, tmp_path: Path) -> None:
    code, _, _ = run("export", "network.onnx")
    assert code == 0
    model = onnx.load(tmp_path / "network.onnx")
    onnx.checker.check_model(model)
    assert [output.name for output in model.graph.output] == ["head/relu6", "prob"]


def test_doctor_names_engines_models_and_caffes_folder(run, monkeypatch) -> None:
    monkeypatch.setattr("cam.cli.commands.doctor.caffe_root", lambda: Path("/opt/share/caffe"))
    code, output, _ = run("doctor")
    assert code == 0
    assert "openvino            works" in output
    assert "efficientnet-lite0  works" in output
    assert "CAFFE_ROOT            /opt/share/caffe\n" in output
    assert "taken where none is named: " in output


@pytest.mark.parametrize(
    ("wanted", "taken", "reason"),
    [
        ("openvino", "openvino", "CAM_ENGINE is openvino"),
        ("none", "", "no engine 'none'"),
    ],
)
def test_doctor_says_what_is_taken_and_why(
    run, monkeypatch: pytest.MonkeyPatch, wanted: str, taken: str, reason: str
) -> None:
    monkeypatch.setenv("CAM_ENGINE", wanted)
    said = json.loads(run("doctor", "--json")[1])["taken"]
    assert said["engine"] == taken
    assert reason in said["reason"]


@pytest.mark.parametrize("error", [RuntimeError, OSError, AttributeError])
def test_doctor_finds_a_broken_engine(
    run, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def broken(*_: object) -> None:
        raise error("Check 'plugin' failed:\nno such library")

    monkeypatch.setattr("cam.fidelity.doctor.open_engine", broken)
    code, output, _ = run("doctor")
    assert code == 1
    assert "openvino            no     broken: Check 'plugin' failed: no such library" in output
    assert "efficientnet-lite0  works" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "missing.jpg"], "missing.jpg"),
        (["run", "notes.png"], "not a picture"),
        (["run", "empty.jpg"], "empty"),
        (["run", "cut.jpg"], "truncated"),
        (["run", "{picture}", "--model", "googlnet"], "nearest: googlenet"),
        (["run", "{picture}", "--engine", "tensorflow"], "no engine"),
        (["run", "{picture}", "--engine", "openvino:gpu"], "runs on the CPU"),
        (["run", "{picture}", "--top", "0"], "top 0"),
        (
            [
                "run",
                "{picture}",
                "--prototxt",
                "{prototxt}",
                "--weights",
                "{weights}",
                "--mean",
                "nan",
            ],
            "finite",
        ),
        (["run", "{picture}", "--style", "mathlab"], "nearest: matlab"),
        (["run", "{picture}", "--prototxt", "a.prototxt"], "belong together"),
        (["run", "{picture}", "--last-conv", "conv7"], "--prototxt and --weights"),
        (
            ["run", "{picture}", "--prototxt", "{prototxt}", "--weights", "cut.caffemodel"],
            "truncated",
        ),
        (
            ["run", "{picture}", "--prototxt", "{prototxt}", "--weights", "notes.txt"],
            "not a caffemodel",
        ),
        (["run", "{picture}", "--prototxt", "typo.prototxt", "--weights", "{weights}"], "line 2"),
        (
            [
                "run",
                "{picture}",
                "--prototxt",
                "{prototxt}",
                "--weights",
                "{weights}",
                "--last-conv",
                "haed",
            ],
            "nearest: head",
        ),
        (["models", "fetch", "efficientnet-lite0"], "come with the project"),
        (["run"], "Missing argument"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    run, coffee: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    picture = cv2.imread(str(coffee))
    (tmp_path / "notes.txt").write_text("no picture and no network at all, but some text\n")
    (tmp_path / "notes.png").write_text("no picture")
    (tmp_path / "empty.jpg").touch()
    encoded = cv2.imencode(".jpg", picture)[1].tobytes()
    (tmp_path / "cut.jpg").write_bytes(encoded[: len(encoded) // 2])
    (tmp_path / "cut.caffemodel").write_bytes(CAFFEMODEL.read_bytes()[:1_000_000])
    (tmp_path / "typo.prototxt").write_text('name: "net"\nlayr { }\n')
    places = {"picture": coffee, "prototxt": PROTOTXT, "weights": CAFFEMODEL}
    before = sorted(tmp_path.iterdir())
    code, output, errors = run(*(argument.format(**places) for argument in arguments))
    assert code == 2
    assert message in errors
    assert "Traceback" not in errors
    assert output == ""
    if not errors.startswith("Usage"):
        assert errors.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cam", "--debug", "run", "missing.jpg"]
    finished = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert finished.returncode != 0
    assert "Traceback" in finished.stderr


def test_show_says_what_is_missing_without_a_display(
    run, coffee: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    code, _, errors = run("run", coffee, "--show")
    assert code == 2
    assert "DISPLAY" in errors


def test_an_unwritable_output_is_one_line(run, coffee: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    code, _, errors = run("run", coffee, "--engine", "openvino", "-o", "taken")
    assert code == 2
    assert "cannot write" in errors
    assert np.array_equal(list(tmp_path.iterdir()), [tmp_path / "taken"])


def test_run_does_the_rest_where_some_pictures_cannot_be_read(
    run, coffee: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.png").write_text("no picture")
    arguments = (coffee, "missing.jpg", "notes.png", coffee)
    code, output, errors = run("run", *arguments, "--engine", "openvino", "-o", "out", "--top", 1)
    assert code == 3
    assert output.count("n07920052 espresso") == 2
    assert "missing.jpg" in errors
    assert "notes.png: not a picture" in errors
    # The same picture given twice gets two folders.
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["coffee", "coffee-2"]


def test_run_takes_folders_globs_and_lists(run, coffee: Path, tmp_path: Path) -> None:
    for name in ("photos/a.png", "photos/b.png", "c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(coffee.read_bytes())
    (tmp_path / "list.txt").write_text("c.png\n")
    code, output, _ = run(
        "run", "photos", "photos/b*.png", "list.txt", "--engine", "openvino", "--json"
    )
    assert code == 0
    names = [Path(result["image"]).name for result in json.loads(output)]
    assert names == ["a.png", "b.png", "b.png", "c.png"]


def test_an_earlier_result_is_not_replaced_without_a_word(run, coffee: Path) -> None:
    first = run("run", coffee, "--engine", "openvino", "-o", "out", "--top", 1)
    assert "earlier result" not in first[2]
    again = run("run", coffee, "--engine", "openvino", "-o", "out", "--top", 1)
    assert "out/coffee has an earlier result, which is replaced" in again[2]


def test_a_pictures_name_does_not_lead_out_of_the_folder(run, coffee: Path, tmp_path: Path) -> None:
    (tmp_path / "...png").write_bytes(coffee.read_bytes())
    code, _, _ = run("run", "...png", "--engine", "openvino", "-o", "deep/out", "--top", 1)
    assert code == 0
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rule", "paper", "--thresholds", "20"], "--thresholds is for --rule original"),
        (["--fraction", "0.3"], "--fraction is for --rule paper"),
    ],
)
def test_options_that_would_do_nothing_are_refused(
    run, coffee: Path, arguments: list[str], message: str
) -> None:
    code, _, errors = run("localize", coffee, *arguments)
    assert (code, message in errors) == (2, True)


def test_a_photograph_is_no_coloured_heat_map(run, coffee: Path) -> None:
    code, _, errors = run("localize", coffee, "--colormap", "jet")
    assert code == 2
    assert "not a heat map in the colours of jet" in errors


def test_a_mean_file_of_caffe_is_taken(run, coffee: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "mean.npy", np.full((3, 256, 256), 127.0))
    network = ["--prototxt", PROTOTXT, "--weights", CAFFEMODEL, "--scale", 1 / 128]
    options = ["--channels", "RGB", "--engine", "openvino", "--json"]
    by_file = run("run", coffee, *network, *options, "--mean", "mean.npy", "-o", "a")
    by_number = run("run", coffee, *network, *options, "--mean", "127", "-o", "b")
    assert by_file[0] == by_number[0] == 0
    assert json.loads(by_file[1])[0]["top"] == json.loads(by_number[1])[0]["top"]


def test_termination_is_one_line_and_leaves_nothing_half_written(
    coffee: Path, tmp_path: Path
) -> None:
    pictures = [str(coffee)] * 400
    command = [sys.executable, "-m", "cam", "run", *pictures, "--engine", "openvino", "-o", "out"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 143
    assert errors.strip().splitlines()[-1] == "cam: terminated"
    assert not list(tmp_path.rglob(".cam-partial-*"))
