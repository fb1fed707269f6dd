"""One connection, with limits on how large a request's head is and how long a request takes.

Uvicorn has none of its own: a head may grow without end, and a client that sends or takes a byte a
minute keeps its connection for ever.
"""

from __future__ import annotations

import asyncio
import http
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from cam.viewer.server.access import SECURITY_HEADERS, detail_of
from cam.viewer.server.limits import Limits

HEAD_BYTES = 64 * 2**10
"""Of a request's first line, headers and trailers."""


class LimitedConnection(HttpToolsProtocol):
    """Uvicorn's connection with a deadline for each step, and a limit on the head.

    Parameters
    ----------
    limits : Limits
        The limits.
    **settings
        What uvicorn makes a connection with.
    """

    def __init__(self, limits: Limits, **settings: Any) -> None:
        super().__init__(**settings)
        self._limits = limits
        self._deadline: asyncio.TimerHandle | None = None
        self._is_arriving = False
        self._received = 0
        self._of_body = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._within(self._limits.upload_seconds, self._give_up)
        if len(self.connections) > self._limits.connections:
            self._refuse(503, "too many connections", "retry-after: 1\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._set_deadline(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has come, and see how much of it is no body."""
        self._received += len(data)
        super().data_received(data)
        # A chunk of one byte has five bytes around it.
        is_over = self._received - 8 * self._of_body > HEAD_BYTES
        if is_over and not self.transport.is_closing():
            self._refuse(431, f"the head of the request is over {HEAD_BYTES} bytes")

    def on_message_begin(self) -> None:
        """Begin with a request: all of it has to come in time."""
        super().on_message_begin()
        self._is_arriving = True
        self._within(self._limits.upload_seconds, self._give_up)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._of_body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Have a whole request."""
        self._is_arriving = False
        self._received = self._of_body = 0
        self._set_deadline(None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the client to take the answer."""
        super().on_response_complete()
        if not self._is_arriving:
            self._within(self._limits.answer_seconds, self._cut_off)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP."""
        self._refuse(400, msg.rstrip("."))

    def _give_up(self) -> None:
        """End a request that has not come in time."""
        is_answered = self.cycle is not None and self.cycle.response_started
        if self._is_arriving and not is_answered:
            self._refuse(408, f"the request did not come within {self._limits.upload_seconds:g} s")
        else:
            self.transport.abort()

    def _cut_off(self) -> None:
        """End a connection whose client does not take its answer."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    def _refuse(self, status: int, detail: str, more: str = "") -> None:
        body = detail_of(detail)
        headers = {
            **SECURITY_HEADERS,
            "content-type": "application/json",
            "content-length": str(len(body)),
            "connection": "close",
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        phrase = http.HTTPStatus(status).phrase
        self.transport.write(f"HTTP/1.1 {status} {phrase}\r\n{lines}{more}\r\n".encode() + body)
        self.transport.close()

    def _within(self, seconds: float, otherwise: Callable[[], None]) -> None:
        self._set_deadline(self.loop.call_later(seconds, otherwise))

    def _set_deadline(self, deadline: asyncio.TimerHandle | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = deadline
