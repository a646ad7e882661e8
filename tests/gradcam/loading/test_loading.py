"""Models that come as files: what loads, with the predictions it had, and what is refused."""

import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras.src.saving import serialization_lib

import gradcam
from gradcam.loading.keras_files import operations
from gradcam.messages.about_files import WORDS
from tests.support import model_files
from tests.support.gradcam_models import cnn, images, nested

OLD_MODELS = [
    *("teachable_machine", "frozen_backbone", "shared", "unet", "two_outputs", "recurrent"),
    *("attention", "video", "preprocessing", "functions", "nodes", "half", "unbuilt_sequential"),
    *("several_outputs_twice", "patches", "distributed"),
    *("mobilenet", "mobilenetv2", "mobilenetv3", "efficientnet", "resnetv2", "densenet"),
]


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


@pytest.fixture(scope="module")
def new_models(tmp_path_factory):
    """Small models of Keras 3 with their files."""
    folder = tmp_path_factory.mktemp("keras_3")
    models = {"plain": cnn(activation="softmax"), "nested": nested(2)[0], "two": two_outputs()}
    for name, model in models.items():
        model.save(folder / f"{name}.keras")
        model.save(folder / f"{name}.h5")
    return folder, models


def two_outputs():
    inputs = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    x = keras.ops.reshape(x * 2.0, (-1, 14, 14, 4))
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = [keras.layers.Dense(2, name="a")(x), keras.layers.Dense(3, name="b")(x)]
    return keras.Model(inputs, outputs)


@pytest.mark.parametrize(
    ("name", "method"),
    [
        *(("plain", method) for method in gradcam.METHODS),
        ("nested", "gradcam"),
        ("two", "layercam"),
    ],
)
def test_the_maps_of_a_file_are_those_of_the_model(new_models, name, method):
    folder, models = new_models
    arguments = {"images": images(2), "method": method}
    if name == "two":
        arguments["target"] = gradcam.targets.Output("b", 1)
    expected = gradcam.explain(models[name], **arguments)
    for ending in (".keras", ".h5"):
        explanation = gradcam.explain(gradcam.load_model(folder / (name + ending)), **arguments)
        assert explanation.layer == expected.layer
        np.testing.assert_allclose(explanation.maps, expected.maps, atol=1e-5)
        np.testing.assert_allclose(explanation.heatmaps, expected.heatmaps, atol=1e-5)


def test_layers_of_keras_stn_load_without_an_import(tmp_path):
    path = tmp_path / "stn.keras"
    script = """
import sys, numpy, gradcam
model = gradcam.load_model(sys.argv[1])
assert "keras_stn" in sys.modules
numpy.save(sys.argv[2], model(numpy.ones((1, 12, 12, 1), "float32")))
"""
    keras_stn = pytest.importorskip("keras_stn")
    inputs = keras.Input((12, 12, 1))
    x = keras_stn.SpatialTransformer(output_size=8)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    model.save(path)
    command = [sys.executable, "-c", script, str(path), str(tmp_path / "out.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    found = np.load(tmp_path / "out.npy")
    np.testing.assert_allclose(found, model(np.ones((1, 12, 12, 1))), atol=1e-6)


def with_lambda():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3)(inputs)
    x = keras.layers.Lambda(lambda x: x * 2.0 + 1.0, name="twice")(x)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))


@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_code_in_a_file_is_refused_and_run_on_demand(tmp_path, name):
    model = with_lambda()
    model.save(tmp_path / name)
    with pytest.raises(gradcam.ModelError) as caught:
        gradcam.load_model(tmp_path / name)
    assert caught.value.code == "unsafe-file"
    assert "the function of Lambda layer 'twice'" in str(caught.value)
    assert "gradcam.load_model(path, safe_mode=False) runs it" in str(caught.value)
    pixels = np.ones((2, 8, 8, 3))
    loaded = gradcam.load_model(tmp_path / name, safe_mode=False)
    np.testing.assert_allclose(loaded(pixels), model(pixels))
    given = gradcam.load_model(tmp_path / name, custom_objects={"twice": lambda x: x * 2.0 + 1.0})
    np.testing.assert_allclose(given(pixels), model(pixels))


@pytest.mark.parametrize("ending", [".h5", ".keras"])
def test_code_in_an_old_file_may_call_the_usual_imports(old_files, ending):
    path = old_files / f"lambda{ending}"
    with pytest.raises(gradcam.ModelError, match="Lambda layers 'halve', 'depth'"):
        gradcam.load_model(path)
    assert_same_predictions(gradcam.load_model(path, safe_mode=False), old_files, "lambda")


@pytest.mark.parametrize("kind", ["TFSMLayer", "TorchModuleWrapper"])
def test_layers_that_run_a_program_are_code(old_files, tmp_path, kind):
    config = model_files.read_config(old_files / "two_outputs.keras")
    entry = next(e for e in model_files.entries(config) if e["class_name"] == "Conv2D")
    entry["class_name"] = kind
    path = model_files.with_config(old_files / "two_outputs.keras", tmp_path / "a.keras", config)
    with pytest.raises(gradcam.ModelError) as caught:
        gradcam.load_model(path)
    assert caught.value.code == "unsafe-file"
    assert f"the program of the {kind} 'conv2d" in str(caught.value)


def test_a_function_that_does_more_than_compute_is_none_of_keras(old_files, tmp_path):
    config = model_files.read_config(old_files / "two_outputs.keras")
    entry = next(e for e in model_files.entries(config) if e["class_name"] == "Conv2D")
    function = {"module": "keras.utils", "class_name": "function", "config": "get_file"}
    entry["config"]["activation"] = function | {"registered_name": "get_file"}
    path = model_files.with_config(old_files / "two_outputs.keras", tmp_path / "a.keras", config)
    with pytest.raises(
        gradcam.ModelError, match=r"the function 'get_file' of the module keras\.utils"
    ):
        gradcam.load_model(path)


def test_a_class_of_ones_own_is_not_taken_for_that_of_keras(old_files, tmp_path):
    config = model_files.read_config(old_files / "attention.keras")
    entry = next(e for e in model_files.entries(config) if e["class_name"] == "Attention")
    entry |= {"module": None, "registered_name": "Custom>Attention"}  # defined in __main__
    path = model_files.with_config(old_files / "attention.keras", tmp_path / "a.keras", config)
    with pytest.raises(gradcam.ModelError, match="the class 'Attention', for the layer"):
        gradcam.load_model(path)


def test_code_of_another_python_is_told(old_files, tmp_path):
    config = model_files.read_config(old_files / "lambda.h5")
    for entry in model_files.entries(config):
        if entry["class_name"] == "Lambda":
            entry["config"]["function"] = ["4wEAAAAB", None, None]
    path = model_files.with_config(old_files / "lambda.h5", tmp_path / "old.h5", config)
    with pytest.raises(gradcam.ModelError) as caught:
        gradcam.load_model(path, safe_mode=False)
    assert caught.value.code == "code-unreadable"
    assert "Lambda layer 'halve'" in str(caught.value)
    assert f"Python 3.{sys.version_info.minor}" in str(caught.value)


class Doubled(keras.layers.Layer):
    def call(self, inputs):
        return inputs * 2.0


@keras.saving.register_keras_serializable("shop")
def bent(x):
    return keras.ops.maximum(x, 0.1 * x)


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_what_the_file_needs_is_named_with_its_module(tmp_path, name):
    inputs = keras.Input((8, 8, 3))
    x = Doubled(name="double")(keras.layers.Conv2D(2, 3, activation=bent, name="conv")(inputs))
    model = keras.Model(inputs, x)
    model.save(tmp_path / name)
    registered = keras.saving.get_custom_objects().copy()
    keras.saving.get_custom_objects().clear()
    try:
        with pytest.raises(gradcam.ModelError) as caught:
            gradcam.load_model(tmp_path / name)
        assert keras.saving.get_custom_objects() == {}
        given = {"Doubled": Doubled, "bent": bent, "shop>bent": bent}
        loaded = gradcam.load_model(tmp_path / name, custom_objects=given)
        assert keras.saving.get_custom_objects() == {}
    finally:
        keras.saving.get_custom_objects().update(registered)
    assert caught.value.code == "custom-object"
    text = str(caught.value)
    assert "the class 'Doubled'" in text
    assert "for the layer 'double'" in text
    assert "the function 'bent'" in text
    if name.endswith(".keras"):
        assert "of the module tests.gradcam.loading.test_loading" in text
    assert "Doubled': Doubled" in text
    pixels = np.ones((1, 8, 8, 3))
    np.testing.assert_allclose(loaded(pixels), model(pixels))


def test_nothing_of_keras_is_changed_by_loading(new_models, old_files, tmp_path):
    def state():
        return (
            serialization_lib.in_safe_mode(),
            dict(keras.saving.get_custom_objects()),
            keras.config.dtype_policy().name,
            serialization_lib.get_shared_object(1),
        )

    gradcam.load_model(new_models[0] / "plain.keras")
    before = state()
    gradcam.load_model(old_files / "functions.h5", custom_objects={"x": int})
    gradcam.load_model(old_files / "lambda.keras", safe_mode=False)
    for name in ("lambda.h5", "custom.h5"):
        with pytest.raises(gradcam.ModelError):
            gradcam.load_model(old_files / name, custom_objects={"y": int})
    config = model_files.read_config(old_files / "functions.keras")
    config["config"]["layers"][1]["config"]["filters"] = "many"
    broken = model_files.with_config(old_files / "functions.keras", tmp_path / "b.keras", config)
    with pytest.raises(gradcam.ModelError) as caught:
        gradcam.load_model(broken)
    assert caught.value.code == "cannot-rebuild"
    assert "layer 'conv'" in str(caught.value)
    assert "written by Keras 2." in str(caught.value)
    assert state() == before


DOCUMENT = (Path(__file__).parents[3] / "docs" / "files.md").read_text(encoding="utf-8")


def test_the_examples_of_the_document_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in re.findall(r"```python\n(.*?)```", DOCUMENT, flags=re.DOTALL):
        exec(compile(block, "docs/files.md", "exec"), names)
    assert names["explanation"].layer == "conv"


def test_the_document_tells_of_every_operation_and_every_code():
    for name in operations.OPERATIONS:
        assert f"`{name}`" in DOCUMENT
    for code in WORDS:
        assert f"| `{code}` |" in DOCUMENT


def test_every_code_has_a_test_on_its_words():
    folder = Path(__file__).parent
    tests = "".join(
        (folder / name).read_text(encoding="utf-8")
        for name in (
            "test_loading.py",
            "test_file_kinds.py",
            "test_repairs.py",
            "test_keras_files_safety.py",
        )
    )
    for code in WORDS:
        assert re.search(rf'(\.code == |, )"{code}"|"{code}"}}', tests), code
