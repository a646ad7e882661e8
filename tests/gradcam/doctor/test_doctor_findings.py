"""Every finding of the doctor: the broken model that has it, and its healthy twin that hasn't."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import gradcam
import keras_stn
from gradcam.messages import about_diagnosis
from tests.support import doctor_models as broken
from tests.support.doctor_models import SIZE, Does, compiled, images, with_middle

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*`build\\(\\)` was called on layer"),
    pytest.mark.filterwarnings("ignore:.*can't learn"),
    pytest.mark.filterwarnings("ignore:You are using a softmax over axis -1"),
]


def diagnose(model, x=None, **asked):
    return gradcam.diagnose(model, images() if x is None else x, **asked)


def only(diagnosis, code):
    found = [one for one in diagnosis.findings if one.code == code]
    assert len(found) == 1, str(diagnosis)
    return found[0]


# 1. images


@pytest.mark.parametrize(
    ("x", "code", "severity", "words"),
    [
        (images()[0], "input-no-batch-axis", "warning", r"images = images\[None\]"),
        (images()[None], "images-rank", "error", "5 axes"),
        (np.moveaxis(images(), -1, 1), "images-shape", "error", "channels-first"),
        (images(size=20), "images-shape", "error", "Resize"),
        (images(channels=1), "images-shape", "error", "np.repeat"),
        ((images() * 255).astype("uint8"), "input-integers", "warning", "uint8"),
        (images().astype("float64"), "input-float64", "note", "float64"),
        (images() * np.nan, "non-finite-images", "error", "NaN in images 0, 1, 2, 3"),
        (images() * 0 + 0.5, "input-constant", "warning", "one single value"),
        ("cat.jpg", "images-kind", "error", "read_images"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_images_that_do_not_fit(x, code, severity, words):
    found = only(diagnose(broken.functional(), x), code)
    assert found.severity == severity
    assert found.where == "images"
    assert words.replace("\\", "") in found.message + found.fix


def test_what_was_repaired_is_said_and_the_rest_is_looked_at():
    diagnosis = diagnose(broken.functional(), np.moveaxis(images(), -1, 1))
    assert "np.moveaxis(images, 1, -1)" in only(diagnosis, "input-repaired").message
    assert diagnosis.gradients


def test_without_images_noise_is_used():
    assert only(gradcam.diagnose(broken.functional(), None), "input-made-up").severity == "note"


def test_one_constant_image_is_named():
    x = images()
    x[2] = 0
    assert only(diagnose(broken.functional(), x), "input-constant").message.startswith(
        "Image 2 has"
    )


def test_images_scaled_twice():
    found = only(diagnose(broken.sequential()), "input-range-scaled-twice")
    assert "expects images from 0 to 255" in found.message
    assert diagnose(broken.sequential(), images(high=255)).findings == ()


@pytest.mark.parametrize(
    ("high", "trained_on", "direction"), [(255, 1, "larger"), (1, 255, "smaller"), (1, 1, None)]
)
def test_range_judged_by_learned_statistics(high, trained_on, direction):
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, name="conv")(inputs)
    norm = layers.BatchNormalization(name="norm", momentum=0.0)
    x = layers.ReLU()(norm(x))
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    # Nothing learned yet: it can't be judged.
    assert not any(one.code == "input-range" for one in diagnose(model, images(high=high)).findings)
    model(images(high=trained_on), training=True)
    found = [f for f in diagnose(model, images(high=high)).findings if f.code == "input-range"]
    if direction is None:
        assert found == []
    else:
        assert f"times {direction}" in found[0].message
        assert "'norm'" in found[0].message


def test_more_images_than_go_through_at_once():
    inputs = keras.Input(batch_shape=(2, SIZE, SIZE, 3))
    x = layers.Conv2D(4, 3, name="conv")(inputs)
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    diagnosis = diagnose(model, images(4))
    assert not diagnosis.errors, str(diagnosis)
    found = only(diagnosis, "input-fixed-batch")
    assert found.severity == "note"
    assert "exactly 2 at a time: of these 4 images" in found.message


# 2. forward


def block(function):
    """A subclassed model that was built when it still worked."""

    class Model(keras.Model):
        def __init__(self):
            super().__init__(name="net")
            self.block = Does(lambda x: x, name="block")
            self.conv = layers.Conv2D(4, 3, name="conv")
            self.head = layers.Dense(3, name="head")

        def call(self, x):
            return self.head(tf.reduce_mean(self.conv(self.block(x)), [1, 2]))

    model = Model()
    model(images())
    assert diagnose(model).exit_status == 0
    model.block.function = function
    return model


def _assertion(x):
    raise AssertionError("my own check")


@pytest.mark.parametrize(
    ("function", "code", "words"),
    [
        (lambda x: None, "returns-none", "The call of layer 'block' returned None"),
        (lambda x: x.numpy(), "numpy-in-call", "calls NumPy"),
        (_assertion, "cannot-run", "AssertionError on an input of shape (4, 16, 16, 3): my own"),
        (lambda x: tf.reshape(x, (4, 3)), "cannot-run", "Cannot reshape"),
        (lambda x: tf.math.log(x - 5), "non-finite-activations", "NaN in the model's"),
        (lambda x: x / 0.0, "non-finite-activations", "An infinity"),
    ],
)
def test_a_layer_that_fails_is_named(function, code, words):
    diagnosis = diagnose(block(function))
    found = only(diagnosis, code)
    assert diagnosis.findings[0] is found
    assert (found.severity, found.where) == ("error", "block")
    assert words in found.message
    unseen = [one for one in diagnosis.findings if one.code == "not-looked-at"]
    assert bool(unseen) == (code != "non-finite-activations")


def test_a_layer_that_fails_when_it_runs_is_named():
    inputs = keras.Input((16, 16, 3), batch_size=4)
    x = layers.Conv2D(4, 3, activation="relu", name="before")(inputs)
    x = Does(
        lambda x: tf.reshape(x, tf.stack([4, tf.cast(tf.reduce_sum(x * 0), tf.int32) + 7])),
        name="odd",
    )(x)
    model = keras.Model(inputs, Does(lambda x: x[:, :3], name="head")(x))
    found = only(diagnose(model), "raises-when-run")
    assert found.where == "odd"
    assert "Input to reshape is a tensor with" in found.message


def test_a_layer_that_returns_nothing_and_is_not_used():
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.log = Does(lambda x: None, name="log")
            self.head = layers.Dense(3, name="head")

        def call(self, x):
            self.log(x)
            return self.head(tf.reduce_mean(x, [1, 2]))

    model = Model()
    model(images())
    assert only(diagnose(model), "layer-returns-nothing").where == "log"


def test_a_convolution_behind_flatten():
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv = layers.Conv2D(4, 3, name="conv")
            self.flatten = layers.Flatten(name="flat")
            self.late = layers.Conv2D(4, 3, name="late")

        def call(self, x):
            return self.late(self.flatten(self.conv(x)))

    found = only(diagnose(Model()), "forward-flatten")
    assert found.severity == "error"
    assert "'flat' flattens (4, 14, 14, 4) before the convolution 'late'" in found.message


def test_a_convolution_along_what_was_flattened():
    inputs = keras.Input((16, 16, 3))
    x = layers.Reshape((256 * 3, 1))(layers.Flatten(name="flat")(inputs))
    x = layers.GlobalAveragePooling1D()(layers.Conv1D(4, 3, name="late")(x))
    found = only(diagnose(keras.Model(inputs, layers.Dense(2)(x))), "forward-flatten")
    assert (found.severity, found.where) == ("warning", "flat")


def test_training_mode():
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv = layers.Conv2D(4, 3, name="conv")
            self.norm = layers.BatchNormalization(name="norm")
            self.drop = layers.Dropout(0.5, name="drop")
            self.head = layers.Dense(3)
            self.mode = True

        def call(self, x, training=None):
            x = self.norm(self.conv(x), training=self.mode)
            return self.head(tf.reduce_mean(self.drop(x, training=self.mode), [1, 2]))

    model = Model()
    model(images())
    found = only(diagnose(model), "forward-training")
    assert "'norm', 'drop' run in training mode" in found.message
    model.mode = False
    assert diagnose(model).exit_status == 0


def dead_middle(bias):
    bias = keras.initializers.Constant(bias)
    return with_middle(layers.Conv2D(8, 1, activation="relu", bias_initializer=bias, name="dead"))


def test_a_dead_relu():
    diagnosis = diagnose(compiled(dead_middle(-1e3)), loss="mse")
    found = only(diagnosis, "forward-dead")
    assert (found.severity, found.where) == ("error", "dead")
    assert "all 4 images" in found.message
    assert "first/kernel" in only(diagnosis, "weights-zero").where


def test_dead_channels():
    model = with_middle(layers.Conv2D(16, 1, activation="relu", name="dead"))
    model.get_layer("dead").bias.assign([1.0] + [-1e3] * 15)
    found = only(diagnose(model), "forward-dead-channels")
    assert "15 of 16 channels" in found.message


def test_an_output_that_is_the_same_for_all_images():
    model = with_middle(Does(lambda x: tf.sign(x + 1e3) + 0 * tf.stop_gradient(x), name="same"))
    assert only(diagnose(model), "forward-constant").where == "same"


# 3. gradients towards the layers

STOPS = {
    "tf.stop_gradient": tf.stop_gradient,
    "argmax": lambda x: tf.one_hot(tf.argmax(x, -1), 8),
    "round": tf.round,
    "a comparison": lambda x: tf.cast(x > 0.1, tf.float32),
    "a cast to int32": lambda x: tf.cast(tf.cast(x * 9, tf.int32), tf.float32),
    "tf.numpy_function": broken.numpy_function,
    "tf.py_function": broken.py_function,
    "a custom gradient": broken.without_gradient,
    "TruncateMod": lambda x: tf.raw_ops.TruncateMod(x=x, y=tf.ones_like(x)),
}


@pytest.mark.parametrize("name", STOPS)
def test_where_the_gradient_stops(name):
    diagnosis = diagnose(with_middle(Does(STOPS[name], name="middle")), layer="second")
    found = only(diagnosis, "blocked-gradient")
    assert found.severity == "error"
    assert name in found.where
    assert found.where.startswith("second -> ")
    assert found.where.endswith("in 'middle' -> middle")
    assert name in found.message
    norms = {one.path: one.norm for one in diagnosis.gradients}
    assert norms["second"] is None
    assert norms["middle"] > 0


@pytest.mark.parametrize("function", [lambda x: x, broken.py_function, broken.numpy_function])
def test_a_diagnosis_records_the_model_once(function):
    recorded = []
    model = with_middle(Does(lambda x: recorded.append(x) or function(x), name="middle"))
    recorded.clear()
    diagnose(model, layer="second")
    assert len(recorded) == 1


def test_a_sign_has_no_slope():
    found = only(
        diagnose(with_middle(Does(tf.sign, name="middle")), layer="second"), "gradient-no-slope"
    )
    assert (found.severity, found.where) == ("error", "second -> sign in 'middle' -> middle")


def test_a_stop_before_the_chosen_layer_is_a_warning_or_may_be_meant():
    model = with_middle(Does(tf.stop_gradient, name="middle"))
    found = only(diagnose(model, layer="middle"), "gradient-stops-elsewhere")
    assert found.severity == "warning"
    assert "'first', 'second'" in found.message
    model.get_layer("first").trainable = model.get_layer("second").trainable = False
    found = only(diagnose(model, layer="middle"), "gradient-stops-elsewhere")
    assert found.severity == "note"
    assert "may be meant" in found.message


@pytest.mark.parametrize(
    ("function", "word"),
    [
        (lambda x: tf.sigmoid(x * 1e3 + 500), "sigmoid"),
        (lambda x: tf.nn.softmax(x * 1e5), "softmax"),
    ],
)
def test_saturation(function, word):
    found = only(
        diagnose(with_middle(Does(function, name="gate")), layer="second"), "gradient-saturated"
    )
    assert (found.severity, found.where) == ("error", "gate")
    assert f"The {word} in 'gate' is saturated at 100%" in found.message


def test_a_relu_that_is_dead_for_most_values():
    model = with_middle(Does(lambda x: tf.nn.relu(x - 1e6) + 1e-9 * tf.reduce_mean(x), name="gate"))
    codes = {one.code for one in diagnose(model, layer="second").findings}
    assert "gradient-dead-relu" in codes


def test_a_gradient_multiplied_by_zero():
    model = with_middle(Does(lambda x: x * 0.0 + 1.0, name="gate"))
    found = only(diagnose(model, layer="second"), "gradient-zero")
    assert "'second'" in found.message
    assert "'gate' behind it" in found.message


def test_underflow_in_half_precision():
    keras.config.set_dtype_policy("mixed_float16")
    model = with_middle(Does(lambda x: x * tf.constant(1e-7, x.dtype), name="tiny"))
    found = only(diagnose(model, layer="second"), "gradient-underflow")
    assert found.severity == "warning"
    healthy = diagnose(with_middle(None), layer="second")
    assert "gradient-underflow" not in {one.code for one in healthy.findings}


@pytest.mark.parametrize(
    ("asked", "code", "words"),
    [
        ({"layer": "secnd"}, "layer-not-found", "no layer 'secnd'"),
        ({"layer": "aside"}, "disconnected-layer", "does not depend on the layer 'aside'"),
        ({"layer": "pool"}, "not-a-feature-map", "no axes of positions"),
        ({"target": 9}, "class-range", "Class 9 is out of range"),
    ],
)
def test_layers_and_targets_that_cannot_be_explained(asked, code, words):
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv = layers.Conv2D(4, 3, name="conv")
            self.aside = layers.Conv2D(4, 3, name="aside")
            self.pool = layers.GlobalAveragePooling2D(name="pool")
            self.head = layers.Dense(3, name="head")

        def call(self, x):
            self.aside(x)
            return self.head(self.pool(self.conv(x)))

    model = Model()
    model(images())
    found = only(diagnose(model, **asked), code)
    assert found.severity == "error"
    assert words in found.message
    if code == "disconnected-layer":
        assert "conv" in found.fix


def test_a_gradient_that_is_not_finite():
    model = linear_head(np.ones(8), middle=Does(lambda x: tf.sqrt(x * 0.0), name="root"))
    found = only(diagnose(model), "non-finite-gradients")
    assert (found.severity, found.where) == ("error", "conv")


# 4. gradients towards the weights


def test_weights_behind_a_stop():
    model = compiled(with_middle(Does(tf.stop_gradient, name="middle"), activation="softmax"))
    found = only(diagnose(model), "weights-stopped")
    assert found.where == "first/kernel, first/bias, second/kernel, second/bias"
    assert "tf.stop_gradient in 'middle'" in found.message


def test_weights_that_are_never_used_or_not_tracked():
    class Model(keras.Model):
        def __init__(self):
            super().__init__(name="net")
            self.extra = layers.Dense(4, name="extra")
            self.extra.build((None, 4))
            self.head = layers.Dense(3, name="head")
            self.scale = tf.Variable(2.0)

        def call(self, x):
            return self.head(tf.reduce_mean(x, [1, 2]) * self.scale)

    model = Model()
    model(images())
    diagnosis = diagnose(compiled(model, "mse"))
    assert only(diagnosis, "weights-unused").where == "extra/kernel, extra/bias"
    assert only(diagnosis, "weights-untracked").where == "net: scale"


def test_an_output_without_a_loss():
    model = broken.two_outputs()
    found = only(
        diagnose(model, loss={"kind": "sparse_categorical_crossentropy"}), "weights-not-in-loss"
    )
    assert found.where == "age/kernel, age/bias"


def test_weights_that_are_not_trainable():
    model = broken.functional()
    model.get_layer("head").trainable = False
    assert only(diagnose(model), "weights-frozen-head").where == "head"
    model.trainable = False
    only(diagnose(model), "weights-none-trainable")


def test_a_loss_whose_gradient_is_nan_or_that_fails_or_is_not_there():
    model = with_middle(None)
    found = only(diagnose(model, loss=lambda y, p: tf.sqrt(p * 0.0)), "weights-nan")
    assert "head/kernel" in found.where
    assert (
        "ZeroDivisionError"
        in only(diagnose(model, loss=lambda y, p: 1 / 0), "weights-loss-fails").message
    )
    assert only(diagnose(model), "weights-no-loss").severity == "note"


def test_a_softmax_over_one_unit():
    model = compiled(with_middle(None, classes=1, activation="softmax"), "mse")
    assert "sigmoid" in only(diagnose(model), "weights-one-unit").fix


def test_weights_on_another_scale():
    model = compiled(with_middle(layers.Conv2D(8, 1, name="far")), "mse")
    layer = model.get_layer("far")
    layer.kernel.assign(layer.kernel * 1e9)
    model.get_layer("hidden").kernel.assign(model.get_layer("hidden").kernel * 1e-9)
    found = [one for one in diagnose(model).findings if one.code == "weights-scale"]
    assert found[0].where == "far/kernel, far/bias"
    assert "times smaller than the nearer of its neighbours" in found[0].message


def test_labels_are_the_target_where_it_names_classes():
    seen = []

    def loss(labels, outputs):
        seen.append(tf.get_static_value(labels))
        return keras.losses.sparse_categorical_crossentropy(labels, outputs)

    loss.__name__ = "sparse"
    diagnose(broken.functional(), target=[0, 1, 2, 0], loss=loss)
    np.testing.assert_array_equal(seen[0], [0, 1, 2, 0])


# 5. spatial transformers


def stn(theta=None, size=24, **options):
    """A transformer whose theta is the same for all images."""
    localization = None
    if theta is not None:
        localization = keras.Sequential(
            [
                keras.Input((size, size, 1)),
                layers.Flatten(),
                layers.Dense(
                    6,
                    kernel_initializer=keras.initializers.RandomNormal(stddev=1e-5),
                    bias_initializer=keras.initializers.Constant(theta),
                ),
            ]
        )
    layer = keras_stn.SpatialTransformer(localization=localization, name="stn", **options)
    return broken.transformer(layer, size)


@pytest.mark.parametrize(
    ("theta", "code", "severity", "words"),
    [
        ([1, 0, 5, 0, 1, 0], "transformer-black", "error", "100% of the grid"),
        ([1, 0, 1, 0, 1, 1], "transformer-outside", "warning", "lies outside the image"),
        ([0.02, 0, 0, 0, 0.02, 0], "transformer-collapsed", "warning", "smallest zoom is 0.02"),
        ([-1, 0, 0, 0, 1, 0], "transformer-mirrored", "warning", "(-1) for images 0, 1, 2, 3"),
        ([4, 0, 0, 0, 4, 0], "transformer-shrunk", "warning", "zooms out by 4"),
        ([1.2, 0, 0, 0, 1.2, 0], "transformer-fill", "note", "an edge that isn't there"),
    ],
)
def test_where_a_transformer_looks(theta, code, severity, words):
    found = only(diagnose(stn(theta), images(4, 24, 1)), code)
    assert (found.severity, found.where) == (severity, "stn")
    assert words in found.message


class Flip(layers.Layer):
    """Has the transformer's interface, and no family; its way back is given."""

    transform, align_corners = "flip", True

    def __init__(self, way_back):
        super().__init__(name="flip")
        self.way_back = way_back

    def theta(self, x):
        return tf.zeros([tf.shape(x)[0], 1])

    def grid(self, theta):
        raise NotImplementedError

    def inverse_grid(self, theta, size):
        return self.way_back(theta, size)

    def call(self, x):
        return tf.reverse(x, [2]) + 0.0 * self.theta(x)[..., None, None]


def test_a_transformer_that_heatmaps_cannot_be_carried_back_through():
    def missing(theta, size):
        raise RuntimeError("to be written")

    model = broken.transformer(Flip(missing), 24)
    found = only(diagnose(model, images(4, 24, 1)), "transformer-broken")
    assert (found.severity, found.where) == ("error", "flip")
    assert "to be written" in found.message
    fine = broken.transformer(Flip(lambda theta, size: tf.zeros([1, *size, 2])), 24)
    codes = {one.code for one in diagnose(fine, images(4, 24, 1)).findings}
    assert not codes & {"transformer-broken", "not-looked-at"}


@pytest.mark.parametrize("family", ["affine", "attention", "projective", "tps", "rotation"])
def test_a_new_transformer_is_healthy(family):
    model = broken.transformer(keras_stn.SpatialTransformer(family), 20)
    assert diagnose(model, images(4, 20, 1)).findings == ()


def test_a_transformer_of_a_subclass_of_images_that_do_not_start_at_the_identity():
    loc = [keras.Input((24, 24, 1)), layers.Flatten(), layers.Dense(6)]
    layer = keras_stn.SpatialTransformer(localization=keras.Sequential(loc), name="stn")
    found = only(diagnose(broken.transformer(layer, 24), images(4, 24, 1)), "transformer-start")
    assert "ThetaRegression('affine')" in found.fix


def test_a_transformer_that_cannot_learn():
    found = only(diagnose(stn(interpolation="nearest"), images(4, 24, 1)), "transformer-nearest")
    assert 'interpolation="bilinear"' in found.fix


def test_a_transformer_whose_theta_gets_no_gradient():
    stack = [keras.Input((24, 24, 1)), layers.Flatten(), layers.Dense(4), Does(tf.stop_gradient)]
    network = keras.Sequential([*stack, keras_stn.ThetaRegression("affine")])
    layer = keras_stn.SpatialTransformer(localization=network, name="stn")
    assert "weights-stopped" in {
        one.code for one in diagnose(broken.transformer(layer, 24), images(4, 24, 1)).findings
    }
    model = broken.transformer(keras_stn.SpatialTransformer(name="stn"), 24)
    inputs = keras.Input((24, 24, 1))
    x = Does(tf.stop_gradient)(model.get_layer("stn")(inputs))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, activation="relu")(x))
    found = diagnose(keras.Model(inputs, layers.Dense(3)(x)), images(4, 24, 1))
    assert only(found, "transformer-no-gradient").where == "stn"


def test_a_transformer_with_gradients_on_another_scale():
    large = [keras.Input((24, 24, 1)), layers.Flatten(), layers.Rescaling(1e6)]
    network = keras.Sequential([*large, keras_stn.ThetaRegression("affine")])
    layer = keras_stn.SpatialTransformer(localization=network, name="stn")
    found = diagnose(broken.transformer(layer, 24), images(4, 24, 1))
    assert "step_size=0.1" in only(found, "transformer-gradient-scale").fix


def test_advice_on_corners_where_the_output_is_small():
    assert (
        only(diagnose(stn(output_size=8), images(4, 24, 1)), "transformer-corners").severity
        == "note"
    )
    same = diagnose(stn(output_size=8, align_corners=False), images(4, 24, 1))
    assert same.findings == ()


# 6. the explanation


def test_a_layer_inside_a_model():
    found = only(diagnose(broken.nested(), layer="conv"), "explain-nested")
    assert found.where == "backbone/conv"
    assert 'layer="backbone/conv"' in found.fix


def test_a_layer_before_its_activation():
    found = only(
        diagnose(broken.sequential(), images(high=255), layer="conv2"), "explain-before-activation"
    )
    assert 'layer="relu"' in found.fix
    assert diagnose(broken.sequential(), images(high=255), layer="relu").findings == ()


def test_a_coarse_map():
    model = with_middle(layers.AveragePooling2D(4, name="coarse"))
    found = only(diagnose(model, layer="coarse"), "explain-coarse")
    assert "3 x 3 positions: one covers 11%" in found.message
    assert "'second'" in found.fix
    one = with_middle(layers.AveragePooling2D(12, name="coarse"))
    assert "only one position" in only(diagnose(one, layer="coarse"), "not-a-feature-map").message


def linear_head(kernel, channels=8, middle=lambda x: x):
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(channels, 3, activation="relu", name="conv")(inputs)
    x = layers.GlobalAveragePooling2D()(middle(x))
    model = keras.Model(inputs, layers.Dense(1, name="head")(x))
    model.get_layer("head").kernel.assign(np.asarray(kernel, "float32").reshape(channels, 1))
    return model


def test_all_weights_negative():
    found = only(diagnose(linear_head(-np.ones(8))), "explain-all-negative")
    assert "relu=False" in found.fix


def test_one_channel():
    model = linear_head([50] + [1e-3] * 7)
    model.get_layer("conv").bias.assign(np.ones(8))
    found = only(diagnose(model), "explain-one-channel")
    assert "number 0" in found.message


def test_a_constant_map():
    model = linear_head(
        np.ones(8),
        middle=Does(lambda x: x * 0 + tf.reduce_mean(x, [1, 2], keepdims=True), name="flat"),
    )
    assert only(diagnose(model, layer="flat"), "explain-constant-map").where == "flat"


def test_a_saturated_and_a_hidden_probability():
    model = with_middle(None, activation="softmax")
    model.get_layer("head").kernel.assign(model.get_layer("head").kernel * 1e4)
    assert only(diagnose(model), "explain-saturated").severity == "note"
    inputs = model.inputs
    hidden = keras.Model(inputs, Does(lambda x: x * 0.5 + 0.1)(model.outputs[0]))
    assert "softmax" in only(diagnose(hidden), "explain-hidden-ending").message


def test_every_code_has_a_test():
    folder = Path(__file__).parent
    text = "".join(
        path.read_text(encoding="utf-8")
        for name in ("test_doctor*.py", "../callbacks/test_callbacks.py")
        for path in folder.glob(name)
    )
    # Said under the code of an error of `explain`.
    retold = {"layer-raises": "cannot-run", "gradient-stops": "blocked-gradient"}
    retold["model-not-built"] = "not-built"
    for code in about_diagnosis.WORDS:
        assert f'"{retold.get(code, code)}"' in text, code
