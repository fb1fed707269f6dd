"""Damaged files that are led by what code they reach: atheris, which is libFuzzer for Python."""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from cam.errors import import_extra
from fuzzing import campaign, workers
from fuzzing.mutations import damaged
from fuzzing.targets import TARGETS


class FoundError(Exception):
    """A reader did what it must not."""


def run(name: str, seconds: int, seeds: Sequence[bytes], around: Mapping[str, bytes]) -> None:
    """Give files to one reader for so many seconds; this ends the process.

    Half of the files are damaged by the format's own mutator, the others by libFuzzer's. What is
    found is written to the current folder, as libFuzzer does, with the exit code 77 or 70.
    """
    atheris = import_extra("atheris", "files led by coverage need atheris: pip install '.[fuzz]'")
    target = TARGETS[name]
    with atheris.instrument_imports(include=["cam"]):
        campaign.import_all()
    job = workers.Job(name, target, around, lambda _: b"")

    def mutate(data: bytes, largest: int, seed: int) -> bytes:
        source = random.Random(seed)
        if source.random() < 0.5:
            return bytes(atheris.Mutate(data, largest))
        return damaged(data, seeds, target.mutator, source)[:largest]

    with TemporaryDirectory() as corpus, TemporaryDirectory() as folder:
        for number, data in enumerate(seeds):
            (Path(corpus) / str(number)).write_bytes(data)

        def read(data: bytes) -> None:
            found = workers.attempt(job, Path(folder), data)
            if found is not None and found[0]:
                raise FoundError("\n".join(found))

        limits = [f"-timeout={workers.SECONDS}", f"-malloc_limit_mb={workers.MEMORY_BYTES >> 20}"]
        atheris.Setup(
            [sys.argv[0], corpus, f"-max_total_time={seconds}", "-rss_limit_mb=4096", *limits],
            read,
            custom_mutator=mutate,
        )
        atheris.Fuzz()
