"""What people really have: modules of functions, dense models, pieces of models."""

import keras
import pytest
from keras import layers

import gradcam
from tests.support.gradcam_models import images


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    """A model of Dense layers alone, and its SavedModel."""
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Flatten(name="flat"),
            layers.Dense(8, activation="relu", name="first"),
            layers.Dense(3, name="second"),
        ],
        name="digits",
    )
    folder = tmp_path_factory.mktemp("dense") / "digits"
    model.export(str(folder), verbose=False)
    return model, gradcam.load_model(folder)


def test_a_flatten_is_one(dense):
    kinds = {info.path: info.kind for info in gradcam.layers(dense[1])}
    assert kinds == {"flat": "Flatten", "first": "Dense", "second": "Dense"}


@pytest.mark.parametrize("number", [0, 1])
def test_dense_layers_alone_are_said_to_be_the_reason(dense, number):
    x = images(1, size=28, channels=1)
    with pytest.raises(gradcam.NotAFeatureMapError) as error:
        gradcam.explain(dense[number], x, 0)
    assert (
        "'digits' has no feature map before the target: all weights are in Dense layers (first,"
        " second) on 784 values; without a convolution there is no heatmap."
    ) in str(error.value)


def test_a_scaling_is_still_one(tmp_path):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Rescaling(1 / 127.5, offset=-1, name="scale"),
            layers.Reshape((8, 24, 1), name="shape"),
            layers.Conv2D(2, 3, name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2),
        ]
    )
    model.export(str(tmp_path / "m"), verbose=False)
    kinds = {info.path: info.kind for info in gradcam.layers(gradcam.load_model(tmp_path / "m"))}
    assert (kinds["scale"], kinds["shape"]) == ("Rescaling", "Reshape")
