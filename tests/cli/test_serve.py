from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from live_server import port_of, served_by_command

from cam.files import models_folder

ENGINE = ("--engine", "openvino")


def ask(port: int, path: str = "/api/models", **settings: object) -> httpx.Response:
    url = f"http://127.0.0.1:{port}{path}"
    return httpx.request(
        "POST" if "content" in settings else "GET", url, trust_env=False, timeout=60, **settings
    )


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGTERM, 143, "cam: terminated\n"), (signal.SIGINT, 130, "cam: interrupted\n")],
)
def test_it_ends_cleanly_in_the_middle_of_work(
    tmp_path: Path, coffee: Path, number: int, code: int, said: str
) -> None:
    photograph = coffee.read_bytes()
    with (
        served_by_command(*ENGINE, folder=tmp_path) as (process, line),
        ThreadPoolExecutor(16) as pool,
    ):
        port = port_of(line)

        def until_it_ends(_: int) -> set[int]:
            statuses = set()
            try:
                while True:
                    statuses.add(ask(port, "/api/explain", content=photograph).status_code)
                    if len(statuses) == 1:
                        asked.append(port)
            except httpx.TransportError:
                return statuses

        asked: list[int] = []
        clients = [pool.submit(until_it_ends, client) for client in range(16)]
        while len(asked) < 16:
            assert process.poll() is None
        process.send_signal(number)
        assert process.wait(30) == code
        statuses = set().union(*(client.result() for client in clients))
        assert process.stderr is not None
        note, ended = process.stderr.read().splitlines(keepends=True)
        assert "not one of the paper's networks" in note
        assert ended == said
    assert statuses <= {200, 503}
    assert list(tmp_path.iterdir()) == []


def test_it_prints_its_address_and_asks_for_no_token_on_this_machine(tmp_path: Path) -> None:
    with served_by_command(*ENGINE, folder=tmp_path) as (_, line):
        assert re.fullmatch(
            r"efficientnet-lite0 at http://127\.0\.0\.1:\d+/ \(Ctrl-C ends\)\n", line
        )
        assert ask(port_of(line)).status_code == 200


def test_others_are_let_in_with_a_token_that_is_made_and_printed_once(tmp_path: Path) -> None:
    with served_by_command("--host", "0.0.0.0", *ENGINE, folder=tmp_path) as (_, line):
        found = re.search(r"\?token=([\w-]{32}) ", line)
        assert found
        assert ask(port_of(line)).status_code == 401
        headers = {"Authorization": f"Bearer {found[1]}"}
        assert ask(port_of(line), headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("options", "environment"), [(["--token", "mine"], {}), ([], {"CAM_TOKEN": "mine"})]
)
def test_a_token_of_ones_own_is_taken_and_not_printed(
    tmp_path: Path, options: list[str], environment: dict[str, str]
) -> None:
    with served_by_command(*options, *ENGINE, folder=tmp_path, **environment) as (_, line):
        assert "mine" not in line
        assert ask(port_of(line)).status_code == 401
        assert ask(port_of(line), headers={"Authorization": "Bearer mine"}).status_code == 200


def test_a_network_of_ones_own_is_served_first(tmp_path: Path, coffee: Path) -> None:
    own = tmp_path / "own.prototxt"
    own.write_bytes((models_folder() / "efficientnet-lite0.prototxt").read_bytes())
    network = ["--prototxt", own, "--weights", models_folder() / "efficientnet-lite0.caffemodel"]
    preprocessing = ["--mean", "127", "--scale", "0.0078125", "--channels", "RGB"]
    with served_by_command(*network, *preprocessing, *ENGINE, folder=tmp_path) as (_, line):
        listed = ask(port_of(line)).json()["models"]
        assert listed[0]["name"] == "own"
        assert len(listed) == 7
        answer = ask(port_of(line), "/api/explain", content=coffee.read_bytes()).json()
        assert answer["record"]["model"] == "own"
        assert answer["classes"][0]["index"] == 967


def test_limits_are_options(tmp_path: Path) -> None:
    options = ["--max-megabytes", 0.001, "--max-megapixels", 0.01]
    with served_by_command(*options, *ENGINE, folder=tmp_path) as (_, line):
        answer = ask(port_of(line), "/api/explain", content=bytes(2000))
        assert answer.json() == {"detail": "the body is over the limit of 1048 bytes"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model", "none"], "no model 'none'"),
        (["--prototxt", "a.prototxt"], "belong together"),
        (["--host", "192.0.2.1"], "cannot listen at 192.0.2.1"),
        (["--host", "no such name"], "cannot listen at no such name"),
        (["--engine", "none"], "no engine 'none'"),
        (["--token", ""], "printable ASCII"),
        (["--token", "with blank"], "printable ASCII"),
    ],
)
def test_what_cannot_be_served_is_said_before_it_listens(
    run, options: list[str], said: str
) -> None:
    code, _, errors = run("serve", "--port", 0, *options)
    assert code == 2
    assert said in errors
    assert errors.count("\n") == 1


def test_a_port_that_is_taken_is_said(run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, errors = run("serve", "--port", port)
    assert code == 2
    assert f"cannot listen at 127.0.0.1, port {port}: Address already in use" in errors


@pytest.mark.parametrize("module", ["fastapi", "uvicorn", "httptools", "python_multipart"])
def test_without_the_extra_it_says_what_to_install(
    run, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    code, _, errors = run("serve")
    assert code == 2
    assert "pip install 'cam-caffe[web]'" in errors
    assert errors.count("\n") == 1


def test_nothing_else_imports_what_the_server_needs() -> None:
    script = (
        "import sys, cam; from cam.cli import main\n"
        "try: main(['serve', '--help'])\n"
        "finally: print([m for m in ('fastapi', 'uvicorn', 'starlette', 'pydantic') "
        "if m in sys.modules], file=sys.stderr)"
    )
    finished = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=dict(os.environ)
    )
    assert finished.stderr.strip() == "[]"
    assert "--upload-seconds" in finished.stdout


def test_debugging_shows_the_traceback_of_an_error_of_the_program(
    tmp_path: Path, coffee: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import cam.viewer.payload as module\n"
        "def fail(*arguments, **settings): raise ZeroDivisionError('told')\n"
        "module.payload = fail\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    for before, is_shown in (((), False), (("--debug",), True)):
        with served_by_command(*ENGINE, folder=tmp_path, before=before, PYTHONPATH=path) as (
            process,
            line,
        ):
            answer = ask(port_of(line), "/api/explain", content=coffee.read_bytes())
            assert answer.status_code == 500
            assert answer.json() == {"detail": "an error in the program: ZeroDivisionError"}
            process.terminate()
            assert process.stderr is not None
            assert ("ZeroDivisionError: told" in process.stderr.read()) is is_shown
