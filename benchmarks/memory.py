"""Measures how much memory calls need."""

import gc
import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks.timing import Call

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")

MEASURABLE = os.access(_RESET, os.W_OK)
"""Whether this system is a Linux that lets a process see and reset its own peak."""


def peaks(warm_up: Sequence[Call], calls: Sequence[Call]) -> list[int]:
    """How many bytes the process has grown at most by the end of each call, results too.

    Reads the high-water mark of the resident set. TensorFlow keeps for itself what it once
    allocated: the smallest call has to come first, in a fresh process. `warm_up` has the same
    calls on small arrays, so that libraries and threads are there before.
    """
    for call in warm_up:
        call()
    gc.collect()
    _RESET.write_text("5")
    before = _kilobytes("VmRSS")
    highest = []
    for call in calls:
        call()
        gc.collect()
        highest.append(1024 * (_kilobytes("VmHWM") - before))
    return highest


def _kilobytes(key: str) -> int:
    lines = _STATUS.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))
