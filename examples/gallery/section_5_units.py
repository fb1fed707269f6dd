"""
Section 5: class-specific units
===============================

A map of the last convolution is a unit, and the class layer's weights say which units a class
listens to most. What a unit has learned to see is looked at in the pictures that excite it most,
each cut to where it fires.
"""

import tempfile
from pathlib import Path

import cv2
import free_pictures
import numpy as np

import cam
from cam.figures.drawing import save_sheet
from cam.learning.figures import units_sheet
from cam.learning.learn import learn
from cam.learning.units import class_units, exciting_pictures
from cam.pictures.lists import find_pictures
from cam.pictures.reading import read_picture

# %%
# Pictures to learn classes from, and to look for the units' favourites in: pieces of six
# photographs, a class each. The paper takes its networks' own classes and the whole validation set;
# so small a set would hold little that units for a thousand classes wait for.

random = np.random.default_rng(0)
folder = Path(tempfile.mkdtemp())
for name in free_pictures.NAMES:
    (folder / "pieces" / name).mkdir(parents=True)
    picture = free_pictures.read(name)
    for number in range(25):
        size = int(random.integers(140, 300))
        row, column = (int(random.integers(0, side - size + 1)) for side in picture.shape[:2])
        piece = picture[row : row + size, column : column + size]
        cv2.imwrite(str(folder / "pieces" / name / f"{number}.png"), piece)

learned = learn(cam.load(), folder / "pieces", folder / "learned")
model = cam.load_files(learned.prototxt, learned.caffemodel)

# %%
# The three units with the largest weights of two classes, and the five pieces that excite each
# most.

classes = []
for name in ("cat", "coffee"):
    units = class_units(model.network, model.class_index(name), 3)
    pieces = find_pictures([str(folder / "pieces")])
    found = exciting_pictures(model, pieces, [unit.number for unit in units], 5)
    classes.append((name, [(unit, found[unit.number]) for unit in units]))

file = folder / "units.png"
save_sheet(units_sheet(classes), file)
free_pictures.show(read_picture(file))

# %%
# From the command line:
#
# .. code-block:: sh
#
#    cam learn pieces/ -o learned
#    cam figure units pieces/ --class cat --units 3 --best 5 \
#        --prototxt learned/deploy.prototxt --weights learned/weights.caffemodel
