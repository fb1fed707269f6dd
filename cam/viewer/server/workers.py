"""The threads that work on requests, and the bounded queue before them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from cam.viewer.server.limits import Limits, RefusedError, busy

_Result = TypeVar("_Result")

THREADS_NAME = "cam-serve"
"""How the names of all threads begin that the server starts."""


class Workers:
    """A few threads; what they cannot begin at once waits, and past a limit is refused.

    Parameters
    ----------
    limits : Limits
        How many threads, how long the queue, how long an answer may take.
    """

    def __init__(self, limits: Limits) -> None:
        self._pool = ThreadPoolExecutor(limits.workers, THREADS_NAME)
        self._places = limits.workers + limits.queue
        self._seconds = limits.answer_seconds
        self.taken = 0
        self._lock = threading.Lock()
        self._is_stopping = False

    def check(self) -> None:
        """Refuse a request if no place is free.

        Raises
        ------
        RefusedError
            With 503.
        """
        if self._is_stopping:
            raise busy("the server is stopping")
        if self.taken >= self._places:
            raise busy(f"{self.taken} requests are under way already; ask again")

    async def run(
        self, work: Callable[[], _Result], client_left: Callable[[], Awaitable[object]]
    ) -> _Result:
        """Do some work in a thread and return its result.

        Parameters
        ----------
        work : callable
            The work.
        client_left : callable
            Waits until the client ends the connection: what nobody waits for is not begun.

        Raises
        ------
        RefusedError
            With 503 if no place is free, or it takes too long.
        """
        self.check()
        job = self._begin(work)
        answer = asyncio.wrap_future(job)
        leaving = asyncio.ensure_future(client_left())
        try:
            waited: set[asyncio.Future[Any]] = {answer, leaving}
            await asyncio.wait(waited, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
            if answer.done() and not answer.cancelled():
                return answer.result()
        finally:
            leaving.cancel()
            # Its place is free once it has ended: a thread cannot be stopped.
            answer.cancel()
        if self._is_stopping:
            raise busy("the server is stopping")
        if leaving.done() and not leaving.cancelled():
            raise RefusedError(400, "the client has left")
        raise busy(f"it took over {self._seconds:g} s")

    def _begin(self, work: Callable[[], _Result]) -> Future[_Result]:
        with self._lock:
            self.taken += 1
        job = self._pool.submit(work)
        job.add_done_callback(self._end)
        return job

    def _end(self, _: Future[Any]) -> None:
        with self._lock:
            self.taken -= 1

    def stop(self) -> None:
        """Begin no more work; what waits is refused."""
        self._is_stopping = True
        self._pool.shutdown(wait=False, cancel_futures=True)
