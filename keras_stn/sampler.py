"""Reads images at the points of a grid, with exact gradients of every order.

Sampling is linear in the image, and each weight is a product of one kernel along x and one along y.
So three operations are closed under differentiation, to any order, and are all there is:

- `read`: the images at the grid's points, or a derivative of that along x and y;
- `spread`: its adjoint, which adds values at the grid's points to an image;
- `slope`: the gradient towards the grid.

This file says how they differentiate each other; `kernels` computes them. Each is one function under
XLA, because on a CPU plain TensorFlow needs a pass over memory for each of the hundred steps; `fit` would
not compile them by itself there. Where height and width are unknown while a graph is made they run as
plain operations instead: XLA would compile anew for each size it meets.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import keras
import tensorflow as tf

from keras_stn import checks, kernels
from keras_stn.coordinates import Tensor
from keras_stn.interpolation import Options


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
    >>> float(keras_stn.sample(image, np.array([[[[0.5, -0.25]]]], "float32"))[0, 0, 0, 0])
    4.75
    """
    options = Options(
        checks.interpolation(interpolation),
        checks.fill_mode(fill_mode),
        checks.fill_value(fill_value),
        bool(align_corners),
    )
    checks.data_format(data_format)
    checks.concrete(images, grid)
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
            _run(kernels.read, images, grid, options=options),
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
            _run(kernels.spread, images, grid, values, options=options),
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
        scale = kernels.pixels_per_unit_xy(images, options.align_corners, again.dtype)
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
            _run(kernels.slope, images, grid, values, options=options),
            lambda again: second(images, grid, values, again),
        )

    return by_all(images, grid, upstream)


def _run(kernel: Callable[..., Tensor], *arrays: Tensor, options: Options) -> Tensor:
    """Runs one of the three kernels, under XLA unless it would have to compile for every size."""
    # The custom gradients speak for the kernels. A tape that recorded these, too, would add the gradient
    # of what a custom gradient closes over a second time, when its own arguments are not watched.
    images, grid, *values = (tf.stop_gradient(array) for array in arrays)
    known = images.shape[1:].is_fully_defined() and grid.shape[1:].is_fully_defined()
    # All points of an image in one line: short lines don't vectorise well. Here, because inside XLA
    # would move the change of shape to where it has no effect.
    batch, height, width, _ = _sizes(grid)
    grid_in_line, *values = (
        tf.reshape(array, [batch, 1, height * width, _sizes(array)[3]]) for array in (grid, *values)
    )
    if known:
        line = (images, grid_in_line, *values)
        signature = tuple((array.dtype, array.shape[3]) for array in line)
        result = _compiled(kernel, options, signature)(*line)
    else:
        result = kernel(images, grid_in_line, *values, options)
    if kernel is kernels.spread:
        result.set_shape(images.shape)
        return result
    last = images if kernel is kernels.read else grid
    result = tf.reshape(result, [batch, height, width, _sizes(last)[3]])
    result.set_shape([*grid.shape[:3], last.shape[3]])
    return result


def _sizes(array: Tensor) -> list[Tensor]:
    """The sizes of the four axes: numbers where they are known, which spares eager calls many operations."""
    static = array.shape.as_list()
    if None not in static:
        return static
    return [
        s if s is not None else d for s, d in zip(static, tf.unstack(tf.shape(array)), strict=True)
    ]


@functools.cache
def _compiled(
    kernel: Callable[..., Tensor], options: Options, signature: tuple[tuple[tf.DType, int], ...]
) -> Callable[..., Tensor]:
    # One trace serves all sizes; XLA compiles for each it meets.
    specs = [tf.TensorSpec([None, None, None, last], dtype) for dtype, last in signature]

    def traced(*arrays: Tensor) -> Tensor:
        return kernel(*arrays, options)

    traced.__name__ = f"keras_stn_{kernel.__name__}"
    # Made outside whatever graph is being built, because later graphs use it as well.
    with tf.init_scope():
        function = tf.function(traced, input_signature=specs, jit_compile=True, autograph=False)
        return function.get_concrete_function()
