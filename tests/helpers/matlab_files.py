"""MATLAB files of every version, with the same contents."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.io import savemat

CONTENTS = {
    "double": np.arange(24.0).reshape(2, 3, 4),
    "single": np.array([[0.5, -1.5]], np.float32),
    "bytes": np.array([[1], [255]], np.uint8),
    "signed": np.array([[-7, 7]], np.int32),
    "logical": np.array([[True, False, True]]),
    "complex": np.array([[1 + 2j, 3 - 4j]]),
    "text": "naïve café",
    "rows": ["abc", "xyz"],
    "names": ["n07930864 cup", "", "eggnog"],
    "empty": np.zeros((0, 3)),
}
KINDS = {
    "double": "double",
    "single": "single",
    "bytes": "uint8",
    "signed": "int32",
    "logical": "logical",
    "complex": "double",
    "empty": "double",
}


def as_cell(names):
    cell = np.empty((len(names), 1), object)
    cell[:, 0] = names
    return cell


def write_version5(path, compressed):
    values = dict(CONTENTS)
    values["rows"] = np.array(CONTENTS["rows"])
    values["names"] = as_cell(CONTENTS["names"])
    savemat(path, values, do_compression=compressed)


def write_version73(path, contents=None, userblock=True):
    """Write a file in the layout that MATLAB gives version 7.3."""
    h5py = pytest.importorskip("h5py")

    def char(parent, name, rows):
        codes = [np.frombuffer(row.encode("utf-16-le"), "<u2") for row in rows]
        if not len(codes[0]):
            dataset = parent.create_dataset(name, data=np.array([0, 0], np.uint64))
            dataset.attrs["MATLAB_empty"] = np.uint8(1)
        else:
            dataset = parent.create_dataset(name, data=np.array(codes).T)
        dataset.attrs["MATLAB_class"] = np.bytes_("char")
        dataset.attrs["MATLAB_int_decode"] = np.int32(2)
        return dataset

    with h5py.File(path, "w", userblock_size=512 if userblock else 0) as file:
        references = file.create_group("#refs#")
        for name, value in (CONTENTS if contents is None else contents).items():
            if isinstance(value, str):
                char(file, name, [value])
            elif name == "rows":
                char(file, name, value)
            elif isinstance(value, list):
                items = [char(references, f"{name}{i}", [text]) for i, text in enumerate(value)]
                data = np.array([[item.ref for item in items]], dtype=h5py.ref_dtype)
                file[name] = data
                file[name].attrs["MATLAB_class"] = np.bytes_("cell")
            else:
                stored = np.asarray(value)
                attributes = {"MATLAB_class": np.bytes_(KINDS.get(name, "single"))}
                if not stored.size:
                    attributes["MATLAB_empty"] = np.uint8(1)
                    stored = np.array(stored.shape, np.uint64)
                elif stored.dtype == bool:
                    stored = stored.astype(np.uint8)
                elif stored.dtype.kind == "c":
                    parts = np.zeros(stored.shape, [("real", "f8"), ("imag", "f8")])
                    parts["real"], parts["imag"] = stored.real, stored.imag
                    stored = parts
                file[name] = stored.T
                file[name].attrs.update(attributes)
    if userblock:
        with path.open("r+b") as file:
            header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 ."
            file.write(header.ljust(124) + b"\x00\x02IM")


WRITERS = {
    "version 6": lambda path: write_version5(path, compressed=False),
    "version 7": lambda path: write_version5(path, compressed=True),
    "version 7.3": write_version73,
    "version 7.3 without MATLAB's header": lambda path: write_version73(path, userblock=False),
}
