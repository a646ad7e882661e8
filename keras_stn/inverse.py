"""Where the output shows each pixel of the input: the way back through a transformation."""

from __future__ import annotations

import tensorflow as tf

from keras_stn.coordinates import Tensor
from keras_stn.family import Transform, inverse_matrix, project

_STARTS = 17
"""The search starts from the best point of a lattice with so many rows and columns."""

_AT_ONCE = 1 << 14
"""So many points are searched for at once, which bounds the memory; most bands end their search early."""

_STEPS = 20
_LONGEST_STEP = 0.25
_ARRIVED = 1e-8
"""The search ends with a step shorter than this for every point: the next would square its error."""


def inverse_points(transform: Transform, theta: Tensor, points: Tensor) -> Tensor:
    """For input coordinates `(h, w, 2)`: the output coordinates `(batch, h, w, 2)` that show them.

    NaN where the output, [-1, 1] squared, doesn't show them. Analytic for a family with a matrix,
    otherwise numeric; where a fold shows a point more than once, one of the places is given.
    """
    if hasattr(transform, "matrix"):
        nan = tf.constant(float("nan"), theta.dtype)
        found = project(inverse_matrix(transform.matrix(theta)), points, nan)
    else:
        search = tf.cast(points, tf.float64)

        def search_each() -> Tensor:
            return tf.map_fn(
                lambda row: _search_in_bands(transform, row[None], search),
                tf.cast(theta, tf.float64),
                parallel_iterations=2,
                fn_output_signature=tf.float64,
            )

        # Where sizes are unknown, map_fn cannot tell the shape of no results at all.
        found = tf.cond(tf.shape(theta)[0] > 0, search_each, lambda: search[None][:0])
    # Rounding must not put the corners of the identity outside.
    inside = tf.reduce_all(tf.abs(found) <= 1.0 + 1e-5, axis=-1, keepdims=True)
    return tf.cast(tf.where(inside, found, float("nan")), theta.dtype)


def _search_in_bands(transform: Transform, theta: Tensor, targets: Tensor) -> Tensor:
    """The search for one image, `(h, w, 2)`, some of its points after the others."""
    flat = tf.reshape(targets, [-1, 2])
    count = tf.shape(flat)[0]
    bands = tf.maximum((count + _AT_ONCE - 1) // _AT_ONCE, 1)
    length = (count + bands - 1) // bands
    # The last band is filled up with the last point.
    filled = tf.gather(flat, tf.minimum(tf.range(bands * length), count - 1))
    found = tf.map_fn(
        lambda band: _search(transform, theta, band),
        tf.reshape(filled, [bands, 1, length, 2]),
        parallel_iterations=1,
    )
    return tf.reshape(tf.reshape(found, [-1, 2])[:count], tf.shape(targets))


def _search(transform: Transform, theta: Tensor, targets: Tensor) -> Tensor:
    """Newton's method from the nearest of many starts, for one image."""
    axis = tf.linspace(tf.constant(-1.0, theta.dtype), 1.0, _STARTS)
    starts = tf.stack(tf.meshgrid(axis, axis), axis=-1)
    reached = tf.reshape(transform.grid(theta, starts), [-1, 2])
    flat = tf.reshape(targets, [-1, 2])
    # |a - b|^2 without the |a|^2 that all starts share.
    distance = tf.reduce_sum(reached**2, axis=-1) - 2.0 * tf.matmul(flat, reached, transpose_b=True)
    nearest = tf.gather(tf.reshape(starts, [-1, 2]), tf.argmin(distance, axis=-1))
    place = tf.reshape(nearest, tf.shape(targets))

    def step(place: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(place)
            x, y = tf.unstack(transform.grid(theta, place)[0], axis=-1)
        (a, b), (c, d) = (tf.unstack(tape.gradient(v, place), axis=-1) for v in (x, y))
        miss_x, miss_y = tf.unstack(targets - tf.stack([x, y], axis=-1), axis=-1)
        determinant = a * d - b * c
        determinant = tf.where(tf.abs(determinant) > 1e-9, determinant, 1e-9)
        move = tf.stack([d * miss_x - b * miss_y, a * miss_y - c * miss_x], axis=-1)
        move /= determinant[..., None]
        length = tf.norm(move, axis=-1, keepdims=True)
        moved = place + move * tf.minimum(_LONGEST_STEP / tf.maximum(length, 1e-12), 1.0)
        return moved, tf.reduce_max(length)

    # Most have arrived after five steps. Not `>`: where one point is NaN, the others go on.
    place, _ = tf.while_loop(
        lambda _, longest: tf.logical_not(longest <= _ARRIVED),
        step,
        (place, tf.constant(1.0, theta.dtype)),
        maximum_iterations=_STEPS,
    )
    miss = tf.norm(transform.grid(theta, place)[0] - targets, axis=-1, keepdims=True)
    return tf.where(miss < 1e-6, place, float("nan"))
