from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import cam
from cam.batch import BatchOptions, run_batch
from cam.errors import CamError
from cam.viewer.pictures_within import pictures_within
from cam.viewer.report import write_report
from cam.viewer.sources import ReportPicture

HOSTILE = "</script><script>alert(1)</script>"
RIGHT_TO_LEFT = "صورة \u202egpj.png"
LONG = "n" * 240


@pytest.fixture
def pictures(tmp_path: Path, coffee: Path) -> Path:
    folder = tmp_path / "pictures"
    picture = cv2.imread(str(coffee))
    for number, name in enumerate((RIGHT_TO_LEFT, LONG, "plain", HOSTILE)):
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        shifted = np.roll(picture, 40 * number, axis=1)
        path.write_bytes(cv2.imencode(".png", shifted)[1].tobytes())
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


def blocks(page: Path) -> dict[str, Any]:
    """Return the JSON blocks of a page by their names, as a parser of HTML finds them."""
    found = re.findall(
        r'<script type="application/json" id="([\w-]+)">(.*?)</script',
        page.read_text("utf-8"),
        re.S,
    )
    return {name: json.loads(text) for name, text in found}


def decoded(uri: str) -> np.ndarray:
    data = np.frombuffer(base64.b64decode(uri.split(",")[1]), np.uint8)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))


@pytest.mark.parametrize("style", ["pycaffe", "matlab"])
def test_a_report_holds_what_the_model_gives(
    style: str, model: cam.CamModel, pictures: Path, tmp_path: Path
) -> None:
    options = BatchOptions(top=3, style=style, precision="float32")
    run_batch(model, [pictures], tmp_path / "store", options)
    write_report([tmp_path / "store"], tmp_path / "report.html")
    found = blocks(tmp_path / "report.html")
    names = [picture["name"] for picture in found["report"]["pictures"]]
    said = found[f"picture-{names.index('plain.png')}"]
    expected = model.explain(pictures / "plain.png", 3, style)
    assert [one["index"] for one in said["classes"]] == expected.indices.tolist()
    assert [one["boxes"] for one in said["classes"]] == [
        [list(box) for box in expected.boxes(k)] for k in range(3)
    ]
    np.testing.assert_array_equal(decoded(said["frame"]), expected.frame)
    maps = np.frombuffer(base64.b64decode(said["maps"]["data"]), "<f4")
    np.testing.assert_allclose(maps.reshape(said["maps"]["shape"]), expected.maps, atol=1e-5)


def test_names_from_anyone_stay_text(model: cam.CamModel, pictures: Path, tmp_path: Path) -> None:
    store = tmp_path / "<script>alert(2)<"
    run_batch(model, [pictures], store)
    write_report([store], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text("utf-8")
    assert "alert(1)" in text and "alert(2)" in text
    assert {*re.findall("<script[^>]*>", text)} == {
        '<script type="module">',
        *(
            f'<script type="application/json" id="{name}">'
            for name in blocks(tmp_path / "report.html")
        ),
    }
    assert len(re.findall("<script", text)) == len(re.findall("</script", text))
    listed = blocks(tmp_path / "report.html")["report"]["pictures"]
    assert {picture["name"] for picture in listed} == {
        f"{name}.png" for name in (RIGHT_TO_LEFT, LONG, "plain", HOSTILE, "broken")
    }


def test_a_report_allows_its_own_script_and_style_only(
    model: cam.CamModel, pictures: Path, tmp_path: Path
) -> None:
    run_batch(model, [pictures], tmp_path / "store")
    write_report([tmp_path / "store"], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text("utf-8")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
    (script,) = re.findall(r'<script type="module">(.*?)</script>', text, re.S)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.S)
    for inlined, kind in ((script, "script"), (style, "style")):
        digest = base64.b64encode(hashlib.sha256(inlined.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//|url\(|@import""", text)
    assert not re.search(r"^(import|export)\b", script, re.M)


def test_failed_pictures_say_why(model: cam.CamModel, pictures: Path, tmp_path: Path) -> None:
    run_batch(model, [pictures], tmp_path / "store")
    summary = write_report([tmp_path / "store"], tmp_path / "report.html")
    listed = blocks(tmp_path / "report.html")["report"]["pictures"]
    (failed,) = [picture for picture in listed if picture["status"] == "failed"]
    assert (failed["name"], summary.failed) == ("broken.png", 1)
    assert failed["reason"]


def test_pictures_that_are_gone_leave_their_maps(
    run: Callable[..., tuple[int, str, str]], model: cam.CamModel, pictures: Path, tmp_path: Path
) -> None:
    run_batch(model, [pictures], tmp_path / "store")
    (pictures / "plain.png").unlink()
    code, output, _ = run("report", tmp_path / "store", "-o", tmp_path / "report.html")
    assert code == 0
    assert "1 of them" in output
    found = blocks(tmp_path / "report.html")
    assert "not where the store says" in found["report"]["notes"][0]
    names = [picture["name"] for picture in found["report"]["pictures"]]
    said = found[f"picture-{names.index('plain.png')}"]
    assert "frame" not in said and "maps" in said


def test_a_store_without_maps_says_what_to_save(
    model: cam.CamModel, pictures: Path, tmp_path: Path
) -> None:
    run_batch(model, [pictures], tmp_path / "store", BatchOptions(outputs=()))
    write_report([tmp_path / "store"], tmp_path / "report.html")
    found = blocks(tmp_path / "report.html")
    assert any("--save maps" in note for note in found["report"]["sources"][0]["notes"])
    assert "maps" not in found["picture-2"] and "frame" in found["picture-2"]


def test_results_of_single_pictures_are_reported_as_well(
    model: cam.CamModel, coffee: Path, tmp_path: Path
) -> None:
    expected = model.explain(coffee, top=2)
    expected.save(tmp_path / "out" / "coffee")
    expected.save(tmp_path / "out" / "again")
    (tmp_path / "out" / "again" / "maps.npz").write_bytes(b"no")
    write_report([tmp_path / "out"], tmp_path / "report.html")
    again, whole = blocks(tmp_path / "report.html")["report"]["pictures"]
    assert (again["name"], again["status"]) == ("again", "failed")
    assert (whole["name"], whole["top"]["name"]) == ("coffee", expected.names[0])


def test_many_pictures_go_on_pages_and_older_pages_are_removed(
    model: cam.CamModel, pictures: Path, tmp_path: Path
) -> None:
    run_batch(model, [pictures], tmp_path / "store")
    output = tmp_path / "of #all.html"
    many = write_report([tmp_path / "store"], output, per_page=2)
    assert [page.name for page in many.pages] == ["of #all.html", "1.html", "2.html", "3.html"]
    assert 'href="of%20%23all_pages/3.html"' in output.read_text("utf-8")
    second = blocks(many.pages[2])["report"]
    assert len(second["pictures"]) == 2
    assert second["page"] == {
        "number": 2,
        "previous": "1.html",
        "overview": "../of%20%23all.html",
        "next": "3.html",
    }
    write_report([tmp_path / "store"], output, per_page=3)
    assert sorted(page.name for page in (tmp_path / "of #all_pages").iterdir()) == [
        "1.html",
        "2.html",
    ]
    write_report([tmp_path / "store"], output)
    assert not list((tmp_path / "of #all_pages").iterdir())


def test_results_whose_arrays_do_not_fit_are_told_among_the_failed(
    model: cam.CamModel, coffee: Path, tmp_path: Path
) -> None:
    result = model.explain(coffee, top=2)
    for name, changed in {
        "fewer": {"maps": result.maps[:, :1]},
        "flat": {"maps": result.maps[0, 0]},
        "none": {"indices": result.indices[:0], "names": result.names[:0]},
        "beyond": {"scores": result.scores[:3]},
        "frame": {"frame": result.frame.astype(np.float64)[:, :, 0]},
    }.items():
        result.save(tmp_path / "out" / name)
        path = tmp_path / "out" / name / "maps.npz"
        with np.load(path) as arrays:
            np.savez(path, **{**arrays, **changed})
    summary = write_report([tmp_path / "out"], tmp_path / "report.html")
    listed = blocks(tmp_path / "report.html")["report"]["pictures"]
    assert {each["status"] for each in listed} == {"failed"}
    assert summary.failed == 5


def test_a_record_with_a_number_that_is_none_is_refused(
    run: Callable[..., tuple[int, str, str]], model: cam.CamModel, coffee: Path, tmp_path: Path
) -> None:
    model.explain(coffee, top=1).save(tmp_path / "out")
    path = tmp_path / "out" / "result.json"
    said = json.loads(path.read_text())
    said["record"]["scale"] = float("nan")
    path.write_text(json.dumps(said))
    code, _, errors = run("report", "out")
    assert (code, errors.count("\n")) == (2, 1)
    assert not (tmp_path / "report.html").exists()


def test_a_row_that_is_damaged_is_told_among_the_failed(
    model: cam.CamModel, pictures: Path, tmp_path: Path
) -> None:
    run_batch(model, [pictures], tmp_path / "store")
    record = json.loads((tmp_path / "store" / "run.json").read_text())
    record["arrays"]["maps"]["shape"][1] += 1
    (tmp_path / "store" / "run.json").write_text(json.dumps(record))
    summary = write_report([tmp_path / "store"], tmp_path / "report.html")
    assert summary.failed == summary.pictures == 5


class _Endless:
    """A source of many pictures that counts how many were begun."""

    name, record, map_bytes, count = "many", {}, 0, 400
    lines: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    begun = 0

    def jobs(self) -> Iterator[Callable[[], ReportPicture]]:
        for number in range(self.count):
            self.begun += 1
            yield lambda number=number: ReportPicture(f"{number}", reason="none")


def test_no_more_than_a_few_pictures_are_in_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source, done, ahead = _Endless(), [0], []

    def count(more: int) -> None:
        done[0] += more
        ahead.append(source.begun - done[0])

    monkeypatch.setattr("cam.viewer.report.open_source", lambda path: source)
    write_report(["many"], tmp_path / "report.html", 100, count)
    assert done == [400]
    assert max(ahead) <= 2 * (os.cpu_count() or 1) + 1


@pytest.mark.parametrize("room", [7_000, 12_000, 60_000, 249_000])
def test_even_noise_fits_the_room_that_there_is(room: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3)).astype(np.uint8)
    assert list(pictures_within(room, noise, noise)) == ["frame"]
    assert len(pictures_within(room, noise, noise)["frame"]) <= room


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_maps_that_are_no_numbers_are_carried_along(coffee: Path, tmp_path: Path) -> None:
    model = cam.load(engine="openvino")
    result = model.explain(coffee, top=1)
    result.maps[0, 0, 2, 2] = np.nan
    result.save(tmp_path / "out")
    write_report([tmp_path / "out"], tmp_path / "report.html")
    said = blocks(tmp_path / "report.html")["picture-0"]["maps"]
    assert np.isnan(np.frombuffer(base64.b64decode(said["data"]), "<f4")).sum() == 1


@pytest.mark.parametrize("wrong", ["missing", "empty", "file"])
def test_what_is_no_result_is_refused_in_one_line(
    wrong: str, run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    code, _, errors = run("report", tmp_path / wrong)
    assert code == 2
    assert errors.count("\n") == 1
    assert not (tmp_path / "report.html").exists()


def test_a_report_that_ends_early_leaves_nothing(
    model: cam.CamModel, pictures: Path, tmp_path: Path
) -> None:
    run_batch(model, [pictures], tmp_path / "store")
    before = sorted(tmp_path.iterdir())

    def stop(count: int) -> None:
        raise CamError("stopped")

    with pytest.raises(CamError, match="stopped"):
        write_report([tmp_path / "store"], tmp_path / "report.html", on_pictures=stop)
    assert sorted(tmp_path.iterdir()) == before
