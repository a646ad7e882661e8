"""GradientWatch in real fits."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import keras_stn
from gradcam.callbacks import GradientWatch
from gradcam.messages import catalogue
from tests.support import doctor_models

pytestmark = pytest.mark.filterwarnings("ignore:Gradients do not exist for variables")


def data(count=24, size=8):
    generator = np.random.default_rng(0)
    x = generator.uniform(size=(count, size)).astype("float32")
    return x, generator.integers(0, 3, count)


def model(middle=None, extra=None, **options):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8,))
    x = layers.Dense(8, activation="relu", name="first")(inputs)
    x = middle(x) if middle else x
    x = layers.Dense(8, activation="relu", name="second")(x)
    made = keras.Model(inputs, layers.Dense(3, activation="softmax", name="head")(x))
    made.compile("adam", "sparse_categorical_crossentropy", **options)
    return made


def fit(made, watch, **options):
    x, y = data()
    callbacks = [] if watch is None else [watch]
    return made.fit(x, y, batch_size=4, verbose=0, callbacks=callbacks, shuffle=False, **options)


@pytest.mark.parametrize(
    "options",
    [{}, {"run_eagerly": True}, {"jit_compile": True}, {"steps_per_execution": 2}],
    ids=str,
)
def test_a_healthy_fit_is_what_it_would_be_and_nothing_is_said(options):
    watch = GradientWatch(every=4)
    watched, plain = model(**options), model(**options)
    fit(watched, watch, epochs=2)
    fit(plain, None, epochs=2)
    assert watch.said == {}
    for mine, its in zip(watched.weights, plain.weights, strict=True):
        np.testing.assert_allclose(mine, its, atol=1e-6)
    assert "apply" not in vars(watched.optimizer)
    assert vars(watched).keys() == vars(plain).keys()
    assert not isinstance(watched.train_function, type(watch.on_train_end))


def test_none_is_said_once_with_the_layer():
    made = model(doctor_models.Does(tf.stop_gradient))
    watch = GradientWatch(every=3)
    with pytest.warns(UserWarning, match="GradientWatch") as said:
        fit(made, watch, epochs=2)
    texts = [str(one.message) for one in said if "GradientWatch" in str(one.message)]
    assert len(texts) == 1
    assert "the gradient of 'first' is None" in texts[0]
    assert watch.said == {"watch-none": ["first"]}


def test_zero_is_said_once_with_the_layers():
    made = model(layers.Dense(8, "relu", bias_initializer=keras.initializers.Constant(-99)))
    watch = GradientWatch(every=3)
    with pytest.warns(UserWarning, match="is zero in several batches in a row") as said:
        fit(made, watch, epochs=2)
    assert len(said) == 1
    assert watch.said["watch-zero"][0] == "first"
    assert "head" not in watch.said["watch-zero"]


def test_nan_is_said_once_with_the_layers_in_a_later_batch():
    x, y = data(48)
    x[30:] = np.nan
    made, watch = model(), GradientWatch(every=3)
    with pytest.warns(UserWarning, match="NaN or infinite") as said:
        made.fit(x, y, batch_size=4, verbose=0, shuffle=False, callbacks=[watch])
    assert len(said) == 1
    # Where oneDNN's ReLU makes zero of a NaN, the layers behind it are spared; they aren't named.
    assert watch.said == {"watch-not-finite": ["first"]}
    assert "batch 7" in str(said[0].message)


def test_a_transformer_that_starts_at_the_identity_is_healthy():
    made = doctor_models.transformer(keras_stn.SpatialTransformer("affine"), 16)
    watch = GradientWatch()
    x = doctor_models.images(20, 16, 1)
    made.fit(x, np.arange(20) % 3, batch_size=4, verbose=0, callbacks=[watch])
    assert watch.said == {}


def test_the_model_is_restored_after_an_exception():
    def fails(x):
        return tf.ensure_shape(x, (4, 9))

    watched, plain = (
        model(doctor_models.Does(lambda x: tf.py_function(fails, [x], tf.float32)))
        for _ in range(2)
    )
    for made in (watched, plain):
        made.make_train_function()
        made.optimizer.build(made.trainable_variables)
    own = watched.train_function
    for made, watch in ((watched, GradientWatch()), (plain, None)):
        with pytest.raises((tf.errors.OpError, ValueError)):
            fit(made, watch)
    assert watched.train_function is own
    assert vars(watched).keys() == vars(plain).keys()
    assert vars(watched.optimizer).keys() == vars(plain.optimizer).keys()


def test_a_second_fit_and_another_compile_are_watched_too():
    made, watch = model(doctor_models.Does(tf.stop_gradient)), GradientWatch()
    for _ in range(2):
        with pytest.warns(UserWarning, match="'first' is None"):
            fit(made, watch)
    made.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.warns(UserWarning, match="'first' is None"):
        fit(made, watch)


def test_frozen_layers_and_gradient_accumulation_are_healthy():
    made = model()
    made.get_layer("first").trainable = False
    optimizer = keras.optimizers.Adam(gradient_accumulation_steps=2)
    made.compile(optimizer, "sparse_categorical_crossentropy")
    watch = GradientWatch()
    fit(made, watch)
    assert watch.said == {}


def test_the_search_for_a_loss_scale_is_healthy():
    keras.config.set_dtype_policy("mixed_float16")
    made, watch = model(), GradientWatch()
    assert isinstance(made.optimizer, keras.optimizers.LossScaleOptimizer)
    made.optimizer.initial_scale = 2.0**40
    fit(made, watch)
    assert watch.said == {}


def test_a_custom_train_step_is_watched():
    class Custom(keras.Model):
        def train_step(self, batch):
            x, y = batch
            with tf.GradientTape() as tape:
                loss = self.compute_loss(x, y, tf.stop_gradient(self(x, training=True)))
                loss += tf.reduce_sum(self.get_layer("head").kernel ** 2)
            weights = self.trainable_variables
            self.optimizer.apply(tape.gradient(loss, weights), weights)
            return {"loss": loss}

    plain = model()
    made = Custom(plain.inputs, plain.outputs)
    made.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.warns(UserWarning, match="'first', 'second', 'head' is None"):
        fit(made, GradientWatch())


def test_two_replicas_are_watched(two_replicas):
    with two_replicas.scope():
        made = model(layers.Dense(8, "relu", bias_initializer=keras.initializers.Constant(-99)))
    watch = GradientWatch()
    with pytest.warns(UserWarning, match="is zero"):
        fit(made, watch)
    assert "first" in watch.said["watch-zero"]


def test_the_codes_are_those_of_the_sentences():
    codes = {"watch-none", "watch-zero", "watch-not-finite", "watch-every"}
    assert codes <= set(catalogue.WORDS)


@pytest.mark.parametrize("every", [0, 2.5, True])
def test_every_must_be_a_number_of_batches(every):
    with pytest.raises(ValueError, match="Expected a whole number of batches, at least 3"):
        GradientWatch(every=every)
