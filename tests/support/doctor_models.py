"""Broken models and their healthy twins, for the tests of the doctor."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from keras import layers

SIZE = 16


def images(count=4, size=SIZE, channels=3, low=0.0, high=1.0):
    generator = np.random.default_rng(7)
    return generator.uniform(low, high, (count, size, size, channels)).astype("float32")


@keras.saving.register_keras_serializable("tests")
class Does(layers.Layer):
    """A layer that does what a function says."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, x):
        return self.function(x)

    def compute_output_shape(self, shape):
        return shape


def with_middle(middle, classes=3, activation=None, hidden=8):
    """Convolution, whatever is put in the middle, convolution, pooling, head."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(6, 3, activation="relu", name="first")(inputs)
    x = layers.Conv2D(hidden, 3, activation="relu", name="second")(x)
    if middle is not None:
        x = middle(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(12, activation="relu", name="hidden")(x)
    return keras.Model(inputs, layers.Dense(classes, activation=activation, name="head")(x))


def compiled(model, loss="sparse_categorical_crossentropy"):
    model.compile("sgd", loss)
    return model


def functional():
    return compiled(with_middle(None, activation="softmax"))


def sequential():
    keras.utils.set_random_seed(4)
    stack = [
        keras.Input((SIZE, SIZE, 3)),
        layers.Rescaling(1 / 255),
        layers.Conv2D(8, 3, activation="relu", name="conv"),
        layers.MaxPooling2D(),
        layers.Conv2D(8, 3, name="conv2"),
        layers.BatchNormalization(),
        layers.ReLU(name="relu"),
        layers.Dropout(0.3),
        layers.Flatten(),
        layers.Dense(3, activation="softmax"),
    ]
    return compiled(keras.Sequential(stack))


def nested():
    keras.utils.set_random_seed(5)
    backbone = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.Conv2D(8, 3, use_bias=False, name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.Activation("swish", name="swish"),
        ],
        name="backbone",
    )
    backbone.trainable = False
    inputs = keras.Input((SIZE, SIZE, 3))
    x = backbone(inputs, training=False)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.2)(x)
    outputs = layers.Dense(1, activation="sigmoid", name="head")(x)
    return compiled(keras.Model(inputs, outputs), "binary_crossentropy")


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv = layers.Conv2D(8, 3, activation="gelu", name="conv")
        self.norm = layers.LayerNormalization(name="norm")
        self.pool = layers.GlobalAveragePooling2D(name="pool")
        self.drop = layers.Dropout(0.5, name="drop")
        self.head = layers.Dense(3, name="head")

    def call(self, x, training=None):
        return self.head(self.drop(self.pool(self.norm(self.conv(x))), training=training))


def subclassed():
    keras.utils.set_random_seed(6)
    model = Subclassed()
    model(images())
    return compiled(model, keras.losses.SparseCategoricalCrossentropy(from_logits=True))


def residual():
    keras.utils.set_random_seed(7)
    inputs = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="stem")(inputs)
    for number in range(3):
        y = layers.Conv2D(8, 3, padding="same", name=f"conv{number}")(x)
        # Begins as nothing, as in many residual networks.
        y = layers.BatchNormalization(gamma_initializer="zeros", name=f"norm{number}")(y)
        x = layers.ReLU(name=f"relu{number}")(x + y)
    x = layers.GlobalAveragePooling2D()(x)
    return compiled(keras.Model(inputs, layers.Dense(3, activation="softmax", name="head")(x)))


def segmentation():
    keras.utils.set_random_seed(8)
    inputs = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="down")(inputs)
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2DTranspose(8, 3, strides=2, padding="same", activation="relu", name="up")(x)
    outputs = layers.Conv2D(2, 1, activation="softmax", name="mask")(x)
    return compiled(keras.Model(inputs, outputs))


def two_outputs():
    keras.utils.set_random_seed(9)
    inputs = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(8, 3, activation="relu", name="conv")(inputs)
    x = layers.GlobalAveragePooling2D()(x)
    outputs = {
        "kind": layers.Dense(3, activation="softmax", name="kind")(x),
        "age": layers.Dense(1, name="age")(x),
    }
    model = keras.Model(inputs, outputs)
    return compiled(model, {"kind": "sparse_categorical_crossentropy", "age": "mse"})


def regression():
    keras.utils.set_random_seed(10)
    inputs = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(8, 3, activation="elu", name="conv")(inputs)
    return compiled(keras.Model(inputs, layers.Dense(1)(layers.GlobalMaxPooling2D()(x))), "mse")


def recurrent():
    keras.utils.set_random_seed(11)
    inputs = keras.Input((SIZE, SIZE))
    x = layers.LSTM(8, name="lstm")(inputs)
    return compiled(keras.Model(inputs, layers.Dense(2, activation="softmax", name="head")(x)))


def autoencoder():
    keras.utils.set_random_seed(12)
    inputs = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="encode")(inputs)
    x = layers.Flatten()(x)
    x = layers.Dense(8 * 8 * 4, activation="relu", name="code")(x)
    x = layers.Reshape((8, 8, 4))(x)
    x = layers.Conv2DTranspose(3, 3, strides=2, padding="same", name="decode")(x)
    return compiled(keras.Model(inputs, x), "mae")


def vision_transformer():
    keras.utils.set_random_seed(13)
    inputs = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(8, 4, strides=4, name="patches")(inputs)
    x = layers.Reshape((16, 8))(x)
    y = layers.LayerNormalization()(x)
    x = x + layers.MultiHeadAttention(2, 4, name="attention")(y, y)
    x = layers.GlobalAveragePooling1D()(x)
    return compiled(keras.Model(inputs, layers.Dense(3, activation="softmax", name="head")(x)))


HEALTHY = {
    function.__name__: function
    for function in (
        functional,
        sequential,
        nested,
        subclassed,
        residual,
        segmentation,
        two_outputs,
        regression,
        recurrent,
        autoencoder,
        vision_transformer,
    )
}


def transformer(model_layer, size=SIZE):
    """A spatial transformer in front of a small classifier."""
    keras.utils.set_random_seed(14)
    inputs = keras.Input((size, size, 1))
    x = model_layer(inputs)
    x = layers.Conv2D(8, 3, activation="relu", name="conv")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return compiled(keras.Model(inputs, layers.Dense(3, activation="softmax", name="head")(x)))


def numpy_function(x):
    y = tf.numpy_function(lambda value: value * 2, [x], tf.float32)
    y.set_shape(x.shape)
    return y


def py_function(x):
    y = tf.py_function(lambda value: tf.constant(value.numpy() * 2), [x], tf.float32)
    y.set_shape(x.shape)
    return y


@tf.custom_gradient
def without_gradient(x):
    return x * 2.0, lambda upstream: None
