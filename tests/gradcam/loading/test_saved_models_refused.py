"""SavedModels that are damaged, dangerous or something else: each error says what was found."""

import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import gradcam
from gradcam.loading.saved_models import open_saved_model
from gradcam.messages import about_saved_models
from tests.support import saved_model_makers as makers


@pytest.fixture
def saved(tmp_path):
    makers.save_module(tmp_path / "m", lambda net, x: net.scores(x))
    return tmp_path / "m"


def refuse(folder, code, *words, **options):
    """The error of opening a directory, with its code and words."""
    with pytest.raises(gradcam.ModelError) as caught:
        open_saved_model(pathlib.Path(folder), **({"safe_mode": True, "signature": None} | options))
    text = str(caught.value)
    assert caught.value.code == code, text
    for word in words:
        assert word in text
    assert "{" not in text
    assert "  " not in text
    return text


def edit(folder, change):
    """Change the program of a SavedModel."""
    file = folder / "saved_model.pb"
    program = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    change(program.meta_graphs[0])
    file.write_bytes(program.SerializeToString())


def rename(operation, new):
    """A change that makes one type of operation another, in every function."""

    def change(meta_graph):
        for function in meta_graph.graph_def.library.function:
            for node in function.node_def:
                if node.op == operation:
                    node.op = new

    return change


def test_nothing_there(tmp_path):
    refuse(tmp_path, "saved-model-missing", "it is empty", "saved_model.pb")
    (tmp_path / "notes.txt").write_text("x")
    refuse(tmp_path, "saved-model-missing", "notes.txt")
    refuse(tmp_path / "none", "saved-model-unreadable", "no such file")


def test_a_damaged_program(saved):
    file = saved / "saved_model.pb"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    refuse(saved, "saved-model-damaged", "in the middle", f"{len(whole) // 2} bytes")
    file.write_bytes(b"")
    refuse(saved, "saved-model-damaged", "it is empty", "0 bytes")
    file.write_bytes(b"<!DOCTYPE html>" * 20)
    refuse(saved, "saved-model-damaged", "saved_model.pb")
    file.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    refuse(saved, "saved-model-lfs", "Git LFS pointer", "git lfs pull")
    file.unlink()
    file.with_suffix(".cpb").write_bytes(b"x")
    refuse(saved, "saved-model-split", "2 GB")


def test_missing_and_damaged_variables(saved):
    shard = saved / "variables" / "variables.data-00000-of-00001"
    values = shard.read_bytes()
    shard.write_bytes(values[:100])
    refuse(saved, "saved-model-variables", "variables.data-00000-of-00001 (100 bytes)")
    shard.unlink()
    refuse(saved, "saved-model-variables", "variables.index", "every shard")
    shard.with_name("variables.data-00000-of-00002").write_bytes(values)
    refuse(saved, "saved-model-variables", "00000-of-00002")
    for file in (saved / "variables").iterdir():
        file.unlink()
    (saved / "variables").rmdir()
    refuse(saved, "saved-model-variables", "holds nothing")


def test_a_variable_that_was_never_saved(saved):
    def forget(meta_graph):
        meta_graph.saver_def.Clear()

    edit(saved, forget)
    refuse(saved, "saved-model-no-value", "head", "initialised")


def test_signatures(saved, tmp_path):
    refuse(saved, "signature-unknown", "'other'", "serving_default", signature="other")
    net = makers.Net()
    functions = [tf.function(lambda images, n=n: net.scores(images) * n) for n in (1, 2)]
    traced = [function.get_concrete_function(makers.spec()) for function in functions]
    several = dict(zip(("one", "two"), traced, strict=True))
    tf.saved_model.save(net, str(tmp_path / "several"), signatures=several)
    refuse(tmp_path / "several", "signature-in-doubt", "one, two", "signature=")
    tf.saved_model.save(tf.Module(), str(tmp_path / "none"))
    refuse(tmp_path / "none", "saved-model-no-signature", "tf.saved_model.save")


def test_an_input_that_the_signature_leaves_out(tmp_path):
    def build(x):
        rate = tf.compat.v1.placeholder(tf.float32, (), name="keep")
        return {"y": tf.reduce_mean(x, (1, 2)) * rate}

    makers.save_graph(tmp_path, build)
    refuse(tmp_path, "saved-model-unfed", "keep", "serving_default")


def test_the_switch_to_inference_is_set(tmp_path):
    def build(x):
        training = tf.compat.v1.placeholder_with_default(False, (), name="training")
        outputs = makers.graph_net(x)
        scale = tf.where(training, 0.0, 1.0)
        return {"y": outputs["probabilities"] * scale}

    makers.save_graph(tmp_path, build)
    model = open_saved_model(tmp_path)
    assert gradcam.explain(model, np.ones((1, 8, 8, 3)), 0).outputs.sum() == pytest.approx(1.0)


def unsafe_functions(folder):
    file = tf.constant(str(folder / "secret"))
    return {
        "ReadFile": lambda x: tf.strings.length(tf.io.read_file(file)),
        "WriteFile": lambda x: tf.io.write_file(file, "x"),
        "MatchingFiles": lambda x: tf.size(tf.io.matching_files(file)),
        "PyFunc": lambda x: tf.compat.v1.py_func(lambda: np.int32(1), [], tf.int32),
        "EagerPyFunc": lambda x: tf.py_function(lambda: 1, [], tf.int32),
        "PrintV2": lambda x: tf.print("x", output_stream=f"file://{folder}/log"),
        "TextLineDataset": lambda x: tf.data.TextLineDataset(file).cardinality(),
        "SaveV2": lambda x: tf.raw_ops.SaveV2(
            prefix=file, tensor_names=["x"], shape_and_slices=[""], tensors=[x]
        ),
        "RestoreV2": lambda x: tf.raw_ops.RestoreV2(
            prefix=file, tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32]
        ),
    }


@pytest.mark.parametrize("name", unsafe_functions(pathlib.Path()))
@pytest.mark.parametrize("where", ["serving", "nested", "unused"])
def test_a_program_that_does_more_than_compute(tmp_path, name, where):
    folder = tmp_path / "m"
    act = unsafe_functions(tmp_path)[name]

    def function(net, x):
        if where == "serving":
            act(x)
        if where == "nested":
            tf.cond(tf.reduce_sum(x) > 0, lambda: (act(x), 1)[1], lambda: 0)
        return net.scores(x)

    net = makers.Net()
    net.other = tf.function(lambda images: (act(images), images)[1] if where == "unused" else 0.0)
    net.other.get_concrete_function(makers.spec())
    makers.save_module(folder, function, net)
    refuse(folder, "saved-model-unsafe", name, "safe_mode=False")
    assert not (tmp_path / "secret").exists()
    if where == "unused":
        model = open_saved_model(folder, safe_mode=False)
        assert gradcam.explain(model, np.ones((1, 8, 8, 3)), 0).layer == "second"


def test_a_table_from_a_file_of_someone_else(tmp_path):
    vocabulary = tmp_path / "words.txt"
    vocabulary.write_text("a\nb\n")
    net = makers.Net()
    # As an asset the file travels with the model; that is how Keras saves a vocabulary.
    net.table = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(
            str(vocabulary), tf.string, 0, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        ), -1,
    )  # fmt: skip
    makers.save_module(
        tmp_path / "m",
        lambda net, x: net.scores(x) + tf.cast(net.table.lookup(tf.constant("b")), tf.float32),
        net,
    )
    vocabulary.unlink()
    model = open_saved_model(tmp_path / "m")
    x = np.ones((1, 8, 8, 3), "float32")
    np.testing.assert_allclose(gradcam.explain(model, x, 0).outputs, net.scores(x) + 1, rtol=1e-5)

    (tmp_path / "m" / "assets" / "words.txt").unlink()
    refuse(tmp_path / "m", "saved-model-asset", "words.txt", "assets")
    edit(tmp_path / "m", lambda meta_graph: meta_graph.ClearField("asset_file_def"))
    refuse(tmp_path / "m", "saved-model-unsafe", "InitializeTableFromTextFileV2")


def test_exports_of_keras_are_never_refused(tmp_path):
    layers = keras.layers
    picture, word = keras.Input((8, 8, 3)), keras.Input((1,), dtype="string")
    lookup = layers.StringLookup(vocabulary=["a", "b"], output_mode="one_hot")(word)
    x = layers.RandomFlip()(layers.Rescaling(1 / 255)(picture))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name="conv")(x))
    model = keras.Model([picture, word], layers.Dense(2)(layers.Concatenate()([x, lookup])))
    model.export(str(tmp_path))
    assert [info.path for info in gradcam.layers(open_saved_model(tmp_path)) if info.chosen] == [
        "conv"
    ]


def test_operations_that_cannot_be_explained(saved):
    for new, code, *words in (
        ("TRTEngineOp", "saved-model-opaque", "TensorRT"),
        ("MyOwnRelu", "saved-model-unknown-operations", "MyOwnRelu", "load_op_library"),
    ):
        edit(saved, rename("Relu", new))
        refuse(saved, code, *words)
        edit(saved, rename(new, "Relu"))


def test_a_quantised_graph(tmp_path):
    makers.save_module(
        tmp_path,
        lambda net, x: net.scores(tf.quantization.fake_quant_with_min_max_args(x)),
    )
    refuse(tmp_path, "saved-model-quantised", "FakeQuantWithMinMaxArgs", "before the quantisation")


def test_a_module_whose_function_needs_an_object_of_its_own(tmp_path):
    net = makers.Net()
    net.table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(tf.constant([1]), tf.constant([2.0])), 0.0
    )
    net.serve = tf.function(lambda images: net.scores(images) + net.table.lookup(tf.constant(1)))
    net.serve.get_concrete_function(makers.spec())
    tf.saved_model.save(net, str(tmp_path))
    refuse(tmp_path, "saved-model-bound", "resource", "signatures")


def test_variables_without_a_function_are_named(tmp_path):
    tf.saved_model.save(makers.Net(), str(tmp_path))
    refuse(
        tmp_path,
        "saved-model-no-function",
        "holds the variables first/kernel, head, second/kernel, but no function",
        "@tf.function(input_signature=[tf.TensorSpec(",
    )


def test_a_function_that_never_ran_is_named(tmp_path):
    class Waits(makers.Net):
        @tf.function
        def __call__(self, photos):
            return self.scores(photos)

    tf.saved_model.save(Waits(), str(tmp_path))
    refuse(tmp_path, "saved-model-no-function", "__call__, which was never traced")


def test_missing_shards_are_named(tmp_path):
    makers.save_module(tmp_path, lambda net, x: net.scores(x))
    old = tmp_path / "variables" / "variables.data-00000-of-00001"
    old.rename(old.with_name("variables.data-00001-of-00003"))
    refuse(
        tmp_path,
        "saved-model-variables",
        "variables.data-00000-of-00003, variables.data-00002-of-00003 are missing",
    )
    (tmp_path / "variables" / "variables.data-00000-of-00003").write_bytes(b"")
    refuse(tmp_path, "saved-model-variables", "variables.data-00002-of-00003 is missing")
    (tmp_path / "variables" / "variables.index").unlink()
    refuse(tmp_path, "saved-model-variables", "variables.index, variables.data-00002")


def test_every_code_has_a_test():
    files = pathlib.Path(__file__).parent.glob("test_saved_models*.py")
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    assert [code for code in about_saved_models.WORDS if f'"{code}"' not in text] == []
