"""`.keras` files that Keras 2.12 to 2.15 wrote on Windows: groups with backslashes in their names."""

import io
import json
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import layers

import gradcam
from tests.gradcam.loading.test_loading import assert_same_predictions
from tests.support.gradcam_models import images


def model():
    """Three equal layers, one of them nested, so that a mix-up is seen."""
    keras.utils.set_random_seed(0)
    inner = keras.Sequential(
        [keras.Input((14, 14, 4)), layers.Conv2D(4, 3, activation="relu", name="deep")],
        name="inner",
    )
    stack = [
        layers.Conv2D(4, 3, activation="relu", name="first"),
        inner,
        layers.Conv2D(4, 3, activation="relu", name="last"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3, name="scores"),
    ]
    return keras.Sequential([keras.Input((16, 16, 3)), *stack])


def as_windows(content, version):
    """The weights of a file with every path as one name, as Windows' file paths made it."""
    source, stream = h5py.File(io.BytesIO(content)), io.BytesIO()
    root = "_layer_checkpoint_dependencies" if version == "2.12.0" else "layers"
    with h5py.File(stream, "w") as target:

        def copy(path, item):
            if isinstance(item, h5py.Dataset):
                group, _, name = path.rpartition("/vars/")
                group = group.replace("layers/", f"{root}/").replace("/", "\\")
                target.require_group(group).require_group("vars")[name] = item[()]

        source.visititems(copy)
    return stream.getvalue()


def windows_file(path, target, version):
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(target, "w") as copy:
        for name in archive.namelist():
            content = archive.read(name)
            if name == "model.weights.h5":
                content = as_windows(content, version)
            if name == "metadata.json":
                content = json.dumps({"keras_version": version})
            copy.writestr(name, content)
    return target


@pytest.mark.parametrize("version", ["2.12.0", "2.15.0"])
def test_weights_under_names_with_backslashes_are_found(tmp_path, version):
    original = model()
    original.save(tmp_path / "here.keras")
    file = windows_file(tmp_path / "here.keras", tmp_path / "windows.keras", version)
    before = file.read_bytes()
    loaded = gradcam.load_model(file)
    for found, expected in zip(loaded.get_weights(), original.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(loaded(images()), original(images()), atol=1e-6)
    assert file.read_bytes() == before


def test_such_weights_alone_are_named(tmp_path):
    original = model()
    original.save(tmp_path / "here.keras")
    with zipfile.ZipFile(tmp_path / "here.keras") as archive:
        content = as_windows(archive.read("model.weights.h5"), "2.15.0")
    (tmp_path / "model.weights.h5").write_bytes(content)
    with pytest.raises(gradcam.ModelError, match="holds weights without the architecture") as error:
        gradcam.load_model(tmp_path / "model.weights.h5")
    assert error.value.code == "weights-only"


@pytest.mark.parametrize("name", ["teachable_machine", "shared", "recurrent"])
def test_files_of_keras_2_predict_what_they_did(old_files, tmp_path, name):
    file = windows_file(old_files / f"{name}.keras", tmp_path / "windows.keras", "2.15.0")
    assert_same_predictions(gradcam.load_model(file), old_files, name)
