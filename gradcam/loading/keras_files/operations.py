"""Calls of TensorFlow in models of Keras 2, as the operations of Keras 3.

Where such a model calls `tf.nn.relu6(x)`, its file has a layer `TFOpLambda` (or, before TensorFlow
2.4, `TensorFlowOpLayer`) with the name of the function and its arguments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable


class OperationCall(NamedTuple):
    """A call of an operation of Keras 3: its class, the options of that, and the call's arguments."""

    name: str
    options: dict[str, Any]
    arguments: list[Any]


class Row(NamedTuple):
    """What one function of TensorFlow is in Keras.

    Attributes:
        name: of the operation's class.
        tensors: the arguments that are passed on when it is called, in order.
        options: the other arguments, by the name that Keras has for them.
        fixed: options that have no argument of their own.
        harmless: arguments that Keras has no word for, and the values that say nothing.
        convert: what else becomes of the options.
    """

    name: str
    tensors: tuple[str, ...] = ("x",)
    options: dict[str, str] = {}  # noqa: RUF012 - never changed
    fixed: dict[str, Any] = {}  # noqa: RUF012
    harmless: dict[str, Any] = {}  # noqa: RUF012
    convert: Callable[[dict[str, Any]], dict[str, Any]] = dict


def _split(options: dict[str, Any]) -> dict[str, Any]:
    sizes = options["indices_or_sections"]
    if isinstance(sizes, list):  # TensorFlow takes sizes where Keras takes places
        options["indices_or_sections"] = [int(place) for place in np.cumsum(sizes)[:-1]]
    return options


def _resize(options: dict[str, Any]) -> dict[str, Any]:
    method = options.get("interpolation", "bilinear")
    names = {0: "bilinear", 1: "nearest", 2: "bicubic"}
    options["interpolation"] = names.get(method, method)
    return options


def _normalize(options: dict[str, Any]) -> dict[str, Any]:
    # TensorFlow bounds the sum of squares from below, Keras its root.
    options["epsilon"] = float(np.sqrt(options.get("epsilon") or 1e-12))
    return options


def _pad(options: dict[str, Any]) -> dict[str, Any]:
    options["mode"] = options.get("mode", "constant").lower()
    return options


_REDUCED = {"axis": "axis", "keepdims": "keepdims", "keep_dims": "keepdims"}
_RESIZE = {"preserve_aspect_ratio": False, "old_places": False}
_MATMUL = dict.fromkeys(
    ("transpose_a", "transpose_b", "adjoint_a", "adjoint_b", "a_is_sparse", "b_is_sparse"), False
)

# The functions that do one thing to one tensor, or join two, are many and alike.
_UNARY = {
    "Relu": "nn.relu",
    "Relu6": "nn.relu6",
    "Sigmoid": "math.sigmoid nn.sigmoid sigmoid",
    "Tanh": "math.tanh nn.tanh tanh",
    "Selu": "nn.selu",
    "Elu": "nn.elu",
    "Softplus": "math.softplus nn.softplus",
    "Softsign": "math.softsign nn.softsign",
    "Silu": "nn.silu nn.swish",
    "LogSigmoid": "math.log_sigmoid",
    "Exp": "math.exp exp",
    "Log": "math.log",
    "Log1p": "math.log1p",
    "Sqrt": "math.sqrt sqrt",
    "Rsqrt": "math.rsqrt",
    "Square": "math.square square",
    "Abs": "math.abs abs",
    "Negative": "math.negative negative __operators__.neg",
    "Sign": "math.sign sign",
    "Sin": "math.sin sin",
    "Cos": "math.cos cos",
    "Floor": "math.floor floor",
    "Ceil": "math.ceil",
    "Round": "math.round round",
    "Erf": "math.erf",
    "Reciprocal": "math.reciprocal",
    "ZerosLike": "zeros_like",
    "OnesLike": "ones_like",
    "StopGradient": "stop_gradient",
    "LogicalNot": "math.logical_not",
}
_BINARY = {
    "Add": "math.add add __operators__.add",
    "Subtract": "math.subtract subtract __operators__.sub",
    "Multiply": "math.multiply multiply __operators__.mul",
    "TrueDivide": "math.truediv truediv math.divide divide __operators__.truediv",
    "FloorDivide": "math.floordiv __operators__.floordiv",
    "Mod": "math.floormod math.mod __operators__.mod",
    "Power": "math.pow pow __operators__.pow",
    "Maximum": "math.maximum maximum",
    "Minimum": "math.minimum minimum",
    "Greater": "math.greater greater __operators__.gt",
    "GreaterEqual": "math.greater_equal greater_equal __operators__.ge",
    "Less": "math.less less __operators__.lt",
    "LessEqual": "math.less_equal less_equal __operators__.le",
    "Equal": "math.equal equal __operators__.eq",
    "NotEqual": "math.not_equal not_equal __operators__.ne",
    "LogicalAnd": "math.logical_and __operators__.and",
    "LogicalOr": "math.logical_or __operators__.or",
}
_REDUCING = {
    "Mean": "math.reduce_mean reduce_mean",
    "Sum": "math.reduce_sum reduce_sum",
    "Max": "math.reduce_max reduce_max",
    "Min": "math.reduce_min reduce_min",
    "Prod": "math.reduce_prod reduce_prod",
    "Std": "math.reduce_std",
    "Var": "math.reduce_variance",
    "Logsumexp": "math.reduce_logsumexp reduce_logsumexp",
}


def _named(table: dict[str, str], **shared: Any) -> dict[str, Row]:
    return {
        function: Row(name, **shared) for name, text in table.items() for function in text.split()
    }


OPERATIONS: dict[str, Row] = {
    **_named(_UNARY),
    **_named(_BINARY, tensors=("x", "y")),
    **_named(_REDUCING, options=_REDUCED),
    "nn.bias_add": Row("Add", ("value", "bias"), harmless={"data_format": (None, "NHWC")}),
    "nn.softmax": Row("Softmax", options={"axis": "axis"}),
    "nn.log_softmax": Row("LogSoftmax", options={"axis": "axis"}),
    "nn.leaky_relu": Row("LeakyRelu", options={"alpha": "negative_slope"}),
    "nn.gelu": Row("Gelu", options={"approximate": "approximate"}, fixed={"approximate": False}),
    "clip_by_value": Row("Clip", options={"clip_value_min": "x_min", "clip_value_max": "x_max"}),
    "math.l2_normalize": Row(
        "Normalize", options={"axis": "axis", "epsilon": "epsilon"}, convert=_normalize
    ),
    "linalg.matmul": Row("Matmul", ("a", "b"), harmless=_MATMUL),
    "where": Row("Where", ("condition", "x", "y")),
    "concat": Row("Concatenate", options={"axis": "axis"}),
    "stack": Row("Stack", options={"axis": "axis"}),
    "unstack": Row("Unstack", options={"num": "num", "axis": "axis"}),
    "split": Row(
        "Split",
        options={"num_or_size_splits": "indices_or_sections", "axis": "axis"},
        harmless={"num": None},
        convert=_split,
    ),
    "expand_dims": Row("ExpandDims", options={"axis": "axis"}),
    "squeeze": Row("Squeeze", options={"axis": "axis"}),
    "reshape": Row("Reshape", options={"shape": "newshape"}),
    "transpose": Row("Transpose", options={"perm": "axes"}, harmless={"conjugate": False}),
    "tile": Row("Tile", options={"multiples": "repeats"}),
    "repeat": Row("Repeat", options={"repeats": "repeats", "axis": "axis"}),
    "reverse": Row("Flip", options={"axis": "axis"}),
    "roll": Row("Roll", options={"shift": "shift", "axis": "axis"}),
    "pad": Row(
        "Pad",
        options={"paddings": "pad_width", "mode": "mode"},
        harmless={"constant_values": 0},
        convert=_pad,
    ),
    "gather": Row(
        "Take",
        ("params", "indices"),
        options={"axis": "axis"},
        fixed={"axis": 0},
        harmless={"batch_dims": 0, "validate_indices": None},
    ),
    "one_hot": Row(
        "OneHot",
        options={"depth": "num_classes", "axis": "axis", "dtype": "dtype"},
        harmless={"on_value": None, "off_value": None},
    ),
    "math.argmax": Row(
        "Argmax",
        options={"axis": "axis"},
        fixed={"axis": 0},
        harmless={"output_type": ("int32", "int64")},
    ),
    "cast": Row("Cast", options={"dtype": "dtype"}),
    "image.resize": Row(
        "Resize",
        options={"size": "size", "method": "interpolation", "antialias": "antialias"},
        fixed={"data_format": "channels_last"},
        harmless=_RESIZE,
        convert=_resize,
    ),
    "__operators__.getitem": Row("GetItem", ("x", "slice_spec")),
}
# Other names of the same functions.
_ALIASES = {
    "matmul": "linalg.matmul",
    "__operators__.matmul": "linalg.matmul",
    "nn.l2_normalize": "math.l2_normalize",
    "linalg.l2_normalize": "math.l2_normalize",
    "math.softmax": "nn.softmax",
    "argmax": "math.argmax",
    "compat.v1.transpose": "transpose",
    "compat.v1.squeeze": "squeeze",
    "compat.v1.concat": "concat",
    "compat.v1.gather": "gather",
    "compat.v1.pad": "pad",
    "compat.v1.nn.softmax": "nn.softmax",
}


def translated(function: str, first: Any, others: dict[str, Any]) -> OperationCall | None:
    """A call of TensorFlow as a call of Keras; None where Keras has nothing that does the same.

    Args:
        function: its name, such as `"nn.relu6"`.
        first: its first argument.
        others: the others by name, as TensorFlow calls them.

    >>> translated("clip_by_value", "x", {"clip_value_min": 0, "clip_value_max": 6, "name": None})
    OperationCall(name='Clip', options={'x_min': 0, 'x_max': 6}, arguments=['x'])
    >>> translated("signal.fft", "x", {}) is None
    True
    """
    name = function.removeprefix("tf.")
    row = OPERATIONS.get(_ALIASES.get(name, name))
    if row is None:
        return None
    arguments = [first, *(others[tensor] for tensor in row.tensors[1:] if tensor in others)]
    options = dict(row.fixed)
    for argument, value in others.items():
        if argument in row.options:
            if value is not None:
                options[row.options[argument]] = value
        elif argument not in {"name", *row.tensors} and not _is_harmless(
            row.harmless, argument, value
        ):
            return None
    if len(arguments) != len(row.tensors) or _has_tensor(options):
        return None
    return OperationCall(row.name, row.convert(options), arguments)


def _is_harmless(harmless: dict[str, Any], argument: str, value: Any) -> bool:
    if argument not in harmless:
        return value is None
    allowed = harmless[argument]
    return value in allowed if isinstance(allowed, tuple) else value == allowed


def _has_tensor(value: Any) -> bool:
    """Whether an option is computed by the model: Keras has to know it beforehand."""
    if isinstance(value, dict):
        is_tensor = value.get("class_name") == "__keras_tensor__"
        return is_tensor or any(_has_tensor(part) for part in value.values())
    return isinstance(value, list) and any(_has_tensor(part) for part in value)
