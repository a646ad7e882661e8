"""What is around a tap: the model that stays as it was, other threads, and logits."""

import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import gradcam
from gradcam.trace.restoring import Belongings
from tests.support.gradcam_models import cnn, images, nested, state


def gradient(tap, x, score=lambda outputs: outputs[:, 1], **options):
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        _, outputs = tap(x, tape=tape, **options)
        explained = score(outputs)
    return tap.gradient(tape, explained)


# The model is left as it was


class Careless(layers.Layer):
    """Leaves things behind in its `call`."""

    def __init__(self, **options):
        super().__init__(**options)
        self.calls = 0
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x):
        self.calls += 1
        self.kept = x
        self.add_loss(tf.reduce_sum(x))
        self.count.assign_add(1.0)
        return x


def careless():
    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(3, 3, activity_regularizer="l2", name="conv"),
            Careless(),
            layers.Dropout(0.3),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, activation="softmax"),
        ]
    )


@pytest.mark.parametrize("is_called", [True, False])
@pytest.mark.parametrize("build", [careless, lambda: nested(2)[0]])
def test_the_model_is_the_same_afterwards(build, is_called, tmp_path):
    model, x = build(), images()
    model.compile("sgd", "mse")
    if is_called:
        model(x)
    before = state(model)
    for score in ("probability", "logit"):
        tap = gradcam.tap(model, score=score)
        gradient(tap, x, training=True)
        tf.function(gradient)(tap, tf.constant(x))
    tap.predict(x, verbose=0)
    tap(keras.Input((16, 16, 3)))
    tap.export(tmp_path / "exported")
    assert state(model) == before
    with pytest.raises(gradcam.ImageError):
        tap(x[:, :8])
    with pytest.raises(gradcam.LayerNotFoundError):
        gradcam.tap(model, "nothing")
    assert state(model) == before


@pytest.mark.parametrize("is_function", [False, True])
def test_the_model_is_the_same_after_an_exception_in_its_middle(is_function):
    broken = []

    class Breaks(layers.Layer):
        def call(self, x):
            if broken:
                raise ValueError("something of my own")
            return x

    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(3, 3, name="conv"),
            Breaks(name="broken"),
            layers.Flatten(),
        ]
    )
    tap = gradcam.tap(model, "conv")
    before = state(model)
    broken.append(True)
    run = tf.function(tap) if is_function else tap
    with pytest.raises(gradcam.ModelError, match=r"raised ValueError.*: something of my own\. Exp"):
        run(images())
    assert state(model) == before


def test_a_tap_keeps_nothing_that_it_returned():
    tap = gradcam.tap(cnn(), "conv2")
    gradient(tap, images())
    assert len(tap._plan.gradients._returned) == 0  # the tape is gone, and so is what it saw


def test_several_taps_and_the_model_itself_in_several_threads():
    model, path, _ = nested(2)
    x = tf.constant(images())
    scores = model(x).numpy()
    taps = [gradcam.tap(model, path) for _ in range(2)] + [gradcam.tap(model, [path, "conv1"])]
    expected = [tf.nest.flatten(gradient(tap, x)) for tap in taps]
    before = state(model)
    start, failures = threading.Barrier(5), []

    def differentiate(number):
        start.wait(30)
        in_function = tf.function(lambda x: gradient(taps[number], x))
        for run in (lambda x: gradient(taps[number], x), in_function) * 4:
            for found, own in zip(tf.nest.flatten(run(x)), expected[number], strict=True):
                assert np.allclose(found, own, atol=1e-7)

    def call():
        start.wait(30)
        for _ in range(20):
            assert np.allclose(model(x), scores, atol=1e-6)

    threads = [threading.Thread(target=differentiate, args=(number,)) for number in range(3)]
    threads += [threading.Thread(target=call) for _ in range(2)]
    hook, threading.excepthook = threading.excepthook, failures.append
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        threading.excepthook = hook
    assert not failures
    assert [attributes for attributes, *_ in state(model)[:-1]] == [
        attributes for attributes, *_ in before[:-1]
    ]


def test_a_trace_in_a_trace_still_hears_of_other_threads():
    layer = layers.Identity()
    with Belongings(layer, tf.Graph()).kept():
        with Belongings(layer, tf.Graph()).kept():
            layer.inner = 1
        thread = threading.Thread(target=setattr, args=(layer, "theirs", 1))
        thread.start()
        thread.join()
        layer.mine = 1
    assert layer.theirs == 1
    assert not hasattr(layer, "inner")
    assert not hasattr(layer, "mine")


# Logits


def ending(kind):
    """A model that ends in probabilities, and the name of the layer before them."""
    inputs = keras.Input((8, 8, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name="conv")(inputs))
    if kind.startswith("Dense"):
        return keras.Model(inputs, layers.Dense(3, kind[6:], name="scores")(x))
    x = layers.Dense(3, name="scores")(x)
    ends = {
        "Softmax": layers.Softmax(),
        "Activation": layers.Activation("sigmoid"),
        "keras.ops": keras.ops.softmax,
        "float32": layers.Activation("softmax", dtype="float32"),
        "linear": layers.Identity(),
    }
    return keras.Model(inputs, ends[kind](x))


@pytest.mark.parametrize(
    "kind",
    ["Dense softmax", "Dense sigmoid", "Softmax", "Activation", "keras.ops", "float32", "linear"],
)
def test_logits_are_what_goes_into_the_end(kind):
    if kind == "float32":
        keras.config.set_dtype_policy("mixed_float16")
    model, x = ending(kind), images(size=8)
    tolerance = 1e-2 if kind == "float32" else 1e-6
    dense = model.get_layer("scores")
    tap = gradcam.tap(model, "conv", score="logit")
    for run in (tap, tf.function(tap)):
        features, logits = run(x)
        mean = np.mean(features.numpy().astype("float32"), axis=(1, 2))
        np.testing.assert_allclose(logits, mean @ dense.kernel.numpy(), atol=tolerance)
    for run in (gradient, tf.function(gradient)):
        expected = np.broadcast_to(dense.kernel.numpy()[:, 1] / 36, features.shape)
        np.testing.assert_allclose(run(tap, x), expected, atol=tolerance)
    _, outputs = gradcam.tap(model, "conv")(x)
    np.testing.assert_allclose(outputs, model(x), atol=1e-6)


def test_each_output_of_a_shared_end_has_its_own_logits():
    sides = [keras.Input((4,), name=name) for name in ("left", "right")]
    hidden, scores = layers.Dense(5, name="hidden"), layers.Dense(3, "softmax", name="scores")
    extra = layers.Dense(2, name="extra")(sides[0])
    model = keras.Model(sides, [*(scores(hidden(side)) for side in sides), extra])
    tap = gradcam.tap(model, "hidden[0]", score="logit")
    x = [np.random.default_rng(n).normal(size=(2, 4)).astype("float32") for n in range(2)]
    for run in (tap, tf.function(tap)):
        _, (left, right, other) = run(x)
        for logits, side in zip((left, right), x, strict=True):
            own = hidden(side).numpy() @ scores.kernel.numpy()
            np.testing.assert_allclose(logits, own, atol=1e-6)
        np.testing.assert_allclose(other, model.get_layer("extra")(x[0]), atol=1e-6)


class Written(keras.Model):
    """A model whose softmax is written in its `call`."""

    def __init__(self):
        super().__init__()
        self.conv, self.scores = layers.Conv2D(3, 3, name="conv"), layers.Dense(2)

    def call(self, x):
        return tf.nn.softmax(self.scores(tf.reduce_mean(self.conv(x), (1, 2))))


def test_a_softmax_in_a_subclassed_call_is_said_eagerly_and_found_in_a_function():
    model, x = Written(), images()
    model(x)
    tap = gradcam.tap(model, "conv", score="logit")
    with pytest.raises(gradcam.ModelError) as caught:
        tap(x)
    assert str(caught.value) == (
        "The softmax of output '0' is not the last step of one layer, so its input can't be seen in"
        " eager code. Expected a final softmax layer, or a layer with activation='softmax'. Call"
        " the tap inside of a tf.function, or take score='probability'."
    )
    features, logits = tf.function(tap)(x)
    mean = np.mean(features, axis=(1, 2))
    np.testing.assert_allclose(logits, mean @ model.scores.kernel.numpy(), atol=1e-6)
