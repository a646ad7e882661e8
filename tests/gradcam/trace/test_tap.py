"""Any layer of any model can be tapped, and the model is left as it was."""

import gc
import threading
import types
import weakref
from collections import OrderedDict, deque

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import gradcam
from gradcam.cam.methods import METHODS
from tests.support.gradcam_models import Subclassed, backbone, cnn, images, nested, state


@pytest.mark.parametrize("kind", ["functional", "sequential"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_nested_model_is_explained_as_its_flat_twin(depth, kind):
    model, path, flat = nested(depth, kind)
    x = images()
    for name in METHODS if (depth, kind) == (2, "functional") else ("gradcam", "ablationcam"):
        deep = gradcam.explain(model, x, layer=path, method=name, relu=False)
        plain = gradcam.explain(flat, x, layer="conv2", method=name, relu=False)
        np.testing.assert_allclose(deep.maps, plain.maps, atol=1e-6)
    assert gradcam.explain(model, x).layer == path


@pytest.mark.parametrize("kind", ["functional", "sequential"])
def test_a_subclassed_model_around_a_nested_one(kind):
    keras.utils.set_random_seed(0)
    inner = keras.Sequential([backbone(kind=kind)], name="wrapped")
    model = Subclassed(inner, first=layers.Identity())
    x = images()
    model(x)
    body = [layer for layer in inner.layers[0].layers if "input" not in layer.name]
    flat = keras.Sequential(
        [keras.Input((16, 16, 3)), *body, layers.GlobalAveragePooling2D(), model.head]
    )
    deep = gradcam.explain(model, x)
    assert deep.layer == "wrapped/backbone/conv2"
    np.testing.assert_allclose(deep.maps, gradcam.explain(flat, x).maps, atol=1e-6)


def test_sequentials_built_loaded_and_not_yet_called(tmp_path):
    def build():
        keras.utils.set_random_seed(4)
        return keras.Sequential(
            [
                keras.Input((16, 16, 3)),
                layers.Conv2D(4, 3, activation="relu", name="conv"),
                layers.GlobalMaxPooling2D(),
                layers.Dense(3),
            ]
        )

    x = images()
    called, fresh = build(), build()
    called(x)
    called.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    late = keras.Sequential(build().layers)
    late.build((None, 16, 16, 3))
    late.set_weights(called.get_weights())
    maps = [gradcam.explain(model, x, target=1).maps for model in (called, fresh, loaded, late)]
    for other in maps[1:]:
        np.testing.assert_array_equal(other, maps[0])


def test_each_call_of_a_shared_layer_is_tapped_by_itself():
    encoder = backbone("encoder")
    left, right = keras.Input((16, 16, 3), name="left"), keras.Input((16, 16, 3), name="right")
    joined = layers.Concatenate()(
        [layers.GlobalAveragePooling2D()(encoder(side)) for side in (left, right)]
    )
    model = keras.Model([left, right], layers.Dense(2)(joined))
    a, b = images(seed=1), images(seed=2)
    weights = model.layers[-1].kernel.numpy()
    for number, x in enumerate([a, b]):
        features = encoder(x).numpy()
        cam = features @ weights[8 * number : 8 * number + 8, 1] / features[0, :, :, 0].size
        found = gradcam.explain(
            model, [a, b], target=1, layer=f"encoder[{number}]/conv2", relu=False
        )
        np.testing.assert_allclose(found.maps, cam, atol=1e-6)
        by_name = gradcam.explain(
            model, {"left": a, "right": b}, 1, f"encoder[{number}]/conv2", relu=False
        )
        np.testing.assert_array_equal(by_name.maps, found.maps)
    for number, name in enumerate(("left", "right")):
        assert gradcam.explain(model, [a, b], 1, input=name).layer == f"encoder[{number}]/conv2"
    with pytest.raises(gradcam.AmbiguousLayerError) as caught:
        gradcam.explain(model, [a, b], layer="encoder/conv2")
    assert "stands for 2 layers or calls" in str(caught.value)
    assert "encoder[0]/conv2, encoder[1]/conv2" in str(caught.value)
    with pytest.raises(gradcam.AmbiguousLayerError, match=r"encoder\[1\]/conv2"):
        gradcam.explain(model, [a, b], layer=encoder.get_layer("conv2"))


def test_operations_that_are_no_layer_can_be_tapped():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(3, 3, padding="same", name="conv")(inputs)
    total = x + inputs
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(total)))
    found = gradcam.explain(model, images(size=8), target=0, relu=False)
    assert found.layer.startswith("add")
    features = model.layers[1](images(size=8)).numpy() + images(size=8)
    cam = features @ model.layers[-1].kernel.numpy()[:, 0] / 64
    np.testing.assert_allclose(found.maps, cam, atol=1e-6)


def test_paths_bare_names_suffixes_and_objects_mean_the_same():
    model, path, _ = nested(3)
    x = images()
    expected = gradcam.explain(model, x, layer=path).maps
    layer = model.layers[1].layers[1].layers[1].get_layer("conv2")
    for name in ("conv2", "backbone/conv2", layer, path):
        found = gradcam.explain(model, x, layer=name)
        assert found.layer == path
        np.testing.assert_array_equal(found.maps, expected)


def test_several_outputs_and_dict_inputs_and_outputs():
    image = keras.Input((16, 16, 3), name="image")
    extra = keras.Input((2,), name="extra")
    features = layers.Conv2D(4, 3, activation="relu", name="conv")(image)
    pooled = layers.Concatenate()([layers.GlobalAveragePooling2D()(features), extra])
    model = keras.Model(
        {"image": image, "extra": extra},
        {"kind": layers.Dense(3, "softmax")(pooled), "size": layers.Dense(1)(pooled)},
    )
    x = {"image": images(), "extra": np.ones((3, 2))}
    kind = gradcam.explain(model, x, gradcam.targets.Output("kind"))
    assert kind.maps.shape == (3, 14, 14)
    assert kind.heatmaps.shape == (3, 16, 16)
    assert set(kind.outputs) == {"kind", "size"}
    np.testing.assert_array_equal(kind.targets, kind.outputs["kind"].argmax(1))
    size = gradcam.explain(model, x, gradcam.targets.Output("size", gradcam.targets.Regression()))
    np.testing.assert_allclose(size.scores, size.outputs["size"][:, 0])


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
@pytest.mark.parametrize("method", ["gradcam", "ablationcam", "scorecam"])
def test_half_precision_agrees_roughly_with_full(policy, method):
    keras.utils.set_random_seed(6)
    full = cnn()
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        half = cnn()
    finally:
        keras.config.set_dtype_policy(before)
    half.set_weights(full.get_weights())
    x = images()
    found = gradcam.explain(half, x, target=1, method=method)
    expected = gradcam.explain(full, x, target=1, method=method)
    assert found.maps.dtype == np.float32
    assert np.abs(found.heatmaps - expected.heatmaps).max() < 0.15


def test_float16_gradients_do_not_underflow():
    """The gradient is 1e-9 at the layer: nothing, in half precision, without a scaled score."""
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(1, 1, kernel_initializer="ones", name="conv", dtype="float16")(inputs)
    x = layers.GlobalAveragePooling2D(dtype="float16")(x)
    x = layers.Dense(1, kernel_initializer=keras.initializers.Constant(6e-6), dtype="float16")(x)
    model = keras.Model(inputs, x)
    explanation = gradcam.explain(model, np.ones((1, 8, 8, 1)), gradcam.targets.Regression())
    np.testing.assert_allclose(explanation.maps, 6e-6 / 64, rtol=0.05)
    assert not explanation.warnings


def test_float16_gradients_that_overflow_when_scaled_are_taken_unscaled():
    inputs = keras.Input((2, 2, 1))
    x = layers.Conv2D(1, 1, kernel_initializer="ones", name="conv", dtype="float16")(inputs)
    x = layers.Flatten(dtype="float16")(x)
    x = layers.Dense(1, kernel_initializer=keras.initializers.Constant(1000), dtype="float16")(x)
    model = keras.Model(inputs, x)
    explanation = gradcam.explain(model, np.ones((1, 2, 2, 1)), gradcam.targets.Regression())
    np.testing.assert_allclose(explanation.maps, 1000.0)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("method", ["gradcam", "ablationcam", "scorecam", "eigencam"])
def test_feature_maps_along_one_two_and_three_axes(rank, method):
    keras.utils.set_random_seed(7)
    conv = [layers.Conv1D, layers.Conv2D, layers.Conv3D][rank - 1]
    pool = [layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D][rank - 1 : rank] or [
        layers.GlobalAveragePooling3D
    ]
    model = keras.Sequential(
        [
            keras.Input((8,) * rank + (2,)),
            conv(4, 3, activation="relu", name="conv"),
            pool[0](),
            layers.Dense(3),
        ]
    )
    x = np.random.default_rng(0).normal(size=(2, *(8,) * rank, 2))
    found = gradcam.explain(model, x, target=1, method=method, relu=False)
    assert found.layer == "conv"
    assert found.maps.shape == (2, *(6,) * rank)
    assert found.heatmaps.shape == (2, *(8,) * rank)
    assert np.abs(found.heatmaps).max() == pytest.approx(1, abs=0.2)


def to_channels_first(inputs):
    return keras.ops.transpose(inputs, (0, 3, 1, 2))


def channels_first_twins():
    """A channels-first model and its twin. The CPU can't convolve channels first: 1x1 by hand."""

    @keras.saving.register_keras_serializable("tests")
    class Mix(layers.Layer):
        data_format = "channels_first"

        def build(self, shape):
            self.kernel = self.add_weight(shape=(shape[1], 5), initializer="random_normal")

        def call(self, x):
            return tf.nn.relu(tf.einsum("bchw,cd->bdhw", x, self.kernel))

    keras.utils.set_random_seed(8)
    mix, head = Mix(name="mix"), layers.Dense(3)
    inputs = keras.Input((3, 6, 4))
    x = layers.Activation("relu", name="relu")(mix(inputs))
    first = keras.Model(
        inputs, head(layers.GlobalAveragePooling2D(data_format="channels_first")(x))
    )
    conv = layers.Conv2D(5, 1, activation="relu", use_bias=False, name="conv")
    last = keras.Sequential([keras.Input((6, 4, 3)), conv, layers.GlobalAveragePooling2D(), head])
    conv.kernel.assign(mix.kernel[None, None])
    return first, last


@pytest.mark.parametrize("method", METHODS)
def test_channels_first_is_inherited_and_gives_the_same_map(method):
    first, last = channels_first_twins()
    x = np.random.default_rng(0).normal(size=(2, 6, 4, 3)).astype("float32")
    expected = gradcam.explain(last, x, target=1, method=method)
    found = gradcam.explain(first, np.moveaxis(x, -1, 1), target=1, method=method)
    assert found.layer == "relu"
    np.testing.assert_allclose(found.maps, expected.maps, atol=1e-6)
    np.testing.assert_allclose(found.heatmaps, expected.heatmaps, atol=1e-5)


def test_dropout_and_batch_normalisation_are_at_inference():
    model = cnn()
    noisy = keras.Sequential([keras.Input((16, 16, 3)), layers.Dropout(0.5), model])
    noisy.compile("sgd", "mse")
    x = images()
    expected = gradcam.explain(model, x, target=1).maps
    np.testing.assert_allclose(gradcam.explain(noisy, x, target=1).maps, expected, atol=1e-6)
    noisy.trainable = False
    np.testing.assert_allclose(gradcam.explain(noisy, x, target=1).maps, expected, atol=1e-6)
    model, _, _ = nested(1)
    norm = model.layers[1].get_layer("norm")
    before = norm.moving_mean.numpy()
    gradcam.explain(model, x)
    np.testing.assert_array_equal(norm.moving_mean.numpy(), before)


# tf.function, loops and rematerialisation


class Traced(keras.Model):
    """A model whose `call`, and a helper of it, are `tf.function`s, with a branch of AutoGraph."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.conv = layers.Conv2D(4, 3, activation="relu", name="conv")
        self.pool = layers.GlobalAveragePooling2D()
        self.head = layers.Dense(2)

    @tf.function
    def features(self, x):
        return self.conv(x)

    @tf.function(jit_compile=True)
    def call(self, x):
        return self.head(self.pool(self.features(x)))


def test_a_call_that_is_a_tf_function_is_looked_into():
    model = Traced()
    x = images()
    model(x)  # traced before: a wrapper alone would never run
    outer = keras.Sequential([keras.Input((16, 16, 3)), model])
    twin = keras.Sequential([keras.Input((16, 16, 3)), model.conv, model.pool, model.head])
    expected = gradcam.explain(twin, x, target=1).maps
    np.testing.assert_allclose(gradcam.explain(model, x, 1).maps, expected, atol=1e-6)
    found = gradcam.explain(outer, x, 1)
    assert found.layer.endswith("/conv")
    np.testing.assert_allclose(found.maps, expected, atol=1e-6)
    assert isinstance(type(model).call, tf.types.experimental.PolymorphicFunction)
    assert "call" not in vars(model)


def test_a_call_that_was_replaced_by_a_tf_function_is_looked_into_and_kept():
    model = Subclassed()
    x = images()
    model(x)
    expected = gradcam.explain(model, x, 1).maps
    model.call = tf.function(model.call)
    model(x)
    replaced = vars(model)["call"]
    np.testing.assert_allclose(gradcam.explain(model, x, 1).maps, expected, atol=1e-6)
    assert vars(model)["call"] is replaced


def test_a_function_that_was_traced_before_hides_its_layers_and_the_error_says_so():
    hidden = layers.Conv2D(4, 3, name="hidden")
    outside = tf.function(hidden.__call__)

    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.first = layers.Conv2D(4, 3, name="first")
            self.hidden = hidden
            self.head = layers.Dense(2, name="head")

        def call(self, x):
            return self.head(tf.reduce_mean(outside(self.first(x)), [1, 2]))

    model = Model()
    model(images())
    with pytest.raises(gradcam.LayerNotFoundError) as caught:
        gradcam.explain(model, images(count=3), layer="hidden")
    text = str(caught.value)
    assert "'hidden'" in text
    assert "tf.function" in text
    assert "can be tapped: first, head" in text
    # What lies before it is explained, through the function.
    assert gradcam.explain(model, images(), layer="first", target=0).maps.shape == (3, 14, 14)


@pytest.mark.parametrize("how", ["while", "map_fn", "cond", "vectorized_map"])
def test_a_layer_in_a_loop_says_what_it_is_in_and_what_can_be_tapped(how):
    class Inside(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.conv = layers.Conv2D(3, 3, padding="same", name="inner")

        def build(self, shape):
            self.conv.build(shape)

        def call(self, x):
            if how == "while":
                return tf.while_loop(
                    lambda i, x: i < 2, lambda i, x: (i + 1, self.conv(x)), (0, x)
                )[1]
            if how == "map_fn":
                return tf.map_fn(lambda one: self.conv(one[None])[0], x)
            if how == "vectorized_map":
                return tf.vectorized_map(lambda one: self.conv(one[None])[0], x)
            return tf.cond(tf.reduce_sum(x) > 0, lambda: self.conv(x), lambda: x)

    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            Inside(name="inside"),
            layers.GlobalAveragePooling2D(name="pool"),
            layers.Dense(2, name="head"),
        ]
    )
    words = {
        "while": "a loop",
        "map_fn": "a loop",
        "cond": "a conditional",
        "vectorized_map": "vectorized_map",
    }[how]
    with pytest.raises(gradcam.LayerNotFoundError) as caught:
        gradcam.explain(model, images(size=8), layer="inner")
    assert words in str(caught.value)
    assert "can be tapped: inside, pool, head" in str(caught.value)
    assert gradcam.explain(model, images(size=8), target=0).layer == "inside"


@pytest.mark.skipif(not hasattr(keras, "RematScope"), reason="Keras has it since 3.9")
@pytest.mark.parametrize("mode", ["full", "activations"])
@pytest.mark.parametrize("kind", ["functional", "sequential"])
def test_rematerialised_layers_are_explained_as_others(kind, mode):
    def build(inner):
        head = [layers.GlobalAveragePooling2D(), layers.Dense(2)]
        return keras.Sequential([keras.Input((16, 16, 3)), inner, *head])

    with keras.RematScope(mode=mode):
        model = build(backbone(kind=kind))
    plain = build(backbone(kind=kind))
    plain.set_weights(model.get_weights())
    before = state(model)
    for layer in (None, "conv1", "backbone"):
        found = gradcam.explain(model, images(), 1, layer)
        np.testing.assert_array_equal(found.maps, gradcam.explain(plain, images(), 1, layer).maps)
    assert state(model) == before
    assert "rematerialized_call" not in vars(model.layers[0])


class Tower(layers.Layer):
    """A convolution that runs in a loop, or that Keras does not know of."""

    def __init__(self, how, **kwargs):
        super().__init__(**kwargs)
        self.how = how
        conv = layers.Conv2D(3, 3, padding="same", name="deep")
        conv.build((None, 12, 12, 8))
        if how == "untracked":
            self.hidden = conv.__call__
        else:
            self.conv = conv

    def call(self, x):
        if self.how == "untracked":
            return self.hidden(x)
        return tf.map_fn(lambda one: self.conv(one[None])[0], x, fn_output_signature="float32")


class Towered(keras.Model):
    """A backbone, then a convolution that can't be tapped, in the model's own call."""

    def __init__(self, how):
        super().__init__()
        self.backbone = backbone()
        self.tower = Tower(how, name="tower")
        self.head = layers.Dense(2, name="head")

    def build(self, shape):
        """Left to the first call."""

    def call(self, x):
        x = self.tower(self.backbone(x))
        return self.head(tf.reduce_mean(x, [1, 2]))


@pytest.mark.parametrize("how", ["loop", "untracked"])
def test_a_later_layer_that_cannot_be_reached_is_named(how):
    class Outer(Towered):
        def call(self, x):
            x = self.backbone(x)
            x = tf.map_fn(self._one, x) if how == "loop" else self.tower.hidden(x)
            return self.head(tf.reduce_mean(x, [1, 2]))

        def _one(self, x):
            return tf.pad(self.tower.conv(x[None])[0], [[0, 0], [0, 0], [0, 5]])

    model, x = Outer(how), images()
    model(x)
    found = gradcam.explain(model, x, 1, relu=False)
    assert found.layer == "backbone/conv2"
    (text,) = found.warnings
    assert "'backbone/conv2' is the last feature map that can be reached" in text
    assert ("'deep' inside a loop" if how == "loop" else "the Conv2D of 'deep") in text
    assert not gradcam.explain(model, x, 1, layer="conv2", relu=False).warnings


@pytest.mark.parametrize("how", ["loop", "untracked"])
def test_a_layer_around_what_cannot_be_reached_is_chosen_without_a_warning(how):
    model, x = Towered(how), images()
    model(x)
    found = gradcam.explain(model, x, 1, relu=False)
    assert found.layer == "tower"
    assert not found.warnings


@pytest.mark.parametrize("kind", ["distributed", "recurrent"])
def test_a_layer_that_calls_another_for_each_step_is_tapped_as_a_whole(kind):
    conv = layers.Conv2D(4, 3, activation="relu")
    steps, head = {
        "distributed": (layers.TimeDistributed(conv, name="steps"), layers.GlobalMaxPooling3D()),
        "recurrent": (layers.ConvLSTM2D(4, 3, name="steps"), layers.GlobalMaxPooling2D()),
    }[kind]
    model = keras.Sequential([keras.Input((3, 8, 8, 2)), steps, head, layers.Dense(2)])
    x = np.random.default_rng(0).normal(size=(2, 3, 8, 8, 2))
    found = gradcam.explain(model, x, 1, relu=False)
    assert found.layer == "steps"
    assert found.maps.shape == ((2, 3, 6, 6) if kind == "distributed" else (2, 6, 6))
    if kind == "distributed":
        assert found.heatmaps.shape == (2, 3, 8, 8)


def test_the_cell_of_a_recurrent_head_is_no_hidden_feature_map():
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(4, 3, name="conv"),
            layers.Reshape((14, 56)),
            layers.LSTM(3),
            layers.Dense(2),
        ]
    )
    found = gradcam.explain(model, images(), 1, relu=False)
    assert found.layer == "conv"
    assert not any("can be reached" in text for text in found.warnings)


# The model is left as it was


class Careless(layers.Layer):
    """Leaves things behind in its `call`."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.calls = 0
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)
        self.raw = tf.Variable(0.0)

    def call(self, x):
        self.calls += 1
        self.kept = x
        self.add_loss(tf.reduce_sum(x))
        self.count.assign_add(1.0)
        self.raw.assign_add(1.0)
        return x


def careless():
    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(3, 3, activity_regularizer="l2", name="conv"),
            Careless(),
            layers.Dropout(0.3),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2),
        ]
    )


@pytest.mark.parametrize("method", ["gradcam", "ablationcam", "scorecam"])
@pytest.mark.parametrize("build", [cnn, lambda: nested(2)[0], careless, Traced])
def test_the_model_is_the_same_afterwards(build, method):
    model = build()
    model.compile("sgd", "mse")
    model(images())
    before = state(model)
    gradcam.explain(model, images(), method=method)
    assert state(model) == before
    gradcam.layers(model)
    assert state(model) == before
    with pytest.raises(gradcam.LayerNotFoundError):
        gradcam.explain(model, images(), layer="nothing")
    assert state(model) == before


def test_the_model_is_the_same_after_an_exception_in_its_middle():
    broken = []

    class Breaks(layers.Layer):
        def call(self, x):
            if broken:
                raise ValueError("something of my own")
            return x

    model = keras.Sequential(
        [keras.Input((16, 16, 3)), layers.Conv2D(3, 3), Breaks(name="broken"), layers.Flatten()]
    )
    before = state(model)
    broken.append(True)
    with pytest.raises(gradcam.ModelError, match=r"layer 'broken'.*something of my own") as caught:
        gradcam.explain(model, images())
    assert isinstance(caught.value.__cause__, ValueError)
    assert state(model) == before


def test_another_thread_predicts_while_the_model_is_traced():
    model, path, _ = nested(2)
    x = images(4)
    expected = model.predict(x, verbose=0)
    before = state(model)
    stop, wrong = threading.Event(), []

    def predict():
        while not stop.is_set():
            results = model.predict(x, verbose=0), model(x).numpy()
            wrong.extend(r for r in results if not np.allclose(r, expected, atol=1e-6))

    thread = threading.Thread(target=predict)
    thread.start()
    try:
        maps = [gradcam.explain(model, x, layer=path).maps for _ in range(6)]
    finally:
        stop.set()
        thread.join()
    assert not wrong
    for other in maps[1:]:
        np.testing.assert_array_equal(other, maps[0])
    assert [attributes for attributes, *_ in state(model)[1:-1]] == [
        attributes for attributes, *_ in before[1:-1]
    ]


def test_a_call_of_another_thread_in_the_middle_of_the_trace_is_not_recorded():
    tracing, called = threading.Event(), threading.Event()
    results = []

    class Waits(layers.Layer):
        """Halfway through the trace, lets another thread call the whole model."""

        armed = None

        def call(self, x):
            if threading.get_ident() == self.armed:
                tracing.set()
                assert called.wait(30)
            return x

    waits = Waits()
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(3, 3, name="conv"),
            waits,
            layers.GlobalAveragePooling2D(),
            layers.Dense(2),
        ]
    )
    x = images(2, size=8)
    expected, paths = model(x).numpy(), [info.path for info in gradcam.layers(model)]

    def other():
        assert tracing.wait(30)
        results.append(model(x).numpy())
        called.set()

    thread = threading.Thread(target=other)
    thread.start()
    Waits.armed = threading.get_ident()
    found = [info.path for info in gradcam.layers(model)]
    thread.join()
    assert found == paths
    np.testing.assert_array_equal(results[0], expected)


def test_two_threads_explain_the_same_model():
    model = cnn()
    x = images()
    expected = gradcam.explain(model, x).maps
    results = {}

    def work(number):
        results[number] = gradcam.explain(model, x).maps

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for maps in results.values():
        np.testing.assert_array_equal(maps, expected)


def test_explain_keeps_no_model_alive():
    model = cnn()
    gradcam.explain(model, images())
    gradcam.layers(model)
    with pytest.raises(gradcam.LayerNotFoundError):
        gradcam.explain(model, images(), layer="nothing")
    alive = weakref.ref(model)
    keras.backend.clear_session()
    del model
    gc.collect()
    assert alive() is None


class Notes:
    """An object of the user's own that a layer holds."""

    def __init__(self):
        self.last = None
        self.all = []

    def __repr__(self):
        return "notes"


class Hoarder(layers.Layer):
    """Keeps what it sees in every kind of container."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.history = ["first"]
        self.shapes = []
        self.cache = {"old": 1, "inner": {"deep": []}}
        self.references = {"one"}
        self.recent = deque([1, 2], maxlen=2)
        self.pair = ([], {})
        # An ordered dict as an attribute itself becomes a plain one in Keras 3.5.
        self.space = types.SimpleNamespace(last=0, ordered=OrderedDict(a=1, b=2))
        self.notes = Notes()
        self.count = 0

    def call(self, x):
        self.history.append(x)
        self.history[0] = x
        self.shapes += [x.shape]
        self.cache["new"] = x
        self.cache["old"] = x
        self.cache["inner"]["deep"].append({"x": x})
        self.space.ordered.move_to_end("a")
        self.space.ordered["c"] = x
        self.references.add(x.ref())
        self.references.discard("one")
        self.recent.append(x)
        self.pair[0].append(x)
        self.pair[1][x.ref()] = "key"
        self.space.last = x
        self.notes.last = x
        self.notes.all.append(x)
        self.count += 1
        self.fresh = [x]
        return x

    def contents(self):
        """Everything it holds, and which containers hold it."""
        held = {
            name: value
            for name, value in vars(self).items()
            if name in HELD or name in {"count", "fresh"}
        }
        inside = [self.cache["inner"], self.cache["inner"]["deep"], *self.pair, self.notes.all]
        return (
            {name: id(value) for name, value in held.items() if name != "count"},
            [id(value) for value in inside],
            repr([*held.items(), vars(self.space), vars(self.notes), *inside, self._tracked]),
        )


HELD = ["history", "shapes", "cache", "references", "recent", "pair", "space", "notes"]


def hoarding():
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(3, 3, name="conv"),
            Hoarder(name="hoarder"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2),
        ]
    )
    return model, model.get_layer("hoarder")


@pytest.mark.parametrize("raises", [False, True])
def test_containers_on_a_layer_are_the_same_afterwards(raises):
    model, hoarder = hoarding()
    model(images())
    before = hoarder.contents()
    if raises:
        with pytest.raises(gradcam.LayerNotFoundError):
            gradcam.explain(model, images(), layer="nothing")
    else:
        gradcam.explain(model, images())
    assert hoarder.contents() == before
    assert "_setattr_hook" not in vars(hoarder)
    assert not {"track", "untrack"} & set(vars(hoarder._tracker))


def in_the_middle_of_the_trace(model, act):
    """Explain the model; once its layer `waits` is traced, `act` runs in another thread."""
    tracing, done = threading.Event(), threading.Event()
    waits = model.get_layer("waits")

    def other():
        assert tracing.wait(30)
        act()
        done.set()

    def pause():
        if threading.current_thread() is threading.main_thread() and not done.is_set():
            tracing.set()
            assert done.wait(30)

    thread = threading.Thread(target=other)
    thread.start()
    type(waits).pause = staticmethod(pause)
    try:
        gradcam.explain(model, images(2))
    finally:
        thread.join()
        type(waits).pause = staticmethod(lambda: None)
    assert done.is_set()


class Waits(layers.Layer):
    """Keeps what it sees, and can wait in the middle of its call."""

    pause = staticmethod(lambda: None)

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seen = []
        self.table = {}
        self.rate = 0.1
        self.calls = 0

    def call(self, x):
        self.seen.append(x)
        self.table["last"] = x
        self.calls += 1
        self.kept = x
        self.pause()
        return x


def waiting():
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(3, 3, name="conv"),
            Waits(name="waits"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2),
        ]
    )
    waits = model.get_layer("waits")
    waits.seen.clear()
    waits.table.clear()
    del waits.kept
    return model, waits


def test_what_another_thread_sets_during_the_trace_stays():
    model, waits = waiting()
    conv, calls = model.get_layer("conv"), waits.calls

    def act():
        waits.rate = 0.5
        waits.kept = "theirs"
        waits.note = "new"
        conv.strides = (2, 2)
        model.tag = ["a", "b"]

    in_the_middle_of_the_trace(model, act)
    assert (waits.rate, waits.kept, waits.note) == (0.5, "theirs", "new")
    assert (conv.strides, model.tag) == ((2, 2), ["a", "b"])
    assert waits.calls == calls
    # Only what is symbolic, since nobody can say who put the rest there.
    assert waits.seen == []
    assert waits.table == {}


def test_what_another_thread_puts_into_containers_during_the_trace_stays():
    model, waits = waiting()

    def act():
        waits.seen.append("theirs")
        waits.table["theirs"] = 1

    in_the_middle_of_the_trace(model, act)
    assert waits.seen == ["theirs"]
    assert waits.table == {"theirs": 1}
    assert not hasattr(waits, "kept")


def test_what_a_call_of_another_thread_keeps_during_the_trace_stays():
    model, waits = waiting()
    x = images(2)
    calls = waits.calls
    in_the_middle_of_the_trace(model, lambda: model(x))
    assert [type(seen).__name__ for seen in waits.seen] == ["EagerTensor"]
    assert type(waits.table["last"]).__name__ == "EagerTensor"
    assert type(waits.kept).__name__ == "EagerTensor"
    assert waits.calls in {calls + 1, calls + 2}  # both have counted on the same number
    assert "call" not in vars(waits)
    gradcam.explain(model, x)
    assert len(waits.seen) == 1


class LateHead(keras.Model):
    """Its head is not built: `build` leaves it out, or only `training=True` has run."""

    def __init__(self, kind="dense", branches=False):
        super().__init__(name="late")
        self.branches = branches
        self.conv = layers.Conv2D(4, 3, activation="relu", name="conv")
        self.pool = layers.GlobalAveragePooling2D(name="pool")
        self.act = layers.Activation("relu", name="act")
        self.head = layers.Dense(3, name="head")
        self.block = {
            "dense": self.head,
            "attention": layers.MultiHeadAttention(2, 4, name="attention"),
            "nested": Wrapping(),
        }[kind]

    def build(self, shape):
        self.conv.build(shape)
        self.built = True

    def call(self, x, training=False):
        y = self.act(self.conv(x))
        if self.branches and training:
            return self.pool(y)
        if isinstance(self.block, layers.MultiHeadAttention):
            y = self.block(y, y)
        elif self.block is not self.head:
            y = self.block(y)
        return self.head(self.pool(y))


class Wrapping(layers.Layer):
    """Has no `build`, and a layer inside that is not built."""

    def __init__(self):
        super().__init__(name="wrapping")
        self.inner = layers.Conv2D(4, 3, name="inner")

    def call(self, x):
        return self.inner(x)


@pytest.mark.filterwarnings("ignore:Layer 'wrapping' looks like it has unbuilt state")
@pytest.mark.parametrize(
    ("kind", "branches", "name"),
    [
        ("dense", False, "head"),
        ("dense", True, "head"),
        ("attention", False, "attention"),
        ("nested", False, "inner"),
    ],
)
def test_a_layer_that_is_not_built_is_named_and_left_as_it_is(kind, branches, name):
    x = images()
    model = LateHead(kind, branches)
    if branches:
        model(x, training=True)
    else:
        model.build((None, 16, 16, 3))
    for look in (lambda: gradcam.explain(model, x), lambda: gradcam.explain(model, x, target=1)):
        with pytest.raises(gradcam.ModelError, match=name) as caught:
            look()
        assert caught.value.code == "layer-not-built"
    with pytest.raises(gradcam.ModelError):
        gradcam.layers(model)
    gradcam.explain(cnn(), x)
    assert np.isfinite(model(x)).all()
    keras.Sequential([keras.Input((2,)), layers.Dense(2)])  # Keras still creates variables
    assert len(model.weights) == len({id(weight) for weight in model.weights})
    assert np.isfinite(gradcam.explain(model, x).heatmaps).all()


def test_layers_without_weights_need_not_be_built():
    class Scaled(layers.Layer):
        def build(self, shape):
            self.scale = 1.0 / shape[-1]

        def call(self, x):
            return self.scale * x

    class Lean(LateHead):
        def __init__(self):
            super().__init__()
            self.scaled = Scaled(name="scaled")

        def call(self, x):
            return super().call(layers.Dropout(0.5)(self.scaled(x)))

    model = Lean()
    model.build((None, 16, 16, 3))
    model.head.build((None, 4))
    x = images()
    for _ in range(2):
        assert gradcam.explain(model, x).heatmaps.shape == (len(x), 16, 16)
    assert not model.scaled.built
    assert model(x).shape == (len(x), 3)
    assert model.scaled.built
