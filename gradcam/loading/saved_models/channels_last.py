"""Convolutions and pooling over channels-first images, with the axes moved before and after.

Without oneDNN TensorFlow's kernels for the CPU take channels last only. A layer of Keras is then
compiled by XLA, which a flat graph no longer is.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow.core.framework import attr_value_pb2, graph_pb2, node_def_pb2

INT32 = tf.int32.as_datatype_enum
# Which input holds the images.
_IMAGES = {
    "Conv2D": 0,
    "Conv3D": 0,
    "DepthwiseConv2dNative": 0,
    "MaxPool": 0,
    "MaxPool3D": 0,
    "AvgPool": 0,
    "AvgPool3D": 0,
    "Conv2DBackpropInput": 2,
    "Conv3DBackpropInputV2": 2,
}
# These are told the size of what comes out, in their first input.
_SIZED = frozenset({"Conv2DBackpropInput", "Conv3DBackpropInputV2"})
# Attributes that say something of each axis, and how many numbers they need for one.
_PER_AXIS = {"strides": 1, "dilations": 1, "ksize": 1, "explicit_paddings": 2}


def moved(graph_def: graph_pb2.GraphDef) -> graph_pb2.GraphDef:
    """The same graph, in which no convolution and no pooling has its channels first.

    The tensors keep their names and their axes.
    """
    if not any(_is_channels_first(node) for node in graph_def.node):
        return graph_def
    result = graph_pb2.GraphDef(versions=graph_def.versions, library=graph_def.library)
    for node in graph_def.node:
        if _is_channels_first(node):
            result.node.extend(_around(node))
        else:
            result.node.add().CopyFrom(node)
    return result


def _is_channels_first(node: node_def_pb2.NodeDef) -> bool:
    return node.op in _IMAGES and node.attr["data_format"].s.startswith(b"NC")


def _around(node: node_def_pb2.NodeDef) -> list[node_def_pb2.NodeDef]:
    """The operation with its channels last, between those that move the axes."""
    rank = len(node.attr["data_format"].s)
    to_last, to_first = [0, *range(2, rank), 1], [0, rank - 1, *range(1, rank - 1)]
    inner = node_def_pb2.NodeDef()
    inner.CopyFrom(node)
    inner.name = f"{node.name}/channels_last"
    inner.attr["data_format"].s = b"NDHWC" if rank == 5 else b"NHWC"
    for name, width in _PER_AXIS.items():
        values = list(node.attr[name].list.i) if name in node.attr else []
        if values:
            pieces = [values[width * axis : width * (axis + 1)] for axis in to_last]
            inner.attr[name].list.i[:] = [value for piece in pieces for value in piece]
    images = _IMAGES[node.op]
    before = _transpose(f"{inner.name}/images", node.input[images], to_last, node.attr["T"])
    inner.input[images] = before[-1].name
    if node.op in _SIZED:
        integers = node.attr.get("Tshape", attr_value_pb2.AttrValue(type=INT32))
        before += _gather(f"{inner.name}/size", node.input[0], to_last, integers)
        inner.input[0] = before[-1].name
    return [*before, inner, *_transpose(node.name, inner.name, to_first, node.attr["T"])]


def _transpose(name: str, source: str, order: list[int], dtype: Any) -> list[Any]:
    constant = _constant(f"{name}/order", order)
    made = node_def_pb2.NodeDef(op="Transpose", name=name, input=[source, constant.name])
    made.attr["T"].CopyFrom(dtype)
    made.attr["Tperm"].type = INT32
    return [constant, made]


def _gather(name: str, source: str, order: list[int], dtype: Any) -> list[Any]:
    constants = [_constant(f"{name}/order", order), _constant(f"{name}/axis", 0)]
    made = node_def_pb2.NodeDef(op="GatherV2", name=name, input=[source])
    made.input.extend(constant.name for constant in constants)
    made.attr["Tparams"].CopyFrom(dtype)
    made.attr["Tindices"].type = made.attr["Taxis"].type = INT32
    return [*constants, made]


def _constant(name: str, value: Any) -> node_def_pb2.NodeDef:
    made = node_def_pb2.NodeDef(op="Const", name=name)
    made.attr["dtype"].type = INT32
    made.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, tf.int32))
    return made
