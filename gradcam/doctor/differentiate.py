"""Gradients in the trace, also past operations that have none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from gradcam.trace import blockers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradcam.trace.recording import Recording

# Operations without a gradient that are looked past before it is given up.
_PATIENCE = 20


def gradients(
    score: tf.Tensor,
    towards: Sequence[Any],
    recording: Recording,
    opaque: Sequence[tf.Operation] = (),
) -> tuple[list[Any], list[tf.Operation]]:
    """The gradients, None where there is none, and the operations that have none to hand on.

    Args:
        score: what is differentiated.
        towards: tensors and variables.
        recording: the model.
        opaque: operations that are known to have no gradient.

    >>> with tf.Graph().as_default():
    ...     x = tf.compat.v1.placeholder(tf.float32, (None, 2))
    ...     recording = __import__("gradcam").trace.recording.Recording([x], ["x"], [], [], None)
    ...     gradients(tf.raw_ops.TruncateMod(x=x, y=x), [x], recording)[0]
    [None]
    """
    missing = list(opaque)
    while True:
        stopped = [output for operation in missing for output in operation.outputs]
        try:
            found = tf.gradients(score, list(towards), stop_gradients=stopped or None)
        except LookupError as error:
            operation = blockers.unregistered_operation(error, recording)
            if operation is None or operation in missing or len(missing) == _PATIENCE:
                raise
            missing.append(operation)
            continue
        return [None if one is None else tf.convert_to_tensor(one) for one in found], missing
