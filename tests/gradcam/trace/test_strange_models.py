"""Models that people build and that few tools expect: each by the map of a plain twin."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import gradcam
from gradcam.targets import Segmentation
from tests.support.gradcam_models import backbone, cnn, flatten_cnn, images


def same(found, twin, *, layer=None):
    np.testing.assert_allclose(found.maps, twin.maps, atol=1e-6)
    np.testing.assert_allclose(found.heatmaps, twin.heatmaps, atol=1e-5)
    assert found.maps.any()
    if layer:
        assert found.layer == layer


class Recomputed(keras.Model):
    """The layers of `cnn`, the second block of them under tf.recompute_grad or keras.remat."""

    def __init__(self, plain, wrap):
        super().__init__()
        self.first, self.pool = plain.get_layer("conv1"), plain.get_layer("pool")
        self.second, self.average = plain.get_layer("conv2"), plain.get_layer("average")
        self.scores = plain.get_layer("scores")
        self.wrap = wrap

    def call(self, inputs):
        x = self.wrap(lambda images: self.pool(self.first(images)))(inputs)
        return self.scores(self.wrap(lambda maps: self.average(self.second(maps)))(x))


@pytest.mark.parametrize("layer", [None, "conv1"])
def test_layers_in_recomputed_blocks_are_explained_as_others(layer):
    plain = cnn()
    wraps = [tf.recompute_grad]
    if hasattr(keras, "remat"):
        wraps.append(keras.remat)
    for wrap in wraps:
        model = Recomputed(plain, wrap)
        model(images())
        nodes = [len(one._inbound_nodes) for one in model.layers]
        found = gradcam.explain(model, images(), layer=layer)
        same(found, gradcam.explain(plain, images(), layer=layer), layer=layer or "conv2")
        assert [len(one._inbound_nodes) for one in model.layers] == nodes


class Overruled(keras.Model):
    """A layer inside a custom gradient of the user's own, which says nothing of the layer."""

    def __init__(self):
        super().__init__()
        self.conv = layers.Conv2D(3, 3, padding="same", name="conv")
        self.head = layers.Dense(2)

    def call(self, inputs):
        @tf.custom_gradient
        def doubled(x):
            return 2.0 * self.conv(x), lambda up, variables=None: (up, [None] * len(variables))

        return self.head(tf.reduce_mean(doubled(inputs), [1, 2]))


def test_a_gradient_of_the_users_own_is_not_passed_by():
    model = Overruled()
    model(images(size=8))
    with pytest.raises(gradcam.BlockedGradientError, match=r"a custom gradient \(tf.custom_grad"):
        gradcam.explain(model, images(size=8), layer="conv")


def segmenter(activation, *, flat):
    keras.utils.set_random_seed(4)
    inputs = keras.Input((12, 12, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv")(inputs)
    x = layers.Conv2D(1, 1, activation=activation, name="mask")(x)
    return keras.Model(inputs, layers.Reshape((12, 12))(x) if flat else x)


@pytest.mark.parametrize("activation", [None, "sigmoid"])
@pytest.mark.parametrize("of_class", [None, 0])
def test_a_mask_without_an_axis_of_classes_is_one_channel(activation, of_class):
    pixels = np.ones((12, 12))
    given = images(size=12)
    for target in (Segmentation(of_class), Segmentation(of_class, mask=pixels)):
        for score in ("logit", "probability"):
            options = {"target": target, "relu": False, "score": score}
            found = gradcam.explain(segmenter(activation, flat=True), given, **options)
            twin = gradcam.explain(segmenter(activation, flat=False), given, **options)
            same(found, twin, layer="conv")
            np.testing.assert_allclose(found.scores, twin.scores, rtol=1e-5)


@pytest.mark.parametrize("target", [None, 1, gradcam.targets.Binary()])
def test_a_mask_without_an_axis_of_classes_says_what_to_do(target):
    with pytest.raises(gradcam.TargetError, match=r"Of a mask .* gradcam\.targets\.Segmentation"):
        gradcam.explain(segmenter("sigmoid", flat=True), images(size=12), target)


def siamese():
    keras.utils.set_random_seed(5)
    shared, pool = backbone(), layers.GlobalAveragePooling2D()
    left, right = keras.Input((16, 16, 3), name="left"), keras.Input((16, 16, 3), name="right")
    apart = layers.Subtract()([pool(shared(left)), pool(shared(right))])
    return keras.Model([left, right], layers.Dense(1, activation="sigmoid")(apart))


@pytest.mark.parametrize("method", ["gradcam", "scorecam"])
def test_each_side_of_a_siamese_pair_has_its_own_map(method):
    model, left, right = siamese(), images(seed=1), images(seed=2)
    maps = {
        side: gradcam.explain(model, [left, right], input=side, method=method, relu=False, target=1)
        for side in ("left", "right")
    }
    assert [found.layer for found in maps.values()] == ["backbone[0]/conv2", "backbone[1]/conv2"]
    # The other way round, each image speaks for the opposite, where the gradient decides.
    turned = gradcam.explain(
        model, [right, left], input="right", method=method, relu=False, target=1
    )
    if method == "gradcam":
        np.testing.assert_allclose(turned.maps, -maps["left"].maps, atol=1e-6)
    assert not np.allclose(maps["left"].maps, maps["right"].maps)


@pytest.mark.parametrize("method", ["gradcam", "ablationcam", "scorecam"])
def test_layers_with_int8_weights_are_explained(method):
    model = flatten_cnn()
    plain = gradcam.explain(model, images(size=10), 1, method=method, relu=False)
    model.get_layer("scores").quantize("int8")
    found = gradcam.explain(model, images(size=10), 1, method=method, relu=False)
    assert found.layer == "conv"
    np.testing.assert_allclose(found.heatmaps, plain.heatmaps, atol=0.1)


def test_a_nested_backbone_in_bfloat16():
    keras.utils.set_random_seed(6)
    plain, half = backbone(), None
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = backbone()
    finally:
        keras.config.set_dtype_policy("float32")
    half.set_weights(plain.get_weights())
    head = layers.Dense(3)
    models = []
    for inner in (plain, half):
        inputs = keras.Input((16, 16, 3))
        pooled = layers.GlobalAveragePooling2D(dtype="float32")(inner(inputs))
        models.append(keras.Model(inputs, head(pooled)))
    twin, found = (gradcam.explain(model, images(), 1) for model in models)
    assert found.layer == "backbone/conv2"
    np.testing.assert_allclose(found.heatmaps, twin.heatmaps, atol=0.05)


def turned(*, open_size, back):
    """Channels first outside, last inside, as people do where a CPU has no other convolution."""
    keras.utils.set_random_seed(7)
    sizes = (None, None) if open_size else (10, 14)
    inputs = keras.Input((3, *sizes))
    x = layers.Permute((2, 3, 1))(inputs)
    x = layers.Conv2D(4, 3, activation=None if back else "relu", name="conv")(x)
    if not back:
        return keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    x = layers.ReLU(name="relu")(layers.Permute((3, 1, 2))(x))
    x = layers.GlobalAveragePooling2D(data_format="channels_first")(x)
    return keras.Model(inputs, layers.Dense(2)(x))


@pytest.mark.parametrize("open_size", [False, True])
@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("method", ["gradcam", "scorecam"])
def test_channels_that_are_moved_to_the_other_end_are_followed(open_size, back, method):
    model = turned(open_size=open_size, back=back)
    inputs = keras.Input((10, 14, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    twin = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    twin.set_weights(model.get_weights())
    last = np.random.default_rng(0).normal(size=(2, 10, 14, 3)).astype("float32")
    first = np.moveaxis(last, -1, 1)
    found = gradcam.explain(model, first, 1, method=method, relu=False)
    same(found, gradcam.explain(twin, last, 1, method=method, relu=False))
    assert found.overlay(first).shape == (2, 10, 14, 3)


class Pair(layers.Layer):
    """A layer that returns a dict, and has no layers inside."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(3, 3, shape[-1], 4))

    def call(self, inputs):
        maps = tf.nn.relu(tf.nn.conv2d(inputs, self.kernel, 1, "SAME"))
        return {"maps": maps, "mean": tf.reduce_mean(maps, [1, 2])}


def test_a_layer_that_returns_a_dict_is_looked_into_or_named():
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, layers.Dense(2)(Pair(name="pair")(inputs)["mean"]))
    with pytest.raises(gradcam.NotAFeatureMapError, match="'pair' returns 2 tensors, not one"):
        gradcam.explain(model, images(size=8))
    with pytest.raises(gradcam.NotAFeatureMapError, match="Let a layer of its own make the map"):
        gradcam.explain(model, images(size=8), layer="pair")
    fine = layers.Conv2D(3, 3, activation="relu", name="fine")(inputs)
    coarse = layers.Conv2D(3, 3, activation="relu", name="coarse")(fine)
    pyramid = keras.Model(inputs, {"fine": fine, "coarse": coarse}, name="pyramid")
    pooled = layers.GlobalAveragePooling2D()(pyramid(inputs)["fine"])
    model = keras.Model(inputs, layers.Dense(2)(pooled))
    assert gradcam.explain(model, images(size=8)).layer == "pyramid/fine"
    with pytest.raises(gradcam.NotAFeatureMapError, match="Choose one of the layers inside it"):
        gradcam.explain(model, images(size=8), layer="pyramid")


def test_a_normalisation_that_always_trains_is_left_as_it_is():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="conv")(inputs)
    x = layers.ReLU(name="relu")(layers.BatchNormalization()(x, training=True))
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    before = [variable.numpy() for variable in model.variables]
    expected = model.predict(images(size=8), verbose=0)
    for variable, value in zip(model.variables, before, strict=True):
        variable.assign(value)
    found = gradcam.explain(model, images(size=8), 1)
    assert found.layer == "relu"
    np.testing.assert_allclose(found.outputs, expected, atol=1e-5)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_a_sequential_of_lambdas():
    keras.utils.set_random_seed(8)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Lambda(lambda x: x / 127.5 - 1, name="scale"),
            layers.Conv2D(4, 3, name="conv"),
            layers.Lambda(keras.ops.relu, name="relu"),
            layers.Lambda(lambda x: tf.reduce_mean(x, [1, 2])),
            layers.Dense(3, activation="softmax"),
        ]
    )
    twin = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Rescaling(1 / 127.5, -1),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )
    twin.set_weights(model.get_weights())
    given = 255 * np.random.default_rng(0).random((2, 8, 8, 3)).astype("float32")
    found = gradcam.explain(model, given, 1, relu=False)
    same(found, gradcam.explain(twin, given, 1, relu=False), layer="relu")
