"""Reads images at the points of a grid, with exact gradients: the only place with gather and scatter.

Sampling is linear in the image, and each weight is a product of one kernel along x and one along y.
So three operations are closed under differentiation, to any order, and are all there is:

- `_read`: the images at the grid's points, or a derivative of that along x and y;
- `_spread`: its adjoint, which adds values at the grid's points to an image;
- `_slope`: the gradient towards the grid.

Each is one function under XLA, because on a CPU plain TensorFlow needs a pass over memory for each of
the hundred steps; `fit` would not compile them by itself there. Where height and width are unknown while
a graph is made they run as plain operations instead: XLA would compile anew for each size it meets.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from keras_stn import checks
from keras_stn.coordinates import Tensor, pixels_per_unit
from keras_stn.interpolation import Axis, Options, locate

_UNROLLED_READS = 32
"""Up to so many reads a pixel, `_slope` sums over channels in straight-line code; beyond, in a loop."""

_PACKED_CHANNELS = 16
"""Up to so many channels, `_spread` adds all taps of a position in one row of a packed image."""


def sample(
    images: Tensor,
    grid: Tensor,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    align_corners: bool = True,
    data_format: str = "channels_last",
) -> Tensor:
    """Reads each image at the points of its grid.

    Convention: a point is `(x, y)` in [-1, 1], normalised as `align_corners` says; the pixel at which
    the output has it is the one that shows what the image has there.

    Args:
        images: `(batch, height, width, channels)`. Integers are cast to `keras.config.floatx()`.
        grid: `(batch, h, w, 2)`, float32 or float64. A point that is not finite gives NaN, for that output
            pixel only; its gradients are zero.
        interpolation: "bilinear", "nearest" (no gradient towards the grid) or "bicubic".
        fill_mode: what lies outside the image: "constant" (`fill_value`, fading in over one pixel),
            "nearest" (the edge goes on) or "reflect" (the image mirrored).
        fill_value: a finite number.
        align_corners: whether -1 and 1 are the centres of the corner pixels, or the image's outer edges.
        data_format: "channels_last" or "channels_first"; the output has the same.

    Returns:
        `(batch, h, w, channels)`, of the type of the images. Differentiable to any order.

    Example:

    >>> image = np.arange(1.0, 10.0, dtype="float32").reshape(1, 3, 3, 1)
    >>> float(keras_stn.sample(image, np.array([[[[0.5, -0.25]]]], "float32")).item())
    4.75
    """
    options = Options(
        checks.interpolation(interpolation),
        checks.fill_mode(fill_mode),
        checks.fill_value(fill_value),
        bool(align_corners),
    )
    checks.data_format(data_format)
    if any(isinstance(array, keras.KerasTensor) for array in (images, grid)):
        raise ValueError(
            "sample() takes arrays or tensors. Received a KerasTensor, the placeholder of a functional "
            "model. Use the layer keras_stn.GridSampler there."
        )
    images, grid = tf.convert_to_tensor(images), tf.convert_to_tensor(grid)
    checks.images_shape(images.shape.as_list() if images.shape.rank is not None else None)
    checks.grid_shape(
        grid.shape.as_list() if grid.shape.rank is not None else None, images.shape[0]
    )
    checks.floating(grid.dtype.name, "A grid", "Normalise pixel positions to [-1, 1].")
    if not images.dtype.is_floating:
        images = tf.cast(images, keras.config.floatx())
    # Half precision would misplace points by a twentieth of a pixel in a photograph.
    precise = tf.float64 if tf.float64 in (images.dtype, grid.dtype) else tf.float32
    grid = tf.cast(grid, precise)
    if data_format == "channels_last":
        return read(images, grid, options)
    moved = read(tf.transpose(images, [0, 2, 3, 1]), grid, options)
    return tf.transpose(moved, [0, 3, 1, 2])


def read(images: Tensor, grid: Tensor, options: Options) -> Tensor:
    """Samples `(batch, H, W, C)` images at `(batch, h, w, 2)` points, differentiable to any order."""
    if options.vanishes:
        shape = tf.concat([tf.shape(grid)[:3], tf.shape(images)[3:]], axis=0)
        return tf.zeros(shape, images.dtype)

    # Two steps with one input each, so that eagerly, too, nobody pays for a gradient that nobody asked
    # for: the tape skips a step whose input it doesn't watch.
    @tf.custom_gradient
    def by_images(images: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        return (
            _run(_read, images, grid, options=options),
            lambda upstream: spread(upstream, grid, images, options),
        )

    @tf.custom_gradient
    def by_grid(value: Tensor, grid: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        return (
            tf.identity(value),
            lambda upstream: (upstream, slope(images, grid, upstream, options)),
        )

    return by_grid(by_images(images), grid)


def spread(values: Tensor, grid: Tensor, images: Tensor, options: Options) -> Tensor:
    """The gradient of `read` towards the images, of which only shape and type matter."""
    if options.vanishes:
        return tf.zeros_like(images)
    linear = options._replace(linear=True)

    @tf.custom_gradient
    def by_values(values: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        return (
            _run(_spread, images, grid, values, options=options),
            lambda upstream: read(upstream, grid, linear),
        )

    @tf.custom_gradient
    def by_grid(result: Tensor, grid: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        return (
            tf.identity(result),
            lambda upstream: (upstream, slope(upstream, grid, values, linear)),
        )

    return by_grid(by_values(values), grid)


def slope(images: Tensor, grid: Tensor, upstream: Tensor, options: Options) -> Tensor:
    """The gradient of `read` towards the grid, given the gradient `upstream` of its result."""
    along_x, along_y = options.derivative(1, 0), options.derivative(0, 1)
    if along_x.vanishes and along_y.vanishes:
        return tf.zeros_like(grid)

    def second(images: Tensor, grid: Tensor, values: Tensor, again: Tensor) -> tuple[Tensor, ...]:
        scale = pixels_per_unit_xy(images, options.align_corners, again.dtype)
        by_x, by_y = tf.unstack(again * scale, axis=-1)
        linear_x, linear_y = (o._replace(linear=True) for o in (along_x, along_y))

        def weighted(factor: Tensor) -> Tensor:
            return tf.cast(tf.cast(values, factor.dtype) * factor[..., None], values.dtype)

        def read_along(direction: Options, factor: Tensor) -> Tensor:
            value = read(images, grid, direction)
            return tf.cast(tf.cast(value, factor.dtype) * factor[..., None], values.dtype)

        return (
            spread(weighted(by_x), grid, images, linear_x)
            + spread(weighted(by_y), grid, images, linear_y),
            slope(images, grid, weighted(by_x), along_x)
            + slope(images, grid, weighted(by_y), along_y),
            read_along(along_x, by_x) + read_along(along_y, by_y),
        )

    @tf.custom_gradient
    def by_all(
        images: Tensor, grid: Tensor, values: Tensor
    ) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, ...]]]:
        return (
            _run(_slope, images, grid, values, options=options),
            lambda again: second(images, grid, values, again),
        )

    return by_all(images, grid, upstream)


def _run(kernel: Callable[..., Tensor], *arrays: Tensor, options: Options) -> Tensor:
    """Runs one of the three kernels, under XLA unless it would have to compile for every size."""
    # The custom gradients speak for the kernels. A tape that recorded these, too, would add the gradient
    # of what a custom gradient closes over a second time, when its own arguments are not watched.
    arrays = tuple(tf.stop_gradient(array) for array in arrays)
    images, grid = arrays[:2]
    known = images.shape[1:].is_fully_defined() and grid.shape[1:].is_fully_defined()
    if known and images.shape[3] is not None:
        signature = tuple((array.dtype, array.shape[-1]) for array in arrays)
        result = _compiled(kernel, options, signature)(*arrays)
    else:
        result = kernel(*arrays, options)
    if kernel is _read:
        result.set_shape([*grid.shape[:3], images.shape[3]])
    else:
        result.set_shape((images if kernel is _spread else grid).shape)
    return result


@functools.cache
def _compiled(
    kernel: Callable[..., Tensor], options: Options, signature: tuple[tuple[tf.DType, int], ...]
) -> Callable[..., Tensor]:
    # One trace serves all sizes; XLA compiles for each it meets.
    specs = [tf.TensorSpec([None, None, None, last], dtype) for dtype, last in signature]
    name = kernel.__name__.strip("_")

    def traced(*arrays: Tensor) -> Tensor:
        return kernel(*arrays, options)

    traced.__name__ = f"keras_stn_{name}"
    # Made outside whatever graph is being built, because later graphs use it as well.
    with tf.init_scope():
        function = tf.function(traced, input_signature=specs, jit_compile=True, autograph=False)
        return function.get_concrete_function()


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
        self.first_row = tf.range(self.shape[0])[:, None, None] * (height * self.width)

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
    return [(axis.index(t), axis.weight(t, order)) for t in range(axis.options.taps)]


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


def _blend(points: _Points, table: Tensor, x_taps: list[Tap], y_taps: list[Tap], base: float) -> Tensor:
    """The weighted sum of the pixels, less `base` each, with channels in the last axis."""
    total: Tensor = 0.0
    for y_index, y_weight in y_taps:
        for x_index, x_weight in x_taps:
            weight = (x_weight * y_weight)[..., None]
            pixels = tf.cast(tf.gather(table, points.row(x_index, y_index)), weight.dtype)
            total += weight * (pixels - base if base else pixels)
    return total


def _unread(total: Tensor, reach: Tensor, fallback: float) -> Tensor:
    """Replaces NaN by `fallback` where every weight was zero, so that nothing was read.

    A test of the value itself, because the compiler turns a test of `reach` alone into a branch around
    the whole sum, which doubles its time.
    """
    replacement = tf.where(reach == 0.0, tf.cast(fallback, total.dtype), np.nan)
    return tf.where(tf.math.is_nan(total), replacement[..., None], total)


def _base(options: Options) -> float:
    """What a pixel is worth where none is: derivatives count each pixel relative to it."""
    outside = options.fill_mode == "constant" and not options.linear
    return options.fill_value if outside else 0.0


def _read(images: Tensor, grid: Tensor, options: Options) -> Tensor:
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
        total += (1.0 - covered)[..., None] * base
    return tf.cast(_unread(total, reach, base if is_value else 0.0), images.dtype)


def _spread(images: Tensor, grid: Tensor, values: Tensor, options: Options) -> Tensor:
    points = _Points(images, grid, options, snap=options.order == (0, 0))
    values = tf.cast(values, grid.dtype)
    channels = images.shape[3]
    packed = options.interpolation == "bilinear" and (channels or 0) <= _PACKED_CHANNELS
    add = _spread_packed if packed else _spread_rows
    return tf.cast(add(points, values, options), images.dtype)


def _spread_packed(points: _Points, values: Tensor, options: Options) -> Tensor:
    """Adds the four taps of each point as one row, then puts the four shifted images together."""
    x, y = points.x.expanded(), points.y.expanded()
    x_weight = x.weight([0, 1, 0, 1], options.order[0]) * points.finite[..., None]
    weight = x_weight * y.weight([0, 0, 1, 1], options.order[1])
    batch, height, width, channels = tf.unstack(points.shape)
    updates = tf.reshape(values[..., None, :] * weight[..., None], [-1, 4 * channels])
    # A negative row is dropped: where nothing was read, zero times a NaN would still be NaN.
    rows = tf.where(points.reach(options) == 0.0, -1, points.row(points.x.start, points.y.start))
    packed = tf.math.unsorted_segment_sum(updates, tf.reshape(rows, [-1]), batch * height * width)
    packed = tf.reshape(packed, [batch, height, width, 4, channels])

    def shifted(tap: int, down: int, right: int) -> Tensor:
        part = packed[:, : height - down, : width - right, tap]
        return tf.pad(part, [[0, 0], [down, 0], [right, 0], [0, 0]])

    return packed[:, :, :, 0] + shifted(1, 0, 1) + shifted(2, 1, 0) + shifted(3, 1, 1)


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


def _slope(images: Tensor, grid: Tensor, values: Tensor, options: Options) -> Tensor:
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
        [tf.reduce_sum(values * _blend(points, table, *taps, base), axis=-1) for taps in directions],
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
            weight = (x_step * y_weight)[..., None] * only_x + (x_weight * y_step)[..., None] * only_y
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
