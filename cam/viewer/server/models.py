"""The networks on offer, opened when they are asked for first, and what runs them."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cam import zoo
from cam.engines import NetworkOutput
from cam.engines.protocol import FLOAT32
from cam.errors import CamError
from cam.explain.explanation import Explanation
from cam.explain.model import CamModel, load
from cam.explain.styles import Style
from cam.pictures.reading import Picture
from cam.viewer.server.limits import Limits, RefusedError, busy
from cam.viewer.server.workers import THREADS_NAME


class ServedModel:
    """A model that many threads ask at the same time.

    A request that is alone gets all processors. Several are run side by side, or, where the engine
    does more with many inputs at once, as a GPU does, gathered into batches.

    Parameters
    ----------
    model : cam.explain.model.CamModel
        The model.
    """

    def __init__(self, model: CamModel) -> None:
        self.model = model
        self._lock = threading.Lock()
        self._turns: dict[int, _Turns] = {}
        # So that the first picture is as fast as the next.
        model.warm_up()
        self._turns_for(1)

    def explain(
        self, picture: Picture, style: Style, top: int, classes: list[int] | None
    ) -> Explanation:
        """Return the class activation maps of a picture, as `CamModel.explain` does."""
        network_input = self.model.network_input(picture, style)
        output = self._turns_for(style.crops).forward(network_input.batch)
        return self.model.explain_output(network_input, output, style, top, classes, picture)

    def _turns_for(self, crops: int) -> _Turns:
        with self._lock:
            if crops not in self._turns:
                self._turns[crops] = _Turns(self.model, crops)
            return self._turns[crops]


class _Turns:
    """Lets inputs wait for their turn in the engine, and go in together.

    Whoever gets a turn takes the inputs of others along, as many as make the most of the engine.
    """

    def __init__(self, model: CamModel, crops: int) -> None:
        self._engine = model.engine
        self._most = max(1, self._engine.batch_size // crops)
        self._turns = threading.BoundedSemaphore(self._engine.requests_in_flight(crops))
        self._lock = threading.Lock()
        self._waiting: deque[tuple[NDArray[np.float32], Future[NetworkOutput]]] = deque()
        self._at_work = 0

    def forward(self, inputs: NDArray[np.float32]) -> NetworkOutput:
        """Run inputs, beside those of other threads."""
        future: Future[NetworkOutput] = Future()
        with self._lock:
            self._waiting.append((inputs, future))
        while not future.done():
            with self._turns:
                # Where nothing waits, another thread has taken these inputs along.
                if not self._take_turn():
                    break
        return future.result()

    def _take_turn(self) -> bool:
        with self._lock:
            count = min(self._most, len(self._waiting))
            taken = [self._waiting.popleft() for _ in range(count)]
            if not taken:
                return False
            self._at_work += 1
            is_alone = self._at_work == 1 and not self._waiting
        batches = [inputs for inputs, _ in taken]
        try:
            batch = batches[0] if count == 1 else np.concatenate(batches)
            output = self._engine.forward(batch) if is_alone else self._engine.submit(batch)()
            for number, (inputs, future) in enumerate(taken):
                future.set_result(output.inputs(number * len(inputs), len(inputs)))
        except Exception as error:
            for _, future in taken:
                future.set_exception(error)
        finally:
            with self._lock:
                self._at_work -= 1
        return True


@dataclass(frozen=True)
class Offer:
    """A model that can be asked for.

    Attributes
    ----------
    name, note : str
        What it is called, and what a user should know about it.
    class_names : tuple of str
        The names of its classes.
    open : callable
        Opens it.
    is_here : callable
        Tells whether its weights are on this machine.
    """

    name: str
    note: str
    class_names: tuple[str, ...]
    open: Callable[[], CamModel]
    is_here: Callable[[], bool]


def offers_of_table(
    engine: str | None = None, threads: int | None = None, precision: str = FLOAT32
) -> list[Offer]:
    """Return the models of the table; see `cam.explain.model.load` for the arguments."""

    def is_here(model: zoo.ZooModel) -> bool:
        try:
            zoo.find_weights(model)
        except CamError:
            return False
        return True

    return [
        Offer(
            model.name,
            model.note,
            zoo.class_names(model.categories),
            partial(load, model.name, engine, threads, precision),
            partial(is_here, model),
        )
        for model in zoo.ZOO
    ]


class Models:
    """Opens models by name, each once, and keeps a few.

    It belongs to one event loop, in which all its methods are called.

    Parameters
    ----------
    first : Offer
        The model to take where none is named; it is opened at once and stays open.
    others : iterable of Offer
        The other models on offer.
    limits : Limits
        How many of the others are kept open, and how long to wait for one.

    Raises
    ------
    CamError
        If the first one cannot be opened.
    """

    def __init__(self, first: Offer, others: Iterable[Offer], limits: Limits) -> None:
        self.default = first.name
        self.offers = {offer.name: offer for offer in (first, *others)}
        self._first = ServedModel(first.open())
        self._limits = limits
        self._open: dict[str, asyncio.Future[ServedModel]] = {}
        # One at a time: opening takes memory and all processors.
        self._opener = ThreadPoolExecutor(1, f"{THREADS_NAME}-open")

    def offer(self, name: str | None, status: int = 422) -> Offer:
        """Return what is on offer under a name.

        Raises
        ------
        RefusedError
            With the given status if there is no such model.
        """
        offer = self.offers.get(name or self.default)
        if offer is None:
            raise RefusedError(status, f"no model {name!r}; there are {', '.join(self.offers)}")
        return offer

    async def get(self, name: str | None) -> ServedModel:
        """Return a model, which is opened if it is not open yet.

        Raises
        ------
        RefusedError
            With 422 if there is no such model, or its weights are not here; with 503 if opening
            it takes too long.
        CamError
            If it cannot be opened.
        """
        offer = self.offer(name)
        if offer.name == self.default:
            return self._first
        opening = self._open.pop(offer.name, None)
        if opening is None or (opening.done() and _has_failed(opening)):
            opening = self._begin(offer)
        # The one that was asked for last stands last.
        self._open[offer.name] = opening
        while len(self._open) > self._limits.models:
            del self._open[next(iter(self._open))]
        try:
            return await asyncio.wait_for(
                asyncio.shield(opening), timeout=self._limits.answer_seconds
            )
        except asyncio.TimeoutError:
            raise busy(f"{offer.name} is being opened; ask again") from None
        except asyncio.CancelledError:
            if not opening.cancelled():
                raise
            raise busy("the server is stopping") from None

    def _begin(self, offer: Offer) -> asyncio.Future[ServedModel]:
        if not offer.is_here():
            raise RefusedError(
                422,
                f"the weights of {offer.name} are not on this server; there, "
                f"cam models fetch {offer.name} gets them",
            )
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._opener, lambda: ServedModel(offer.open()))

    def stop(self) -> None:
        """Open no more; who waits for a model is refused."""
        self._opener.shutdown(wait=False, cancel_futures=True)
        for opening in self._open.values():
            opening.cancel()


def _has_failed(opening: asyncio.Future[ServedModel]) -> bool:
    return opening.cancelled() or opening.exception() is not None
