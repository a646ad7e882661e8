"""One trace at a time: what two threads put in the place of a `call` they would take from each other."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gradcam.errors import ModelError
from gradcam.trace import private_tensorflow

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCK = threading.RLock()
_groups: list[Any] = []  # of the replicas whose threads hold the lock, the last one innermost


@contextmanager
def one_trace_at_a_time() -> Iterator[None]:
    """Wait for the traces of other threads.

    The replicas of a strategy take turns. Where the lock is held by another one of the same group,
    that one waits in the middle of the model, for this one: they would wait forever.

    Raises:
        ModelError: the model has its replicas wait for each other.
    """
    group = private_tensorflow.replica_group()
    if not _LOCK.acquire(blocking=False):
        if group is not None and any(held is group for held in _groups):
            raise ModelError("replicas-wait")
        _LOCK.acquire()
    _groups.append(group)
    try:
        yield
    finally:
        _groups.pop()
        _LOCK.release()
