"""Shows what each transformer of a model sees and makes of it, wherever in the model it sits.

A layer in the middle of a network, in a nested model or in a subclass gets tensors that nobody outside can
name. So each transformer notes its calls while the thread that runs it is recording, and only then.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from keras_stn.coordinates import Tensor


@dataclass(frozen=True, eq=False)
class TransformerCall:
    """One call of a transformer: the layer, what reached it, where it looked, what it gave."""

    layer: Any
    images: Tensor
    theta: Tensor
    outputs: Tensor


_local = threading.local()


@contextmanager
def recording() -> Iterator[list[TransformerCall]]:
    """Collects the calls of all transformers that this thread runs, in their order.

    Example:

    >>> layer = keras_stn.SpatialTransformer("rotation")
    >>> with recording() as calls:
    ...     outputs = layer(np.ones((2, 8, 8, 1), "float32"))
    >>> calls[0].theta.shape
    TensorShape([2, 1])
    """
    before = getattr(_local, "calls", None)
    _local.calls = []
    try:
        yield _local.calls
    finally:
        _local.calls = before


def note(layer: Any, images: Tensor, theta: Tensor, outputs: Tensor) -> None:
    """Keeps a call, if somebody in this thread is recording."""
    calls = getattr(_local, "calls", None)
    if calls is not None:
        calls.append(TransformerCall(layer, images, theta, outputs))
