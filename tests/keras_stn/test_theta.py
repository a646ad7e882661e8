"""ThetaRegression and the localisation network: where theta starts, how fast and how far it moves."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_stn
from keras_stn.transforms import FAMILIES

RANDOM = np.random.default_rng(0)
FEATURES = RANDOM.standard_normal((16, 8)).astype("float32")


def moved(layer):
    return np.abs(np.asarray(layer(FEATURES)) - layer.transform.identity)


def distance_after_one_step(optimizer, step_size):
    layer = keras_stn.ThetaRegression("affine", step_size=step_size)
    goal = np.random.default_rng(1).standard_normal((16, 6)).astype("float32")
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(layer(FEATURES) * goal)
    optimizer.apply(tape.gradient(loss, layer.trainable_variables), layer.trainable_variables)
    return moved(layer).mean()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("step_size", [0.01, 1.0, 30.0])
def test_starts_at_the_identity_whatever_the_step_size(family, step_size):
    layer = keras_stn.ThetaRegression(family, step_size=step_size, limit=0.5)
    np.testing.assert_array_equal(layer(FEATURES), np.tile(layer.transform.identity, (16, 1)))


def test_step_size_counts_squared_under_sgd():
    # The step in function space: once through the output, once through the gradient.
    full, slow = (distance_after_one_step(keras.optimizers.SGD(0.1), s) for s in (1.0, 0.1))
    assert slow / full == pytest.approx(0.01, rel=0.01)


def test_step_size_counts_once_under_adam():
    full, slow = (distance_after_one_step(keras.optimizers.Adam(0.01), s) for s in (1.0, 0.1))
    assert slow / full == pytest.approx(0.1, rel=0.01)


def test_limit_bounds_theta_smoothly():
    layer = keras_stn.ThetaRegression("attention", limit=[0.5, 0.1, 0.2])
    layer(FEATURES)
    layer.kernel.assign(RANDOM.standard_normal((8, 3)) * 100)
    assert (moved(layer) <= np.array([0.5, 0.1, 0.2]) + 1e-6).all()
    assert (moved(layer).max(axis=0) > np.array([0.49, 0.09, 0.19])).all()
    layer.kernel.assign(np.full((8, 3), 1e-3))
    free = keras_stn.ThetaRegression("attention")
    free(FEATURES)
    free.kernel.assign(np.full((8, 3), 1e-3))
    np.testing.assert_allclose(layer(FEATURES), free(FEATURES), atol=1e-4)


def test_limit_is_a_hyperbolic_tangent():
    layer = keras_stn.ThetaRegression("rotation", limit=0.5, step_size=2.0)
    layer(FEATURES)
    layer.bias.assign([0.4])
    np.testing.assert_allclose(
        layer(FEATURES), np.full((16, 1), 0.5 * np.tanh(0.8 / 0.5)), rtol=1e-6
    )


def test_penalty_is_the_mean_squared_distance_from_the_identity():
    layer = keras_stn.ThetaRegression("translation", penalty=0.25)
    layer(FEATURES)
    assert float(layer.losses[-1]) == 0.0
    layer.bias.assign([3.0, 4.0])
    layer(FEATURES)
    assert float(layer.losses[-1]) == pytest.approx(0.25 * 25.0)


def test_penalty_reaches_the_loss_of_fit_and_an_empty_batch_adds_nothing():
    inputs = keras.Input((8,))
    layer = keras_stn.ThetaRegression("translation", penalty=0.25)
    model = keras.Model(inputs, layer(inputs))
    layer.bias.assign([3.0, 4.0])
    model.compile("sgd", "mse")
    target = np.tile([3.0, 4.0], (16, 1))
    assert model.evaluate(FEATURES, target, batch_size=16, verbose=0) == pytest.approx(6.25)
    layer(FEATURES[:0])
    assert float(layer.losses[-1]) == 0.0


def test_weight_decay_pulls_towards_the_identity():
    layer = keras_stn.ThetaRegression("affine")
    layer(FEATURES)
    layer.kernel.assign(RANDOM.standard_normal((8, 6)))
    before = moved(layer).mean()
    optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.5)
    for _ in range(20):
        optimizer.apply([tf.zeros_like(v) for v in layer.variables], layer.trainable_variables)
    assert moved(layer).mean() < 0.5 * before


def test_computes_in_float32_under_half_precision():
    for policy in ("mixed_float16", "float16", "bfloat16"):
        layer = keras_stn.ThetaRegression("affine", dtype=policy)
        theta = layer(tf.cast(FEATURES, "float16"))
        assert theta.dtype == tf.float32
        assert {v.dtype for v in layer.variables} == {"float32"}
        layer.bias.assign(np.full(6, 1e-5))
        assert np.abs(np.asarray(layer(FEATURES)) - layer.transform.identity).max() > 5e-6


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"step_size": 0.0}, "step_size must be a finite number above 0. Received: 0.0"),
        ({"step_size": "a"}, "step_size must be a finite number above 0. Received: 'a'"),
        ({"step_size": np.inf}, "step_size must be a finite number above 0. Received: inf"),
        ({"penalty": -1.0}, "penalty must be a finite number of at least 0. Received: -1.0"),
        ({"penalty": np.nan}, "penalty must be a finite number of at least 0. Received: nan"),
        ({"limit": -0.5}, "limit must be one finite number above 0, or one for each of the 6"),
        ({"limit": [1.0, 2.0]}, "one for each of the 6 parameters. Received: \\[1.0, 2.0\\]"),
        ({"limit": [1.0] * 5 + [np.inf]}, "limit must be one finite number above 0"),
        ({"limit": "x"}, "limit must be one finite number above 0"),
    ],
)
def test_bad_options(arguments, words):
    with pytest.raises(ValueError, match=words):
        keras_stn.ThetaRegression("affine", **arguments)


@pytest.mark.parametrize(
    "shape",
    [(40, 40, 1), (224, 224, 3), (28, 60, 3), (5, 5, 2), (1, 1, 4), (None, None, 3), (14, 14, 256)],
)
def test_localization_network_suits_the_size(shape):
    network = keras_stn.localization_network(shape, "affine")
    assert network.input_shape == (None, *shape)
    assert network.output_shape == (None, 6)
    assert network.count_params() < 250_000
    images = RANDOM.random((2, *(s or 33 for s in shape))).astype("float32")
    np.testing.assert_array_equal(network(images), np.tile([1, 0, 0, 0, 1, 0], (2, 1)))


@pytest.mark.parametrize(
    ("size", "seen"), [(14, 14), (20, 20), (28, 14), (40, 20), (60, 30), (96, 48), (224, 56)]
)
def test_localization_network_looks_at_a_smaller_image(size, seen):
    # Where to look can be told from afar, and half the size is a quarter of the work.
    network = keras_stn.localization_network((size, size, 1))
    convolutions = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    assert convolutions[0].input.shape[1:3] == (seen, seen)


def test_localization_network_passes_its_options_on():
    network = keras_stn.localization_network(
        (20, 20, 1), "attention", filters=(4,), units=7, step_size=0.1, limit=0.5, penalty=0.01
    )
    last = network.layers[-1]
    assert (last.step_size, last.limit, last.penalty) == (0.1, 0.5, 0.01)
    assert network.layers[-2].units == 7
    assert keras_stn.localization_network((20, 20, 1)).layers[-1].step_size == 0.1
    assert [layer.filters for layer in network.layers if hasattr(layer, "filters")] == [4]


def test_localization_network_with_channels_first_and_a_policy():
    network = keras_stn.localization_network(
        (3, 20, 30), data_format="channels_first", dtype="float64"
    )
    assert network(np.zeros((2, 3, 20, 30))).dtype == tf.float64


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"input_shape": (40, 40)}, "must have four axes.*Received shape \\(None, 40, 40\\)"),
        ({"input_shape": (40, 40, None)}, "needs to know the number of channels"),
        ({"input_shape": (40, 40, 1), "filters": ()}, "filters must hold at least one"),
    ],
)
def test_localization_network_refuses(arguments, words):
    with pytest.raises(ValueError, match=words):
        keras_stn.localization_network(**arguments)
