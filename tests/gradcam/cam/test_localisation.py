"""A coloured patch somewhere decides the class; the heatmap must find it."""

import keras
import numpy as np
import pytest
from keras import layers

import gradcam
from gradcam.cam.methods import METHODS

SIZE, PATCH = 32, 8


def patches(count, seed):
    """Noise with a patch of one of three colours, and a grey patch that means nothing."""
    generator = np.random.default_rng(seed)
    x = generator.uniform(0, 0.4, (count, SIZE, SIZE, 3)).astype("float32")
    y = generator.integers(0, 3, count)
    corners = generator.integers(0, SIZE - PATCH, (count, 2))
    for image, (row, column) in enumerate(corners):
        other = generator.integers(0, SIZE - PATCH, 2)
        x[image, other[0] : other[0] + PATCH, other[1] : other[1] + PATCH] = 0.7
        region = x[image, row : row + PATCH, column : column + PATCH]
        region[:] = 0.1
        region[..., y[image]] = 0.9
    return x, y, corners


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    x, y, _ = patches(600, seed=1)
    model = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(24, 3, padding="same", activation="relu"),
            layers.GlobalMaxPooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    model.fit(x, y, epochs=8, batch_size=32, verbose=0)
    x, y, corners = patches(100, seed=2)
    assert model.evaluate(x, y, verbose=0)[1] > 0.97
    return model, x, y, corners


def hits(heatmaps, corners):
    found = 0
    for heatmap, (row, column) in zip(heatmaps, corners, strict=True):
        top = np.unravel_index(heatmap.argmax(), heatmap.shape)
        # The centre of a map's cell may lie one pixel beside the patch that fills it.
        inside = row - 1 <= top[0] <= row + PATCH and column - 1 <= top[1] <= column + PATCH
        found += bool(inside)
    return found


@pytest.mark.parametrize("name", [n for n, m in METHODS.items() if "gradients" in m.evidence])
def test_the_maximum_falls_on_the_patch(trained, name):
    model, x, y, corners = trained
    assert hits(gradcam.explain(model, x, y, method=name).heatmaps, corners) >= 95


@pytest.mark.parametrize("name", ["ablationcam", "scorecam"])
def test_the_other_methods_that_look_at_the_class_find_it_too(trained, name):
    model, x, y, corners = trained
    assert hits(gradcam.explain(model, x, y, method=name).heatmaps, corners) >= 90


def test_random_maps_do_not(trained):
    _, _, _, corners = trained
    random = np.random.default_rng(0).uniform(size=(100, SIZE, SIZE))
    assert hits(random, corners) < 30


def test_another_class_is_not_found_there(trained):
    """The map of a wrong class must not just mark whatever is there."""
    model, x, y, _ = trained
    wrong = gradcam.explain(model, x, (y + 1) % 3, relu=False).maps
    right = gradcam.explain(model, x, y, relu=False).maps
    assert right.max((1, 2)).mean() > 3 * wrong.max((1, 2)).mean()
