"""``python -m fuzzing``: damaged files for every reader, random networks for both engines."""

from __future__ import annotations

import time
from collections import defaultdict
from pathlib import Path

import click

from fuzzing import campaign as campaigns
from fuzzing import workers
from fuzzing.targets import TARGETS
from fuzzing.workers import Outcome

_PATH = click.Path(path_type=Path)
_COUNT = click.IntRange(min=1)
FINDINGS = Path(__file__).with_name("findings")


@click.group()
def main() -> None:
    """Look for what breaks the readers and the engines."""


@main.command()
@click.option(
    "--target",
    "names",
    multiple=True,
    type=click.Choice(list(TARGETS)),
    help="Only these readers; all by default.",
)
@click.option(
    "--seconds", type=click.FloatRange(min=1), help="How long. Default: 60, if no --mutations."
)
@click.option("--mutations", type=_COUNT, help="How many files instead.")
@click.option(
    "--workers", "processes", type=_COUNT, default=2, show_default=True, help="How many processes."
)
@click.option(
    "--seed", type=click.IntRange(min=0), help="Another one makes other files. Default: the time."
)
@click.option("--findings", type=_PATH, default=FINDINGS, help="Where to write what is found.")
def readers(
    names: tuple[str, ...],
    seconds: float | None,
    mutations: int | None,
    processes: int,
    seed: int | None,
    findings: Path,
) -> None:
    """Give damaged files to the readers.

    A file may be read, or refused with one line; it may take 10 s and 1 GiB. Everything else is a
    finding, and makes the exit code 1.
    """
    chosen = names or tuple(TARGETS)
    number = int(time.time()) if seed is None else seed
    if seconds is None and mutations is None:
        seconds = 60.0
    asked = campaigns.Campaign(chosen, processes, seconds, mutations, number)
    click.echo(f"seed {number}")
    began, outcomes = time.monotonic(), defaultdict[str, Outcome](Outcome)
    for name, outcome in campaigns.run(asked):
        outcomes[name].add(outcome)
    report(outcomes, time.monotonic() - began)
    found = campaigns.different([one for each in outcomes.values() for one in each.findings])
    if not found:
        return
    material = campaigns.materials(sorted({finding.target for finding in found}))
    campaigns.import_all()
    for finding in found:
        path = campaigns.keep(finding, material[finding.target], findings)
        click.echo(f"{finding.target}: {finding.what}")
        click.echo(f"    python -m fuzzing replay '{finding.target}' '{path}'")
    raise SystemExit(1)


def report(outcomes: dict[str, Outcome], seconds: float) -> None:
    """Print what each target did."""
    click.echo(
        f"{'target':24} {'files':>9} {'read':>6} {'seconds':>8} {'slowest':>8} {'findings':>8}"
    )
    total = Outcome()
    for name, outcome in outcomes.items():
        _line(name, outcome)
        total.add(outcome)
    _line("all", total)
    click.echo(f"{seconds:.0f} s by the clock")


def _line(name: str, outcome: Outcome) -> None:
    share = outcome.accepted / max(outcome.count, 1)
    different = len(campaigns.different(outcome.findings))
    times = f"{outcome.seconds:8.0f} {outcome.slowest:7.2f}s"
    click.echo(f"{name:24} {outcome.count:9} {share:6.1%} {times} {different:8}")


_TARGET = click.argument("target", type=click.Choice(list(TARGETS)))
_FILE = click.argument("file", type=_PATH)


@main.command()
@_TARGET
@_FILE
def replay(target: str, file: Path) -> None:
    """Read one damaged file again, with the same limits, and say what it does."""
    outcome = workers.run(_job(target, file.read_bytes()), range(1))
    for finding in outcome.findings:
        click.echo(f"{finding.what}\n{finding.detail}")
    if outcome.findings:
        raise SystemExit(1)
    click.echo("it is read" if outcome.accepted else "it is refused")


@main.command()
@_TARGET
@_FILE
@click.option("--seconds", type=click.FloatRange(min=1), default=60.0, show_default=True)
def shrink(target: str, file: Path, seconds: float) -> None:
    """Make a file smaller that does what it must not, for the corpus."""
    data = file.read_bytes()
    job = _job(target, data)
    findings = workers.run(job, range(1)).findings
    if not findings:
        raise click.ClickException("it does nothing that it must not")
    smaller = campaigns.smaller(job, data, findings[0].what, seconds)
    file.write_bytes(smaller)
    click.echo(f"{findings[0].what}: {len(data)} bytes, now {len(smaller)}")


@main.command()
@_TARGET
@click.option("--seconds", type=_COUNT, default=3600, show_default=True, help="How long.")
def guided(target: str, seconds: int) -> None:
    """Give files to one reader that are led by the code that they reach (needs atheris)."""
    from fuzzing.guided import run

    material = campaigns.materials([target])[target]
    run(target, seconds, material.seeds, material.around)


@main.command()
@click.option("--count", type=_COUNT, default=300, show_default=True, help="How many networks.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
def networks(count: int, seed: int) -> None:
    """Run random networks in Caffe and by the project, which must give the same or refuse."""
    from fuzzing.networks import run_networks

    began = time.monotonic()
    tally = run_networks(count, seed, click.echo)
    click.echo(f"{count} networks in {time.monotonic() - began:.0f} s, seed {seed}")
    for counter in (tally.kinds, tally.layers, tally.refusals):
        click.echo("  ".join(f"{name} {number}" for name, number in counter.most_common(40)))
    if tally.found:
        raise SystemExit(1)


def _job(target: str, data: bytes) -> workers.Job:
    material = campaigns.materials([target])[target]
    campaigns.import_all()
    return workers.Job(target, TARGETS[target], material.around, lambda _: data)


if __name__ == "__main__":
    main()
