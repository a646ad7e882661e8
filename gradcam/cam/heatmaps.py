"""From raw maps to heatmaps, inside the trace: several layers fused, resized, normalised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

from gradcam.cam import resizing
from gradcam.errors import GradCamError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradcam.cam.frames import Frame


def fused(maps: Sequence[tf.Tensor], fuse: str) -> tf.Tensor:
    """One map of several layers, each divided by its own maximum, at the size of the largest.

    Args:
        maps: (batch, classes, positions...), one a layer.
        fuse: `"mean"` or `"max"`.
    """
    if len(maps) == 1:
        return maps[0]
    ranks = {tensor.shape.rank for tensor in maps}
    if len(ranks) > 1:
        raise GradCamError("fuse-ranks", ranks=sorted(rank - 2 for rank in ranks))
    sizes = tf.unstack(tf.reduce_max([tf.shape(tensor)[2:] for tensor in maps], axis=0))
    alike = []
    for tensor in maps:
        flat = resizing.normalise(_by_map(tensor), signed=True)
        alike.append(_by_image(resizing.resize(flat, sizes), tensor))
    stacked = tf.stack(alike)
    return tf.reduce_mean(stacked, 0) if fuse == "mean" else tf.reduce_max(stacked, 0)


def framed(maps: tf.Tensor, frame: Frame, signed: bool) -> dict[str, tf.Tensor]:
    """Maps (batch, classes, positions...) at the size of the input, each in [0, 1] or [-1, 1].

    Behind a spatial transformer also the heatmaps in its frame, and how far it showed each pixel.
    """
    flat = _by_map(maps)
    shape = tf.shape(maps)
    images = tf.range(shape[0])
    rows = tf.repeat(images, shape[1])

    def heatmaps(values: tf.Tensor) -> tf.Tensor:
        return _by_image(resizing.normalise(values, signed), maps)

    seen = frame.as_seen(flat)
    found = {"heatmaps": heatmaps(frame.carried_back(seen, rows))}
    if frame.way.warps:
        found["warped_heatmaps"] = heatmaps(seen)
        found["coverage"] = frame.coverage(images)
    return found


def facts(maps: tf.Tensor, evidence: Sequence[dict[str, tf.Tensor]]) -> dict[str, tf.Tensor]:
    """What warnings and errors are decided by, for each image and, second axis, each class."""
    axes = list(range(2, maps.shape.rank))
    activations = evidence[0]["activations"]
    known = {
        "low": tf.reduce_min(maps, axes),
        "high": tf.reduce_max(maps, axes),
        "activation": _largest(activations),
        "finite_activations": finite_rows(activations),
        "finite_maps": finite_rows(maps),
    }
    if "gradients" in evidence[0]:
        gradients = [of_class["gradients"] for of_class in evidence]
        known["gradient"] = tf.stack([_largest(gradient) for gradient in gradients], 1)
        known["finite_gradients"] = tf.stack([finite_rows(g) for g in gradients], 1)
    return known


def finite_rows(tensor: tf.Tensor) -> tf.Tensor:
    """Whether each row is finite: a mean is cheaper than a look at every number.

    Each number is divided first, as the sum of large ones would overflow.
    """
    if not tensor.dtype.is_floating:
        return tf.fill(tf.shape(tensor)[:1], True)
    rows = tf.cast(tensor, tf.float32)
    count = tf.size(rows) // tf.maximum(tf.shape(rows)[0], 1)
    share = rows / tf.cast(tf.maximum(count, 1), tf.float32)
    return tf.math.is_finite(tf.reduce_sum(share, list(range(1, tensor.shape.rank))))


def _largest(tensor: tf.Tensor) -> tf.Tensor:
    return tf.reduce_max(tf.abs(tensor), list(range(1, tensor.shape.rank)))


def _by_map(maps: tf.Tensor) -> tf.Tensor:
    """(batch, classes, positions...) as (batch * classes, positions...)."""
    shape = tf.shape(maps)
    flat = tf.reshape(maps, tf.concat([[shape[0] * shape[1]], shape[2:]], 0))
    return tf.ensure_shape(flat, [None, *maps.shape[2:]])


def _by_image(flat: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
    """(batch * classes, positions...) as (batch, classes, positions...), as many as in `maps`."""
    shape = tf.concat([[-1, maps.shape[1]], tf.shape(flat)[1:]], 0)
    return tf.reshape(flat, shape)
