"""Timing calls in turns, so that what disturbs the machine disturbs them all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.workload import Call

__all__ = ["CALLS_PER_TURN", "CLOCKS", "Turns", "quartiles", "time_in_turns"]

CALLS_PER_TURN = 3

CLOCKS = ("wall_ms", "cpu_ms")
"""Wall clock, and the processor time of all threads."""

Turns = Mapping[str, Mapping[str, Sequence[Sequence[float]]]]
"""For each contestant and clock: for each round the times of its calls, in milliseconds."""


def time_in_turns(
    calls: Mapping[str, Call],
    rounds: int,
    threads: int,
    progress: Callable[[int, int], None] | None = None,
) -> Turns:
    """Time calls in turns.

    Parameters
    ----------
    calls : mapping of str to callable
        What to time, by its name.
    rounds : int
        How often each gets a turn: one call that is not timed, then `CALLS_PER_TURN` that are.
    threads : int
        How many threads the libraries' own pools may use.
    progress : callable, optional
        Called with the turns done and the turns in all.

    Returns
    -------
    Turns
        All times.
    """
    from threadpoolctl import threadpool_limits

    turns: dict[str, dict[str, list[list[float]]]] = {
        key: {clock: [] for clock in CLOCKS} for key in calls
    }
    order = list(calls)
    # Libraries come with pools of their own, and all of them are loaded by now.
    with threadpool_limits(threads):
        for number in range(rounds):
            for place, key in enumerate(order):
                for clock, times in _turn(calls[key]).items():
                    turns[key][clock].append(times)
                if progress:
                    progress(number * len(order) + place + 1, rounds * len(order))
            order = order[1:] + order[:1]
    return turns


def _turn(call: Call) -> dict[str, list[float]]:
    """Return the times of one turn; its first call fills caches untimed."""
    call()
    times: dict[str, list[float]] = {clock: [] for clock in CLOCKS}
    for _ in range(CALLS_PER_TURN):
        wall_start, cpu_start = time.perf_counter(), time.process_time()
        call()
        times["cpu_ms"].append((time.process_time() - cpu_start) * 1e3)
        times["wall_ms"].append((time.perf_counter() - wall_start) * 1e3)
    return times


def quartiles(values: Sequence[float] | NDArray[np.float64]) -> dict[str, float]:
    """Return the median and the quartiles of some numbers.

    Examples
    --------
    >>> quartiles([3.0, 1.0, 2.0])
    {'q1': 1.5, 'median': 2.0, 'q3': 2.5}
    """
    q1, middle, q3 = (float(q) for q in np.quantile(values, (0.25, 0.5, 0.75)))
    return {"q1": q1, "median": middle, "q3": q3}
