"""A model that is not built: it is run with weights that are thrown away, and left unbuilt.

The first call of a broken model is the one that fails, so it is the one to look at. In Keras'
stateless scope a new variable is given initial values for the length of the trace. What building
leaves behind is taken away with all else that a trace leaves behind (see `trace.restoring`).
"""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from gradcam.trace import private_keras
from gradcam.trace.sources import KerasSource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradcam.trace.recording import Call, Recording
    from gradcam.trace.sources import Source
    from gradcam.trace.watching import Watch


class UnbuiltSource(KerasSource):
    """A Keras model that has not run yet, as a source."""

    may_build = True

    def __init__(self, unbuilt: keras.Model) -> None:
        self.model = unbuilt
        self.name: str = unbuilt.name

    def specs(self) -> None:
        """Nothing is known before it is built."""

    def built_shape(self) -> None:
        """Nothing is known before it is built."""

    def built_count(self) -> None:
        """Nothing is known before it is built."""

    def record(
        self,
        inputs: list[tf.Tensor],
        structure: Any,
        calls: list[Call] | None = None,
        watch: Watch | None = None,
    ) -> Recording:
        """Run the model, watched; what is built on the way is thrown away."""
        with _whole_tracebacks():
            return super().record(inputs, structure, calls, watch)


def blamed(error: Exception, source: Source) -> tuple[str, tuple[Any, ...] | None] | None:
    """The layer that an error came out of before its `call` ran, and the shape it was given.

    Building a layer, and what Keras checks before, are no calls; the frames of the error know more.
    """
    model = getattr(source, "model", None)
    if model is None:
        return None
    paths = {id(layer): path for path, layer in _paths(model)}
    found, shape = None, None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        layer = frame.f_locals.get("self")
        if id(layer) in paths:
            shape = shape if found == paths[id(layer)] else None
            found = paths[id(layer)]
            given: Any = frame.f_locals.get("args")
            if isinstance(given, tuple) and given and hasattr(given[0], "shape"):
                shape = tuple(given[0].shape)
    return None if found is None else (found, shape)


def _paths(model: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Every layer below a model, the model itself left out, under its path."""
    for layer in private_keras.direct_layers(model):
        path = f"{above}{layer.name}"
        yield path, layer
        yield from _paths(layer, f"{path}/")


@contextmanager
def _whole_tracebacks() -> Iterator[None]:
    """Keras leaves its own frames out of a traceback, and with them the layer that it built."""
    was_filtered = keras.config.is_traceback_filtering_enabled()
    keras.config.disable_traceback_filtering()
    try:
        yield
    finally:
        if was_filtered:
            keras.config.enable_traceback_filtering()
