"""Numbers that are measured of a tensor inside the trace.

There are hundreds of tensors in a model, and building an operation costs more than running it on a
small one: raw operations, as few as will do, and what NumPy can work out of them afterwards is left
to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# A slope below this is as good as none.
_NO_SLOPE = 1e-6
_WORDS = {
    "Relu": "ReLU",
    "Relu6": "ReLU",
    "Sigmoid": "sigmoid",
    "Softmax": "softmax",
    "Tanh": "tanh",
    "HardSigmoid": "sigmoid",
}


class Measures:
    """Reductions of the tensors of one graph."""

    def __init__(self) -> None:
        self._axes: dict[tuple[int, ...], tf.Tensor] = {}
        self._rows: dict[Any, dict[str, tf.Tensor]] = {}
        self._zero = tf.constant(0.0)

    def rows(self, tensor: tf.Tensor) -> dict[str, tf.Tensor]:
        """Sum and maximum of each row, (batch,)."""
        key = tensor.ref()
        if key not in self._rows:
            values = _single(tensor)
            axes = self._constant(range(1, tensor.shape.rank))
            self._rows[key] = {
                "sum": tf.raw_ops.Sum(input=values, axis=axes),
                "max": tf.raw_ops.Max(input=values, axis=axes),
            }
        return self._rows[key]

    def channels(self, tensor: tf.Tensor, axis: int) -> tf.Tensor:
        """The maximum of each channel, over images and positions."""
        axes = self._constant(n for n in range(tensor.shape.rank) if n != axis)
        return tf.raw_ops.Max(input=_single(tensor), axis=axes)

    def gradient(self, gradient: tf.Tensor) -> dict[str, tf.Tensor]:
        """The sum of squares of each row, and the share of zeros."""
        values = _single(gradient)
        rank = gradient.shape.rank
        squares = tf.raw_ops.Square(x=values)
        zeros = tf.raw_ops.Equal(x=values, y=self._zero)
        return {
            "squares": tf.raw_ops.Sum(input=squares, axis=self._constant(range(1, rank))),
            "zeros": tf.raw_ops.Mean(
                input=tf.raw_ops.Cast(x=zeros, DstT=tf.float32), axis=self._constant(range(rank))
            ),
        }

    def magnitude(self, gradient: tf.Tensor) -> tf.Tensor:
        """The mean magnitude."""
        values = tf.raw_ops.Abs(x=_single(gradient))
        return tf.raw_ops.Mean(input=values, axis=self._constant(range(gradient.shape.rank)))

    def _constant(self, axes: Any) -> tf.Tensor:
        key = tuple(axes)
        if key not in self._axes:
            self._axes[key] = tf.constant(key, tf.int32)
        return self._axes[key]


@dataclass(frozen=True)
class SaturableOperation:
    """An operation that lets no gradient through where its values are at the end of their range.

    Attributes:
        operation: the operation.
        word: its name in words.
        share: the share of its values without a slope.
    """

    operation: tf.Operation
    word: str
    share: tf.Tensor


def saturable_operations(operations: Iterable[tf.Operation]) -> list[SaturableOperation]:
    """Those among some operations that let no gradient through at the end of their range."""
    found = []
    for operation in operations:
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


def are_alike(rows: Sequence[dict[str, np.ndarray]]) -> bool:
    """Whether all images have the same values, as far as their sums and maxima tell.

    >>> one = {"sum": np.array([1.0, 1.0]), "max": np.array([0.5, 0.7])}
    >>> are_alike([one]), are_alike([one | {"max": np.array([0.5, 0.5])}])
    (False, True)
    """
    return all(
        np.ptp(values) <= 1e-7 * np.abs(values).max()
        for of_one in rows
        for values in of_one.values()
    )


def norm(squares: np.ndarray) -> float:
    """The Euclidean norm over all rows, given the sum of squares of each.

    >>> norm(np.array([9.0, 16.0]))
    5.0
    """
    return float(np.sqrt(np.sum(squares, dtype=np.float64)))


def _single(tensor: tf.Tensor) -> tf.Tensor:
    return tensor if tensor.dtype == tf.float32 else tf.cast(tensor, tf.float32)
