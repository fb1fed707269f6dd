"""Runs the command `cam` as ``python -m cam``."""

from cam.cli import main

if __name__ == "__main__":
    main()
