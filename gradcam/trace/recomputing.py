"""Blocks under `tf.recompute_grad`, or `keras.remat`, in a trace: differentiated as they stand.

Such a block saves memory in training: its gradient runs it once more, out of sight, so that nothing
reaches the layers in it. What it computes has a plain gradient too, which is the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from gradcam.trace import private_tensorflow

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEPTH = 3  # functions around the one that recompute_grad makes


def undo(graph: tf.Graph) -> bool:
    """Let gradients in the graph go through the blocks instead of around them.

    Returns:
        Whether there were any.

    >>> with tf.Graph().as_default() as graph:
    ...     x = tf.compat.v1.placeholder(tf.float32, (None, 2))
    ...     inside = []
    ...     y = tf.recompute_grad(lambda t: inside.append(tf.exp(t)) or 2.0 * inside[0])(x)
    ...     before = tf.gradients(y, inside[0])
    ...     undo(graph), before, len(tf.gradients(y, inside[0]))
    (True, [None], 1)
    """
    found = False
    for operation in graph.get_operations():
        if operation.type == "IdentityN" and _is_recomputed(operation):
            private_tensorflow.drop_own_gradient(operation)
            found = True
    return found


def _is_recomputed(operation: tf.Operation) -> bool:
    """Whether the gradient of a block is that of `tf.recompute_grad`, not one of the user's own."""
    gradient = private_tensorflow.own_gradient(operation)
    names = [getattr(function, "__qualname__", "") for function in _around(gradient, _DEPTH)]
    return any(name.startswith("recompute_grad.") for name in names)


def _around(function: Any, depth: int) -> Iterator[Any]:
    """A function and those that it uses from outside."""
    yield function
    for cell in (getattr(function, "__closure__", None) or ()) if depth else ():
        if callable(cell.cell_contents):
            yield from _around(cell.cell_contents, depth - 1)
