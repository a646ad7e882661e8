"""The samplers that are compared, each as a call without arguments on arrays of its own."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from benchmarks import report
from benchmarks.timing import Call


class Arrays(NamedTuple):
    """What a sampler takes, and the gradient of its result."""

    images: np.ndarray
    grid: np.ndarray
    upstream: np.ndarray


def arrays(shape: tuple[int, int, int, int], size: tuple[int, int]) -> Arrays:
    """Noise, sampled along affine grids that turn, shift, scale and shear it by up to a quarter."""
    random = np.random.default_rng(0)
    batch, _, _, channels = shape
    height, width = size
    theta = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]) + random.uniform(
        -0.25, 0.25, (batch, 2, 3)
    )
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    grid = np.einsum("bij,hwj->bhwi", theta, np.stack([x, y, np.ones_like(x)], axis=-1))
    return Arrays(
        random.standard_normal(shape, "float32"),
        grid.astype("float32"),
        random.standard_normal((batch, height, width, channels), "float32"),
    )


Sampler = Callable[[Any, Any], Any]


def four_gathers(images: tf.Tensor, grid: tf.Tensor) -> tf.Tensor:
    """What most public Spatial Transformers for Keras do: bilinear, zeros outside."""
    batch, height, width, channels = images.shape
    x = (grid[..., 0] + 1) * ((width - 1) / 2)
    y = (grid[..., 1] + 1) * ((height - 1) / 2)
    left, top = tf.floor(x), tf.floor(y)
    table = tf.reshape(images, [-1, channels])
    first = tf.range(batch)[:, None, None] * (height * width)

    def corner(x_pixel: tf.Tensor, y_pixel: tf.Tensor) -> tf.Tensor:
        inside = (x_pixel >= 0) & (x_pixel <= width - 1) & (y_pixel >= 0) & (y_pixel <= height - 1)
        weight = (1 - tf.abs(x - x_pixel)) * (1 - tf.abs(y - y_pixel)) * tf.cast(inside, x.dtype)
        column = tf.cast(tf.clip_by_value(x_pixel, 0, width - 1), tf.int32)
        row = tf.cast(tf.clip_by_value(y_pixel, 0, height - 1), tf.int32)
        return weight[..., None] * tf.gather(table, first + row * width + column)

    return (corner(left, top) + corner(left + 1, top)) + (
        corner(left, top + 1) + corner(left + 1, top + 1)
    )


def map_coordinates(images: tf.Tensor, grid: tf.Tensor) -> tf.Tensor:
    """The same by `keras.ops.image.map_coordinates`, coordinate by coordinate."""
    batch, height, width, channels = images.shape
    x = (grid[..., 0] + 1) * ((width - 1) / 2)
    y = (grid[..., 1] + 1) * ((height - 1) / 2)
    shape = [*x.shape, channels]
    axes = [
        tf.range(batch, dtype=tf.float32)[:, None, None, None],
        y[..., None],
        x[..., None],
        tf.range(channels, dtype=tf.float32),
    ]
    coordinates = tf.stack([tf.broadcast_to(axis, shape) for axis in axes])
    return keras.ops.image.map_coordinates(images, coordinates, order=1, fill_mode="constant")


def tensorflow_call(sampler: Sampler, given: Arrays, quantity: str, *, graph: bool) -> Call:
    """A call of a sampler written in TensorFlow ops, that returns its result and the gradients."""
    images, grid, upstream = map(tf.constant, given)

    def forward(
        images: tf.Tensor,
        grid: tf.Tensor,
        upstream: tf.Tensor,  # noqa: ARG001
    ) -> tuple[tf.Tensor, ...]:
        return (sampler(images, grid),)

    def with_gradients(
        images: tf.Tensor, grid: tf.Tensor, upstream: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        wanted = [grid] if quantity == "grid" else [images, grid]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(wanted)
            result = sampler(images, grid)
        return result, *tape.gradient(result, wanted, upstream)

    function = forward if quantity == "forward" else with_gradients
    if graph:
        function = tf.function(function)
    return lambda: function(images, grid, upstream)


def torch_call(given: Arrays, quantity: str, threads: int | None = None) -> Call:
    """The same by torch, which wants the channels before the height."""
    import torch  # noqa: PLC0415

    torch.set_num_threads(threads or report.cores())
    images, upstream = (
        torch.from_numpy(np.ascontiguousarray(array.transpose(0, 3, 1, 2)))
        for array in (given.images, given.upstream)
    )
    grid = torch.from_numpy(given.grid)
    sample = torch.nn.functional.grid_sample

    def forward() -> tuple[Any, ...]:
        return (sample(images, grid, align_corners=True),)

    def with_gradients() -> tuple[Any, ...]:
        leaf = images.detach().requires_grad_(quantity == "all")
        wanted = [leaf, grid.detach().requires_grad_()]
        result = sample(leaf, wanted[1], align_corners=True)
        return result.detach(), *torch.autograd.grad(
            result, wanted if quantity == "all" else wanted[1:], upstream
        )

    return forward if quantity == "forward" else with_gradients


def like_tensorflow(results: Sequence[Any], quantity: str) -> list[Any]:
    """What `torch_call` returned for a quantity, with the channels last."""
    count = {"forward": 1, "grid": 1, "all": 2}[quantity]
    return [*(images.permute(0, 2, 3, 1) for images in results[:count]), *results[count:]]
