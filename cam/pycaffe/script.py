"""Scripts for pycaffe, run as they stand: with Caffe or without, in Python 2 or 3."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import operator
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, SupportsIndex

from cam.errors import InvalidValueError
from cam.files import read_bytes
from cam.pycaffe import modules
from cam.pycaffe.caffe_root import caffe_root, found_file
from cam.pycaffe.importing import translating_imports
from cam.pycaffe.old_names import old_names
from cam.pycaffe.python2 import difference, is_python2, parsed_in_place, source_text, translated
from cam.pycaffe.python2_names import GLOBALS, MODULE_NAMES
from cam.pycaffe.replacing import replaced
from cam.pycaffe.windows import has_display, saved_windows

__all__ = ["ENGINES", "PYTHONS", "Script", "run_script"]

ENGINES = ("auto", "caffe", "openvino")
"""What can run a script's networks."""

PYTHONS = ("auto", "2", "3")
"""The versions of Python that a script can be in."""

DEFAULT_FOLDER = Path("windows")
"""Where windows go where there is no display and no folder is given."""

EXIT_ERROR = 1


class Script:
    """A script that has been read, and translated if it is in Python 2.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    python : {"auto", "2", "3"}
        What it is written in; found from its text with ``"auto"``.

    Attributes
    ----------
    path : pathlib.Path
        Its absolute path.
    name : str
        Its path as it was given.
    is_python2 : bool
        Whether it was translated.
    text, translation : str
        Its text, and what runs.

    Raises
    ------
    CamError
        If it cannot be read or translated.
    """

    def __init__(self, path: Path, python: str = "auto") -> None:
        if python not in PYTHONS:
            raise InvalidValueError(f"no Python {python!r}; there are {', '.join(PYTHONS)}")
        # As Python's own, the script's path is absolute: it may change the working folder.
        self.path = path.absolute()
        self.text = source_text(read_bytes(path, "the script"))
        self.name = str(path)
        self.is_python2 = python == "2" or (python == "auto" and is_python2(self.text))
        self.translation = translated(self.text, self.name) if self.is_python2 else self.text

    @property
    def difference(self) -> str:
        """What the translation changes, as a unified diff."""
        return difference(self.text, self.translation, self.name)

    def code(self) -> CodeType:
        """Return what runs, with the script's own line numbers."""
        if not self.is_python2:
            return compile(self.text, str(self.path), "exec", dont_inherit=True)
        tree = parsed_in_place(self.text, self.translation, str(self.path))
        return compile(tree, str(self.path), "exec", dont_inherit=True)


def run_script(
    script: Script,
    arguments: Sequence[str] = (),
    engine: str = "auto",
    windows: Path | None = None,
) -> int:
    """Run a script as Python would, with an answer to ``import caffe``.

    Whatever is set for it, the modules, paths and variables of this process included, is set back
    at the end.

    Parameters
    ----------
    script : Script
        The script.
    arguments : sequence of str, optional
        Its command line.
    engine : {"auto", "caffe", "openvino"}, optional
        Who answers: pycaffe, or this project with OpenVINO; pycaffe where it is installed with
        ``"auto"``.
    windows : pathlib.Path, optional
        A folder for what OpenCV and Matplotlib would show; ``windows`` where there is no display.

    Returns
    -------
    int
        0, or 1 after an error of the script, whose traceback is printed.

    Raises
    ------
    CamError
        If pycaffe is asked for and not installed.
    SystemExit
        As the script raises it.
    """
    if windows is None and not has_display():
        windows = DEFAULT_FOLDER
    with ExitStack() as stack:
        pycaffe = stack.enter_context(_answered(engine))
        root = stack.enter_context(caffe_root(pycaffe))
        package = root / "python" / "caffe" / "__init__.py"
        if pycaffe is None and package.is_file():
            # Scripts look for Caffe's mean beside its module.
            stack.enter_context(replaced(sys.modules["caffe"], {"__file__": str(package)}))
        stack.enter_context(old_names())
        stack.enter_context(translating_imports(script.path.parent, script.is_python2))
        if script.is_python2:
            for module, names in MODULE_NAMES:
                stack.enter_context(replaced(module, names, only_missing=True))
        if windows is not None:
            stack.enter_context(saved_windows(windows.absolute()))
        return _run_as_main(script, arguments)


@contextmanager
def _answered(engine: str) -> Iterator[Path | None]:
    """Let ``import caffe`` find an engine; give the folder of the pycaffe that is installed."""
    if engine not in ENGINES:
        raise InvalidValueError(f"no engine {engine!r} for scripts; there are {', '.join(ENGINES)}")
    before = {name: sys.modules[name] for name in sys.modules if _is_caffe(name)}
    found = importlib.util.find_spec("caffe") if "caffe" not in before else None
    installed = "caffe" in before or (found is not None and found.origin is not None)
    if engine == "caffe" or (engine == "auto" and installed):
        from cam.engines.caffe import import_caffe

        caffe = import_caffe()
        with _finding_files(caffe.Net), _taking_numpy_integers(), _without_gpu(caffe):
            yield Path(caffe.__file__).parent
        return
    for name in before:
        del sys.modules[name]
    ours = modules()
    sys.modules.update(ours)
    try:
        with _finding_files(ours["caffe"].Net):
            yield None
    finally:
        for name in [name for name in sys.modules if _is_caffe(name)]:
            del sys.modules[name]
        sys.modules.update(before)


def _is_caffe(name: str) -> bool:
    return name == "caffe" or name.startswith("caffe.")


@contextmanager
def _finding_files(net: Any) -> Iterator[None]:
    """Let networks find their files where the project keeps them."""
    make: Callable[..., None] = net.__init__

    @functools.wraps(make)
    def find_and_make(self: Any, *arguments: Any, **options: Any) -> None:
        named = {name: _found(value) for name, value in options.items()}
        make(self, *map(_found, arguments), **named)

    with replaced(net, {"__init__": find_and_make}):
        yield


@contextmanager
def _taking_numpy_integers() -> Iterator[None]:
    """Let a pycaffe that was built elsewhere take NumPy's integers, as it did with Python 2."""
    blob = importlib.import_module("caffe._caffe").Blob
    reshape: Callable[..., None] = blob.reshape

    def reshape_by_integers(self: Any, *shape: SupportsIndex) -> None:
        reshape(self, *map(operator.index, shape))

    with replaced(blob, {"reshape": reshape_by_integers}):
        yield


@contextmanager
def _without_gpu(caffe: Any) -> Iterator[None]:
    """Let a script ask for a GPU that Caffe cannot use, on which it would end the process."""
    from cam.engines.caffe import gpu_works

    gpu: dict[str, Callable[..., None]] = {
        name: getattr(caffe, name) for name in ("set_device", "set_mode_gpu")
    }

    def on_gpu_or_cpu(name: str, *arguments: SupportsIndex) -> None:
        numbers = [operator.index(argument) for argument in arguments]
        if gpu_works(*numbers):
            gpu[name](*numbers)
        else:
            print(f"cam: caffe.{name}: Caffe can use no GPU here; the CPU is used", file=sys.stderr)

    with replaced(caffe, {name: functools.partial(on_gpu_or_cpu, name) for name in gpu}):
        yield


def _found(argument: Any) -> Any:
    return found_file(argument) if isinstance(argument, str) else argument


def _run_as_main(script: Script, arguments: Sequence[str]) -> int:
    main = ModuleType("__main__")
    main.__dict__.update(__file__=str(script.path), __cached__=None)
    if script.is_python2:
        main.__dict__.update(GLOBALS)
    before = sys.modules["__main__"], sys.argv, sys.path[:]
    sys.modules["__main__"] = main
    sys.argv = [script.name, *arguments]
    sys.path.insert(0, str(script.path.resolve().parent))
    try:
        exec(script.code(), main.__dict__)
    except Exception as error:
        _print_traceback(error, script)
        return EXIT_ERROR
    finally:
        sys.modules["__main__"], sys.argv, sys.path[:] = before
    return 0


def _print_traceback(error: Exception, script: Script) -> None:
    """Print an error as Python does, without what called the script."""
    calls = error.__traceback__
    while calls is not None and calls.tb_frame.f_code.co_filename != str(script.path):
        calls = calls.tb_next
    report = traceback.TracebackException(type(error), error, calls)
    for frame in report.stack:
        if script.is_python2 and hasattr(frame, "colno"):
            # Columns are those of the translation, and not of the line that is shown.
            frame.colno = frame.end_colno = None
    sys.stdout.flush()
    print("".join(report.format()), end="", file=sys.stderr)
