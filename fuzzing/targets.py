"""The readers: for each, what it reads, with what it begins, and how its files are damaged."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fuzzing import mutations, second_readers, seeds
from fuzzing.mutations import Mutator


def _no_files() -> Mapping[str, bytes]:
    return {}


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes
    ----------
    file : str
        The name of the damaged file, in a folder of its own.
    seeds : callable
        Returns the sound files to begin with.
    read : callable
        Reads the file at a path, in all the ways in which the program does. It may raise
        `CamError`, and nothing else.
    mutator : callable
        Damages a file of this format.
    around : callable
        Returns sound files that the reader needs beside it, by their path in the folder.
    weight : float
        Its part of the time, or of the number of mutations, beside the others'.
    """

    file: str
    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], object]
    mutator: Mutator = mutations.any_bytes
    around: Callable[[], Mapping[str, bytes]] = _no_files
    weight: float = 1.0


def _prototxt(path: Path) -> None:
    from cam.caffe.head import find_head, with_softmax
    from cam.caffe.network import load_network

    second_readers.read_prototxt_twice(path, "NetParameter")
    find_head(with_softmax(load_network(path)))


def _solver(path: Path) -> None:
    second_readers.read_prototxt_twice(path, "SolverParameter")


def _caffemodel(path: Path) -> None:
    from cam.caffe.caffemodel import read_caffemodel, write_caffemodel
    from cam.caffe.network import fit_weights, parse_network

    second_readers.read_caffemodel_twice(path)
    model = read_caffemodel(path)
    write_caffemodel(path.with_name("again.caffemodel"), model)
    fit_weights(parse_network(seeds.TINY), model, str(path))


def _mat(path: Path) -> None:
    from cam.matlab import read_mat

    found = read_mat(path)
    if "weights_LR" in found or "categories" in found or "scores" in found:
        _attempts(path)
    if "rec" in found or "synsets" in found:
        _devkit(path)


def _attempts(path: Path) -> None:
    """Read a file as each of the original's; each may refuse it."""
    from cam.errors import CamError
    from cam.fidelity.results import read_result
    from cam.matlab import original_release as release

    for read in (release.load_network, release.load_features, release.load_categories, read_result):
        try:
            read(path)
        except CamError:
            continue


def _devkit(path: Path) -> None:
    from cam.localization.ground_truth import read_ground_truth, read_ilsvrc_ids

    read_ilsvrc_ids(path)
    read_ground_truth(path)


def _mat73(path: Path) -> None:
    from cam.matlab import read_mat

    read_mat(path)


def _forked(read: Callable[[Path], object]) -> Callable[[Path], None]:
    """Let a reader fork the process that reads HDF5 for it, which takes less time."""

    def read_forked(path: Path) -> None:
        from unittest.mock import patch

        from fuzzing.hdf5_fork import forked_child

        with patch("cam.matlab.mat_version73._child", forked_child):
            read(path)

    return read_forked


def _picture(path: Path) -> None:
    from cam.pictures.reading import read_picture
    from cam.pictures.sizes import claimed_size

    picture = read_picture(path)
    claimed = claimed_size(path.read_bytes())
    if claimed is None or picture.shape[0] * picture.shape[1] > claimed[0] * claimed[1]:
        raise second_readers.DisagreementError(
            f"a picture of {picture.shape} whose file claims {claimed}"
        )


def _heat_map(path: Path) -> None:
    from cam.localization.heatmaps import read_heatmap

    read_heatmap(path)


def _listed(path: Path) -> None:
    from cam.pictures.lists import find_pictures

    for entry in find_pictures([path]):
        if len(entry.name) > 1 << 20:
            raise second_readers.DisagreementError("a name without end")


def _archived(path: Path) -> None:
    from cam.errors import CamError
    from cam.files import file_name
    from cam.pictures.lists import find_pictures

    for entry in find_pictures([path]):
        name = file_name(entry.name)
        if Path(name).name != name or name in ("", ".", ".."):
            raise second_readers.DisagreementError(f"{name!r} is the name of no file")
        try:
            entry.read()
        except CamError:
            continue


def _annotation(path: Path) -> None:
    from cam.localization.ground_truth import read_ground_truth

    read_ground_truth(path.parent, ilsvrc_ids=seeds.SYNSETS)


def _devkit_map(path: Path) -> None:
    from cam.localization.ground_truth import devkit_labels, read_ilsvrc_ids

    devkit_labels(["n02119789 kit fox"], read_ilsvrc_ids(path))


def _labels(path: Path) -> None:
    from cam.localization.ground_truth import read_ground_truth

    annotations = path.with_name("annotations")
    read_ground_truth(annotations, labels=path, blacklist=path, ilsvrc_ids=seeds.SYNSETS)


def _boxes(path: Path) -> None:
    from cam.errors import CamError
    from cam.localization.box_files import read_boxes, write_boxes

    for form in ("original", "corners"):
        try:
            boxes = read_boxes(path, form)
        except CamError:
            continue
        write_boxes(path.with_name("again.txt"), boxes, form)
        if read_boxes(path.with_name("again.txt"), form) != boxes:
            raise second_readers.DisagreementError(f"boxes in {form} do not come back")


def _submission(path: Path) -> None:
    from cam.localization.predictions import read_submission, write_submission

    write_submission(path.with_name("again.txt"), read_submission(path))


def _class_names(path: Path) -> None:
    from cam.errors import CamError
    from cam.explain.explanation import class_file_name
    from cam.zoo.class_names import find_class, read_class_names, short_name

    names = read_class_names(path)
    for name in names[:20]:
        made = class_file_name(short_name(name))
        if Path(made).name != made or made in ("", ".", ".."):
            raise second_readers.DisagreementError(f"{made!r} is the name of no file")
        try:
            find_class(names, name)
        except CamError:
            continue


def _result(path: Path) -> None:
    from cam.errors import CamError
    from cam.explain.explanation import Explanation
    from cam.fidelity.results import read_result

    with suppress(CamError):
        read_result(path)
    explanation = Explanation.load(path.parent)
    explanation.heat_maps  # noqa: B018 (computed when it is asked for)
    explanation.to_dict()


def _store(path: Path) -> None:
    from cam.batch import store
    from cam.errors import CamError
    from cam.learning.features import FeatureStore

    folder = path.parents[1] if path.suffix == ".parquet" else path.parent

    def resumed() -> None:
        with seeds.opened_store(folder) as whole:
            list(whole.missing())

    features = FeatureStore(folder, labels=None)  # type: ignore[arg-type]
    readers: list[Callable[[], object]] = [
        lambda: store.check_store(folder),
        lambda: store.summarize(folder),
        lambda: list(store.failures(folder)),
        lambda: store.read_class_names(folder),
        features.load,
        resumed,
    ]
    for read in readers:
        try:
            read()
        except CamError:
            continue


def _piece_with_digest(path: Path) -> None:
    from cam.batch import store

    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    is_same = digest in (path.parents[1] / "pieces.sha256").read_text(encoding="ascii")
    if not is_same and not store.check_store(path.parents[1]):
        raise second_readers.DisagreementError("a damaged piece is called sound")


def _mean(path: Path) -> None:
    from cam.caffe import preprocessing

    preprocessing._load_mean.cache_clear()
    preprocessing.preprocessing_with(path).mean_picture(4)


def _hdf5_weights(path: Path) -> None:
    from cam.pycaffe.hdf5 import read_weights

    read_weights(path)


def _companion(path: Path) -> None:
    from cam.zoo.companion import read_companion

    read_companion(path.with_name("deploy.prototxt"))


def _history(path: Path) -> None:
    from cam.training.history import read_history

    read_history(path)


def _digests(path: Path) -> None:
    from cam.zoo.download import check_recorded

    check_recorded(path.with_name("x.caffemodel"), "0" * 64)


class _Runtime:
    """Stands for OpenVINO: it must see no compiled network but the one that was written."""

    CONTENT = b"compiled" * 100

    def get_property(self, *_: str) -> str:
        return "processor"

    def compile_model(self, *_: Any) -> Any:
        return SimpleNamespace(export_model=lambda: self.CONTENT)

    def import_model(self, content: bytes, *_: Any) -> Any:
        if content != self.CONTENT:
            raise second_readers.DisagreementError("a damaged compiled network is run")
        return content


def _compiled(path: Path) -> None:
    from unittest.mock import patch

    from cam.engines.compiled import compile_cached

    folder = path.with_name("compiled")
    with patch.dict("os.environ", CAM_COMPILED=str(folder)):
        if not folder.exists():
            compile_cached(_Runtime(), {}, {}, lambda: None)
        (kept,) = folder.glob("*.blob")
        kept.write_bytes(path.read_bytes())
        compile_cached(_Runtime(), {}, {}, lambda: None)


@lru_cache(maxsize=1)
def _compiled_networks() -> list[bytes]:
    """Return what the cache of compiled networks keeps of one."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.blob"
        path.touch()
        _compiled(path)
        (kept,) = path.with_name("compiled").glob("*.blob")
        return [kept.read_bytes()]


def _of(files: Callable[[], Mapping[str, bytes]], name: str) -> Callable[[], list[bytes]]:
    return lambda: [files()[name]]


def _of_store(name: str, weight: float, mutator: Mutator = mutations.any_bytes) -> Target:
    return Target(name, _of(seeds.stores, name), _store, mutator, seeds.stores, weight)


def _of_old_store(name: str, weight: float, mutator: Mutator = mutations.any_bytes) -> Target:
    files = seeds.stores_without_digests
    return Target(name, _of(files, name), _store, mutator, files, weight)


PIECE = "pieces/000000.parquet"


def _of_result(name: str, weight: float, mutator: Mutator) -> Target:
    return Target(name, _of(seeds.results, name), _result, mutator, seeds.results, weight)


TEXT, JSON = mutations.text, mutations.json_text

TARGETS: Mapping[str, Target] = {
    "prototxt": Target("x.prototxt", seeds.prototxts, _prototxt, TEXT, weight=6),
    "solver": Target("x.prototxt", seeds.solvers, _solver, TEXT, weight=2),
    "caffemodel": Target(
        "x.caffemodel", seeds.caffemodels, _caffemodel, mutations.protobuf, weight=6
    ),
    "mat5": Target("x.mat", lambda: seeds.mats(False), _mat, mutations.mat5, weight=8),
    "mat7": Target("x.mat", lambda: seeds.mats(True), _mat, mutations.mat5, weight=8),
    "mat73": Target("x.mat", seeds.mats73, _forked(_mat73), weight=1),
    "mat73 started": Target("x.mat", seeds.mats73, _mat73, weight=0.05),
    "picture": Target("x.picture", seeds.pictures, _picture, mutations.png, weight=8),
    "heat map": Target("x.png", seeds.heat_maps, _heat_map, mutations.png, weight=2),
    "list": Target("x.txt", seeds.lists, _listed, TEXT, weight=4),
    "table": Target("x.csv", seeds.tables, _listed, TEXT, weight=4),
    "tar": Target("x.tar", seeds.tars, _archived, mutations.tar, weight=6),
    "annotation": Target("x.xml", seeds.annotations, _annotation, TEXT, weight=4),
    "devkit map": Target("x.txt", seeds.devkit_maps, _devkit_map, TEXT, weight=3),
    "labels": Target(
        "x.txt",
        lambda: [b"1\n", b"1 "],
        _labels,
        TEXT,
        lambda: {"annotations/x.xml": seeds.annotations()[0]},
        weight=2,
    ),
    "boxes": Target("x.txt", seeds.box_files, _boxes, TEXT, weight=3),
    "submission": Target("x.txt", seeds.submissions, _submission, TEXT, weight=2),
    "class names": Target(
        "x.txt",
        lambda: [b"n01440764 tench, Tinca tinca\ncup\n/a/airport terminal\n"],
        _class_names,
        TEXT,
        weight=3,
    ),
    "result arrays": _of_result("maps.npz", 0.5, mutations.archive),
    "result": _of_result("result.json", 1, JSON),
    "store piece": Target(
        PIECE, _of(seeds.stores, PIECE), _piece_with_digest, around=seeds.stores, weight=2
    ),
    "store piece without digest": _of_old_store(PIECE, 3),
    "store record": _of_store("run.json", 1, JSON),
    "store list": _of_store("inputs.jsonl", 1, JSON),
    "store digests": _of_store("pieces.sha256", 1, TEXT),
    "store classes": _of_store("classes.txt", 0.5, TEXT),
    "mean": Target("x.npy", seeds.mean_arrays, _mean, TEXT, weight=3),
    "mean of Caffe": Target("x.binaryproto", seeds.mean_blobs, _mean, mutations.protobuf, weight=3),
    "weights in HDF5": Target("x.h5", seeds.hdf5_weights, _forked(_hdf5_weights), weight=1),
    "companion": Target(
        "network.json", _of(seeds.companions, "network.json"), _companion, JSON, seeds.companions, 2
    ),
    "history": Target("x.json", lambda: seeds.histories(".json"), _history, JSON, weight=2),
    "history table": Target("x.csv", lambda: seeds.histories(".csv"), _history, TEXT, weight=2),
    "digests": Target(
        "sha256.json", lambda: [b'{"x.caffemodel": "' + b"0" * 64 + b'"}'], _digests, JSON
    ),
    "compiled network": Target("x.blob", _compiled_networks, _compiled),
}
"""The readers by name. Files of version 7.3 cost a process each, forked or started, and get few."""
