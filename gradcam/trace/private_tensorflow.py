"""All that gradcam uses of TensorFlow without its being public, each with what it is for.

No other file names `tensorflow.python` or a private attribute of TensorFlow. The test
`tests/gradcam/trace/test_private.py` exercises every name here, and fails with that name when
TensorFlow changes it. TensorFlow 2.18 to 2.21 have them all in the same places.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from tensorflow.python.framework import op_def_registry, ops
from tensorflow.python.framework.func_graph import FuncGraph
from tensorflow.python.framework.function_def_to_graph import function_def_to_graph_def

if TYPE_CHECKING:
    from collections.abc import Callable

    import tensorflow as tf

__all__ = [
    "GRADIENT",
    "captured",
    "drop_own_gradient",
    "graph_of_function",
    "has_no_gradient",
    "is_composite",
    "is_recording",
    "is_spent",
    "keep_class",
    "operation_definition",
    "own_gradient",
    "replica_group",
]

# The attribute of an operation that names its own gradient, as `tf.custom_gradient` sets it.
GRADIENT = "_gradient_op_type"


def operation_definition(kind: str) -> Any:
    """The OpDef of a kind of operation: its inputs, outputs and attributes; None if unknown.

    >>> [output.name for output in operation_definition("Relu").output_arg]
    ['activations']
    """
    return op_def_registry.get(kind)


def graph_of_function(definition: Any) -> tuple[Any, dict[str, str]]:
    """The GraphDef of a FunctionDef, and the graph's name of each tensor that it names."""
    graph_def, names = function_def_to_graph_def(definition)
    return graph_def, names


def own_gradient(operation: tf.Operation) -> Callable[..., Any] | None:
    """The function that a `tf.custom_gradient` registered for an operation.

    None where it has none, and where it was read from a file.
    """
    name = operation.node_def.attr.get(GRADIENT)
    try:
        return None if name is None else ops.gradient_registry.lookup(name.s.decode())
    except LookupError:
        return None


def has_no_gradient(operation: tf.Operation) -> bool:
    """Whether TensorFlow says of a kind of operation that it can't be differentiated."""
    try:
        return ops.gradient_registry.lookup(operation.type) is None
    except LookupError:  # it says nothing of this kind
        return False


def drop_own_gradient(operation: tf.Operation) -> None:
    """Let an operation have the gradient of its kind."""
    operation._clear_attr(GRADIENT)


def captured(graph: tf.Graph, tensor: Any) -> list[tf.Tensor]:
    """What stands in the graph of a function for a tensor from outside, such as a variable's handle."""
    if not isinstance(graph, FuncGraph):
        return [tensor]
    return [inner for outer, inner in graph.captures if outer is tensor]


def is_composite(value: Any) -> bool:
    """Whether a value is made of tensors, as a ragged or sparse one is."""
    return hasattr(value, "_type_spec")


def is_recording(tape: tf.GradientTape) -> bool:
    """Whether a tape is recording in this moment: inside of its `with` block, and not stopped."""
    return bool(tape._recording)


def is_spent(tape: tf.GradientTape) -> bool:
    """Whether a tape that gives its gradients once has given them, or has recorded nothing yet."""
    return tape._tape is None


def keep_class(error: Exception) -> None:
    """Mark an error so that AutoGraph doesn't make another one of it, of a class of its own."""
    error.ag_pass_through = True  # type: ignore[attr-defined]


def replica_group() -> Any:
    """What the replicas of one `strategy.run` share, each of which is a thread; None outside of it.

    Of these threads one runs at a time, until it ends or waits for the others.
    """
    return getattr(threading.current_thread(), "coord", None)
