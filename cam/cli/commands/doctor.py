"""Say what works on this machine, and what is wrong with what does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from cam.cli import exit_codes
from cam.cli.declaring import as_command
from cam.cli.options import JsonOption
from cam.cli.progress import working
from cam.fidelity.doctor import (
    Finding,
    examine_choice,
    examine_engines,
    examine_models,
    versions,
)
from cam.zoo.caffe_root import caffe_root


@as_command
def doctor(request: JsonOption) -> int:
    """Print versions, engines, devices and models, what is wrong with each, and what auto takes.

    Exit code 0 if at least one engine runs the embedded model, 1 otherwise.
    """
    found = {**versions(), "CAFFE_ROOT": str(caffe_root() or "none")}
    with working("running the embedded model on each engine"):
        parts = {"engines": examine_engines(), "models": examine_models()}
    findings = {title: [asdict(one) for one in listed] for title, listed in parts.items()}
    taken = examine_choice()
    request.show({"versions": found, **findings, "taken": taken}, _lines(found, parts, taken))
    works = any(one.works for one in parts["engines"])
    return exit_codes.SUCCESS if works else exit_codes.OUTSIDE_TOLERANCE


def _lines(
    found: Mapping[str, str], parts: Mapping[str, list[Finding]], taken: Mapping[str, str]
) -> Iterator[str]:
    for name, version in found.items():
        yield f"{name:<22}{version}"
    for title, listed in parts.items():
        yield f"\n{title}"
        for one in listed:
            yield f"  {one.name:<20}{'works' if one.works else 'no':<7}{one.detail}"
    device = f" on {taken['device']}" if taken["device"] else ""
    yield f"\ntaken where none is named: {taken['engine'] or 'none'}{device} ({taken['reason']})"
