"""What the transformers of a model make of some images, as NumPy arrays."""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_stn.coordinates import to_pixels
from keras_stn.recording import TransformerCall, recording

HIDDEN = (
    "TransformerMonitor can't look into {layer!r}: it runs inside a tf.function or a loop of TensorFlow, "
    "out of which no tensor can be taken. Expected a layer that the model calls by itself. The other "
    "transformers are watched."
)


@dataclass(frozen=True, eq=False)
class View:
    """One call of a transformer; images and outputs have their channels last.

    Attributes:
        layer: the transformer.
        images: what reached it, `(batch, height, width, channels)`.
        theta: `(batch, num_params)`.
        grids: `(batch, h, w, 2)`.
        outputs: what it gave, `(batch, h, w, channels)`.
    """

    layer: Any
    images: np.ndarray
    theta: np.ndarray
    grids: np.ndarray
    outputs: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        """The height and width of the images."""
        return self.images.shape[1], self.images.shape[2]

    @functools.cached_property
    def pixels(self) -> np.ndarray:
        """The grids in pixels of the images; NaN where they aren't finite."""
        height, width = self.size
        grids = np.where(np.isfinite(self.grids), self.grids.astype(np.float64), np.nan)
        x, y = np.moveaxis(grids, -1, 0)
        aligned = self.layer.align_corners
        return np.stack([to_pixels(x, width, aligned), to_pixels(y, height, aligned)], axis=-1)


def look(model: keras.Model, images: Any) -> tuple[dict[str, View], list[str]]:
    """Runs a model on images, and returns its transformers' views by name, and the names of hidden ones.

    The model isn't changed: it doesn't train, and its losses and updates of variables go nowhere.
    """
    with recording() as calls, keras.StatelessScope():
        model(keras.tree.map_structure(tf.convert_to_tensor, images), training=False)
    if not calls:
        raise ValueError(
            "TransformerMonitor found no SpatialTransformer that runs when the model is called. Received: "
            f"the model {model.name!r}. Expected a keras_stn.SpatialTransformer, not inside a tf.function of "
            "the model's own. Add one, or leave the monitor out."
        )
    visible = [call for call in calls if hasattr(call.outputs, "numpy")]
    hidden = [call.layer.name for call in calls if not hasattr(call.outputs, "numpy")]
    total, seen = Counter(call.layer.name for call in visible), Counter[str]()
    views = {}
    for call in visible:
        name = call.layer.name
        views[f"{name}[{seen[name]}]" if total[name] > 1 else name] = _view(call)
        seen[name] += 1
    return views, hidden


def _view(call: TransformerCall) -> View:
    layer = call.layer
    images, outputs = np.asarray(call.images), np.asarray(call.outputs)
    if layer.data_format == "channels_first":
        images, outputs = np.moveaxis(images, 1, -1), np.moveaxis(outputs, 1, -1)
    grids = np.asarray(layer.grid(call.theta, size=outputs.shape[1:3]))
    # Half precision is no type to measure in; bytes keep their range of colours.
    images = images if images.dtype == np.uint8 else images.astype(np.float32)
    return View(layer, images, np.asarray(call.theta), grids, outputs.astype(np.float32))
