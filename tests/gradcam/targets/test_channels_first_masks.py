"""Segmentation outputs whose classes come before the positions."""

import keras
import numpy as np
import pytest
from keras import layers

import gradcam
from gradcam.targets import Output, Segmentation
from tests.support.gradcam_models import images

# More positions than classes along the last axis: a class beyond the second is a mistake to be seen.
HEIGHT, WIDTH, CLASSES = 6, 31, 2


def mask_model(first, ending="softmax", classes=CLASSES, several=False):
    """The same weights with the classes first or last."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((HEIGHT, WIDTH, 3), name="image")
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv")(inputs)
    x = layers.Conv2D(classes, 1, name="logits")(x)
    if first:
        x = layers.Permute((3, 1, 2), name="turn")(x)
    if ending == "softmax":
        x = layers.Softmax(axis=1 if first else -1, name="mask")(x)
    elif ending == "sigmoid":
        x = layers.Activation("sigmoid", name="mask")(x)
    outputs = {"mask": x, "other": layers.GlobalAveragePooling2D()(x)} if several else x
    return keras.Model(inputs, outputs)


def photos():
    return images(3, size=WIDTH)[:, :HEIGHT]


@pytest.mark.parametrize("ending", ["softmax", "linear"])
def test_a_class_is_read_along_the_axis_of_classes(ending):
    x = photos()
    first, last = mask_model(True, ending), mask_model(False, ending)
    pixels = np.zeros((HEIGHT, WIDTH))
    pixels[1:4, 20:] = 1
    for target in (None, 1, [0, 1, 1], Segmentation(1, pixels)):
        expected = gradcam.explain(last, x, target, relu=False)
        found = gradcam.explain(first, x, target, relu=False)
        assert found.targets == expected.targets
        np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5)
        np.testing.assert_allclose(found.maps, expected.maps, atol=1e-6)


def test_a_class_that_does_not_exist_is_refused():
    with pytest.raises(gradcam.TargetError, match=r"Class 30 is out of range.*0 to 1"):
        gradcam.explain(mask_model(True), photos(), target=30)


def test_a_single_channel_has_two_sides():
    x = photos()
    first, last = (mask_model(turned, "sigmoid", classes=1) for turned in (True, False))
    for target in (None, 0, 1, gradcam.targets.Binary(positive=None)):
        expected = gradcam.explain(last, x, target, relu=False)
        found = gradcam.explain(first, x, target, relu=False)
        assert found.targets == expected.targets
        np.testing.assert_allclose(found.maps, expected.maps, atol=1e-6)


def test_the_axis_can_be_said():
    x = photos()
    inputs = keras.Input((HEIGHT, WIDTH, 3))
    inner = mask_model(False, "linear")(inputs)
    # No layer's transposition: which axis has the classes can't be seen.
    turned = keras.ops.reshape(keras.ops.swapaxes(inner, 1, 3), (-1, CLASSES, WIDTH, HEIGHT))
    model = keras.Model(inputs, turned)
    expected = gradcam.explain(mask_model(False, "linear"), x, 1, relu=False)
    found = gradcam.explain(model, x, Segmentation(1, axis=1), relu=False)
    np.testing.assert_allclose(found.maps, expected.maps, atol=1e-6)
    for axis in (-1, 3):
        last = gradcam.explain(
            mask_model(False, "linear"), x, Segmentation(1, axis=axis), relu=False
        )
        np.testing.assert_array_equal(last.maps, expected.maps)
    with pytest.raises(gradcam.TargetError, match=r"axis of Segmentation\. Expected 1, -1 or 3"):
        Segmentation(1, axis=2)
    named = Segmentation("b", axis=1).named(["a", "b"])
    assert named.axis == 1
    assert named.class_index == 1


def test_a_mask_beside_another_output():
    x = photos()
    first, last = mask_model(True, several=True), mask_model(False, several=True)
    target = Output("mask", Segmentation(1))
    expected = gradcam.explain(last, x, target, relu=False)
    np.testing.assert_allclose(
        gradcam.explain(first, x, target, relu=False).maps, expected.maps, atol=1e-6
    )


def test_the_hint_of_a_target_in_an_output_is_kept():
    model = mask_model(False, several=True)
    model.get_layer("logits").bias.assign([-9.0, 9.0])
    for target in (Output("mask", 0), Output("mask", Segmentation(0))):
        found = gradcam.explain(model, photos(), target)
        said = next(text for text in found.warnings if text.startswith("image 0"))
        assert "the class wins at no pixel, or the mask is empty" in said
    assert Output("mask").zero_hint == ""


def test_the_exported_model_is_read_in_the_same_way(tmp_path):
    mask_model(True).export(str(tmp_path / "first"))
    loaded = gradcam.load_model(tmp_path / "first")
    expected = gradcam.explain(mask_model(False), photos(), 1, relu=False)
    found = gradcam.explain(loaded, photos(), 1, relu=False)
    np.testing.assert_allclose(found.maps, expected.maps, atol=1e-6)
