"""Runs the command `cam`, also as ``python -m cam``; a signal while it starts is one line."""

import atexit
import os

# What `signal` is made of: it is there already, and nothing has to be read while no one listens.
from _signal import SIG_IGN, SIGINT, SIGTERM, getsignal, signal  # type: ignore[import-not-found]

STOPPING = {SIGINT: ("interrupted", 130), SIGTERM: ("terminated", 143)}
"""What is said at a signal that ends the command, and its exit code."""


def stop(number, _):  # type: (int, object) -> None
    """End at once: nothing is written yet, or all is."""
    said, code = STOPPING[number]
    try:
        os.write(2, f"cam: {said}\n".encode())
    finally:
        os._exit(code)


def ignore_all():  # type: () -> None
    """Let no signal end the command."""
    for number in STOPPING:
        signal(number, SIG_IGN)


def main():  # type: () -> None
    """Run the command, with what it needs imported while `stop` listens."""
    # Called last, when all is done and what is left is to free memory, which is not worth a word.
    atexit.register(ignore_all)
    for number in STOPPING:
        # Whoever starts the command may have it ignore signals, as nohup does.
        if getsignal(number) is not SIG_IGN:
            signal(number, stop)
    from cam.cli import main as run

    run()


if __name__ == "__main__":
    main()
