"""
Your own network
================

Two files of Caffe, and what they cannot say: how pixels become input, and the names of the classes.
The embedded network's own files play the part of yours here.
"""

import free_pictures

import cam
from cam.files import models_folder

folder = models_folder()
names = (folder / "categories1000.txt").read_text(encoding="utf-8").splitlines()
model = cam.load_files(
    folder / "efficientnet-lite0.prototxt",
    folder / "efficientnet-lite0.caffemodel",
    preprocessing=cam.Preprocessing("RGB", (127.0, 127.0, 127.0), 1 / 128),
    class_names=names,
)

# %%
# The last convolution and the class layer were found from the graph.

head = model.network.head
print(head.last_conv, head.class_layer, model.class_weights.shape)
result = model.explain(free_pictures.read("cat"), top=3)
free_pictures.show(result.montage(captions=True))

# %%
# **A wrong preprocessing gives no error.** With Caffe's ImageNet mean, which is taken if nothing is
# said, the same network answers, but worse.

wrong = cam.load_files(
    folder / "efficientnet-lite0.prototxt",
    folder / "efficientnet-lite0.caffemodel",
    preprocessing=cam.Preprocessing("BGR", (104.0, 117.0, 123.0)),
    class_names=names,
)
worse = wrong.explain(free_pictures.read("cat"), top=3)
for name, probability in zip(worse.names, worse.probabilities, strict=True):
    print(f"{probability:.3f}  {name}")
