"""What people really have: modules of functions, dense models, pieces of models."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import gradcam
from tests.support import saved_model_makers as makers
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


def net_of(weights):
    """The network of `makers.Net` on any tensors."""

    def scores(photos):
        x = tf.nn.relu(tf.nn.conv2d(photos, weights[0], 1, "SAME"))
        x = tf.nn.relu(tf.nn.conv2d(x, weights[1], 1, "SAME"))
        return tf.reduce_mean(x, (1, 2)) @ weights[2]

    return scores


def constants(net):
    return [tf.constant(value) for value in (net.first.kernel, net.second.kernel, net.head)]


def saved(folder, kind, batch=None):
    """A SavedModel whose weights are constants that its function captured, as onnx2tf writes it."""
    net = makers.Net()
    scores = net_of(constants(net))
    module = tf.Module()
    if kind == "bare":
        module = tf.function(scores).get_concrete_function(makers.spec(batch=batch))
    elif kind == "called":
        called = type("Called", (tf.Module,), {"__call__": tf.function(lambda self, x: scores(x))})
        module = called()
        module.__call__.get_concrete_function(makers.spec(batch=batch))
    else:
        module.predict = tf.function(scores).get_concrete_function(makers.spec(batch=batch))
        module.other = tf.function(lambda x: scores(x)[:, 0]).get_concrete_function(makers.spec())
    tf.saved_model.save(module, str(folder))
    return net, gradcam.load_model(folder, signature="predict" if kind == "attribute" else None)


@pytest.mark.parametrize("kind", ["bare", "called", "attribute"])
def test_captured_constants_are_weights(tmp_path, kind):
    net, model = saved(tmp_path, kind)
    assert model.signature == ("predict" if kind == "attribute" else "__call__")
    assert [spec.shape for spec in model.inputs] == [(None, 8, 8, 3)]
    x = images(2, size=8)
    found = gradcam.explain(model, x, 1)
    features = net.second(net.first(tf.constant(x)))
    weights = net.head[:, 1] / 64
    expected = tf.nn.relu(tf.einsum("bhwk,k->bhw", features, weights))
    np.testing.assert_allclose(found.maps, expected, atol=1e-6)
    np.testing.assert_allclose(found.outputs, net.scores(x), atol=1e-5)


def test_a_fixed_batch_of_one_is_run_one_by_one(tmp_path):
    net, model = saved(tmp_path, "bare", batch=1)
    _, open_model = saved(tmp_path / "open", "bare")
    x = images(3, size=8)
    for target in (None, [0, 1, 2]):
        found, expected = (gradcam.explain(m, x, target) for m in (model, open_model))
        np.testing.assert_allclose(found.maps, expected.maps, atol=1e-6)
        np.testing.assert_allclose(found.outputs, net.scores(x), atol=1e-5)
        assert found.targets == expected.targets


def test_a_captured_number_is_no_weight(tmp_path):
    by, mean = tf.constant(255.0), tf.constant([0.4, 0.5, 0.6])
    scores = net_of(constants(makers.Net()))
    function = tf.function(lambda x: scores(x / by - mean))
    tf.saved_model.save(function.get_concrete_function(makers.spec()), str(tmp_path))
    infos = gradcam.layers(gradcam.load_model(tmp_path))
    assert [info.kind for info in infos][:3] == ["Rescaling", "Rescaling", "Conv2D"]


def refused(path, code, *words):
    with pytest.raises(gradcam.ModelError) as error:
        gradcam.load_model(path)
    assert error.value.code == code
    for word in words:
        assert word in str(error.value)


def folder_of(path, files):
    for name, content in files.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return path


FOLDERS = {
    "package": ({"Manifest.json": b"{}", "Data/com.apple.CoreML/a.mlmodel": b""}, "Core ML"),
    "compiled": ({"coremldata.bin": b"\0", "metadata.json": b"[]"}, "Core ML"),
    "transformers": ({"config.json": b"{}", "model.safetensors": b""}, "Hugging Face"),
    "onnx": ({"net.onnx": b""}, "net.onnx"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_of_other_frameworks_are_named(tmp_path, name):
    files, words = FOLDERS[name]
    refused(folder_of(tmp_path, files), "not-a-model-file", words)


FILES = {
    "coreml": (b"\x08\x04\x12\x84\x01\x0a\x10\x0a\x05image", "a Core ML model", "converted from"),
    "onnx": (b"\x08\x07\x12\x07pytorch", "an ONNX model", "onnx2tf"),
    "tflite": (b"\x1c\0\0\0TFL3\0\0\0\0", "a TensorFlow Lite model", "it was made from"),
    "torch": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "a PyTorch file", "onnx2tf"),
    "tensors": (b'\x10\0\0\0\0\0\0\0{"a.b":{"dt":1}}', "safetensors", "weights without a model"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_other_frameworks_are_named(tmp_path, name):
    content, *words = FILES[name]
    (tmp_path / "model").write_bytes(content)
    refused(tmp_path / "model", "not-a-model-file", *words)
