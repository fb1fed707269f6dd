"""The body of a request, in memory and nowhere else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import NamedTuple

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from cam.viewer.server.limits import Limits, RefusedError, busy

FORM = "multipart/form-data"

NOT_PICTURES = ("application/json", "multipart/", "text/")
"""Types of bodies that are no picture. Others are judged by their bytes: curl names a form's."""


class Upload(NamedTuple):
    """A file of a form: its name as the client says it, and its bytes."""

    name: str
    data: bytes


class Uploads:
    """Reads bodies, and knows how much of them is in memory.

    Parameters
    ----------
    limits : Limits
        How large one body is, and all together are, at most.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.held = 0

    @asynccontextmanager
    async def picture(self, request: Request) -> AsyncIterator[bytes]:
        """Give the body of a request that is a picture; it counts as held while the block runs.

        Raises
        ------
        RefusedError
            With 415 if it says that it is something else, 413 if it is too large, 503 if there is
            too much of all bodies.
        """
        kind = request.headers.get("content-type", "").lower()
        if kind.startswith(NOT_PICTURES):
            raise RefusedError(
                415,
                "the body is to be the picture's bytes, with Content-Type image/… or "
                f"application/octet-stream, not {kind[:100]}",
            )
        async with self._body(request) as data:
            yield data

    @asynccontextmanager
    async def form(self, request: Request, names: Iterable[str]) -> AsyncIterator[list[Upload]]:
        """Give the files of a form, which are those named, in that order; see `picture`.

        Raises
        ------
        RefusedError
            Also with 400 if the body is no form, 422 if a file is missing.
        """
        kind = request.headers.get("content-type", "")
        if not kind.lower().startswith(FORM):
            raise RefusedError(415, f"the body is to be a form, {FORM}, not {kind[:100] or 'none'}")
        async with self._body(request) as data:
            yield await _files(request, data, list(names))

    @asynccontextmanager
    async def _body(self, request: Request) -> AsyncIterator[bytes]:
        limit = self._limits.body_bytes
        too_large = RefusedError(413, f"the body is over the limit of {limit} bytes")
        said = request.headers.get("content-length", "")
        if said.isdecimal() and int(said) > limit:
            raise too_large
        chunks: list[bytes] = []
        held = 0
        try:
            async for chunk in request.stream():
                if self.held + len(chunk) > self._limits.all_bodies_bytes:
                    raise busy("too much is being uploaded already; ask again")
                self.held += len(chunk)
                held += len(chunk)
                if held > limit:
                    raise too_large
                chunks.append(chunk)
            data = b"".join(chunks)
            chunks.clear()
            yield data
        except ClientDisconnect:
            raise RefusedError(400, "the connection ended before the request did") from None
        finally:
            self.held -= held


class _InMemory(MultiPartParser):
    """Starlette's reader of forms, which writes parts over a mebibyte to disk."""

    spool_max_size = 0


async def _files(request: Request, data: bytes, names: list[str]) -> list[Upload]:
    async def once() -> AsyncGenerator[bytes, None]:
        yield data

    try:
        parser = _InMemory(request.headers, once(), max_files=len(names), max_fields=0)
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError) as error:
        said = getattr(error, "message", "") or "a part or the boundary is missing"
        raise RefusedError(400, f"the form is damaged: {said}") from error
    found = []
    for name in names:
        file = form.get(name)
        if not isinstance(file, UploadFile):
            raise RefusedError(422, f"the form has no file {name!r}; it takes {', '.join(names)}")
        found.append(Upload(file.filename or name, await file.read()))
    return found
