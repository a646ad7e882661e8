"""Resizes maps to the size of the input, along any axes: linear where it grows, averaged where not.

Convention: position `i` of `n` covers the input from `i / n` to `(i + 1) / n` of its size, and its
value sits in the middle of that. Beyond the outermost middles the value stays as it is. Of an axis
that shrinks, each new position is the mean of what it covers, so that nothing falls between two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

if TYPE_CHECKING:
    from collections.abc import Sequence


def sizes(tensor: tf.Tensor, axes: Sequence[int]) -> list[int | tf.Tensor]:
    """The size along each axis, as far as it is known when traced.

    >>> sizes(tf.zeros([2, 5, 7, 3]), [1, 2])
    [5, 7]
    """
    known = tensor.shape.as_list()
    dynamic = tf.shape(tensor)
    return [dynamic[axis] if known[axis] is None else known[axis] for axis in axes]


def resize(maps: tf.Tensor, sizes: Sequence[int | tf.Tensor]) -> tf.Tensor:
    """Resize every axis after the first.

    Args:
        maps: (batch, positions...) float.
        sizes: the new size of each axis of positions.

    >>> resize(tf.constant([[0.0, 1.0]]), [4]).numpy()
    array([[0.  , 0.25, 0.75, 1.  ]], dtype=float32)
    """
    if all(isinstance(size, int) for size in sizes) and maps.shape[1:] == list(sizes):
        return maps
    for size in sizes:
        matrix = _weights(tf.shape(maps)[1], size)
        # tensordot puts the new axis last and the next one first: after all, the order is back.
        maps = tf.tensordot(maps, matrix, [[1], [1]])
    return maps


def _weights(old: int | tf.Tensor, new: int | tf.Tensor) -> tf.Tensor:
    """The (new, old) matrix that resizes along one axis."""
    old_size, new_size = tf.cast(old, tf.float32), tf.cast(new, tf.float32)
    ratio = old_size / new_size
    positions, starts = tf.range(old_size)[None, :], tf.range(new_size)[:, None] * ratio
    middles = tf.clip_by_value(starts + ratio / 2 - 0.5, 0.0, old_size - 1.0)
    linear = tf.maximum(1.0 - tf.abs(middles - positions), 0.0)
    covered = tf.minimum(starts + ratio, positions + 1.0) - tf.maximum(starts, positions)
    return tf.where(ratio > 1.0, tf.maximum(covered, 0.0) / ratio, linear)


def normalise(heatmaps: tf.Tensor, signed: bool) -> tf.Tensor:
    """Divide each heatmap by its own maximum, or largest magnitude; zero stays zero.

    >>> normalise(tf.constant([[0.0, 2.0], [0.0, 0.0]]), signed=False).numpy()
    array([[0., 1.],
           [0., 0.]], dtype=float32)
    """
    axes = list(range(1, heatmaps.shape.rank))
    largest = tf.reduce_max(tf.abs(heatmaps) if signed else heatmaps, axes, keepdims=True)
    return tf.math.divide_no_nan(heatmaps, largest)
