"""Class activation mapping with the original Caffe networks."""

__version__ = "0.1.0"
