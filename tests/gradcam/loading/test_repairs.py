"""Old spellings, written into files by hand where no Keras of today can write them."""

import io
import json
import re
import shutil
import zipfile

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

import gradcam
from gradcam.loading.keras_files import classes, operations, repairs
from tests.gradcam.loading.test_loading import assert_same_predictions
from tests.support import model_files

ENDINGS = pytest.mark.parametrize("ending", [".h5", ".keras"])


def edited(folder, tmp_path, name, change, version=None):
    """A file whose config went through `change`, loaded."""
    config = model_files.read_config(folder / name)
    config = change(config) or config
    return gradcam.load_model(
        model_files.with_config(folder / name, tmp_path / name, config, version)
    )


def of_kind(config, *names):
    return [entry for entry in model_files.entries(config) if entry["class_name"] in names]


def old_classes(config):
    """The classes of TensorFlow 1 and of Keras before 2.3."""
    names = {
        "Functional": "Model",
        "BatchNormalization": "BatchNormalizationV1",
        "GlorotUniform": "GlorotUniformV2",
        "LSTM": "LSTMV1",
    }
    for entry in list(model_files.entries(config)):
        if entry["class_name"] in names:
            entry["class_name"] = names[entry["class_name"]]
            if str(entry.get("module", "")).startswith("tf_keras"):
                entry["module"] = "keras.src.engine.functional"
                entry["registered_name"] = "Model"


def old_modules(config):
    """The modules of TensorFlow 2.2 to 2.12."""
    for entry in of_kind(config, "Functional"):
        entry["class_name"] = "keras.src.engine.functional>Functional"
    for entry in of_kind(config, "Conv2D", "Dense"):
        entry["module"] = "tensorflow.python.keras.layers.core"
    for entry in of_kind(config, "Zeros", "GlorotUniform", "L1L2"):
        entry["module"] = "tensorflow.keras.initializers"


def old_dtypes(config):
    """Policies by every name that they have had, and the types of initializers."""
    spellings = [
        {"class_name": "Policy", "config": {"name": "float32"}},
        {"class_name": "PolicyV1", "config": {"name": "float32", "loss_scale": None}},
        {
            "module": "keras.mixed_precision",
            "class_name": "Policy",
            "config": {"name": "float32"},
            "registered_name": None,
        },
        {"class_name": "Policy", "config": {"name": "infer"}},
        "float32_ref",
        {
            "module": "keras",
            "class_name": "DTypePolicy",
            "config": {"name": "float32"},
            "registered_name": None,
        },
    ]
    layers = of_kind(config, "Conv2D", "Dense", "ReLU", "LeakyReLU", "PReLU")
    for number, entry in enumerate(layers):
        entry["config"]["dtype"] = spellings[number % len(spellings)]
    for entry in of_kind(config, "GlorotUniform", "Zeros"):
        entry["config"]["dtype"] = "float32"


def old_arguments(config):
    """Arguments that have gone, with the values that mean nothing."""
    for entry in of_kind(config, "Conv2D", "Dense"):
        entry["config"] |= {"input_dtype": "float32", "batch_input_shape": [None, 8, 8, 3]}
        entry["config"] |= {"quantization_config": None, "new_in_keras_9": False}
    for entry in of_kind(config, "BatchNormalization"):
        entry["config"] |= {"fused": True, "virtual_batch_size": None, "renorm": False}
    for entry in of_kind(config, "LeakyReLU"):
        entry["config"]["alpha"] = {"type": "ndarray", "value": 0.2}
    for entry in of_kind(config, "L1L2"):
        entry["config"] = {"l1": {"type": "ndarray", "value": 1e-4}, "l2": 0.001}
    for entry in of_kind(config, "GlorotUniform"):
        entry["class_name"] = "VarianceScaling"
        entry["config"] = {"scale": 1.0, "mode": "fan_avg", "distribution": "normal"}
    for entry in of_kind(config, "InputLayer"):
        entry["config"]["ragged"] = False


@ENDINGS
@pytest.mark.parametrize("change", [old_classes, old_modules, old_dtypes, old_arguments])
@pytest.mark.parametrize("name", ["frozen_backbone", "two_outputs"])
def test_an_old_spelling_is_mended(old_files, tmp_path, name, change, ending):
    model = edited(old_files, tmp_path, name + ending, change)
    assert_same_predictions(model, old_files, name)


@ENDINGS
def test_sequentials_as_they_were_first_written(old_files, tmp_path, ending):
    def bare(config):
        """A list of layers, the first of which says the shape."""
        for entry in of_kind(config, "Sequential"):
            layers = entry["config"]["layers"]
            if layers[0]["class_name"] == "InputLayer":
                shape = layers.pop(0)["config"]["batch_input_shape"]
                layers[0]["config"]["batch_input_shape"] = shape
            entry["config"] = layers

    model = edited(old_files, tmp_path, f"teachable_machine{ending}", bare, "2.1.5")
    assert_same_predictions(model, old_files, "teachable_machine")


@ENDINGS
def test_what_can_not_be_mended_is_named(old_files, tmp_path, ending):
    def time_major(config):
        of_kind(config, "GRU")[0]["config"]["time_major"] = True

    with pytest.raises(gradcam.ModelError) as caught:
        edited(old_files, tmp_path, f"recurrent{ending}", time_major, "2.9.0")
    assert caught.value.code == "unknown-argument"
    text = str(caught.value)
    assert re.search(r"The GRU 'gru(_\d)?' in '.*', written by Keras 2\.9\.0, has the", text)
    assert "time_major=True" in text
    assert f"Keras {keras.__version__} has none of that name" in text


@ENDINGS
def test_a_function_without_a_counterpart_is_named(old_files, tmp_path, ending):
    def fourier(config):
        layer = of_kind(config, "TFOpLambda")[0]
        layer["config"]["function"] = "signal.fft"

    with pytest.raises(gradcam.ModelError) as caught:
        edited(old_files, tmp_path, f"functions{ending}", fourier, "2.11.0")
    assert caught.value.code == "unknown-operation"
    assert "written by Keras 2.11.0, calls tf.signal.fft" in str(caught.value)


def test_the_learning_rate_of_before_is_not_read(old_files, tmp_path):
    path = shutil.copy(old_files / "two_outputs.h5", tmp_path / "lr.h5")
    with h5py.File(path, "r+") as file:
        optimizer = {"class_name": "Adam", "config": {"lr": 0.1, "decay": 0.0}}
        file.attrs["training_config"] = json.dumps({"optimizer_config": optimizer})
    model = gradcam.load_model(path)
    assert not model.compiled
    assert_same_predictions(model, old_files, "two_outputs")


def renamed_group(file, name, new):
    weights = file["model_weights"]
    weights.move(name, new)
    names = [new if text == name else text for text in weights.attrs["layer_names"]]
    weights.attrs["layer_names"] = names


def test_weights_under_other_names_and_in_parts(old_files, tmp_path):
    """Layers renamed after they were built; attributes too long for one."""
    path = shutil.copy(old_files / "frozen_backbone.h5", tmp_path / "parts.h5")
    with h5py.File(path, "r+") as file:
        weights = file["model_weights"]
        renamed_group(file, "backbone", "mobilenet")
        group = weights["mobilenet"]
        names = list(group.attrs["weight_names"])
        for number, name in enumerate(names):
            group.move(name, f"x_{number}")
        group.attrs["weight_names"] = [f"x_{number}" for number in range(len(names))]
        for holder, attribute in [(weights, "layer_names"), (group, "weight_names")]:
            values = np.array_split(list(holder.attrs[attribute]), 3)
            del holder.attrs[attribute]
            for number, part in enumerate(values):
                holder.attrs[f"{attribute}{number}"] = [str(value) for value in part]
    assert_same_predictions(gradcam.load_model(path), old_files, "frozen_backbone")


def as_keras_2_12(group, entries):
    """Rename what a model stores: each number was given out twice where a layer has weights."""
    layers = group["layers"]
    group.move("layers", "_layer_checkpoint_dependencies")
    places, numbers = {}, {}
    for entry in entries:
        kind = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])", "_", entry["class_name"])
        kind = kind.lower()
        old, new = numbers.get(kind, (0, 0))
        has_weights = bool(len(layers[f"{kind}_{old}" if old else kind].get("vars", ()))) or (
            "layers" in layers[f"{kind}_{old}" if old else kind]
        )
        places[f"{kind}_{old}" if old else kind] = f"{kind}_{new}" if new else kind
        numbers[kind] = (old + 1, new + 1 + has_weights)
        if "layers" in entry["config"] and isinstance(entry["config"]["layers"], list):
            inner = layers[f"{kind}_{old}" if old else kind]
            as_keras_2_12(inner, entry["config"]["layers"])
    for old, new in reversed(places.items()):
        if old != new:
            layers.move(old, new)


def test_the_places_of_keras_2_12(old_files, tmp_path):
    path = tmp_path / "frozen_backbone.keras"
    config = model_files.read_config(old_files / path.name)
    with zipfile.ZipFile(old_files / path.name) as archive, zipfile.ZipFile(path, "w") as copy:
        weights = io.BytesIO(archive.read("model.weights.h5"))
        with h5py.File(weights, "r+") as file:
            as_keras_2_12(file, config["config"]["layers"])
            names = []
            file.visit(names.append)
        assert "_layer_checkpoint_dependencies/functional/_layer_checkpoint_dependencies" in names
        copy.writestr("model.weights.h5", weights.getvalue())
        copy.writestr("config.json", json.dumps(config))
        copy.writestr("metadata.json", json.dumps({"keras_version": "2.12.0"}))
    assert any(name.endswith("batch_normalization_2") for name in names)
    assert_same_predictions(gradcam.load_model(path), old_files, "frozen_backbone")


def test_weights_that_do_not_fit_are_told(old_files, tmp_path):
    path = shutil.copy(old_files / "unet.h5", tmp_path / "misfit.h5")
    with h5py.File(path, "r+") as file:
        group = file["model_weights"]["mask"]
        name = group.attrs["weight_names"][0]
        del group[name]
        group[name] = np.ones((1, 1, 2, 3))
    with pytest.raises(gradcam.ModelError) as caught:
        gradcam.load_model(path)
    assert caught.value.code == "weights-misfit"
    assert "the weight 'kernel' of 'mask' has shape" in str(caught.value)
    assert "stored is one of (1, 1, 2, 3)" in str(caught.value)
    with h5py.File(path, "r+") as file:
        del file["model_weights"]["mask"]
        names = [name for name in file["model_weights"].attrs["layer_names"] if name != "mask"]
        file["model_weights"].attrs["layer_names"] = names
    with pytest.raises(gradcam.ModelError, match="but none for mask"):
        gradcam.load_model(path)


X = np.random.default_rng(0).uniform(0.1, 0.9, size=(2, 4, 4, 3)).astype("float32")
ARGUMENTS = {
    "where": (X > 0.5, {"x": X, "y": -X}),
    "concat": ([X, X], {"axis": -1}),
    "stack": ([X, X], {"axis": 1}),
    "unstack": (X, {"num": 3, "axis": -1}),
    "split": (X, {"num_or_size_splits": [1, 3], "axis": 1}),
    "expand_dims": (X, {"axis": 1}),
    "squeeze": (X[:, :1], {"axis": [1]}),
    "reshape": (X, {"shape": [-1, 48]}),
    "transpose": (X, {"perm": [0, 2, 1, 3]}),
    "tile": (X, {"multiples": [1, 2, 1, 1]}),
    "repeat": (X, {"repeats": 2, "axis": 1}),
    "reverse": (X, {"axis": [1]}),
    "roll": (X, {"shift": 1, "axis": 2}),
    "pad": (X, {"paddings": [[0, 0], [1, 2], [0, 0], [0, 0]], "mode": "REFLECT"}),
    "gather": (X, {"indices": np.array([1, 0])}),
    "one_hot": (np.array([0, 2]), {"depth": 3}),
    "cast": (X, {"dtype": "float16"}),
    "image.resize": (X, {"size": [7, 5], "method": "bicubic"}),
    "clip_by_value": (X, {"clip_value_min": 0.2, "clip_value_max": 0.5}),
    "math.l2_normalize": (X * 1e-7, {"axis": -1, "epsilon": 1e-12}),
    "nn.leaky_relu": (X - 0.5, {"alpha": 0.3}),
    "nn.bias_add": (X, {"bias": np.array([1.0, 2.0, 3.0], "float32")}),
    "linalg.matmul": (X, {"b": np.ones((3, 2), "float32")}),
    "math.logical_not": (X > 0.5, {}),
}


def arguments_of(function):
    if function in ARGUMENTS:
        return ARGUMENTS[function]
    row = operations.OPERATIONS[function]
    if row.name.startswith("Logical"):
        return X > 0.5, {"y": X > 0.2}
    if row.tensors == ("x", "y"):
        return X, {"y": X[:, ::-1] + 0.5}
    return X, {"axis": [1, 2]} if row.options.get("axis") and "reduce" in function else {}


def tensorflow_function(name):
    if name.startswith("__operators__"):
        operator = name.rpartition(".")[2]
        return lambda x, y=None: getattr(tf.constant(x), f"__{operator}__")(
            *([] if y is None else [y])
        )
    found = tf
    for part in name.split("."):
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("function", [n for n in operations.OPERATIONS if "getitem" not in n])
def test_an_operation_does_what_the_function_of_tensorflow_does(function):
    first, others = arguments_of(function)
    call = operations.translated(function, first, others)
    _, kind = classes.operation(call.name)
    found = kind(**call.options)(*call.arguments)
    expected = tensorflow_function(function)(first, **others)
    for one, other in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("function", "others"),
    [
        ("image.resize", {"size": [3, 3], "preserve_aspect_ratio": True}),
        ("pad", {"paddings": [[0, 0]], "constant_values": 5}),
        ("linalg.matmul", {"b": X, "transpose_b": True}),
        ("gather", {"indices": 1, "batch_dims": 1}),
        ("reshape", {"shape": [-1, {"class_name": "__keras_tensor__", "config": {}}]}),
        ("signal.fft", {}),
    ],
)
def test_what_keras_can_not_do_is_not_pretended(function, others):
    assert operations.translated(function, X, others) is None


def test_every_class_of_the_table_leads_to_one_of_keras():
    for name in repairs.RENAMED.values():
        assert classes.locate(name) is not None, name
    kinds = {base.__name__ for kind in vars(keras.layers).values() if isinstance(kind, type)
             for base in kind.__mro__}  # fmt: skip
    kinds |= {"Initializer", "VarianceScaling"}
    assert {repair.kind for repair in repairs.REPAIRS} <= kinds
