"""The loss whose gradient the weights are given, and the labels that it is measured against.

Nobody hands labels to `diagnose`. Where `target=` names a class for each image, those are the labels.
Otherwise the labels are what the model does not say: the class after its top class, the other side
of a sigmoid, its own output plus one. A model that agrees with its labels has no gradient, and that
says nothing about the model.
"""

from __future__ import annotations

import functools
import warnings
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from gradcam.doctor.user_code import attempt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradcam.doctor.traced_model import TracedModel
    from gradcam.trace.logits import ModelOutput


def given_or_compiled(model: Any, loss: Any) -> Any:
    """The loss to use: the one that was given, else the one the model was compiled with."""
    return loss if loss is not None else getattr(model, "loss", None)


def total(traced: TracedModel, loss: Any) -> tf.Tensor:
    """The loss of all outputs together, one number."""
    outputs = traced.recording.outputs
    labels = traced.explained.arguments
    parts = []
    with warnings.catch_warnings():
        # What Keras warns of, such as probabilities taken for logits, is a finding of its own.
        warnings.simplefilter("ignore", UserWarning)
        for output, one in zip(outputs, by_output(loss, outputs), strict=True):
            if one is not None:
                parts.append(tf.reduce_mean(tf.cast(_value(one, output, labels), tf.float32)))
    if not parts:
        raise ValueError("no output has a loss")
    return tf.add_n(parts)


def proposed(outputs: Sequence[ModelOutput]) -> str:
    """The loss that most likely goes with some outputs, as code."""
    each = [_proposed(output) for output in outputs]
    if len(each) == 1:
        return each[0]
    lines = "".join(f"        {one},\n" for one in each)
    return f"[\n{lines}    ]"


def _proposed(output: ModelOutput) -> str:
    shape = output.value.shape
    match output.ending:
        case "softmax":
            return '"sparse_categorical_crossentropy"'
        case "sigmoid":
            return '"binary_crossentropy"'
        case _ if shape.rank == 2 and shape[-1] != 1:
            return "keras.losses.SparseCategoricalCrossentropy(from_logits=True)"
        case _:
            return '"mse"'


def name_of(loss: Any) -> str:
    """A loss for a sentence.

    >>> name_of("mse"), name_of(keras.losses.Huber())
    ("'mse'", 'Huber')
    """
    if isinstance(loss, str):
        return repr(loss)
    return getattr(loss, "__name__", type(loss).__name__)


def _value(loss: Any, output: ModelOutput, given: Any) -> Any:
    """The loss of one output; a function of the user's own may take any form of labels."""
    function = resolved(loss)
    first, error = attempt(lambda: function(_labels(loss, output, given), output.value))
    if error is None:
        return first
    classes = output.value.shape[-1] or 1
    for labels in (
        _classes(output.value, given),
        tf.one_hot(_classes(output.value, given), classes),
    ):
        value, again = attempt(functools.partial(function, labels, output.value))
        if again is None:
            return value
    raise error


def by_output(loss: Any, outputs: Sequence[ModelOutput]) -> list[Any]:
    """One loss an output, None where an output has none."""
    if isinstance(loss, dict) and set(loss) != {"class_name", "config"}:
        return [loss.get(output.name) for output in outputs]
    if isinstance(loss, list | tuple):
        return list(loss)
    return [loss] * len(outputs)


def resolved(loss: Any) -> Any:
    """The loss that a name or a config stands for; any other as it is."""
    return keras.losses.get(loss) if isinstance(loss, str | dict) else loss


@functools.cache
def _is_in(name: str, words: tuple[str, ...]) -> bool:
    return any(word in name.lower() for word in words)


def _labels(loss: Any, output: ModelOutput, given: Any) -> tf.Tensor:
    """Labels in the form that the loss takes."""
    value = output.value
    name = getattr(resolved(loss), "name", name_of(loss))
    classes = value.shape[-1]
    if _is_in(name, ("sparse",)):
        return _classes(value, given)
    if _is_in(name, ("binary", "bce")):
        # The side that the model does not take.
        threshold = 0.5 if output.ending == "sigmoid" else 0.0
        return tf.cast(value < threshold, value.dtype)
    if _is_in(name, ("categorical", "cce", "kl_divergence", "kullback")) and classes not in {
        None,
        1,
    }:
        return tf.one_hot(_classes(value, given), classes, dtype=value.dtype)
    if _is_in(name, ("hinge",)):
        return -tf.sign(value - 1e-6)
    return tf.stop_gradient(value) + 1


def _classes(value: tf.Tensor, given: Any) -> tf.Tensor:
    """The classes that were given, or those after each top class."""
    if given and value.shape.rank == 2:
        first = np.asarray(tf.nest.flatten(given)[0])
        if first.ndim == 2 and first.dtype.kind in "iu":
            return tf.constant(first[:, 0], tf.int32)
    return (tf.argmax(value, -1, tf.int32) + 1) % value.shape[-1]
