"""
Figure 3: the maps of one class over several pictures
=====================================================

The paper's figure 3 shows one class in several pictures. Here the cat is alone, mirrored, and
beside other things: wherever it is, the map of its class finds it. The last picture has no cat in
it. Its map is stretched to the same colours as the others; only the probability above it tells.
"""

import tempfile
from pathlib import Path

import cv2
import free_pictures
import numpy as np

import cam
from cam.figures.drawing import save_sheet
from cam.figures.sheets import class_maps_sheet
from cam.pictures.reading import read_picture

cat, coffee, rocket = (
    cv2.resize(free_pictures.read(name), (300, 300)) for name in ("cat", "coffee", "rocket")
)
pictures = [
    cat,
    cat[:, ::-1],
    np.hstack([cat, coffee]),
    np.hstack([rocket, cat]),
    np.vstack([coffee, cat]),
    coffee,
]

model = cam.load()
results = [model.explain(picture, classes=["Egyptian cat"], style="matlab") for picture in pictures]

file = Path(tempfile.mkdtemp(), "cats.png")
save_sheet(class_maps_sheet(results), file)
free_pictures.show(read_picture(file))

# %%
# From the command line, over any pictures:
#
# .. code-block:: sh
#
#    cam figure class-maps pictures/ --class "Egyptian cat" --style matlab
