"""The ILSVRC classification and localization errors, as the devkit and the original measure them.

A guess is a class label and a box. It is right if the label is the picture's and the box overlaps a
ground-truth box of that label by at least one half. The error for n guesses is the part of the
pictures whose first n guesses are all wrong.

Labels are ILSVRC ids (1 to 1000 in the devkit's order); :func:`devkit_labels` translates Caffe's
class order. Boxes are ``x1, y1, x2, y2`` in pixels with both corners inside, as in ILSVRC's
annotations. The original passes ``x, y, x + width, y + height``
(:attr:`cam.localization.boxes.Box.corners`) for predicted boxes, and so does
:func:`read_heatmap_folder`.
"""

from cam.localization.ground_truth import (
    GroundTruth,
    devkit_labels,
    read_ground_truth,
    read_ilsvrc_ids,
)
from cam.localization.measure import Evaluation, evaluate, overlap
from cam.localization.predictions import (
    MAX_GUESSES,
    VARIANTS,
    Candidates,
    Predictions,
    Variant,
    read_heatmap_folder,
    read_submission,
    write_submission,
)

__all__ = [
    "MAX_GUESSES",
    "VARIANTS",
    "Candidates",
    "Evaluation",
    "GroundTruth",
    "Predictions",
    "Variant",
    "devkit_labels",
    "evaluate",
    "overlap",
    "read_ground_truth",
    "read_heatmap_folder",
    "read_ilsvrc_ids",
    "read_submission",
    "write_submission",
]
