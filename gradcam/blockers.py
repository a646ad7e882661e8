"""Names the operation that stops a gradient on its way, and the layer that it belongs to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gradcam.graph import ancestors, descendants

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import tensorflow as tf

    from gradcam.taps import Recording

# What a person wrote, by the operation that TensorFlow made of it.
BLOCKERS = {
    "StopGradient": "tf.stop_gradient",
    "PreventGradient": "an operation that forbids its gradient",
    "ArgMax": "argmax",
    "ArgMin": "argmin",
    "Round": "round",
    "Rint": "round",
    "Floor": "floor",
    "Ceil": "ceil",
    "FloorDiv": "floor division",
    "OneHot": "one_hot",
    "Bucketize": "bucketize",
    "PyFunc": "a NumPy call (tf.numpy_function)",
    "PyFuncStateless": "a NumPy call (tf.numpy_function)",
    "Equal": "a comparison",
    "NotEqual": "a comparison",
    "Greater": "a comparison",
    "GreaterEqual": "a comparison",
    "Less": "a comparison",
    "LessEqual": "a comparison",
    "LogicalNot": "a logical operation",
    "Where": "where without values",
}
# These have a gradient, but it is zero everywhere.
FLAT = {"Sign": "sign"}


def blockers(
    layer_outputs: Sequence[tf.Tensor], score: tf.Tensor, recording: Recording
) -> list[str]:
    """The operations between a layer and the score at which the gradient stops, in words.

    >>> import tensorflow as tf
    >>> from gradcam.taps import Recording
    >>> with tf.Graph().as_default():
    ...     x = tf.compat.v1.placeholder(tf.float32, (None, 2))
    ...     blockers([x], tf.reduce_sum(tf.round(x)), Recording([x], ["x"], [], [], None))
    ['round']
    """
    way = ancestors([score])
    reached = descendants(layer_outputs, way, passes=lambda operation: _name(operation) is None)
    return _in_words([(op, name) for op in reached if (name := _name(op))], recording)


def custom_gradients(
    layer_outputs: Sequence[tf.Tensor], score: tf.Tensor, recording: Recording
) -> list[str]:
    """The custom gradients between a layer and the score, in words; one may hide the layer."""
    found = descendants(layer_outputs, ancestors([score]))
    name = "a custom gradient (tf.custom_gradient, rematerialisation)"
    return _in_words([(op, name) for op in found if is_custom_gradient(op)], recording)


def unregistered(error: LookupError, recording: Recording) -> str:
    """The operation that TensorFlow has no gradient for, in words, from its own complaint."""
    found = re.search(r"operation\s*'([^']+)' \(op type: (\w+)\)", str(error))
    if found is None:
        return str(error)
    operation = recording.inputs[0].graph.get_operation_by_name(found[1])
    return f"{found[2]}, which has no gradient{_place(operation, recording)}"


def is_custom_gradient(operation: tf.Operation) -> bool:
    """Whether an operation is where the result of a `tf.custom_gradient` comes out."""
    if operation.type != "IdentityN":
        return False
    return "_gradient_op_type" in operation.node_def.attr


def flat_operations(
    layer_outputs: Sequence[tf.Tensor], score: tf.Tensor, recording: Recording
) -> list[str]:
    """The operations between a layer and the score whose gradient is zero everywhere, in words."""
    found = descendants(layer_outputs, ancestors([score]))
    return _in_words([(op, FLAT[op.type]) for op in found if op.type in FLAT], recording)


def connected(layer_outputs: Iterable[tf.Tensor], way: set[tf.Operation]) -> bool:
    """Whether the score, whose ancestors are `way`, uses one of the outputs."""
    return any(output.op in way for output in layer_outputs)


def _in_words(found: list[tuple[tf.Operation, str]], recording: Recording) -> list[str]:
    """What stops the gradient and where, in the order of the operations' names, without doubles."""
    ordered = sorted(found, key=lambda pair: pair[0].name)
    return list(dict.fromkeys(f"{name}{_place(op, recording)}" for op, name in ordered))


def _name(operation: tf.Operation) -> str | None:
    if operation.type in BLOCKERS:
        return BLOCKERS[operation.type]
    if operation.type == "Cast" and operation.inputs[0].dtype.is_floating:
        to = operation.outputs[0].dtype
        return None if to.is_floating or to.is_complex else f"a cast to {to.name}"
    return None


def _place(operation: tf.Operation, recording: Recording) -> str:
    call = recording.maker(operation)
    if call is None:
        return ""
    return f" in '{call.path}'" if call.path else " in the model's own `call`"
