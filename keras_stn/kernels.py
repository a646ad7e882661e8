"""The sampler's three operations on two axes: the only place with gather and scatter.

Written for XLA, which turns each into one or two loops over the output pixels. What is computed per pixel
vectorises and is shared by the channels, as long as no branch stands around it; the comments say where an
innocent change would make one. `make bench` shows what it costs.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from keras_stn.coordinates import Tensor, pixels_per_unit
from keras_stn.interpolation import Axis, Options, locate

_UNROLLED_READS = 32
"""Up to so many reads a pixel, `slope` sums over channels in straight-line code; beyond, in a loop."""

_PACKED_CHANNELS = 4
"""Up to so many channels, `spread` adds neighbouring taps of a position in one row of a packed image."""


class _Points:
    """Where the points of a grid lie in a batch of images: both axes, and the rows of the pixels."""

    def __init__(self, images: Tensor, grid: Tensor, options: Options, *, snap: bool) -> None:
        self.shape = tf.shape(images)
        _, height, self.width, _ = tf.unstack(self.shape)
        x, y = tf.unstack(grid, axis=-1)
        # NaN where a coordinate is not finite, else 0. Not tf.reduce_all(tf.math.is_finite(grid), -1): a
        # reduction would be a loop of its own, and slow down the one that reads it.
        self.undefined = (x - x) + (y - y)
        finite = self.undefined == 0.0
        self.finite = tf.cast(finite, grid.dtype)
        self.x = locate(tf.where(finite, x, 0.0), self.width, options, snap=snap)
        self.y = locate(tf.where(finite, y, 0.0), height, options, snap=snap)
        self.first_row = tf.reshape(tf.range(self.shape[0]), [-1, 1, 1]) * (height * self.width)

    def row(self, x_index: Tensor, y_index: Tensor) -> Tensor:
        """The row of a pixel in the flat table of all pixels of the batch."""
        return self.first_row + (y_index * self.width + x_index)

    def reach(self, options: Options) -> Tensor:
        """Zero where nothing is read: far outside, and at undefined coordinates."""
        x_taps, y_taps = _taps(self.x, options.order[0]), _taps(self.y, options.order[1])
        return _reach(x_taps) * _reach(y_taps) * self.finite


Tap = tuple[Tensor, Tensor]
"""A pixel's index along an axis, and its weight."""


def _taps(axis: Axis, order: int) -> list[Tap]:
    return [(axis.pixel(t), axis.weight(t, order)) for t in range(axis.options.taps)]


def _redirected(taps: list[Tap]) -> list[Tap]:
    """Makes a tap of weight zero read a pixel that another tap reads anyway."""
    anchor = taps[0][0]
    for index, weight in taps[1:]:
        anchor = tf.where(weight != 0.0, index, anchor)
    return [(tf.where(weight != 0.0, index, anchor), weight) for index, weight in taps]


def _scaled(taps: list[Tap], factor: Tensor) -> list[Tap]:
    return [(index, weight * factor) for index, weight in taps]


def _reach(*taps: list[Tap]) -> Tensor:
    """Zero where no tap weighs anything."""
    return tf.add_n([tf.abs(weight) for axis_taps in taps for _, weight in axis_taps])


def _blend(
    points: _Points, table: Tensor, x_taps: list[Tap], y_taps: list[Tap], base: float
) -> Tensor:
    """The weighted sum of the pixels, less `base` each, with channels in the last axis."""
    total: Tensor = 0.0
    for y_index, y_weight in y_taps:
        for x_index, x_weight in x_taps:
            weight = tf.expand_dims(x_weight * y_weight, -1)
            pixels = tf.cast(tf.gather(table, points.row(x_index, y_index)), weight.dtype)
            total += weight * (pixels - base if base else pixels)
    return total


def _unread(total: Tensor, reach: Tensor, fallback: float) -> Tensor:
    """Replaces NaN by `fallback` where every weight was zero, so that nothing was read.

    A test of the value itself, because the compiler turns a test of `reach` alone into a branch around
    the whole sum, which doubles its time.
    """
    replacement = tf.where(reach == 0.0, tf.cast(fallback, total.dtype), np.nan)
    return tf.where(tf.math.is_nan(total), tf.expand_dims(replacement, -1), total)


def _base(options: Options) -> float:
    """What a pixel is worth where none is: derivatives count each pixel relative to it."""
    outside = options.fill_mode == "constant" and not options.linear
    return options.fill_value if outside else 0.0


def read(images: Tensor, grid: Tensor, options: Options) -> Tensor:
    """`(batch, H, W, C)` images at `(batch, h, w, 2)` points, or a derivative of that."""
    is_value = options.order == (0, 0)
    points = _Points(images, grid, options, snap=is_value)
    x_taps, y_taps = _taps(points.x, options.order[0]), _taps(points.y, options.order[1])
    if is_value:
        x_taps, y_taps = _redirected(x_taps), _redirected(y_taps)
    reach = _reach(x_taps) * _reach(y_taps)
    if is_value and not options.linear:
        x_taps = [(index, weight + points.undefined) for index, weight in x_taps]
        reach += points.undefined
    else:
        x_taps = _scaled(x_taps, points.finite)
        reach *= points.finite
    table = tf.reshape(images, [-1, points.shape[3]])
    base = _base(options)
    total = _blend(points, table, x_taps, y_taps, 0.0 if is_value else base)
    if is_value and base:
        covered = tf.add_n([w for _, w in x_taps]) * tf.add_n([w for _, w in y_taps])
        total += tf.expand_dims(1.0 - covered, -1) * base
    return tf.cast(_unread(total, reach, base if is_value else 0.0), images.dtype)


def spread(images: Tensor, grid: Tensor, values: Tensor, options: Options) -> Tensor:
    """Adds `(batch, h, w, C)` values to the pixels that `read` takes them from, with the same weights."""
    points = _Points(images, grid, options, snap=options.order == (0, 0))
    values = tf.cast(values, grid.dtype)
    channels = images.shape[3]
    packed = (
        options.interpolation == "bilinear"
        and (channels or _PACKED_CHANNELS + 1) <= _PACKED_CHANNELS
    )
    add = _spread_packed if packed else _spread_rows
    return tf.cast(add(points, values, options), images.dtype)


def _spread_packed(points: _Points, values: Tensor, options: Options) -> Tensor:
    """Adds the neighbouring taps of each point as one row, then puts the shifted images together.

    All four taps at once are fastest for one or two channels; for more, the two lines one after the other
    are, and take half the memory.
    """
    batch, height, width, channels = tf.unstack(points.shape)
    nothing = points.reach(options) == 0.0
    first = points.row(points.x.start, points.y.start)
    x, y = points.x.expanded(), points.y.expanded()
    lines = [[0, 1]] if values.shape[-1] <= 2 else [[0], [1]]
    # One row more than there are pixels, for what is read nowhere: zero times a NaN would still be NaN.
    pixels = batch * height * width
    width_in_taps = 2 * len(lines[0])
    packed = tf.zeros([pixels + 1, width_in_taps * channels], values.dtype)
    for line in lines:
        weight = x.weight([0, 1] * len(line), options.order[0]) * points.finite[..., None]
        weight *= y.weight(np.repeat(line, 2), options.order[1])
        updates = tf.reshape(
            values[..., None, :] * weight[..., None], [-1, width_in_taps * channels]
        )
        # In an image of one line the second weighs nothing, but its row must exist.
        rows = tf.where(nothing, pixels, first + tf.minimum(line[0], height - 1) * width)
        packed = tf.tensor_scatter_nd_add(packed, tf.reshape(rows, [-1, 1]), updates)
    packed = tf.reshape(packed[:pixels], [batch, height, width, width_in_taps, channels])
    total: Tensor = 0.0
    for tap in range(width_in_taps):
        down, right = divmod(tap, 2)
        part = packed[:, : height - down, : width - right, tap]
        total += tf.pad(part, [[0, 0], [down, 0], [right, 0], [0, 0]])
    return total


def _spread_rows(points: _Points, values: Tensor, options: Options) -> Tensor:
    """Adds each tap by itself, the taps of a line together."""
    values = _unread(values, points.reach(options), 0.0)
    x_taps = _scaled(_taps(points.x, options.order[0]), points.finite)
    x_index = tf.stack([index for index, _ in x_taps], axis=-1)
    x_weight = tf.stack([weight for _, weight in x_taps], axis=-1)
    channels = points.shape[3]
    total = tf.zeros([tf.reduce_prod(points.shape[:3]), channels], values.dtype)
    for y_index, y_weight in _taps(points.y, options.order[1]):
        rows = points.first_row[..., None] + y_index[..., None] * points.width + x_index
        updates = values[..., None, :] * (x_weight * y_weight[..., None])[..., None]
        # One after the other: side by side, each would need an image of its own.
        total = tf.tensor_scatter_nd_add(
            total, tf.reshape(rows, [-1, 1]), tf.reshape(updates, [-1, channels])
        )
    return tf.reshape(total, points.shape)


def slope(images: Tensor, grid: Tensor, values: Tensor, options: Options) -> Tensor:
    """How fast the sum of `values` times what `read` gives changes with the grid: `(batch, h, w, 2)`."""
    points = _Points(images, grid, options, snap=False)
    values = tf.cast(values, grid.dtype)
    along_x, along_y = options.order
    x_taps, x_steps = (_scaled(_taps(points.x, along_x + i), points.finite) for i in (0, 1))
    y_taps, y_steps = (_taps(points.y, along_y + i) for i in (0, 1))
    reads = options.taps**2 * (images.shape[3] or _UNROLLED_READS + 1)
    gradient = (_slope_unrolled if reads <= _UNROLLED_READS else _slope_by_axis)(
        points, images, values, ((x_steps, y_taps), (x_taps, y_steps)), _base(options)
    )
    gradient *= pixels_per_unit_xy(images, options.align_corners, grid.dtype)
    return _unread(gradient, _reach(x_taps, x_steps) * _reach(y_taps, y_steps), 0.0)


Directions = tuple[tuple[list[Tap], list[Tap]], tuple[list[Tap], list[Tap]]]
"""For the gradients along x and y: the taps of both axes, one of them with the kernel's slope."""


def _slope_by_axis(
    points: _Points, images: Tensor, values: Tensor, directions: Directions, base: float
) -> Tensor:
    table = tf.reshape(images, [-1, points.shape[3]])
    return tf.stack(
        [
            tf.reduce_sum(values * _blend(points, table, *taps, base), axis=-1)
            for taps in directions
        ],
        axis=-1,
    )


def _slope_unrolled(
    points: _Points, images: Tensor, values: Tensor, directions: Directions, base: float
) -> Tensor:
    """Both components in one loop. Stacking two results would compute each of them twice."""
    (x_steps, y_taps), (x_taps, y_steps) = directions
    only_x, only_y = (tf.constant(unit, values.dtype) for unit in ([1.0, 0.0], [0.0, 1.0]))
    table = tf.reshape(images, [-1])
    channels = images.shape[3]
    corners = []
    for (y_index, y_weight), (_, y_step) in zip(y_taps, y_steps, strict=True):
        for (x_index, x_weight), (_, x_step) in zip(x_taps, x_steps, strict=True):
            weight = (x_step * y_weight)[..., None] * only_x + (x_weight * y_step)[
                ..., None
            ] * only_y
            first = (points.row(x_index, y_index) * channels)[..., None] + tf.zeros([2], tf.int32)
            corners.append((first, weight))
    total: Tensor = 0.0
    for channel in range(channels):
        change: Tensor = 0.0
        for first, weight in corners:
            pixels = tf.cast(tf.gather(table, first + channel), values.dtype)
            change += weight * (pixels - base if base else pixels)
        total += change * values[..., channel : channel + 1]
    return total


def pixels_per_unit_xy(images: Tensor, align_corners: bool, dtype: tf.DType) -> Tensor:
    """How many pixels of the images one unit of the grid spans, along x and y."""
    height_width = tf.cast(tf.shape(images)[1:3], dtype)
    return pixels_per_unit(height_width[::-1], align_corners)
