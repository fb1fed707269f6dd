from __future__ import annotations

import json
import struct
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
from live_server import LiveServer, live_server, read_answer

from cam.engines import NetworkOutput
from cam.explain.model import CamModel
from cam.viewer.server import answers
from cam.viewer.server.connections import HEAD_BYTES
from cam.viewer.server.limits import Limits
from cam.viewer.server.models import Offer, ServedModel

HEAD = b"POST /api/explain HTTP/1.1\r\nHost: 127.0.0.1\r\n"
JPEG_BEGINS = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"


def request(body: bytes) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


def png_that_claims(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + header + b"....IEND"


@pytest.mark.parametrize(
    ("query", "body", "kind", "status"),
    [
        ("", b"", None, 400),
        ("", b"not a picture", None, 400),
        ("", JPEG_BEGINS, "image/jpeg", 400),
        ("", b"{}", "application/json", 415),
        ("", b"<p>", "text/html", 415),
        ("", b"--x--", "multipart/form-data; boundary=x", 415),
        ("", png_that_claims(30_000, 30_000), "image/png", 413),
        ("?top=0", b"", None, 422),
        ("?top=21", b"", None, 422),
        ("?top=many", b"", None, 422),
        ("?style=none", b"", None, 422),
        ("?model=none", b"", None, 422),
        ("?model=../../etc", b"", None, 422),
        ("?model=vgg16", b"PHOTO", None, 422),
        ("?class=xyzzy", b"PHOTO", None, 422),
        ("?class=xyzzy", b"PHOTO", "application/x-www-form-urlencoded", 422),
        ("?style=matlab&placement=crop", b"PHOTO", None, 422),
        ("?colour=red", b"", None, 422),
        ("?include=everything", b"", None, 422),
        ("?name=" + 1001 * "x", b"", None, 422),
        ("?class=" + "&class=".join(30 * "1"), b"", None, 422),
    ],
)
def test_what_cannot_be_answered_is_refused_with_one_line(
    client: httpx.Client,
    photograph: bytes,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    query: str,
    body: bytes,
    kind: str | None,
    status: int,
) -> None:
    # The weights of the paper's networks may be on this machine.
    monkeypatch.setattr("cam.zoo.find_weights", _missing)
    content = photograph if body == b"PHOTO" else body
    headers = {} if kind is None else {"Content-Type": kind}
    answer = client.post(f"/api/explain{query}", content=content, headers=headers)
    assert answer.status_code == status
    _check_line(answer)


def _missing(*_: object) -> Path:
    from cam.errors import MissingFileError

    raise MissingFileError("missing")


def _check_line(answer: httpx.Response) -> None:
    said = answer.json()
    assert list(said) == ["detail"]
    assert isinstance(said["detail"], str)
    assert said["detail"].isprintable()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/api/models/none/classes", 404),
        ("GET", "/../../../../etc/passwd", 404),
        ("GET", "/%2e%2e/payload.py", 404),
        ("GET", "/api/explain", 405),
        ("DELETE", "/api/explain", 405),
        ("POST", "/api/overlay?k=20", 422),
        ("POST", "/api/overlay?size=0", 422),
        ("POST", "/api/overlay?size=big", 422),
        ("POST", "/api/overlay?alpha=2", 422),
        ("POST", "/api/overlay?alpha=nan", 422),
        ("POST", "/api/export?format=exe", 422),
        ("POST", "/api/compare", 415),
        ("POST", "/api/compare?rank=0", 422),
    ],
)
def test_wrong_paths_methods_and_values_are_refused_with_one_line(
    client: httpx.Client, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    _check_line(answer)


@pytest.mark.parametrize(
    ("query", "status"), [("size=16000", 413), ("size=20000", 422), ("colormap=nix", 422)]
)
def test_overlays_that_cannot_be_drawn_are_refused_with_one_line(
    client: httpx.Client, photograph: bytes, query: str, status: int
) -> None:
    answer = client.post(f"/api/overlay?{query}", content=photograph)
    assert answer.status_code == status
    _check_line(answer)


@pytest.mark.parametrize(
    ("files", "status"),
    [
        ({"picture": ("a.png", b"PHOTO")}, 422),
        ({"picture": ("a.png", b"PHOTO"), "result": ("a.mat", b"")}, 400),
        (
            {"picture": ("a.png", b"PHOTO"), "result": ("a.mat", b"\x89HDF\r\n\x1a\n" + 99 * b"x")},
            400,
        ),
        ({"picture": ("a.png", b"PHOTO"), "result": ("/etc/passwd.npz", b"x")}, 400),
        ({"picture": ("a.png", b"PHOTO"), "result": ("a.jpg", png_that_claims(9**5, 9**5))}, 413),
        ({"picture": ("a.png", b"x"), "result": ("b.png", b"PHOTO"), "more": ("c", b"d")}, 400),
        ({"picture": ("a.png", b"PHOTO"), "result": ("b.png", b"PHOTO")}, 400),
    ],
)
def test_forms_that_cannot_be_compared_are_refused_with_one_line(
    client: httpx.Client, photograph: bytes, files: dict[str, tuple[str, bytes]], status: int
) -> None:
    sent = {
        part: (name, photograph if data == b"PHOTO" else data)
        for part, (name, data) in files.items()
    }
    answer = client.post("/api/compare", files=sent)
    assert answer.status_code == status, answer.text
    _check_line(answer)


@pytest.mark.parametrize(
    "body", [b"", b"--x\r\n", b"--x\r\nContent-Disposition: form-data\r\n\r\n"]
)
def test_damaged_forms_are_refused(client: httpx.Client, body: bytes) -> None:
    for kind in ("multipart/form-data", "multipart/form-data; boundary=x"):
        answer = client.post("/api/compare", content=body, headers={"Content-Type": kind})
        assert answer.status_code in (400, 422)
        _check_line(answer)


@pytest.fixture(scope="module")
def strict(model: CamModel) -> Iterator[LiveServer]:
    """Return a server that takes little, and waits for little."""
    with live_server(
        model, body_bytes=100_000, upload_seconds=0.5, connections=4, pixels=1000
    ) as server:
        yield server


def test_a_body_over_the_limit_is_refused_whether_its_length_is_told_or_not(
    strict: LiveServer,
) -> None:
    told = strict.send(HEAD + b"Content-Length: 100001\r\n\r\n")
    chunk = b"%x\r\n" % 60_000 + bytes(60_000) + b"\r\n"
    untold = strict.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + 2 * chunk + b"0\r\n\r\n")
    for answer in (told, untold):
        assert answer.status == 413
        assert "100000 bytes" in answer.detail
    assert strict.service.uploads.held == 0


def test_a_client_that_sends_all_of_a_large_body_first_sees_why_it_is_refused(
    strict: LiveServer,
) -> None:
    with strict.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 3000000\r\n\r\n" + bytes(3_000_000))
        assert read_answer(connection).status == 413
        # The connection goes on.
        connection.sendall(request(b"x"))
        assert read_answer(connection).status == 400


@pytest.mark.parametrize("sent", [b"GET /api", HEAD, HEAD + b"Content-Length: 10\r\n\r\n12345"])
def test_a_request_that_does_not_come_whole_in_time_is_given_up(
    strict: LiveServer, sent: bytes
) -> None:
    answer = strict.send(sent)
    assert answer.status == 408
    assert "within 0.5 s" in answer.detail


def test_a_request_that_drips_is_given_up(strict: LiveServer) -> None:
    with strict.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 1000000\r\n\r\n")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(1000):
                connection.sendall(b"x")
                time.sleep(0.02)


def test_a_connection_that_says_nothing_is_closed(strict: LiveServer) -> None:
    with strict.connect() as connection:
        assert connection.recv(1) == b""


@pytest.mark.parametrize("before", [b"", b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"])
@pytest.mark.parametrize("line", [b"A", b"A: b\r\n"])
def test_a_head_without_end_is_refused_and_so_are_trailers(
    strict: LiveServer, before: bytes, line: bytes
) -> None:
    answer = strict.send(HEAD + before + b"X: " + line * (2 * HEAD_BYTES // len(line)))
    assert answer.status == 431
    assert "over" in answer.detail


def test_a_body_in_chunks_of_one_byte_is_no_head(client: httpx.Client) -> None:
    pieces = (b"x" for _ in range(30_000))
    answer = client.post("/api/explain", content=pieces)
    assert answer.status_code == 400
    assert "not a picture" in answer.text


@pytest.mark.parametrize(
    "sent",
    [b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01", b"GET \xff HTTP/1.1\r\n\r\n"],
)
def test_what_is_not_http_is_refused(strict: LiveServer, sent: bytes) -> None:
    assert strict.send(sent).status in (400, 408)


def test_connections_over_the_limit_are_refused(strict: LiveServer) -> None:
    opened = [strict.connect() for _ in range(4)]
    try:
        answer = strict.send(b"")
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    finally:
        for connection in opened:
            connection.close()


def test_a_picture_over_the_limit_is_not_decoded(strict: LiveServer) -> None:
    answer = strict.send(request(png_that_claims(40, 30)))
    assert answer.status == 413
    assert "40 x 30 pixels" in answer.detail


class SlowModel:
    """A model whose engine waits until it is let go."""

    def __init__(self, model: CamModel) -> None:
        self.go_on = threading.Event()
        self.begun = 0
        self.model = CamModel(model.network, self)  # type: ignore[arg-type]
        self._engine = model.engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def forward(self, batch: Any) -> NetworkOutput:
        self.begun += 1
        assert self.go_on.wait(30)
        return self._engine.forward(batch)

    def submit(self, batch: Any) -> Any:
        output = self.forward(batch)
        return lambda: output


def until(holds: Any) -> None:
    for _ in range(3000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it never held")


def test_past_a_full_queue_requests_are_refused_and_told_when_to_ask_again(
    model: CamModel, photograph: bytes
) -> None:
    slow = SlowModel(model)
    with (
        live_server(slow.model, workers=1, queue=2) as server,
        ThreadPoolExecutor(3) as pool,
    ):
        waiting = [pool.submit(server.send, request(photograph)) for _ in range(3)]
        until(lambda: server.service.workers.taken == 3)
        refused = server.send(request(photograph))
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert "3 requests are under way" in refused.detail
        assert server.send(b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 200
        slow.go_on.set()
        assert [each.result().status for each in waiting] == [200, 200, 200]


def test_what_takes_too_long_is_refused_and_gives_its_place_back_when_it_ends(
    model: CamModel, photograph: bytes
) -> None:
    slow = SlowModel(model)
    with live_server(slow.model, workers=1, queue=1, answer_seconds=0.2) as server:
        first = server.send(request(photograph))
        assert (first.status, first.detail) == (503, "it took over 0.2 s")
        assert server.service.workers.taken == 1
        slow.go_on.set()
        until(lambda: server.service.workers.taken == 0)


def test_work_that_nobody_waits_for_is_not_begun(model: CamModel, photograph: bytes) -> None:
    slow = SlowModel(model)
    with live_server(slow.model, workers=1, queue=5) as server:
        with server.connect() as first, server.connect() as second:
            for connection in (first, second):
                connection.sendall(request(photograph))
            until(lambda: server.service.workers.taken == 2)
        # Both have left; the one at work goes on.
        until(lambda: server.service.workers.taken == 1)
        slow.go_on.set()
        until(lambda: server.service.workers.taken == 0)
        assert slow.begun == 1


def test_stopping_refuses_what_waits(model: CamModel, photograph: bytes) -> None:
    slow = SlowModel(model)
    with live_server(slow.model, workers=1) as server, ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(server.send, request(photograph)) for _ in range(2)]
        until(lambda: server.service.workers.taken == 2)
        server.server.should_exit = True
        until(lambda: any(each.done() for each in waiting))
        slow.go_on.set()
        answers_of_both = sorted(each.result().status for each in waiting)
        assert answers_of_both == [200, 503]


def test_bodies_together_are_limited(model: CamModel) -> None:
    with live_server(model, all_bodies_bytes=1000) as server, server.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 900\r\n\r\n" + bytes(800))
        until(lambda: server.service.uploads.held == 800)
        refused = server.send(request(bytes(300)))
        assert refused.status == 503
        assert "uploaded" in refused.detail
        connection.sendall(bytes(100))
        assert read_answer(connection).status == 400
        assert server.service.uploads.held == 0


def test_nothing_is_written_to_disk(
    client: httpx.Client, photograph: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Temporary files cannot be made where there is no such folder.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    monkeypatch.chdir(tmp_path)
    large = photograph + bytes(3_000_000)
    assert client.post("/api/explain", content=large).status_code == 200
    for kind in ("npz", "mat", "png"):
        assert client.post(f"/api/export?format={kind}", content=large).status_code == 200
    exported = client.post("/api/export?format=mat", content=large).content
    files = {"picture": ("a.png", large), "result": ("a.mat", exported)}
    assert client.post("/api/compare", files=files).json()["within"]
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_program_is_one_line(
    client: httpx.Client, photograph: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret /path")

    monkeypatch.setattr(answers, "payload", fail)
    answer = client.post("/api/explain", content=photograph)
    assert answer.status_code == 500
    assert answer.json() == {"detail": "an error in the program: ZeroDivisionError"}


class CountingEngine:
    """An engine that does most with many inputs at once; what it gives tells the inputs apart."""

    batch_size = 8

    def __init__(self) -> None:
        self.batches: list[int] = []

    def requests_in_flight(self, count: int) -> int:
        return 1

    def forward(self, batch: Any) -> NetworkOutput:
        self.batches.append(len(batch))
        time.sleep(0.02)
        return NetworkOutput(batch.copy(), batch[:, 0, :, 0].copy())

    def submit(self, batch: Any) -> Any:
        output = self.forward(batch)
        return lambda: output

    def warm_up(self, count: int) -> None: ...


def test_requests_are_gathered_into_batches_where_the_engine_wants_many_inputs() -> None:
    engine = CountingEngine()
    served = ServedModel(SimpleNamespace(engine=engine, warm_up=lambda: None))  # type: ignore[arg-type]
    turns = served._turns_for(2)
    inputs = [np.full((2, 3, 1, 1), number, np.float32) for number in range(30)]
    with ThreadPoolExecutor(30) as pool:
        outputs = list(pool.map(turns.forward, inputs))
    for number, output in enumerate(outputs):
        np.testing.assert_array_equal(output.activations, inputs[number])
    assert sum(engine.batches) == 60
    assert max(engine.batches) == 8
    assert len(engine.batches) < 20


def test_models_are_opened_once_and_the_one_unused_longest_is_let_go(
    model: CamModel, photograph: bytes
) -> None:
    opened: list[str] = []

    def offer(name: str) -> Offer:
        def open_it() -> CamModel:
            opened.append(name)
            return model

        return Offer(name, "", model.class_names, open_it, lambda: True)

    others = [offer(name) for name in ("a", "b", "c")]
    with live_server(model, others=others, models=2) as server:
        with (
            httpx.Client(base_url=server.url, trust_env=False, timeout=60) as client,
            ThreadPoolExecutor(8) as pool,
        ):

            def ask(name: str) -> int:
                return client.post(f"/api/explain?model={name}", content=photograph).status_code

            assert set(pool.map(ask, 8 * "a")) == {200}
            assert opened == ["a"]
            for name in "bacab":
                assert ask(name) == 200
            assert opened == ["a", "b", "c", "b"]
        entries = json.loads(
            server.send(b"GET /api/models HTTP/1.1\r\nHost: localhost\r\n\r\n").body
        )["models"]
        assert [entry["name"] for entry in entries] == [model.name, "a", "b", "c"]


def test_who_waits_too_long_for_a_model_is_told_to_ask_again(
    model: CamModel, photograph: bytes
) -> None:
    go_on = threading.Event()

    def open_it() -> CamModel:
        assert go_on.wait(30)
        return model

    other = Offer("a", "", model.class_names, open_it, lambda: True)
    with live_server(model, others=[other], answer_seconds=0.2) as server:
        asked = HEAD.replace(b"explain", b"explain?model=a")
        sent = asked + b"Content-Length: %d\r\n\r\n" % len(photograph) + photograph
        answer = server.send(sent)
        assert (answer.status, answer.detail) == (503, "a is being opened; ask again")
        go_on.set()
        until(lambda: server.send(sent).status == 200)


def test_a_model_that_cannot_be_opened_is_tried_again(model: CamModel, photograph: bytes) -> None:
    from cam.errors import CamError

    attempts: list[CamModel] = []

    def open_it() -> CamModel:
        attempts.append(model)
        if len(attempts) == 1:
            raise CamError("damaged")
        return model

    other = Offer("a", "", model.class_names, open_it, lambda: True)
    with live_server(model, others=[other]) as server:
        url = f"{server.url}/api/explain?model=a"
        first = httpx.post(url, content=photograph, trust_env=False, timeout=60)
        assert (first.status_code, first.json()) == (400, {"detail": "damaged"})
        assert httpx.post(url, content=photograph, trust_env=False, timeout=60).status_code == 200


def test_a_worker_for_each_processor_is_there_at_least() -> None:
    assert Limits().workers >= 3


def test_what_is_still_at_work_when_the_time_to_end_is_over_is_refused(
    model: CamModel, photograph: bytes
) -> None:
    slow = SlowModel(model)
    with live_server(slow.model, workers=1) as server, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(server.send, request(photograph))
        until(lambda: slow.begun == 1)
        server.server.should_exit = True
        answer = waiting.result()
        assert (answer.status, answer.detail) == (503, "the server is stopping")
        slow.go_on.set()
