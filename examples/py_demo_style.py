"""Class activation maps as pycaffe scripts made them in 2016: the eight steps of docs/method.md.

With pycaffe:     python examples/py_demo_style.py picture.jpg PROTOTXT CAFFEMODEL
Without Caffe:    cam script examples/py_demo_style.py picture.jpg PROTOTXT CAFFEMODEL

Each of the five top classes is shown in a window. `cam script --save-windows FOLDER` writes the
windows as files, and so does `cam script` by itself where there is no display.
"""

import argparse
import os

import caffe
import cv2
import numpy as np

from cam import im2double, py_map2jpg, py_returnCAMmap

parser = argparse.ArgumentParser()
parser.add_argument("picture")
parser.add_argument("prototxt")
parser.add_argument("caffemodel")
parser.add_argument("--last-conv", default="CAM_conv")
parser.add_argument("--class-layer", default="CAM_fc")
parser.add_argument("--rgb", action="store_true", help="the network takes RGB, and not BGR")
parser.add_argument("--mean", type=float, nargs=3, help="of each channel, in the network's order")
parser.add_argument("--scale", type=float, help="factor after the mean")
parser.add_argument("--top", type=int, default=5)
args = parser.parse_args()

caffe.set_mode_cpu()
net = caffe.Net(args.prototxt, args.caffemodel, caffe.TEST)
crop_size = net.blobs["data"].data.shape[2]

# Caffe's own mean of ImageNet, averaged over the pixels, if no other one is given.
if args.mean:
    mean = np.array(args.mean)
else:
    imagenet = os.path.join(os.environ["CAFFE_ROOT"], "python/caffe/imagenet")
    mean = np.load(os.path.join(imagenet, "ilsvrc_2012_mean.npy")).mean(1).mean(1)
transformer = caffe.io.Transformer({"data": net.blobs["data"].data.shape})
transformer.set_transpose("data", (2, 0, 1))
transformer.set_mean("data", mean)
if args.rgb:
    transformer.set_channel_swap("data", (2, 1, 0))
if args.scale:
    transformer.set_input_scale("data", args.scale)

# The weights of the class layer, one row for each class.
weights_LR = net.params[args.class_layer][0].data

# 1: read and resize.
image = cv2.imread(args.picture)
image = cv2.resize(image, (256, 256))

# 2: the center crop.
center = np.array(image.shape[:2]) / 2.0
crop = np.tile(center, (1, 2))[0] + np.concatenate(
    [-np.array([crop_size, crop_size]) / 2.0, np.array([crop_size, crop_size]) / 2.0]
)
crop = crop.astype(int)
input_ = image[crop[0] : crop[2], crop[1] : crop[3], :]

# 3 and 4: one forward pass of the preprocessed crop.
net.blobs["data"].reshape(*np.asarray([1, 3, crop_size, crop_size]))
net.blobs["data"].data[...][0, :, :, :] = transformer.preprocess("data", input_)
out = net.forward()
scores = np.mean(out[net.outputs[0]], axis=0)
activation_lastconv = net.blobs[args.last_conv].data
order = np.argsort(scores)[::-1][: args.top]

# 5: the maps of the top classes.
maps = py_returnCAMmap(activation_lastconv, weights_LR[order, :])
for j, category in enumerate(order):
    # 6: enlarged over the whole picture.
    heat_map = cv2.resize(maps[:, :, j], (256, 256))
    # 7: stretched and coloured.
    heat = py_map2jpg(im2double(heat_map), None, "jet")
    # 8: laid over the picture.
    overlay = im2double(image) * 0.2 + im2double(heat) * 0.7
    print("%.4f class %d" % (scores[category], category))
    cv2.imshow("class %d" % category, overlay)
    cv2.waitKey(0)
