"""Maps with more positions than the input, and inputs without the positions of the map."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import gradcam
from gradcam.cam.resizing import normalise, resize
from tests.support.gradcam_models import images


def averaged(values, new):
    """The mean of each of `new` equal parts of a line of numbers, by a fine ruler."""
    fine = np.repeat(values, new)
    return fine.reshape(new, -1).mean(axis=1)


@pytest.mark.parametrize(("old", "new"), [(8, 4), (9, 4), (64, 7), (5, 4), (3, 1)])
def test_shrinking_averages(old, new):
    values = np.random.default_rng(old).normal(size=old).astype("float32")
    found = resize(tf.constant(values[None]), [new]).numpy()[0]
    np.testing.assert_allclose(found, averaged(values, new), atol=1e-6)


def test_each_axis_shrinks_or_grows_by_itself():
    maps = np.random.default_rng(0).normal(size=(2, 9, 3)).astype("float32")
    grown = tf.image.resize(maps[..., None], (9, 6))[..., 0].numpy()
    expected = np.stack([[averaged(column, 4) for column in one.T] for one in grown])
    found = resize(tf.constant(maps), [4, 6]).numpy()
    np.testing.assert_allclose(found, np.swapaxes(expected, 1, 2), atol=1e-6)


def test_a_size_that_is_only_known_when_it_runs_is_averaged_too():
    values = np.random.default_rng(0).normal(size=(1, 9)).astype("float32")
    run = tf.function(
        resize, input_signature=[tf.TensorSpec((None, None)), [tf.TensorSpec((), tf.int32)]]
    )
    np.testing.assert_allclose(run(values, [4]).numpy()[0], averaged(values[0], 4), atol=1e-6)
    np.testing.assert_allclose(run(values, [9]).numpy(), values, atol=1e-6)


class Spots(layers.Layer):
    """Three positions a pixel along each axis: only the corners are not zero."""

    def call(self, x):
        mask = np.zeros((9, 9, 1), "float32")
        mask[::8, ::8] = 1  # between the points that sampling would look at
        return tf.image.resize(x, (9, 9), "nearest") * mask


def test_a_fine_map_leaves_no_blank_heatmap():
    inputs = keras.Input((3, 3, 1))
    x = Spots(name="spots")(inputs)
    x = layers.Conv2D(1, 1, kernel_initializer="ones", name="conv")(x)
    outputs = layers.Dense(1, kernel_initializer="ones")(layers.GlobalAveragePooling2D()(x))
    found = gradcam.explain(keras.Model(inputs, outputs), np.ones((2, 3, 3, 1)), 0)
    assert found.maps.max() > 0
    assert found.heatmaps.max(axis=(1, 2)).tolist() == [1, 1]
    assert not found.warnings


def test_a_map_whose_heatmap_is_blank_is_said():
    class Checks(layers.Layer):
        def call(self, x):
            signs = (-1.0) ** np.add.outer(np.arange(8), np.arange(8))
            return tf.image.resize(x, (8, 8), "nearest") * signs[..., None].astype("float32")

    inputs = keras.Input((4, 4, 1))
    x = layers.Conv2D(1, 1, kernel_initializer="ones", name="conv")(Checks()(inputs))
    x = layers.Conv2D(1, 1, kernel_initializer="ones", name="other")(x)
    outputs = layers.Dense(1, kernel_initializer="ones")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, outputs)
    found = gradcam.explain(model, np.ones((2, 4, 4, 1)), 0, relu=False)
    assert found.maps.any()
    assert not found.heatmaps.any()
    assert ["image 0" in text for text in found.warnings] == [True, False]
    assert "the map of 'other' has a pattern, but none of it is left" in found.warnings[0]


def test_samples_of_sound_are_no_grey_image():
    inputs = keras.Input((64, 1), name="sound")
    x = layers.Reshape((16, 4, 1))(inputs)
    x = layers.Conv2D(3, 3, activation="relu", padding="same", name="conv")(x)
    outputs = layers.Dense(2)(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, outputs)
    x = np.random.default_rng(0).normal(size=(2, 64, 1)).astype("float32")
    found = gradcam.explain(model, x, 1, relu=False)
    assert found.heatmaps.shape == (2, 16, 4)
    assert (
        "2 axes of positions, the input 'sound' of shape (None, 64, 1) has not"
        in (found.warnings[0])
    )


def test_a_grey_image_without_its_channel_is_one():
    inputs = keras.Input((16, 16))
    x = layers.Conv2D(3, 3, activation="relu", name="conv")(inputs[..., None])
    outputs = layers.Dense(2)(layers.GlobalAveragePooling2D()(x))
    found = gradcam.explain(keras.Model(inputs, outputs), images(2)[..., 0], 1)
    assert found.heatmaps.shape == (2, 16, 16)
    assert not [text for text in found.warnings if "axes" in text]


def test_signed_maps_are_divided_by_the_largest_magnitude():
    maps = tf.constant([[1.0, -4.0], [0.0, 0.0]])
    np.testing.assert_allclose(normalise(maps, signed=True), [[0.25, -1.0], [0.0, 0.0]])
