"""
Figure 6: boxes
===============

A box around where the map is strong localizes what the class is about: the network has learned from
class names alone and has never seen a box. The paper's text states one rule, the program that it
released has another one.
"""

import tempfile
from pathlib import Path

import free_pictures

import cam
from cam.figures.drawing import save_sheet
from cam.figures.sheets import Panel, boxes_sheet
from cam.localization import BoxRule
from cam.pictures.reading import read_picture

model = cam.load()
panels = []
for name in ("coffee", "cat", "rocket", "palace"):
    picture = free_pictures.read(name)
    result = model.explain(picture, top=1, style="matlab")
    for rule in ("original", "paper"):
        boxes = result.boxes(0, BoxRule(name=rule))[:1]
        panels.append(Panel(picture, f"{name}, {rule} rule", boxes, ()))
        print(f"{name:<7} {rule:<9} {boxes[0]}")

# %%
# The largest box of each, which is the one that the evaluation takes, in red; ground truth, where
# there is any, is green.

file = Path(tempfile.mkdtemp(), "boxes.png")
save_sheet(boxes_sheet(panels, per_row=4), file)
free_pictures.show(read_picture(file))
