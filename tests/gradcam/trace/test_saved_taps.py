"""The tap of a SavedModel gives what that of the Keras model gives that it was exported from."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import gradcam
from tests.support.gradcam_models import backbone, images, nested

FIRST, LAST = "level0/backbone/conv1", "level0/backbone/conv2"


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A Keras model, and the same exported and loaded."""
    model, _, _ = nested(2)
    folder = tmp_path_factory.mktemp("exported") / "model"
    model.export(folder)
    return model, gradcam.load_model(folder)


def both(tap, x, score=lambda outputs: outputs[:, 1]):
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        activations, outputs = tap(x, tape=tape)
        explained = score(outputs)
    return activations, outputs, tap.gradient(tape, explained)


def assert_same(found, expected):
    for one, own in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
        np.testing.assert_allclose(one, own, atol=1e-6)


@pytest.mark.parametrize("score", ["probability", "logit"])
@pytest.mark.parametrize(
    "layer",
    [None, FIRST, [LAST, FIRST], [FIRST, LAST], ["level0", FIRST, LAST, "level0"], [LAST, "pool"]],
)
def test_it_gives_what_the_tap_of_the_keras_model_gives(pair, layer, score):
    model, saved = pair
    if layer and "pool" in layer:
        layer = [LAST, model.layers[-2].name]
    taps = [gradcam.tap(one, layer, score=score) for one in (saved, model)]
    assert taps[0].layer == taps[1].layer
    assert not isinstance(taps[0], keras.Model)
    found, expected = (both(tap, images()) for tap in taps)
    assert type(found[0]) is type(expected[0])
    assert_same(found, expected)
    assert_same(tf.function(both)(taps[0], images()), expected)
    assert_same(taps[0](images()), expected[:2])


def test_logits_do_not_depend_on_the_probabilities(pair):
    model, saved = pair
    for one in (model, saved):
        tap = gradcam.tap(one, model.layers[-1].name, score="logit")
        with pytest.raises(gradcam.DisconnectedLayerError, match="does not depend on the layer"):
            both(tap, images())


def test_persistent_and_nested_tapes(pair):
    results = []
    for model in pair:
        tap, x = gradcam.tap(model, LAST), tf.constant(images())
        with tf.GradientTape(persistent=True) as outer:
            outer.watch(x)
            with tf.GradientTape(persistent=True) as tape:
                _, outputs = tap(x, tape=tape)
                score, other = outputs[:, 1], outputs[:, 0]
            gradients = [tap.gradient(tape, one) for one in (score, other, score)]
            steepness = tf.reduce_sum(gradients[0] ** 2)
        results.append([*gradients, outer.gradient(score, x), outer.gradient(steepness, x)])
    assert_same(results[1], results[0])
    assert np.abs(results[0][-1]).max() > 0


def test_inputs_and_outputs_by_name(tmp_path):
    image, extra = keras.Input((8, 8, 3), name="zeta"), keras.Input((2,), name="alpha")
    features = layers.Conv2D(4, 3, name="conv")(image)
    joined = layers.Concatenate()([layers.GlobalAveragePooling2D()(features), extra])
    outputs = {"kind": layers.Dense(3, name="scores")(joined), "size": extra}
    model = keras.Model({"zeta": image, "alpha": extra}, outputs)
    model.export(tmp_path / "model")
    x = {"zeta": images(size=8), "alpha": np.ones((3, 2), "float64")}
    tap = gradcam.tap(gradcam.load_model(tmp_path / "model"), "conv")
    activations, outputs, gradient = both(tap, x, lambda outputs: outputs["kind"][:, 1])
    np.testing.assert_allclose(activations, model.get_layer("conv")(x["zeta"]), atol=1e-6)
    assert_same(outputs, model(x))
    weights = model.get_layer("scores").kernel.numpy()[:4, 1] / 36
    np.testing.assert_allclose(gradient, np.broadcast_to(weights, (3, 6, 6, 4)), atol=1e-7)


def test_what_stops_its_gradient_is_named(tmp_path):
    inputs = keras.Input((16, 16, 3))
    x = keras.ops.round(backbone()(inputs))
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    model.export(tmp_path / "model")
    tap = gradcam.tap(gradcam.load_model(tmp_path / "model"), "backbone/conv2")
    with pytest.raises(gradcam.BlockedGradientError, match=r"before it reaches.*conv2': round"):
        both(tap, images())
    with pytest.raises(gradcam.DisconnectedLayerError, match="was not computed from what the tap"):
        both(tap, images(), lambda _: tf.constant(1.0))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (images(size=8), r"\(3, 8, 8, 3\) don't fit.*\(batch, 16, 16, 3\)"),
        (images()[0], "A batch axis is missing"),
        ([images(), images()], "2 arrays"),
        ({"other": images()}, "with other for the inputs"),
        ("photograph.jpg", r"a str as images.*gradcam\.read_images"),
    ],
)
def test_images_that_do_not_fit(pair, given, words):
    tap = gradcam.tap(pair[1], LAST)
    for run in (tap, tf.function(tap)):
        with pytest.raises(gradcam.ImageError, match=words):
            run(given)


def test_bad_tapes_and_layers(pair):
    tap, x = gradcam.tap(pair[1], LAST), images()
    with pytest.raises(gradcam.GradCamError, match="was not recording when the tap was called"):
        tap(x, tape=tf.GradientTape())
    with pytest.raises(gradcam.GradCamError, match="Received a str as the tape"):
        tap(x, tape="tape")
    with tf.GradientTape() as tape:
        _, outputs = tap(x)
        score = outputs[:, 1]
    with pytest.raises(gradcam.GradCamError, match="did not watch a call of this tap"):
        tap.gradient(tape, score)
    with pytest.raises(gradcam.ModelError, match="training=True for a SavedModel"):
        tap(x, training=True)
    with pytest.raises(gradcam.LayerNotFoundError, match=r"no layer 'conv9'. Did you mean"):
        gradcam.tap(pair[1], "conv9")
    with pytest.raises(gradcam.GradCamError, match="Received an empty list as the layer"):
        gradcam.tap(pair[1], [])
