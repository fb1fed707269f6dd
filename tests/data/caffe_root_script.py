"""A pycaffe script in the manner of its time: all that it needs is below CAFFE_ROOT."""

import os
import sys
import tempfile

import matplotlib.pyplot as plt
import numpy as np

caffe_root = os.environ["CAFFE_ROOT"] + "/"
sys.path.insert(0, caffe_root + "python")
import caffe  # noqa: E402

caffe.set_mode_cpu()
net = caffe.Net(
    caffe_root + "models/efficientnet-lite0.prototxt",
    caffe_root + "models/efficientnet-lite0.caffemodel",
    caffe.TEST,
)
mean = np.load(caffe_root + "python/caffe/imagenet/ilsvrc_2012_mean.npy").mean(1).mean(1)
transformer = caffe.io.Transformer({"data": net.blobs["data"].data.shape})
transformer.set_transpose("data", (2, 0, 1))
transformer.set_mean("data", mean[::-1])
transformer.set_raw_scale("data", 255)
transformer.set_input_scale("data", 1 / 128)

with tempfile.TemporaryDirectory() as folder:
    plt.imshow(np.linspace(0, 1, 300 * 400).reshape(300, 400))
    plt.savefig(folder + "/picture.png")
    image = caffe.io.load_image(folder + "/picture.png")
net.blobs["data"].reshape(*np.asarray([1, 3, 224, 224]))
net.blobs["data"].data[...] = transformer.preprocess("data", image)
scores = net.forward()["prob"][0]

labels = np.loadtxt(caffe_root + "data/ilsvrc12/synset_words.txt", str, delimiter="\t")
print("predicted class:", labels[scores.argmax()], "of", len(labels))
