"""Small models with random weights that the tests of gradcam share."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers


def images(count=3, size=16, channels=3, seed=0):
    return np.random.default_rng(seed).normal(size=(count, size, size, channels)).astype("float32")


def cnn(classes=4, activation=None, size=16, name=None):
    """Convolution, pooling, convolution, global average pooling, dense."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((size, size, 3))
    x = layers.Conv2D(6, 3, activation="relu", name="conv1")(inputs)
    x = layers.MaxPooling2D(name="pool")(x)
    x = layers.Conv2D(8, 3, activation="relu", name="conv2")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    outputs = layers.Dense(classes, activation=activation, name="scores")(x)
    return keras.Model(inputs, outputs, name=name)


def flatten_cnn(classes=4, size=10):
    """A head that is not pooling: the position of evidence matters."""
    keras.utils.set_random_seed(2)
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.Conv2D(5, 3, activation="relu", name="conv"),
            layers.Flatten(),
            layers.Dense(classes, name="scores"),
        ]
    )


def backbone(name="backbone", kind="functional"):
    stack = [
        layers.Conv2D(6, 3, activation="relu", name="conv1"),
        layers.BatchNormalization(name="norm"),
        layers.Conv2D(8, 3, activation="relu", name="conv2"),
    ]
    if kind == "sequential":
        return keras.Sequential([keras.Input((16, 16, 3)), *stack], name=name)
    inputs = keras.Input((16, 16, 3))
    x = inputs
    for layer in stack:
        x = layer(x)
    return keras.Model(inputs, x, name=name)


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    """A model that only runs: convolution, an inner model, a head."""

    def __init__(self, inner=None, first=None, **kwargs):
        super().__init__(**kwargs)
        self.first = first or layers.Conv2D(6, 3, activation="relu", name="first")
        self.inner = inner or layers.Conv2D(8, 3, activation="relu", name="second")
        self.pool = layers.GlobalAveragePooling2D(name="pool")
        self.head = layers.Dense(4, name="head")

    def build(self, shape):
        """Left to the first call."""

    def call(self, inputs, training=None):
        return self.head(self.pool(self.inner(self.first(inputs), training=training)))


def nested(depth, kind="functional"):
    """The same layers, `depth` models deep, and the twin without nesting that shares them."""
    keras.utils.set_random_seed(3)
    inner = backbone(kind=kind)
    body = inner.layers if kind == "sequential" else inner.layers[1:]
    path = "backbone/conv2"
    for level in range(depth - 1):
        name = f"level{level}"
        if kind == "sequential":
            inner = keras.Sequential([keras.Input((16, 16, 3)), inner], name=name)
        else:
            inputs = keras.Input((16, 16, 3))
            inner = keras.Model(inputs, inner(inputs), name=name)
        path = f"{name}/{path}"
    pool, head = layers.GlobalAveragePooling2D(), layers.Dense(4, activation="softmax")
    inputs = keras.Input((16, 16, 3))
    model = keras.Model(inputs, head(pool(inner(inputs))))
    inputs = keras.Input((16, 16, 3))
    x = inputs
    for layer in body:
        x = layer(x)
    return model, path, keras.Model(inputs, head(pool(x)))


def state(model):
    """Everything that explaining must not change, as something that can be compared."""
    found = []
    for layer in model._flatten_layers():
        attributes = {
            name: value if isinstance(value, int | str | bool | float) else id(value)
            for name, value in vars(layer).items()
        }
        nodes = len(layer._inbound_nodes), len(layer._outbound_nodes)
        weights = [variable.numpy().tobytes() for variable in layer.variables]
        found.append((attributes, nodes, layer.trainable, list(layer._losses), weights))
    found.append(
        (model.compiled, [op._inbound_nodes[:] for op in getattr(model, "operations", [])])
    )
    return found
