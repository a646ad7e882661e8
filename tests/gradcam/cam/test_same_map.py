"""A Keras model, its `.keras` file, its `.h5` file and its export give the same map."""

import importlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import gradcam
from tests.support import gradcam_models

targets = gradcam.targets


def plain():
    return gradcam_models.cnn(activation="softmax"), None, None


def transfer():
    model, _, _ = gradcam_models.nested(2)
    return model, None, None


def two_outputs():
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(6, 3, activation="swish", name="conv")(inputs)
    x = layers.GlobalAveragePooling2D()(x)
    kind = layers.Dense(3, activation="softmax", name="kind")(x)
    size = layers.Dense(1, name="size")(x)
    # By number, which a model and its export have in common: an export calls them output_0, ...
    return keras.Model(inputs, [kind, size]), targets.Output(0, targets.Class(1)), None


def segmentation():
    inputs = keras.Input((16, 16, 3))
    x = skip = layers.Conv2D(4, 3, padding="same", activation="relu", name="down")(inputs)
    x = layers.Conv2D(6, 3, padding="same", activation="relu")(layers.MaxPooling2D()(x))
    x = layers.Conv2DTranspose(4, 2, strides=2, activation="relu", name="up")(x)
    x = layers.Conv2D(5, 3, padding="same", activation="relu", name="joined")(x + skip)
    outputs = layers.Conv2D(3, 1, activation="softmax", name="classes")(x)
    return keras.Model(inputs, outputs), targets.Segmentation(1), None


def transformer(before=False):
    """A spatial transformer that turns the image a little; `before`: and the layer in front."""
    keras_stn = importlib.import_module("keras_stn")
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="front")(inputs)
    localization = keras_stn.localization_network((16, 16, 4), filters=(2,), units=4)
    x = keras_stn.SpatialTransformer(localization=localization, output_size=(12, 12))(x)
    x = layers.Conv2D(6, 3, activation="relu", name="conv")(x)
    outputs = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, outputs)
    theta = next(
        v for v in model.weights if "theta_regression" in v.path and v.path.endswith("/bias")
    )
    theta.assign(np.add(theta, [0.1, -0.2, 0.05, 0.2, -0.1, 0.1]))
    return model, targets.Class(1), "front" if before else None


MODELS = {
    "plain": plain,
    "transfer": transfer,
    "two outputs": two_outputs,
    "segmentation": segmentation,
    "transformer": transformer,
}


def files_of(make, folder):
    """A model in memory, and the same one from each of its files."""
    keras.utils.set_random_seed(5)
    model, target, layer = make()
    model.save(folder / "m.keras")
    model.save(folder / "m.h5")
    model.export(str(folder / "exported"))
    names = {"keras": "m.keras", "h5": "m.h5", "export": "exported"}
    return model, target, layer, {key: gradcam.load_model(folder / n) for key, n in names.items()}


@pytest.fixture(scope="module", params=MODELS)
def saved(request, tmp_path_factory):
    return files_of(MODELS[request.param], tmp_path_factory.mktemp("models"))


def test_a_layer_in_front_of_a_transformer_keeps_its_gradient(tmp_path):
    model, target, layer, loaded = files_of(lambda: transformer(before=True), tmp_path)
    x = gradcam_models.images(2)
    expected = gradcam.explain(model, x, target, layer)
    for other in loaded.values():
        found = gradcam.explain(other, x, target, layer)
        np.testing.assert_allclose(found.maps, expected.maps, atol=1e-5)
    assert expected.maps.max() > 0


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_the_same_maps_from_memory_and_from_every_file(saved):
    """All methods at once: each of the models is traced a single time."""
    model, target, layer, loaded = saved
    x = gradcam_models.images(2)
    options = {"method": list(gradcam.METHODS), "relu": False, "max_channels": 4}
    expected = gradcam.explain(model, x, target, layer, **options)
    for name, other in loaded.items():
        found = gradcam.explain(other, x, target, layer, **options)
        for method in gradcam.METHODS:
            check_same(found[method], expected[method], name)


def check_same(found, expected, name):
    where = f"{name}, {expected.method}"
    assert np.abs(expected.maps).max() > 0, where
    assert found.layer == expected.layer, where
    scale = max(1.0, np.abs(expected.maps).max())
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5, err_msg=where)
    is_warped = name == "export" and expected.warped_heatmaps is not None
    if is_warped and expected.method == "scorecam":
        return  # its masks lie where the layer saw them, and an export can't tell where
    np.testing.assert_allclose(found.maps, expected.maps, atol=1e-5 * scale, err_msg=where)
    if not is_warped:
        np.testing.assert_allclose(found.heatmaps, expected.heatmaps, atol=1e-4, err_msg=where)
    else:  # an export keeps no transformer that could turn the heatmap back
        whole = tf.image.resize(expected.maps[..., None], (16, 16))[..., 0].numpy()
        whole /= np.abs(whole).max((1, 2), keepdims=True)
        np.testing.assert_allclose(found.heatmaps, whole, atol=1e-4, err_msg=where)
        assert any("spatial_transformer" in text for text in found.warnings), where
