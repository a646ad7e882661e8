"""SavedModels that would wait without end, or take the machine: each is told in words, at once."""

import os
import time

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import attr_value_pb2

from tests.gradcam.loading.test_saved_models_refused import edit, refuse
from tests.support import saved_model_makers as makers


@pytest.fixture
def saved(tmp_path):
    makers.save_module(tmp_path / "m", lambda net, x: net.scores(x))
    return tmp_path / "m"


@pytest.fixture(autouse=True)
def within_ten_seconds():
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("name", ["saved_model.pb", "variables/variables.index"])
def test_a_pipe_in_the_place_of_a_file(saved, name):
    (saved / name).unlink()
    os.mkfifo(saved / name)
    refuse(saved, "saved-model-unreadable", name, "a pipe")


@pytest.mark.parametrize(
    "name",
    ["saved_model.pb", "variables/variables.data-00000-of-00001", "variables/variables.index"],
)
def test_a_file_with_holes(saved, name):
    with (saved / name).open("r+b") as file:
        file.truncate(8 << 30)
    refuse(saved, "saved-model-unreadable", name, "it claims 8589934592 bytes")


def doubling(meta_graph, deep, ends=True):
    """Functions of which each calls the next one twice; the last one calls the first."""
    library = meta_graph.graph_def.library
    floats = attr_value_pb2.AttrValue(type=tf.float32.as_datatype_enum)
    for number in range(deep):
        function = library.function.add()
        function.signature.name = f"twice{number}"
        function.signature.input_arg.add(name="x", type=floats.type)
        function.signature.output_arg.add(name="y", type=floats.type)
        text = "x"
        last = number == deep - 1
        for call in range(2):
            if last and ends:
                node = function.node_def.add(name=f"call{call}", op="Identity", input=[text])
                node.attr["T"].CopyFrom(floats)
                text = f"call{call}:output:0"
                continue
            node = function.node_def.add(name=f"call{call}", op="PartitionedCall", input=[text])
            node.attr["f"].func.name = "twice0" if last else f"twice{number + 1}"
            for name in ("Tin", "Tout"):
                node.attr[name].list.type.append(floats.type)
            text = f"call{call}:output:0"
        function.ret["y"] = text
    for function in library.function:
        for node in function.node_def:
            if node.op == "Relu":
                node.op = "PartitionedCall"
                node.attr["f"].func.name = "twice0"
                for name in ("Tin", "Tout"):
                    node.attr[name].list.type.append(floats.type)
                del node.attr["T"]


@pytest.mark.parametrize("deep", [26, 3000])
def test_functions_that_call_each_other_twice(saved, deep):
    edit(saved, lambda meta_graph: doubling(meta_graph, deep))
    refuse(saved, "saved-model-too-large", "its functions unroll to")


def test_a_function_that_calls_itself(saved):
    edit(saved, lambda meta_graph: doubling(meta_graph, 3, ends=False))
    refuse(saved, "saved-model-too-large", "calls itself")


def test_a_constant_that_claims_gigabytes(saved):
    def inflate(meta_graph):
        node = meta_graph.graph_def.node.add(name="huge", op="Const")
        node.attr["dtype"].type = tf.float32.as_datatype_enum
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(np.float32(1), shape=(1,)))
        node.attr["value"].tensor.tensor_shape.dim[0].size = 1 << 33

    edit(saved, inflate)
    refuse(saved, "saved-model-too-large", "'huge' claims 34359738368 bytes")


def test_a_name_of_three_megabytes(saved):
    def rename(meta_graph):
        meta_graph.graph_def.node[0].name = "n" * 3_000_000

    edit(saved, rename)
    refuse(saved, "saved-model-too-large", "the name of an operation has 3000000 characters")


def test_a_program_whose_parts_do_not_fit(saved):
    def forget(meta_graph):
        meta_graph.signature_def["serving_default"].outputs["output_0"].name = "nothing:0"

    edit(saved, forget)
    refuse(saved, "saved-model-broken", "nothing", "Copy the directory again")
