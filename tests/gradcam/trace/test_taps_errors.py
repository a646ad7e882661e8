"""Why a tap has no gradient, in one sentence, and what is said of bad input."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import gradcam
from tests.support.gradcam_models import cnn, images, state


def gradient(tap, x, score=lambda outputs: outputs[:, 1], **options):
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        _, outputs = tap(x, tape=tape, **options)
        explained = score(outputs)
    return tap.gradient(tape, explained)


def pooled(operation, *, before=layers.Identity, classes=2):
    """A convolution, an operation of the user's own, pooling and a dense layer."""
    inputs = keras.Input((8, 8, 3))
    x = before()(layers.Conv2D(3, 3, name="conv")(inputs))
    x = layers.Lambda(operation, name="strange", output_shape=x.shape[1:])(x)
    scores = layers.Dense(classes, name="scores")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, scores)


# Gradients that are missing


@tf.custom_gradient
def stubborn(x):
    return x, lambda _: None


def ids(x):
    return tf.one_hot(tf.argmax(x, -1), 3)


BLOCKERS = {
    "round": (tf.round, "round in 'strange'"),
    "argmax": (ids, "argmax in 'strange'"),
    "stop_gradient": (tf.stop_gradient, "tf.stop_gradient in 'strange'"),
    "custom": (stubborn, "a custom gradient (tf.custom_gradient, rematerialisation) in 'strange'"),
    "unregistered": (
        lambda x: tf.raw_ops.ResizeArea(images=x, size=[6, 6]),
        "ResizeArea (which has no gradient) in 'strange'",
    ),
    "undifferentiable": (
        lambda x: tf.random.stateless_poisson((1, 6, 6, 3), [1, 2], x, tf.float32),
        "StatelessRandomPoisson (which has no gradient) in 'strange'",
    ),
    "cast": (lambda x: tf.cast(tf.cast(x, tf.int32), tf.float32), "a cast to int32 in 'strange'"),
}


@pytest.mark.parametrize("is_function", [False, True])
@pytest.mark.parametrize("kind", BLOCKERS)
def test_what_stops_a_gradient_is_named_with_its_layer(kind, is_function):
    operation, words = BLOCKERS[kind]
    tap, x = gradcam.tap(pooled(operation), "conv"), images(1, size=8)
    run = tf.function(gradient) if is_function else gradient
    with pytest.raises(gradcam.BlockedGradientError) as caught:
        run(tap, x)
    assert f"The gradient of the score stops before it reaches 'conv': {words}. " in str(
        caught.value
    )


def test_an_output_that_is_used_and_stopped_is_not_taken_for_an_unused_one():
    class Pair(layers.Layer):
        def call(self, x):
            return 2.0 * x, 3.0 * x

    inputs = keras.Input((4, 4, 2))
    first, second = Pair(name="pair")(inputs)
    x = layers.GlobalAveragePooling2D()(first + keras.ops.round(second))
    tap = gradcam.tap(keras.Model(inputs, layers.Dense(2)(x)), "pair")
    with pytest.raises(gradcam.BlockedGradientError, match=r"before it reaches 'pair': round in"):
        gradient(tap, images(size=4, channels=2))


def two_branches():
    inputs = keras.Input((8, 8, 3))
    heads = []
    for name in ("left", "right"):
        features = layers.Conv2D(3, 3, name=name)(inputs)
        heads.append(layers.Dense(2)(layers.GlobalAveragePooling2D()(features)))
    return keras.Model(inputs, heads)


@pytest.mark.parametrize("is_function", [False, True])
def test_a_score_that_does_not_depend_on_the_layer(is_function):
    tap = gradcam.tap(two_branches(), ["right", "left"])
    run = tf.function(gradient) if is_function else gradient
    right, left = run(tap, images(size=8), lambda outputs: outputs[0] * tf.reduce_sum(outputs[1]))
    assert right.shape == left.shape == (3, 6, 6, 3)
    for one in (tap, gradcam.tap(tap.model, "right")):
        with pytest.raises(gradcam.DisconnectedLayerError) as caught:
            run(one, images(size=8), lambda outputs: outputs[0][:, 1])
        assert str(caught.value).startswith(
            "The target, the score, does not depend on the layer 'right'. Expected a layer on the"
        )


def test_the_first_gradient_that_is_not_finite_is_named():
    def infinite(x):
        return tf.where(tf.range(2)[:, None, None, None] == 1, tf.sqrt(x * 0.0), x)

    model = pooled(infinite, before=lambda: layers.Conv2D(3, 1, name="between"))
    tap = gradcam.tap(model, ["conv", "between", "strange"])
    x = images(2, size=8)
    with pytest.raises(gradcam.NonFiniteError) as caught:
        gradient(tap, x)
    assert str(caught.value).startswith(
        "NaN or an infinity in the gradient of the score for image 1, first behind 'between' on the"
    )
    # A function can't look at values: they are handed back as they are.
    assert np.isnan(tf.function(gradient)(tap, x)[0]).any()
    model = pooled(lambda x: tf.tanh(tf.math.log(x)))
    with pytest.raises(
        gradcam.NonFiniteError, match=r"NaN in the model's activations.*in 'strange'"
    ):
        gradient(gradcam.tap(model, ["strange"]), x, lambda outputs: outputs**2)


def test_an_activation_of_integers_has_no_gradient():
    inputs = keras.Input((5,), dtype="int32")
    words = layers.Identity(dtype="int32", name="ids")(inputs)
    x = layers.GlobalAveragePooling1D()(layers.Embedding(9, 3)(words))
    tap = gradcam.tap(keras.Model(inputs, layers.Dense(2)(x)), "ids")
    x = np.arange(5)[None]
    np.testing.assert_array_equal(tap(x)[0], x)
    with pytest.raises(gradcam.BlockedGradientError, match=r"'ids' has the type int32.*embedding"):
        gradient(tap, x)


class Meaning(keras.Model):
    """A model that only runs."""

    def __init__(self):
        super().__init__()
        self.conv, self.scores = layers.Conv2D(3, 3, name="conv"), layers.Dense(2)

    def call(self, x):
        return self.scores(tf.reduce_mean(self.conv(x), (1, 2)))


class Recomputed(Meaning):
    """A model with a block that TensorFlow computes a second time."""

    def call(self, x):
        return self.scores(tf.reduce_mean(tf.recompute_grad(self.conv)(x), (1, 2)))

    def build(self, _):
        self.conv.build((None, 8, 8, 3))
        self.scores.build((None, 3))
        self.built = True


def test_a_block_in_which_no_tape_records_is_said():
    model = Recomputed()
    model(images(size=8))
    tap = gradcam.tap(model, "conv")
    with pytest.raises(gradcam.BlockedGradientError, match=r"'conv': tf\.recompute_grad, in whose"):
        gradient(tap, images(size=8))


# Bad input


@pytest.fixture(scope="module")
def tap():
    return gradcam.tap(cnn(), "conv2")


def test_a_layer_that_does_not_exist():
    model = cnn()
    with pytest.raises(gradcam.LayerNotFoundError, match=r"no layer 'conv3'. Did you mean 'conv"):
        gradcam.tap(model, "conv3")
    with pytest.raises(gradcam.LayerNotFoundError, match=r"no layer 'conv3'"):
        gradcam.tap(model, ["conv1", "conv3"])
    with pytest.raises(gradcam.GradCamError, match="Received an empty list as the layer"):
        gradcam.tap(model, [])
    with pytest.raises(gradcam.GradCamError, match=r"Received 3 \(int\) as the layer"):
        gradcam.tap(model, 3)
    with pytest.raises(gradcam.GradCamError, match="probability, logit"):
        gradcam.tap(model, score="logits")
    with pytest.raises(gradcam.ModelError, match="Received a list"):
        gradcam.tap([model])


def test_a_layer_that_only_runs_at_times():
    class Sometimes(Meaning):
        is_on = True

        def call(self, x):
            return super().call(x) if self.is_on else self.scores(tf.reduce_mean(x, (1, 2)))

    model = Sometimes()
    model(images())
    tap = gradcam.tap(model, "conv")
    model.is_on = False
    with pytest.raises(gradcam.LayerNotFoundError, match="did not call 'conv' this time"):
        tap(images())


def test_a_layer_in_a_loop_is_said_when_the_tap_is_made():
    inputs = keras.Input((None, 8, 8, 3))
    frames = layers.TimeDistributed(layers.Conv2D(3, 3, name="conv"), name="frames")
    pool = layers.GlobalAveragePooling3D()
    model = keras.Model(inputs, layers.Dense(2)(pool(frames(inputs))))
    with pytest.raises(gradcam.LayerNotFoundError, match=r"'conv' runs inside .*TimeDistributed"):
        gradcam.tap(model, "conv")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (images(size=8), r"shape \(3, 8, 8, 3\) don't fit.*\(batch, 16, 16, 3\)\. Resize"),
        (images()[0], r"have 3 axes.*A batch axis is missing: images\[None\]"),
        (images(channels=1), r"np\.repeat\(images, 3"),
        (np.moveaxis(images(), -1, 1), r"channels-first: np\.moveaxis"),
        ([images(), images()], r"2 arrays for the inputs.*one array for each"),
        ({"other": images()}, r"with other for the inputs.*one array for each"),
    ],
)
@pytest.mark.parametrize("is_function", [False, True])
def test_images_that_do_not_fit(tap, given, words, is_function):
    before = state(tap.model)
    run = tf.function(tap) if is_function else tap
    with pytest.raises(gradcam.ImageError, match=words):
        run(given)
    assert state(tap.model) == before


def test_inputs_of_the_wrong_size_for_a_subclassed_model():
    model = Meaning()
    model(images())
    tap = gradcam.tap(model, "conv")
    for wrong in (images(channels=4), images()[0]):
        with pytest.raises(gradcam.ModelError, match=r"on inputs of shape.*layer 'conv'"):
            tap(wrong)


def test_a_tape_that_was_not_passed_or_is_none(tap):
    with tf.GradientTape() as tape:
        _, outputs = tap(images())
        score = outputs[:, 1]
    for wrong in (tape, tf.GradientTape()):
        with pytest.raises(gradcam.GradCamError, match=r"did not watch.*tap\(images, tape=tape\)"):
            tap.gradient(wrong, score)
    for wrong, name in ((None, "None"), (score, "a EagerTensor"), ("tape", "a str")):
        with pytest.raises(gradcam.GradCamError, match=f"Received {name} as the tape"):
            tap.gradient(wrong, score)
    with pytest.raises(gradcam.GradCamError, match="Received a str as the tape"):
        tap(images(), tape="tape")


def test_a_tape_that_is_not_recording(tap):
    tape = tf.GradientTape()
    words = r"was not recording when the tap was called.*`with tf\.GradientTape"
    with pytest.raises(gradcam.GradCamError, match=words):
        tap(images(), tape=tape)
    with tape, tape.stop_recording(), pytest.raises(gradcam.GradCamError, match=words):
        tap(images(), tape=tape)
    with tape:
        pass
    with pytest.raises(gradcam.GradCamError, match=words):
        tap(images(), tape=tape)


def test_a_tape_of_another_tap(tap):
    other = gradcam.tap(tap.model, "conv1")
    with tf.GradientTape() as tape:
        _, outputs = other(images(), tape=tape)
        score = outputs[:, 1]
    with pytest.raises(gradcam.GradCamError, match="did not watch a call of this tap"):
        tap.gradient(tape, score)
    assert other.gradient(tape, score).shape == (3, 14, 14, 6)


def test_a_tape_that_was_asked_before(tap):
    with tf.GradientTape() as tape:
        _, outputs = tap(images(), tape=tape)
        score = outputs[:, 1]
    tap.gradient(tape, score)
    with pytest.raises(gradcam.GradCamError, match=r"already.*tf\.GradientTape\(persistent=True\)"):
        tap.gradient(tape, score)


@pytest.mark.parametrize(
    ("score", "name"),
    [
        (lambda outputs: outputs.numpy()[:, 1], "a NumPy array"),
        (lambda outputs: outputs.numpy()[0, 1], "a NumPy array"),
        (lambda outputs: float(outputs[0, 1]), "a float"),
        (lambda outputs: [outputs[:, 1]], "a list"),
        (lambda _: None, "None"),
        (lambda _: keras.Input((2,)), "a KerasTensor, which has no value yet"),
        (lambda outputs: tf.argmax(outputs, -1), "a tensor of int64"),
    ],
)
def test_a_score_that_is_no_tensor_of_floats(tap, score, name):
    with pytest.raises(gradcam.GradCamError, match=f"Received {name} as the score"):
        gradient(tap, images(), score)


def test_a_score_that_was_not_computed_from_the_outputs(tap):
    words = "was not computed from what the tap returned last"
    x = tf.constant(images())
    for score in (
        lambda _: tf.reduce_sum(x),
        lambda o: tf.constant(o.numpy()),
        lambda _: tap(x)[1],
    ):
        with pytest.raises(gradcam.DisconnectedLayerError, match=words):
            gradient(tap, x, score)
    with tf.GradientTape() as tape:
        _, outputs = tap(x, tape=tape)
    with pytest.raises(gradcam.DisconnectedLayerError, match=words):
        tap.gradient(tape, outputs[:, 1])  # after the tape
    with pytest.raises(gradcam.DisconnectedLayerError, match=words):
        tf.function(lambda x: gradient(tap, x, lambda _: tf.reduce_sum(x)))(x)


def test_a_gradient_outside_of_the_function_that_calls_the_tap(tap):
    kept = []

    @tf.function
    def call(x):
        with tf.GradientTape() as tape:
            score = tap(x, tape=tape)[1][:, 1]
        kept.append((tape, score))
        return score

    with tf.GradientTape() as around:
        score = tf.function(lambda x: tap(x, tape=around)[1][:, 1])(images())
    call(images())
    for tape, of_tape in ((around, score), kept[0]):
        with pytest.raises(gradcam.GradCamError, match=r"inside of a tf\.function, and tap\.grad"):
            tap.gradient(tape, of_tape)


def test_symbolic_inputs_take_no_tape(tap):
    with (
        tf.GradientTape() as tape,
        pytest.raises(gradcam.GradCamError, match=r"a tape together with symbolic inputs"),
    ):
        tap(keras.Input((16, 16, 3)), tape=tape)
    with pytest.raises(gradcam.ImageError, match=r"shape \(None, 8, 8, 3\) don't fit"):
        tap(keras.Input((8, 8, 3)))


def test_a_tap_is_not_saved_as_a_model(tap, tmp_path):
    with pytest.raises(gradcam.GradCamError, match=r"no model that can be saved.*tap\.export"):
        tap.save(tmp_path / "tap.keras")
    assert not list(tmp_path.iterdir())
