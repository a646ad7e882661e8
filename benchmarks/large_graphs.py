"""Makes SavedModels of as many operations as one likes, without the time to trace them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import saved_model_pb2

v1 = tf.compat.v1
NODES_A_BLOCK = 4
BLOCKS_A_CONVOLUTION = 10


def save(folder: Path, nodes: int) -> None:
    """Save a residual network of about so many operations, a convolution in every tenth block."""
    graph_def = _start()
    last = "x"
    for number in range(nodes // NODES_A_BLOCK):
        last = _add_block(graph_def, number, last)
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(graph_def, name="")
        images, features = (graph.get_tensor_by_name(f"{name}:0") for name in ("x", last))
        outputs = tf.nn.softmax(tf.reduce_mean(features, (1, 2)), name="p")
        signature = v1.saved_model.predict_signature_def({"x": images}, {"p": outputs})
    saved = saved_model_pb2.SavedModel(saved_model_schema_version=1)
    meta_graph = saved.meta_graphs.add()
    meta_graph.meta_info_def.tags.append("serve")
    meta_graph.graph_def.CopyFrom(graph.as_graph_def())
    meta_graph.signature_def["serving_default"].CopyFrom(signature)
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(saved.SerializeToString())


def _start() -> graph_pb2.GraphDef:
    graph = tf.Graph()
    with graph.as_default():
        v1.placeholder(tf.float32, (None, 8, 8, 2), name="x")
        tf.constant(np.eye(2, dtype="float32")[None, None], name="weights")
        tf.constant(0.5, name="half")
    return graph.as_graph_def()


def _add_block(graph_def: graph_pb2.GraphDef, number: int, last: str) -> str:
    """The name of the operation that ends the block."""
    scope = f"block{number}"
    if number % BLOCKS_A_CONVOLUTION:
        first = _add(graph_def, f"{scope}/mix/Mul", "Mul", last, "half")
    else:
        first = _add(graph_def, f"{scope}/conv/Conv2D", "Conv2D", last, "weights")
        attributes = graph_def.node[-1].attr
        attributes["strides"].list.i.extend([1, 1, 1, 1])
        attributes["padding"].s = b"SAME"
    relu = _add(graph_def, f"{scope}/relu/Relu", "Relu", first)
    added = _add(graph_def, f"{scope}/add/AddV2", "AddV2", relu, last)
    return _add(graph_def, f"{scope}/scale/Mul", "Mul", added, "half")


def _add(graph_def: graph_pb2.GraphDef, name: str, kind: str, *inputs: str) -> str:
    node = graph_def.node.add(name=name, op=kind, input=inputs)
    node.attr["T"].type = tf.float32.as_datatype_enum
    return name
