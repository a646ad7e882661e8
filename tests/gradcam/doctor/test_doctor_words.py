"""What the doctor names and proposes, word for word."""

import keras
import pytest
from keras import layers

import gradcam
import keras_stn
from tests.support.doctor_models import Does, images, transformer, with_middle


def only(diagnosis, code):
    found = [one for one in diagnosis.findings if one.code == code]
    assert len(found) == 1, str(diagnosis)
    return found[0]


class Around(keras.Model):
    """Calls another layer, and returns what that does."""

    def __init__(self, inner, **options):
        super().__init__(**options)
        self.inner = inner

    def call(self, x):
        return self.inner(x)


def test_the_innermost_layer_that_returned_none_is_named():
    block = Does(lambda x: x, name="block")
    model = Around(Around(Around(block, name="third"), name="second"), name="first")
    model(images())
    block.function = lambda x: None
    found = only(gradcam.diagnose(model, images()), "returns-none")
    assert found.where == "second/third/block"
    assert "layer 'second/third/block' returned None" in found.message


def test_a_model_that_forgets_to_return_is_named_itself():
    class Forgets(keras.Model):
        def __init__(self):
            super().__init__(name="forgets")
            self.log, self.conv = Does(lambda x: x, name="log"), layers.Conv2D(2, 3, name="conv")

        def call(self, x):
            self.log(x)
            self.conv(x)

    model = Forgets()
    model(images())
    model.log.function = lambda x: None
    found = only(gradcam.diagnose(model, images()), "returns-none")
    assert "the model 'forgets' returned None" in found.message


@pytest.mark.parametrize(
    ("activation", "classes", "loss"),
    [
        ("softmax", 3, "sparse_categorical_crossentropy"),
        ("sigmoid", 1, "binary_crossentropy"),
        ("sigmoid", 3, "binary_crossentropy"),
        (None, 1, "mse"),
    ],
)
def test_the_proposed_loss_fits_the_ending(activation, classes, loss):
    model = with_middle(None, classes=classes, activation=activation)
    found = only(gradcam.diagnose(model, images()), "weights-no-loss")
    assert f'loss = "{loss}"\n' in found.fix
    proposed = gradcam.diagnose(model, images(), loss=loss)
    assert proposed.exit_status == 0, str(proposed)


def test_each_of_several_outputs_has_a_loss():
    inputs = keras.Input((16, 16, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(inputs))
    kind, age = layers.Dense(3, activation="softmax")(x), layers.Dense(1)(x)
    logits = layers.Dense(4)(x)
    model = keras.Model(inputs, [kind, age, logits])
    found = only(gradcam.diagnose(model, images()), "weights-no-loss")
    code = found.fix.partition("\n    loss = ")[2].rpartition("\n")[0]
    losses = eval(code, {"keras": keras})
    assert losses[:2] == ["sparse_categorical_crossentropy", "mse"]
    assert isinstance(losses[2], keras.losses.SparseCategoricalCrossentropy)
    assert max(map(len, found.fix.splitlines())) <= 78
    assert not gradcam.diagnose(model, images(), loss=losses).errors


def localised(bias, kernel="zeros", trainable=True):
    """A classifier behind a transformer whose localisation network ends in a Dense layer."""
    network = keras.Sequential(
        [
            keras.Input((16, 16, 1)),
            layers.Flatten(),
            layers.Dense(
                6, kernel_initializer=kernel, bias_initializer=keras.initializers.Constant(bias)
            ),
        ]
    )
    network.trainable = trainable
    return transformer(keras_stn.SpatialTransformer(localization=network, name="stn"), 16)


@pytest.mark.parametrize(
    ("theta", "severity", "share"),
    [([1, 0, 1.4, 0, 1, 1.4], "warning", "90%"), ([1, 0, 5, 0, 1, 0], "error", "100%")],
)
def test_a_theta_that_is_the_same_for_every_image_is_told_what_it_is(theta, severity, share):
    diagnosis = gradcam.diagnose(localised(theta), images(4, 16, 1))
    found = only(diagnosis, "transformer-constant")
    assert found.severity == severity
    assert "gives every image the same theta" in found.message
    assert f"{share} of its grid lies outside" in found.message
    assert "does not start at the identity" in found.message
    assert "keras_stn.ThetaRegression('affine')" in found.fix
    assert 'kernel_initializer="zeros"' in found.fix
    assert "Constant([1, 0, 0, 0, 1, 0])" in found.fix
    codes = {one.code for one in diagnosis.findings}
    assert not codes & {"transformer-outside", "transformer-black", "transformer-no-gradient"}
    # What it proposes is right.
    mended = gradcam.diagnose(localised([1, 0, 0, 0, 1, 0]), images(4, 16, 1))
    assert not [one for one in mended.findings if one.code.startswith("transformer")]


def test_a_theta_that_differs_or_is_meant_is_not():
    near = localised([1, 0, 1.8, 0, 1, 1.8], kernel=keras.initializers.RandomNormal(stddev=1e-3))
    meant = localised([1, 0, 1.8, 0, 1, 1.8], trainable=False)
    for model in (near, meant):
        codes = {one.code for one in gradcam.diagnose(model, images(4, 16, 1)).findings}
        assert "transformer-constant" not in codes
        assert "transformer-outside" in codes or "transformer-black" in codes
