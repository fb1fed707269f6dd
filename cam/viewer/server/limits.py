"""The limits of the server, each with its name."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

MEBIBYTE = 2**20


def _default_workers() -> int:
    # The engine keeps two requests a processor; others are decoded and drawn meanwhile.
    return min(3 * (os.cpu_count() or 1), 64)


@dataclass(frozen=True)
class Limits:
    """What the server takes on, from one request and from all together.

    Attributes
    ----------
    body_bytes : int
        Of a request's body; more is answered with 413.
    all_bodies_bytes : int
        Of the bodies of all requests that are under way; more is answered with 503.
    pixels : int
        Of a picture; more is answered with 413, before it is decoded.
    upload_seconds : float
        For a request to arrive, head and body; later is answered with 408.
    answer_seconds : float
        From the arrival of a request to its answer; later is answered with 503. And for the
        client to take the answer; who is slower is cut off.
    workers : int
        Threads that work on requests.
    queue : int
        How many requests wait for one of them; more are answered with 503.
    connections : int
        Open at the same time; more are answered with 503.
    models : int
        How many networks are kept open beside the default one; the one that was used longest ago
        goes first.
    """

    body_bytes: int = 32 * MEBIBYTE
    all_bodies_bytes: int = 512 * MEBIBYTE
    pixels: int = 50_000_000
    upload_seconds: float = 30
    answer_seconds: float = 60
    workers: int = field(default_factory=_default_workers)
    queue: int = 64
    connections: int = 512
    models: int = 2


class RefusedError(Exception):
    """A request that is not served: its status, and one line that says why.

    Parameters
    ----------
    status : int
        The HTTP status.
    detail : str
        The line.
    headers : mapping of str to str, optional
        Further headers of the answer.
    """

    def __init__(self, status: int, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def busy(detail: str) -> RefusedError:
    """Return the refusal of what the server cannot take on now, and can in a second."""
    return RefusedError(503, detail, retry_after="1")
