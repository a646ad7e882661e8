"""The layer that is chosen when nobody says, and the list of layers."""

import keras
import numpy as np
import pytest
from keras import layers

import gradcam
from tests.support.gradcam_models import Subclassed, cnn, images, nested

# None: the last call of that kind, whose number depends on what was built before.
GOLDEN = {
    "VGG16": "block5_conv3",
    "ResNet50": "conv5_block3_out",
    "ResNet50V2": "post_relu",
    "InceptionV3": "mixed10",
    "InceptionResNetV2": "conv_7b_ac",
    "Xception": "block14_sepconv2_act",
    "DenseNet121": "relu",
    "MobileNet": "conv_pw_13_relu",
    "MobileNetV2": "out_relu",
    "MobileNetV3Small": ("Activation", 576),
    "EfficientNetB0": "top_activation",
    "EfficientNetV2B0": "top_activation",
    "NASNetMobile": ("Activation", 1056),
    "ConvNeXtTiny": ("Add", 768),
}


# Large networks take seconds to build: these are looked at by `make test-slow`.
LARGE = {"InceptionResNetV2", "NASNetMobile", "DenseNet121", "InceptionV3", "EfficientNetV2B0"}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n in LARGE)) for n in GOLDEN]
)
def test_the_golden_choice_of_each_family(name):
    keras.backend.clear_session()
    model = getattr(keras.applications, name)(weights=None)
    found = gradcam.layers(model)
    (chosen,) = [info for info in found if info.chosen]
    if isinstance(GOLDEN[name], str):
        assert chosen.path == GOLDEN[name]
        return
    kind, channels = GOLDEN[name]
    assert (chosen.kind, chosen.shape[-1]) == (kind, channels)
    last = [info for info in found if info.kind == kind and (info.shape or (0,))[1:3] != (1, 1)]
    last = [info for info in last if len(info.shape) == 4 and info.shape[-1] == channels]
    assert chosen == last[-1]


def test_a_backbone_without_its_top_inside_another_model():
    keras.backend.clear_session()
    backbone = keras.applications.MobileNetV2(
        weights=None, include_top=False, input_shape=(64, 64, 3), alpha=0.35
    )
    inputs = keras.Input((64, 64, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    x = layers.GlobalAveragePooling2D()(backbone(x, training=False))
    model = keras.Model(inputs, layers.Dense(5, activation="softmax")(layers.Dropout(0.2)(x)))
    x = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3))
    explanation = gradcam.explain(model, x)
    assert explanation.layer == f"{backbone.name}/out_relu"
    assert explanation.maps.shape == (2, 2, 2)


def after(*rest, before=()):
    """A convolution named conv, then other layers, then a head."""
    keras.backend.clear_session()
    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            *before,
            layers.Conv2D(4, 3, name="conv"),
            *rest,
            layers.Flatten(),
            layers.Dense(2, name="head"),
        ]
    )


@pytest.mark.parametrize(
    "rest",
    [
        [layers.MaxPooling2D()],
        [layers.Dropout(0.5), layers.SpatialDropout2D(0.5), layers.GaussianNoise(1.0)],
        [layers.ZeroPadding2D(), layers.Cropping2D()],
        [layers.UpSampling2D()],
        [layers.Reshape((7, 28, 4)), layers.Permute((2, 1, 3))],
        [layers.GlobalAveragePooling2D(keepdims=True), layers.Conv2D(8, 1), layers.ReLU()],
        [layers.Activation("linear"), layers.Identity()],
    ],
)
def test_what_only_moves_values_does_not_count(rest):
    model = after(*rest)
    chosen = gradcam.explain(model, images(), target=0).layer
    assert chosen == ("conv" if not isinstance(rest[0], layers.Activation) else "activation")


@pytest.mark.parametrize(
    ("rest", "chosen"),
    [
        ([layers.BatchNormalization(name="norm"), layers.ReLU(name="relu")], "relu"),
        ([layers.BatchNormalization(name="norm")], "norm"),
        ([layers.LeakyReLU(name="leaky"), layers.MaxPooling2D()], "leaky"),
        ([layers.LayerNormalization(name="norm")], "norm"),
    ],
)
def test_the_activation_after_the_convolution_is_taken(rest, chosen):
    assert gradcam.explain(after(*rest), images(), target=0).layer == chosen


def test_preprocessing_is_no_feature_map():
    keras.backend.clear_session()
    normalise = layers.Normalization(mean=[0, 0, 0], variance=[1, 1, 1])
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            normalise,
            layers.RandomFlip(),
            layers.Resizing(8, 8),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    with pytest.raises(gradcam.NotAFeatureMapError, match="no feature map before the target"):
        gradcam.explain(model, images(size=8))
    assert not any(info.chosen for info in gradcam.layers(model))


def test_the_scores_of_a_segmentation_are_not_its_feature_map():
    for ending in (
        [],
        [layers.UpSampling2D(2, interpolation="bilinear")],
        [layers.Reshape((64, 3))],
    ):
        model = keras.Sequential(
            [
                keras.Input((8, 8, 3)),
                layers.Conv2D(4, 3, padding="same", name="conv"),
                layers.Conv2D(3, 1, name="scores"),
                *ending,
                layers.Softmax(),
            ]
        )
        found = {info.path: info for info in gradcam.layers(model)}
        assert found["conv"].chosen, ending


def test_tokens_after_the_last_feature_map_are_warned_about():
    inputs = keras.Input((8, 8, 3))
    x = layers.Reshape((16, 4))(layers.Conv2D(4, 2, strides=2, name="patches")(inputs))
    x = layers.MultiHeadAttention(1, 4, name="attention")(x, x)
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))
    explanation = gradcam.explain(model, images(size=8))
    assert explanation.layer == "patches"
    assert "what follows works on a sequence (first 'attention')" in explanation.warnings[0]
    assert not gradcam.explain(model, images(size=8), layer="patches").warnings


def test_layers_lists_paths_kinds_shapes_and_reasons():
    model, path, _ = nested(2)
    found = gradcam.layers(model)
    by_path = {info.path: info for info in found}
    assert by_path[path].chosen
    assert by_path[path].kind == "Conv2D"
    assert by_path[path].shape == (None, 12, 12, 8)
    assert by_path[path].reason == "the last feature map"
    pooled = next(info for info in found if info.kind == "GlobalAveragePooling2D")
    assert not pooled.explainable
    assert pooled.reason == "it has no axes of positions"
    assert [info.path for info in found if "conv" in info.path] == [
        "level0/backbone/conv1",
        "level0/backbone/conv2",
    ]


def test_layers_of_a_subclassed_model_and_of_dict_inputs():
    model = Subclassed()
    model(images(2))
    assert [info.path for info in gradcam.layers(model)] == ["first", "second", "pool", "head"]
    assert gradcam.layers(model)[0].shape == (None, 14, 14, 6)

    class Pair(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv = layers.Conv2D(2, 3, name="conv")

        def call(self, inputs):
            return self.conv(inputs["a"]) + self.conv(inputs["b"])

        def build(self, shape):
            self.conv.build(shape["a"])

    pair = Pair()
    pair({"a": images(), "b": images()})
    assert [info.path for info in gradcam.layers(pair)] == ["conv[0]", "conv[1]"]
    x = {"a": images(), "b": images()}
    found = gradcam.explain(pair, x, lambda y: keras.ops.sum(y, (1, 2, 3)), layer="conv[1]")
    assert found.layer == "conv[1]"


def test_a_layer_the_outputs_do_not_need_is_listed_as_such():
    class Idle(keras.Model):
        def __init__(self):
            super().__init__()
            self.used = layers.Conv2D(2, 3, name="used")
            self.idle = layers.Conv2D(2, 3, name="idle")

        def build(self, shape):
            self.used.build(shape)
            self.idle.build(shape)

        def call(self, x):
            self.idle(x)
            return self.used(x)

    model = Idle()
    model(images())
    found = {info.path: info for info in gradcam.layers(model)}
    assert found["idle"].reason == "the outputs do not depend on it"
    assert not found["idle"].explainable
    assert found["used"].explainable


def test_the_choice_follows_the_target():
    inputs = keras.Input((16, 16, 3))
    first = layers.Conv2D(3, 3, name="first")(inputs)
    second = layers.Conv2D(3, 3, name="second")(first)
    early = layers.Dense(2, name="early")(layers.GlobalAveragePooling2D()(first))
    late = layers.Dense(2, name="late")(layers.GlobalAveragePooling2D()(second))
    model = keras.Model(inputs, [early, late])
    for name, layer in (("early", "first"), ("late", "second")):
        target = gradcam.targets.Output(name, 1)
        assert gradcam.explain(model, images(), target).layer == layer


def test_cnn_is_what_the_other_tests_think():
    assert gradcam.explain(cnn(), images()).layer == "conv2"
