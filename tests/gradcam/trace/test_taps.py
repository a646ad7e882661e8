"""`gradcam.tap`: activations that a tape watches as they are made, and gradients that are right.

Behind global average pooling and a dense layer the gradient is known by hand: the weights of the
class over the number of positions, everywhere. Other heads are checked by finite differences in
float64, and by the plain Keras recipe where that works.
"""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import gradcam
from tests.support.gradcam_models import cnn, images, nested

POSITIONS = 14 * 14  # of a 3x3 convolution of 16x16 pixels


@dataclasses.dataclass
class Tapped:
    """A model, what is tapped in it, and what its activations and gradients have to be.

    Attributes:
        model: the model.
        layer: what is tapped.
        activations: computed by calling its layers by themselves.
        gradient: of the second class' score, the same at every position.
        images: what the model is called on.
    """

    model: keras.Model
    layer: object
    activations: np.ndarray
    gradient: np.ndarray
    images: object = dataclasses.field(default_factory=images)


def conv(**options):
    return layers.Conv2D(4, 3, activation="relu", name="conv", **options)


def ended(inputs, features, **options):
    """A model that ends in pooling and a dense layer of three classes."""
    axes = len(features.shape) - 2
    pool = {2: layers.GlobalAveragePooling2D, 3: layers.GlobalAveragePooling3D}[axes]()
    return keras.Model(inputs, layers.Dense(3, name="scores")(pool(features)), **options)


def by_hand(model, layer, found, **options):
    """The gradient behind pooling and a dense layer, which is the last one."""
    weights = model.get_layer("scores").kernel.numpy()[:, 1]
    positions = np.prod(found.shape[1:-1])
    return Tapped(model, layer, np.asarray(found), weights / positions, **options)


def functional():
    inputs = keras.Input((16, 16, 3))
    model = ended(inputs, conv()(inputs))
    return by_hand(model, "conv", model.get_layer("conv")(images()))


def wrapped(depth):
    """A convolution in models in models."""
    inputs = keras.Input((16, 16, 3))
    body = keras.Model(inputs, conv()(inputs), name="backbone")
    layer = body.get_layer("conv")
    path = "backbone/conv"
    for level in range(depth):
        body = keras.Sequential([keras.Input((16, 16, 3)), body], name=f"level{level}")
        path = f"level{level}/{path}"
    inputs = keras.Input((16, 16, 3))
    return by_hand(ended(inputs, body(inputs)), path, layer(images()))


def frozen():
    built = wrapped(2)
    built.model.trainable = False
    return built


def loaded(folder, ending):
    plain = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            conv(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, name="scores"),
        ]
    )
    path = folder / f"model.{ending}"
    plain.save(path)
    model = keras.models.load_model(path)
    return by_hand(model, "conv", plain.layers[0](images()))


class Plain(keras.Model):
    """A model whose `call` does it all."""

    def __init__(self):
        super().__init__()
        self.conv, self.scores = conv(), layers.Dense(3, name="scores")

    def call(self, x):
        return self.scores(keras.ops.mean(self.conv(x), axis=(1, 2)))


class Traced(Plain):
    """The same, whose `call` is a `tf.function`."""

    call = tf.function(Plain.call)


def subclassed(kind):
    model = kind()
    model(images())
    return by_hand(model, "conv", model.conv(images()))


def rematerialised():
    if not hasattr(keras, "RematScope"):
        pytest.skip("Keras has it since 3.9")
    with keras.RematScope(mode="full"):
        layer = conv()
    inputs = keras.Input((16, 16, 3))
    return by_hand(ended(inputs, layer(inputs)), "conv", keras.ops.copy(layer(images())))


def shared(number):
    encoder = keras.Sequential([keras.Input((16, 16, 3)), conv()], name="encoder")
    pool = layers.GlobalAveragePooling2D()
    sides = [keras.Input((16, 16, 3), name=name) for name in ("left", "right")]
    joined = layers.Concatenate()([pool(encoder(side)) for side in sides])
    model = keras.Model(sides, layers.Dense(3)(joined))
    given = [images(seed=1), images(seed=2)]
    weights = model.layers[-1].kernel.numpy()[4 * number : 4 * number + 4, 1]
    features = encoder(given[number]).numpy()
    return Tapped(model, f"encoder[{number}]/conv", features, weights / POSITIONS, given)


def no_layer():
    inputs = keras.Input((16, 16, 3))
    layer = conv(padding="same")
    first = layer(inputs)
    model = ended(inputs, first + layers.ReLU(name="relu")(first))
    name = next(op.name for op in model.operations if op.name.startswith("add"))
    return by_hand(model, name, 2 * layer(images()))


def over_time():
    inputs = keras.Input((2, 16, 16, 3))
    frames = layers.TimeDistributed(conv(), name="frames")
    model = ended(inputs, frames(inputs))
    x = np.stack([images(seed=1), images(seed=2)], axis=1)
    found = np.stack([frames.layer(x[:, number]) for number in range(2)], axis=1)
    return by_hand(model, "frames", found, images=x)


def in_dicts():
    image, extra = keras.Input((16, 16, 3), name="zeta"), keras.Input((2,), name="alpha")
    features = conv()(image)
    joined = layers.Concatenate()([layers.GlobalAveragePooling2D()(features), extra])
    scores = layers.Dense(3, name="scores")(joined)
    model = keras.Model({"zeta": image, "alpha": extra}, {"size": extra, "kind": scores})
    weights = model.get_layer("scores").kernel.numpy()[:4, 1]
    given = {"zeta": images(), "alpha": np.ones((3, 2), "float32")}
    found = model.get_layer("conv")(images()).numpy()
    return Tapped(model, "conv", found, weights / POSITIONS, given)


def by_name():
    """Inputs in a list, called by their names, which come in another order."""
    if keras.__version__.startswith("3.5."):
        pytest.skip("Keras 3.5 takes a dict in its own order, whatever the names")
    built = in_dicts()
    model = keras.Model([built.model.input[name] for name in ("zeta", "alpha")], built.model.output)
    return dataclasses.replace(built, model=model)


def half_precision():
    keras.config.set_dtype_policy("mixed_float16")
    return functional()


MODELS = {
    "functional": functional,
    "nested": lambda: wrapped(2),
    "frozen": frozen,
    "subclassed": lambda: subclassed(Plain),
    "tf.function": lambda: subclassed(Traced),
    "rematerialised": rematerialised,
    "shared, first": lambda: shared(0),
    "shared, second": lambda: shared(1),
    "no layer": no_layer,
    "TimeDistributed": over_time,
    "dicts": in_dicts,
    "by name": by_name,
    "mixed_float16": half_precision,
}


def scores_of(outputs):
    return outputs["kind"] if isinstance(outputs, dict) else outputs


def both(tap, x, score=lambda outputs: scores_of(outputs)[:, 1], **options):
    """Activations, outputs and gradient, under a tape that watches nothing by itself."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        activations, outputs = tap(x, tape=tape, **options)
        explained = score(outputs)
    return activations, outputs, tap.gradient(tape, explained)


def check(tapped, tap):
    """The answer of a tap is the one that is known, eagerly and in a function."""
    model = tapped.model
    is_half = model.compute_dtype == "float16"
    tolerance = 2e-3 if is_half else 1e-6
    plainly = tf.function(lambda x: both(tap, x), autograph=False)
    for run in (lambda x: both(tap, x), plainly):
        activations, outputs, gradient = run(tapped.images)
        np.testing.assert_allclose(activations, tapped.activations, atol=tolerance)
        expected = np.broadcast_to(tapped.gradient, activations.shape)
        np.testing.assert_allclose(gradient, expected, atol=tolerance)
        assert gradient.dtype == activations.dtype == ("float16" if is_half else "float32")
        for found, own in zip(
            tf.nest.flatten(outputs), tf.nest.flatten(model(tapped.images)), strict=True
        ):
            np.testing.assert_allclose(found, own, atol=tolerance)


@pytest.mark.parametrize("kind", MODELS)
def test_activations_and_gradients_are_right_wherever_the_layer_sits(kind):
    tapped = MODELS[kind]()
    tap = gradcam.tap(tapped.model, tapped.layer)
    assert isinstance(tap, keras.Model)
    assert tap.layer == tapped.layer
    check(tapped, tap)


def test_the_model_casts_its_images_itself():
    keras.config.set_dtype_policy("mixed_float16")
    inputs = keras.Input((4, 4, 1))
    x = layers.Rescaling(1.0, offset=-2048.0, dtype="float32", name="near")(inputs)
    model = ended(inputs, layers.Conv2D(2, 1)(x))
    activations, _ = gradcam.tap(model, "near")(np.full((1, 4, 4, 1), 2049.0, "float32"))
    np.testing.assert_array_equal(activations, np.ones((1, 4, 4, 1)))  # float16 has no 2049


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_a_loaded_sequential(ending, tmp_path):
    tapped = loaded(tmp_path, ending)
    check(tapped, gradcam.tap(tapped.model, "conv"))


@pytest.mark.parametrize("autograph", [None, False, True])
def test_it_is_the_plain_recipe_to_the_bit(autograph):
    model = cnn(activation="softmax")
    tap = gradcam.tap(model, "conv2")
    recipe = keras.Model(model.input, [model.get_layer("conv2").output, model.output])

    def tapped(x):
        return both(tap, x)

    def plain(x):
        with tf.GradientTape() as tape:
            activations, outputs = recipe(x)
            score = outputs[:, 1]
        return activations, outputs, tape.gradient(score, activations)

    if autograph is not None:
        tapped, plain = (tf.function(one, autograph=autograph) for one in (tapped, plain))
    x = tf.constant(images())
    for found, expected in zip(tapped(x), plain(x), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_layer_is_chosen_as_explain_chooses_it():
    model, path, _ = nested(2)
    assert gradcam.tap(model).layer == gradcam.explain(model, images()).layer == path
    assert gradcam.tap(model, "conv2").layer == path
    assert gradcam.tap(model, model.layers[1].layers[1].get_layer("conv2")).layer == path


def test_several_layers_at_once_in_the_order_asked_for():
    model, path, flat = nested(2, "sequential")
    names = [path, "level0/backbone/conv1", "level0/backbone", path]
    tap = gradcam.tap(model, names)
    assert tap.layer == tuple(names)
    activations, _, gradients = both(tap, images())
    assert isinstance(activations, list)
    assert isinstance(gradients, list)
    for number, name in enumerate(("conv2", "conv1", "conv2", "conv2")):
        found, _, gradient = both(gradcam.tap(flat, name), images())
        np.testing.assert_array_equal(activations[number], found)
        np.testing.assert_allclose(gradients[number], gradient, atol=1e-7)
    alone = gradcam.tap(model, [path])
    assert alone.layer == (path,)
    assert [one.shape for one in both(alone, images())[2]] == [(3, 12, 12, 8)]


def smooth():
    """A model in float64 whose head has a second derivative, and its head by itself."""
    keras.config.set_dtype_policy("float64")
    inputs = keras.Input((6, 6, 2), dtype="float64")
    features = layers.Conv2D(3, 3, activation="tanh", name="conv")(inputs)
    hidden = layers.Dense(4, activation="tanh", name="hidden")(layers.Flatten()(features))
    model = keras.Model(inputs, layers.Dense(2, activation="softmax", name="scores")(hidden))
    model.trainable = False

    def head(activations):
        flat = activations.reshape(len(activations), -1)
        hidden = np.tanh(flat @ model.get_layer("hidden").kernel.numpy())
        logits = hidden @ model.get_layer("scores").kernel.numpy()
        powers = np.exp(logits)
        return (powers / powers.sum(-1, keepdims=True))[:, 1].sum()

    def whole(x):
        kernel = model.get_layer("conv").kernel.numpy()
        patches = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (1, 2))
        return head(np.tanh(np.einsum("bhwcij,ijck->bhwk", patches, kernel)))

    x = np.random.default_rng(3).normal(size=(2, 6, 6, 2))
    return model, x, head, whole


def slope(function, at, along, step=1e-5):
    return (function(at + step * along) - function(at - step * along)) / (2 * step)


def test_first_and_second_derivatives_agree_with_finite_differences():
    model, x, head, _ = smooth()
    tap = gradcam.tap(model, "conv")
    with tf.GradientTape(persistent=True) as tape:
        activations, outputs = tap(x, tape=tape)
        score = outputs[:, 1]
        first = tap.gradient(tape, score)
        v = np.random.default_rng(0).normal(size=first.shape)
        along = tf.reduce_sum(first * v)
    second = tap.gradient(tape, along)
    np.testing.assert_array_equal(tap.gradient(tape, score), first)  # as often as one likes
    w = np.random.default_rng(1).normal(size=first.shape)
    at = activations.numpy()
    np.testing.assert_allclose(np.sum(first * v), slope(head, at, v), rtol=1e-7)
    twice = slope(lambda a: slope(head, a, v, 1e-3), at, w, 1e-3)
    np.testing.assert_allclose(np.sum(second * w), twice, rtol=1e-4)


def test_a_tape_over_a_tap_of_a_frozen_model():
    model, x, _, whole = smooth()
    tap = gradcam.tap(model, "conv")
    x = tf.constant(x)
    with tf.GradientTape(persistent=True) as outer:
        outer.watch(x)
        with tf.GradientTape() as tape:
            _, outputs = tap(x, tape=tape)
            score = outputs[:, 1]
        steepness = tf.reduce_sum(tap.gradient(tape, score) ** 2)
    towards_images = outer.gradient(score, x)
    v = np.random.default_rng(0).normal(size=x.shape)
    np.testing.assert_allclose(np.sum(towards_images * v), slope(whole, x.numpy(), v), rtol=1e-6)

    def steepness_of(at):
        return float(tf.reduce_sum(both(tap, at)[2] ** 2))

    found = np.sum(outer.gradient(steepness, x) * v)
    np.testing.assert_allclose(found, slope(steepness_of, x.numpy(), v), rtol=1e-6)


def test_weights_are_trained_through_a_tap_as_without():
    model = cnn()
    tap, x = gradcam.tap(model, "conv2"), images()
    with tf.GradientTape() as tape:
        activations, outputs = tap(x, tape=tape, training=True)
        loss = tf.reduce_mean(outputs**2) + tf.reduce_mean(tf.abs(activations))
    recipe = keras.Model(model.input, [model.get_layer("conv2").output, model.output])
    with tf.GradientTape() as plain:
        activations, outputs = recipe(x, training=True)
        expected = tf.reduce_mean(outputs**2) + tf.reduce_mean(tf.abs(activations))
    pairs = zip(
        tape.gradient(loss, tap.trainable_variables),
        plain.gradient(expected, model.trainable_variables),
        strict=True,
    )
    for found, gradient in pairs:
        np.testing.assert_array_equal(found, gradient)


def test_weights_that_changed_are_seen():
    tapped = functional()
    tap = gradcam.tap(tapped.model, "conv")
    tapped.model.get_layer("scores").kernel.assign_add(np.ones((4, 3)))
    tapped.gradient = tapped.gradient + np.float32(1 / POSITIONS)
    check(tapped, tap)


def test_under_a_strategy_on_two_devices(two_replicas):
    with two_replicas.scope():
        tapped = wrapped(1)
    tap = gradcam.tap(tapped.model, tapped.layer)

    @tf.function
    def run(x):
        return two_replicas.run(lambda x: both(tap, x), (x,))

    found = run(tf.constant(images()))
    for replica in range(2):
        activations, _, gradient = (
            two_replicas.experimental_local_results(one)[replica] for one in found
        )
        np.testing.assert_allclose(activations, tapped.activations, atol=1e-6)
        expected = np.broadcast_to(tapped.gradient, activations.shape)
        np.testing.assert_allclose(gradient, expected, atol=1e-6)


def test_replicas_that_wait_for_each_other_in_the_model_are_said(two_replicas):
    with two_replicas.scope():
        inputs = keras.Input((16, 16, 3))
        norm = layers.BatchNormalization(synchronized=True)
        model = ended(inputs, norm(conv()(inputs)))
    tap = gradcam.tap(model, "conv")

    def run(training):
        @tf.function
        def gradient(x):
            return two_replicas.run(lambda x: both(tap, x, training=training)[2], (x,))

        return gradient(tf.constant(images()))

    with pytest.raises(gradcam.ModelError, match=r"wait for each other.*training=False"):
        run(training=True)
    assert two_replicas.experimental_local_results(run(training=False))[1].shape[1:] == (14, 14, 4)


def noisy():
    inputs = keras.Input((16, 16, 3))
    x = layers.BatchNormalization(name="norm")(conv()(inputs))
    return ended(inputs, layers.Dropout(0.5, seed=1, name="dropout")(x))


def test_training_is_passed_on_and_changes_nothing():
    model, x = noisy(), images()
    tap = gradcam.tap(model, ["conv", "norm", "dropout"])
    before = [variable.numpy().copy() for variable in model.variables]
    for run in (tap, tf.function(tap)):
        (features, normed, dropped), _ = run(x, training=True)
        axes = (0, 1, 2)
        expected = (features - np.mean(features, axes)) / np.sqrt(np.var(features, axes) + 1e-3)
        np.testing.assert_allclose(normed, expected, atol=1e-4)
        assert 0.4 < np.mean(dropped.numpy() == 0.0) < 0.6
        (features, normed, dropped), _ = run(x)
        np.testing.assert_allclose(normed, features / np.sqrt(1.001), atol=1e-6)
        np.testing.assert_array_equal(dropped, normed)
        both(tap, x, training=True)
    for variable, old in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, old)


class Pair(layers.Layer):
    """A layer of several outputs."""

    def __init__(self, kind, **options):
        super().__init__(**options)
        self.kind = kind

    def call(self, x):
        parts = 2.0 * x, 3.0 * x
        return dict(zip("ba", parts, strict=True)) if self.kind is dict else parts


@pytest.mark.parametrize("kind", [tuple, dict])
def test_a_layer_of_several_outputs_gives_several_activations(kind):
    inputs = keras.Input((4, 4, 2))
    parts = keras.tree.flatten(Pair(kind, name="pair")(inputs))
    pooled = [layers.GlobalAveragePooling2D()(part) for part in parts]
    model = keras.Model(inputs, layers.Dense(3, name="scores")(layers.Concatenate()(pooled)))
    x = images(size=4, channels=2)
    activations, _, gradients = both(gradcam.tap(model, "pair"), x)
    weights = model.get_layer("scores").kernel.numpy()[:, 1] / 16
    for number in range(2):
        factor = {tuple: (2.0, 3.0), dict: (3.0, 2.0)}[kind][number]
        np.testing.assert_array_equal(activations[number], factor * x)
        part = weights[2 * number : 2 * number + 2]
        np.testing.assert_allclose(gradients[number], np.broadcast_to(part, x.shape), atol=1e-7)


def test_an_output_that_nothing_uses_has_the_gradient_zero():
    inputs = keras.Input((4, 4, 2))
    used, _ = Pair(tuple, name="pair")(inputs)
    model = ended(inputs, used)
    tap, x = gradcam.tap(model, "pair"), images(size=4, channels=2)
    for run in (both, tf.function(both)):
        _, _, (first, second) = run(tap, x)
        weights = model.get_layer("scores").kernel.numpy()[:, 1] / 16
        np.testing.assert_allclose(first, np.broadcast_to(weights, x.shape), atol=1e-7)
        np.testing.assert_array_equal(second, np.zeros_like(x))


def test_predict_and_a_model_on_top_of_a_tap():
    tapped = wrapped(2)
    tap = gradcam.tap(tapped.model, [tapped.layer, "level0"])
    (features, same), outputs = tap.predict(images(), batch_size=2, verbose=0)
    np.testing.assert_allclose(features, tapped.activations, atol=1e-6)
    np.testing.assert_array_equal(same, features)
    np.testing.assert_allclose(outputs, tapped.model(images()), atol=1e-6)
    inputs = keras.Input((16, 16, 3))
    (features, _), outputs = gradcam.tap(tapped.model, [tapped.layer, "level0"])(inputs)
    above = keras.Model(inputs, [layers.GlobalMaxPooling2D()(features), outputs])
    largest, scores = above(images())
    np.testing.assert_allclose(largest, tapped.activations.max((1, 2)), atol=1e-6)
    np.testing.assert_allclose(scores, outputs_of(tapped), atol=1e-6)


def outputs_of(tapped):
    return tapped.model(tapped.images)


@pytest.mark.parametrize("kind", ["nested", "subclassed", "dicts"])
def test_export_gives_the_activations_then_the_outputs_in_one_flat_list(kind, tmp_path):
    tapped = MODELS[kind]()
    gradcam.tap(tapped.model, [tapped.layer]).export(tmp_path / "features")
    exported = tf.saved_model.load(tmp_path / "features")
    found = exported.serve(*tf.nest.flatten(tapped.images))
    assert isinstance(found, list)
    np.testing.assert_allclose(found[0], tapped.activations, atol=1e-6)
    for one, own in zip(found[1:], tf.nest.flatten(outputs_of(tapped)), strict=True):
        np.testing.assert_allclose(one, own, atol=1e-6)
