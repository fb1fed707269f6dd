"""MATLAB's functions with MATLAB's values, and its files.

`imresize` is in `resizing`; `im2double`, `mat2gray`, `gray2ind`, `ind2rgb` and `jet` are in
`conversions`; `read_mat`, `decode_mat` and `write_mat`, for any MATLAB file, are in `mat_files`;
the files of the original release are in `original_release`.
"""

from cam.matlab.conversions import gray2ind, im2double, ind2rgb, jet, mat2gray
from cam.matlab.mat_files import decode_mat, read_mat, write_mat
from cam.matlab.mat_values import MatValue
from cam.matlab.original_release import (
    Features,
    MatlabNetwork,
    load_categories,
    load_features,
    load_network,
    save_features,
    save_network,
)
from cam.matlab.resizing import imresize

__all__ = [
    "Features",
    "MatValue",
    "MatlabNetwork",
    "decode_mat",
    "gray2ind",
    "im2double",
    "imresize",
    "ind2rgb",
    "jet",
    "load_categories",
    "load_features",
    "load_network",
    "mat2gray",
    "read_mat",
    "save_features",
    "save_network",
    "write_mat",
]
