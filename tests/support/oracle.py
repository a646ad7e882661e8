"""A slow sampler in plain Python, written from the conventions and not from the code.

Convention: `grid` holds (x, y) in [-1, 1]. Every output pixel and every tap is a step of a loop.
"""

from __future__ import annotations

import functools
import math
from itertools import product

import numpy as np
import tensorflow as tf

import keras_stn

INTERPOLATIONS = ("nearest", "bilinear", "bicubic")
FILL_MODES = ("constant", "nearest", "reflect")
COMBINATIONS = list(product(INTERPOLATIONS, FILL_MODES, (True, False)))
"""Every interpolation, fill mode and `align_corners`."""

SUBSET = [
    (interpolation, fill_mode, (i + j) % 2 == 0)
    for i, interpolation in enumerate(INTERPOLATIONS)
    for j, fill_mode in enumerate(FILL_MODES)
]
"""Half of them, for what is slow: every interpolation and fill mode, `align_corners` in turns."""


COMPILED = [
    ("bilinear", "constant", True),
    ("bilinear", "nearest", False),
    ("bilinear", "reflect", False),
    ("bicubic", "reflect", True),
    ("nearest", "constant", False),
]
"""Fewer, for what has to be compiled more than once each."""


def sample(
    images,
    grid,
    *,
    interpolation="bilinear",
    fill_mode="constant",
    fill_value=0.0,
    align_corners=True,
):
    """What `keras_stn.sample` must give, in float64."""
    images, grid = np.asarray(images, np.float64), np.asarray(grid, np.float64)
    output = np.zeros([*grid.shape[:3], images.shape[3]])
    for place in np.ndindex(*grid.shape[:3]):
        image = images[place[0]]
        x, y = (float(c) for c in grid[place])
        if not (math.isfinite(x) and math.isfinite(y)):
            output[place] = math.nan
            continue
        options = (interpolation, fill_mode, align_corners)
        for column, x_weight in _taps(x, image.shape[1], *options):
            for row, y_weight in _taps(y, image.shape[0], *options):
                if x_weight * y_weight:
                    outside = column is None or row is None
                    pixel = fill_value if outside else image[row, column]
                    output[place] += x_weight * y_weight * pixel
    return output


def pixel_position(coordinate, size, align_corners):
    """Which pixel a coordinate means, counted from 0, between pixels too."""
    if align_corners:
        return (coordinate + 1) / 2 * (size - 1)
    return ((coordinate + 1) * size - 1) / 2


def coordinate_of(position, size, align_corners):
    """The way back; an axis of one pixel with aligned corners has only the coordinate 0."""
    position = np.asarray(position, np.float64)
    if align_corners:
        return position / (size - 1) * 2 - 1 if size > 1 else position * 0
    return (position * 2 + 1) / size - 1


def reflected(position, size, align_corners):
    """Folds a position at one mirror after the other until it lies between them."""
    low, high = (0, size - 1) if align_corners else (-0.5, size - 0.5)
    if low == high:
        return low
    while not low <= position <= high:
        position = 2 * low - position if position < low else 2 * high - position
    return position


def _taps(coordinate, size, interpolation, fill_mode, align_corners):
    """Pairs of a pixel's index, None outside, and its weight."""
    position = pixel_position(coordinate, size, align_corners)
    if interpolation != "bicubic" and fill_mode != "constant":
        if fill_mode == "reflect":
            position = reflected(position, size, align_corners)
        position = min(max(position, 0), size - 1)
    if interpolation == "nearest":
        weights = {round(position): 1.0}
    elif interpolation == "bilinear":
        first = math.floor(position)
        weights = {first: first + 1 - position, first + 1: position - first}
    else:
        first = math.floor(position)
        weights = {i: cubic(position - i) for i in range(first - 1, first + 3)}
    return [(_tapped(i, size, fill_mode, align_corners), w) for i, w in weights.items()]


def _tapped(index, size, fill_mode, align_corners):
    if fill_mode == "constant":
        return index if 0 <= index < size else None
    if fill_mode == "reflect":
        index = reflected(index, size, align_corners)
    return int(min(max(index, 0), size - 1))


def cubic(distance, a=-0.75):
    """The cubic convolution kernel of Keys (1981), its formula as printed there."""
    d = abs(distance)
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0


def base_grid(height, width, align_corners=True, batch=1):
    """The grid that reads every pixel where it is, pixel by pixel."""
    grid = np.zeros((batch, height, width, 2))
    for row, column in np.ndindex(height, width):
        x = coordinate_of(column, width, align_corners)
        y = coordinate_of(row, height, align_corners)
        grid[:, row, column] = x, y
    return grid


def grid_of(positions, height, width, align_corners=True):
    """The grid that reads at pixel positions (x, y)."""
    positions = np.asarray(positions, np.float64)
    x = coordinate_of(positions[..., 0], width, align_corners)
    y = coordinate_of(positions[..., 1], height, align_corners)
    return np.stack([x, y], axis=-1)


def away_from_kinks(shape, height, width, align_corners, *, seed=0, reach=3):
    """A grid in and around the image, no point where a kernel or a reflection has a kink."""
    generator = np.random.default_rng(seed)

    def axis(size):
        whole = generator.integers(-reach, size + reach, shape)
        fraction = generator.uniform(0.1, 0.4, shape) + 0.5 * generator.integers(0, 2, shape)
        return whole + fraction

    positions = np.stack([axis(width), axis(height)], axis=-1)
    return grid_of(positions, height, width, align_corners)


def exact_size(align_corners):
    """A height and width for which the coordinates of all pixels are exact binary numbers."""
    return (5, 9) if align_corners else (4, 8)


def options_of(combination, **more):
    """The keyword arguments of a combination."""
    names = ("interpolation", "fill_mode", "align_corners")
    return {**dict(zip(names, combination, strict=True)), **more}


def _complete(options):
    defaults = {"interpolation": "bilinear", "fill_mode": "constant"}
    defaults |= {"fill_value": 0.0, "align_corners": True}
    return tuple(sorted((defaults | options).items()))


@functools.cache
def _plain_sample(channels, dtype, grid_dtype, options):
    images = tf.TensorSpec([None, None, None, channels], dtype)
    grid = tf.TensorSpec([None, None, None, 2], grid_dtype)
    return tf.function(
        lambda i, g: keras_stn.sample(i, g, **dict(options)),
        input_signature=[images, grid],
        autograph=False,
    )


def plain_sample(images, grid, **options):
    """`keras_stn.sample` where no size is known, so as plain operations; traced once."""
    images, grid = np.asarray(images), np.asarray(grid)
    function = _plain_sample(images.shape[3], images.dtype, grid.dtype, _complete(options))
    return function(images, grid).numpy()


@functools.cache
def _plain_gradients(channels, dtype, grid_dtype, options):
    images = tf.TensorSpec([None, None, None, channels], dtype)
    grid = tf.TensorSpec([None, None, None, 2], grid_dtype)

    def gradients(i, g, upstream):
        return sample_gradients(i, g, upstream, **dict(options))

    return tf.function(gradients, input_signature=[images, grid, images], autograph=False)


def plain_gradients(images, grid, upstream, **options):
    """The same for the value and the gradients towards images and grid."""
    images, grid, upstream = (np.asarray(a) for a in (images, grid, upstream))
    function = _plain_gradients(upstream.shape[3], images.dtype, grid.dtype, _complete(options))
    return [r.numpy() for r in function(images, grid, upstream)]


def sample_gradients(images, grid, upstream, **options):
    """The value of `keras_stn.sample`, and the gradients of <upstream, value>."""
    images, grid = tf.convert_to_tensor(images), tf.convert_to_tensor(grid)
    with tf.GradientTape() as tape:
        tape.watch((images, grid))
        value = keras_stn.sample(images, grid, **options)
    zero = tf.UnconnectedGradients.ZERO
    return value, *tape.gradient(value, (images, grid), upstream, unconnected_gradients=zero)


def read_weights(grid, height, width, **options):
    """How much each point of a grid reads of each pixel: `(pixels, batch, h, w)`."""
    pixels = height * width
    units = np.eye(pixels).reshape(pixels, height, width, 1)
    weights = [sample(units, one[None].repeat(pixels, axis=0), **options) for one in grid]
    return np.stack([w[..., 0] for w in weights], axis=1)


def central_difference(function, array, step=1e-5):
    """The derivative of a scalar function towards each entry of an array."""
    derivative = np.zeros(array.shape)
    for place in np.ndindex(*array.shape):
        moved = [array.copy(), array.copy()]
        moved[0][place] -= step
        moved[1][place] += step
        derivative[place] = (function(moved[1]) - function(moved[0])) / (2 * step)
    return derivative
