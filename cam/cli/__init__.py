"""The command `cam`: its commands are imported when they are called; see `cam.cli.commands`."""

from __future__ import annotations

import errno
import os
import signal
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import click

from cam import __version__
from cam.__main__ import STOPPING
from cam.cli import exit_codes
from cam.cli.signals import Stopped, Terminated
from cam.errors import CamError, one_line

__all__ = ["COMMANDS", "main"]


def _summaries() -> dict[str, str]:
    """Return each command and its line of help, the first one of its module, without an import."""
    folder = Path(__file__).with_name("commands")
    files = sorted(file for file in folder.glob("*.py") if not file.name.startswith("_"))
    return {
        file.stem.replace("_", "-"): file.open(encoding="utf-8").readline().strip().strip('"')
        for file in files
    }


COMMANDS = _summaries()
"""The table of commands: a module of `cam.cli.commands` for each, and its first line as help."""

_CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
"""What a full or broken device says where no file is named: standard output is one, for example."""


class _LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(import_module(f"cam.cli.commands.{name}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: "
    + "; ".join(f"{code} {meaning}" for code, meaning in exit_codes.MEANINGS.items())
    + ".",
)
@click.version_option(__version__, prog_name="cam")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Class activation mapping with the original Caffe networks (Zhou et al., CVPR 2016)."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command and exit with its code; errors are one line on standard error."""
    arguments = sys.argv[1:] if arguments is None else arguments
    _open_closed_streams()
    # OpenVINO's converter of other formats, which no command uses, is half of its import; without
    # it the rest imports all the same.
    sys.modules.setdefault("openvino.tools.ovc", None)  # type: ignore[arg-type]
    try:
        code = cli.main(arguments, prog_name="cam", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _fail(*STOPPING[signal.SIGINT])
    except Terminated:
        _fail(*STOPPING[signal.SIGTERM])
    except Stopped as stopped:
        _fail(*STOPPING[stopped.number])
    except BrokenPipeError:
        # The reader of a pipe has closed it, as `head` does.
        sys.stderr.close()
        os._exit(exit_codes.SUCCESS)
    except Exception as error:
        if "--debug" in arguments[:1]:
            raise
        if isinstance(error, CamError):
            _fail(str(error), exit_codes.BAD_INPUT)
        if isinstance(error, OSError) and error.errno in _CANNOT_WRITE:
            _drop_output()
            _fail(f"cannot write: {error.strerror}", exit_codes.BAD_INPUT)
        if isinstance(error, FileNotFoundError) and not _is_somewhere():
            _fail("the working folder is gone; go to another one", exit_codes.BAD_INPUT)
        said = f"an error in the program: {type(error).__name__}: {error}"
        _fail(f"{said} (cam --debug … shows the traceback)", exit_codes.INTERNAL_ERROR)
    sys.exit(code if isinstance(code, int) else exit_codes.SUCCESS)


def _fail(message: str, code: int) -> NoReturn:
    # Standard error may be a full disk, too.
    with suppress(OSError):
        click.echo(f"cam: {one_line(message)}", err=True)
    sys.exit(code)


def _open_closed_streams() -> None:
    """Open standard streams that whoever started the command has closed (``>&-``).

    Otherwise the first file that is opened takes their place.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115


def _is_somewhere() -> bool:
    """Tell whether there is a working folder: another process may have removed it."""
    try:
        return bool(Path.cwd())
    except OSError:
        return False


def _drop_output() -> None:
    """Forget what could not be printed: Python would try again when it ends, and fail again."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
