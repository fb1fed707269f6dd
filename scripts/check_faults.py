#!/usr/bin/env python
"""Check that a batch loses nothing: killed at any moment, on a full disk, on a broken cluster.

Each check compares the store that came through the fault with that of an undisturbed run, byte
for byte. Runs on Linux in a few minutes; exit code 1 if a check fails.
"""

from __future__ import annotations

import argparse
import ctypes
import filecmp
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from cam.files import TEMPORARY_PREFIX

PHOTOGRAPH = Path(__file__).parents[1] / "cam" / "data" / "coffee.png"
PICTURES = 240
OPTIONS = (
    *("--save", "maps", "--save", "scores", "--numbers", "float32"),
    *("--piece-size", "8", "--engine", "openvino"),
)
EXIT_BAD_INPUT, EXIT_SOME_FAILED = 2, 3
KILLED = -signal.SIGKILL
MS_REMOUNT = 32
"""Of Linux's mount(2)."""


class CheckError(Exception):
    """Something was lost, doubled or not said."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--kills", type=int, default=40, help="runs that are killed while a piece is written"
    )
    parser.add_argument(
        "--random-kills", type=int, default=20, help="runs that are killed at any moment"
    )
    parser.add_argument("--seed", type=int, default=None, help="of the moments; random if absent")
    parser.add_argument(
        "--require-mount", action="store_true", help="fail where a full disk cannot be made"
    )
    options = parser.parse_args()
    seed = random.randrange(2**32) if options.seed is None else options.seed
    print(f"seed {seed}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pictures = write_pictures(folder / "pictures")
        reference = folder / "reference"
        begun = time.perf_counter()
        run(pictures, reference, EXIT_SOME_FAILED)
        seconds = time.perf_counter() - begun
        print(f"undisturbed: {committed(reference)} pieces in {seconds:.1f} s")
        try:
            for count, while_writing in ((options.kills, True), (options.random_kills, False)):
                moments = random.Random(seed)
                check_kills(pictures, reference, folder, count, moments, while_writing)
            check_full_disk(pictures, reference, folder, options.require_mount)
            check_killed_worker(pictures, reference, folder)
        except CheckError as error:
            sys.exit(f"FAILED: {error}")


def write_pictures(folder: Path) -> Path:
    """Write parts of a photograph, and among them one file that is no picture."""
    folder.mkdir()
    photograph = cv2.imread(str(PHOTOGRAPH))
    generator = np.random.default_rng(0)
    for number in range(PICTURES):
        top, left = generator.integers((200, 300))
        cv2.imwrite(str(folder / f"{number:04d}.jpg"), photograph[top : top + 200, left:])
    (folder / "0100.jpg").write_bytes(b"not a picture")
    return folder


def command(pictures: Path, store: Path, *more: str) -> list[str]:
    batch = [sys.executable, "-m", "cam", "batch", str(pictures), "-o", str(store)]
    return [*batch, *OPTIONS, *more]


def run(pictures: Path, store: Path, expected: int, *more: str) -> str:
    """Run a batch to its end; return what it says on standard error."""
    done = subprocess.run(command(pictures, store, *more), capture_output=True, text=True)
    if done.returncode != expected:
        raise CheckError(f"exit code {done.returncode} instead of {expected}: {done.stderr}")
    return done.stderr


def check_same(reference: Path, store: Path) -> None:
    """Compare all files of two stores but the lock."""
    names = [visible_files(folder) for folder in (reference, store)]
    if names[0] != names[1]:
        raise CheckError(f"{store} has other files: {set(names[0]) ^ set(names[1])}")
    _, different, unread = filecmp.cmpfiles(reference, store, names[0], shallow=False)
    if different or unread:
        raise CheckError(f"{store} differs in {different + unread}")


def visible_files(folder: Path) -> list[str]:
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(str(path) for path in paths if str(path) != ".lock")


def check_kills(
    pictures: Path,
    reference: Path,
    folder: Path,
    count: int,
    moments: random.Random,
    while_writing: bool,
) -> None:
    """Kill a run at a random moment, or in the middle of a piece, and let a second one finish."""
    whole = committed(reference)
    pieces: list[int] = []
    while len(pieces) < count:
        store = folder / "killed"
        process = subprocess.Popen(
            command(pictures, store), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        # Any moment from the start, when nothing is there yet, to the last piece.
        wanted = moments.randrange(whole)
        while committed(store) < wanted and process.poll() is None:
            time.sleep(0.002)
        if while_writing:
            while not half_written(store) and process.poll() is None:
                pass
        else:
            time.sleep(moments.expovariate(1 / 0.05) if wanted else moments.uniform(0, 2))
        process.kill()
        # One that was done already does not count, nor a piece that got its name in time.
        if process.wait() == KILLED and (half_written(store) or not while_writing):
            pieces.append(committed(store))
            run(pictures, store, EXIT_SOME_FAILED)
            check_same(reference, store)
        shutil.rmtree(store, ignore_errors=True)
    what = "while a piece was half written" if while_writing else "at random moments"
    print(f"killed {count} times {what}, all stores the same; pieces then: {sorted(pieces)}")


def half_written(store: Path) -> bool:
    """Tell whether there is a piece under a temporary name."""
    return any(store.glob(f"pieces/{TEMPORARY_PREFIX}*"))


def committed(store: Path) -> int:
    return len(list(store.glob("pieces/[0-9]*")))


def check_full_disk(pictures: Path, reference: Path, folder: Path, required: bool) -> None:
    """Let a run fill a small disk, make the disk larger, and let a second run finish."""
    size = sum(path.stat().st_size for path in reference.rglob("*"))
    with small_disk(folder / "disk", size // 2) as disk:
        if disk is None:
            unchecked = "full disk: NOT CHECKED, mounting a tmpfs needs more rights"
            if required:
                raise CheckError(unchecked)
            print(unchecked)
            return
        store = disk / "store"
        said = run(pictures, store, EXIT_BAD_INPUT)
        if said.count("\n") != 1 or "no space left" not in said:
            raise CheckError(f"a full disk is not said in one clear line: {said}")
        subprocess.run(
            [sys.executable, "-m", "cam", "store", str(store)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        pieces = committed(store)
        resize_disk(disk, 4 * size)
        run(pictures, store, EXIT_SOME_FAILED)
        # The list is the same, and so is all else.
        check_same(reference, store)
    print(f"full disk after {pieces} pieces, said in one line; finished with more room, the same")


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path | None]:
    folder.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, f"size={size}".encode()):
        yield None
        return
    try:
        yield folder
    finally:
        libc.umount2(os.fsencode(folder), 0)


def resize_disk(folder: Path, size: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    data = f"size={size}".encode()
    if libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", MS_REMOUNT, data):
        raise CheckError(f"cannot resize {folder}: {os.strerror(ctypes.get_errno())}")


def check_killed_worker(pictures: Path, reference: Path, folder: Path) -> None:
    """Kill one of two workers of a cluster in the middle of a run."""
    store, described = folder / "cluster", folder / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    dask = [sys.executable, "-m", "dask"]
    with_file = ("--scheduler-file", str(described))
    started = [
        subprocess.Popen(
            [
                *dask,
                "scheduler",
                "--port",
                "0",
                "--host",
                "127.0.0.1",
                "--no-dashboard",
                *with_file,
            ],
            **quiet,
        )
    ]
    try:
        wait_until(lambda: described.exists() and is_json(described), "the scheduler")
        worker = [*dask, "worker", "--nthreads", "1", "--no-nanny", "--no-dashboard", *with_file]
        started += [subprocess.Popen(worker, cwd=folder, **quiet) for _ in range(2)]
        address = json.loads(described.read_text())["address"]
        batch = subprocess.Popen(command(pictures, store, "--scheduler", address), **quiet)
        started.append(batch)
        wait_until(lambda: committed(store) >= 4, "the first pieces")
        started[1].kill()
        pieces = committed(store)
        if batch.wait(timeout=120) != EXIT_SOME_FAILED:
            raise CheckError(f"exit code {batch.returncode} on a cluster with a killed worker")
        check_same(reference, store)
    finally:
        for process in reversed(started):
            process.kill()
            process.wait()
    print(f"one of two workers killed after {pieces} pieces; the store is the same")


def is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text())
    except ValueError:
        return False
    return True


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise CheckError(f"{what}: not there after {seconds:.0f} s")
        time.sleep(0.02)


if __name__ == "__main__":
    main()
