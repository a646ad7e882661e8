"""Finds the logits: the input of the softmax or sigmoid that ends a model.

A class's probability hardly changes where the model is sure of itself, and it changes when another
class's evidence does. The logit has neither fault, so it is what is explained.
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from gradcam.trace.graph import through_shape_ops

ENDINGS = {"Softmax": "softmax", "LogSoftmax": "softmax", "Sigmoid": "sigmoid"}

# Where scores are made; a softmax before one of these is part of the model's inside.
MAKES_SCORES = ("MatMul", "Conv", "BatchMatMul", "Einsum", "Depthwise", "FusedBatchNorm", "Gather")


@dataclass(frozen=True)
class ModelOutput:
    """One output of a model.

    Attributes:
        name: its name, or its number where it has none.
        value: what the model returns.
        logits: the input of its last softmax or sigmoid, or of the first where several follow each
            other; where there is none, the value itself.
        ending: `"softmax"`, `"sigmoid"`, or `"linear"` where neither ends the model.
        hidden: a softmax or sigmoid that the logits went through.
        first: the first softmax or sigmoid, where several follow each other.
        alias: another name that it is known by, None where there is none.
        data_format: where its channels are, if it has positions.
    """

    name: str
    value: tf.Tensor
    logits: tf.Tensor
    ending: str
    hidden: str | None = None
    first: str | None = None
    alias: str | None = None
    data_format: str = "channels_last"

    def explained_tensor(self, score: str) -> tf.Tensor:
        """The tensor that scores are taken from."""
        return self.logits if score == "logit" else self.value


def output_of(name: str, value: tf.Tensor) -> ModelOutput:
    """Follow an output back through reshaping to the operation that ends the model.

    >>> with tf.Graph().as_default():
    ...     scores = tf.compat.v1.placeholder(tf.float32, (None, 3), name="scores")
    ...     found = output_of("classes", tf.reshape(tf.nn.softmax(scores), (-1, 1, 3)))
    ...     found.ending, found.logits.op.type, found.logits.shape
    ('softmax', 'Reshape', TensorShape([None, 1, 3]))
    """
    chain = through_shape_ops(value)
    ending = ENDINGS.get(chain[-1].op.type)
    if ending is None:
        return ModelOutput(name, value, value, "linear", _hidden_ending(value))
    logits, first = _before(chain), None
    while inner := _ending_before(logits):
        first, chain = inner, through_shape_ops(logits)
        logits = _before(chain)
    return ModelOutput(name, value, logits, ending, _hidden_ending(logits), first)


def _before(chain: list[tf.Tensor]) -> tf.Tensor:
    """The input of the operation that ends a chain, reshaped as the chain is."""
    logits = chain[-1].op.inputs[0]
    for tensor in reversed(chain[:-1]):
        logits = _again(tensor.op, logits)
    return logits


def _ending_before(logits: tf.Tensor) -> str | None:
    """The softmax or sigmoid that logits come out of, such as of a double softmax.

    Each keeps the order of the classes, so what goes into the first is the evidence for the same
    ones; but not where the axes were moved in between.
    """
    chain = through_shape_ops(logits)
    is_moved = any(tensor.shape != logits.shape for tensor in chain)
    is_moved |= any(tensor.op.type == "Transpose" for tensor in chain)
    return None if is_moved else ENDINGS.get(chain[-1].op.type)


def _again(operation: tf.Operation, tensor: tf.Tensor) -> tf.Tensor:
    """Apply a shape operation to another tensor."""
    match operation.type:
        case "Reshape":
            return tf.reshape(tensor, operation.inputs[1])
        case "Transpose":
            return tf.transpose(tensor, operation.inputs[1])
        case "ExpandDims":
            return tf.expand_dims(tensor, operation.inputs[1])
        case "Squeeze":
            return tf.squeeze(tensor, list(operation.get_attr("squeeze_dims")) or None)
        case _:
            return tensor  # an identity; a cast is not repeated, scores are float32 anyway


def _hidden_ending(value: tf.Tensor) -> str | None:
    """The softmax or sigmoid between the last layer that makes scores and the output, if any."""
    waiting, seen = [value.op], set()
    while waiting:
        operation = waiting.pop()
        if operation in seen or operation.type.startswith(MAKES_SCORES):
            continue
        seen.add(operation)
        if operation.type in ENDINGS:
            return ENDINGS[operation.type]
        if _is_gate(operation):
            continue
        waiting.extend(tensor.op for tensor in operation.inputs if tensor.dtype.is_floating)
    return None


def _is_gate(operation: tf.Operation) -> bool:
    """Whether two computed values are multiplied, as swish does with a sigmoid of its own."""
    return operation.type == "Mul" and all(x.op.type != "Const" for x in operation.inputs)


def core_tensors(output: ModelOutput) -> list[tf.Tensor]:
    """The output and its logits, and the tensors that are those in another shape or size.

    A layer whose output is one of these has nothing to be explained by: it is the score.
    """
    resizing = frozenset({"ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic"})
    ends = (output.value, output.logits)
    return [tensor for end in ends for tensor in through_shape_ops(end, also=resizing)]
