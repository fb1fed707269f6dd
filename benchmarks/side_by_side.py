"""The same work side by side: this program, the pycaffe port, torchcam and pytorch-grad-cam.

All contestants run the same network with the same weights on the same decoded picture, in turns
within one process. Times are wall clock and processor time; ratios are taken round by round.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from benchmarks.contestants import CONTESTANTS, Contestant
from benchmarks.machine import describe_machine, installed_versions, load_average
from benchmarks.networks import MeasuredNetwork, open_network
from benchmarks.peak_memory import AT_MOST_MB, explanation_peak
from benchmarks.summary import multiply_accumulates, summarize
from benchmarks.timing import CALLS_PER_TURN, Turns, time_in_turns
from benchmarks.workload import DEMO_PICTURE, Call, NotHereError, Workload
from cam.errors import InvalidValueError
from cam.pictures.reading import Picture, read_picture

__all__ = ["measure"]


def measure(
    model: str = "googlenet",
    picture: Picture | None = None,
    rounds: int = 10,
    threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
    contestants: Sequence[Contestant] = CONTESTANTS,
) -> dict[str, Any]:
    """Measure all contestants that can run here.

    Parameters
    ----------
    model : str, optional
        A model of the table. Seeded random weights do where the original ones are missing: the
        time does not depend on their values.
    picture : numpy.ndarray, optional
        A decoded picture, uint8 (H, W, 3) BGR; the demo's photograph if not given.
    rounds : int, optional
        How often each contestant gets a turn: one call that is not timed, then three that are.
    threads : int, optional
        How many threads each contestant may use.
    progress : callable, optional
        Called with the turns done and the turns in all.
    contestants : sequence of Contestant, optional
        Whom to measure.

    Returns
    -------
    dict
        Machine, versions, settings, all times and what follows from them, ready for JSON.

    Raises
    ------
    CamError
        If there is no such model, or a contestant does not compute the same network.
    """
    if rounds < 1 or threads < 1:
        raise InvalidValueError(f"{rounds} rounds on {threads} threads; both must be 1 or more")
    picture = read_picture(DEMO_PICTURE) if picture is None else picture
    with open_network(model) as files:
        memory = {
            style: explanation_peak(files.loaded.prototxt, files.caffemodel, style, threads)
            for style in ("pycaffe", "matlab")
        }
        workload = Workload(files, files.load_model("openvino", threads), picture, threads)
        calls, absent = _prepare(contestants, workload)
        load_before = load_average()
        turns = time_in_turns(calls, rounds, threads, progress)
        settings = {"threads": threads, "rounds": rounds, "calls_per_turn": CALLS_PER_TURN}
        return {
            "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "machine": {**describe_machine(), "load_average": [load_before, load_average()]},
            "versions": installed_versions(),
            "settings": {**settings, "picture": list(picture.shape)},
            **_results(files, {one.key: one.label for one in contestants}, turns, absent),
            "peak_memory_mb": {"styles": memory, "at_most": AT_MOST_MB},
        }


def _prepare(
    contestants: Sequence[Contestant], workload: Workload
) -> tuple[dict[str, Call], dict[str, str]]:
    """Return the calls of those that can run here, and why the others cannot."""
    calls, absent = {}, {}
    for contestant in contestants:
        try:
            calls[contestant.key] = contestant.prepare(workload)
        except NotHereError as error:
            absent[contestant.key] = str(error)
    return calls, absent


def _results(
    files: MeasuredNetwork, labels: Mapping[str, str], turns: Turns, absent: Mapping[str, str]
) -> dict[str, Any]:
    macs = multiply_accumulates(files.loaded.network)
    return {
        "model": {
            "name": files.loaded.name,
            "weights": files.weights_note,
            "multiply_accumulates": macs,
        },
        "timings": {key: {"label": labels[key], **turns[key]} for key in turns},
        "not_run": {key: {"label": labels[key], "reason": absent[key]} for key in absent},
        **summarize(turns, macs),
    }
