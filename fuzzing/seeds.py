"""Sound files to begin with: small ones, made by the project's own writers where it has one."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from cam.files import PathLike

REPOSITORY = Path(__file__).resolve().parents[1]
CORPUS = Path(__file__).with_name("corpus")
SHARED = REPOSITORY.parent / "shared" / "data"
"""Files of the original release, where they are at hand."""

LARGEST_SEED = 1 << 14
"""Bytes of a seed at most: what is wrong with a reader shows in small files, and sooner."""

SYNSETS = {"n00000001": 1, "n00000002": 2}

TINY = """
name: "tiny" input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  param { lr_mult: 1 decay_mult: 1 } convolution_param { num_output: 4 kernel_size: 3 pad: 1
  weight_filler { type: "gaussian" std: 0.01 } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
  pooling_param { pool: AVE global_pooling: true } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
  inner_product_param { num_output: 5 } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""
OLD_STYLE = (
    TINY.replace("layer {", "layers {")
    .replace("param { lr_mult: 1 decay_mult: 1 }", "blobs_lr: 1 blobs_lr: 2 weight_decay: 1")
    .replace('"Convolution"', "CONVOLUTION")
    .replace('"ReLU"', "RELU")
    .replace('"Pooling"', "POOLING")
    .replace('"InnerProduct"', "INNER_PRODUCT")
    .replace('"Softmax"', "SOFTMAX")
)


def files_of(*patterns: str) -> list[bytes]:
    """Return small files of the repository and of the original release, by glob patterns."""
    paths = [
        path
        for pattern in patterns
        for root in (REPOSITORY, SHARED)
        for path in sorted(root.glob(pattern))
    ]
    return [path.read_bytes() for path in paths if path.stat().st_size <= LARGEST_SEED][:20]


def written(name: str, write: Callable[[Path], object]) -> bytes:
    """Return the bytes of what a function writes to the path that it is given."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)
        return path.read_bytes()


def prototxts() -> list[bytes]:
    """Return networks in both of Caffe's styles."""
    return [
        TINY.encode(),
        OLD_STYLE.encode(),
        *files_of("tests/data/*.prototxt", "models/deploy_alex*.prototxt"),
    ]


def solvers() -> list[bytes]:
    """Return settings of Caffe's solvers."""
    return files_of("models/solver*.prototxt", "examples/faces/solver.prototxt")


def caffemodels() -> list[bytes]:
    """Return weights in both styles, with the legacy fields, and in double precision."""
    from cam.caffe.caffemodel import CaffeModel, write_caffemodel
    from cam.caffe.network import parse_network
    from cam.caffe.prototxt import parse_prototxt
    from cam.caffe.random_weights import seeded_weights

    weights = seeded_weights(parse_network(TINY))
    made = []
    for text in (TINY, OLD_STYLE):
        model = CaffeModel(parse_prototxt(text), weights)
        made.append(
            written("x.caffemodel", lambda path, model=model: write_caffemodel(path, model))
        )
    legacy = parse_prototxt(TINY)
    for name in ("conv", "fc"):
        layer = next(one for one in legacy.layer if one.name == name)
        for blob in weights[name]:
            padded = (1,) * (4 - blob.ndim) + blob.shape
            fields = dict(zip(("num", "channels", "height", "width"), padded, strict=True))
            layer.blobs.add(double_data=blob.ravel().tolist(), **fields)
    return [*made, legacy.SerializeToString()]


def mat_values() -> dict[str, Any]:
    """Return variables of every kind that MATLAB's files have."""
    cell = np.empty((2, 2), object)
    cell[:] = [["a", np.eye(2)], [np.array([]), np.array(["b"], object)]]
    names = np.empty((3, 1), object)
    names[:, 0] = ["n07930864 cup", "", "eggnog"]
    return {
        "double": np.arange(12.0).reshape(2, 3, 2),
        "single": np.float32([[0.5, -1.5]]),
        "bytes": np.uint8([[1], [255]]),
        "long": np.int64([[-7, 7]]),
        "logical": np.array([[True, False]]),
        "complex": np.array([[1 + 2j, 3 - 4j]]),
        "text": "naïve café",
        "rows": np.array(["abc", "xyz"]),
        "categories": names,
        "cell": cell,
        "struct": {"field": 1.0, "other": {"inner": "text"}},
        "empty": np.zeros((0, 3)),
    }


def devkit_values() -> dict[str, Any]:
    """Return the devkit's cache of annotations and its meta file, in one."""
    boxes = np.array([(2.0, [[1.0, 2.0, 30.0, 40.0]])], [("label", object), ("bbox", object)])
    record = np.empty((1, 2), [("objects", object)])
    record["objects"][0] = boxes, boxes
    synsets = np.empty((2, 1), [("ILSVRC2012_ID", object), ("WNID", object)])
    for row, (wnid, number) in zip(synsets[:, 0], SYNSETS.items(), strict=True):
        row["ILSVRC2012_ID"], row["WNID"] = float(number), wnid
    return {"rec": record, "synsets": synsets}


def original_values() -> dict[str, Any]:
    """Return the class layer and the features of the original's demo, small."""
    names = np.empty((3, 1), object)
    names[:, 0] = ["n07930864 cup", "n07932039 eggnog", "n07920052 espresso"]
    return {
        "weights_LR": np.ones((4, 3), np.float32),
        "categories": names,
        "activation_lastconv": np.ones((2, 2, 4, 10), np.float32),
        "scores": np.full((3, 10), 1 / 3, np.float32),
    }


def mats(compressed: bool) -> list[bytes]:
    """Return MATLAB files of version 5 to 7, by SciPy and by the project."""
    from scipy.io import savemat
    from scipy.sparse import csc_matrix

    from cam.matlab import write_mat

    everything = {**mat_values(), "sparse": csc_matrix(np.eye(3))}
    made = [
        written("x.mat", lambda path, v=values: savemat(path, v, do_compression=compressed))
        for values in (everything, devkit_values(), original_values())
    ]
    if compressed:
        made.append(
            written("x.mat", lambda path: write_mat(path, {"idx": [9, 8], "top": ["a", "b"]}))
        )
        made += files_of("categories1000.mat", "damaged/v7.mat")
    else:
        made += files_of("damaged/v6.mat", "damaged/crash_mat_first.mat")
    return made


def mats73() -> list[bytes]:
    """Return MATLAB files of version 7.3, with and without MATLAB's own header."""
    head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 .".ljust(124) + b"\x00\x02IM"
    plain = written("x.mat", lambda path: _write_mat73(path, 0))
    headed = written("x.mat", lambda path: _write_mat73(path, 512))
    return [plain, head + headed[128:]]


def _write_mat73(path: Path, userblock: int) -> None:
    import h5py

    with h5py.File(path, "w", userblock_size=userblock) as file:

        def add(name: str, kind: str, values: Any, **options: Any) -> Any:
            dataset = file.create_dataset(name, data=values, **options)
            dataset.attrs["MATLAB_class"] = np.bytes_(kind)
            return dataset

        add("double", "double", np.arange(12.0).reshape(3, 4))
        add("packed", "single", np.ones((8, 8), np.float32), chunks=(4, 4), compression="gzip")
        add("logical", "logical", np.uint8([[1, 0]]))
        add("text", "char", np.uint16([[99], [117], [112]]))
        add("empty", "double", np.uint64([0, 3])).attrs["MATLAB_empty"] = np.uint8(1)
        pair = np.zeros((2, 1), [("real", "f8"), ("imag", "f8")])
        add("complex", "double", pair)
        names = [add(f"#refs#/{k}", "char", np.uint16([[97 + k]])) for k in range(3)]
        cell = np.array([[name.ref for name in names]], h5py.ref_dtype)
        add("categories", "cell", cell)
        outer = np.array([[file["categories"].ref, file["double"].ref]], h5py.ref_dtype)
        add("cell", "cell", outer)
        file.create_group("struct").attrs["MATLAB_class"] = np.bytes_("struct")


def pictures() -> list[bytes]:
    """Return small pictures in every format that is read."""
    import cv2

    noise = np.random.default_rng(0).integers(0, 256, (24, 20, 3), np.uint8)
    smooth = cv2.GaussianBlur(noise, (5, 5), 0)
    formats = (".png", ".jpg", ".bmp", ".tiff", ".webp", ".ppm", ".gif", ".avif")
    made = [cv2.imencode(suffix, smooth)[1].tobytes() for suffix in formats]
    grey = smooth[:, :, 0].copy()
    made += [cv2.imencode(suffix, grey)[1].tobytes() for suffix in (".pgm", ".png", ".jpg")]
    large = cv2.resize(smooth, (64, 64))
    made.append(cv2.imencode(".jp2", large)[1].tobytes())
    made.append(cv2.imencode(".png", np.dstack([smooth, grey]).astype(np.uint16) << 8)[1].tobytes())
    made.append(cv2.imencode(".jpg", smooth, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes())
    exif = bytes.fromhex("ffe1002245786966000049492a0008000000010012010300010000000600000000000000")
    made.append(made[1][:2] + exif + made[1][2:])
    return made + files_of("damaged/lie30000.jpg")


def heat_maps() -> list[bytes]:
    """Return grey pictures."""
    return [data for data in pictures() if data[:2] in (b"\x89P", b"\xff\xd8", b"P5")]


def lists() -> list[bytes]:
    """Return lists of pictures, with and without classes."""
    return [
        b"a.jpg 3\nfolder/b c.jpg 12\n",
        b"a.jpg\r\nb.jpg\r\n",
        b"\xef\xbb\xbfa 1.jpg\n\n# b\n",
        *files_of("ilsvrc_val/val.txt"),
    ]


def tables() -> list[bytes]:
    """Return tables of pictures."""
    return [
        b'path,label\na.jpg,3\n"b, c.jpg",cup\n',
        b'Image , class\r\n"multi\nline.jpg","a ""b"""\r\nx.png,\r\n',
        b"name\na.jpg\n",
    ]


def tars() -> list[bytes]:
    """Return tar files in each of the formats, with long names and links."""
    made = []
    for kind in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        target = io.BytesIO()
        with tarfile.open(fileobj=target, mode="w", format=kind) as archive:
            for name in ("a.jpg", "folder/ü.png", "x" * 90 + ".jpg"):
                if kind != tarfile.USTAR_FORMAT and name[0] == "x":
                    name = "y" * 150 + name
                member = tarfile.TarInfo(name)
                member.size = 700
                archive.addfile(member, io.BytesIO(bytes(700)))
            link = tarfile.TarInfo("link.jpg")
            link.type, link.linkname = tarfile.SYMTYPE, "../../etc/passwd"
            archive.addfile(link)
        made.append(target.getvalue()[:LARGEST_SEED])
    return made


def annotations() -> list[bytes]:
    """Return annotations of ILSVRC pictures."""
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>"
    item = f"<object><name>n00000001</name><difficult>0</difficult>{box}</object>"
    size = "<size><width>500</width><height>375</height><depth>3</depth></size>"
    whole = f"<annotation><folder>val</folder>{size}{item}{item.replace('01<', '02<')}</annotation>"
    return [whole.encode(), f"<annotation>\n\t{item}\n</annotation>".encode()]


def devkit_maps() -> list[bytes]:
    """Return the devkit's map of synsets."""
    return [
        b"n02119789 1 kit_fox\nn02100735 2 English_setter\n",
        *files_of("ilsvrc_val/map_clsloc.txt"),
    ]


def box_files() -> list[bytes]:
    """Return boxes in both forms."""
    found = files_of("heatmap_6.txt", "ilsvrc_heatmaps/*/*_default.txt")[:5]
    return [b"41 145 362 202 102 188 242 126 ", b"41 145 403 347\n102 188 344 314\n", *found]


def submissions() -> list[bytes]:
    """Return guesses in the devkit's format."""
    return [b"1 10 20 30 40 2 1 2 3 4\n3 0 0 5 5\n", b"1,1.5,2,3,4\n"]


@lru_cache(maxsize=1)
def results() -> Mapping[str, bytes]:
    """Return the files of a result folder, of a small picture."""
    from cam.explain.explanation import Explanation
    from cam.explain.styles import get_style

    rng = np.random.default_rng(0)
    explanation = Explanation(
        frame=rng.integers(0, 256, (256, 256, 3), np.uint8) & 0xF0,
        picture_size=(30, 40),
        scores=np.full(4, 0.25, np.float32),
        indices=np.array([2, 0]),
        names=("cup", "eggnog"),
        maps=rng.standard_normal((1, 2, 3, 3)).astype(np.float32),
        crop_size=224,
        style=get_style("pycaffe"),
        record={"style": "pycaffe", "placement": "stretch"},
    )
    with TemporaryDirectory() as name:
        explanation.save(name)
        return {path.name: path.read_bytes() for path in Path(name).iterdir()}


def opened_store(folder: PathLike) -> AbstractContextManager[Any]:
    """Begin a store, or go on with it, always with the same settings and pictures."""
    from cam.batch.store import open_store
    from cam.pictures.lists import Entry

    entries = [Entry(f"{n}.jpg", f"/data/{n}.jpg", label=n % 3) for n in range(5)]
    entries.append(Entry("in.jpg", "/data/a.tar", offset=512, size=70, box=(1, 2, 3, 4)))
    settings = {"model": {"model": "m", "caffemodel_sha256": "0" * 64}, "options": {"top": 2}}
    return open_store(folder, settings, entries, ["cat", "dog", "eel"], 4)


@lru_cache(maxsize=1)
def stores() -> Mapping[str, bytes]:
    """Return the files of a store, finished, by their path in it."""
    import pyarrow
    import pyarrow.parquet

    from cam.batch.store import PieceResult

    with TemporaryDirectory() as name:
        with opened_store(name) as store:
            for piece in store.missing():
                sink = pyarrow.BufferOutputStream()
                table = pyarrow.Table.from_pylist(_rows(piece.first, piece.entries), _schema())
                pyarrow.parquet.write_table(table, sink)
                store.commit(PieceResult(piece.number, sink.getvalue().to_pybytes()))
            store.finish()
        files = (path for path in Path(name).rglob("*") if path.is_file())
        return {path.relative_to(name).as_posix(): path.read_bytes() for path in files}


def _schema() -> Any:
    import pyarrow as pa

    numbers = {"index": pa.int64(), "label": pa.int32(), "top_index": pa.list_(pa.int32())}
    columns = {"name": pa.string(), "status": pa.string(), "reason": pa.string(), **numbers}
    return pa.schema({**columns, "features": pa.list_(pa.float32())})


def _rows(first: int, entries: Sequence[Any]) -> list[dict[str, Any]]:
    same = {"status": "ok", "reason": None, "top_index": [1, 0], "features": [0.5, 1.5]}
    return [
        {"index": first + k, "name": entry.name, "label": entry.label, **same}
        for k, entry in enumerate(entries)
    ]


@lru_cache(maxsize=1)
def stores_without_digests() -> Mapping[str, bytes]:
    """Return a store of the older format, whose pieces are looked at as they are."""
    files = {name: data for name, data in stores().items() if name != "pieces.sha256"}
    record = json.loads(files["run.json"])
    record["format"]["version"] = 1
    return {**files, "run.json": json.dumps(record).encode()}


def mean_arrays() -> list[bytes]:
    """Return means of pictures as NumPy writes them."""
    arrays = (np.ones((3, 4, 4), np.float32), np.ones(3))
    return [written("x.npy", lambda path, a=array: np.save(path, a)) for array in arrays]


def mean_blobs() -> list[bytes]:
    """Return means of pictures as Caffe writes them."""
    from cam.caffe.schema import message_class

    blob = message_class("BlobProto")
    legacy = blob(num=1, channels=3, height=2, width=2, data=[104.0] * 12)
    shaped = blob(data=[1.0, 2.0, 3.0])
    shaped.shape.dim[:] = [3, 1, 1]
    return [legacy.SerializeToString(), shaped.SerializeToString()]


def hdf5_weights() -> list[bytes]:
    """Return weights in HDF5, as Caffe writes them."""
    from cam.pycaffe.hdf5 import write_weights

    blobs = {"conv": (np.ones((2, 3, 1, 1), np.float32), np.zeros(2, np.float32))}
    return [written("x.h5", lambda path: write_weights(path, blobs))]


@lru_cache(maxsize=1)
def companions() -> Mapping[str, bytes]:
    """Return what `cam learn` writes beside a prototxt."""
    from cam.caffe.preprocessing import ILSVRC_2012_MEAN
    from cam.zoo.companion import Companion, write_companion

    with TemporaryDirectory() as name:
        companion = Companion("mine", "googlenet", ILSVRC_2012_MEAN, ("a", "b", "c", "d", "e"))
        write_companion(Path(name) / "deploy.prototxt", companion)
        return {path.name: path.read_bytes() for path in Path(name).iterdir()}


def histories(suffix: str) -> list[bytes]:
    """Return records of a training."""
    from cam.training.history import HistoryEntry, write_history

    entries = [
        HistoryEntry(0, None, 0.1, 0.0, {"accuracy": 0.5}),
        HistoryEntry(10, 2.5, 0.1, 3.0, {}),
    ]
    return [written(f"x{suffix}", lambda path: write_history(path, entries))]
