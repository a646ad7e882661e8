"""The walk as a whole: reuse, batches, fusion, warnings, memory."""

import functools
import gc
import tracemalloc

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import gradcam
from gradcam.cam.methods import METHODS
from gradcam.cam.programs import PROGRAMS_KEPT
from gradcam.cam.resizing import resize
from tests.support.gradcam_models import Subclassed, cnn, images, nested


class Counting(keras.Model):
    """Counts how often its `call` is traced."""

    traced = 0

    def __init__(self):
        super().__init__()
        self.conv = layers.Conv2D(4, 3, activation="relu", name="conv")
        self.head = layers.Dense(3)

    def build(self, shape):
        """Left to the first call."""

    def call(self, x):
        type(self).traced += 1
        return self.head(tf.reduce_mean(self.conv(x), [1, 2]))


@pytest.mark.parametrize("method", ["gradcam", "scorecam", "ablationcam"])
def test_an_explainer_is_traced_once_for_all_batches_and_classes(method):
    model = Counting()
    model(images())
    explain = gradcam.Explainer(model, method=method)
    explain(images(8), target=0)
    Counting.traced = 0
    explain(images(8), target=0)
    explain(images(3), target=2)
    explain(images(1), target=[1])
    explain(images(40), target=1)
    assert Counting.traced == 0
    explain(images(8), target=None)
    assert Counting.traced == 1
    explain(images(8, size=20), target=1)
    assert Counting.traced == 2


def test_an_explainer_sees_weights_that_are_trained_further():
    model = cnn()
    explain = gradcam.Explainer(model, relu=False)
    before = explain(images(), 1)
    model.get_layer("scores").kernel.assign(-model.get_layer("scores").kernel)
    after = explain(images(), 1)
    np.testing.assert_allclose(after.maps, -before.maps, atol=1e-7)


def test_batch_size_changes_nothing_but_the_cost():
    model = cnn()
    for method in ("gradcam", "ablationcam", "scorecam"):
        whole = gradcam.explain(model, images(5), [0, 1, 2, 3, 0], method=method)
        parts = gradcam.explain(model, images(5), [0, 1, 2, 3, 0], method=method, batch_size=2)
        np.testing.assert_allclose(parts.maps, whole.maps, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(parts.outputs, whole.outputs, rtol=1e-5, atol=1e-6)
        assert parts.targets == whole.targets


def test_a_model_that_computes_with_the_size_of_its_batch():
    class Sized(Subclassed):
        def call(self, inputs, training=None):
            return super().call(inputs + tf.zeros((inputs.shape[0], 1, 1, 1)))

    model, plain = Sized(), Subclassed()
    model(images())
    plain(images())
    plain.set_weights(model.get_weights())
    explain = gradcam.Explainer(model)
    for count in (3, 2, 3):
        expected = gradcam.explain(plain, images(count), 1).maps
        np.testing.assert_allclose(explain(images(count), 1).maps, expected, atol=1e-6)
    with pytest.raises(gradcam.ModelError, match="batches of exactly 2"):
        gradcam.explain(model, images(2), method="scorecam")


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float64, np.float16, bool])
def test_numbers_of_any_type_are_cast(dtype):
    x = (np.random.default_rng(0).uniform(0, 2, (2, 16, 16, 3))).astype(dtype)
    found = gradcam.explain(cnn(), x, 1)
    expected = gradcam.explain(cnn(), x.astype(np.float32), 1)
    np.testing.assert_array_equal(found.maps, expected.maps)


@pytest.mark.parametrize("value", [1e37, -5e37])
def test_large_numbers_are_finite(value):
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Rescaling(1 / value),
            layers.Conv2D(2, 3, activation="relu", kernel_initializer="ones"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2),
        ]
    )
    x = np.full((2, 16, 16, 3), value, "float32")
    assert gradcam.explain(model, x, 0, relu=False).maps.any()
    x[1, 0, 0, 0] = np.inf
    with pytest.raises(gradcam.NonFiniteError, match="An infinity in image 1"):
        gradcam.explain(model, x, 0)


def test_one_image_lists_and_tensors_are_taken():
    model, x = cnn(), images()
    expected = gradcam.explain(model, x, 1)
    for given in (list(x), tf.constant(x), [x], {model.inputs[0].name: x}):
        np.testing.assert_array_equal(gradcam.explain(model, given, 1).maps, expected.maps)
    one = gradcam.explain(model, x[1], 1)
    np.testing.assert_allclose(one.maps[0], expected.maps[1], atol=1e-7)
    grey = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(2)]
    )
    assert gradcam.explain(grey, images(3, 8)[..., 0], 1).maps.shape == (3, 6, 6)
    assert gradcam.explain(grey, images(3, 8)[0, ..., 0], 1, relu=False).maps.shape == (1, 6, 6)


class Pair(keras.Model):
    """Takes two images as a list or a tuple, and looks at the second."""

    def __init__(self, **options):
        super().__init__(**options)
        self.conv = layers.Conv2D(4, 3, activation="relu", name="conv")
        self.head = layers.Dense(3)

    def call(self, inputs):
        first, second = inputs
        return self.head(tf.reduce_mean(self.conv(second), [1, 2])) + tf.reduce_mean(first)


class Hidden(Pair):
    """Does not say what it was built with."""

    def get_build_config(self):
        return None


@pytest.mark.parametrize("kind", [Pair, Hidden])
@pytest.mark.parametrize("nest", [list, tuple])
def test_a_subclassed_model_takes_a_list_of_inputs(kind, nest):
    first, second = images(2), images(2)[::-1]
    model = kind()
    model(nest([first, second]))
    found = gradcam.explain(model, nest([first, second]), 1)
    alone = keras.Sequential([keras.Input((16, 16, 3)), model.conv])
    pooled = layers.GlobalAveragePooling2D()(alone.outputs[0])
    expected = gradcam.explain(keras.Model(alone.inputs, model.head(pooled)), second, 1)
    np.testing.assert_allclose(found.maps, expected.maps, atol=1e-6)


def test_a_subclassed_model_of_one_input_takes_a_list_of_images():
    model, x = Subclassed(), images()
    model(x)
    expected = gradcam.explain(model, x, 1)
    for given in (list(x), tuple(x), [x], (x,), x.tolist()):
        np.testing.assert_array_equal(gradcam.explain(model, given, 1).maps, expected.maps)


class Nested(keras.Model):
    """Takes two images and some ids, which have to be integers."""

    def __init__(self):
        super().__init__()
        self.conv = layers.Conv2D(4, 3, activation="relu", name="conv")
        self.table = tf.constant(np.eye(5, 3), tf.float32)

    def call(self, inputs):
        _, second = inputs["p"]
        scores = tf.reduce_mean(self.conv(second), [1, 2])[:, :3]
        return scores + tf.gather(self.table, inputs["id"])


@pytest.mark.parametrize("dtype", [np.int64, np.int32])
def test_a_nested_dict_of_inputs_keeps_its_integers(dtype):
    model, x = Nested(), images(2)
    given = {"p": (np.zeros_like(x), x.astype(np.uint8)), "id": np.array([1, 4], dtype)}
    model({"p": (x, x), "id": given["id"]})
    found = gradcam.explain(model, given, 1)
    assert found.heatmaps.shape == (2, 16, 16)
    assert gradcam.explain(model, given, 1, input="p/1").maps.shape == (2, 14, 14)


@pytest.mark.parametrize("fuse", ["mean", "max"])
@pytest.mark.parametrize("relu", [True, False])
def test_several_layers_are_fused_at_the_size_of_the_largest(fuse, relu):
    model, x = cnn(), images()
    parts = []
    for layer in ("conv1", "conv2"):
        maps = gradcam.explain(model, x, 1, layer=layer, relu=relu, method="layercam").maps
        largest = np.abs(maps).max((1, 2), keepdims=True)
        maps = np.divide(maps, largest, out=np.zeros_like(maps), where=largest > 0)
        parts.append(resize(tf.constant(maps), (14, 14)).numpy())
    expected = np.mean(parts, 0) if fuse == "mean" else np.max(parts, 0)
    found = gradcam.explain(
        model, x, 1, layer=["conv1", "conv2"], fuse=fuse, relu=relu, method="layercam"
    )
    np.testing.assert_allclose(found.maps, expected, atol=1e-6)
    assert found.layer == ("conv1", "conv2")
    assert found.heatmaps.shape == (3, 16, 16)


@pytest.mark.parametrize("size", [(5, 7), (4, 3), (4, 9), (13, 3)])
def test_growing_is_tensorflows_bilinear_with_half_pixel_centres(size):
    maps = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")
    expected = tf.image.resize(maps[..., None], size, antialias=False)[..., 0]
    np.testing.assert_allclose(resize(tf.constant(maps), size), expected, atol=1e-6)


def test_resizing_three_axes_is_resizing_each():
    volume = np.random.default_rng(0).normal(size=(1, 2, 3, 4)).astype("float32")
    found = resize(tf.constant(volume), (5, 6, 7)).numpy()
    flat = resize(tf.constant(volume.reshape(2, 3, 4)), (6, 7)).numpy().reshape(1, 2, 42)
    expected = np.stack([resize(tf.constant(flat[:, :, i]), [5]).numpy() for i in range(42)], -1)
    np.testing.assert_allclose(found.reshape(1, 5, 42), expected, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_heatmaps_are_the_maps_resized_and_divided_by_their_maximum(method):
    model, x = cnn(), images()
    for relu in (True, False):
        found = gradcam.explain(model, x, 1, method=method, relu=relu)
        big = tf.image.resize(found.maps[..., None], (16, 16))[..., 0].numpy()
        largest = np.abs(big).max((1, 2), keepdims=True)
        expected = np.divide(big, largest, out=np.zeros_like(big), where=largest > 0)
        np.testing.assert_allclose(found.heatmaps, expected, atol=1e-5)
        assert np.abs(found.heatmaps).max() <= 1 + 1e-6
        if relu:
            assert found.heatmaps.min() >= 0
            assert found.maps.min() >= 0


def test_relu_false_keeps_the_negative_side():
    found = gradcam.explain(cnn(), images(), 1, relu=False)
    np.testing.assert_array_equal(
        np.maximum(found.maps, 0), gradcam.explain(cnn(), images(), 1).maps
    )
    assert found.maps.min() < 0


def test_an_open_image_size():
    inputs = keras.Input((None, None, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(inputs))
    explain = gradcam.Explainer(keras.Model(inputs, layers.Dense(2)(x)), method="scorecam")
    for size in (10, 13):
        assert explain(images(2, size)).heatmaps.shape == (2, size, size)


def test_max_channels_is_chosen_for_each_image_by_variance():
    model, x = cnn(), images(3)
    features = keras.Model(model.input, model.get_layer("conv2").output)(x).numpy()
    scores = model(x).numpy()[:, 1]
    head = model.get_layer("scores").kernel.numpy()[:, 1]
    found = gradcam.explain(model, x, 1, method="ablationcam", max_channels=3, relu=False).maps
    for image in range(3):
        chosen = np.argsort(-features[image].var((0, 1)))[:3]
        weights = np.zeros(8)
        weights[chosen] = (head * features[image].mean((0, 1)) / abs(scores[image]))[chosen]
        np.testing.assert_allclose(found[image], features[image] @ weights, atol=2e-5)


def test_ablationcam_behind_a_skip_runs_the_head_alone():
    """A skip around the layer is taken from the first run, not run again for every channel."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 16, 3))
    skip = layers.Conv2D(4, 3, padding="same", activation="relu", name="skip")(inputs)
    inner = layers.Conv2D(4, 3, padding="same", activation="relu", name="inner")(skip)
    x = layers.Flatten()(layers.Add()([skip, inner]))
    model = keras.Model(inputs, layers.Dense(2)(x))
    x = images()
    features = keras.Model(inputs, [skip, inner])(x)
    score = model(x).numpy()[:, 1]
    kernel, bias = (w.numpy() for w in model.layers[-1].weights)
    weights = np.zeros((3, 4))
    for channel in range(4):
        kept = features[1].numpy().copy()
        kept[..., channel] = 0
        without = (features[0].numpy() + kept).reshape(3, -1) @ kernel + bias
        weights[:, channel] = (score - without[:, 1]) / np.abs(score)
    expected = np.einsum("bhwk,bk->bhw", features[1].numpy(), weights)
    explain = gradcam.Explainer(model, layer="inner", method="ablationcam", relu=False)
    np.testing.assert_allclose(explain(x, 1).maps, expected, atol=1e-5)


# Warnings


def blank(bias=0.0, weight=-1.0):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(1, 1, activation="relu", kernel_initializer="ones", name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(1, kernel_initializer=keras.initializers.Constant(weight)),
        ]
    )
    model.layers[0].bias.assign([bias])
    return model


def test_an_all_negative_map_is_zero_and_said():
    x = np.ones((2, 8, 8, 1))
    found = gradcam.explain(blank(), x, gradcam.targets.Regression(), batch_size=1)
    np.testing.assert_array_equal(found.maps, 0)
    np.testing.assert_array_equal(found.heatmaps, 0)
    assert len(found.warnings) == 2
    for number, text in enumerate(found.warnings):
        assert f"image {number}: everything in 'conv' speaks against Regression" in text
        assert "relu=False" in text
        assert "counterfactual=True" in text
    assert not gradcam.explain(
        blank(), x, gradcam.targets.Regression(), counterfactual=True
    ).warnings


def test_dead_activations_are_said():
    found = gradcam.explain(blank(bias=-9.0), np.ones((1, 8, 8, 1)), gradcam.targets.Regression())
    np.testing.assert_array_equal(found.maps, 0)
    assert "image 0: all activations of 'conv' are zero" in found.warnings[0]
    assert "dead ReLU" in found.warnings[0]


@pytest.mark.parametrize("relu", [True, False])
def test_a_zero_gradient_is_said(relu):
    found = gradcam.explain(
        blank(weight=0.0), np.ones((1, 8, 8, 1)), gradcam.targets.Regression(), relu=relu
    )
    np.testing.assert_array_equal(found.maps, 0)
    assert "the gradient of Regression(index=0) is zero everywhere in 'conv'" in found.warnings[0]
    changed = gradcam.explain(
        blank(weight=0.0), np.ones((1, 8, 8, 1)), gradcam.targets.Regression(), method="ablationcam"
    )
    assert "stays the same whichever channel of 'conv' is set to zero" in changed.warnings[0]


def test_an_operation_without_slope_is_named():
    inputs = keras.Input((8, 8, 1))
    x = keras.ops.sign(layers.Conv2D(2, 3, name="conv")(inputs))
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    found = gradcam.explain(model, images(1, 8, 1), 0, layer="conv")
    assert "(sign in 'sign" in found.warnings[0]
    assert "has no slope" in found.warnings[0]


def test_evidence_that_cancels_is_said():
    def cancel(activations, gradients):
        return (activations - activations)[..., 0] + 0 * gradients[..., 0]

    import dataclasses  # noqa: PLC0415
    from unittest import mock  # noqa: PLC0415

    method = dataclasses.replace(METHODS["gradcam"], function=cancel)
    with mock.patch.dict(METHODS, {"cancel": method}):
        found = gradcam.explain(cnn(), images(1), 0, method="cancel")
    assert "what cancel counts for and against class 0 cancels out" in found.warnings[0]


def test_a_map_without_a_frame_is_left_at_its_size():
    inputs = keras.Input((64,))
    x = layers.Conv2D(3, 3, name="conv")(layers.Reshape((8, 8, 1))(inputs))
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    found = gradcam.explain(model, np.random.default_rng(0).normal(size=(2, 64)), 0)
    assert found.heatmaps.shape == (2, 6, 6)
    assert "heatmaps are left at the size of the map" in found.warnings[0]


def test_words_get_a_heatmap_along_the_text():
    model = keras.Sequential(
        [
            keras.Input((12,), dtype="int32"),
            layers.Embedding(20, 4),
            layers.Conv1D(3, 3, activation="relu", name="conv"),
            layers.GlobalMaxPooling1D(),
            layers.Dense(2),
        ]
    )
    found = gradcam.explain(model, np.arange(24).reshape(2, 12) % 20, 0, relu=False)
    assert found.maps.shape == (2, 10)
    assert found.heatmaps.shape == (2, 12)


def test_the_result_is_frozen_and_describes_itself():
    found = gradcam.explain(cnn(), images())
    with pytest.raises(AttributeError):
        found.maps = None
    assert repr(found) == "Explanation(3 images, gradcam of 'conv2', maps (3, 5, 5))"
    assert len(found) == 3
    assert found.warped_heatmaps is None
    assert found.coverage is None
    assert found.maps.dtype == found.heatmaps.dtype == np.float32


def test_an_explainer_says_what_it_explains():
    model = cnn()
    assert repr(gradcam.Explainer(model)) == (
        f"Explainer(gradcam of the last feature map in '{model.name}')"
    )
    pair = gradcam.Explainer(model, ["conv1", "conv2"], "layercam")
    assert repr(pair) == f"Explainer(layercam of 'conv1' and 'conv2' in '{model.name}')"


def test_an_explainer_does_not_grow():
    model, _, _ = nested(2)
    explain = gradcam.Explainer(model)
    x = images(32)
    for _ in range(5):
        explain(x)
    # Arrays are counted, too. What is held by each of 20 batches would be about 50,000 bytes.
    tracemalloc.start()
    try:
        explain(x)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(20):
            explain(x)
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 100_000
    finally:
        tracemalloc.stop()


def test_targets_that_are_new_functions_every_time_do_not_pile_up(monkeypatch):
    monkeypatch.setattr("gradcam.cam.programs.PROGRAMS_KEPT", 2)
    explain = gradcam.Explainer(cnn())
    for number in range(4):
        explain(images(1), lambda scores, number=number: scores[:, number % 4])
    assert len(explain._programs) == 2


INDEX = 0


def from_globals(scores):
    return scores[:, INDEX]


def with_default(scores, index=(0,)):
    return scores[:, index[0]]


@pytest.mark.parametrize("how", ["closure", "global", "default", "object", "method", "partial"])
def test_a_target_function_with_new_values_is_traced_anew(how, monkeypatch):
    """The same function object, other values: what was traced for the old ones is stale."""
    index = 0

    def closure(scores):
        return scores[:, index]

    class Chosen:
        index = 0

        def __eq__(self, other):
            return True

        __hash__ = None

        def __call__(self, scores):
            return scores[:, self.index]

    chosen = Chosen()
    target = {
        "closure": closure,
        "global": from_globals,
        "default": with_default,
        "object": chosen,
        "method": chosen.__call__,
        "partial": functools.partial(lambda chosen, scores: scores[:, chosen.index], chosen),
    }[how]
    explain = gradcam.Explainer(cnn(), relu=False)
    x = images(2)
    for number in (0, 3, 1):
        index = chosen.index = number
        monkeypatch.setitem(globals(), "INDEX", number)
        monkeypatch.setattr(with_default, "__defaults__", ((number,),))
        np.testing.assert_array_equal(explain(x, target).maps, explain(x, number).maps)


def test_a_target_function_whose_names_stay_is_traced_once():
    weights, variable, traced = np.arange(4.0, dtype="float32"), tf.Variable(1.0), []

    def target(scores):
        traced.append(1)
        return variable * tf.reduce_sum(scores * weights, 1)

    explain = gradcam.Explainer(cnn(), relu=False)
    first = explain(images(5), target)
    again = explain(images(3), target)
    np.testing.assert_allclose(again.maps, first.maps[:3], atol=1e-7)
    variable.assign(2.0)  # read when the graph runs
    np.testing.assert_allclose(explain(images(5), target).maps, 2 * first.maps, rtol=1e-5)
    weights[0] = 5.0  # changed in place, as its documentation says: not seen
    np.testing.assert_allclose(explain(images(5), target).maps, 2 * first.maps, rtol=1e-5)
    assert len(traced) == 1
    weights = weights.copy()  # another object
    assert np.abs(explain(images(5), target).maps - 2 * first.maps).max() > 1e-3
    assert len(traced) == 2


def test_programs_for_objects_that_cannot_be_compared_do_not_pile_up():
    class Target:
        def __call__(self, scores):
            return scores[:, 0]

    explain, target = gradcam.Explainer(cnn()), Target()
    for _ in range(3):
        explain(images(5), target)
    assert len(explain._programs) <= PROGRAMS_KEPT
    split = gradcam.Explainer(cnn(), batch_size=1)
    split(images(3), target)
    assert len(split._programs) == 1  # one for all parts of a batch


@pytest.mark.parametrize("options", [{}, {"batch_size": 1}, {"batch_size": 3}])
def test_a_model_of_a_fixed_batch_is_not_split(options):
    inputs = keras.Input(batch_shape=(40, 8, 8, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(3, 3, name="conv")(inputs))
    model = keras.Model(inputs, layers.Dense(2)(x))
    found = gradcam.explain(model, images(40, 8), 0, relu=False, **options)
    assert found.maps.shape == (40, 6, 6)


class Image(keras.Model):
    """Takes a dict of an image and of numbers."""

    def __init__(self):
        super().__init__()
        self.conv = layers.Conv2D(4, 3, activation="relu", name="conv")
        self.head = layers.Dense(3)

    def call(self, inputs):
        pooled = tf.reduce_mean(self.conv(inputs["image"]), [1, 2])
        return self.head(tf.concat([pooled, inputs["extra"]], 1))


def test_one_image_in_a_dict_of_a_subclassed_model():
    model, x = Image(), {"image": images(2), "extra": np.ones((2, 2), "float32")}
    model(x)
    expected = gradcam.explain(model, x, 1)
    one = gradcam.explain(model, {name: array[0] for name, array in x.items()}, 1)
    np.testing.assert_allclose(one.maps, expected.maps[:1], atol=1e-6)


class Words(keras.Model):
    """Looks ids up in a table, which floats can't be."""

    def __init__(self):
        super().__init__()
        self.table = tf.constant(np.random.default_rng(0).normal(size=(20, 4)), tf.float32)
        self.conv = layers.Conv1D(3, 3, activation="relu", name="conv")
        self.head = layers.Dense(2)

    def call(self, ids):
        return self.head(tf.reduce_max(self.conv(tf.gather(self.table, ids)), 1))


def test_ids_of_a_subclassed_model_stay_integers():
    model, ids = Words(), np.arange(24).reshape(2, 12) % 20
    model(ids)
    assert gradcam.explain(model, ids, 0, relu=False).maps.shape == (2, 10)
    assert gradcam.explain(model, ids[0], 0, relu=False).maps.shape == (1, 10)
    (conv,) = [info for info in gradcam.layers(model) if info.path == "conv"]
    assert conv.chosen


def test_integer_signals_of_a_subclassed_model_become_floats():
    class Signal(Words):
        def call(self, x):
            return self.head(tf.reduce_max(self.conv(x), 1))

    model, x = Signal(), np.arange(48).reshape(2, 12, 2)
    model(x.astype("float32"))
    found = gradcam.explain(model, x, 0, relu=False)
    np.testing.assert_array_equal(
        found.maps, gradcam.explain(model, x.astype("float32"), 0, relu=False).maps
    )


def keyed():
    """A functional model whose dict has other keys than its inputs have names, one in another."""
    left, right = keras.Input((16, 16, 3), name="a"), keras.Input((2,), name="b")
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name="conv")(left))
    x = layers.Concatenate()([pooled, right])
    return left, right, layers.Dense(2)(x)


@pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict", "ignore:The structure of")
@pytest.mark.parametrize("deep", [False, True])
def test_inputs_by_the_keys_of_the_model_by_the_names_of_its_inputs_and_with_others(deep):
    left, right, outputs = keyed()
    nest = {"zoo": {"image": left}, "age": right} if deep else {"image": left, "age": right}
    model = keras.Model(nest, outputs)
    image, age = images(2), np.ones((2, 2), "float32")
    by_key = {"zoo": {"image": image}, "age": age} if deep else {"image": image, "age": age}
    expected = gradcam.explain(model, by_key, 1, relu=False)
    np.testing.assert_allclose(expected.outputs, model(by_key), rtol=1e-5)
    for given in ({"a": image, "b": age}, by_key | {"more": np.zeros(2)}):
        np.testing.assert_array_equal(
            gradcam.explain(model, given, 1, relu=False).maps, expected.maps
        )
    with pytest.raises(gradcam.ImageError, match="takes age, zoo/image" if deep else "takes age"):
        gradcam.explain(model, {"image": image}, 1)


def test_pictures_of_other_libraries_are_taken():
    class Picture:
        """As PIL's: no length, but an array."""

        def __init__(self, array):
            self.array = array

        def __array__(self, dtype=None, copy=None):
            return np.asarray(self.array, dtype)

    model, x = cnn(), np.random.default_rng(0).integers(0, 255, (2, 16, 16, 3)).astype(np.uint8)
    expected = gradcam.explain(model, x, 1, relu=False)
    found = gradcam.explain(model, Picture(x[0]), 1, relu=False)
    np.testing.assert_allclose(found.maps, expected.maps[:1], rtol=1e-4)
    found = gradcam.explain(model, [Picture(x[0]), Picture(x[1])], 1, relu=False)
    np.testing.assert_array_equal(found.maps, expected.maps)


def test_tensors_of_pytorch_with_gradients_and_in_half_precision():
    torch = pytest.importorskip("torch")
    pixels = images(2)
    expected = gradcam.explain(cnn(), pixels, 0).maps.shape
    for tensor in (
        torch.tensor(pixels, requires_grad=True),
        torch.tensor(pixels).to(torch.bfloat16),
    ):
        assert gradcam.explain(cnn(), tensor, 0).maps.shape == expected
