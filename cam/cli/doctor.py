"""`cam doctor`: what works here, and what is wrong with what does not."""

from __future__ import annotations

import click


@click.command()
def doctor() -> None:
    """Print versions, engines, devices and models, and what is wrong with each.

    Exit code 0 if at least one engine runs the embedded model, 1 otherwise.
    """
    from cam.fidelity.doctor import examine_engines, examine_models, versions

    for name, version in versions().items():
        click.echo(f"{name:<22}{version}")
    engines = examine_engines()
    for title, findings in (("engines", engines), ("models", examine_models())):
        click.echo(f"\n{title}")
        for finding in findings:
            state = "works" if finding.works else "no"
            click.echo(f"  {finding.name:<20}{state:<7}{finding.detail}")
    if not any(finding.works for finding in engines):
        raise SystemExit(1)
