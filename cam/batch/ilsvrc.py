"""The heat maps of the ILSVRC localization experiment, in the folder of the original."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cam.batch.pipeline import BatchWork, check_published, explained_pictures
from cam.batch.rows import BatchOptions, ExplainedPicture
from cam.batch.store import Piece
from cam.errors import CamError
from cam.explain.model import CamModel
from cam.explain.saliency import METHOD, explain_by_backpropagation, smoothed
from cam.files import PathLike
from cam.localization import TOP, is_complete, write_record
from cam.pictures.lists import Entry

STYLE = "matlab"


@dataclass(frozen=True)
class HeatMapRun:
    """What was done.

    Attributes
    ----------
    made, present : int
        How many pictures' heat maps were made, and how many were there.
    failures : tuple of str
        Which pictures could not be read, and why.
    """

    made: int
    present: int
    failures: tuple[str, ...]


def make_ilsvrc_heatmaps(
    model: CamModel,
    pictures: Sequence[Path],
    folder: PathLike,
    smoothing: float | None = None,
    on_pictures: Callable[[int], object] = lambda count: None,
) -> HeatMapRun:
    """Make the heat maps of pictures in the layout that the original's evaluation reads.

    For each picture ten crops go through the network; the merged map of each of the top five
    classes is resized to the picture's own size and divided by its maximum. Pictures that are there
    already are not made again, so that an interrupted run goes on where it ended.

    Parameters
    ----------
    model : cam.explain.model.CamModel
        The model; it must run backward for saliency.
    pictures : sequence of pathlib.Path
        The pictures, each with a stem of its own.
    folder : path-like
        The folder; see `cam.localization.write_ilsvrc_heatmaps`.
    smoothing : float, optional
        Make saliency by backpropagation, smoothed so much, in place of class activation maps.
    on_pictures : callable, optional
        Called with the number of pictures that are done since the last call.

    Returns
    -------
    HeatMapRun
        What was done.

    Raises
    ------
    CamError
        If the folder has heat maps of another model or method, or cannot be written.

    References
    ----------
    ``ILSVRC_generate_heatmap.m`` of the original; section 3.2 of the paper.
    """
    check_published(model)
    record = {**model.record, "engine_choice": model.engine_choice, "style": STYLE, "method": "cam"}
    if smoothing is not None:
        record |= {"method": METHOD, "smooth": smoothing}
    write_record(folder, record)
    missing = [path for path in pictures if not is_complete(folder, path.stem)]
    entries = tuple(Entry(str(path), str(path.absolute())) for path in missing)

    def write(picture: ExplainedPicture) -> str:
        if picture.explanation is None:
            return f"{picture.entry.name}: {picture.reason}"
        picture.explanation.to_ilsvrc(folder, Path(picture.entry.path).stem)
        return ""

    if smoothing is None:
        run = _activation_maps(model, entries, write)
    else:
        run = ([write(picture)] for picture in _saliency(model, entries, smoothing))
    failures: list[str] = []
    for outcomes in run:
        failures += [failure for failure in outcomes if failure]
        on_pictures(len(outcomes))
    made = len(missing) - len(failures)
    return HeatMapRun(made, len(pictures) - len(missing), tuple(failures))


def _activation_maps(
    model: CamModel, entries: tuple[Entry, ...], write: Callable[[ExplainedPicture], str]
) -> Iterator[list[str]]:
    if not entries:
        return
    work = BatchWork.plan(model, BatchOptions(top=TOP, style=STYLE, outputs=()))
    with ThreadPoolExecutor(work.workers, "cam-heat") as pool:
        yield from explained_pictures(work, [Piece(0, 0, entries)], pool, write)


def _saliency(
    model: CamModel, entries: tuple[Entry, ...], smoothing: float
) -> Iterator[ExplainedPicture]:
    for index, entry in enumerate(entries):
        try:
            explanation = explain_by_backpropagation(model, entry.read(), TOP, STYLE)
        except CamError as error:
            reason = str(error).removeprefix(f"{entry.name}: ")
            yield ExplainedPicture(index, entry, reason=reason)
        else:
            yield ExplainedPicture(index, entry, smoothed(explanation, smoothing))
