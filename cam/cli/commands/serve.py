"""Serve a live page and an HTTP interface that explain pictures."""

from __future__ import annotations

import atexit
import os
import secrets
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, NoReturn
from urllib.parse import quote

import click

from cam import zoo
from cam.cli.declaring import Count, as_command, option
from cam.cli.messages import show_note
from cam.cli.options import ForwardOptions
from cam.engines.protocol import FLOAT32
from cam.errors import InvalidValueError, import_extra

if TYPE_CHECKING:
    from cam.viewer.server.limits import Limits
    from cam.viewer.server.models import Offer

TOKEN_VARIABLE = "CAM_TOKEN"

_SIGNAL_CODE = 128
"""What a process that ended by a signal adds to its number in its exit code: 130 and 143."""

_WITHOUT_EXTRA = (
    "cam serve needs FastAPI and uvicorn, which do not import here ({error}): "
    "pip install 'cam-caffe[web]'"
)

Size = Annotated[float, click.FloatRange(min=0, min_open=True)]


@dataclass(frozen=True)
class ServeRequest(ForwardOptions):
    """Which model to begin with, where to listen, who may ask, and how much is taken on."""

    host: str = option(
        "Where to listen. Others than this machine's own 127.0.0.1 ask for a token.",
        default="127.0.0.1",
    )
    port: int = option(
        "The port; 0 takes any free one.", type=click.IntRange(0, 65535), default=8000
    )
    token: str | None = option(
        f"The token that requests must bring. Default: {TOKEN_VARIABLE}, or a new one, which is "
        "printed once; none where only this machine is listened to."
    )
    allow_host: tuple[str, ...] = option(
        "A further name under which browsers may reach the server. May be repeated.", default=()
    )
    max_megabytes: Size = option("Of a request's body, at most.", default=32.0)
    max_megapixels: Size = option("Of a picture, at most.", default=50.0)
    upload_seconds: Size = option("For a request to arrive.", default=30.0)
    answer_seconds: Size = option("For an answer.", default=60.0)
    workers: Count | None = option("Threads. Default: three for each processor.")
    queue: int = option(
        "Requests that wait for a thread; more are answered with 503.",
        type=click.IntRange(min=0),
        default=64,
    )
    kept_models: Count = option("Models kept open beside the first.", default=2)


@as_command
def serve(request: ServeRequest) -> NoReturn:
    """Serve a live page and an HTTP interface that explain pictures.

    The model is --model, or a network of your own; the others of the table can be asked for by
    name where their weights are. Ends with Ctrl-C or SIGTERM.
    """
    for module in ("fastapi", "uvicorn", "httptools", "python_multipart"):
        import_extra(module, _WITHOUT_EXTRA)
    from cam.viewer.server import running
    from cam.viewer.server.access import AccessRules

    limits = _limits(request)
    with running.listen(request.host, request.port) as listener:
        token, is_new = _token(request)
        first, others = _offers(request)
        service = running.open_service(first, others, limits)
        url = running.url_of(listener)

        def say_where() -> None:
            page = f"{url}?token={quote(token, safe='')}" if token and is_new else url
            click.echo(f"{first.name} at {page} (Ctrl-C ends)")

        rules = AccessRules.of(request.host, token, request.allow_host)
        is_debugging = bool(click.get_current_context().find_root().params.get("debug"))
        running.log_errors(is_debugging)
        server = running.Server(service, rules)
        say_where()
        server.run([listener])
    click.echo(
        "cam: interrupted" if server.ended_by == signal.SIGINT else "cam: terminated", err=True
    )
    running.wait_for_threads()
    _leave(_SIGNAL_CODE + server.ended_by)


def _leave(code: int) -> NoReturn:
    """End the process now: taking the interpreter and the engine apart would take a second."""
    # Among them is the removal of temporary folders.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(code)


def _limits(request: ServeRequest) -> Limits:
    from cam.viewer.server.limits import MEBIBYTE, Limits

    default = Limits()
    return Limits(
        body_bytes=int(request.max_megabytes * MEBIBYTE),
        all_bodies_bytes=max(default.all_bodies_bytes, int(2 * request.max_megabytes * MEBIBYTE)),
        pixels=int(request.max_megapixels * 1e6),
        upload_seconds=request.upload_seconds,
        answer_seconds=request.answer_seconds,
        workers=request.workers or default.workers,
        queue=request.queue,
        models=request.kept_models,
    )


def _token(request: ServeRequest) -> tuple[str | None, bool]:
    """Return the token, and whether it was made just now."""
    from cam.viewer.server.access import is_loopback

    given = os.environ.get(TOKEN_VARIABLE) or None if request.token is None else request.token
    if given is None:
        is_needed = not is_loopback(request.host)
        return (secrets.token_urlsafe(24), True) if is_needed else (None, False)
    if not (given and given.isascii() and given.isprintable() and " " not in given):
        raise InvalidValueError("a token is of printable ASCII characters, without blanks")
    return given, False


def _offers(request: ServeRequest) -> tuple[Offer, list[Offer]]:
    """Return the model to begin with, and the others of the table."""
    from cam.viewer.server.models import Offer, offers_of_table

    model = request.open()
    show_note(model.network)
    note = zoo.get(model.name).note if request.prototxt is None else "of your own"
    first = Offer(model.name, note, model.class_names, lambda: model, lambda: True)
    table = offers_of_table(request.engine, request.threads, request.precision or FLOAT32)
    return first, [offer for offer in table if offer.name != first.name]
