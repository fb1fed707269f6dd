"""Caffe's files as data, without Caffe: prototxt, caffemodel, layers, networks, weights."""
