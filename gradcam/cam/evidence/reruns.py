"""What the scores become when a part of the model runs again on something changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

from gradcam.cam.evidence.registry import evidence
from gradcam.errors import ModelError, NotAFeatureMapError
from gradcam.trace.graph import Part

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradcam.cam.run import Run, Tapped

# Enough for the matrix products of a head to be efficient, few enough for feature maps to fit.
ROWS_PER_RUN = 32


@evidence(of_class=True)
def ablated_scores(tapped: Tapped, run: Run) -> list[tf.Tensor]:
    """y_k, (batch, channels): the score with channel k set to zero.

    A channel that is zero already changes nothing and is not run; one that `max_channels` leaves
    out counts as if it changed nothing.
    """
    activations, output = tapped.activations, tapped.output
    wanted = _chosen(activations, _positions_any(activations != 0.0), run.settings.max_channels)
    channel_axis = 1 if tapped.channels_first else output.shape.rank - 1
    channels = activations.shape[-1]

    def without(rows: tf.Tensor, channel: tf.Tensor) -> tf.Tensor:
        kept = tf.one_hot(channel, channels, on_value=0.0, off_value=1.0, dtype=output.dtype)
        shape = [1] * output.shape.rank
        shape[0], shape[channel_axis] = -1, channels
        return tf.gather(output, rows) * tf.reshape(kept, shape)

    unchanged = tf.repeat(run.scores[:, None, :], channels, axis=1)
    return tf.unstack(_run_again(run, output, without, wanted, unchanged), axis=2)


@evidence(of_class=True)
def masked_scores(tapped: Tapped, run: Run) -> list[tf.Tensor]:
    """s_k, (batch, channels): the score of the image that channel k masks.

    A channel whose map is constant, or that `max_channels` leaves out, is not run and scores minus
    infinity.
    """
    frame = tapped.frame
    if not frame.axes or not frame.tensor.dtype.is_floating:
        raise NotAFeatureMapError(
            "not-maskable",
            path=tapped.path,
            name=frame.name,
            shape=frame.tensor.shape,
            dtype=frame.tensor.dtype.name,
        )
    activations = tapped.activations
    axes = list(range(1, activations.shape.rank - 1))
    varies = tf.reduce_max(activations, axes) > tf.reduce_min(activations, axes)
    wanted = _chosen(activations, varies, run.settings.max_channels)
    maps = tf.transpose(activations, [0, activations.shape.rank - 1, *axes])

    def masked(rows: tf.Tensor, channel: tf.Tensor) -> tf.Tensor:
        mask = frame.as_seen(tf.gather_nd(maps, tf.stack([rows, channel], 1)))
        low = tf.reduce_min(mask, axes, keepdims=True)
        high = tf.reduce_max(mask, axes, keepdims=True)
        mask = frame.carried_back(tf.math.divide_no_nan(mask - low, high - low), rows)
        images = tf.gather(frame.tensor, rows)
        return images * tf.cast(frame.spread(mask), images.dtype)

    nothing = tf.fill([*tf.unstack(tf.shape(wanted)), run.scores.shape[1]], -float("inf"))
    return tf.unstack(_run_again(run, frame.tensor, masked, wanted, nothing), axis=2)


def _run_again(
    run: Run,
    feed: tf.Tensor,
    changed: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    wanted: tf.Tensor,
    scores: tf.Tensor,
) -> tf.Tensor:
    """Fill in the scores of the wanted (image, channel) pairs, some rows at a time."""
    recording = run.recording
    if recording.inputs[0].shape[0] is not None:
        raise ModelError("fixed-batch", count=recording.inputs[0].shape[0])
    part = Part([feed], run.outputs.fetches(), recording.inputs)
    pairs = tf.cast(tf.where(wanted), tf.int32)
    size = run.settings.batch_size or ROWS_PER_RUN
    count = (tf.shape(pairs)[0] + size - 1) // size
    results = tf.TensorArray(
        tf.float32, count, infer_shape=False, element_shape=[None, run.scores.shape[1]]
    )

    def step(number: tf.Tensor, results: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        chunk = pairs[number * size : (number + 1) * size]
        rows, channel = chunk[:, 0], chunk[:, 1]
        outputs = run.outputs.fetched(part([changed(rows, channel)], rows))
        return number + 1, results.write(number, run.scores_again(outputs, rows))

    _, results = tf.while_loop(
        lambda number, _: number < count, step, (0, results), parallel_iterations=1
    )
    return tf.tensor_scatter_nd_update(scores, pairs, results.concat())


def _positions_any(condition: tf.Tensor) -> tf.Tensor:
    return tf.reduce_any(condition, list(range(1, condition.shape.rank - 1)))


def _chosen(activations: tf.Tensor, useful: tf.Tensor, max_channels: int | None) -> tf.Tensor:
    """The channels to run, (batch, channels): useful, and of each image's own most varied ones."""
    channels = activations.shape[-1]
    if max_channels is None or max_channels >= channels:
        return useful
    variance = tf.math.reduce_variance(activations, list(range(1, activations.shape.rank - 1)))
    best = tf.math.top_k(variance, max_channels).indices
    return useful & (tf.reduce_max(tf.one_hot(best, channels), 1) > 0.0)
