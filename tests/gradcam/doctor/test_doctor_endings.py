"""What the doctor finds between output and loss, of broken weights, and of layers never built."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import gradcam
from tests.support import doctor_models as models
from tests.support.doctor_models import Does, images, with_middle
from tests.support.gradcam_models import state

pytestmark = pytest.mark.filterwarnings("ignore:.*`build\\(\\)` was called on layer")


def only(diagnosis, code):
    found = [one for one in diagnosis.findings if one.code == code]
    assert len(found) == 1, str(diagnosis)
    return found[0]


def codes(model, x=None, **asked):
    x = images() if x is None else x
    return [one.code for one in gradcam.diagnose(model, x, **asked).findings]


LOSSES = {
    "softmax": keras.losses.SparseCategoricalCrossentropy,
    "sigmoid": keras.losses.BinaryCrossentropy,
}


@pytest.fixture(scope="module")
def heads():
    def head(activation):
        return {
            "linear": lambda x: x,
            "softmax": tf.nn.softmax,
            "sigmoid": tf.nn.sigmoid,
            "own": lambda x: tf.exp(x) / tf.reduce_sum(tf.exp(x), -1, keepdims=True),
        }[activation]

    return {name: with_middle(None, activation=head(name)) for name in ("linear", *LOSSES, "own")}


@pytest.mark.parametrize("kind", LOSSES)
def test_a_linear_output_whose_loss_takes_probabilities(heads, kind):
    loss = LOSSES[kind]
    found = only(
        gradcam.diagnose(heads["linear"], images(), loss=loss()), "loss-expects-probabilities"
    )
    assert found.severity == "error"
    assert f"{loss.__name__} takes it for probabilities" in found.message
    assert f"keras.losses.{loss.__name__}(from_logits=True)" in found.fix
    assert f'activation="{kind}"' in found.fix
    for name, right in (("linear", loss(from_logits=True)), (kind, loss()), ("own", loss())):
        assert not any(one.startswith("loss-") for one in codes(heads[name], loss=right))


def test_a_loss_by_name_takes_probabilities(heads):
    loss = "sparse_categorical_crossentropy"
    diagnosis = gradcam.diagnose(heads["linear"], images(), loss=loss)
    assert diagnosis.findings[0].code == "loss-expects-probabilities"
    assert codes(heads["linear"], loss="mse") == []


@pytest.mark.parametrize("kind", LOSSES)
def test_probabilities_whose_loss_takes_logits(heads, kind):
    loss = LOSSES[kind](from_logits=True)
    found = only(gradcam.diagnose(heads[kind], images(), loss=loss), "loss-expects-logits")
    assert found.severity == "warning"
    assert f"went through a {kind}" in found.message
    assert "from_logits=False" in found.fix


def test_a_softmax_of_a_softmax(heads):
    twice = with_middle(None, activation=lambda x: tf.nn.softmax(tf.nn.softmax(x)))
    assert only(gradcam.diagnose(twice, images()), "ends-twice").severity == "warning"
    assert "ends-twice" not in codes(heads["softmax"])


def test_weights_that_are_nan_are_said_first():
    model = models.functional()
    kernel = model.get_layer("first").kernel
    kernel.assign(np.where(np.arange(6) == 2, np.nan, kernel.numpy()))
    diagnosis = gradcam.diagnose(model, images())
    first = diagnosis.findings[0]
    assert (first.code, first.severity, first.where) == (
        "non-finite-weights",
        "error",
        "first/kernel",
    )
    assert {one.code for one in diagnosis.errors} <= {
        "non-finite-weights",
        "non-finite-activations",
    }


class Raises(layers.Layer):
    def call(self, x):
        return tf.matmul(x[:, :, 0], x)


@pytest.mark.parametrize(
    ("middle", "where", "shape"),
    [
        (lambda: [Raises(name="bad")], "bad", "(4, 14, 14, 4)"),
        (lambda: [layers.Reshape((5, 5), name="bad")], "bad", "(4, 14, 14, 4)"),
        (lambda: [layers.MaxPooling2D(14), layers.Conv2D(4, 5, name="bad")], "bad", "(4, 1, 1, 4)"),
        (
            lambda: [keras.Sequential([Raises(name="bad")], name="inner")],
            "inner/bad",
            "(4, 14, 14, 4)",
        ),
    ],
)
def test_the_layer_is_named_in_a_sequential_that_was_never_built(middle, where, shape):
    model = keras.Sequential([layers.Conv2D(4, 3), *middle(), layers.Dense(3)])
    before = state(model)
    diagnosis = gradcam.diagnose(model, images())
    found = only(diagnosis, "cannot-run")
    assert found is diagnosis.findings[0]
    assert found.where == where
    assert f"Layer '{where}' raises" in found.message
    assert f"on an input of shape {shape}" in found.message
    assert state(model) == before
    assert keras.config.is_traceback_filtering_enabled()


def test_an_output_that_does_not_depend_on_the_images():
    diagnosis = gradcam.diagnose(with_middle(Does(tf.ones_like, name="ones")), images())
    assert diagnosis.findings[0].where == "ones"
    assert only(diagnosis, "forward-independent").severity == "error"


def test_one_hot_features_are_not_the_same_for_all_images():
    model = with_middle(Does(lambda x: tf.one_hot(tf.argmax(x, -1), 8), name="hot"))
    assert "forward-constant" not in codes(model)


@pytest.mark.parametrize("name", ["py_function", "without_gradient"])
def test_a_stop_without_a_name_of_its_own_is_not_blamed_on_the_labels(name):
    model = with_middle(Does(getattr(models, name), name="middle"), activation="softmax")
    model.compile("sgd", "sparse_categorical_crossentropy")
    found = only(gradcam.diagnose(model, images()), "weights-stopped")
    assert "in 'middle'" in found.message
    assert "argmax" not in found.message


def test_a_weight_that_is_never_used_in_a_layer_that_is():
    class Model(keras.Model):
        def __init__(self):
            super().__init__(name="net")
            self.head = layers.Dense(3, activation="softmax", name="head")
            self.lonely = self.add_weight(shape=(2,), name="lonely")

        def call(self, x):
            return self.head(tf.reduce_mean(x, [1, 2]))

    model = Model()
    model(images())
    loss = "sparse_categorical_crossentropy"
    found = only(gradcam.diagnose(model, images(), loss=loss), "weights-unused")
    assert found.where == "net/lonely"


def test_arrays_that_are_no_images_never_raise():
    assert codes(models.functional(), images().astype(complex))[0] == "images-kind"


def test_numbers_of_words_are_no_images_in_integers():
    model = keras.Sequential(
        [keras.Input((9,)), layers.Embedding(5, 4), layers.Conv1D(4, 3), layers.Flatten()]
    )
    assert "input-integers" not in codes(model, np.arange(36).reshape(4, 9) % 5)


def test_fractions_for_a_model_that_takes_whole_numbers():
    stack = [keras.Input((16, 16, 3), dtype="uint8"), layers.Rescaling(1 / 255)]
    model = keras.Sequential([*stack, layers.Conv2D(4, 3), layers.GlobalAveragePooling2D()])
    found = only(gradcam.diagnose(model, images()), "input-truncated")
    assert '(images * 255).astype("uint8")' in found.fix
    assert "input-truncated" not in codes(model, (images() * 255).astype("uint8"))


def test_scaled_twice_behind_a_mean_that_is_subtracted():
    scale = Does(lambda x: (x - 127.5) / 127.5, name="scale")
    stack = [keras.Input((16, 16, 3)), scale, layers.Conv2D(4, 3), layers.GlobalAveragePooling2D()]
    model = keras.Sequential(stack)
    assert "input-range-scaled-twice" in codes(model)
    assert "input-range-scaled-twice" not in codes(model, images(high=255))
