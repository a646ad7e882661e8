"""Times calls side by side on a machine that has other work to do."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Call = Callable[[], Any]

_PAUSE = 0.02
"""Seconds. After a call torch's OpenMP threads go on spinning, in the way of the next."""

_BLOCK = 0.004
"""Seconds. Shorter calls are timed several at once."""


Clock = Callable[[], float]


def paired(
    calls: Mapping[str, Call], pairs: int, clock: Clock = time.perf_counter
) -> dict[str, np.ndarray]:
    """Times each call once in every round, so that a slow moment of the machine meets all of them.

    Returns:
        Seconds a call, by name: `pairs` values each, one from each round.
    """
    repeats = {name: _repeats(call) for name, call in calls.items()}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(pairs):
        for name, call in calls.items():
            times[name].append(_seconds(call, repeats[name], clock))
    return {name: np.array(values) for name, values in times.items()}


def _repeats(call: Call) -> int:
    call()  # Traces and compiles.
    start = time.perf_counter()
    call()
    return max(1, round(_BLOCK / (time.perf_counter() - start)))


def once(call: Call) -> float:
    """Seconds of one call, for what takes too long to be timed often."""
    return _seconds(call, 1, time.perf_counter, wake=False)


def _seconds(call: Call, repeats: int, clock: Clock, *, wake: bool = True) -> float:
    time.sleep(_PAUSE)
    if wake:
        call()  # Wakes the threads and brings the arrays back into the caches.
    start = clock()
    for _ in range(repeats):
        call()
    return (clock() - start) / repeats
