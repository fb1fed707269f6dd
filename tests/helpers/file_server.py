"""A web server on this machine whose connections fail as they are told to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FileServer:
    """What is served, and what was asked for.

    `files` are the contents by path. A path in `cut_after` loses its connection after so many
    bytes, each time; one in `stalled` says nothing more after so many bytes until `release` is
    set. One in `dripping` comes byte by byte with so many seconds between, one in `silent` gets no
    answer until `release` is set, and one in `redirects` is said to be at another address. Without
    `ranges` the server sends every file from its beginning.
    """

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cut_after: dict[str, int] = field(default_factory=dict)
    stalled: dict[str, int] = field(default_factory=dict)
    dripping: dict[str, float] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    ranges: bool = True
    lengths: bool = True
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)

    def url(self, name: str) -> str:
        return f"{self.address}/{name}"


@contextmanager
def serve() -> Iterator[FileServer]:
    state = FileServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name, wanted = self.path.lstrip("/"), self.headers.get("Range")
            state.requests.append((name, wanted))
            if name in state.silent:
                state.release.wait(30)
                return
            if name in state.redirects:
                self.send_response(302)
                self.send_header("Location", state.redirects[name])
                self.end_headers()
                return
            if name not in state.files:
                self.send_error(404)
                return
            content, start = state.files[name], 0
            if wanted and state.ranges:
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
                if start >= len(content):
                    self.send_error(416)
                    return
            self.send_response(206 if start else 200)
            if state.lengths:
                self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            body = content[start:]
            if name in state.stalled:
                self.wfile.write(body[: state.stalled[name]])
                self.wfile.flush()
                state.release.wait(30)
            elif name in state.dripping:
                with suppress(OSError):
                    for k in range(len(body)):
                        self.wfile.write(body[k : k + 1])
                        state.release.wait(state.dripping[name])
            else:
                self.wfile.write(body[: state.cut_after.get(name, len(body))])

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield state
    finally:
        state.release.set()
        server.shutdown()
        server.server_close()
        thread.join()
