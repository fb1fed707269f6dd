"""Get the files of the original's cached demo."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from cam.cli import exit_codes
from cam.cli.declaring import argument, as_command, option, output_option
from cam.cli.progress import download_bar
from cam.errors import CamError, nearest_names
from cam.fidelity.cached_demo import OTHER_SNAPSHOT
from cam.fidelity.demo_files import DEMO_FILES, fetch_demo_file


@dataclass(frozen=True)
class FetchDemoRequest:
    """Which files, from where and to where."""

    names: tuple[str, ...] = argument("[NAME]...", default=())
    output: Path | None = output_option("Folder for the files. Default: in the user's cache.")
    source: str | None = option("A folder, or the address of one, to take them from.", "--from")


@as_command
def fetch_demo(request: FetchDemoRequest) -> int:
    """Get the files of the original's cached demo, check them and record their SHA-256.

    They come from the original repository, github.com/metalbubble/CAM. An interrupted download
    goes on where it stopped. NAME is one of the files, such as data_net.mat; default: all six.
    Exit code 3 if some could not be had and the rest is there, 2 if none could.
    """
    for name in request.names:
        if name not in DEMO_FILES:
            raise CamError(
                f"no demo file {name!r}{nearest_names(name, DEMO_FILES)}; there are "
                f"{', '.join(DEMO_FILES)}"
            )
    wanted, failed = tuple(request.names or DEMO_FILES), []
    for name in wanted:
        try:
            with download_bar(name) as bar:
                click.echo(fetch_demo_file(name, request.output, request.source, bar.move))
        except CamError as error:
            failed.append(name)
            click.echo(f"cam: {error}", err=True)
        else:
            if name == "data_img2.mat":
                click.echo(f"Note: {OTHER_SNAPSHOT}.")
    if len(failed) == len(wanted):
        return exit_codes.BAD_INPUT
    if failed:
        click.echo(f"cam: not fetched: {', '.join(failed)}", err=True)
    return exit_codes.SOME_FAILED if failed else exit_codes.SUCCESS
