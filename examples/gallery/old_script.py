"""
An old script
=============

``examples/py_demo_style.py`` is written as pycaffe scripts were in 2016: ``caffe.Net``,
``caffe.io.Transformer``, ``cv2.imshow``. ``cam script`` runs it as it stands, without Caffe, and
writes its windows as files.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import free_pictures
import numpy as np

from cam.files import models_folder
from cam.pictures.reading import read_picture

folder, models = Path(tempfile.mkdtemp()), models_folder()
cv2.imwrite(str(folder / "coffee.png"), free_pictures.read("coffee"))

network = [models / "efficientnet-lite0.prototxt", models / "efficientnet-lite0.caffemodel"]
layers = ["--last-conv", "head/relu6", "--class-layer", "classifier"]
pixels = ["--rgb", "--mean", "127", "127", "127", "--scale", "0.0078125"]
script = Path("../py_demo_style.py").resolve()
command = [sys.executable, "-m", "cam", "script", "--engine", "openvino", "--save-windows", "shown"]
command += [script, "coffee.png", *network, *layers, *pixels, "--top", "3"]
said = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
print(said.stdout)

# %%
# What it showed in its windows:

windows = sorted((folder / "shown").glob("*.png"))
free_pictures.show(np.hstack([read_picture(window) for window in windows]))
