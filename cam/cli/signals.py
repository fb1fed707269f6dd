"""Ctrl-C and SIGTERM while a command works: the stack is unwound, nothing half-written stays."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

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


@contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGINT and SIGTERM raise an exception in the block, and leave it with `Stopped`.

    Where it is raised in code that passes over exceptions, as an object's `__del__`, it is raised
    again a moment later. What other exception a library makes of it does not matter.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # where no handler can be set
        return
    came: list[int] = []
    hook = sys.unraisablehook

    def raise_(number: int, _: Any) -> NoReturn:
        came.append(number)
        raise _RAISED[number]

    def passed_over(what: sys.UnraisableHookArgs) -> None:
        if what.exc_type in _RAISED.values():
            threading.Timer(_AGAIN_SECONDS, signal.raise_signal, came[-1:]).start()
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
