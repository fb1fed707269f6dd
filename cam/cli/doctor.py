"""`cam doctor`: what works here, and what is wrong with what does not."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from cam.cli import exit_codes
from cam.cli.options import json_option
from cam.fidelity.doctor import examine_engines, examine_models, versions


@click.command()
@json_option
def doctor(as_json: bool) -> int:
    """Print versions, engines, devices and models, and what is wrong with each.

    Exit code 0 if at least one engine runs the embedded model, 1 otherwise.
    """
    engines, models, found = examine_engines(), examine_models(), versions()
    if as_json:
        findings = {
            "versions": found,
            "engines": [asdict(finding) for finding in engines],
            "models": [asdict(finding) for finding in models],
        }
        click.echo(json.dumps(findings, indent=2))
    else:
        for name, version in found.items():
            click.echo(f"{name:<22}{version}")
        for title, listed in (("engines", engines), ("models", models)):
            click.echo(f"\n{title}")
            for finding in listed:
                state = "works" if finding.works else "no"
                click.echo(f"  {finding.name:<20}{state:<7}{finding.detail}")
    works = any(finding.works for finding in engines)
    return exit_codes.SUCCESS if works else exit_codes.OUTSIDE_TOLERANCE
