"""The server of `cam serve` in a thread of this process, or in a process of its own."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from cam.explain.model import CamModel


class Answer(NamedTuple):
    """What a server answers to bytes: status, headers, body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def detail(self) -> str:
        """The line of a refusal; fails if it is not one."""
        assert self.headers["content-type"] == "application/json"
        said = json.loads(self.body)
        assert list(said) == ["detail"]
        assert said["detail"].isprintable()
        assert "Traceback" not in said["detail"]
        return str(said["detail"])


@dataclass(frozen=True)
class LiveServer:
    """Where a server listens, and what it is made of."""

    port: int
    service: Any
    server: Any

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def send(self, data: bytes) -> Answer:
        """Send bytes as they are, and return the answer to them."""
        with self.connect() as connection:
            connection.sendall(data)
            return read_answer(connection)


def read_answer(connection: socket.socket) -> Answer:
    """Read one answer, whose length is told; an `EOFError` if the connection ends before."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += _more(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers["content-length"]):
        body += _more(connection)
    return Answer(int(status.split()[1]), headers, body)


def _more(connection: socket.socket) -> bytes:
    received = connection.recv(1 << 16)
    if not received:
        raise EOFError("the server has closed the connection")
    return received


@contextmanager
def live_server(model: CamModel, host: str = "127.0.0.1", **settings: Any) -> Iterator[LiveServer]:
    """Serve a model from a thread; settings are those of `Limits`, and ``token``, ``others``."""
    from cam.viewer.server import running
    from cam.viewer.server.access import AccessRules
    from cam.viewer.server.limits import Limits
    from cam.viewer.server.models import Offer

    token, others = settings.pop("token", None), settings.pop("others", ())
    first = Offer(model.name, "of a test", model.class_names, lambda: model, lambda: True)
    service = running.open_service(first, others, Limits(**settings))
    with running.listen("127.0.0.1", 0) as listener:
        server = running.Server(service, AccessRules.of(host, token))
        port = listener.getsockname()[1]
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield LiveServer(port, service, server)
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def served_by_command(
    *arguments: object, folder: Path, before: tuple[str, ...] = (), **environment: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run ``cam serve`` in a folder; give the process and the line that it printed."""
    command = [sys.executable, "-m", "cam", *before, "serve", "--port", "0", *map(str, arguments)]
    with subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    ) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline()
        finally:
            process.kill()


def port_of(line: str) -> int:
    """Return the port in the line that ``cam serve`` prints."""
    found = re.search(r":(\d+)/", line)
    assert found, line
    return int(found[1])
