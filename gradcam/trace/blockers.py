"""Names the operation that stops a gradient on its way, and the layer that it belongs to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gradcam.errors import BlockedGradientError, DisconnectedLayerError, GradCamError
from gradcam.messages.wording import listing
from gradcam.trace import private_tensorflow
from gradcam.trace.graph import ancestors, descendants

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import tensorflow as tf

    from gradcam.trace.recording import Call, Recording

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
    >>> from gradcam.trace.recording import Recording
    >>> with tf.Graph().as_default():
    ...     x = tf.compat.v1.placeholder(tf.float32, (None, 2))
    ...     blockers([x], tf.reduce_sum(tf.round(x)), Recording([x], ["x"], [], [], None))
    ['round']
    """
    return _in_words(stops(layer_outputs, score), recording)


def stops(layer_outputs: Sequence[tf.Tensor], score: tf.Tensor) -> list[tuple[tf.Operation, str]]:
    """The operations at which the gradient stops, each with its name in words."""
    way = ancestors([score])
    reached = descendants(layer_outputs, way, passes=lambda operation: words(operation) is None)
    return [(operation, name) for operation in reached if (name := words(operation))]


def custom_gradients(
    layer_outputs: Sequence[tf.Tensor], score: tf.Tensor, recording: Recording
) -> list[str]:
    """The custom gradients between a layer and the score, in words; one may hide the layer."""
    return _in_words(custom_stops(layer_outputs, score), recording)


def custom_stops(
    layer_outputs: Sequence[tf.Tensor], score: tf.Tensor
) -> list[tuple[tf.Operation, str]]:
    """The custom gradients between a layer and the score, each with its name in words."""
    found = descendants(layer_outputs, ancestors([score]))
    name = "a custom gradient (tf.custom_gradient, rematerialisation)"
    return [(operation, name) for operation in found if is_custom_gradient(operation)]


def undifferentiable(
    layer_outputs: Sequence[tf.Tensor], score: tf.Tensor, recording: Recording
) -> list[str]:
    """The operations between a layer and the score that TensorFlow doesn't differentiate, in words."""
    found = [
        (operation, without_gradient(operation))
        for operation in descendants(layer_outputs, ancestors([score]))
        if operation.outputs[0].dtype.is_floating and private_tensorflow.has_no_gradient(operation)
    ]
    return _in_words(found, recording)


def unregistered(
    error: LookupError, layer_outputs: Sequence[tf.Tensor], score: tf.Tensor, recording: Recording
) -> str:
    """The operation that TensorFlow has no gradient for, in words, from its own complaint."""
    operation = unregistered_operation(error, recording)
    if operation is None:  # a tape names the kind of operation alone
        between = descendants(layer_outputs, ancestors([score]))
        operation = next((op for op in between if str(error).endswith(f": {op.type}")), None)
    if operation is None:
        return str(error)
    return without_gradient(operation) + place(operation, recording)


def without_gradient(operation: tf.Operation) -> str:
    """An operation that TensorFlow has no gradient for, in words."""
    if operation.type == "EagerPyFunc":  # it has one, which fails for what leaves TensorFlow
        return "a Python function that leaves TensorFlow (tf.py_function)"
    return f"{operation.type} (which has no gradient)"


def unregistered_operation(error: LookupError, recording: Recording) -> tf.Operation | None:
    """The operation that TensorFlow has no gradient for, from its own complaint."""
    found = re.search(r"operation\s*'([^']+)' \(op type: (\w+)\)", str(error))
    return recording.inputs[0].graph.get_operation_by_name(found[1]) if found else None


def is_custom_gradient(operation: tf.Operation) -> bool:
    """Whether an operation is where the result of a `tf.custom_gradient` comes out."""
    if operation.type != "IdentityN":
        return False
    return private_tensorflow.GRADIENT in operation.node_def.attr


def flat_operations(
    layer_outputs: Sequence[tf.Tensor], score: tf.Tensor, recording: Recording
) -> list[str]:
    """The operations between a layer and the score whose gradient is zero everywhere, in words."""
    found = descendants(layer_outputs, ancestors([score]))
    return _in_words([(op, FLAT[op.type]) for op in found if op.type in FLAT], recording)


def missing_gradient(
    recording: Recording, call: Call, score: tf.Tensor, target: object, candidates: Sequence[str]
) -> GradCamError:
    """Why a score has no gradient towards a call: it doesn't depend on it, or something stops it.

    Args:
        recording: what the model did.
        call: the layer.
        score: what should be differentiated.
        target: the score in words.
        candidates: the paths of layers that may be chosen instead, in the order of the calls.
    """
    if not connected(call.outputs, ancestors([score])):
        paths = listing(candidates[-12:])
        return DisconnectedLayerError(
            "disconnected-layer", target=target, path=call.path, paths=paths
        )
    names = blockers(call.outputs, score, recording)
    names = names or custom_gradients(call.outputs, score, recording)
    names = names or undifferentiable(call.outputs, score, recording)
    return blocked(call.path, target, names, candidates)


def blocked(
    path: str, target: object, names: Sequence[str], candidates: Sequence[str]
) -> BlockedGradientError:
    """The error for operations that stop the gradient on its way to a layer."""
    behind = candidates[candidates.index(path) + 1 :] if path in candidates else ()
    return BlockedGradientError(
        "blocked-gradient",
        target=target,
        path=path,
        blockers=listing(names) if names else "an operation without a gradient",
        paths=f": {listing(behind)}" if behind else "",
    )


def connected(layer_outputs: Iterable[tf.Tensor], way: set[tf.Operation]) -> bool:
    """Whether the score, whose ancestors are `way`, uses one of the outputs."""
    return any(output.op in way for output in layer_outputs)


def _in_words(found: list[tuple[tf.Operation, str]], recording: Recording) -> list[str]:
    """What stops the gradient and where, in the order of the operations' names, without doubles."""
    ordered = sorted(found, key=lambda pair: pair[0].name)
    return list(dict.fromkeys(f"{name}{place(op, recording)}" for op, name in ordered))


def words(operation: tf.Operation) -> str | None:
    """An operation that stops the gradient in words, or None where it doesn't."""
    if operation.type in BLOCKERS:
        return BLOCKERS[operation.type]
    if operation.type == "Cast" and operation.inputs[0].dtype.is_floating:
        to = operation.outputs[0].dtype
        return None if to.is_floating or to.is_complex else f"a cast to {to.name}"
    return None


def place(operation: tf.Operation, recording: Recording) -> str:
    """The layer that an operation belongs to, for a sentence."""
    call = recording.maker(operation)
    if call is None:
        return ""
    return f" in '{call.path}'" if call.path else " in the model's own `call`"
