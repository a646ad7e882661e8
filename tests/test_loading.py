"""Models that come as files: what loads, with the predictions it had, and what is refused."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import gradcam
from tests import model_files

OLD_MODELS = [
    *("teachable_machine", "frozen_backbone", "shared", "unet", "two_outputs", "recurrent"),
    *("attention", "video", "preprocessing", "functions", "nodes", "half", "unbuilt_sequential"),
    *("mobilenet", "mobilenetv2", "mobilenetv3", "efficientnet", "resnetv2", "densenet"),
]


@pytest.fixture(scope="session")
def old_files(tmp_path_factory):
    """A folder with files of Keras 2, written in a process of its own."""
    folder = tmp_path_factory.mktemp("keras_2")
    command = [sys.executable, model_files.__file__, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def stored(folder, name):
    """The inputs and outputs that Keras 2 noted for a model."""
    arrays = np.load(folder / f"{name}.npz")
    return tuple(
        [arrays[key] for key in sorted(arrays.files) if key.startswith(kind)]
        for kind in ("input", "output")
    )


def assert_same_predictions(model, folder, name):
    inputs, expected = stored(folder, name)
    outputs = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    assert len(outputs) == len(expected)
    tolerance = 5e-3 if name == "half" else 1e-5
    for output, array in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(output, array, rtol=0, atol=tolerance * np.abs(array).max())


@pytest.mark.parametrize("ending", [".h5", ".keras"])
@pytest.mark.parametrize("name", OLD_MODELS)
def test_a_file_of_keras_2_predicts_what_it_did(old_files, name, ending):
    model = gradcam.load_model(old_files / f"{name}{ending}")
    assert isinstance(model, keras.Model)
    assert not model.compiled
    assert_same_predictions(model, old_files, name)
