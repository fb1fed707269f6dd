"""The pipeline: a picture in, its class activation maps out.

Data flows one way: picture, crops, network, maps, heat maps, overlays. `load` puts a network and an
engine together; `CamModel.explain` runs the pipeline.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from cam import __version__, zoo
from cam.arguments import checked
from cam.caffe.loaded import LoadedNetwork
from cam.caffe.preprocessing import Preprocessing
from cam.engines import Engine, NetworkOutput, choose_engine
from cam.engines.protocol import FLOAT32
from cam.errors import CamError, InvalidValueError
from cam.explain.explanation import ClassChoice, ClassLayer, Explanation, source_of
from cam.explain.grid import model_facts, model_html
from cam.explain.styles import NetworkInput, Style, get_style
from cam.files import PathLike
from cam.maps.activation_maps import return_cam_map
from cam.pictures.reading import PictureSource, read_picture

USUAL_TOP = 5
"""How many classes the paper's figures and its top-5 error look at."""


class CamModel:
    """A network with its engine, ready to explain pictures from any number of threads.

    Parameters
    ----------
    network : cam.caffe.loaded.LoadedNetwork
        The network.
    engine : cam.engines.Engine
        What runs it.
    engine_choice : str, optional
        Why this engine was taken, in one line, for the record.
    """

    def __init__(self, network: LoadedNetwork, engine: Engine, engine_choice: str = "") -> None:
        self.network = network
        self.engine = engine
        self.engine_choice = engine_choice

    def __repr__(self) -> str:
        facts = model_facts(self)
        return f"<CamModel {facts['model']}: {facts['classes']} classes, {facts['engine']}>"

    def _repr_html_(self) -> str:
        return model_html(self)

    @property
    def name(self) -> str:
        """The model's name, or its prototxt's."""
        return self.network.name

    @property
    def crop_size(self) -> int:
        """Rows and columns of the network's input."""
        return self.network.crop_size

    @property
    def preprocessing(self) -> Preprocessing:
        """How pixels become input."""
        return self.network.preprocessing

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, in the network's order."""
        return self.network.class_names

    @property
    def class_weights(self) -> NDArray[np.float32]:
        """The weights of the class layer, float32 (C, K)."""
        return self.network.class_weights

    @property
    def record(self) -> dict[str, Any]:
        """What results depend on: files, digests, preprocessing, engine and version."""
        return {
            **self.network.record,
            "engine": self.engine.name,
            "device": self.engine.device,
            "precision": self.engine.precision,
            "winograd": self.engine.winograd,
            "preprocessing": asdict(self.preprocessing),
            "version": __version__,
        }

    @checked
    def warm_up(self, style: str | Style = "pycaffe") -> None:
        """Make the engine ready for a style, so that the first picture is as fast as the next."""
        self.engine.warm_up(get_style(style).crops)

    @checked
    def class_index(self, wanted: ClassChoice) -> int:
        """Return the index of a class, from 0, by its index or name; see `cam.zoo.find_class`."""
        return zoo.find_class(self.class_names, str(wanted))

    @checked
    def explain(
        self,
        image: PictureSource,
        top: int | None = None,
        style: str | Style = "pycaffe",
        placement: str = "stretch",
        classes: Sequence[ClassChoice] | None = None,
    ) -> Explanation:
        """Return the class activation maps of one picture's top classes, or of named ones.

        Parameters
        ----------
        image : path-like, numpy.ndarray or PIL.Image.Image
            The picture; see `cam.pictures.reading.read_picture`. Arrays are BGR, as OpenCV's.
        top : int, optional
            How many classes. 5, or all of fewer, if not given.
        style : {"pycaffe", "matlab"} or cam.explain.styles.Style, optional
            One center crop as the pycaffe port, or ten crops as the original.
        placement : {"stretch", "crop"}, optional
            For the pycaffe style: the map over the whole picture as the port lays it, or on the
            center crop where it belongs.
        classes : sequence of int or str, optional
            The classes to explain, in this order, in place of the top ones: indices from 0, names
            or WordNet ids.

        Returns
        -------
        Explanation
            The classes and their maps.

        Raises
        ------
        CamError
            If the picture cannot be read, or an argument is out of range.
        """
        (explanation,) = self.explain_many([image], top, style, placement, 1, classes)
        return explanation

    @checked
    def explain_many(
        self,
        images: Iterable[PictureSource],
        top: int | None = None,
        style: str | Style = "pycaffe",
        placement: str = "stretch",
        batch_size: int = 8,
        classes: Sequence[ClassChoice] | None = None,
    ) -> Iterator[Explanation]:
        """Yield the class activation maps of many pictures, in their order.

        Parameters
        ----------
        images : iterable
            Pictures as for `explain`; they are read as they are needed.
        top, style, placement, classes
            As for `explain`.
        batch_size : int, optional
            How many pictures go through the network at once.

        Yields
        ------
        Explanation
            One for each picture.
        """
        chosen_style = get_style(style, placement)
        count = self.top_count(top) if classes is None else len(classes)
        chosen = None if classes is None else [self.class_index(one) for one in classes]
        if isinstance(images, (str, os.PathLike, np.ndarray)):
            raise InvalidValueError("explain_many takes several pictures; explain takes one")
        if batch_size < 1:
            raise InvalidValueError(f"a batch of {batch_size} pictures; it must be 1 or more")
        pictures = iter(images)
        while batch := list(islice(pictures, batch_size)):
            inputs = [self.network_input(image, chosen_style) for image in batch]
            batches = [one.batch for one in inputs]
            output = self.engine.forward(
                batches[0] if len(batches) == 1 else np.concatenate(batches)
            )
            for i, (image, one) in enumerate(zip(batch, inputs, strict=True)):
                of_picture = output.inputs(i * chosen_style.crops, chosen_style.crops)
                yield self.explain_output(one, of_picture, chosen_style, count, chosen, image)

    @checked
    def network_input(self, image: PictureSource, style: Style) -> NetworkInput:
        """Return a picture as a style makes it the network's input."""
        return style.prepare(read_picture(image), self.crop_size, self.preprocessing)

    @checked
    def explain_output(
        self,
        network_input: NetworkInput,
        output: NetworkOutput,
        style: Style,
        top: int = 5,
        classes: Sequence[int] | None = None,
        source: PictureSource | None = None,
    ) -> Explanation:
        """Return the class activation maps of a picture that has gone through the network.

        Parameters
        ----------
        network_input : cam.explain.styles.NetworkInput
            The picture as `style` prepared it.
        output : cam.engines.NetworkOutput
            What the engine gave for its crops.
        style : cam.explain.styles.Style
            The style.
        top : int, optional
            How many classes.
        classes : sequence of int, optional
            The classes in place of the top ones, from 0.
        source : path-like, numpy.ndarray or PIL.Image.Image, optional
            The picture itself, for what is drawn at its size.

        Returns
        -------
        Explanation
            The classes and their maps.
        """
        scores, indices = self.rank_classes(output, style, top, classes)
        return Explanation(
            frame=network_input.frame,
            picture_size=network_input.picture_size,
            scores=scores,
            indices=indices,
            names=tuple(self.class_names[index] for index in indices),
            maps=return_cam_map(output.activations, self.class_weights[indices]),
            crop_size=self.crop_size,
            style=style,
            record={**self.record, "engine_choice": self.engine_choice, **style.record},
            output=output,
            class_layer=ClassLayer(
                self.class_weights, self.class_names, self.network.pools_maximum
            ),
            source=source_of(source),
        )

    @checked
    def rank_classes(
        self, output: NetworkOutput, style: Style, top: int, classes: Sequence[int] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
        """Return the mean scores of a picture's crops, (C,), and the classes to explain, (T,).

        Raises
        ------
        CamError
            If a score is not a finite number.
        """
        scores = output.scores.mean(axis=0) if style.crops > 1 else output.scores[0]
        if not np.isfinite(scores).all():
            raise CamError(
                f"{self.name} gives scores that are not finite: its weights are damaged, or the "
                "preprocessing is not what it was trained with"
            )
        if classes is not None:
            return scores, np.array(classes, np.intp)
        return scores, style.class_order(scores)[:top]

    @checked
    def top_count(self, top: int | None) -> int:
        """Return how many top classes are meant; see the function `top_count`."""
        return top_count(top, len(self.class_names))


def top_count(top: int | None, classes: int) -> int:
    """Return how many top classes are meant: if none are said 5, or all of fewer.

    Parameters
    ----------
    top : int or None
        How many were asked for.
    classes : int
        How many there are.

    Raises
    ------
    InvalidValueError
        If there are not so many.

    Examples
    --------
    >>> top_count(None, 1000), top_count(None, 2), top_count(7, 1000)
    (5, 2, 7)
    """
    if top is None:
        return min(USUAL_TOP, classes)
    if not 1 <= top <= classes:
        raise InvalidValueError(f"top {top} of {classes} classes; it must be 1 to {classes}")
    return top


@checked
def load(
    name: str = zoo.EMBEDDED,
    engine: str | None = None,
    threads: int | None = None,
    precision: str = FLOAT32,
) -> CamModel:
    """Load a model of the table.

    Parameters
    ----------
    name : str, optional
        Its name, ``"googlenet"`` for example; the embedded model if not given.
    engine : {"auto", "openvino", "caffe"}, optional
        What runs it; ``"caffe:cpu"`` and ``"caffe:gpu:0"`` name a device. ``"auto"`` takes Caffe
        on a GPU that works, else OpenVINO, else Caffe on the CPU. If not given, what the
        environment variable ``CAM_ENGINE`` names, or ``"auto"``.
    threads : int, optional
        How many threads a forward pass may use; the engine's choice if not given. OpenCV and the
        BLAS libraries take no more either, so that they do not fight the engine; theirs is a
        setting of the whole process.
    precision : {"float32", "bfloat16"}, optional
        What the network is computed in. ``"bfloat16"`` takes about half the time, with the openvino
        engine on a processor that has units for it, and is less exact (docs/fidelity.md).

    Returns
    -------
    CamModel
        The model, ready to explain pictures.

    Raises
    ------
    CamError
        If there is no such model or engine, the weights are missing or do not fit, or the engine
        or the processor does not have this precision.

    Examples
    --------
    >>> model = load("efficientnet-lite0", engine="openvino")
    >>> model.class_weights.shape
    (1000, 1280)
    """
    return open_model(zoo.load_network(name), engine, threads, precision=precision)


@checked
def load_files(
    prototxt: PathLike,
    caffemodel: PathLike,
    *,
    last_conv: str | None = None,
    class_layer: str | None = None,
    preprocessing: Preprocessing | None = None,
    class_names: Sequence[str] | None = None,
    name: str | None = None,
    engine: str | None = None,
    threads: int | None = None,
    precision: str = FLOAT32,
) -> CamModel:
    """Load any Caffe network with a head for class activation mapping.

    Parameters
    ----------
    prototxt, caffemodel, last_conv, class_layer, preprocessing, name
        As for `cam.zoo.load_files`.
    class_names : sequence of str, optional
        One name for each class, as `names` of `cam.zoo.load_files`.
    engine, threads, precision
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
    network = zoo.load_files(
        prototxt,
        caffemodel,
        last_conv=last_conv,
        class_layer=class_layer,
        preprocessing=preprocessing,
        names=class_names,
        name=name,
    )
    return open_model(network, engine, threads, precision=precision)


def open_model(
    network: LoadedNetwork,
    engine: str | None = None,
    threads: int | None = None,
    backward: bool = False,
    precision: str = FLOAT32,
) -> CamModel:
    """Return a model that runs a loaded network.

    The arguments are as for `load` and `cam.engines.open_engine`.
    """
    chosen = choose_engine(engine, backward, precision)
    running = chosen.open(network, threads)
    if threads is not None:
        cv2.setNumThreads(threads)
        threadpool_limits(threads, user_api="blas")
    return CamModel(network, running, chosen.reason)
