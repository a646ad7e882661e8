"""The operations that files of TensorFlow 2.0 to 2.3 spell as nodes of a graph, as functions.

There a layer `TensorFlowOpLayer` holds the node, and the constants among its inputs by number.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from google.protobuf import json_format

# The function that a node stands for, and the names of its inputs; `*` takes all that are left.
_FUNCTIONS = {
    "Add": "math.add x y",
    "AddV2": "math.add x y",
    "Sub": "math.subtract x y",
    "Mul": "math.multiply x y",
    "RealDiv": "math.truediv x y",
    "FloorDiv": "math.floordiv x y",
    "Pow": "math.pow x y",
    "Maximum": "math.maximum x y",
    "Minimum": "math.minimum x y",
    "BiasAdd": "nn.bias_add value bias",
    "MatMul": "linalg.matmul a b",
    "BatchMatMulV2": "linalg.matmul a b",
    "Relu": "nn.relu x",
    "Relu6": "nn.relu6 x",
    "LeakyRelu": "nn.leaky_relu x",
    "Elu": "nn.elu x",
    "Selu": "nn.selu x",
    "Sigmoid": "math.sigmoid x",
    "Tanh": "math.tanh x",
    "Softmax": "nn.softmax x",
    "Softplus": "math.softplus x",
    "Exp": "math.exp x",
    "Log": "math.log x",
    "Sqrt": "math.sqrt x",
    "Rsqrt": "math.rsqrt x",
    "Square": "math.square x",
    "Abs": "math.abs x",
    "Neg": "math.negative x",
    "StopGradient": "stop_gradient x",
    "Mean": "math.reduce_mean x axis",
    "Sum": "math.reduce_sum x axis",
    "Max": "math.reduce_max x axis",
    "Min": "math.reduce_min x axis",
    "Prod": "math.reduce_prod x axis",
    "Reshape": "reshape x shape",
    "ExpandDims": "expand_dims x axis",
    "Squeeze": "squeeze x",
    "Transpose": "transpose x perm",
    "Tile": "tile x multiples",
    "Pad": "pad x paddings",
    "ConcatV2": "concat * axis",
    "Pack": "stack *",
    "Cast": "cast x",
    "ClipByValue": "clip_by_value x clip_value_min clip_value_max",
    "GatherV2": "gather params indices axis",
    "ResizeBilinear": "image.resize x size",
    "ResizeNearestNeighbor": "image.resize x size",
}
_METHODS = {"ResizeBilinear": "bilinear", "ResizeNearestNeighbor": "nearest"}


def function_of(config: dict[str, Any], tensors: list[Any]) -> tuple[str, Any, dict[str, Any]]:
    """The function of a node, its first argument, and the others by name.

    Args:
        config: of the `TensorFlowOpLayer`.
        tensors: its inputs that the model computes, in order.
    """
    node = _node(config["node_def"])
    left = list(tensors)
    stored = config.get("constants") or {}
    constants = {int(place): _plain(value) for place, value in stored.items()}
    inputs = [
        constants[place] if place in constants else left.pop(0)
        for place in range(len(constants) + len(tensors))
    ]
    function, *names = _FUNCTIONS.get(node.op, f"raw_ops.{node.op} x").split()
    if names[0] == "*":
        count = len(inputs) - len(names) + 1
        inputs[:count] = [inputs[:count]]
    others = dict(zip(names[1:], inputs[1:], strict=False)) | _attributes(node)
    if len(inputs) > len(names):
        return f"raw_ops.{node.op}", inputs[0], others
    return function, inputs[0], others


def _plain(value: Any) -> Any:
    """A constant as numbers, however it is stored."""
    if isinstance(value, dict):
        return value["config"]["value"] if "config" in value else value.get("value", value)
    return value


def _node(stored: Any) -> Any:
    if isinstance(stored, dict):
        return json_format.ParseDict(stored, tf.compat.v1.NodeDef())
    raw = stored if isinstance(stored, bytes) else stored.encode("utf-8")
    return tf.compat.v1.NodeDef.FromString(raw)


def _attributes(node: Any) -> dict[str, Any]:
    """What a node keeps as attributes where the function has arguments."""
    attributes = node.attr
    found: dict[str, Any] = {}
    if "keep_dims" in attributes:
        found["keepdims"] = attributes["keep_dims"].b
    if "squeeze_dims" in attributes:
        found["axis"] = list(attributes["squeeze_dims"].list.i) or None
    if "DstT" in attributes:
        found["dtype"] = tf.as_dtype(attributes["DstT"].type).name
    if node.op == "LeakyRelu":
        found["alpha"] = attributes["alpha"].f
    if node.op == "Pack":
        found["axis"] = attributes["axis"].i
    for name in ("transpose_a", "transpose_b", "adj_x", "adj_y"):
        if name in attributes:
            found[name.replace("adj_x", "adjoint_a").replace("adj_y", "adjoint_b")] = attributes[
                name
            ].b
    if node.op in _METHODS:
        found["method"] = _METHODS[node.op]
        # The places of pixels before TensorFlow 2, which Keras can't do any more: False is harmless.
        found["old_places"] = not attributes["half_pixel_centers"].b
    return found
