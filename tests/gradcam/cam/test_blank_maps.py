"""Blank maps: every reason that is given is true for its method, and what is advised helps."""

import re

import keras
import numpy as np
import pytest
from keras import layers

import gradcam
from gradcam.cam.methods import METHODS
from tests.support.gradcam_models import images

COUNT, SIZE, CHANNELS = 96, 2, 2
POSITIVE_ONLY = ("gradcam++", "layercam")


@pytest.fixture(scope="module")
def rig():
    """A model whose activations are the images and whose gradients are the rows of its head."""
    generator = np.random.default_rng(0)
    shape = (COUNT, SIZE, SIZE, CHANNELS)
    activations = generator.integers(-1, 2, shape) * (generator.random(shape) < 0.6)
    activations[::3] = np.maximum(activations[::3], 0)  # as behind a ReLU
    activations[1::12] = np.minimum(activations[1::12], 0)
    activations[2::12] = generator.integers(-1, 2, (8, 1, 1, CHANNELS))  # constant channels
    activations[-1] = 0
    gradients = generator.integers(-1, 2, shape) * (generator.random(shape) < 0.6)
    gradients[5::12] = np.where(activations[5::12] == 0, 1, 0)
    gradients[6::12] = 0
    gradients[7::12] = np.minimum(gradients[7::12], 0)
    gradients[3::12, 1] = -gradients[3::12, 0]  # cancels in the mean
    activations[3::12] = 1
    model = keras.Sequential(
        [
            keras.Input(shape[1:]),
            layers.Conv2D(CHANNELS, 1, name="conv", use_bias=False),
            layers.Flatten(),
            layers.Dense(COUNT, use_bias=False),
        ]
    )
    model.layers[0].kernel.assign(np.eye(CHANNELS)[None, None])
    model.layers[-1].kernel.assign(gradients.reshape(COUNT, -1).T)
    return model, activations.astype("float32"), gradients.astype("float32")


EXPLAINED = {}


def explained(rig, method, *, relu=True, counterfactual=False):
    """Each once, for all tests."""
    options = method, relu, counterfactual
    if options not in EXPLAINED:
        model, activations, _ = rig
        EXPLAINED[options] = gradcam.explain(
            model,
            activations,
            np.arange(COUNT),
            "conv",
            method,
            relu=relu,
            counterfactual=counterfactual,
            batch_size=COUNT,
        )
    return EXPLAINED[options]


def is_true(code, method, activation, gradient, raw):
    """Whether a reason holds, worked out from the activations and the gradient of one image."""
    product = gradient * activation
    constant = (activation == activation[:1, :1]).all()
    return {
        "warn-all-negative": (raw <= 0).all() and (raw < 0).any(),
        "warn-negative-activations": (raw <= 0).all() and (activation < 0).any(),
        "warn-dead-activations": not activation.any(),
        "warn-zero-gradient": not gradient.any(),
        "warn-no-positive-gradient": not (gradient * activation != 0)[gradient > 0].any(),
        "warn-inactive": not product.any(),
        "warn-zero-map": not raw.any() and activation.any(),
        "warn-no-effect": not product.sum((0, 1)).any(),
        "warn-constant-channels": constant,
    }[code]


ALLOWED = {
    "gradcam": {"all-negative", "dead-activations", "zero-gradient", "inactive", "zero-map"},
    "hirescam": {"all-negative", "dead-activations", "zero-gradient", "inactive", "zero-map"},
    "xgradcam": {"all-negative", "dead-activations", "zero-gradient", "inactive", "zero-map"},
    "eigengradcam": {"all-negative", "dead-activations", "zero-gradient", "inactive"},
    "gradcam++": {"negative-activations", "dead-activations", "zero-gradient", "inactive"}
    | {"no-positive-gradient", "zero-map"},
    "layercam": {"negative-activations", "dead-activations", "zero-gradient", "inactive"}
    | {"no-positive-gradient", "zero-map"},
    "eigencam": {"negative-activations", "dead-activations"},
    "ablationcam": {"all-negative", "dead-activations", "no-effect", "zero-map"},
    "scorecam": {"negative-activations", "dead-activations", "constant-channels", "zero-map"},
}


@pytest.mark.parametrize("counterfactual", [False, True])
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_the_reason_is_true_and_the_advice_helps(rig, method, relu, counterfactual):
    _, activations, gradients = rig
    options = {"relu": relu, "counterfactual": counterfactual}
    found = explained(rig, method, **options)
    raw = explained(rig, method, **options | {"relu": False}).maps
    gradients = -gradients if counterfactual else gradients
    blank = {image for image in range(COUNT) if not found.maps[image].any()}
    said = {}
    for note in found.notes:
        if note.image is not None:
            assert note.image not in said
            assert note.target in (None, note.image)
            said[note.image] = note
    assert set(said) == blank
    advised = {}
    for image, note in said.items():
        code, text = note.code, str(note)
        assert code.removeprefix("warn-") in ALLOWED[method]
        assert is_true(code, method, activations[image], gradients[image], raw[image]), text
        if match := re.search(r"method='(\w+)'", text):
            advised.setdefault((match[1], ("relu", False), counterfactual), []).append(image)
        elif "relu=False" in text:
            advised.setdefault((method, ("relu", False), counterfactual), []).append(image)
        is_turned = "use counterfactual=True" in text or "leave counterfactual=True out" in text
        if is_turned and (activations[image] >= 0).all():
            advised.setdefault((method, ("relu", relu), not counterfactual), []).append(image)
        if code != "warn-dead-activations":
            assert "relu=False" in text
    for (other, relu_option, turned), numbers in advised.items():
        better = explained(rig, other, **dict([relu_option]), counterfactual=turned)
        for image in numbers:
            assert better.maps[image].any(), said[image]


def test_every_reason_occurs(rig):
    codes = {
        note.code
        for method in METHODS
        for note in explained(rig, method).notes
        if note.image is not None
    }
    assert codes == {f"warn-{code}" for codes in ALLOWED.values() for code in codes}


def test_a_counterfactual_says_what_speaks_for():
    model = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            layers.Conv2D(1, 1, activation="relu", kernel_initializer="ones", name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(1, kernel_initializer="ones"),
        ]
    )
    x, target = np.ones((1, 4, 4, 1)), gradcam.targets.Regression()
    (text,) = gradcam.explain(model, x, target, counterfactual=True).warnings
    assert "everything in 'conv' speaks for Regression" in text
    assert "leave counterfactual=True out" in text
    (text,) = gradcam.explain(model, x, target, counterfactual=True, method="layercam").warnings
    assert "is negative nowhere that 'conv' is active, and layercam keeps nothing else" in text


def test_a_layer_before_a_dead_one_shows_something():
    model = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            layers.Conv2D(2, 1, name="conv"),
            layers.ReLU(name="relu"),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    model.layers[0].bias.assign([-99.0, -99.0])
    (text,) = gradcam.explain(model, images(1, 4, 1), 0).warnings
    assert "all activations of 'relu' are zero" in text
    assert "choose a layer before it" in text
    found = gradcam.explain(model, images(1, 4, 1), 0, layer="conv", method="eigencam", relu=False)
    assert found.maps.any()
