"""Starting the server, and stopping it cleanly and in time."""

from __future__ import annotations

import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any, cast

import cv2
import uvicorn

from cam.errors import CamError
from cam.viewer.server.access import AccessRules
from cam.viewer.server.application import Service, guarded_application
from cam.viewer.server.connections import LimitedConnection
from cam.viewer.server.limits import Limits
from cam.viewer.server.models import Models, Offer
from cam.viewer.server.workers import THREADS_NAME

SECONDS_TO_END = 1.0
"""What requests under way get to end in, once the server is told to stop."""

SECONDS_OF_THREADS = 0.4
"""What threads get to end in after that."""


def open_service(first: Offer, others: Iterable[Offer], limits: Limits) -> Service:
    """Return what serves some models, with the first one open; see `Models` for the arguments."""
    return Service(Models(first, others, limits), limits)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address.

    Parameters
    ----------
    host : str
        A name or address of this machine.
    port : int
        The port; any free one if 0.

    Raises
    ------
    CamError
        If it cannot be had.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=256)
    except OSError as error:
        raise CamError(
            f"cannot listen at {host}, port {port}: {error.strerror or error}; --host and --port "
            "name others"
        ) from error


def url_of(listener: socket.socket) -> str:
    """Return the address at which a browser on this machine finds the server."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def log_errors(debug: bool) -> None:
    """Log errors of the program with their tracebacks, or else nothing."""
    logging.basicConfig(level=logging.INFO if debug else logging.CRITICAL + 1, stream=sys.stderr)


def wait_for_threads(seconds: float = SECONDS_OF_THREADS) -> None:
    """Wait for what the server's threads are at work on, if it ends soon."""
    until = time.monotonic() + seconds
    for thread in threading.enumerate():
        if thread.name.startswith(THREADS_NAME):
            thread.join(max(0.0, until - time.monotonic()))


class Server(uvicorn.Server):
    """Uvicorn's server with everything of ours; ``run([listener])`` serves until a signal comes.

    Parameters
    ----------
    service : Service
        Models, threads and limits.
    rules : AccessRules
        Who may ask.

    Attributes
    ----------
    ended_by : int
        The signal that ended it, SIGTERM or SIGINT. Threads may be at work still.
    """

    def __init__(self, service: Service, rules: AccessRules) -> None:
        config = uvicorn.Config(
            cast(Any, guarded_application(service, rules)),
            http=cast(Any, partial(LimitedConnection, service.limits)),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=cast(int, SECONDS_TO_END),
        )
        super().__init__(config)
        self._service = service
        self.ended_by = int(signal.SIGTERM)

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Stop on a signal, and do not raise it again afterwards."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handled = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in handled.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Remember the signal and stop; at once if it is the second one."""
        self.force_exit = self.should_exit
        self.should_exit = True
        self.ended_by = sig

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Leave the processors to the workers: OpenCV starts no threads of its own."""
        cv2.setNumThreads(1)
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Refuse what waits, so that the rest of the time is for what is at work."""
        self._service.stop()
        await super().shutdown(sockets)


_SIGNALS = (signal.SIGINT, signal.SIGTERM)
