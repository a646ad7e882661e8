"""What a SavedModel may do: the list of operations that compute, and programs that want more."""

import os
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import op_def_pb2
from tensorflow.python.client import pywrap_tf_session
from tensorflow.python.distribute.experimental.rpc import rpc_ops

import gradcam
from gradcam.loading.saved_models import allowed, open_saved_model
from tests.gradcam.loading.test_saved_models_refused import edit, refuse
from tests.support import saved_model_makers as makers


def registry():
    """Every operation of the TensorFlow that is installed, and of the libraries it loaded."""
    operations = op_def_pb2.OpList.FromString(
        pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList())
    )
    return {operation.name: operation for operation in operations.op}


def test_every_operation_of_tensorflow_is_decided():
    decided = {name for name in registry() if name in allowed.ALLOWED or allowed.about(name)}
    new = sorted(set(registry()) - decided)
    assert new == [], "decide in allowed.py whether these only compute"
    twice = [
        (name, about)
        for about, names in allowed.REFUSED.items()
        for name in allowed.ALLOWED
        if names.fullmatch(name)
    ]
    assert twice == []


def test_what_is_allowed_takes_no_names_of_files_and_no_handles_of_others():
    # By the registry alone: the resources of the operations that are allowed are variables, tables,
    # and lists that live as long as a run; no attribute names a file, an address or a program.
    resources = set()
    for name, operation in registry().items():
        if name not in allowed.ALLOWED:
            continue
        arguments = [*operation.input_arg, *operation.output_arg]
        if any(argument.type == tf.resource.as_datatype_enum for argument in arguments):
            resources.add(name)
        told = {attr.name for attr in operation.attr} | {argument.name for argument in arguments}
        suspicious = {n for n in told if any(w in n for w in ("file", "address", "graph"))}
        assert suspicious <= ({"basename", "filename"} if name == "ShardedFilename" else set()), (
            name
        )
    kinds = ("Variable", "VarHandle", "VarIs", "Resource", "DisableCopy", "Lookup", "Initialize")
    kinds += ("HashTable", "Anonymous", "Mutable", "TensorArray", "Stack", "Rng", "Stateful")
    assert [name for name in resources if not any(kind in name for kind in kinds)] == []


GRAPH = b"\n\x0b\n\x04text\x12\x03Any"


def attacks(folder):
    """Calls that looked harmless to a list of forbidden names; each takes a tensor of the model."""
    raw = tf.raw_ops
    file = tf.constant(str(folder / "secret"))
    text = {"output_types": [tf.float32], "output_shapes": [()]}
    return {
        "DatasetFromGraph": lambda x: raw.DatasetFromGraph(
            graph_def=tf.strings.join([tf.constant(GRAPH), tf.strings.as_string(x[0, 0, 0, 0])])
        ),
        "RpcClient": lambda x: rpc_ops.gen_rpc_ops.rpc_client(
            server_address="localhost:1", timeout_in_ms=1, list_registered_methods=False
        ),
        "ListSnapshotChunksDataset": lambda x: raw.ListSnapshotChunksDataset(
            snapshot_path=file, **text
        ),
        "SnapshotNestedDatasetReader": lambda x: raw.SnapshotNestedDatasetReader(
            inputs=[raw.TensorDataset(components=[x], output_shapes=[x.shape])], **text
        ),
    }


@pytest.mark.parametrize("name", attacks(pathlib.Path()))
@pytest.mark.parametrize("where", ["serving", "branch"])
def test_operations_that_a_list_of_forbidden_names_forgot(tmp_path, name, where):
    act = attacks(tmp_path)[name]

    def function(net, x):
        if where == "serving":
            act(x)
        else:
            tf.cond(tf.reduce_sum(x) > 0, lambda: (act(x), 1)[1], lambda: 0)
        return net.scores(x)

    makers.save_module(tmp_path / "m", function)
    refuse(tmp_path / "m", "saved-model-unsafe", name, "safe_mode=False")


@pytest.mark.parametrize("operation", ["CalibrationStatisticsSaver", "MlirPassthroughOp"])
def test_operations_without_a_function_of_python_in_a_branch(tmp_path, operation):
    def function(net, x):
        return net.scores(x) + tf.cond(
            tf.reduce_sum(x) > 0, lambda: tf.reduce_max(x), lambda: tf.constant(1.0)
        )

    def change(meta_graph):
        for part in meta_graph.graph_def.library.function:
            if "cond_true" in part.signature.name:
                node = part.node_def.add(name="hidden", op=operation)
                node.attr["output_file_path"].s = os.fsencode(tmp_path / "written")
                part.control_ret["hidden"] = "hidden"
                part.signature.control_output.append("hidden")

    makers.save_module(tmp_path / "m", function)
    edit(tmp_path / "m", change)
    refuse(tmp_path / "m", "saved-model-unsafe", operation, "cond_true")


def test_a_constant_that_names_something_of_this_process(tmp_path):
    def change(meta_graph):
        node = meta_graph.graph_def.node.add()
        node.name, node.op = "handle", "Const"
        node.attr["dtype"].type = tf.resource.as_datatype_enum
        tensor = node.attr["value"].tensor
        tensor.dtype = tf.resource.as_datatype_enum
        tensor.resource_handle_val.add().name = "weights"

    makers.save_module(tmp_path / "m", lambda net, x: net.scores(x))
    edit(tmp_path / "m", change)
    refuse(tmp_path / "m", "saved-model-unsafe", "Const", "handle")


def test_a_call_of_an_operation_by_way_of_an_attribute(tmp_path):
    def change(meta_graph):
        for part in meta_graph.graph_def.library.function:
            for node in part.node_def:
                if node.op in {"PartitionedCall", "StatefulPartitionedCall"}:
                    node.attr["f"].func.name = "ReadFile"

    makers.save_module(tmp_path / "m", lambda net, x: net.scores(x))
    edit(tmp_path / "m", change)
    refuse(tmp_path / "m", "saved-model-unsafe", "PartitionedCall")


def test_the_first_value_of_a_variable_is_part_of_the_program(tmp_path):
    # It is computed where the checkpoint leaves a variable out. The saver may read files, and a
    # branch of a function that nothing but the saver calls is the place to hide a read in.
    other = tf.train.Checkpoint(v=tf.Variable(np.ones((5, 3), "float32")))
    prefix = other.write(str(tmp_path / "other"))
    key = "v/.ATTRIBUTES/VARIABLE_VALUE"

    def read():
        return tf.raw_ops.RestoreV2(
            prefix=prefix, tensor_names=[key], shape_and_slices=[""], dtypes=[tf.float32]
        )[0]

    @tf.function(autograph=False)
    def hidden():
        return tf.cond(tf.random.uniform(()) > 2, lambda: tf.ones((5, 3)), read)

    def build(x):
        features = tf.reduce_mean(tf.nn.conv2d(x, tf.ones((3, 3, 3, 5)), 1, "SAME"), (1, 2))
        value = hidden()
        value.set_shape((5, 3))
        weights = tf.compat.v1.get_variable("w", initializer=value, use_resource=True)
        return {"y": features @ weights}

    makers.save_graph(tmp_path / "m", build)

    def forget(meta_graph):
        meta_graph.saver_def.Clear()

    edit(tmp_path / "m", forget)
    refuse(tmp_path / "m", "saved-model-unsafe", "RestoreV2")
    assert open_saved_model(tmp_path / "m", safe_mode=False).outputs[0].name == "y"


def test_what_only_computes_is_never_refused(tmp_path):
    def function(net, x):
        noise = tf.random.normal(tf.shape(x)) * 0.0
        steps = tf.while_loop(lambda n, _: n < 3, lambda n, y: (n + 1, y * 1.0), (0, x))[1]
        parts = tf.TensorArray(tf.float32, 2).write(0, x).write(1, x).stack()
        tf.debugging.assert_all_finite(x, "x")
        return net.scores(steps + noise + 0.0 * parts[0])

    makers.save_module(tmp_path / "m", function)
    model = open_saved_model(tmp_path / "m")
    assert gradcam.explain(model, np.ones((1, 8, 8, 3)), 0).layer == "second"


@pytest.mark.parametrize("linked", ["words.txt", "folder/words.txt", "assets"])
def test_a_vocabulary_behind_a_link_is_not_its_own(tmp_path, linked):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "words.txt").write_text("a\nb\n")
    net = makers.Net()
    net.table = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(
            str(outside / "words.txt"), tf.string, 0, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        ), -1,
    )  # fmt: skip
    makers.save_module(
        tmp_path / "m",
        lambda net, x: net.scores(x) + tf.cast(net.table.lookup(tf.constant("b")), tf.float32),
        net,
    )
    open_saved_model(tmp_path / "m")
    assets = tmp_path / "m" / "assets"
    (assets / "words.txt").unlink()
    if linked == "words.txt":
        (assets / "words.txt").symlink_to(outside / "words.txt")
    elif linked == "assets":
        assets.rmdir()
        assets.symlink_to(outside)
    else:
        (assets / "folder").symlink_to(outside)

        def move(meta_graph):
            meta_graph.asset_file_def[0].filename = "folder/words.txt"

        edit(tmp_path / "m", move)
    refuse(tmp_path / "m", "saved-model-unsafe", "InitializeTableFromTextFileV2")
