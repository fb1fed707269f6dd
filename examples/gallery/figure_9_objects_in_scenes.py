"""
Figure 9: what the maps of a class lie on
=========================================

Which objects tell a scene's class? Section 4.2 of the paper counts, over a scene's pictures, the
objects that lie in the active region of its map. Here the scenes are made: two to three objects, at
places that are known, on a wide view; the class is the one that the network finds.
"""

import csv
import tempfile
from pathlib import Path

import cv2
import free_pictures
import numpy as np

import cam
from cam.batch import BatchOptions, run_batch
from cam.figures.drawing import save_sheet
from cam.figures.sheets import scenes_sheet
from cam.learning.objects import held_objects, read_objects
from cam.pictures.reading import read_picture
from cam.zoo import short_name

random = np.random.default_rng(1)
OBJECTS = {
    "cat's face": ("cat", 0, 75, 300),
    "cup": ("coffee", 40, 130, 320),
    "flower": ("flower", 20, 150, 400),
    "helmet": ("astronaut", 330, 180, 180),
}
CORNERS = [(15, 15), (15, 175), (175, 15), (175, 175)]
SIDE, OBJECT = 320, 130


def scene():
    """Return a part of the palace's photograph with objects on it, and their names and places."""
    photograph = free_pictures.read("palace")
    row, column = (int(random.integers(0, size - SIDE + 1)) for size in photograph.shape[:2])
    picture = photograph[row : row + SIDE, column : column + SIDE].copy()
    names = random.choice(list(OBJECTS), random.integers(2, 4), replace=False)
    placed = []
    for name, (y, x) in zip(names, random.permutation(CORNERS), strict=False):
        source, top, left, size = OBJECTS[name]
        cut = free_pictures.read(source)[top : top + size, left : left + size]
        picture[y : y + OBJECT, x : x + OBJECT] = cv2.resize(cut, (OBJECT, OBJECT))
        placed.append((name, x, y, OBJECT, OBJECT))
    return picture, placed


# %%
# Forty such scenes, and a table of what is in them.

folder = Path(tempfile.mkdtemp())
(folder / "scenes").mkdir()
with (folder / "objects.csv").open("w", newline="") as file:
    table = csv.writer(file)
    table.writerow(["name", "object", "x", "y", "width", "height"])
    for number in range(40):
        picture, placed = scene()
        name = f"{number:02d}.png"
        cv2.imwrite(str(folder / "scenes" / name), picture)
        table.writerows([name, *one] for one in placed)

# %%
# A store with the map of each scene's best class; and for each class the objects that its maps
# hold.

model = cam.load()
options = BatchOptions(top=1, placement="crop", outputs=("maps",))
run_batch(model, [folder / "scenes"], folder / "store", options)
for name, objects in held_objects(folder / "store", read_objects(folder / "objects.csv")).items():
    if objects[0].pictures >= 3:
        said = ", ".join(f"{one.name} in {one.held} of {one.present}" for one in objects)
        print(f"{short_name(name)}, {objects[0].pictures} scenes: {said}")

# %%
# Some of the scenes above their maps.

paths = sorted((folder / "scenes").iterdir())[:4]
shown = [
    (short_name(result.names[0]), result)
    for result in model.explain_many(paths, top=1, placement="crop")
]
file = folder / "scenes.png"
save_sheet(scenes_sheet(shown, per_row=4), file)
free_pictures.show(read_picture(file))

# %%
# From the command line:
#
# .. code-block:: sh
#
#    cam batch scenes/ --save maps --top 1 --placement crop -o store
#    cam objects store objects.csv
