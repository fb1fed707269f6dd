"""Explain the photograph that comes with the project."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from cam.cli.commands.run import RunOptions, RunRequest, explain_pictures
from cam.cli.declaring import as_command

DEMO_PICTURE = Path(__file__).parents[2] / "data" / "coffee.png"


@as_command
def demo(request: RunOptions) -> int:
    """Make the class activation maps of the photograph that comes with the project."""
    return explain_pictures(RunRequest(pictures=(str(DEMO_PICTURE),), **asdict(request)))
