"""
Comparing with MATLAB's result
==============================

Whoever has a ``result.jpg`` of the original ``demo.m`` can hold it against what the project makes
of the same picture. MATLAB writes it as a JPEG of quality 75, which moves pixels by some levels by
itself. Here our own figure, compressed like that, plays the part of MATLAB's.
"""

import tempfile
from pathlib import Path

import cv2
import free_pictures

import cam
from cam.fidelity import Tolerance, compare_files

folder = Path(tempfile.mkdtemp())
result = cam.load().explain(free_pictures.read("cat"), style="matlab")
result.save(folder / "ours")
theirs = folder / "result.jpg"
cv2.imwrite(str(theirs), result.montage(), [cv2.IMWRITE_JPEG_QUALITY, 75])
free_pictures.show(result.montage())

# %%
# JPEG alone moves pixels, so the tolerance allows for it.

comparison = compare_files(folder / "ours", theirs, Tolerance(levels=12, share=0.95))
for name, difference in comparison.differences.items():
    share = f"{difference.within_levels:.1%} within 12 of 255 levels"
    print(f"{name:<10} mean {difference.mean_abs:.2g}, largest {difference.max_abs:.2g}, {share}")
print("within the tolerance:", comparison.within)

# %%
# From the command line, with the numbers, a picture of the differences and an exit code:
#
# .. code-block:: sh
#
#    cam compare ours result.jpg --levels 12 --share 0.95
