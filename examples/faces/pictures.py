"""Make the pictures of the example: real faces and other patches on real photographs.

All of it is shipped inside the package scikit-image: ``lfw_subset.npy``, 100 faces and 100 patches
without a face of 25x25 pixels from *Labeled Faces in the Wild*, and photographs. Every picture has
two patches at random places. In a picture of the class ``face`` one of them is a face, in one of
the class ``no face`` none is: that something was pasted tells nothing, and where the face is, is
known. Faces, patches and parts of the photographs that are in held-out pictures are in none that
is trained on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cam.files import atomic_path
from cam.localization.boxes import Box
from cam.pictures.reading import read_picture, write_picture

CLASSES = ("no face", "face")
FRAME = 256
CROP = 224
PATCH = 25
"""Rows and columns of a face in the data set."""
PATCH_SIZES = (88, 112)
"""Rows and columns of a pasted patch, at least and at most."""

PHOTOGRAPHS = (
    "brick.png",
    "chelsea.png",
    "clock_motion.png",
    "coffee.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "moon.png",
    "motorcycle_left.png",
    "page.png",
    "retina.jpg",
    "rocket.jpg",
)
"""Those of the package without a face."""

TRAINING_WIDTH = 0.6
"""The left part of each photograph that is trained on; the right part is held out."""

TRAINING_FACES = 80
"""How many of the 100 faces, and of the 100 other patches, are trained on."""

Grey = NDArray[np.uint8]


@dataclass(frozen=True)
class Material:
    """What pictures are made of.

    Attributes
    ----------
    photographs : sequence of numpy.ndarray
        uint8 (H, W).
    faces, others : sequence of numpy.ndarray
        uint8 (25, 25).
    """

    photographs: Sequence[Grey]
    faces: Sequence[Grey]
    others: Sequence[Grey]


def load_material() -> tuple[Material, Material]:
    """Return what the training pictures and the held-out ones are made of."""
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    patches = (np.load(folder / "lfw_subset.npy") * 255).round().astype(np.uint8)
    faces, others = patches[:100], patches[100:]
    training, held_out = slice(None, TRAINING_FACES), slice(TRAINING_FACES, None)

    photographs = [
        cv2.cvtColor(read_picture(folder / name), cv2.COLOR_BGR2GRAY) for name in PHOTOGRAPHS
    ]
    cuts = [int(TRAINING_WIDTH * photograph.shape[1]) for photograph in photographs]
    return (
        Material(
            [photograph[:, :cut] for photograph, cut in zip(photographs, cuts, strict=True)],
            faces[training],
            others[training],
        ),
        Material(
            [photograph[:, cut:] for photograph, cut in zip(photographs, cuts, strict=True)],
            faces[held_out],
            others[held_out],
        ),
    )


def make_picture(
    material: Material, label: int, generator: np.random.Generator
) -> tuple[Grey, list[Box]]:
    """Return a picture and the boxes of its two patches, that of the face first if it has one.

    Parameters
    ----------
    material : Material
        What it is made of.
    label : int
        Its class: 1 with a face, 0 without.
    generator : numpy.random.Generator
        Where chance comes from.

    Returns
    -------
    picture : numpy.ndarray
        uint8 (256, 256).
    boxes : list of Box
        Both lie inside the center crop of 224 and apart from each other.
    """
    picture = _background(material.photographs, generator).astype(np.float64)
    boxes = _places(generator)
    patches = [_other_patch(material, generator) for _ in boxes]
    if label:
        patches[0] = material.faces[generator.integers(len(material.faces))]
    for box, patch in zip(boxes, patches, strict=True):
        _paste(picture, patch, box, generator)
    return picture.round().clip(0, 255).astype(np.uint8), boxes


def _background(photographs: Sequence[Grey], generator: np.random.Generator) -> Grey:
    photograph = photographs[generator.integers(len(photographs))]
    rows, columns = photograph.shape
    side = int(generator.uniform(0.6, 1) * min(rows, columns))
    top, left = generator.integers(rows - side + 1), generator.integers(columns - side + 1)
    part = photograph[top : top + side, left : left + side]
    return np.asarray(cv2.resize(part, (FRAME, FRAME), interpolation=cv2.INTER_AREA), np.uint8)


def _other_patch(material: Material, generator: np.random.Generator) -> Grey:
    """Return a patch without a face: one of the data set's, or as small a part of a photograph."""
    if generator.random() < 0.5:
        return material.others[generator.integers(len(material.others))]
    part = _background(material.photographs, generator)
    side = int(generator.integers(PATCH, 4 * PATCH, endpoint=True))
    top, left = generator.integers(FRAME - side + 1, size=2)
    part = part[top : top + side, left : left + side]
    return np.asarray(cv2.resize(part, (PATCH, PATCH), interpolation=cv2.INTER_AREA), np.uint8)


def _places(generator: np.random.Generator) -> list[Box]:
    margin = (FRAME - CROP) // 2
    while True:
        boxes = []
        for _ in range(2):
            size = int(generator.integers(*PATCH_SIZES, endpoint=True))
            x, y = generator.integers(margin, FRAME - margin - size, size=2, endpoint=True)
            boxes.append(Box(int(x), int(y), size, size))
        one, two = boxes
        if abs(one.x + one.width / 2 - two.x - two.width / 2) * 2 > one.width + two.width:
            return boxes
        if abs(one.y + one.height / 2 - two.y - two.height / 2) * 2 > one.height + two.height:
            return boxes


def _paste(
    picture: NDArray[np.float64], patch: Grey, box: Box, generator: np.random.Generator
) -> None:
    # Each time a little turned, shifted, and larger than the box, which cuts it off.
    scale = box.width / PATCH * generator.uniform(1, 1.15)
    turn = cv2.getRotationMatrix2D((PATCH / 2, PATCH / 2), generator.uniform(-10, 10), scale)
    turn[:, 2] += (box.width - PATCH) / 2 + generator.uniform(-0.04, 0.04, 2) * box.width
    large = cv2.warpAffine(
        np.ascontiguousarray(patch[:, :: generator.choice((-1, 1))]),
        turn,
        (box.width, box.height),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    shown = large * generator.uniform(0.8, 1.2) + generator.uniform(-20, 20)
    # Faded in from its edges on, so that the patch does not lie on the photograph like a stamp.
    ramp = np.minimum(1, (0.5 + np.arange(box.width)) / (0.12 * box.width))
    ramp = np.minimum(ramp, ramp[::-1])
    opacity = np.minimum.outer(ramp, ramp)
    part = picture[box.y : box.y + box.height, box.x : box.x + box.width]
    part[...] = opacity * shown + (1 - opacity) * part


def write_pictures(
    folder: Path, name: str, material: Material, count: int, generator: np.random.Generator
) -> None:
    """Write pictures, half of each class, with the list of their labels and boxes.

    Parameters
    ----------
    folder : pathlib.Path
        Where the folder `name` with the pictures goes, and beside it ``name.txt``, a list as
        Caffe's tools read it, and ``name.json`` with the boxes.
    name : str
        What to call them.
    material : Material
        What they are made of.
    count : int
        How many pictures.
    generator : numpy.random.Generator
        Where chance comes from.
    """
    listed, boxes_of = [], {}
    for index in range(count):
        label = index % 2
        grey, boxes = make_picture(material, label, generator)
        file = f"{name}/{index:05d}.jpg"
        write_picture(folder / file, cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))
        listed.append(f"{file} {label}\n")
        boxes_of[file] = {"label": label, "boxes": boxes}
    _write_text(folder / f"{name}.txt", "".join(listed))
    _write_text(folder / f"{name}.json", json.dumps(boxes_of, indent=0))


def _write_text(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_boxes(path: Path) -> dict[str, dict[str, Any]]:
    """Return what `write_pictures` wrote: label and boxes of each file."""
    described = json.loads(path.read_text(encoding="utf-8"))
    return {
        file: {"label": entry["label"], "boxes": [Box(*box) for box in entry["boxes"]]}
        for file, entry in described.items()
    }
