"""Normalised coordinates and pixels: the one place that knows `align_corners`.

Convention: coordinates are `(x, y)` in [-1, 1]. With `align_corners=True` -1 and 1 are the centres of
the corner pixels, with `align_corners=False` the outer edges of the image.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

Tensor = Any
"""A TensorFlow tensor; TensorFlow carries no types that a checker could follow."""


def to_pixels(coordinate: Tensor, size: Tensor, align_corners: bool) -> Tensor:
    """Turns one normalised coordinate into a pixel position along an axis of `size` pixels."""
    if align_corners:
        return (coordinate + 1.0) * (0.5 * (size - 1.0))
    return (coordinate + 1.0) * (0.5 * size) - 0.5


def pixels_per_unit(size: Tensor, align_corners: bool) -> Tensor:
    """The derivative of `to_pixels`: how many pixels one unit of the coordinate spans."""
    return 0.5 * (size - 1.0) if align_corners else 0.5 * size


def wrap(position: Tensor, size: Tensor, align_corners: bool) -> Tensor:
    """Moves pixel positions, float or integer, by whole periods of the reflected image."""
    period = tf.cast(tf.maximum(2 * (size - 1 if align_corners else size), 1), position.dtype)
    if position.dtype.is_integer:
        return tf.math.floormod(position, period)
    # Not tf.math.floormod: its remainder of floats is a library call for every pixel.
    return position - tf.floor(position / period) * period


def fold(position: Tensor, size: Tensor, align_corners: bool) -> tuple[Tensor, Tensor]:
    """Reflects pixel positions, float or integer, back into the image.

    The mirrors are the centres of the edge pixels when corners are aligned, else their outer edges: then
    a folded position may still lie half a pixel outside. Returns the folded position, and whether it
    runs forwards there: after an odd number of reflections it runs backwards.
    """
    last_wrapped = 2 * (size - 1) if align_corners else 2 * size - 1
    forwards = wrap(position, size, align_corners)
    backwards = tf.cast(last_wrapped, position.dtype) - forwards
    return tf.minimum(forwards, backwards), forwards <= backwards


def base_grid(height: Tensor, width: Tensor, align_corners: bool, dtype: Any) -> Tensor:
    """The coordinates of the pixels themselves: `(height, width, 2)`, last axis `(x, y)`.

    An axis of one pixel lies at 0.
    """

    def axis(size: Tensor) -> Tensor:
        index = tf.range(size)
        # Twice the distance from the middle is a whole number, so that the axis is exactly symmetric.
        twice_from_middle = tf.cast(2 * index - (size - 1), dtype)
        span = tf.maximum(size - 1, 1) if align_corners else size
        return twice_from_middle / tf.cast(span, dtype)

    x, y = tf.meshgrid(axis(width), axis(height))
    return tf.stack([x, y], axis=-1)
