"""Networks of the table for measuring: with their own weights, or else with random ones.

The time does not depend on the values of the weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cam import zoo
from cam.caffe.loaded import LoadedNetwork
from cam.errors import MissingFileError
from cam.explain.model import CamModel, open_model

__all__ = ["MeasuredNetwork", "open_network"]


@dataclass(frozen=True, eq=False)
class MeasuredNetwork:
    """A network of the table with its weights in a file.

    Attributes
    ----------
    loaded : cam.caffe.loaded.LoadedNetwork
        The network.
    caffemodel : pathlib.Path
        The file with its weights, own or random ones.
    weights_note : str
        Which weights these are.
    is_random : bool
        Whether they are random.
    """

    loaded: LoadedNetwork
    caffemodel: Path
    weights_note: str
    is_random: bool

    def load_model(self, engine: str | None, threads: int | None) -> CamModel:
        """Return a model that runs it."""
        return open_model(self.loaded, engine, threads)


@contextmanager
def open_network(name: str) -> Iterator[MeasuredNetwork]:
    """Give a network of the table; random weights are gone afterwards.

    Parameters
    ----------
    name : str
        Its name.

    Yields
    ------
    MeasuredNetwork
        The network.

    Raises
    ------
    CamError
        If there is no such network.
    """
    is_random = False
    try:
        loaded = zoo.load_network(name)
        note = zoo.get(name).caffemodel
    except MissingFileError:
        loaded, is_random = zoo.load_network(name, seed=0), True
        note = "random, seed 0 (the original ones are not on this machine)"
    with loaded.weights_file() as caffemodel:
        yield MeasuredNetwork(loaded, caffemodel, note, is_random)
