"""A store goes on with the engine and the precision that it was begun with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cam.batch.store import begun_engine, read_record
from cam.cli.commands.batch import BatchRequest
from cam.pictures.reading import read_picture, write_picture

pytest.importorskip("pyarrow.parquet")

Run = Callable[..., tuple[int, str, str]]

BF16 = "BF16" in __import__("openvino").Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
needs_bfloat16 = pytest.mark.skipif(not BF16, reason="this processor has no units for bfloat16")


@pytest.fixture
def pictures(tmp_path: Path, coffee: Path) -> Path:
    photograph = read_picture(coffee)
    for number in range(4):
        write_picture(tmp_path / f"pictures/{number}.png", photograph[20 * number :, 15 * number :])
    return tmp_path / "pictures"


@pytest.fixture(autouse=True)
def nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAM_ENGINE", raising=False)


def begin(run: Run, pictures: Path, *options: str) -> None:
    """Make a store of two pieces, and lose the second, as an interruption would."""
    code, _, errors = run("batch", pictures, "-o", "store", "--piece-size", 2, *options)
    assert code == 0, errors
    Path("store/pieces/000001.parquet").unlink()


def go_on(run: Run, pictures: Path, *options: str) -> tuple[int, str, str]:
    return run("batch", pictures, "-o", "store", "--piece-size", 2, *options, "--json")


@pytest.mark.caffe
@pytest.mark.parametrize(("engine", "other"), [("caffe:cpu", "openvino"), ("openvino", "caffe")])
def test_a_store_goes_on_with_its_engine_when_none_is_named(
    run: Run,
    pictures: Path,
    pycaffe: Any,
    monkeypatch: pytest.MonkeyPatch,
    engine: str,
    other: str,
) -> None:
    begin(run, pictures, "--engine", engine)
    record = read_record("store")
    assert record["engine_choice"] == f"{engine} was named"
    # What the environment names is for what begins.
    monkeypatch.setenv("CAM_ENGINE", other)
    code, output, errors = go_on(run, pictures)
    assert code == 0, errors
    assert json.loads(output)["pictures_in_this_run"] == 2
    assert read_record("store") == record
    code, _, errors = go_on(run, pictures, "--engine", other)
    assert code == 2
    name = record["model"]["engine"]
    assert f'model.engine is "{name}" there and "{other}" here' in errors


def test_a_store_with_nothing_in_it_leaves_the_engine_open(
    run: Run, pictures: Path, tmp_path: Path
) -> None:
    assert begun_engine(tmp_path / "nowhere") is None
    begin(run, pictures, "--engine", "openvino")
    assert begun_engine("store") == "openvino:cpu"
    Path("store/pieces/000000.parquet").unlink()
    for name in ("summary.json", "failed.csv"):
        Path("store", name).unlink()
    assert begun_engine("store") is None


def test_a_store_that_says_no_precision_goes_on_in_single_precision(
    run: Run, pictures: Path
) -> None:
    begin(run, pictures, "--engine", "openvino")
    record = json.loads(Path("store/run.json").read_text())
    assert record["model"].pop("precision") == "float32"
    del record["engine_choice"]
    Path("store/run.json").write_text(json.dumps(record))
    assert go_on(run, pictures)[0] == 0


@needs_bfloat16
def test_another_precision_is_refused(run: Run, pictures: Path) -> None:
    begin(run, pictures, "--precision", "bfloat16")
    assert read_record("store")["model"]["precision"] == "bfloat16"
    code, _, errors = go_on(run, pictures)
    assert code == 2
    assert errors.count("\n") == 1
    assert 'model.precision is "bfloat16" there and "float32" here' in errors
    assert go_on(run, pictures, "--precision", "bfloat16")[0] == 0
    assert "openvino on CPU in bfloat16, style pycaffe" in run("store", "store")[1]


@needs_bfloat16
def test_heat_maps_for_the_paper_s_tables_are_in_single_precision(run: Run, pictures: Path) -> None:
    rounded = ("--precision", "bfloat16", "--layout", "ilsvrc")
    code, _, errors = run("batch", pictures, "-o", "store", *rounded)
    assert code == 2
    assert errors.startswith("cam: ILSVRC heat maps are held against the paper's numbers")
    assert not Path("store").exists()


@pytest.mark.parametrize("stored", ["float16", "float32"])
def test_what_is_stored_may_still_be_said_as_before(
    stored: str, capsys: pytest.CaptureFixture[str]
) -> None:
    request = BatchRequest(inputs=("a",), store=Path("s"), precision=stored).settled()
    assert request.options.precision == stored
    assert request.precision is None
    assert f"--numbers {stored}, which is taken\n" in capsys.readouterr().err
    both = BatchRequest(inputs=("a",), store=Path("s"), precision="float32", numbers="float16")
    assert both.settled().options.precision == "float16"
    assert capsys.readouterr().err == ""
