"""Measure what `cam serve` costs beside the network, with many clients at the same time.

Prints, for JPEG files of ILSVRC's usual size, the rate of the engine alone in throughput mode, on
input that lies in memory ready for the network, and in turns with it the rate at which a server
answers clients that ask one request after the other; the answers' statuses; the server's memory
after each turn; and how long it takes to end when it is told to in the middle of all that.

A network whose weights are not here gets seeded random ones, which take the same time.
"""

from __future__ import annotations

import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import click

from benchmarks.batch import Rate, engine_rate, find_pictures, rate, spread, write_pictures
from benchmarks.command import run_command
from benchmarks.machine import processor_name
from benchmarks.networks import MeasuredNetwork, open_network
from cam import zoo

PICTURES = 50
"""How many different ones are sent."""

_ROOT = Path(__file__).parents[1]
_COUNT = click.IntRange(min=1)


@click.command(help=__doc__)
@click.argument("models", nargs=-1)
@click.option("--clients", type=_COUNT, default=32, show_default=True)
@click.option("--rounds", type=_COUNT, default=6, show_default=True)
@click.option("--seconds", type=float, default=10.0, show_default=True, help="Of each turn, about.")
@click.option("--style", default="pycaffe", show_default=True)
@click.option("--engine", default="openvino", show_default=True)
@click.option("--query", default="", help="What else each request asks for: include=boxes.")
def serving(
    models: tuple[str, ...],
    clients: int,
    rounds: int,
    seconds: float,
    style: str,
    engine: str,
    query: str,
) -> None:
    """Measure `cam serve`; its help is that of the module."""
    with tempfile.TemporaryDirectory() as name:
        pictures = find_pictures(write_pictures(Path(name) / "pictures", PICTURES), PICTURES)
        size = statistics.mean(path.stat().st_size for path in pictures)
        click.echo(
            f"{processor_name()}, {os.cpu_count()} processors; {clients} clients, JPEG files of "
            f"{size / 1000:.0f} kB; style {style} {query}"
        )
        for model in models or ("googlenet", zoo.EMBEDDED):
            with open_network(model) as files, _server(files, engine) as server:
                load = Load(server.port, f"style={style}&{query}", pictures)
                compare(files, server, load, engine, style, clients, rounds, seconds)


@dataclass(frozen=True)
class Server:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    port: int

    def processor_seconds(self) -> float:
        """Return the processor time that it has taken."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Return its resident memory in MB, of 2^20 bytes."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def _server(files: MeasuredNetwork, engine: str) -> Iterator[Server]:
    network = ["--prototxt", str(files.loaded.prototxt.absolute())]
    network += ["--weights", str(files.caffemodel.absolute())]
    command = [sys.executable, "-m", "cam", "serve", *network, "--engine", engine, "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=_ROOT
    ) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            yield Server(process, int(said.split("127.0.0.1:")[1].split("/")[0]))
        finally:
            process.kill()


@dataclass
class Load:
    """Clients that send one picture after the other, each over one connection.

    Attributes
    ----------
    port : int
        Where the server is.
    query : str
        What is asked for.
    pictures : sequence of pathlib.Path
        What is sent.
    statuses : collections.Counter
        How often each status was answered.
    """

    port: int
    query: str
    pictures: Sequence[Path]
    statuses: Counter[int] = field(default_factory=Counter)

    def run(self, clients: int, requests: int | None) -> None:
        """Send so many requests, or go on until the server ends."""
        bodies = [path.read_bytes() for path in self.pictures]
        numbers, lock = count(), threading.Lock()

        def next_number() -> int | None:
            with lock:
                number = next(numbers)
            return number if requests is None or number < requests else None

        def client() -> None:
            with socket.create_connection(("127.0.0.1", self.port)) as connection:
                while (number := next_number()) is not None:
                    body = bodies[number % len(bodies)]
                    try:
                        status = _ask(connection, f"/api/explain?{self.query}", body)
                    except OSError:
                        if requests is None:
                            return
                        raise
                    with lock:
                        self.statuses[status] += 1

        threads = [threading.Thread(target=client) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _ask(connection: socket.socket, path: str, body: bytes) -> int:
    """Send a request and return the status of its answer, all of which is read.

    Python's own client takes ten times the processor time, which is the server's here.
    """
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += _receive(connection)
    head, _, rest = answer.decode("latin-1").partition("\r\n\r\n")
    left = int(head.lower().split("content-length:")[1].split()[0]) - len(rest)
    while left > 0:
        left -= len(_receive(connection))
    return int(head.split()[1])


def _receive(connection: socket.socket) -> bytes:
    received = connection.recv(1 << 18)
    if not received:
        raise ConnectionError("the server has closed the connection")
    return received


def compare(
    files: MeasuredNetwork,
    server: Server,
    load: Load,
    engine: str,
    style: str,
    clients: int,
    rounds: int,
    seconds: float,
) -> None:
    """Print the rates of the engine alone and of a server, measured in turns."""
    model = files.load_model(engine, None)
    # What is done once is done before; and it tells how many make a turn.
    requests = int(seconds * engine_rate(model, load.pictures, style).wall)
    load.run(clients, 4 * clients)
    load.statuses.clear()
    alone, served, memory = [], [], [server.memory()]
    for _ in range(rounds):
        alone.append(engine_rate(model, [load.pictures[0]] * requests, style))
        before = server.processor_seconds()
        wall = rate(lambda: load.run(clients, requests), requests).wall
        spent = server.processor_seconds() - before
        served.append(Rate(wall, 1e3 * spent / requests))
        memory.append(server.memory())
    pairs = list(zip(alone, served, strict=True))
    shares = [a.cpu_ms / b.cpu_ms for a, b in pairs]
    statuses = ", ".join(f"{status}: {times}" for status, times in sorted(load.statuses.items()))
    click.echo(
        f"{model.name}, weights {files.weights_note}: {rounds} turns of {requests} pictures each\n"
        f"  engine alone  {spread([a.wall for a in alone])} pictures/s\n"
        f"  cam serve     {spread([b.wall for b in served])} pictures/s\n"
        f"  ratio         {spread([b.wall / a.wall for a, b in pairs], 3)}\n"
        f"  processor time per picture: engine {spread([a.cpu_ms for a in alone], 2)} ms\n"
        f"                           cam serve {spread([b.cpu_ms for b in served], 2)} ms\n"
        f"                               ratio {spread(shares, 3)}\n"
        f"  statuses      {statuses}\n"
        f"  memory        {' '.join(f'{each:.0f}' for each in memory)} MB after each turn\n"
        f"  SIGTERM in the middle: ended after {_seconds_to_end(server, load, clients):.2f} s, "
        f"exit code {server.process.returncode}"
    )


def _seconds_to_end(server: Server, load: Load, clients: int) -> float:
    """Return how long the server takes to end under load."""
    thread = threading.Thread(target=load.run, args=(clients, None))
    thread.start()
    time.sleep(1)
    begun = time.perf_counter()
    server.process.send_signal(signal.SIGTERM)
    server.process.wait()
    ended = time.perf_counter()
    thread.join()
    return ended - begun


if __name__ == "__main__":
    run_command(serving)
