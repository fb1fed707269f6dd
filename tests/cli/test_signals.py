"""Ctrl-C and SIGTERM, at any moment: one line, the exit code of the signal, nothing left behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from cam.__main__ import STOPPING
from cam.cli import exit_codes
from cam.cli.signals import stoppable

TRIES = 40

# A process that a shell has started in the background ignores Ctrl-C, and so do its children.
LISTENING = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"

# What Python does before the command can listen is not the command's.
STARTED = (
    LISTENING
    + """
import os, sys, cam.__main__

def hook(event, arguments):
    if event == "import" and arguments[0] == {module!r}:
        {action}

sys.addaudithook(hook)
sys.argv[0] = "cam"
cam.__main__.main()
"""
)


def command(*arguments: object, module: str = "cam.cli", action: str) -> list[str]:
    """Return a command that does something when it imports a module."""
    script = STARTED.format(module=module, action=action)
    return [sys.executable, "-c", script, *map(str, arguments)]


def started(folder: Path, *arguments: object) -> subprocess.Popen[bytes]:
    """Start the command, and return when its first line has run."""
    process = subprocess.Popen(
        command(*arguments, action="os.write(1, b'.')"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env={**os.environ, "CAM_COMPILED": str(folder / "compiled")},
    )
    assert process.stdout is not None
    assert process.stdout.read(1) == b"."
    return process


def test_the_exit_codes_are_those_that_the_help_names() -> None:
    assert STOPPING == {
        signal.SIGINT: ("interrupted", exit_codes.INTERRUPTED),
        signal.SIGTERM: ("terminated", exit_codes.TERMINATED),
    }


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_any_moment_of_a_start_is_one_line(
    number: signal.Signals, coffee: Path, tmp_path: Path
) -> None:
    # The first run compiles the network, which the others do not.
    assert started(tmp_path, "run", coffee, "--engine", "openvino").wait() == 0
    begun = time.perf_counter()
    assert started(tmp_path, "run", coffee, "--engine", "openvino").wait() == 0
    seconds, moments = time.perf_counter() - begun, random.Random(0)
    stopped = 0
    for _ in range(TRIES):
        process = started(tmp_path, "run", coffee, "--engine", "openvino", "-o", "out")
        time.sleep(moments.uniform(0, 0.8 * seconds))
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        said, code = STOPPING[number]
        assert b"Traceback" not in errors
        if process.returncode == 0:
            continue  # done before
        assert process.returncode == code
        assert errors.endswith(f"cam: {said}\n".encode())
        assert not list(tmp_path.rglob(".cam-partial-*"))
        stopped += 1
    assert stopped > TRIES // 2


@pytest.mark.parametrize("module", ["cam.cli", "click.core", "cam.cli.pictures", "cv2"])
@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_while_modules_are_imported_is_one_line(number: int, module: str) -> None:
    kill = f"os.kill(os.getpid(), {int(number)})"
    ended = subprocess.run(
        command("run", "--help", module=module, action=kill), capture_output=True, text=True
    )
    said, code = STOPPING[number]
    assert (ended.returncode, ended.stderr) == (code, f"cam: {said}\n")


def test_signals_that_are_ignored_stay_so() -> None:
    ignoring = LISTENING.replace("default_int_handler", "SIG_IGN")
    python, option, script, *rest = command("models", action="os.kill(os.getpid(), 2)")
    ended = subprocess.run(
        [python, option, script.replace(LISTENING, ignoring), *rest], capture_output=True, text=True
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def run_alone(block: str) -> tuple[int, str]:
    """Run lines in a process of their own, which a signal may end: its exit code, its errors."""
    start = f"{LISTENING}\nimport sys, time\nfrom cam.cli.signals import Stopped, stoppable\n"
    script = start + textwrap.dedent(block)
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    return ended.returncode, ended.stderr


@pytest.mark.parametrize("number", [int(number) for number in STOPPING])
def test_a_block_ends_with_the_signal_whatever_a_library_makes_of_it(number: int) -> None:
    block = f"""
    before = signal.getsignal({number})
    try:
        with stoppable():
            try:
                signal.raise_signal({number})
            except BaseException:
                raise ImportError("half a module") from None
    except Stopped as stopped:
        sys.exit(5 if stopped.number == {number} and signal.getsignal({number}) is before else 6)
    """
    assert run_alone(block) == (5, "")


def test_a_signal_that_is_passed_over_comes_again() -> None:
    block = """
    class Careless:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    try:
        with stoppable():
            Careless()
            time.sleep(5)
    except Stopped:
        sys.exit(5)
    """
    assert run_alone(block) == (5, "")


def test_a_signal_while_native_code_is_loaded_waits_for_its_end() -> None:
    block = """
    module = "scipy.special._ufuncs_cxx"

    def hook(event, arguments):
        if event == "import" and arguments[0] == module and arguments[1] is not None:
            signal.raise_signal(signal.SIGTERM)

    sys.addaudithook(hook)
    try:
        with stoppable():
            __import__(module)
            time.sleep(5)
    except Stopped:
        sys.exit(5 if module in sys.modules else 6)
    """
    assert run_alone(block) == (5, "")


def test_a_script_that_takes_the_signal_ends_as_it_likes() -> None:
    block = """
    with stoppable():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            sys.exit(7)
    """
    assert run_alone(block) == (7, "")


def test_a_block_runs_in_any_thread() -> None:
    done: list[int] = []

    def work() -> None:
        with stoppable():
            done.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [1]
