"""Operations that let no gradient through where their values are at the end of their range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import tensorflow as tf

if TYPE_CHECKING:
    from gradcam.doctor.traced_model import TracedModel

# A slope below this is as good as none.
_NO_SLOPE = 1e-6


@dataclass(frozen=True)
class SaturableOperation:
    """One such operation on the way to the score.

    Attributes:
        operation: the operation.
        word: its name in words.
        share: the share of its values without a slope.
    """

    operation: tf.Operation
    word: str
    share: tf.Tensor


_WORDS = {
    "Relu": "ReLU",
    "Relu6": "ReLU",
    "Sigmoid": "sigmoid",
    "Softmax": "softmax",
    "Tanh": "tanh",
    "HardSigmoid": "sigmoid",
}


def saturable_operations(traced: TracedModel) -> list[SaturableOperation]:
    """All of them on the way, in no order."""
    found = []
    for operation in traced.score_operations:
        word = _WORDS.get(operation.type)
        if word is not None and operation.outputs[0].shape.rank:
            found.append(SaturableOperation(operation, word, _share(word, operation)))
    return found


def _share(word: str, operation: tf.Operation) -> tf.Tensor:
    values = operation.outputs[0]
    match word:
        case "ReLU":
            flat = values <= 0
            if operation.type == "Relu6":
                flat |= values >= 6
        case "sigmoid":
            flat = values * (1 - values) < _NO_SLOPE
        case "tanh":
            flat = 1 - values * values < _NO_SLOPE
        case _:
            flat = tf.reduce_max(values, -1) > 1 - _NO_SLOPE
    return tf.reduce_mean(tf.cast(flat, tf.float32))
