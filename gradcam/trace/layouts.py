"""Where the channels are, first or last: few layers say so, the others follow those before them."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

import tensorflow as tf

from gradcam.trace.graph import Dependence
from gradcam.trace.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradcam.trace.logits import ModelOutput
    from gradcam.trace.recording import Call, Recording

_OTHER = {"channels_first": "channels_last", "channels_last": "channels_first"}


def formats(recording: Recording) -> Upstream[str]:
    """The data format of the nearest layer upstream that has one.

    A transposition on the way that moves the channels to the other end turns it round.
    """
    return Upstream(recording, lambda call: call.data_format, _turned)


def of_output(known: Upstream[str], call: Call) -> str:
    """The layer's own data format, or that of the nearest layer upstream."""
    if call.data_format or not call.outputs:
        return call.data_format or "channels_last"
    return known.nearest(call.outputs[0]) or "channels_last"


def of_outputs(recording: Recording) -> list[ModelOutput]:
    """The outputs of a recording, each with where its channels are."""
    known = formats(recording)
    return [
        replace(output, data_format=known.nearest(output.value) or "channels_last")
        for output in recording.outputs
    ]


def of_input(recording: Recording, tensor: tf.Tensor) -> str:
    """The data format that the first layer behind an input takes it in."""
    sees = Dependence(tensor)
    for call in recording.calls:
        if not call.data_format or not call.is_leaf or not sees(call.outputs):
            continue
        for given in call.inputs:
            for operation, is_turned in _upstream(given):
                if operation is tensor.op:
                    return _OTHER[call.data_format] if is_turned else call.data_format
        return call.data_format
    return "channels_last"


def _upstream(tensor: tf.Tensor) -> Iterator[tuple[tf.Operation, bool]]:
    """The operations before a tensor, the nearest first, and whether its channels moved since."""
    seen: set[tf.Operation] = set()
    waiting = deque([(tensor.op, False)])
    while waiting:
        operation, is_turned = waiting.popleft()
        if operation not in seen:
            seen.add(operation)
            yield operation, is_turned
            before = is_turned != _moves_channels(operation)
            waiting.extend((source.op, before) for source in operation.inputs)


def _turned(operation: tf.Operation, data_format: str) -> str:
    return _OTHER[data_format] if _moves_channels(operation) else data_format


def _moves_channels(operation: tf.Operation) -> bool:
    """Whether an operation takes the channels from one end to the other, in order otherwise.

    >>> with tf.Graph().as_default():
    ...     x = tf.compat.v1.placeholder(tf.float32, (None, 3, 8, 8))
    ...     last = tf.transpose(x, (0, 2, 3, 1))
    ...     _moves_channels(last.op), _moves_channels(tf.transpose(last, (0, 2, 1, 3)).op)
    (True, False)
    """
    if operation.type != "Transpose":
        return False
    order = tf.get_static_value(operation.inputs[1])
    if order is None or len(order) < 3:
        return False
    rank = len(order)
    return order.tolist() in ([0, *range(2, rank), 1], [0, rank - 1, *range(1, rank - 1)])
