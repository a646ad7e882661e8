"""Records a model without images: on symbolic inputs of the shapes that it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import tensorflow as tf

from gradcam.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradcam.trace.recording import Recording
    from gradcam.trace.sources import Source

IDS_RANK = 2  # (batch, ids)

Answer = TypeVar("Answer")


def recorded(source: Source, read: Callable[[Recording], Answer]) -> Answer:
    """What `read` finds in a recording of the model.

    Raises:
        ModelError: the model doesn't run, or its input shapes are not known.
    """
    possible, structure = signatures(source)
    for signature in possible[:-1]:
        try:
            return _recorded(source, signature, structure, read)
        except ModelError as error:
            if error.code != "cannot-run":
                raise
    return _recorded(source, possible[-1], structure, read)


def signatures(source: Source) -> tuple[list[list[tf.TensorSpec]], Any]:
    """What the inputs may be, the likeliest first, and how they are nested."""
    specs = source.specs()
    if specs is not None:
        return [[tf.TensorSpec(spec.shape, spec.dtype) for spec in specs]], None
    shapes = source.example_shapes()
    flat = tf.nest.flatten(shapes)
    floats = [tf.TensorSpec(shape, tf.float32) for shape in flat]
    likely = [tf.TensorSpec(shape, _likely_type(shape)) for shape in flat]
    structure = None if isinstance(shapes, tf.TensorShape) else shapes
    return [floats] if likely == floats else [floats, likely], structure


def _likely_type(shape: tf.TensorShape) -> tf.DType:
    """Of an input that may be ids: what has no channels is no image."""
    return tf.int32 if shape.rank is not None and shape.rank <= IDS_RANK else tf.float32


def _recorded(
    source: Source,
    signature: list[tf.TensorSpec],
    structure: Any,
    read: Callable[[Recording], Answer],
) -> Answer:
    answers: list[Answer] = []

    def trace(*inputs: tf.Tensor) -> list[tf.Tensor]:
        recording = source.record(list(inputs), structure)
        answers.append(read(recording))
        return [output.value for output in recording.outputs]

    tf.compat.v1.wrap_function(trace, signature)
    return answers[0]
