"""
Figure 4: the top five classes of one picture
=============================================

The paper's figure 4 shows that the maps of a picture's most probable classes differ: each lies on
what speaks for its own class.
"""

import tempfile
from pathlib import Path

import free_pictures

import cam
from cam.figures.drawing import save_sheet
from cam.figures.sheets import top_classes_sheet
from cam.pictures.reading import read_picture

model = cam.load()
result = model.explain(free_pictures.read("palace"), top=5, style="matlab")
for name, probability in zip(result.names, result.probabilities, strict=True):
    print(f"{probability:.3f}  {name}")

# %%
# The figure, with ten crops as the original made it. ``save_sheet`` writes PNG, PDF or SVG.

file = Path(tempfile.mkdtemp(), "top5.png")
save_sheet(top_classes_sheet(result, "the summer palace"), file)
free_pictures.show(read_picture(file))

# %%
# The same from the command line:
#
# .. code-block:: sh
#
#    cam figure top5 palace.jpg --title "the summer palace" --style matlab
