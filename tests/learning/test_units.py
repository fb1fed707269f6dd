"""Class-specific units, and the best pictures of a store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cam
from cam.batch import BatchOptions, run_batch
from cam.batch.ranking import best_pictures
from cam.errors import CamError
from cam.explain.model import CamModel
from cam.learning.figures import units_sheet
from cam.learning.units import Unit, class_units, exciting_pictures
from cam.pictures.lists import Entry, find_pictures
from cam.pictures.reading import read_picture, write_picture

pytest.importorskip("pyarrow")

COUNT, BAD = 12, 5


@pytest.fixture(scope="module")
def model() -> CamModel:
    return cam.load("efficientnet-lite0", engine="openvino")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, coffee: Path) -> Path:
    """Return a folder with parts of a photograph; one file is no picture."""
    folder = tmp_path_factory.mktemp("pictures")
    photograph = read_picture(coffee)
    for number in range(COUNT):
        part = photograph[17 * number : 17 * number + 180, 25 * number : 25 * number + 240]
        write_picture(folder / f"{number:02d}.png", part)
    (folder / f"{BAD:02d}.png").write_bytes(b"no picture")
    return folder


def activations(model: CamModel, pictures: Path) -> dict[str, Any]:
    paths = [path for path in sorted(pictures.iterdir()) if path.stem != f"{BAD:02d}"]
    outputs = [model.explain(path, top=1).output for path in paths]
    return {path.name: one.activations[0] for path, one in zip(paths, outputs, strict=True) if one}


def test_units_come_by_descending_weight(model: CamModel) -> None:
    units = class_units(model.network, 504, 10)
    weights = model.class_weights[504]
    assert [unit.weight for unit in units] == sorted(weights.tolist(), reverse=True)[:10]
    assert all(weights[unit.number] == np.float32(unit.weight) for unit in units)
    for count in (0, 1281):
        with pytest.raises(CamError, match=f"{count} units of 1280"):
            class_units(model.network, 504, count)


def test_the_most_exciting_pictures_are_those_of_the_largest_activation(
    model: CamModel, pictures: Path
) -> None:
    chosen = [unit.number for unit in class_units(model.network, 504, 4)]
    found = exciting_pictures(model, find_pictures([pictures]), chosen, 3)
    maps = activations(model, pictures)
    for unit in chosen:
        order = sorted(maps, key=lambda name: (-maps[name][unit].max(), -maps[name][unit].mean()))
        assert [one.entry.name for one in found[unit]] == order[:3]
        values = [one.activation for one in found[unit]]
        np.testing.assert_allclose(values, [maps[name][unit].max() for name in order[:3]], 1e-4)


def test_a_picture_is_cut_to_where_the_unit_fires(model: CamModel, pictures: Path) -> None:
    (unit,) = class_units(model.network, 504, 1)
    wide, tight = (
        exciting_pictures(model, find_pictures([pictures]), [unit.number], 3, share)[unit.number]
        for share in (0.1, 0.9)
    )
    for large, small in zip(wide, tight, strict=True):
        assert small.box.area < large.box.area < 180 * 240
        assert small.cut().shape == (small.box.height, small.box.width, 3)
        # The peak of the map lies in the center crop: 16 of 256 pixels off each side.
        peak = np.unravel_index(
            activations(model, pictures)[small.entry.name][unit.number].argmax(), (7, 7)
        )
        row, column = ((16 + 224 * (place + 0.5) / 7) / 256 for place in peak)
        x1, y1, x2, y2 = large.box.corners
        assert x1 <= column * 240 <= x2 and y1 <= row * 180 <= y2


def test_units_that_nothing_excites_have_no_picture(model: CamModel, pictures: Path) -> None:
    maps = activations(model, pictures)
    silent = [k for k in range(1280) if all(one[k].max() == 0 for one in maps.values())]
    assert silent
    found = exciting_pictures(model, find_pictures([pictures]), silent[:2], 3)
    assert found == {silent[0]: [], silent[1]: []}
    with pytest.raises(CamError, match="no picture excites"):
        units_sheet([("a class", [(Unit(silent[0], 1.0), [])])])


def test_pictures_are_taken_as_they_are_needed_and_few_are_kept(
    model: CamModel, coffee: Path
) -> None:
    entries = (Entry(f"{number}", str(coffee)) for number in range(150))
    found = exciting_pictures(model, entries, [0, 1, 2], 2)
    assert all(len(kept) <= 2 for kept in found.values())
    # Of equals the earliest.
    assert [one.entry.name for one in found[0]] in ([], ["0", "1"])


def test_without_readable_pictures_there_is_one_clear_line(model: CamModel, pictures: Path) -> None:
    with pytest.raises(CamError, match=r"no picture could be read: .*05.png: not a picture"):
        exciting_pictures(model, find_pictures([pictures / "05.png"]), [0], 2)
    with pytest.raises(CamError, match="no picture could be read: there is none"):
        exciting_pictures(model, [], [0], 2)
    with pytest.raises(CamError, match="below 1"):
        exciting_pictures(model, [], [0], 2, share=1.0)


def test_a_sheet_has_a_row_for_each_unit(model: CamModel, pictures: Path) -> None:
    units = class_units(model.network, 504, 2)
    found = exciting_pictures(model, find_pictures([pictures]), [unit.number for unit in units], 2)
    sheet = units_sheet([("n07920052 espresso", [(unit, found[unit.number]) for unit in units])])
    assert [row.label for row in sheet.rows] == [
        f"unit {unit.number}: {unit.weight:.2g}" for unit in units
    ]
    assert sheet.rows[0].headings[0].text == "espresso"


@pytest.mark.parametrize("outputs", [("scores",), ()])
def test_the_best_pictures_of_a_store_have_the_highest_scores(
    model: CamModel, pictures: Path, tmp_path: Path, outputs: tuple[str, ...]
) -> None:
    options = BatchOptions(outputs=outputs, precision="float32", piece_size=5)
    run_batch(model, [pictures], tmp_path, options)
    scores = {
        path.name: model.explain(path, top=5)
        for path in sorted(pictures.iterdir())
        if path.stem != f"{BAD:02d}"
    }
    known = {
        name: float(one.scores[504])
        for name, one in scores.items()
        if outputs or 504 in one.indices
    }
    order = sorted(known, key=lambda name: -known[name])
    found = best_pictures(tmp_path, 504, 4)
    assert [entry.name for entry, _ in found] == order[:4]
    np.testing.assert_allclose([score for _, score in found], [known[n] for n in order[:4]], 1e-3)
    with pytest.raises(CamError, match="class 1000" if outputs else "--save scores"):
        best_pictures(tmp_path, 1000, 4)


def test_the_command_draws_units_and_the_best_of_a_store(
    model: CamModel, pictures: Path, tmp_path: Path, run: Any
) -> None:
    code, _, errors = run(
        *("figure", "units", pictures, "--class", "espresso", "--units", "2", "--best", "2"),
        *("--engine", "openvino", "-o", "units"),
    )
    assert code == 0, errors
    assert read_picture(tmp_path / "units.png").shape[0] > 300
    run_batch(model, [pictures], tmp_path / "store", BatchOptions(outputs=("scores",)))
    code, _, errors = run(
        *("figure", "class-maps", "--from", "store", "--class", "espresso", "--best", "3"),
        *("--engine", "openvino", "-o", "best"),
    )
    assert code == 0, errors
    assert read_picture(tmp_path / "best.png").shape[1] > 900
    for arguments, said in (
        (("units", pictures), "name it with --class"),
        (("class-maps",), "name pictures"),
        (("class-maps", pictures, "--from", "store"), "name pictures"),
        (("top5", "--from", "store"), "--from does nothing for top5"),
    ):
        code, _, errors = run("figure", *arguments)
        assert code == 2
        assert said in errors
