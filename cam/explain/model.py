"""The pipeline: a picture in, its class activation maps out.

Data flows one way: picture, crops, network, maps, heat maps, overlays. `load` puts a network and an
engine together; `CamModel.explain` runs the pipeline.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from cam import __version__, zoo
from cam.caffe.network import find_head, load_network, load_weights
from cam.engines import Engine, Forward, open_engine
from cam.errors import CamError
from cam.explain.explanation import Explanation
from cam.explain.styles import Prepared, Style, get_style
from cam.files import sha256_of
from cam.maps.activation_maps import return_cam_map
from cam.pictures.reading import PictureSource, read_picture
from cam.zoo.download import check_recorded

__all__ = ["CamModel", "load", "load_files"]


class CamModel:
    """A network with its engine, ready to explain pictures.

    Attributes
    ----------
    name : str
        The model's name, or its prototxt's.
    engine : cam.engines.Engine
        What runs it.
    crop : int
        Rows and columns of the network's input.
    preprocessing : cam.zoo.table.Preprocessing
        How pixels become input.
    class_names : tuple of str
        The names of the classes, in the network's order.
    record : dict
        Files, hashes, preprocessing, engine and version, for the record.
    """

    def __init__(
        self,
        name: str,
        engine: Engine,
        crop: int,
        preprocessing: zoo.Preprocessing,
        class_names: Sequence[str],
        record: Mapping[str, Any],
    ) -> None:
        self.name = name
        self.engine = engine
        self.crop = crop
        self.preprocessing = preprocessing
        self.class_names = tuple(class_names)
        self.record = record

    def prepare(self, style: str = "pycaffe") -> None:
        """Do once what the first picture in a style would otherwise wait for."""
        self.engine.prepare(get_style(style).crops)

    def explain(
        self,
        image: PictureSource,
        top: int = 5,
        style: str = "pycaffe",
        placement: str = "stretch",
    ) -> Explanation:
        """Return the class activation maps of one picture's top classes.

        Parameters
        ----------
        image : path-like, numpy.ndarray or PIL.Image.Image
            The picture; see `cam.pictures.reading.read_picture`. Arrays are BGR, as OpenCV's.
        top : int, optional
            How many classes.
        style : {"pycaffe", "matlab"}, optional
            One center crop as the pycaffe port, or ten crops as the original.
        placement : {"stretch", "crop"}, optional
            For the pycaffe style: the map over the whole picture as the port lays it, or on the
            center crop where it belongs.

        Returns
        -------
        Explanation
            The classes and their maps.

        Raises
        ------
        CamError
            If the picture cannot be read, or an argument is out of range.
        """
        (explanation,) = self.explain_many([image], top, style, placement, batch_size=1)
        return explanation

    def explain_many(
        self,
        images: Iterable[PictureSource],
        top: int = 5,
        style: str = "pycaffe",
        placement: str = "stretch",
        batch_size: int = 8,
    ) -> Iterator[Explanation]:
        """Yield the class activation maps of many pictures, in their order.

        Parameters
        ----------
        images : iterable
            Pictures as for `explain`; they are read as they are needed.
        top, style, placement
            As for `explain`.
        batch_size : int, optional
            How many pictures go through the network at once.

        Yields
        ------
        Explanation
            One for each picture.
        """
        chosen = get_style(style, placement)
        classes = len(self.class_names)
        if not 1 <= top <= classes:
            raise CamError(f"top {top} of {classes} classes; it must be 1 to {classes}")
        if isinstance(images, (str, os.PathLike, np.ndarray)):
            raise CamError("explain_many takes several pictures; explain takes one")
        if batch_size < 1:
            raise CamError(f"a batch of {batch_size} pictures; it must be 1 or more")
        pictures = iter(images)
        while batch := list(islice(pictures, batch_size)):
            prepared = [
                chosen.prepare(read_picture(image), self.crop, self.preprocessing)
                for image in batch
            ]
            yield from self._explain_batch(prepared, top, chosen)

    def _explain_batch(
        self, prepared: Sequence[Prepared], top: int, style: Style
    ) -> Iterator[Explanation]:
        if len(prepared) == 1:
            batch = prepared[0].batch
        else:
            batch = np.concatenate([p.batch for p in prepared])
        forward = self.engine.forward(batch)
        for i, picture in enumerate(prepared):
            crops = slice(i * style.crops, (i + 1) * style.crops)
            of_picture = Forward(forward.activations[crops], forward.scores[crops])
            yield self.explained(picture, of_picture, top, style)

    def explained(self, picture: Prepared, forward: Forward, top: int, style: Style) -> Explanation:
        """Return the class activation maps of a picture that went through the network.

        Parameters
        ----------
        picture : cam.explain.styles.Prepared
            The picture as `style` prepared it.
        forward : cam.engines.Forward
            What the engine gave for its crops.
        top : int
            How many classes.
        style : cam.explain.styles.Style
            The style.

        Returns
        -------
        Explanation
            The classes and their maps.
        """
        scores = forward.scores.mean(axis=0) if style.crops > 1 else forward.scores[0]
        if not np.isfinite(scores).all():
            raise CamError(
                f"{self.name} gives scores that are not finite: its weights are damaged, or the "
                "preprocessing is not what it was trained with"
            )
        indices = style.class_order(scores)[:top]
        return Explanation(
            frame=picture.frame,
            scores=scores,
            indices=indices,
            names=tuple(self.class_names[index] for index in indices),
            maps=return_cam_map(forward.activations, self.engine.class_weights[indices]),
            forward=forward,
            crop=self.crop,
            style=style,
            record={**self.record, **style.record},
        )


def load(name: str = zoo.EMBEDDED, engine: str = "auto", threads: int | None = None) -> CamModel:
    """Load a model of the table.

    Parameters
    ----------
    name : str, optional
        Its name, ``"googlenet"`` for example; the embedded model if not given.
    engine : {"auto", "openvino", "caffe"}, optional
        What runs it: Caffe where pycaffe is installed and OpenVINO otherwise, or one of them.
        ``"caffe:cpu"`` and ``"caffe:gpu:0"`` name a device.
    threads : int, optional
        How many threads a forward pass may use; the engine's choice if not given. OpenCV and the
        BLAS libraries take no more either, so that they do not fight the engine; theirs is a
        setting of the whole process.

    Returns
    -------
    CamModel
        The model, ready to explain pictures.

    Raises
    ------
    CamError
        If there is no such model or engine, or the weights are missing or do not fit.

    Examples
    --------
    >>> model = load("efficientnet-lite0", engine="openvino")
    >>> model.engine.class_weights.shape
    (1000, 1280)
    """
    info = zoo.get(name)
    return load_files(
        zoo.models_folder() / info.prototxt,
        zoo.find_weights(info),
        last_conv=info.last_conv,
        class_layer=info.class_layer,
        preprocessing=info.preprocessing,
        class_names=zoo.class_names(info.categories),
        name=info.name,
        engine=engine,
        threads=threads,
    )


def load_files(
    prototxt: str | os.PathLike[str],
    caffemodel: str | os.PathLike[str],
    *,
    last_conv: str | None = None,
    class_layer: str | None = None,
    preprocessing: zoo.Preprocessing = zoo.ILSVRC_2012_MEAN,
    class_names: Sequence[str] | None = None,
    name: str | None = None,
    engine: str = "auto",
    threads: int | None = None,
) -> CamModel:
    """Load any Caffe network with global pooling and one inner product at its end.

    Parameters
    ----------
    prototxt, caffemodel : path-like
        The deploy network and its weights.
    last_conv, class_layer : str, optional
        The blob and the layer that make the maps; found from the graph if not given.
    preprocessing : cam.zoo.table.Preprocessing, optional
        How pixels become input; Caffe's ImageNet mean if not given.
    class_names : sequence of str, optional
        One name for each class; the ImageNet names for a network of 1000 classes, the Places
        names for one of 205, numbers otherwise.
    name : str, optional
        What to call the model; the prototxt's file name if not given.
    engine, threads
        As for `load`.

    Returns
    -------
    CamModel
        The model, ready to explain pictures.

    Raises
    ------
    CamError
        If a file cannot be read, the two do not fit, or the network has no head for CAM.
    """
    if threads is not None and threads < 1:
        raise CamError(f"{threads} threads; at least 1 is needed")
    network = load_network(prototxt)
    head = find_head(network, last_conv, class_layer)
    rows, columns = network.input_shape[2:]
    if rows != columns or rows > 256 or network.input_shape[1] != 3:
        raise CamError(
            f"{prototxt}: an input of {network.input_shape[1:]}; square crops of up to 256 pixels "
            "with 3 channels are supported"
        )
    weights = load_weights(network, caffemodel)
    classes = network.weight_shapes[head.class_layer][0][0]
    names = _default_names(classes) if class_names is None else tuple(class_names)
    if len(names) != classes:
        raise CamError(f"{len(names)} class names for the {classes} classes of {prototxt}")
    digest = sha256_of(caffemodel)
    check_recorded(Path(caffemodel), digest)
    running = open_engine(engine, network, weights, head, Path(caffemodel), threads, digest)
    if threads is not None:
        _limit_threads(threads)
    record: dict[str, Any] = {
        "model": name or Path(prototxt).stem,
        "prototxt": Path(prototxt).name,
        "network_sha256": network.digest,
        "caffemodel": Path(caffemodel).name,
        "caffemodel_sha256": digest,
        "last_conv": head.last_conv,
        "class_layer": head.class_layer,
        "crop": rows,
        "engine": running.name,
        "device": running.device,
        "preprocessing": asdict(preprocessing),
        "version": __version__,
    }
    return CamModel(record["model"], running, rows, preprocessing, names, record)


def _limit_threads(threads: int) -> None:
    import cv2
    from threadpoolctl import threadpool_limits

    cv2.setNumThreads(threads)
    threadpool_limits(threads, user_api="blas")


def _default_names(classes: int) -> tuple[str, ...]:
    files = {1000: "categories1000.txt", 205: "categories_places205.txt"}
    if classes in files:
        return zoo.class_names(files[classes])
    return tuple(f"class {index}" for index in range(classes))
