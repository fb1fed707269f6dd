"""
Figure 5: ways to a map, side by side
=====================================

The paper's figure 5 puts networks and backpropagation side by side. The same sheet shows here what
one network gives by the three ways of laying its map: one crop whose map is stretched over the
picture, as the pycaffe port does; the same map where the crop was; and ten crops, as the original.
"""

import tempfile
from pathlib import Path

import free_pictures

import cam
from cam.figures.drawing import save_sheet
from cam.figures.sheets import comparison_sheet
from cam.pictures.reading import read_picture

model = cam.load()
pictures = [free_pictures.read(name) for name in ("coffee", "cat", "rocket")]
ways = {
    "one crop, stretched": {"style": "pycaffe"},
    "one crop, placed": {"style": "pycaffe", "placement": "crop"},
    "ten crops": {"style": "matlab"},
}
columns = [
    (name, [model.explain(picture, top=1, **way) for picture in pictures])
    for name, way in ways.items()
]

file = Path(tempfile.mkdtemp(), "comparison.png")
save_sheet(comparison_sheet(columns), file)
free_pictures.show(read_picture(file))

# %%
# Networks and backpropagation, which needs Caffe, come from the command line:
#
# .. code-block:: sh
#
#    cam figure comparison pictures/ -m googlenet --also vgg16 --backprop googlenet --style matlab
