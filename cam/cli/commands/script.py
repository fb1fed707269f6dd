"""Run a pycaffe script of the years around 2016, with Caffe or without."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from cam.cli import exit_codes
from cam.cli.declaring import argument, as_command, choice, option
from cam.engines.opening import default_choice
from cam.pycaffe.script import Script, run_script


@dataclass(frozen=True)
class ScriptRequest:
    """Which script, and what it is to find."""

    file: Path = argument("FILE")
    arguments: tuple[str, ...] = argument("[ARGUMENT]...", default=(), type=click.UNPROCESSED)
    engine: str | None = option(
        "What import caffe means: caffe for pycaffe, openvino for networks without Caffe, auto "
        "for pycaffe where it is installed. Default: CAM_ENGINE, or auto.",
        type=click.Choice(["auto", "caffe", "openvino"]),
    )
    save_windows: Path | None = option(
        "Write windows as PNG files into this folder instead of showing them. Default without a "
        "display: windows.",
        metavar="FOLDER",
    )
    python: str = choice(
        "What the script is written in, where its text does not tell.", ["auto", "2", "3"]
    )
    show_translation: bool = option(
        "Print what changes for Python 3, as a diff, and do not run the script."
    )


@as_command
def script(request: ScriptRequest) -> int:
    """Run a pycaffe script of the years around 2016, with Caffe or without.

    Options for cam stand before FILE; all behind it is the script's own.
    """
    found = Script(request.file, request.python)
    if request.show_translation:
        click.echo(found.difference, nl=False)
        return exit_codes.SUCCESS
    # A device is named for the other commands; scripts say their own.
    engine = request.engine or default_choice().partition(":")[0]
    return run_script(found, request.arguments, engine, request.save_windows)


script.allow_interspersed_args = False
