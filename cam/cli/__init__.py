"""The command `cam`.

Each command has a module of its own here, which is imported when the command is called; what a
command needs beyond click is imported inside its function, so that `cam --help` is instant.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

from cam import __version__
from cam.errors import CamError

__all__ = ["main"]

COMMANDS = {
    "demo": "cam.cli.run",
    "run": "cam.cli.run",
    "batch": "cam.cli.batch",
    "store": "cam.cli.batch",
    "models": "cam.cli.models",
    "train": "cam.cli.train",
    "export": "cam.cli.export",
    "compare-engines": "cam.cli.compare_engines",
    "doctor": "cam.cli.doctor",
    "bench": "cam.cli.bench",
    "compare": "cam.cli.compare",
    "verify": "cam.cli.verify",
    "matlab-demo": "cam.cli.matlab_demo",
    "fetch-demo": "cam.cli.matlab_demo",
    "localize": "cam.cli.localize",
    "saliency": "cam.cli.saliency",
    "ilsvrc-heatmaps": "cam.cli.ilsvrc_heatmaps",
    "evaluate": "cam.cli.evaluate",
    "tables": "cam.cli.tables",
    "figure": "cam.cli.figure",
}
"""Each command's name and the module that has it."""

EXIT_BAD_INPUT = 2
EXIT_INTERNAL_ERROR = 70
EXIT_INTERRUPTED = 130


class _LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(
            import_module(COMMANDS[cmd_name]), cmd_name.replace("-", "_")
        )
        return command


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=(
        "Exit codes: 0 success; 1 a comparison outside its tolerance; 2 bad input, said in one "
        "line; 3 some pictures could not be read, the rest is done; 70 an error in the program; "
        "130 interrupted."
    ),
)
@click.version_option(__version__, prog_name="cam")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Class activation mapping with the original Caffe networks (Zhou et al., CVPR 2016)."""
    ctx.obj = {"debug": debug}


def main(arguments: list[str] | None = None) -> None:
    """Run the command and exit with its code; errors are one line on standard error."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        code: Any = cli.main(arguments, prog_name="cam", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted", EXIT_INTERRUPTED)
    except CamError as error:
        if _wants_traceback(arguments):
            raise
        _fail(str(error), EXIT_BAD_INPUT)
    except BrokenPipeError:
        # The reader of a pipe has closed it, as `head` does.
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        if _wants_traceback(arguments):
            raise
        _fail(
            f"an error in the program: {type(error).__name__}: {error} "
            "(cam --debug … shows the traceback)",
            EXIT_INTERNAL_ERROR,
        )
    sys.exit(code if isinstance(code, int) else 0)


def _wants_traceback(arguments: list[str]) -> bool:
    return "--debug" in arguments[:1]


def _fail(message: str, code: int) -> None:
    click.echo(f"cam: {' '.join(message.split())}", err=True)
    sys.exit(code)
