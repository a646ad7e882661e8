"""From raw maps to heatmaps, inside the trace: several layers fused, resized, normalised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

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


class Drawn(NamedTuple):
    """Maps of one method, and how they look over the image, each (batch, classes, positions...).

    Attributes:
        maps: raw.
        heatmaps: at the size of the input, in [0, 1] or [-1, 1].
        warped_heatmaps: behind a spatial transformer, the heatmaps in its frame; else None.
        coverage: there, how far it showed each pixel, (batch, height, width); else None.
    """

    maps: Any
    heatmaps: Any
    warped_heatmaps: Any = None
    coverage: Any = None


def drawn(maps: tf.Tensor, frame: Frame, *, signed: bool) -> Drawn:
    """Maps (batch, classes, positions...) with their heatmaps in the frame of the input."""
    flat = _by_map(maps)
    shape = tf.shape(maps)
    images = tf.range(shape[0])
    rows = tf.repeat(images, shape[1])

    def heatmaps(values: tf.Tensor) -> tf.Tensor:
        return _by_image(resizing.normalise(values, signed), maps)

    seen = frame.as_seen(flat)
    found = Drawn(maps, heatmaps(frame.carried_back(seen, rows)))
    if not frame.way.warps:
        return found
    return found._replace(warped_heatmaps=heatmaps(seen), coverage=frame.coverage(images))


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


def _by_map(maps: tf.Tensor) -> tf.Tensor:
    """(batch, classes, positions...) as (batch * classes, positions...)."""
    shape = tf.shape(maps)
    flat = tf.reshape(maps, tf.concat([[shape[0] * shape[1]], shape[2:]], 0))
    return tf.ensure_shape(flat, [None, *maps.shape[2:]])


def _by_image(flat: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
    """(batch * classes, positions...) as (batch, classes, positions...), as many as in `maps`."""
    shape = tf.concat([[-1, maps.shape[1]], tf.shape(flat)[1:]], 0)
    return tf.reshape(flat, shape)
