"""Pixels in another range than those of the training: said, once, and never of the right ones."""

import keras
import numpy as np
import pytest
from keras import layers

import gradcam
from tests.support.photographs import PREPROCESSINGS, learned, photographs


def said(explanation):
    return [note for note in explanation.notes if note.code.startswith("warn-pixels")]


# What was trained on, what is given, and what leads back: None where nothing is wrong.
WRONG = [
    ("unit", "raw", "images = images / 255"),
    ("signed", "raw", "images = images / 127.5 - 1"),
    ("torch", "raw", "images = keras.applications.densenet.preprocess_input(images)"),
    ("raw", "unit", "images = images * 255"),
    ("caffe", "unit", "images = images * 255"),
    ("raw", "signed", "images = (images + 1) * 127.5"),
]


def pictures():
    """From 0 to 255: as bright and dark as photographs come, a wall in the dusk, a sky, and snow."""
    yield photographs(3, seed=2)
    yield photographs(3, seed=2, contrast=(0.3, 0.4))
    yield photographs(3, seed=2, contrast=(0.02, 0.03), brightness=(0.05, 0.2))
    yield photographs(3, seed=2, contrast=(0.004, 0.006), brightness=(0.4, 0.5))
    ramp = np.linspace(60, 200, 32, dtype="float32")
    yield np.broadcast_to(ramp[None, :, None, None], (2, 32, 32, 3)).copy()
    yield np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")


@pytest.mark.parametrize(("trained_on", "given", "line"), WRONG)
def test_the_wrong_range_is_said_with_the_line_that_mends_it(trained_on, given, line):
    model = learned(trained_on)
    images = PREPROCESSINGS[given](photographs(3, seed=1))
    (note,) = said(gradcam.explain(model, images, 0))
    assert note.code == "warn-pixels-spread"
    assert note.image is None
    assert "'norm' learned inputs with a spread of about" in str(note)
    assert line in str(note)
    # The same measure, the same proposal.
    found = [one for one in gradcam.diagnose(model, images).findings if one.code == "input-range"]
    assert [line in one.fix for one in found] == [True]
    # And it does mend it.
    mended = {"images": images.copy(), "keras": keras}
    exec(line, mended)
    assert not said(gradcam.explain(model, mended["images"], 0))


@pytest.mark.parametrize("name", PREPROCESSINGS)
def test_the_right_pixels_are_never_warned_of(name):
    for bias in (True, False):
        explain = gradcam.Explainer(learned(name, bias=bias))
        for number, picture in enumerate(pictures()):
            images = PREPROCESSINGS[name](picture)
            for batch in (images, images[:1]):
                assert explain.look_at_pixels(batch, [(0, None)]) is None, number


@pytest.mark.parametrize("given", PREPROCESSINGS)
def test_nothing_learned_is_nothing_to_judge_by(given):
    images = PREPROCESSINGS[given](photographs(3))
    fresh = learned(None)
    assert not said(gradcam.explain(fresh, images, 0))
    # A few steps in, the moving averages are still those of the start.
    fresh.get_layer("norm").momentum = 0.99
    fresh(PREPROCESSINGS["unit"](photographs(8)) / 50, training=True)
    assert not said(gradcam.explain(fresh, PREPROCESSINGS["unit"](photographs(3)) / 50, 0))


def scaled(**options):
    return learned("raw", scaling=layers.Rescaling(name="scale", **options))


@pytest.mark.parametrize("options", [{"scale": 1 / 255}, {"scale": 1 / 127.5, "offset": -1}])
def test_a_model_that_scales_by_itself(options):
    model = scaled(**options)
    assert not said(gradcam.explain(model, photographs(2, seed=3), 0))
    (note,) = said(gradcam.explain(model, photographs(2, seed=3) / 255, 0))
    assert note.code == "warn-pixels-scaled-twice"
    assert "'scale' expects pixels from 0 to 255; these go from" in str(note)
    assert "images = images * 255" in str(note)


def test_an_adapted_normalization_is_a_norm():
    norm = layers.Normalization(mean=[124, 117, 104], variance=[3400, 3300, 3400], name="adapted")
    model = learned(None, scaling=norm)
    assert not said(gradcam.explain(model, photographs(2, seed=3), 0))
    (note,) = said(gradcam.explain(model, photographs(2, seed=3) / 255, 0))
    assert "'adapted' learned inputs" in str(note)


def test_an_explainer_says_it_once():
    explain = gradcam.Explainer(learned("signed"), batch_size=2, relu=False)
    images = photographs(5, seed=1)
    first = explain(images, 0)
    assert len(said(first)) == 1
    assert first.warnings[0].startswith("'norm' learned inputs")
    assert not said(explain(images, 0))
    assert len(said(gradcam.explain(learned("signed"), images, 0))) == 1


def test_a_blank_map_says_it_again():
    inputs = keras.Input((32, 32, 3))
    x = layers.Rescaling(1 / 255, name="scale")(inputs)
    x = layers.Conv2D(4, 3, kernel_initializer="ones", name="conv")(x)
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(layers.ReLU()(x))))
    model.get_layer("conv").bias.assign([-1.0] * 4)
    explain = gradcam.Explainer(model)
    assert not said(explain(photographs(1), 0))
    dark = explain(photographs(2) / 255, 0)
    assert not dark.maps.any()
    assert "expects pixels from 0 to 255; these go from 0" in dark.warnings[0]


def test_a_norm_of_another_input_says_nothing_of_the_images():
    image, table = keras.Input((32, 32, 3), name="image"), keras.Input((4,), name="table")
    norm = layers.BatchNormalization(momentum=0.0, name="norm")
    x = layers.Conv2D(4, 3, name="conv")(image)
    y = layers.Concatenate()([layers.GlobalAveragePooling2D()(x), norm(table)])
    model = keras.Model([image, table], layers.Dense(2)(y))
    model([photographs(4), np.random.default_rng(0).normal(size=(4, 4))], training=True)
    found = gradcam.explain(model, [photographs(2), np.full((2, 4), 1e4) * [[1], [2]]], 0)
    assert not said(found)
