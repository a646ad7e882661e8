"""Lists the layers of a model with what can be explained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from gradcam.errors import ModelError
from gradcam.trace import feature_maps, sources

if TYPE_CHECKING:
    from gradcam.trace.feature_maps import LayerInfo
    from gradcam.trace.sources import Source

IDS_RANK = 2  # (batch, ids)


def layers(model: Any) -> list[LayerInfo]:
    """Every call of a layer at any depth, in order: its path, and whether it can be explained.

    Args:
        model: a built Keras model.

    >>> import keras
    >>> model = keras.Sequential([
    ...     keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="conv"),
    ...     keras.layers.GlobalMaxPooling2D(name="pool"), keras.layers.Dense(2, name="scores"),
    ... ])
    >>> for info in layers(model):
    ...     print(info.path, info.shape, info.explainable, info.reason, info.chosen)
    conv (None, 6, 6, 4) True the last feature map True
    pool (None, 4) False it has no axes of positions False
    scores (None, 2) False it has no axes of positions False
    """
    source = sources.open_source(model)
    specs = source.specs()
    if specs is not None:
        signature = [tf.TensorSpec(spec.shape, spec.dtype) for spec in specs]
        return _described(source, signature, None)
    shapes = source.example_shapes()
    structure = None if isinstance(shapes, tf.TensorShape) else shapes
    flat = tf.nest.flatten(shapes)
    try:
        return _described(source, [tf.TensorSpec(shape, tf.float32) for shape in flat], structure)
    except ModelError as error:
        if error.code != "cannot-run":
            raise
        signature = [tf.TensorSpec(shape, _likely_type(shape)) for shape in flat]
        if all(spec.dtype == tf.float32 for spec in signature):
            raise
    return _described(source, signature, structure)


def _likely_type(shape: tf.TensorShape) -> tf.DType:
    """Of an input that may be ids: what has no channels is no image."""
    return tf.int32 if shape.rank is not None and shape.rank <= IDS_RANK else tf.float32


def _described(source: Source, signature: list[tf.TensorSpec], structure: Any) -> list[LayerInfo]:
    found: list[LayerInfo] = []

    def trace(*inputs: tf.Tensor) -> list[tf.Tensor]:
        recording = source.record(list(inputs), structure)
        found.extend(feature_maps.describe(recording))
        return [output.value for output in recording.outputs]

    tf.compat.v1.wrap_function(trace, signature)
    return found
