"""Ctrl-C and SIGTERM while a command works: the stack is unwound, nothing half-written stays."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ExtensionFileLoader
from types import FrameType

_AGAIN_SECONDS = 0.05


class Terminated(BaseException):
    """SIGTERM came."""


class Stopped(BaseException):
    """A signal has ended the command; `number` says which."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


_RAISED: dict[int, type[BaseException]] = {
    signal.SIGINT: KeyboardInterrupt,
    signal.SIGTERM: Terminated,
}

_NATIVE_LOADERS = (
    ExtensionFileLoader.create_module.__code__,
    ExtensionFileLoader.exec_module.__code__,
)


def _loads_native_code(frame: FrameType | None) -> bool:
    """Tell whether an extension module is being set up, which is where C++ calls Python."""
    while frame is not None and frame.f_code not in _NATIVE_LOADERS:
        frame = frame.f_back
    return frame is not None


def _raise_again(number: int) -> None:
    threading.Timer(_AGAIN_SECONDS, signal.raise_signal, [number]).start()


@contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGINT and SIGTERM raise an exception in the block, and leave it with `Stopped`.

    Where it is raised in code that passes over exceptions, as an object's `__del__`, it is raised
    again a moment later; while an extension module is set up, which may end the process at an
    exception of Python's, it is raised a moment later only. What other exception a library makes
    of it does not matter.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # where no handler can be set
        return
    came: list[int] = []
    hook = sys.unraisablehook

    def raise_(number: int, frame: FrameType | None) -> None:
        if _loads_native_code(frame):
            _raise_again(number)
            return
        came.append(number)
        raise _RAISED[number]

    def passed_over(what: sys.UnraisableHookArgs) -> None:
        if what.exc_type in _RAISED.values():
            _raise_again(came[-1])
        else:
            hook(what)

    listening = [number for number in _RAISED if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, raise_) for number in listening}
    sys.unraisablehook = passed_over
    try:
        yield
    except BaseException as error:
        # A block that a signal has left half way is closed later, where nobody catches anything.
        if came and not isinstance(error, (SystemExit, GeneratorExit)):
            raise Stopped(came[0]) from error
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.unraisablehook = hook
