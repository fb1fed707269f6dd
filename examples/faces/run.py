"""Train a small CAM network from nothing and measure where its maps look: one command.

Pictures are made (see pictures.py), put into LMDBs by scripts/prepare_lmdb.py and trained on by
`cam train`; then the held-out pictures are classified, their maps are compared with where the faces
are, and both engines are compared on the trained caffemodel. Everything goes to the folder OUTPUT,
the measurements to result.json and held-out maps to maps.png. Needs Caffe and scikit-image.

    python examples/faces/run.py /tmp/faces
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
from numpy.typing import NDArray
from pictures import CLASSES, load_material, read_boxes, write_pictures

from cam import zoo
from cam.explain.explanation import Explanation
from cam.explain.model import CamModel, load_files
from cam.fidelity.engine_agreement import EngineAgreement, open_and_compare
from cam.files import atomic_path
from cam.localization import Box, draw_boxes, overlap, paper_box
from cam.maps.montage import montage
from cam.pictures.reading import write_picture

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FACE = CLASSES.index("face")
SHOWN = 6
"""How many held-out pictures are shown, and run on both engines."""


@dataclass(frozen=True)
class Seen:
    """What the network saw in one held-out picture.

    Attributes
    ----------
    label, predicted : int
        Its class, and the class with the highest probability.
    face, other : Box
        Where the face is, if it has one, and where the other patch is.
    peak : tuple of int
        Column and row of the highest value of the map of the class ``face``.
    box : Box or None
        The paper's box of that map: its largest part above 20 % of the maximum.
    """

    label: int
    predicted: int
    face: Box
    other: Box
    peak: tuple[int, int]
    box: Box | None


def command(folder: Path, *arguments: str) -> None:
    """Show a command and run it in the example's folder."""
    click.echo(f"$ {shlex.join(arguments)}")
    program = [sys.executable, *(["-m"] if arguments[0] == "cam" else [])]
    subprocess.run([*program, *arguments], cwd=folder, check=True)


def look(model: CamModel, files: Sequence[Path], boxes: dict[str, dict[str, Any]]) -> list[Seen]:
    """Return what the network saw in each picture."""
    seen = []
    results = model.explain_many(files, top=len(CLASSES), placement="crop")
    for file, result in zip(files, results, strict=True):
        entry = boxes[f"{file.parent.name}/{file.name}"]
        face_map = result.merged[list(result.indices).index(FACE)]
        row, column = np.unravel_index(int(face_map.argmax()), face_map.shape)
        seen.append(
            Seen(
                entry["label"],
                int(result.indices[0]),
                *entry["boxes"],
                (int(column), int(row)),
                paper_box(face_map),
            )
        )
    return seen


def measure(seen: Sequence[Seen]) -> dict[str, float]:
    """Return accuracy and localization, each beside what chance gives.

    For the localization, chance is each picture's map held against the boxes of the next picture:
    whatever the maps owe to the middle of the picture or to their size, chance owes it as well.
    """
    with_face = [one for one in seen if one.label == FACE]
    others = [*with_face[1:], with_face[0]]
    overlaps = _overlaps(with_face, with_face)
    by_chance = _overlaps(with_face, others)
    return {
        "pictures": len(seen),
        "accuracy": _share([one.predicted == one.label for one in seen]),
        "accuracy_by_chance": 1 / len(CLASSES),
        "peak_in_face": _share([_inside(one.peak, one.face) for one in with_face]),
        "peak_in_other_patch": _share([_inside(one.peak, one.other) for one in with_face]),
        "peak_in_face_by_chance": _share(
            [_inside(one.peak, two.face) for one, two in zip(with_face, others, strict=True)]
        ),
        "mean_overlap": float(overlaps.mean()),
        "mean_overlap_by_chance": float(by_chance.mean()),
        "overlap_over_half": _share(overlaps >= 0.5),
        "overlap_over_half_by_chance": _share(by_chance >= 0.5),
    }


def _overlaps(seen: Sequence[Seen], truth: Sequence[Seen]) -> NDArray[np.float64]:
    boxes = [one.box or Box(0, 0, 1, 1) for one in seen]
    return overlap(
        np.array([box.inclusive_corners for box in boxes], float),
        np.array([one.face.inclusive_corners for one in truth], float),
    )


def _inside(point: tuple[int, int], box: Box) -> bool:
    x, y = point
    return box.x <= x < box.x + box.width and box.y <= y < box.y + box.height


def _share(flags: Any) -> float:
    return float(np.mean(flags))


def shown(result: Explanation, seen: Seen) -> NDArray[np.uint8]:
    """Return a picture over its map, with the face's box green and the predicted one red."""
    predicted = [seen.box] if seen.box else []
    rank = list(result.indices).index(FACE)
    pair = [
        draw_boxes(result.frame, [], [seen.face]),
        draw_boxes(result.overlay(rank), predicted, [seen.face]),
    ]
    caption = np.full((28, result.frame.shape[1], 3), 255, np.uint8)
    text = f"face: {result.scores[FACE]:.2f}"
    cv2.putText(caption, text, (4, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (0, 0, 0), 1, cv2.LINE_AA)
    space = np.full((8, result.frame.shape[1], 3), 255, np.uint8)
    return np.vstack([pair[0], space, pair[1], caption])


def parity_of(folder: Path, caffemodel: Path, files: Sequence[Path]) -> EngineAgreement:
    """Compare the engines on the trained network."""
    return open_and_compare(zoo.load_files(folder / "deploy.prototxt", caffemodel), files)


@click.command(help=__doc__)
@click.argument("output", type=click.Path(file_okay=False, path_type=Path))
@click.option("--pictures", default=4000, show_default=True, help="Training pictures.")
@click.option("--held-out", default=400, show_default=True, help="Held-out pictures.")
@click.option("--max-iter", type=int, help="Iterations, if not as in solver.prototxt.")
@click.option("--threads", default=1, show_default=True, help="Threads for the training.")
def main(output: Path, pictures: int, held_out: int, max_iter: int | None, threads: int) -> None:
    """Make the pictures, train, measure."""
    output.mkdir(parents=True, exist_ok=True)
    click.echo(f"making {pictures} training pictures and {held_out} held-out ones in {output}")
    for seed, (name, material, count) in enumerate(
        zip(("train", "held_out"), load_material(), (pictures, held_out), strict=True)
    ):
        write_pictures(output, name, material, count, np.random.default_rng(seed))
    for file in ("train_val.prototxt", "deploy.prototxt", "solver.prototxt"):
        shutil.copy(HERE / file, output)
    prepare = str(ROOT / "scripts" / "prepare_lmdb.py")
    for name in ("train", "held_out"):
        shutil.rmtree(output / f"{name}_lmdb", ignore_errors=True)
        options = ["--list", f"{name}.txt", "--shuffle", "0", "--encode", "jpg"]
        command(output, prepare, ".", f"{name}_lmdb", *options)
    limit = [] if max_iter is None else ["--max-iter", str(max_iter)]
    history = ["--threads", str(threads), "--history", "history.json"]
    began = time.monotonic()
    command(output, "cam", "train", "--solver", "solver.prototxt", *history, *limit)
    seconds = time.monotonic() - began

    records = json.loads((output / "history.json").read_text(encoding="utf-8"))
    caffemodel = output / "snapshots" / f"faces_iter_{records[-1]['iteration']}.caffemodel"
    boxes = read_boxes(output / "held_out.json")
    files = [output / file for file in boxes]
    model = load_files(
        output / "deploy.prototxt", caffemodel, class_names=CLASSES, engine="openvino"
    )
    seen = look(model, files, boxes)
    with_face = [i for i, one in enumerate(seen) if one.label == FACE][:SHOWN]
    columns = [
        shown(model.explain(files[i], len(CLASSES), placement="crop"), seen[i]) for i in with_face
    ]
    write_picture(output / "maps.png", montage(columns))
    parity = parity_of(output, caffemodel, [files[i] for i in with_face])
    losses = [record["loss"] for record in records if record["loss"] is not None]
    result = {
        "iterations": records[-1]["iteration"],
        "training_seconds": round(seconds, 1),
        "first_loss": losses[0],
        "last_loss": losses[-1],
        **measure(seen),
        "engines_agree": parity.holds,
        "engines_largest_relative_difference": max(
            apart.relative for apart in parity.blobs.values()
        ),
        "caffemodel": str(caffemodel.relative_to(output)),
    }
    with atomic_path(output / "result.json") as temporary:
        temporary.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    for name, value in result.items():
        click.echo(f"{name:<38}{value:.4g}" if isinstance(value, float) else f"{name:<38}{value}")


if __name__ == "__main__":
    main()
