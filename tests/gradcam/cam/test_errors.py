"""Every message: what was received, what was expected, what to do. One case a code."""

import dataclasses
import importlib
import os
import pickle
import pkgutil
import subprocess
import sys
import types
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import gradcam
import keras_stn
from gradcam import messages as sentences
from gradcam.cam.methods import METHODS
from gradcam.errors import GradCamError, ImageError, TargetError
from gradcam.messages import about_images, about_layers, about_models, about_targets, catalogue
from gradcam.targets import Binary, Difference, Output, Regression, Segmentation, Similarity
from tests.support.gradcam_models import Subclassed, cnn, images

CASES = {}


def case(code, error, *words):
    """A function that must raise `error` with `code`, and the words that its message must have."""

    def register(function):
        CASES[function.__name__] = (code, error, words, function)
        return function

    return register


def through(function, before=True):
    """A model with an operation of one's own between a convolution and the scores."""

    class Between(layers.Layer):
        def call(self, x):
            return function(x)

        def compute_output_spec(self, x):
            return keras.KerasTensor(x.shape, "float32")

    parts = [layers.Conv2D(4, 3, activation="relu", name="conv")]
    if before:
        parts.append(Between(name="between"))
    return keras.Sequential(
        [keras.Input((16, 16, 3)), *parts, layers.GlobalAveragePooling2D(), layers.Dense(3)]
    )


def two_outputs():
    inputs = keras.Input((16, 16, 3))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name="conv")(inputs))
    return keras.Model(inputs, {"kind": layers.Dense(3)(pooled), "age": layers.Dense(1)(pooled)})


def segmentation():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, padding="same", activation="relu", name="conv"),
            layers.Conv2D(3, 1, activation="softmax", name="classes"),
        ]
    )


def unit(activation=None):
    return cnn(classes=1, activation=activation)


# The model


@case("not-a-model", gradcam.ModelError, "the string 'm.keras'", "Expected a keras.Model", "load")
def a_path():
    gradcam.explain("m.keras", images())


@case("not-a-model", gradcam.ModelError, "a Dense", "Wrap a layer in keras.Sequential")
def a_layer():
    gradcam.explain(layers.Dense(2), images())


@case("not-a-model", gradcam.ModelError, "the class Subclassed", "Make an instance")
def a_class():
    gradcam.layers(Subclassed)


@case(
    "legacy-model", gradcam.ModelError, "tf_keras package (Keras 2)", "Expected a model of Keras 3"
)
def a_tf_keras_model():
    kind = type("Model", (), {"__module__": "tf_keras.src.engine.training"})
    gradcam.explain(kind(), images())


@case("not-built", gradcam.ModelError, "is not built", "Call it on one batch")
def a_model_that_never_ran():
    gradcam.explain(Subclassed(), images())


@case(
    "layer-not-built",
    gradcam.ModelError,
    "head_not_built/head",
    "is not built",
    "Call model(images) once",
)
def a_model_whose_layer_never_ran():
    class HeadNotBuilt(keras.Model):
        def __init__(self):
            super().__init__()
            self.convolve = keras.layers.Conv2D(4, 3)
            self.head = keras.layers.Dense(2, name="head")

        def build(self, input_shape):
            self.convolve.build(input_shape)

        def call(self, x):
            return self.head(keras.ops.mean(self.convolve(x), axis=(1, 2)))

    model = HeadNotBuilt()
    model.build((None, *images().shape[1:]))
    gradcam.explain(model, images())


@case("unknown-input-shape", gradcam.ModelError, "shape of the inputs of 'bare' is not known")
def a_model_without_a_shape():
    class Bare(keras.Model):
        def call(self, x):
            return x

    model = Bare(name="bare")
    model.built = True
    gradcam.layers(model)


@case("returns-none", gradcam.ModelError, "the model 'none' returned None", "without `return`")
def a_model_that_returns_none():
    class Nothing(keras.Model):
        def call(self, x):
            keras.ops.sum(x)

    model = Nothing(name="none")
    model(images())
    gradcam.explain(model, images())


@case("returns-none", gradcam.ModelError, "layer 'silent' returned None")
def a_layer_that_returns_none():
    class Silent(layers.Layer):
        def call(self, x):
            return None

    class Outer(keras.Model):
        def __init__(self):
            super().__init__()
            self.silent = Silent(name="silent")
            self.built = True

        def call(self, x):
            return self.silent(x) * 2

    gradcam.explain(Outer(), images())


@case("returns-none", gradcam.ModelError, "layer 'net/inner/silent' returned None")
def a_layer_that_returns_none_at_the_end_of_models_around_it():
    class Silent(layers.Layer):
        is_silent = False

        def call(self, x):
            return None if self.is_silent else x

    silent = Silent(name="silent")

    class Inner(keras.Model):
        def __init__(self, then, **options):
            super().__init__(**options)
            self.then = then

        def call(self, x):
            return self.then(x)

    model = Inner(Inner(Inner(silent, name="inner"), name="net"))
    model(images())
    silent.is_silent = True
    gradcam.explain(model, images())


@case("returns-no-tensor", gradcam.ModelError, "a single number", "batch as first axis")
def a_model_that_returns_a_number():
    class Total(keras.Model):
        def call(self, x):
            return keras.ops.sum(x)

    model = Total()
    model(images())
    gradcam.explain(model, images())


@case("returns-none-among", gradcam.ModelError, "at 1", "a tensor in every place")
def a_model_that_returns_none_beside_its_scores():
    class Loss(Subclassed):
        def call(self, inputs, training=None):
            return super().call(inputs), None

    model = Loss()
    model(images())
    gradcam.explain(model, images())


@case("cannot-run", gradcam.ModelError, "raised KeyError", "no key 'mask' in red.")
def a_model_that_misses_a_key():
    class Forgetful(Subclassed):
        def call(self, inputs, training=None):
            if self.forgets:
                raise KeyError("no key 'mask' in \x1b[31mred\x1b[0m\nand a second line")
            return super().call(inputs)

    model = Forgetful()
    model.forgets = False
    model(images())
    model.forgets = True
    gradcam.explain(model, images())


@case("cannot-run", gradcam.ModelError, "raised ValueError", "too many for me")
def a_model_that_cannot_run():
    class Picky(Subclassed):
        def call(self, inputs, training=None):
            if inputs.shape[1] == 16 and self.tired:
                raise ValueError("too many for me")
            return super().call(inputs)

    model = Picky()
    model.tired = False
    model(images())
    model.tired = True
    gradcam.explain(model, images())


@case("images-shape", gradcam.ImageError, "(3, 16, 16, 5) don't fit", "Check the number of")
def wrong_channels_for_a_subclassed_model():
    model = Subclassed()
    model(images())
    gradcam.explain(model, images(channels=5))


@case("inputs-names", gradcam.ImageError, "Received 3 arrays for the inputs", "a list of 2")
def three_inputs_for_a_subclassed_model_of_two():
    class Pair(keras.Model):
        def call(self, inputs):
            return inputs[0] + inputs[1]

    model = Pair()
    model([images(2), images(2)])
    gradcam.explain(model, [images(2)] * 3)


@case("images-kind", gradcam.ImageError, "a tuple of 2 arrays", "(images, labels)", "batch[0]")
def images_with_labels():
    gradcam.explain(cnn(), (images(), np.array([0, 1, 2])))


@case("images-kind", gradcam.ImageError, "a tuple of 2 arrays", "batch[0]")
def images_with_labels_for_a_subclassed_model():
    model = Subclassed()
    model(images())
    gradcam.explain(model, (images(), np.eye(3)))


@case("images-kind", gradcam.ImageError, "Dataset as images", "next(iter(data))")
def a_data_set_of_batches():
    gradcam.explain(cnn(), tf.data.Dataset.from_tensor_slices(images()).batch(2))


@case("images-kind", gradcam.ImageError, "a generator as images", "next(iter(data))")
def a_generator_of_images():
    gradcam.explain(cnn(), (image for image in images()))


@case(
    "transformer-broken",
    gradcam.ModelError,
    "The spatial transformer 'warped' can't say where it shows each pixel",
    "returned a tensor of shape (16, 16, 2) for images of shape (None, 16, 16, 3)",
    "Expected a tensor (batch, height, width, 2)",
    "Correct that method",
)
def a_transformer_whose_way_back_has_no_batch_axis():
    class Flat(keras_stn.SpatialTransformer):
        def inverse_grid(self, theta, size):
            return super().inverse_grid(theta, size)[0]

    gradcam.explain(
        keras.Sequential([keras.Input((16, 16, 3)), Flat(name="warped"), cnn()]), images()
    )


@case("numpy-in-call", gradcam.BlockedGradientError, "Layer 'between' calls NumPy", "keras.ops")
def numpy_in_the_call():
    gradcam.explain(through(lambda x: tf.constant(np.asarray(x))), images())


@case("numpy-in-call", gradcam.BlockedGradientError, "'between' calls NumPy, or `.numpy()`")
def a_call_of_numpy():
    gradcam.explain(through(lambda x: tf.constant(x.numpy())), images())


# The layer


@case("layer-not-found", gradcam.LayerNotFoundError, "no layer 'conv_2'", "Did you mean 'conv2' or")
def an_unknown_layer():
    gradcam.explain(cnn(), images(), layer="conv_2")


@case(
    "layer-not-called", gradcam.LayerNotFoundError, "'spare' belongs to the model", "first, second"
)
def a_layer_that_is_not_used():
    model = Subclassed()
    model.spare = layers.Conv2D(2, 3, name="spare")
    model(images())
    gradcam.explain(model, images(), layer="spare")


@case("layer-unreachable", gradcam.LayerNotFoundError, "inside a loop", "can be tapped: rnn")
def a_layer_inside_a_loop():
    cell = layers.LSTMCell(3, name="cell")
    model = keras.Sequential([keras.Input((5, 2)), layers.RNN(cell, name="rnn"), layers.Dense(2)])
    gradcam.explain(model, np.zeros((1, 5, 2)), layer="cell")


@case("ambiguous-layer", gradcam.AmbiguousLayerError, "2 layers or calls", "left/conv, right/conv")
def an_ambiguous_name():
    inputs = keras.Input((16, 16, 3))
    sides = [
        keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(2, 3, name="conv")], name=name)
        for name in ("left", "right")
    ]
    x = layers.add([side(inputs) for side in sides])
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    gradcam.explain(model, images(), layer="conv")


@case("bad-layer", GradCamError, "Received 3 (int) as the layer", "path such as", "gradcam.layers")
def a_number_as_layer():
    gradcam.explain(cnn(), images(), layer=3)


@case("bad-layer", GradCamError, "an empty list")
def no_layers_at_all():
    gradcam.explain(cnn(), images(), layer=[])


@case("layer-twice", GradCamError, "'conv2' was given twice", "Expected each layer once")
def a_layer_twice():
    model = cnn()
    gradcam.explain(model, images(), layer=["conv2", "conv1", model.get_layer("conv2")])


@case(
    "no-feature-map",
    gradcam.NotAFeatureMapError,
    "all weights are in Dense layers (dense",
    ") on 64 values",
    "such as a convolution",
)
def a_dense_classifier():
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(10)]
    )
    gradcam.explain(model, np.zeros((1, 8, 8, 1)))


@case("no-feature-map", gradcam.NotAFeatureMapError, "token sequences (batch, tokens, features)")
def a_model_of_tokens():
    model = keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            layers.Embedding(9, 4),
            layers.LSTM(3, return_sequences=True),
            layers.Lambda(lambda x: x[:, -1]),
            layers.Dense(2),
        ]
    )
    gradcam.explain(model, np.zeros((1, 6), int))


@case("not-a-feature-map", gradcam.NotAFeatureMapError, "(None, 4): it has no axes of positions")
def a_layer_without_positions():
    gradcam.explain(cnn(), images(), layer="scores")


@case("not-a-feature-map", gradcam.NotAFeatureMapError, "numbers tokens", "choose a convolution")
def a_layer_of_tokens():
    inputs = keras.Input((8, 8, 3))
    x = layers.Reshape((16, 4))(layers.Conv2D(4, 2, strides=2, name="patches")(inputs))
    x = layers.MultiHeadAttention(1, 4, name="attention")(x, x)
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))
    gradcam.explain(model, images(size=8), layer="attention")


@case("not-a-feature-map", gradcam.NotAFeatureMapError, "only one position", "before the pooling")
def a_layer_of_one_position():
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(3, 3)(inputs)
    x = layers.Conv2D(2, 1, name="one")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    gradcam.explain(keras.Model(inputs, layers.Flatten()(x)), images(), layer="one")


@case(
    "disconnected-layer", gradcam.DisconnectedLayerError, "does not depend on the layer 'aside'",
    "Connected candidates: conv",
)  # fmt: skip
def a_disconnected_layer():
    inputs = keras.Input((16, 16, 3))
    aside = layers.Dense(1)(layers.Flatten()(layers.Conv2D(3, 3, name="aside")(inputs)))
    scores = layers.Dense(1)(layers.Flatten()(layers.Conv2D(3, 3, name="conv")(inputs)))
    model = keras.Model(inputs, {"scores": scores, "other": aside})
    gradcam.explain(model, images(), Output("scores", Regression()), layer="aside")


def stopped(name, function):
    words = ("stops before it reaches 'conv'", f"{name} in 'between'", "Replace that operation")

    def run():
        gradcam.explain(through(function), images(), layer="conv")

    run.__name__ = f"stopped_by_{name}"
    case("blocked-gradient", gradcam.BlockedGradientError, *words)(run)


stopped("tf.stop_gradient", tf.stop_gradient)
stopped("round", tf.round)
stopped(
    "argmax", lambda x: tf.cast(tf.argmax(x, -1), tf.float32)[..., None] + 0 * tf.ones((1, 1, 1, 4))
)
stopped("a cast to int32", lambda x: tf.cast(tf.cast(x, tf.int32), tf.float32))
stopped("a comparison", lambda x: tf.cast(x > 0, tf.float32))
stopped(
    "a NumPy call (tf.numpy_function)",
    lambda x: tf.ensure_shape(tf.numpy_function(np.copy, [x], tf.float32), x.shape),
)


stopped(
    "ResizeArea (which has no gradient)",
    lambda x: tf.image.resize(x, (7, 7), method="area"),
)


@tf.custom_gradient
def without_gradient(x):
    return x * 2, lambda _: None


stopped("a custom gradient (tf.custom_gradient, rematerialisation)", without_gradient)


@case("input-unknown", gradcam.ImageError, "'pictures' is not one of the model's", "left, right")
def an_unknown_input():
    gradcam.explain(two_inputs(), [images(), images()], input="pictures")


def two_inputs():
    left, right = keras.Input((16, 16, 3), name="left"), keras.Input((16, 16, 3), name="right")
    x = layers.Conv2D(4, 3, name="conv")(layers.add([left, right]))
    return keras.Model([left, right], layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))


@case("input-in-doubt", gradcam.ImageError, "'conv' sees several inputs", "left, right", "input=")
def a_doubt_about_the_input():
    gradcam.explain(two_inputs(), [images(), images()])


@case("input-unseen", gradcam.ImageError, "'encoder[0]' does not see the input 'right'", "left")
def an_input_that_the_layer_does_not_see():
    encoder = layers.Conv2D(4, 3, name="encoder")
    left, right = keras.Input((16, 16, 3), name="left"), keras.Input((16, 16, 3), name="right")
    x = layers.Flatten()(layers.add([encoder(left), encoder(right)]))
    model = keras.Model([left, right], layers.Dense(2)(x))
    gradcam.explain(model, [images(), images()], layer="encoder[0]", input="right")


@case("not-maskable", gradcam.NotAFeatureMapError, "scorecam masks", "type int32")
def masking_words():
    model = keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            layers.Embedding(9, 4),
            layers.Conv1D(3, 2, activation="relu"),
            layers.GlobalMaxPooling1D(),
            layers.Dense(2),
        ]
    )
    gradcam.explain(model, np.arange(6)[None], method="scorecam")


@case("fixed-batch", gradcam.ModelError, "batches of exactly 2", "use a gradient method")
def many_runs_of_a_fixed_batch():
    inputs = keras.Input(batch_shape=(2, 8, 8, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(3, 3, name="conv")(inputs))
    model = keras.Model(inputs, layers.Dense(2)(x))
    assert gradcam.explain(model, images(2, 8)).maps.shape == (2, 6, 6)
    gradcam.explain(model, images(2, 8), method="ablationcam")


# The images


@case("images-kind", gradcam.ImageError, "a str as images", "gradcam.read_images")
def a_file_name_as_images():
    gradcam.explain(cnn(), "cat.jpg")


@case("images-kind", gradcam.ImageError, "next(iter(data))")
def a_data_set_as_images():
    gradcam.explain(cnn(), tf.data.Dataset.from_tensors(images()).take(1).__iter__())


@case("images-kind", gradcam.ImageError, "arrays of different shapes", "one size first")
def images_of_many_sizes():
    gradcam.explain(cnn(), [images(1, 16)[0], images(1, 12)[0]])


@case("images-kind", gradcam.ImageError, "an array of <U")
def words_as_images():
    gradcam.explain(cnn(), ["a", "b"])


@case("images-empty", gradcam.ImageError, "shape (0, 16, 16, 3)", "at least one")
def no_images():
    gradcam.explain(cnn(), images()[:0])


@case("images-rank", gradcam.ImageError, "(16, 16) have 2 axes", "(batch, 16, 16, 3)")
def one_flat_image():
    gradcam.explain(cnn(), images()[0, :, :, 0])


@case("images-rank", gradcam.ImageError, "have 5 axes", "Stack the images to one batch")
def a_batch_of_batches():
    gradcam.explain(cnn(), images()[None])


@case("images-rank", gradcam.ImageError, "have 2 axes", "(batch, 16, 16, 3)")
def one_flat_image_for_a_subclassed_model():
    model = Subclassed()
    model(images())
    gradcam.explain(model, images()[0, :, :, 0])


@case("images-shape", gradcam.ImageError, "(3, 12, 12, 3) don't fit", "Resize the images")
def images_of_the_wrong_size():
    gradcam.explain(cnn(), images(size=12))


@case("images-shape", gradcam.ImageError, "look channels-first", "np.moveaxis(images, 1, -1)")
def channels_first_images():
    gradcam.explain(cnn(), np.moveaxis(images(), -1, 1))


@case("images-shape", gradcam.ImageError, "np.repeat(images, 3, axis=-1)")
def grey_images():
    gradcam.explain(cnn(), images(channels=1))


@case("images-shape", gradcam.ImageError, "Drop the alpha channel")
def images_with_alpha():
    gradcam.explain(cnn(), images(channels=4))


@case("images-batch", gradcam.ImageError, "different numbers of rows: 3, 2")
def inputs_of_different_length():
    gradcam.explain(two_inputs(), [images(3), images(2)])


@case("images-fixed-batch", gradcam.ImageError, "Received 3 images", "exactly 2")
def a_batch_of_the_wrong_size():
    inputs = keras.Input(batch_shape=(2, 8, 8, 3))
    gradcam.explain(keras.Model(inputs, layers.Conv2D(3, 3)(inputs)), images(3, 8))


@case(
    "inputs-names",
    gradcam.ImageError,
    "Received a dict with left, middle for the inputs",
    "takes left, right",
)
def inputs_by_the_wrong_names():
    gradcam.explain(two_inputs(), {"left": images(), "middle": images()})


@case("inputs-names", gradcam.ImageError, "Received one array for the inputs", "a list of 2")
def one_array_for_a_subclassed_model_of_two():
    class Pair(keras.Model):
        def call(self, inputs):
            return inputs[0] + inputs[1]

    model = Pair()
    model([images(2), images(2)])
    gradcam.explain(model, images(2))


@case("inputs-names", gradcam.ImageError, "Received one array for the inputs")
def too_few_inputs():
    gradcam.explain(two_inputs(), images())


def with_nan(value=np.nan):
    x = images()
    x[1, 0, 0, 0] = value
    return x


@case("non-finite-images", gradcam.NonFiniteError, "NaN in image 1", "read and scaled")
def nan_in_an_image():
    gradcam.explain(cnn(), with_nan(), batch_size=1)


@case("non-finite-images", gradcam.NonFiniteError, "An infinity in image 1 of input 'right'")
def infinity_in_the_second_input():
    gradcam.explain(two_inputs(), [images(), with_nan(-np.inf)], input="left")


@case(
    "non-finite-activations", gradcam.NonFiniteError, "NaN in", "images 0, 1, 2", "first in 'conv'"
)
def nan_in_a_weight():
    model = through(lambda x: x * 1)
    model.layers[0].activation = keras.activations.linear
    model.layers[0].bias.assign([np.nan] * 4)
    gradcam.explain(model, images())


@case("non-finite-activations", gradcam.NonFiniteError, "An infinity", "first in 'between'")
def overflow_in_a_layer():
    gradcam.explain(through(lambda x: tf.exp(x * 1e4)), np.abs(images()) + 1, layer="conv")


@case("non-finite-activations", gradcam.NonFiniteError, "first in the target")
def a_target_that_is_not_finite():
    gradcam.explain(
        cnn(), images(), target=lambda scores: tf.reduce_sum(tf.math.log(0 * scores), 1)
    )


@case(
    "non-finite-gradients",
    gradcam.NonFiniteError,
    "the gradient of the function <lambda>",
    "behind 'scores' on the way back",
)
def an_infinite_gradient():
    model = cnn()
    # sqrt has no slope at 0: the score is finite, its gradient is not.
    gradcam.explain(model, images(), target=lambda s: tf.reduce_sum(tf.sqrt(0 * s), 1))


@case("non-finite-map", gradcam.NonFiniteError, "The map of 'conv2' has a NaN or an infinity")
def a_map_that_overflows():
    overflowing = dataclasses.replace(
        METHODS["hirescam"], function=lambda activations, gradients: activations[..., 0] * np.inf
    )
    with mock.patch.dict(METHODS, {"overflowing": overflowing}):
        gradcam.explain(cnn(), images(), method="overflowing")


@case("image-unreadable", gradcam.ImageError, "nowhere.png", "No such file")
def a_file_that_is_not_there():
    gradcam.read_images("/nowhere.png", 8)


@case("image-unreadable", gradcam.ImageError, "no image of a known format", "JPEG, PNG")
def a_file_that_is_no_image():
    gradcam.read_images([__file__], 8)


@case("images-undrawable", gradcam.ImageError, "(3, 8, 8, 3) can't be drawn", "that were explained")
def images_of_another_size_under_heatmaps():
    gradcam.explain(cnn(), images()).overlay(images(size=8))


@case("maps-undrawable", gradcam.ImageError, "are not pictures", "Use `heatmaps` as an array")
def a_heatmap_along_time():
    model = keras.Sequential(
        [keras.Input((8, 2)), layers.Conv1D(3, 3), layers.GlobalAveragePooling1D(), layers.Dense(2)]
    )
    explanation = gradcam.explain(model, np.ones((1, 8, 2)), target=0, relu=False)
    gradcam.pictures.encode(gradcam.pictures.colour(explanation.heatmaps[0], "turbo"))


# The target


@case("several-outputs", TargetError, "2 outputs: 'age', 'kind'", "targets.Output(name, target)")
def no_target_for_two_outputs():
    gradcam.explain(two_outputs(), images())


@case("several-outputs", TargetError, "targets.Output(name, target)")
def a_class_for_two_outputs():
    gradcam.explain(two_outputs(), images(), 1)


@case("unknown-output", TargetError, "no output 'kinds'", "Did you mean 'kind'?", "age, kind")
def an_unknown_output():
    gradcam.explain(two_outputs(), images(), Output("kinds", 1))


@case("class-range", TargetError, "Class 4 is out of range", "0 to 3", "counted from 0")
def a_class_out_of_range():
    gradcam.explain(cnn(), images(), 4)


@case("class-range", TargetError, "Class -1 is out of range for image 1")
def a_class_out_of_range_for_one_image():
    gradcam.explain(cnn(), images(), [0, -1, 2])


@case("class-range", TargetError, "Class 9 is out of range", "3 classes")
def a_class_out_of_range_in_a_segmentation():
    gradcam.explain(segmentation(), images(size=8), 9)


@case("class-range", TargetError, "Class 7 is out of range")
def a_class_out_of_range_in_a_difference():
    gradcam.explain(cnn(), images(), Difference(0, 7))


@case("one-unit", TargetError, "one linear unit", "Binary(positive=True)")
def class_one_of_a_linear_unit():
    gradcam.explain(unit(), images(), 1)


@case("class-range", TargetError, "Class 2 is out of range", "2 classes")
def class_two_of_a_sigmoid_unit():
    gradcam.explain(unit("sigmoid"), images(), 2)


@case(
    "unknown-class",
    TargetError,
    "'catt' is not one of",
    "cat, dog, eel, fox",
    "Did you mean 'cat'?",
)
def an_unknown_class_name():
    gradcam.explain(cnn(), images(), "catt", class_names=["cat", "dog", "eel", "fox"])


@case("no-class-names", TargetError, "class name 'cat', but no names", "class_names=[...]")
def a_class_name_without_names():
    gradcam.explain(cnn(), images(), "cat")


@case("class-names-length", TargetError, "Received 2 class names", "4 classes")
def too_few_class_names():
    gradcam.explain(cnn(), images(), "cat", class_names=["cat", "dog"])


@case("class-names-length", TargetError, "Received 2 class names", "4 classes")
def too_few_class_names_for_the_top_class():
    gradcam.explain(cnn(), images(), class_names=["cat", "dog"])


@case("unknown-option", GradCamError, "class_names=5", "a list of names")
def class_names_that_are_a_number():
    gradcam.explain(cnn(), images(), class_names=5)


@case("images-kind", ImageError, "for an input that takes words")
def numbers_for_a_model_of_words():
    inputs = keras.Input((1,), dtype="string")
    lookup = layers.StringLookup(vocabulary=["a", "b"], output_mode="one_hot")
    gradcam.explain(keras.Model(inputs, layers.Dense(2)(lookup(inputs))), np.zeros((1, 1)))


@case("target-kind", TargetError, "Received 1.5 as the target", "a class index")
def a_float_as_target():
    gradcam.explain(cnn(), images(), 1.5)


@case("target-kind", TargetError, "Received [[1, 2], [3]] as the target")
def a_ragged_list_as_target():
    gradcam.explain(cnn(), images(2), [[1, 2], [3]])


@case("target-kind", TargetError, "Received [[1, 2], [3]] as the target")
def a_ragged_list_in_a_class():
    gradcam.explain(cnn(), images(2), gradcam.targets.Class([[1, 2], [3]]))


@case("target-kind", TargetError, "Received [True, False] as the target", "a class index")
def bools_in_a_class():
    gradcam.explain(cnn(), images(2), gradcam.targets.Class([True, False]))


@case("class-range", TargetError, "is out of range", "0 to 3")
def a_class_that_overflows():
    gradcam.explain(cnn(), images(2), 2**32)


@case("unit-range", TargetError, "Unit 7 is out of range", "4 units", "0 to 3")
def a_unit_out_of_range():
    gradcam.explain(cnn(), images(2), Regression(7))


@case("ambiguous-class", TargetError, "classes are called 'crane': 1, 3", "Give the index")
def a_class_name_that_two_have():
    names = ["ant", "crane", "dog", "crane"]
    assert gradcam.explain(cnn(), images(1), 1, class_names=names).targets == ("crane",)
    gradcam.explain(cnn(), images(2), "crane", class_names=names)


@case("target-argument", TargetError, "Received NaN as the mask", "finite numbers of shape")
def a_mask_with_nan():
    gradcam.explain(segmentation(), images(1, 8), Segmentation(0, np.full((8, 8), np.nan)))


@case("target-argument", TargetError, "Received [['a']] as the mask of Segmentation")
def words_as_a_mask():
    gradcam.explain(segmentation(), images(1, 8), Segmentation(0, [["a"]]))


@case("target-argument", TargetError, "Received [[1, 0], [1]] as the mask")
def a_ragged_mask():
    gradcam.explain(segmentation(), images(1, 8), Segmentation(0, [[1, 0], [1]]))


@case("target-argument", TargetError, "Received an infinity as the reference", "finite numbers")
def a_reference_with_an_infinity():
    gradcam.explain(cnn(), images(1), Similarity([1.0, np.inf, 0.0, 0.0]))


@case("target-argument", TargetError, "Received [[1.0], [1.0, 2.0]] as the reference")
def a_ragged_reference():
    gradcam.explain(cnn(), images(2), Similarity([[1.0], [1.0, 2.0]]))


@case("target-kind", TargetError, "Received True as the target")
def a_bool_as_target():
    gradcam.explain(cnn(), images(), True)


@case("target-kind", TargetError, "Make an instance of it")
def a_target_class_as_target():
    gradcam.explain(cnn(), images(), Binary)


@case("target-count", TargetError, "Received 2 classes for 3 images", "one per image")
def too_few_classes():
    gradcam.explain(cnn(), images(), [0, 1])


@case("target-count", TargetError, "Received 2 masks for 3 images")
def too_few_masks():
    gradcam.explain(segmentation(), images(size=8), Segmentation(0, np.ones((2, 8, 8))))


@case(
    "target-output", TargetError, "Segmentation(0) can't be read from an output of shape (None, 4)"
)
def a_segmentation_of_a_classifier():
    gradcam.explain(cnn(), images(), Segmentation(0))


@case("target-output", TargetError, "Binary(positive=True) can't be read", "(batch, 1)")
def a_side_of_four_classes():
    gradcam.explain(cnn(), images(), Binary())


@case("mask-shape", TargetError, "(4, 4)", "(8, 8), the size of the model's output")
def a_mask_of_the_wrong_size():
    gradcam.explain(segmentation(), images(size=8), Segmentation(0, np.ones((4, 4))))


@case("mask-shape", TargetError, "(8,)", "(height, width)")
def a_mask_of_the_wrong_rank():
    gradcam.explain(segmentation(), images(size=8), Segmentation(0, np.ones(8)))


@case("reference-shape", TargetError, "The reference has shape (3,)", "(4,) or (batch, 4)")
def a_reference_of_the_wrong_size():
    gradcam.explain(cnn(), images(), Similarity([1.0, 2.0, 3.0]))


@case("target-function", TargetError, "shape (None, 4)", "(batch,)", "Sum over the other axes")
def a_target_function_of_the_wrong_shape():
    gradcam.explain(cnn(), images(), lambda scores: scores)


@case("target-function", TargetError, "a NoneType")
def a_target_function_without_return():
    gradcam.explain(cnn(), images(), lambda scores: None)


@case("target-raised", TargetError, "the function <lambda> raised KeyError: 'kinds'", "Correct it")
def a_target_function_that_raises():
    gradcam.explain(two_outputs(), images(), lambda outputs: outputs["kinds"])


@case("target-argument", TargetError, "Received 'yes' as the side", "True, False or None")
def a_word_for_a_side():
    Binary("yes")


@case("target-argument", TargetError, "Received [True, False]", "target=[1, 0, ...]")
def one_side_an_image():
    Binary([True, False])


@case("target-argument", TargetError, "Received 'a' as the index of Regression", "a unit")
def a_word_for_a_unit():
    Regression("a")


@case("target-argument", TargetError, "Received 'abc' as the reference", "finite numbers of shape")
def a_word_for_a_reference():
    gradcam.explain(cnn(), images(), Similarity("abc"))


@case("target-argument", TargetError, "Received [0] as the name of Output", "or its number")
def a_list_for_an_output():
    Output([0], 1)


@case("top-k", TargetError, "top_k=9", "at most 4, the number of classes")
def too_many_top_classes():
    gradcam.explain(cnn(), images(), top_k=9)


@case("top-k", TargetError, "top_k=2", "without target=1")
def top_classes_and_a_target():
    gradcam.explain(cnn(), images(), 1, top_k=2)


@case("top-k", TargetError, "without target=Output(name='kind'", "give target=Output('kind')")
def top_classes_and_a_target_in_an_output():
    gradcam.explain(two_outputs(), images(), Output("kind", 1), top_k=2)


@case("top-k", TargetError, "top_k=0", "a number from 1")
def no_top_classes():
    gradcam.explain(cnn(), images(), top_k=0)


@case("top-k", TargetError, "(batch, classes)", "leave top_k out")
def top_classes_of_one_unit():
    gradcam.explain(unit(), images(), top_k=2)


# Options


@case("unknown-option", GradCamError, "method='gradcam+'", "Did you mean 'gradcam++'", "scorecam")
def an_unknown_method():
    gradcam.explain(cnn(), images(), method="gradcam+")


@case("unknown-option", GradCamError, "score='logits'", "Did you mean 'logit'?", "probability")
def an_unknown_score():
    gradcam.explain(cnn(), images(), score="logits")


@case("unknown-option", GradCamError, "fuse='median'", "mean, max")
def an_unknown_fusion():
    gradcam.explain(cnn(), images(), fuse="median")


@case("unknown-option", GradCamError, "relu='no'", "True or False")
def a_word_for_relu():
    gradcam.explain(cnn(), images(), relu="no")


@case("unknown-option", GradCamError, "max_channels=0", "a number from 1")
def no_channels():
    gradcam.explain(cnn(), images(), max_channels=0)


@case("unknown-option", GradCamError, "class_names='cat'", "a list of names")
def one_word_as_class_names():
    gradcam.explain(cnn(), images(), class_names="cat")


@case("unknown-option", GradCamError, "colormap='turbow'", "Did you mean 'turbo'")
def an_unknown_colormap():
    gradcam.explain(cnn(), images()).overlay(images(), colormap="turbow")


@case("unknown-option", ImageError, "alpha=2", "from 0 to 1")
def too_much_alpha():
    gradcam.explain(cnn(), images()).overlay(images(), alpha=2)


@case("unknown-option", ImageError, "alpha='half'", "a number from 0 to 1", "0 shows the image")
def a_word_for_alpha():
    gradcam.explain(cnn(), images()).overlay(images(), alpha="half")


@case("unknown-option", ImageError, "alpha=None", "a number from 0 to 1")
def no_alpha():
    gradcam.explain(cnn(), images()).overlay(images(), alpha=None)


@case("fuse-inputs", GradCamError, "different inputs: left, right", "one by one")
def layers_of_different_inputs():
    encoder = layers.Conv2D(4, 3, name="encoder")
    left, right = keras.Input((16, 16, 3), name="left"), keras.Input((16, 16, 3), name="right")
    x = layers.Flatten()(layers.add([encoder(left), encoder(right)]))
    model = keras.Model([left, right], layers.Dense(2)(x))
    gradcam.explain(model, [images(), images()], layer=["encoder[0]", "encoder[1]"])


@case(
    "fuse-frames",
    GradCamError,
    "The layers see the image in different frames: 'before' through none, 'behind' through stn",
    "Expected layers behind the same spatial transformers",
    "Explain them one by one",
)
def fuse_in_different_frames():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(3, 3, padding="same", name="before")(inputs)
    x = layers.Conv2D(4, 3, name="behind")(keras_stn.SpatialTransformer(name="stn")(x))
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    gradcam.explain(model, images(size=8), target=0, layer=["before", "behind"])


@case("fuse-ranks", GradCamError, "[1, 2] axes of positions")
def layers_of_different_rank():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="flat")(inputs)
    x = layers.Conv1D(4, 3, name="long")(layers.Reshape((36, 4))(x))
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))
    gradcam.explain(model, images(size=8), target=0, layer=["flat", "long"])


@pytest.mark.parametrize("name", CASES)
def test_the_message_says_what_was_received_what_was_expected_and_what_to_do(name):
    code, error, words, function = CASES[name]
    with pytest.raises(error) as caught:
        function()
    assert caught.value.code == code
    assert isinstance(caught.value, gradcam.GradCamError)
    assert isinstance(caught.value, ValueError)
    text = str(caught.value)
    for word in words:
        assert word in text
    assert "{" not in text
    assert "  " not in text
    assert text.endswith((".", "?"))


def test_every_code_has_a_case():
    tested = {code for code, *_ in CASES.values()}
    elsewhere = {"wrong-backend", "legacy-keras", "channels-first-kernel"}
    elsewhere |= {"out-of-memory", "cannot-compute"}  # with the models that run into them
    themes = (about_models, about_layers, about_images, about_targets)
    assert {code for theme in themes for code in theme.WORDS} == tested | elsewhere


def test_no_code_stands_in_two_themes():
    names = {f"gradcam.messages.{info.name}" for info in pkgutil.iter_modules(sentences.__path__)}
    names.remove("gradcam.messages.catalogue")
    themes = map(importlib.import_module, names)  # one without WORDS is a part of another
    codes = [code for theme in themes for code in getattr(theme, "WORDS", ())]
    assert sorted(codes) == sorted(catalogue.WORDS)


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        (
            "KERAS_BACKEND",
            "jax",
            "Keras runs on jax. gradcam explains models of Keras 3 on TensorFlow",
        ),
        ("KERAS_BACKEND", "torch", "Keras runs on torch"),
        ("TF_USE_LEGACY_KERAS", "1", "TF_USE_LEGACY_KERAS=1 makes tf.keras the Keras 2"),
    ],
)
def test_another_backend_gets_one_clear_error(variable, value, words):
    code = (
        "import gradcam\n"
        "try:\n    gradcam.explain\n"
        "except gradcam.ModelError as error:\n    print(error)"
    )
    environment = os.environ | {variable: value}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert words in result.stdout


def test_an_error_survives_pickling():
    error = TargetError("no-class-names", name="cat")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.code, str(copy)) == (TargetError, error.code, str(error))


def test_importing_the_package_imports_neither_tensorflow_nor_keras():
    code = (
        "import sys, gradcam; dir(gradcam); gradcam.TargetError;"
        "assert not {'tensorflow', 'keras', 'numpy', 'cv2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_public_names_are_there():
    for name in gradcam.__all__:
        assert getattr(gradcam, name) is not None
    assert dir(gradcam) == sorted(gradcam.__all__)
    assert isinstance(gradcam.targets, types.ModuleType)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        gradcam.nothing  # noqa: B018
