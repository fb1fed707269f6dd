"""The pictures of a command: found, read one after the other, with failures kept for the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import click

from cam.cli.declaring import argument
from cam.cli.messages import report_failures
from cam.cli.options import JsonOption
from cam.cli.progress import progress_bar
from cam.errors import CamError
from cam.files import file_name
from cam.pictures.lists import Entry, find_pictures
from cam.pictures.reading import Picture

FOLDER_FOR_EACH = "Folder for the results, one folder in it for each picture."


@dataclass(frozen=True)
class PicturesCommand(JsonOption):
    """The arguments of a command that goes through pictures."""

    pictures: tuple[str, ...] = argument("PICTURE...")

    def find(self, output: Path) -> PictureRun:
        """Find the pictures; results are to go to `output`."""
        return PictureRun(self.pictures, output)


class NamedPicture(NamedTuple):
    """A picture that was read, its name and file, and the folder for its results.

    `source` is what the picture can be read from again: its file, or the picture itself if it is a
    part of a file.
    """

    name: str
    path: Path
    picture: Picture
    folder: Path
    source: str | Picture


class PictureRun:
    """Goes once through the pictures that a command was given.

    A picture that cannot be read is passed over and said at the end. Progress is shown on a
    terminal.

    Parameters
    ----------
    inputs : sequence of str
        As `cam.pictures.lists.find_pictures` takes them.
    output : pathlib.Path
        The folder for the results; each picture gets one of its own in it.

    Raises
    ------
    CamError
        If no input can be found.
    """

    def __init__(self, inputs: Sequence[str], output: Path) -> None:
        self._output = output
        self._taken: set[Path] = set()
        self._failures: list[str] = []
        self._entries = list(self._find(inputs))
        if not self._entries:
            self._raise_failures()

    def each(
        self,
        work: Callable[[NamedPicture], dict[str, Any]],
        as_json: bool,
        show_notes: Callable[[], None] | None = None,
    ) -> int:
        """Do the work on each picture that can be read, then say which could not be.

        Parameters
        ----------
        work : callable
            Takes a `NamedPicture` and returns what JSON is to say of it.
        as_json : bool
            Print that.
        show_notes : callable, optional
            Says what should be known of the results, once there are some.

        Returns
        -------
        int
            The exit code.

        Raises
        ------
        CamError
            If no picture could be read, or as the work does.
        """
        results = [work(one) for one in self._readable()]
        if not results:
            self._raise_failures()
        if show_notes is not None:
            show_notes()
        code = report_failures(self._failures)
        if as_json:
            click.echo(json.dumps(results, indent=2))
        return code

    def _readable(self) -> Iterator[NamedPicture]:
        with progress_bar("pictures", len(self._entries)) as bar:
            for entry in self._entries:
                try:
                    picture = entry.read()
                except CamError as error:
                    self._failures.append(str(error))
                else:
                    folder = self._folder_for(entry)
                    source = entry.path if entry.is_whole_file else picture
                    yield NamedPicture(entry.name, Path(entry.path), picture, folder, source)
                bar.advance(1)

    def _find(self, inputs: Sequence[str]) -> Iterator[Entry]:
        for source in inputs:
            try:
                yield from find_pictures([source])
            except CamError as error:
                self._failures.append(str(error))

    def _raise_failures(self) -> None:
        if self._failures:
            more = len(self._failures) - 1
            raise CamError(self._failures[0] + (f" (and {more} more like this)" if more else ""))

    def _folder_for(self, entry: Entry) -> Path:
        """Name a folder after a picture, with a number where a name comes twice."""
        stem = file_name(Path(entry.name).stem)
        folder, number = self._output / stem, 2
        while folder in self._taken:
            folder, number = self._output / f"{stem}-{number}", number + 1
        self._taken.add(folder)
        if folder.exists() and any(folder.iterdir()):
            click.echo(f"cam: {folder} has an earlier result, which is replaced", err=True)
        return folder
