from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from file_server import FileServer, serve

from cam.errors import CamError
from cam.zoo.download import check_recorded, fetch_file

CONTENT = np.random.default_rng(0).bytes(3_000_000)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve() as running:
        running.files["file"] = CONTENT
        yield running


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "file"


def size_of(path: Path) -> int:
    return path.stat().st_size


def any_but_content(path: Path) -> None:
    if path.read_bytes() != CONTENT:
        raise CamError(f"{path}: not what it should be")


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_comes_to_its_place_and_is_recorded(server: FileServer, target: Path) -> None:
    progress: list[tuple[int, int | None]] = []
    fetched = fetch_file(target, [server.url("file")], size_of, lambda *now: progress.append(now))
    assert (fetched.checked, fetched.first_seen) == (len(CONTENT), True)
    assert target.read_bytes() == CONTENT
    assert progress[-1] == (len(CONTENT), len(CONTENT))
    assert left_in(target.parent) == {"file", "sha256.json"}
    digest = sha256(CONTENT).hexdigest()
    assert json.loads((target.parent / "sha256.json").read_text()) == {"file": digest}
    assert check_recorded(target, digest)
    assert not check_recorded(target.with_name("other"), digest)


def test_a_server_that_tells_no_length_will_do(server: FileServer, target: Path) -> None:
    server.lengths = False
    fetch_file(target, [server.url("file")], any_but_content)
    assert target.read_bytes() == CONTENT


def test_the_next_source_is_tried_where_one_has_nothing(server: FileServer, target: Path) -> None:
    fetch_file(target, [server.url("googlenet"), server.url("file")], any_but_content)
    assert [name for name, _ in server.requests] == ["googlenet", "file"]
    assert target.exists()


def test_what_each_source_answered_is_said(server: FileServer, target: Path) -> None:
    closed = "http://127.0.0.1:1/file"
    with pytest.raises(CamError) as error:
        fetch_file(target, [server.url("nothing"), closed, "gopher://x/file"], size_of)
    message = str(error.value)
    assert f"{server.url('nothing')}: HTTP 404 Not Found" in message
    assert f"{closed}: " in message
    assert "unknown url type: gopher" in message
    assert "--from FILE" in message
    assert left_in(target.parent) == set()


def test_a_cut_connection_leaves_a_part_and_the_next_call_goes_on(
    server: FileServer, target: Path
) -> None:
    server.cut_after["file"] = 1_000_000
    with pytest.raises(CamError, match="1000000 of 3000000 bytes"):
        fetch_file(target, [server.url("file")], any_but_content)
    assert left_in(target.parent) == {"file.part"}
    server.cut_after.clear()
    fetch_file(target, [server.url("file")], any_but_content)
    assert server.requests[-1] == ("file", "bytes=1000000-")
    assert target.read_bytes() == CONTENT


def test_a_server_without_ranges_sends_all_of_it_again(server: FileServer, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("file.part").write_bytes(CONTENT[:1000])
    server.ranges = False
    fetch_file(target, [server.url("file")], any_but_content)
    assert target.read_bytes() == CONTENT


def test_a_part_that_is_all_there_is_taken(server: FileServer, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("file.part").write_bytes(CONTENT)
    fetch_file(target, [server.url("file")], any_but_content)
    assert target.read_bytes() == CONTENT


def test_what_does_not_pass_the_check_is_removed(server: FileServer, target: Path) -> None:
    server.files["file"] = b"<html>Moved</html>"
    with pytest.raises(CamError, match="not what it should be"):
        fetch_file(target, [server.url("file")], any_but_content)
    assert left_in(target.parent) == set()


def test_a_file_with_another_digest_than_the_recorded_one_is_refused(
    server: FileServer, target: Path
) -> None:
    fetch_file(target, [server.url("file")], size_of)
    server.files["file"] = CONTENT[::-1]
    with pytest.raises(CamError, match=r"was recorded when it was first seen.*sha256\.json"):
        fetch_file(target, [server.url("file")], size_of)
    assert target.read_bytes() == CONTENT
    assert left_in(target.parent) == {"file", "sha256.json"}


@pytest.mark.parametrize("lengths", [True, False])
def test_what_is_too_large_is_refused_and_removed(
    server: FileServer, target: Path, lengths: bool
) -> None:
    server.lengths = lengths
    with pytest.raises(CamError, match="over 1000 bytes"):
        fetch_file(target, [server.url("file")], size_of, max_bytes=1000)
    assert left_in(target.parent) == set()


def test_a_path_and_a_file_address_are_sources_too(tmp_path: Path, target: Path) -> None:
    source = tmp_path / "a file"
    source.write_bytes(CONTENT)
    for name in (str(source), source.as_uri()):
        fetch_file(target, [name], any_but_content)
        assert target.read_bytes() == CONTENT
        target.unlink()
    with pytest.raises(CamError, match="there is no such file"):
        fetch_file(target, [str(tmp_path / "none")], size_of)
    with pytest.raises(CamError, match="over 10 bytes"):
        fetch_file(target, [str(source)], size_of, max_bytes=10)
    with pytest.raises(CamError, match=r"cannot read .*none: there is no such file"):
        fetch_file(target, [(tmp_path / "none").as_uri()], size_of)
    assert source.read_bytes() == CONTENT


@pytest.mark.parametrize("as_address", [False, True])
def test_a_path_leaves_an_interrupted_download_alone(
    tmp_path: Path, target: Path, as_address: bool
) -> None:
    target.parent.mkdir()
    part = target.with_name("file.part")
    part.write_bytes(CONTENT[:1000])
    source = tmp_path / "a file"
    for content in (b"<html>Moved</html>", CONTENT):
        source.write_bytes(content)
        name = source.as_uri() if as_address else str(source)
        if content == CONTENT:
            fetch_file(target, [name], any_but_content)
        else:
            with pytest.raises(CamError) as error:
                fetch_file(target, [name], any_but_content)
            assert str(error.value) == f"{source}: not what it should be"
            assert left_in(target.parent) == {"file.part"}
        assert source.read_bytes() == content
        assert part.read_bytes() == CONTENT[:1000]
    assert left_in(target.parent) == {"file", "file.part", "sha256.json"}
    assert check_recorded(target, sha256(CONTENT).hexdigest())


def test_a_path_with_another_digest_than_the_recorded_one_is_named(
    tmp_path: Path, target: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(CONTENT)
    second.write_bytes(CONTENT[::-1])
    fetch_file(target, [str(first)], size_of)
    with pytest.raises(CamError, match=r"second: its SHA-256 is .* was recorded"):
        fetch_file(target, [str(second)], size_of)
    assert target.read_bytes() == CONTENT
    assert left_in(target.parent) == {"file", "sha256.json"}


def test_a_path_that_cannot_be_read_is_named_and_nothing_is_made(
    tmp_path: Path, target: Path
) -> None:
    def unreadable(path: Path) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    with pytest.raises(CamError, match=r"cannot read .*source: Permission denied"):
        fetch_file(target, [str(source)], unreadable)
    with pytest.raises(CamError, match="it is not a file"):
        fetch_file(target, [str(tmp_path)], size_of)
    assert not target.parent.exists()


def test_a_path_that_fails_while_it_is_copied_is_named(tmp_path: Path, target: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    # The check takes the file away, as a network drive that goes does.
    with pytest.raises(CamError, match=r"^cannot read .*source: No such file"):
        fetch_file(target, [str(source)], Path.unlink)
    assert left_in(target.parent) == set()


def test_a_process_killed_midway_leaves_only_its_part(server: FileServer, target: Path) -> None:
    server.stalled["file"] = 2_000_000
    script = (
        "import sys; from pathlib import Path; from cam.zoo.download import fetch_file; "
        "fetch_file(Path(sys.argv[1]), [sys.argv[2]], lambda path: None)"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(target), server.url("file")])
    part, deadline = target.with_name("file.part"), time.monotonic() + 30
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert left_in(target.parent) == {"file.part", "file.lock"}
    kept = part.stat().st_size
    assert 0 < kept <= 2_000_000
    server.stalled.clear()
    fetch_file(target, [server.url("file")], any_but_content)
    assert server.requests[-1] == ("file", f"bytes={kept}-")
    assert target.read_bytes() == CONTENT


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    source = tmp_path / "file"
    source.write_bytes(b"")
    for name in (str(source), "http://127.0.0.1:1/file"):
        with pytest.raises(CamError, match="cannot write to"):
            fetch_file(source / "folder" / "x", [name], size_of)


@pytest.mark.parametrize("record", ["{", "[]"])
def test_a_damaged_record_is_named(tmp_path: Path, record: str) -> None:
    (tmp_path / "sha256.json").write_text(record)
    with pytest.raises(CamError, match="cannot read the recorded digests"):
        check_recorded(tmp_path / "file", "0" * 64)


def test_only_the_first_file_of_unknown_digest_is_first_seen(
    server: FileServer, target: Path
) -> None:
    assert fetch_file(target, [server.url("file")], size_of).first_seen
    assert not fetch_file(target, [server.url("file")], size_of).first_seen


@pytest.mark.parametrize("local", [True, False])
def test_a_known_digest_is_held_against_the_file(
    server: FileServer, target: Path, tmp_path: Path, local: bool
) -> None:
    (tmp_path / "source").write_bytes(CONTENT)
    source = str(tmp_path / "source") if local else server.url("file")
    digest = sha256(CONTENT).hexdigest()
    with pytest.raises(CamError, match=f"its SHA-256 is {digest}, not 0000"):
        fetch_file(target, [source], size_of, expected_sha256="0" * 64)
    assert left_in(target.parent) == set()
    fetched = fetch_file(target, [source], size_of, expected_sha256=digest.upper())
    assert not fetched.first_seen
    assert target.read_bytes() == CONTENT


def test_no_lock_is_left_where_someone_else_waits(server: FileServer, target: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(fetch_file, target, [server.url("file")], size_of) for _ in range(4)]
    assert sum(job.result().first_seen for job in jobs) == 1
    assert left_in(target.parent) == {"file", "sha256.json"}


@pytest.fixture
def upstream(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """Return which port of this machine stands for each port of ``upstream.invalid``."""
    own = int(server.address.rsplit(":", 1)[1])
    ports, connect = {80: own, 443: 1}, socket.create_connection

    def elsewhere(address: tuple[str, int], *more: Any, **options: Any) -> socket.socket:
        return connect(("127.0.0.1", ports[address[1]]), *more, **options)

    monkeypatch.setattr(socket, "create_connection", elsewhere)
    monkeypatch.setenv("no_proxy", "*")
    # TLS itself is Python's.
    monkeypatch.setattr(http.client.HTTPSConnection, "connect", http.client.HTTPConnection.connect)
    return ports


def test_https_is_tried_before_http(
    server: FileServer, target: Path, upstream: dict[int, int]
) -> None:
    fetched = fetch_file(target, ["http://upstream.invalid/file"], any_but_content)
    assert fetched.notes == (
        "http://upstream.invalid/file came over http, which anyone on the way can change",
    )
    upstream[443], upstream[80] = upstream[80], 1
    assert fetch_file(target, ["http://upstream.invalid/file"], any_but_content).notes == ()
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(
    "address", ["ftp://upstream.invalid/file", "file:///etc/hostname", "data:text/plain,x"]
)
def test_redirects_to_anything_but_http_are_refused(
    server: FileServer, target: Path, address: str
) -> None:
    server.redirects["moved"] = address
    with pytest.raises(CamError, match=r"could not fetch file: .*(redirect|not allowed)"):
        fetch_file(target, [server.url("moved")], size_of)
    assert left_in(target.parent) == set()
    server.redirects["moved"] = server.url("file")
    assert fetch_file(target, [server.url("moved")], any_but_content)


def test_redirects_from_https_to_http_are_refused(
    server: FileServer, target: Path, upstream: dict[int, int]
) -> None:
    upstream[443] = upstream[80]
    server.redirects["moved"] = server.url("file")
    with pytest.raises(CamError, match="it redirects to http, which is not followed"):
        fetch_file(target, ["https://upstream.invalid/moved"], size_of)


@pytest.mark.parametrize("address", ["ftp://127.0.0.1/x", "data:text/plain,x", "gopher://x/file"])
def test_other_addresses_are_not_opened(target: Path, address: str) -> None:
    with pytest.raises(CamError, match=f"unknown url type: {address.split(':')[0]}"):
        fetch_file(target, [address.replace("data:", "data://")], size_of)


@pytest.mark.parametrize(("limit", "said"), [("TOTAL", "took over"), ("RATE", "less than 1000000")])
def test_a_server_that_drips_is_given_up(
    server: FileServer, target: Path, monkeypatch: pytest.MonkeyPatch, limit: str, said: str
) -> None:
    server.dripping["file"] = 0.02
    monkeypatch.setattr("cam.zoo.download.LEAST_RATE", 1_000_000)
    monkeypatch.setattr(f"cam.zoo.download.{limit}_SECONDS", 0.2)
    began = time.monotonic()
    with pytest.raises(CamError, match=said):
        fetch_file(target, [server.url("file")], size_of)
    assert time.monotonic() - began < 5
    assert left_in(target.parent) == {"file.part"}


def test_a_server_that_never_answers_is_given_up(
    server: FileServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.silent.add("file")
    monkeypatch.setattr("cam.zoo.download.ANSWER_SECONDS", 0.3)
    with pytest.raises(CamError, match=r"no answer in 0\.3 s"):
        fetch_file(target, [server.url("file")], size_of)
    assert left_in(target.parent) == set()


@pytest.mark.parametrize("record", [b"[" * 100_000, b" " * 2**21, b"\xff"])
def test_a_record_without_end_is_refused(tmp_path: Path, record: bytes) -> None:
    (tmp_path / "sha256.json").write_bytes(record)
    with pytest.raises(CamError, match="cannot read the recorded digests") as raised:
        check_recorded(tmp_path / "file", "0" * 64)
    assert len(str(raised.value)) < 300
    (tmp_path / "sha256.json").unlink()
    os.mkfifo(tmp_path / "sha256.json")
    with pytest.raises(CamError, match="not a regular file"):
        check_recorded(tmp_path / "file", "0" * 64)
