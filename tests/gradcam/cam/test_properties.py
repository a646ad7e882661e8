"""What must hold for any architecture: random ones, with branches, skips, nesting and sharing."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from keras import layers

import gradcam
from tests.support.gradcam_models import images, state

SIZE = 8
STEPS = ("conv", "skip", "branch", "nest", "share", "pool", "norm", "swish")


class Builder:
    """Builds a model from a list of steps."""

    def __init__(self, steps, ending):
        keras.backend.clear_session()
        keras.utils.set_random_seed(0)
        self.shared = None
        inputs = keras.Input((SIZE, SIZE, 3))
        x = self.conv(inputs)
        for step in steps:
            x = getattr(self, step)(x)
        x = layers.Flatten()(x) if ending == "flatten" else layers.GlobalAveragePooling2D()(x)
        outputs = layers.Dense(3, activation="softmax")(layers.Dense(5, activation="tanh")(x))
        self.model = keras.Model(inputs, outputs)

    def conv(self, x):
        return layers.Conv2D(4, 3, padding="same", activation="relu")(x)

    def skip(self, x):
        return x + self.conv(x)

    def branch(self, x):
        joined = layers.Concatenate()([self.conv(x), self.norm(x)])
        return layers.Conv2D(4, 1)(joined)

    def nest(self, x, depth=2):
        inputs = keras.Input(x.shape[1:])
        inner = self.nest(inputs, depth - 1) if depth > 1 else self.skip(inputs)
        return keras.Model(inputs, inner)(x)

    def share(self, x):
        if self.shared is None:
            inputs = keras.Input((None, None, 4))
            self.shared = keras.Model(inputs, self.conv(inputs), name="shared")
        return self.shared(x) + self.shared(self.swish(x))

    def pool(self, x):
        return layers.MaxPooling2D(2, padding="same")(x)

    def norm(self, x):
        return layers.BatchNormalization()(x)

    def swish(self, x):
        return layers.Activation("swish")(x)


# Not shrunk: every example builds and traces several models.
@settings(max_examples=5, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(
    steps=st.lists(st.sampled_from(STEPS), max_size=4),
    ending=st.sampled_from(["flatten", "pool"]),
    data=st.data(),
)
def test_any_layer_of_any_architecture(steps, ending, data):
    model = Builder(steps, ending).model
    x = images(2, SIZE)
    model(x)
    before = state(model)
    explainable = [info.path for info in gradcam.layers(model) if info.explainable]
    assert any(info.chosen for info in gradcam.layers(model))
    path = data.draw(st.sampled_from(explainable))
    found = gradcam.explain(model, x, [0, 2], path, "hirescam", relu=False)
    assert found.layer == path
    assert np.isfinite(found.maps).all()
    np.testing.assert_allclose(found.outputs, model(x), atol=1e-6)
    assert state(model) == before
    check_gradient(model, x, path, found.maps)
    before = state(model)
    for method in ("gradcam", "ablationcam"):
        together = gradcam.explain(model, x, [0, 2], path, method, relu=False).maps
        alone = gradcam.explain(model, x[1], 2, path, method, relu=False).maps[0]
        np.testing.assert_allclose(together[1], alone, atol=1e-5, rtol=1e-4)
    assert state(model) == before


def check_gradient(model, x, path, maps):
    """The map's sum is the slope of the logit when the activations grow: hirescam is g * A.

    The model is run with the layer's output scaled by 1 + e. That is found without gradcam: the
    layer is replaced in its own `call`.
    """
    layer, number = find(model, path)
    original = layer.call
    model.layers[-1].activation = keras.activations.linear
    count, factor = 0, 1.0

    def scaled(*args, **kwargs):
        nonlocal count
        result = original(*args, **kwargs)
        count += 1
        return result * factor if count - 1 == number else result

    layer.__dict__["call"] = scaled
    scores = []
    try:
        for change in (1e-2, -1e-2):
            count, factor = 0, 1.0 + change
            scores.append(model(x).numpy()[[0, 1], [0, 2]])
    finally:
        del layer.__dict__["call"]
        model.layers[-1].activation = keras.activations.softmax
    slope = (scores[0] - scores[1]) / 2e-2
    np.testing.assert_allclose(maps.sum((1, 2)), slope, rtol=0.05, atol=2e-3)


def find(model, path):
    """The layer object and the number of its call, in the order in which the model runs."""
    number = 0
    parent = model
    for part in path.split("/"):
        name, _, index = part.rstrip("]").partition("[")
        layer = next(op for op in parent.operations if op.name == name)
        if index:
            nodes = [
                node
                for depth in sorted(parent._nodes_by_depth, reverse=True)
                for node in parent._nodes_by_depth[depth]
                if node.operation is layer
            ]
            ordered = sorted(nodes, key=layer._inbound_nodes.index)
            number = nodes.index(ordered[int(index)])
        parent = layer
    return layer, number


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5), st.integers(1, 4)),
    seed=st.integers(0, 1000),
    scale=st.sampled_from([1e-20, 1e-3, 1.0, 1e8]),
)
@pytest.mark.parametrize("name", ["gradcam", "gradcam++", "xgradcam", "layercam", "eigengradcam"])
def test_no_evidence_makes_a_method_return_nan(name, shape, seed, scale):
    generator = np.random.default_rng(seed)
    activations = generator.normal(size=shape) * (generator.uniform(size=shape) > 0.3)
    gradients = generator.normal(size=shape) * (generator.uniform(size=shape) > 0.3)
    method = gradcam.METHODS[name]
    found = method.function(
        tf.constant(activations, tf.float32), tf.constant(gradients * scale, tf.float32)
    )
    assert found.shape == shape[:-1]
    assert np.isfinite(found).all()
