"""Saved models, loaded again in another process as their users would."""

import itertools
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_stn
from keras_stn.transforms import FAMILIES, ThinPlateSpline
from tests.support.oracle import FILL_MODES, INTERPOLATIONS

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.random((6, 14, 11, 3)).astype("float32")
TARGETS = RANDOM.random((6, 2)).astype("float32")


def in_another_process(script, folder):
    """Runs Python code in `folder`, with nothing imported yet."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


def make_model():
    """Every kind of layer, a network of one's own, one that is built, and two transformers in a row."""
    inputs = keras.Input((14, 11, 3))
    features = keras.layers.Flatten()(keras.layers.Conv2D(4, 3, activation="relu")(inputs))
    where = keras.Model(inputs, keras_stn.ThetaRegression("affine", limit=0.5)(features))
    looked = keras_stn.SpatialTransformer(
        "affine", where, output_size=(10, 9), fill_mode="reflect"
    )(inputs)
    looked = keras_stn.SpatialTransformer(ThinPlateSpline(3, 3), align_corners=False)(looked)
    theta = keras_stn.ThetaRegression("rotation")(keras.layers.Flatten()(looked))
    grid = keras_stn.GridGenerator("rotation", 8)(theta)
    looked = keras_stn.GridSampler("bicubic")([looked, grid])
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(looked)))
    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.fit(IMAGES, TARGETS, epochs=2, verbose=0)
    return model


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture
def folder(tmp_path, model):
    np.save(tmp_path / "images.npy", IMAGES)
    np.save(tmp_path / "targets.npy", TARGETS)
    np.save(tmp_path / "outputs.npy", model.predict(IMAGES, verbose=0))
    return tmp_path


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_files_in_a_fresh_process_and_training_goes_on(model, folder):
    model.save(folder / "m.keras")
    model.save(folder / "m.h5")
    in_another_process(
        """
        import numpy as np, keras, keras_stn
        images, targets = np.load("images.npy"), np.load("targets.npy")
        for file, options in (("m.h5", {"compile": False}), ("m.keras", {})):
            model = keras.models.load_model(file, **options)
            found = model.predict(images, verbose=0)
            np.testing.assert_allclose(found, np.load("outputs.npy"), rtol=1e-5, atol=1e-6, err_msg=file)
        loss = model.train_on_batch(images, targets)
        np.save("weights.npy", np.concatenate([w.ravel() for w in model.get_weights()]))
        """,
        folder,
    )
    # The same step here, with the optimizer's state as it was: Adam's first step would be another.
    twin = keras.models.load_model(folder / "m.keras")
    assert int(twin.optimizer.iterations) == 2
    twin.train_on_batch(IMAGES, TARGETS)
    expected = np.concatenate([w.ravel() for w in twin.get_weights()])
    np.testing.assert_allclose(np.load(folder / "weights.npy"), expected, rtol=1e-4, atol=1e-6)


def test_weights_alone(model, tmp_path):
    model.save_weights(tmp_path / "m.weights.h5")
    other = keras.models.clone_model(model)
    other.compile(keras.optimizers.Adam(0.01), "mse")
    other.optimizer.build(other.trainable_variables)
    other.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_allclose(
        other.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0), atol=1e-6
    )


def test_export_is_served_without_this_package(model, folder):
    model.export(folder / "served")
    in_another_process(
        """
        import sys
        import numpy as np, tensorflow as tf
        served = tf.saved_model.load("served")
        outputs = served.serve(tf.constant(np.load("images.npy")))
        np.testing.assert_allclose(outputs, np.load("outputs.npy"), rtol=1e-5, atol=1e-6)
        assert served.serve(np.load("images.npy")[:1]).shape == (1, 2)
        assert not [name for name in sys.modules if name.startswith("keras_stn")]
        """,
        folder,
    )


def as_tflite(model):
    """A function of the converted model: from arrays to the outputs by their names."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    runner = interpreter.get_signature_runner()
    names = [port.name for port in model.inputs]
    return lambda *arrays: runner(**dict(zip(names, arrays, strict=True)))


def change_weights(model):
    model.set_weights([w + 0.02 * RANDOM.standard_normal(w.shape) for w in model.get_weights()])


pytestmark = pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")


@pytest.mark.slow  # converts a model of nine transformers
def test_tflite_of_every_family():
    inputs = keras.Input((14, 11, 3))
    looked = {
        family: keras_stn.SpatialTransformer(family, output_size=(10, 9))(inputs)
        for family in FAMILIES
    }
    model = keras.Model(inputs, looked)
    change_weights(model)
    converted = as_tflite(model)
    for images in (IMAGES[:1], IMAGES):
        expected, found = model.predict(images, verbose=0), converted(images)
        assert list(expected) == list(FAMILIES)
        for family in FAMILIES:
            np.testing.assert_allclose(found[family], expected[family], atol=1e-5, err_msg=family)


def test_tflite_of_images_of_any_size():
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, {"looked": keras_stn.SpatialTransformer("affine")(inputs)})
    change_weights(model)
    expected = model.predict(IMAGES, verbose=0)["looked"]
    np.testing.assert_allclose(as_tflite(model)(IMAGES)["looked"], expected, atol=1e-5)


@pytest.mark.slow  # converts a model of eighteen samplers
def test_tflite_of_every_way_to_sample():
    images, grid = keras.Input((6, 5, 2), batch_size=2), keras.Input((4, 3, 2), batch_size=2)
    ways = list(itertools.product(INTERPOLATIONS, FILL_MODES))
    model = keras.Model(
        [images, grid],
        {
            f"{interpolation} {fill_mode}": keras_stn.GridSampler(
                interpolation, fill_mode, fill_value=0.5
            )([images, grid])
            for interpolation, fill_mode in ways
        },
    )
    arrays = [RANDOM.random((2, 6, 5, 2)), RANDOM.uniform(-1.4, 1.4, (2, 4, 3, 2))]
    arrays = [a.astype("float32") for a in arrays]
    found, expected = as_tflite(model)(*arrays), model.predict(arrays, verbose=0)
    assert len(expected) == 9
    for way, outputs in expected.items():
        np.testing.assert_allclose(found[way], outputs, atol=1e-5, err_msg=way)
