"""Steps of `fit` with a sampler and without, whose difference is what the sampler costs there."""

from typing import Any

import keras
import tensorflow as tf

import keras_stn
from benchmarks.candidates import Arrays
from benchmarks.timing import Call


class _Trainable(keras.layers.Layer):
    """An array to be trained: added to the input, or instead of it."""

    def __init__(self, start: Any, *, added: bool) -> None:
        super().__init__()
        self.added = added
        self.array = self.add_weight(shape=start.shape, initializer=lambda *_, **__: start)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return inputs + self.array if self.added else tf.convert_to_tensor(self.array)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape if self.added else self.array.shape


class _StandIn(keras.layers.Layer):
    """Takes what a sampler takes, and returns without work arrays of the shapes that it would.

    They wait for the inputs and for the upstream gradient, so that the step still works these out.
    """

    def __init__(self, given: Arrays) -> None:
        super().__init__()
        self.ready = [
            self.add_weight(shape=array.shape, initializer="ones", trainable=False)
            for array in (given.upstream, given.images, given.grid)
        ]

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        @tf.custom_gradient
        def stand_in(images: tf.Tensor, grid: tf.Tensor) -> Any:
            result, *gradients = map(tf.convert_to_tensor, self.ready)
            return _after([images, grid], result), lambda upstream: [
                _after([upstream], gradient) for gradient in gradients
            ]

        return stand_in(*inputs)

    def compute_output_shape(self, _: Any) -> tuple[int | None, ...]:
        return self.ready[0].shape


def _after(tensors: list[tf.Tensor], array: tf.Tensor) -> tf.Tensor:
    with tf.control_dependencies(tensors):
        return tf.identity(array)


def steps(given: Arrays, quantity: str) -> tuple[Call, Call]:
    """One step with keras_stn's sampler and one with a stand-in, run as by `fit` or `evaluate`.

    "forward" is a step of `evaluate`. In "grid" the sampler reads the network's input, as where a
    network starts with a transformer; in "all" a layer before it is trained.
    """
    return (
        _step(keras_stn.GridSampler(), given, quantity),
        _step(_StandIn(given), given, quantity),
    )


def _step(sampler: keras.layers.Layer, given: Arrays, quantity: str) -> Call:
    inputs = keras.Input(batch_shape=given.images.shape)
    grid = _Trainable(given.grid, added=False)(inputs)
    images = inputs
    if quantity == "all":
        images = _Trainable(tf.zeros(given.images.shape[1:]), added=True)(inputs)
    model = keras.Model(inputs, sampler([images, grid]))
    model.compile(keras.optimizers.SGD(0.0), loss=_inner_product)
    # What `fit` and `evaluate` call for each batch.
    model.make_test_function()
    model.make_train_function()
    function = model.test_function if quantity == "forward" else model.train_function
    batch = tf.constant(given.images), tf.constant(given.upstream)
    batches = iter(tf.data.Dataset.from_tensors(batch).repeat())
    return lambda: function(batches)


def _inner_product(upstream: tf.Tensor, result: tf.Tensor) -> tf.Tensor:
    """A loss with the gradient `upstream`, in as little time as possible."""
    return tf.tensordot(tf.reshape(upstream, [-1]), tf.reshape(result, [-1]), 1)
