"""What `.keras` and `.h5` files may do: nothing outside of them is read, and nothing huge is made."""

import io
import json
import os
import subprocess
import sys
import textwrap
import time
import zipfile

import h5py
import keras
import numpy as np
import pytest

import gradcam
from tests.support import model_files
from tests.support.gradcam_models import cnn

KINDS = ("model.keras", "model.h5")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    model = cnn(activation="softmax")
    for name in KINDS:
        model.save(folder / name)
    return folder


def refusal(path, code, *words, **options):
    """The error of loading a file, within the time and memory that are promised."""
    began = time.monotonic()
    with pytest.raises(gradcam.ModelError) as caught:
        gradcam.load_model(path, **options)
    text = str(caught.value)
    assert caught.value.code == code, text
    for word in words:
        assert word in text
    assert len(text) < 2000
    assert time.monotonic() - began < 10
    return text


def with_weights(path, target, change):
    """A copy of a file whose weights were changed: `change(file, place)` gets the open HDF5 file."""
    if path.suffix == ".h5":
        target.write_bytes(path.read_bytes())
        with h5py.File(target, "r+") as file:
            change(file, first_dataset(file["model_weights"]))
        return target
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    stream = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(stream, "r+") as file:
        change(file, first_dataset(file))
    parts["model.weights.h5"] = stream.getvalue()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return target


def first_dataset(group):
    """The path of the first kernel in a file of weights."""
    names = []
    group.visititems(
        lambda name, item: names.append(item.name) if isinstance(item, h5py.Dataset) else None
    )
    return next(name for name in names if group.file[name].ndim > 1)


def to_external_storage(file, place, secret):
    shape, dtype = file[place].shape, file[place].dtype
    del file[place]
    size = int(np.prod(shape)) * dtype.itemsize
    file.create_dataset(place, shape, dtype, external=[(os.fspath(secret), 0, size)])


def to_external_link(file, place, secret):
    del file[place]
    file[place] = h5py.ExternalLink(os.fspath(secret), "/x")


def to_virtual_dataset(file, place, secret):
    shape, dtype = file[place].shape, file[place].dtype
    del file[place]
    layout = h5py.VirtualLayout(shape, dtype)
    layout[:] = h5py.VirtualSource(os.fspath(secret), "x", shape=shape, dtype=dtype)
    file.create_virtual_dataset(place, layout)


def to_link_through_a_group(file, place, secret):
    del file[place]
    file["elsewhere"] = h5py.ExternalLink(os.fspath(secret), "/")
    file[place] = h5py.SoftLink("/elsewhere/x")


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    ("point", "word"),
    [
        (to_external_storage, "stored in"),
        (to_external_link, "a link to another file"),
        (to_virtual_dataset, "a virtual dataset"),
        (to_link_through_a_group, "a symbolic link"),
    ],
)
def test_weights_that_lie_in_another_file(whole, tmp_path, name, point, word):
    secret = tmp_path / "secret"
    with h5py.File(whole / "model.h5") as file:
        like = file[first_dataset(file["model_weights"])]
        with h5py.File(secret, "w") as other:
            other["x"] = np.full(like.shape, 7, like.dtype)
    path = with_weights(
        whole / name, tmp_path / name, lambda file, place: point(file, place, secret)
    )
    for safe_mode in (True, False):
        refusal(
            path, "file-reaches-out", word, "secret" * (word == "stored in"), safe_mode=safe_mode
        )


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("chunks", [None, True])
def test_a_weight_that_claims_gigabytes_and_holds_none(whole, tmp_path, name, chunks):
    def inflate(file, place):
        del file[place]
        compression = "gzip" if chunks else None
        file.create_dataset(place, (1 << 15, 1 << 15), "f4", chunks=chunks, compression=compression)

    path = with_weights(whole / name, tmp_path / name, inflate)
    refusal(path, "file-inflated", "4294967296 bytes, of which 0 are stored")


@pytest.mark.parametrize("name", KINDS)
def test_a_layer_that_wants_more_than_the_file_holds(whole, tmp_path, name):
    config = model_files.read_config(whole / name)
    for entry in model_files.entries(config):
        if entry["class_name"] == "Dense":
            entry["config"]["units"] = 200_000_000
            entry["build_config"] = None
    path = model_files.with_config(whole / name, tmp_path / name, config)
    refusal(path, "file-inflated", "the weights of its layers would take")


@pytest.mark.parametrize("part", ["config.json", "metadata.json"])
def test_a_config_that_unpacks_to_very_much(whole, tmp_path, part):
    with zipfile.ZipFile(whole / "model.keras") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts[part] = b'{"a": "' + b" " * (200 << 20) + b'"}'
    with zipfile.ZipFile(tmp_path / "a.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    refusal(tmp_path / "a.keras", "file-inflated", f"its part {part} would take 2097")


def test_an_unpacked_file_with_a_pipe_in_it(whole, tmp_path):
    with zipfile.ZipFile(whole / "model.keras") as archive:
        archive.extractall(tmp_path)
    for name in ("model.weights.h5", "config.json", "metadata.json"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).unlink()
        os.mkfifo(tmp_path / name)
        refusal(tmp_path, "file-unreadable", name, "a pipe")
        (tmp_path / name).unlink()
        (tmp_path / name).write_bytes(content)
    with (tmp_path / "model.weights.h5").open("r+b") as file:
        file.truncate(8 << 30)
    refusal(tmp_path, "file-unreadable", "it claims 8589934592 bytes")


@pytest.mark.parametrize("name", KINDS)
def test_a_name_of_three_megabytes(whole, tmp_path, name):
    config = model_files.read_config(whole / name)
    for entry in model_files.entries(config):
        if entry["class_name"] == "Conv2D":
            entry["config"]["name"] = "n" * 3_000_000
    path = model_files.with_config(whole / "model.keras", tmp_path / name, config)
    refusal(path, "cannot-rebuild", "the name of a layer has 3000000 characters")


def test_a_config_imports_no_module(whole, tmp_path):
    # In a process of its own: what is loaded there is loaded by the file.
    config = model_files.read_config(whole / "model.keras")
    hidden = {"module": "antigravity", "class_name": "Dense", "config": {}}
    places = {
        "backend": {"module": "keras.src.backend.torch.core", "class_name": "Variable", "config": {}},
        "other": {"module": "this", "class_name": "Zen", "config": {}, "registered_name": "Zen"},
        "type": {
            "module": "this", "class_name": "__typespec__", "spec_name": "Zen", "config": [],
            "registered_name": "Zen",
        },
        "nested": {"class_name": "no config", "inside": hidden},
    }  # fmt: skip
    for name, value in places.items():
        changed = json.loads(json.dumps(config))
        entry = next(e for e in model_files.entries(changed) if e["class_name"] == "Conv2D")
        entry["config"]["kernel_initializer"] = value
        model_files.with_config(whole / "model.keras", tmp_path / f"{name}.keras", changed)
    changed = json.loads(json.dumps(config))
    entry = next(e for e in model_files.entries(changed) if e["class_name"] == "Conv2D")
    entry["compile_config"] = {"optimizer": hidden, "loss": hidden}
    entry["config"]["activation"] = {"class_name": "function", "config": "s"} | {"module": "this"}
    model_files.with_config(whole / "model.keras", tmp_path / "function.keras", changed)
    script = """
    import sys
    sys.modules["torch"] = sys.modules["jax"] = sys.modules["openvino"] = None
    import pathlib, gradcam, keras
    before = set(sys.modules)
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.keras")):
        try:
            gradcam.load_model(path)
        except gradcam.ModelError as error:
            print(path.name, error.code)
    loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
    print(sorted(loaded & {"this", "antigravity", "torch", "jax", "openvino"}))
    print([name for name in sys.modules if name.startswith("keras.src.backend.torch")])
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    *refused, imported, foreign = done.stdout.splitlines()
    assert {line.split()[1] for line in refused} <= {"custom-object", "cannot-rebuild"}
    assert len(refused) == 5
    assert imported == foreign == "[]"


def test_a_vocabulary_outside_of_the_file(tmp_path):
    (tmp_path / "words.txt").write_text("a\nb\n")
    inputs = keras.Input((1,), dtype="string")
    x = keras.layers.StringLookup(vocabulary=["a", "b"], output_mode="one_hot")(inputs)
    keras.Model(inputs, keras.layers.Dense(2)(x)).save(tmp_path / "a.keras")
    config = model_files.read_config(tmp_path / "a.keras")
    entry = next(e for e in model_files.entries(config) if e["class_name"] == "StringLookup")
    entry["config"]["vocabulary"] = str(tmp_path / "words.txt")
    path = model_files.with_config(tmp_path / "a.keras", tmp_path / "b.keras", config)
    refusal(path, "file-reaches-out", "the vocabulary of 'string_lookup", "words.txt")


def test_a_heap_in_which_hdf5_would_go_round_without_end(whole, tmp_path):
    content = bytearray((whole / "model.h5").read_bytes())
    heap = content.index(b"GCOL")
    size = int.from_bytes(content[heap + 24 : heap + 32], "little")
    after = heap + 32 + (size + 7) // 8 * 8  # the second object becomes free space of no size
    content[after : after + 16] = bytes(16)
    (tmp_path / "a.h5").write_bytes(content)
    refusal(tmp_path / "a.h5", "file-damaged", "a text in it has no size")
