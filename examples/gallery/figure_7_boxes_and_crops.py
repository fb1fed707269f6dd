"""
Figure 7: boxes of learned classes, and learning from the crops
===============================================================

Section 4.1 of the paper: birds are told apart by a linear classifier on the features of whole
pictures; the box of the class's map finds the bird; and a second classifier, on the features of
what the boxes cut out, does better. Here the two classes are a cat and a cup, each put somewhere on
a wide scene of which it takes a sixth of the area.
"""

import csv
import tempfile
from pathlib import Path

import cv2
import free_pictures
import numpy as np

import cam
from cam.figures.drawing import save_sheet
from cam.figures.sheets import Panel, boxes_sheet
from cam.learning.crops import learn_with_crops
from cam.localization import Box, BoxRule
from cam.pictures.reading import read_picture

random = np.random.default_rng(0)
OBJECTS = {"cat": ("cat", 0, 75, 300), "cup": ("coffee", 40, 130, 320)}
SCENES = {"train": ("palace", "flower"), "test": ("rocket", "astronaut")}
SIDE, OBJECT = 320, 130


def scene(part, kind):
    """Return a part of a photograph with the object somewhere on it, and the object's box."""
    photograph = free_pictures.read(random.choice(SCENES[part]))
    row, column = (int(random.integers(0, size - SIDE + 1)) for size in photograph.shape[:2])
    picture = photograph[row : row + SIDE, column : column + SIDE].copy()
    name, top, left, size = OBJECTS[kind]
    cut = free_pictures.read(name)[top : top + size, left : left + size]
    x, y = (int(value) for value in random.integers(0, SIDE - OBJECT, 2))
    picture[y : y + OBJECT, x : x + OBJECT] = cv2.resize(cut, (OBJECT, OBJECT))
    return picture, Box(x, y, OBJECT, OBJECT)


# %%
# A table says which pictures there are, their classes, which part they are of, and the objects'
# boxes.

folder = Path(tempfile.mkdtemp())
truth = {}
with (folder / "table.csv").open("w", newline="") as file:
    table = csv.writer(file)
    table.writerow(["path", "label", "split", "x", "y", "width", "height"])
    for part, count in (("train", 12), ("test", 10)):
        for number in range(2 * count):
            kind = ("cat", "cup")[number % 2]
            path = folder / f"{part}-{number}.png"
            picture, box = scene(part, kind)
            cv2.imwrite(str(path), picture)
            table.writerow([path.name, kind, part, *box])
            truth[path] = kind, box

learned = learn_with_crops(cam.load(), folder / "table.csv", folder / "out")
for title, one in (
    ("whole pictures", learned.full),
    ("crops by the maps", learned.crop),
    ("crops by the truth", learned.truth),
):
    print(f"{title:<18} {one.evaluation.accuracy:.1%} right")

# %%
# The boxes by the paper's rule, 20 % of the map's maximum, in red, and the truth in green, of
# pictures that nothing was learned from.

model = cam.load_files(learned.full.prototxt, learned.full.caffemodel)
panels = []
for path in [path for path in truth if path.name.startswith("test")][:8]:
    kind, box = truth[path]
    result = model.explain(path, top=1, placement="crop")
    panels.append(Panel(read_picture(path), kind, result.boxes(0, BoxRule(name="paper")), (box,)))

file = folder / "boxes.png"
save_sheet(boxes_sheet(panels, per_row=4), file)
free_pictures.show(read_picture(file))

# %%
# From the command line, with such a table:
#
# .. code-block:: sh
#
#    cam learn table.csv --crop -o birds
#    cam figure boxes PICTURE... --rule paper --prototxt birds/deploy.prototxt \
#        --weights birds/weights.caffemodel
