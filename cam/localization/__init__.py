"""Boxes from heat maps, and the ILSVRC errors as the devkit and the original measure them.

A guess is a class label and a box. It is right if the label is the picture's and the box overlaps a
ground-truth box of that label by at least one half. The error for n guesses is the part of the
pictures whose first n guesses are all wrong.

Labels are ILSVRC ids (1 to 1000 in the devkit's order); :func:`devkit_labels` translates Caffe's
class order. Boxes to evaluate are ``x1, y1, x2, y2`` in pixels with both corners inside, as in
ILSVRC's annotations. The original passes ``x, y, x + width, y + height`` (:attr:`Box.corners`) for
predicted boxes, and so does :func:`read_heatmap_folder`.

The paper's tables are in :mod:`cam.localization.tables`.
"""

# ruff: noqa: F403 - what a module has for others begins with no underscore.

from cam.localization.box_files import *
from cam.localization.boxes import *
from cam.localization.drawing import *
from cam.localization.evaluation import *
from cam.localization.ground_truth import *
from cam.localization.heatmaps import *
from cam.localization.ilsvrc_heatmaps import *
from cam.localization.predictions import *
