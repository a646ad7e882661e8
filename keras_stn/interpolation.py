"""Along one axis: which pixels a position reads, with which weights, and how the weights change.

Everything here is one-dimensional; `sampler` combines two axes. A *tap* is one of the pixels that an
interpolation reads around a position. `start` is the first of them, `distance` how far the position
lies beyond it, and tap `t` has the weight `kernel(distance - t)`. The weight's derivatives of any order
are given by the same functions, so that every gradient of the sampler can be written down.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_stn.coordinates import Tensor, fold, to_pixels, wrap

TAPS = {"nearest": 1, "bilinear": 2, "bicubic": 4}
"""Interpolation -> how many pixels it reads along each axis."""

HIGHEST_ORDER = {"nearest": 0, "bilinear": 1, "bicubic": 3}
"""Interpolation -> the last derivative of its kernel that is not zero everywhere."""

FILL_MODES = ("constant", "nearest", "reflect")

_CUBIC = -0.75
"""The free parameter of the cubic kernel; torch and OpenCV use the same."""


class Options(NamedTuple):
    """How images are read. Hashable: each combination is traced once.

    `order` holds the order of the derivative along x and y, `(0, 0)` for the value itself.
    `linear` leaves out what does not depend on the images: `fill_value`, and the NaN that marks an
    undefined coordinate. The sampler's derivatives are linear in this sense.
    """

    interpolation: str
    fill_mode: str
    fill_value: float
    align_corners: bool
    order: tuple[int, int] = (0, 0)
    linear: bool = False

    def derivative(self, along_x: int, along_y: int) -> Options:
        """The same options, with the order raised along each axis."""
        return self._replace(order=(self.order[0] + along_x, self.order[1] + along_y))

    @property
    def taps(self) -> int:
        return TAPS[self.interpolation]

    @property
    def vanishes(self) -> bool:
        """Whether the derivative is zero everywhere."""
        return max(self.order) > HIGHEST_ORDER[self.interpolation]


class Axis(NamedTuple):
    """The taps of many positions along one axis."""

    options: Options
    size: Tensor
    start: Tensor
    distance: Tensor
    chain: Tensor
    """How fast the position read moves with the one asked for: 1, -1 after a reflection, 0 where it was
    clipped. None where it is 1 throughout."""

    def expanded(self) -> Axis:
        """The same axis with one more dimension, for arrays of taps."""
        chain = None if self.chain is None else self.chain[..., None]
        return self._replace(distance=self.distance[..., None], chain=chain)

    def pixel(self, tap: int) -> Tensor:
        """The pixel of a tap, always inside the image."""
        options, last = self.options, self.size - 1
        if options.interpolation != "bicubic":
            return self.start + tf.minimum(tap, last)
        index = self.start + tap
        if options.fill_mode == "reflect":
            index, _ = fold(index, self.size, options.align_corners)
        return tf.clip_by_value(index, 0, last)

    def weight(self, tap: Tensor, order: int) -> Tensor:
        """The `order`-th derivative of the weight of a tap.

        For bilinear interpolation `tap` may be an array of taps that broadcasts with the positions.
        """
        dtype = self.distance.dtype
        if order > HIGHEST_ORDER[self.options.interpolation]:
            return tf.zeros_like(self.distance)
        if self.options.interpolation == "nearest":
            return tf.cast(self.distance == 0, dtype)
        if self.options.interpolation == "bilinear":
            # On an axis of one pixel there is no second tap: put it where it weighs nothing.
            spacing = tf.where(self.size > 1, tf.constant(1.0, dtype), 4.0)
            weight = _hat(self.distance - tf.cast(tap, dtype) * spacing, order)
            return weight if self.chain is None or order == 0 else weight * self.chain
        weight = _cubic(self.distance - tap, order, inner=tap in (1, 2))
        if self.options.fill_mode == "constant":
            index = self.start + tap
            weight *= tf.cast((index >= 0) & (index < self.size), dtype)
        return weight


def locate(coordinate: Tensor, size: Tensor, options: Options, *, snap: bool) -> Axis:
    """Finds the taps for finite normalised coordinates along an axis of `size` pixels.

    `snap` moves positions that are whole numbers up to rounding onto them.
    """
    dtype = coordinate.dtype
    length = tf.cast(size, dtype)
    position = to_pixels(coordinate, length, options.align_corners)
    # Casting a float beyond the range of int32 is undefined, so everything is clipped before it: two
    # pixels outside nothing changes any more (three for bicubic), and reflections count in whole numbers.
    forwards: Tensor = True
    if options.fill_mode == "reflect":
        position = tf.clip_by_value(position, -(2.0**24), 2.0**24)
        if options.interpolation == "bicubic":
            position = wrap(position, size, options.align_corners)
        else:
            position, forwards = fold(position, size, options.align_corners)
    margin = 3.0 if options.interpolation == "bicubic" else 2.0
    last = 2.0 * length if options.fill_mode == "reflect" else length - 1.0
    position = tf.clip_by_value(position, -margin, last + margin)
    if snap:
        position = _snap(position, length)
    chain = None
    if options.interpolation == "bicubic":
        start = tf.floor(position) - 1.0
    else:
        if options.fill_mode != "constant":
            inside = (position > 0.0) & (position < length - 1.0)
            chain = tf.cast(inside, dtype) * tf.where(forwards, tf.constant(1.0, dtype), -1.0)
            position = tf.clip_by_value(position, 0.0, length - 1.0)
        if options.interpolation == "nearest":
            position = tf.round(position)
            start = tf.clip_by_value(position, 0.0, length - 1.0)
        else:
            # The last cell starts one pixel before the end: then both taps are inside the image, and the
            # kernel of the distance alone tells what a tap weighs, outside the image too.
            start = tf.clip_by_value(tf.floor(position), 0.0, tf.maximum(length - 2.0, 0.0))
    return Axis(options, size, tf.cast(start, tf.int32), position - start, chain)


def _snap(position: Tensor, length: Tensor) -> Tensor:
    """Without it the identity would blend each pixel with a millionth of its neighbour, and spread NaN."""
    whole = tf.round(position)
    rounding = float(np.finfo(position.dtype.as_numpy_dtype).eps) * length
    return tf.where(tf.abs(position - whole) <= rounding, whole, position)


def _hat(distance: Tensor, order: int) -> Tensor:
    """The kernel of linear interpolation. Its slope at a kink is the one to the right, as torch's."""
    if order == 0:
        return tf.maximum(1.0 - tf.abs(distance), 0.0)
    near = tf.cast((distance >= -1.0) & (distance < 1.0), distance.dtype)
    return tf.where(distance < 0.0, near, -near)


def _cubic(distance: Tensor, order: int, *, inner: bool) -> Tensor:
    """The cubic convolution kernel (Keys 1981), up to one pixel from its centre if `inner`, else beyond."""
    if inner:
        coefficients = [_CUBIC + 2.0, -(_CUBIC + 3.0), 0.0, 1.0]
    else:
        coefficients = [_CUBIC, -5.0 * _CUBIC, 8.0 * _CUBIC, -4.0 * _CUBIC]
    for _ in range(order):
        degree = len(coefficients) - 1
        coefficients = [c * (degree - i) for i, c in enumerate(coefficients[:-1])]
    magnitude = tf.abs(distance)
    total = tf.fill(tf.shape(magnitude), tf.cast(coefficients[0], magnitude.dtype))
    for coefficient in coefficients[1:]:
        total = total * magnitude + coefficient
    return tf.where(distance < 0.0, -total, total) if order % 2 else total
