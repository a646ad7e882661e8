"""What is no model is named by its content, in words; nothing is written beside it."""

import contextlib
import io
import os
import pickle
import re
import stat
import zipfile

import h5py
import keras
import numpy as np
import pytest

import gradcam
from gradcam import ModelError
from gradcam.messages.about_files import WORDS
from tests.support.gradcam_models import cnn

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 14031352\n"
PAGE = b"<!DOCTYPE html>\n<html><head><title>models/cat.h5 at main</title></head></html>"
ONNX = b"\x08\x07\x12\x07pytorch\x1a\x051.9.0:\xff\x01"
GRAPH = b"\x0a\x1e\x0a\x05input\x12\x0bPlaceholder"
PYTORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."
CHECKPOINT = b"\x00\x00\x0e" + b"\x01" * 40 + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"
TFJS = b'{"format": "layers-model", "modelTopology": {}, "weightsManifest": []}'


def npz():
    buffer = io.BytesIO()
    np.savez(buffer, a=np.ones(3))
    return buffer.getvalue()


def archive(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in names:
            file.writestr(name, "x")
    return buffer.getvalue()


FILES = {
    "empty": (b"", "empty: it has no byte"),
    "zeros": (b"\x00" * 9000, "nothing but zeros"),
    "lfs": (LFS, "a Git LFS pointer, the text that stands for a file of 14031352 bytes"),
    "page": (PAGE, r"a web page \(HTML\) \('models/cat.h5 at main'\)"),
    "text": ("Füße\n".encode(), 'a text that begins with "Füße"'),
    "long text": (("ü" * 5001).encode(), 'a text that begins with "üüü'),
    "json": (b'{"a": 1}', "JSON that begins with"),
    "architecture": (
        b'{"class_name": "Sequential", "config": {}}',
        "the architecture of a Keras model as JSON, without weights",
    ),
    "tfjs": (TFJS, "a model for TensorFlow.js"),
    "tflite": (b"\x1c\x00\x00\x00TFL3" + b"\x00" * 40, "a TensorFlow Lite model"),
    "onnx": (ONNX, "an ONNX model"),
    "graph": (GRAPH, r"a frozen graph of TensorFlow 1 \(GraphDef\)"),
    "pytorch": (PYTORCH, "a PyTorch file"),
    "new pytorch": (archive("model/data.pkl", "model/version"), "a PyTorch file"),
    "pickle": (pickle.dumps({"model": 1}), "a Python pickle"),
    "checkpoint": (CHECKPOINT, "a TensorFlow checkpoint"),
    "npy": (b"\x93NUMPY\x01\x00", "an array of NumPy"),
    "npz": (npz(), "a NumPy archive"),
    "gzip": (b"\x1f\x8b\x08\x00", "a gzip archive"),
    "tar": (b"a" * 257 + b"ustar", "a tar archive"),
    "saved_model.pb": (b"\x08\x01\x12\xaf\x90", "the saved_model.pb of a SavedModel"),
    "packed": (archive("model/a.keras", "b.txt"), "a zip archive with model/a.keras in it"),
    "other zip": (archive("word/document.xml"), "a zip archive without a model: word/document"),
    "picture": (b"\x89PNG\r\n\x1a\n", "a picture"),
    "safetensors": ((9).to_bytes(8, "little") + b'{"a":{}}x', "a file of safetensors"),
    "noise": (bytes(range(200, 256)), "no kind of file that is known here"),
}


def refusal(path, **options):
    with pytest.raises(ModelError) as caught:
        gradcam.load_model(path, **options)
    return caught.value


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_model_is_named_by_its_content(tmp_path, name, ending):
    content, words = FILES[name]
    path = tmp_path / f"model.{ending}"
    path.write_bytes(content)
    error = refusal(path)
    assert error.code == "not-a-model-file"
    assert re.search(f"^'{path}' is {words}", str(error)), str(error)
    assert "Expected a .keras or .h5 file, or the directory of a SavedModel." in str(error)
    assert error.facts["advice"].endswith(".")
    assert sorted(tmp_path.iterdir()) == [path]


FOLDERS = {
    "empty": ([], "an empty directory"),
    "models": (["a.keras", "readme.md"], "a directory with a.keras in it"),
    "part": (["variables", "fingerprint.pb"], "a part of a SavedModel: it has no saved_model.pb"),
    "checkpoint": (["checkpoint", "ckpt.index"], "a TensorFlow checkpoint"),
    "config": (["config.json"], "a directory with a config.json, but without model.weights.h5"),
    "tfjs": (["model.json", "group1-shard1of1.bin"], "a model for TensorFlow.js"),
    "other": (["cat.jpg"], "a directory without saved_model.pb; it holds cat.jpg"),
    "below": (["1/saved_model.pb"], "a directory with a SavedModel below it: 1"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_directory_that_is_no_model_is_named_by_what_it_holds(tmp_path, name):
    names, words = FOLDERS[name]
    for entry in names:
        (tmp_path / entry).parent.mkdir(exist_ok=True)
        (tmp_path / entry).write_bytes(b"x")
    error = refusal(tmp_path)
    assert error.code == "not-a-model-file"
    assert words in str(error)


def test_nothing_at_the_path(tmp_path):
    (tmp_path / "model.keras").touch()
    error = refusal(tmp_path / "modle.keras")
    assert error.code == "file-not-found"
    assert f"Did you mean '{tmp_path / 'model.keras'}'?" in str(error)
    assert "a relative one starts at" in str(error)
    (tmp_path / "ckpt.index").touch()
    assert "a TensorFlow checkpoint" in str(refusal(tmp_path / "ckpt"))
    assert refusal(tmp_path / "no" / "model.keras").code == "file-not-found"
    assert refusal("").code == "not-a-model-file"  # the directory that one is in


def test_links_and_special_files(tmp_path):
    loop = tmp_path / "loop.keras"
    loop.symlink_to(loop)
    assert "its links lead round in a circle" in str(refusal(loop))
    dead = tmp_path / "dead.keras"
    dead.symlink_to(tmp_path / "gone.keras")
    assert f"a link to '{tmp_path / 'gone.keras'}', where there is nothing" in str(refusal(dead))
    pipe = tmp_path / "pipe.keras"
    os.mkfifo(pipe)
    assert "a device, a pipe or a socket" in str(refusal(pipe))
    assert refusal("model\0.keras").code == "file-unreadable"
    assert refusal(tmp_path / ("x" * 300)).code == "file-unreadable"
    assert refusal(tmp_path / "pipe.keras" / "model.keras").code == "file-unreadable"


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = tmp_path / "model.keras"
    path.write_bytes(b"x")

    def denied(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", denied)
    error = refusal(path)
    assert error.code == "file-unreadable"
    assert "permission denied" in str(error)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The same model as a `.keras` and as an `.h5` file of Keras 3."""
    folder = tmp_path_factory.mktemp("whole")
    model = cnn(activation="softmax", name="whole")
    model.save(folder / "model.keras")
    model.save(folder / "model.h5")
    return folder


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.8, 0.95, 0.999])
@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_a_file_that_was_cut_off(whole, tmp_path, name, share):
    content = (whole / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(content[: int(len(content) * share)])
    error = refusal(path)
    assert error.code == "file-damaged"
    assert re.search(f"^'{path}' is an? (zip|.h5).*, but damaged: [^.]+", str(error))
    assert f"Expected the whole file; {path.stat().st_size} bytes are there." in str(error)


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_a_file_with_bytes_that_were_changed(whole, tmp_path, name):
    content = bytearray((whole / name).read_bytes())
    generator = np.random.default_rng(0)
    path = tmp_path / name
    for _ in range(20):
        changed = bytearray(content)
        for place in generator.integers(len(content), size=30):
            changed[place] = generator.integers(256)
        path.write_bytes(changed)
        with contextlib.suppress(gradcam.GradCamError):  # any other exception fails the test
            gradcam.load_model(path)


def test_weights_without_a_model(whole, tmp_path):
    model = gradcam.load_model(whole / "model.keras")
    model.save_weights(tmp_path / "new.weights.h5")
    with h5py.File(whole / "model.h5") as file, h5py.File(tmp_path / "old.h5", "w") as copy:
        for name in file["model_weights"]:
            file.copy(f"model_weights/{name}", copy)
        copy.attrs["layer_names"] = file["model_weights"].attrs["layer_names"]
    for name, layer in [("new.weights.h5", "conv2d"), ("old.h5", "conv1")]:
        error = refusal(tmp_path / name)
        assert error.code == "weights-only"
        assert layer in str(error)
        assert "call model.load_weights(path)" in str(error)
    with h5py.File(tmp_path / "table.h5", "w") as file:
        file["prices"] = np.ones(3)
    assert "an HDF5 file without a model; it holds prices" in str(refusal(tmp_path / "table.h5"))


def test_a_file_that_unpacks_to_very_much_is_a_trap(tmp_path):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", "{}")
        with file.open("model.weights.h5", "w") as part:
            for _ in range(300):
                part.write(bytes(1 << 20))
    assert "unpacked, its parts would take 314572802 bytes, of which" in str(refusal(path))


def test_the_ending_does_not_matter(whole, tmp_path):
    images = np.random.default_rng(0).normal(size=(2, 16, 16, 3))
    expected = gradcam.load_model(whole / "model.keras")(images)
    for source, name in [
        ("model.keras", "a.h5"),
        ("model.h5", "Füße 你好.keras"),
        ("model.h5", "m"),
    ]:
        (tmp_path / name).write_bytes((whole / source).read_bytes())
        np.testing.assert_array_equal(gradcam.load_model(tmp_path / name)(images), expected)
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(whole / "model.keras") as file:
        file.extractall(folder)
    np.testing.assert_array_equal(gradcam.load_model(str(folder))(images), expected)
    with (tmp_path / "block.h5").open("wb") as file:  # HDF5 allows a block in front
        file.write(b"\x00" * 512 + (whole / "model.h5").read_bytes())
    np.testing.assert_array_equal(gradcam.load_model(tmp_path / "block.h5")(images), expected)


def test_nothing_is_written_beside_the_model(whole, tmp_path):
    for name in ("model.keras", "model.h5"):
        (tmp_path / name).write_bytes((whole / name).read_bytes())
        (tmp_path / name).chmod(stat.S_IRUSR)
    before = {path: path.stat() for path in [tmp_path, *tmp_path.iterdir()]}
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        for name in ("model.keras", "model.h5"):
            gradcam.load_model(tmp_path / name)
        after = {path: path.stat() for path in [tmp_path, *tmp_path.iterdir()]}
    finally:
        tmp_path.chmod(stat.S_IRWXU)
    assert {path: state.st_mtime_ns for path, state in before.items()} == {
        path: state.st_mtime_ns for path, state in after.items()
    }


def test_a_signature_is_for_saved_models(whole):
    error = refusal(whole / "model.keras", signature="serving_default")
    assert error.code == "signature-of-a-file"
    assert "Expected a signature only with the directory of a SavedModel." in str(error)


def test_every_sentence_has_three_parts():
    for code, words in WORDS.items():
        assert words.expected.startswith("Expected") or "has none" in words.received, code
        assert words.received, code
        assert words.fix, code
        assert str(words).endswith((".", "}")), code


def test_a_dense_model_from_a_file_has_no_feature_map(tmp_path):
    model = keras.Sequential(
        [keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    model.save(tmp_path / "mnist.keras")
    loaded = gradcam.load_model(tmp_path / "mnist.keras")
    for one in (model, loaded):
        with pytest.raises(gradcam.NotAFeatureMapError, match="has no feature map"):
            gradcam.explain(one, np.ones((1, 28, 28)))
