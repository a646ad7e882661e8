"""Questions to a TensorFlow graph: what depends on what, and running a part of it again.

A part of a graph runs again by copying its operations with new tensors in the place of old ones.
That is how the head behind a layer is evaluated for thousands of changed activations without the
layers before it, and without calling the user's model a second time.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import tensorflow as tf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

# Operations that only move values about: what comes out is what went in, in another shape or type.
SHAPE_OPS = frozenset(
    {"Identity", "IdentityN", "StopGradient", "Reshape", "Squeeze", "ExpandDims", "Transpose"}
    | {"Cast", "EnsureShape", "Snapshot"}
)


def ancestors(
    tensors: Iterable[tf.Tensor], ends: Callable[[tf.Operation], bool] | None = None
) -> set[tf.Operation]:
    """Every operation that the tensors are computed from, their own included.

    Operations for which `ends` holds are part of the answer, what lies before them is not.

    >>> with tf.Graph().as_default():
    ...     x = tf.constant(1.0, name="x")
    ...     y = tf.exp(x, name="y")
    ...     sorted(operation.name for operation in ancestors([y]))
    ['x', 'y']
    """
    found: set[tf.Operation] = set()
    waiting = [tensor.op for tensor in tensors]
    while waiting:
        operation = waiting.pop()
        if operation not in found:
            found.add(operation)
            if ends is None or not ends(operation):
                waiting.extend(tensor.op for tensor in operation.inputs)
    return found


def descendants(
    tensors: Iterable[tf.Tensor],
    within: set[tf.Operation],
    passes: Callable[[tf.Operation], bool] | None = None,
) -> set[tf.Operation]:
    """Every operation in `within` that uses the tensors, through operations that pass.

    The operations that don't pass are part of the answer, what lies behind them is not.
    """
    found: set[tf.Operation] = set()
    waiting = deque(consumer for tensor in tensors for consumer in tensor.consumers())
    while waiting:
        operation = waiting.popleft()
        if operation in found or operation not in within:
            continue
        found.add(operation)
        if passes is None or passes(operation):
            waiting.extend(user for tensor in operation.outputs for user in tensor.consumers())
    return found


class Dependence:
    """Whether tensors depend on a source; what was found not to is walked once, however often asked.

    >>> with tf.Graph().as_default():
    ...     x, y = tf.constant(1.0), tf.constant(2.0)
    ...     sees = Dependence(x)
    ...     sees([tf.exp(y)]), sees([tf.exp(x)])
    (False, True)
    """

    def __init__(self, source: tf.Tensor) -> None:
        self._source = source.op
        self._independent: set[tf.Operation] = set()

    def __call__(self, tensors: Iterable[tf.Tensor]) -> bool:
        """Whether any of the tensors does."""
        behind = ancestors(tensors, self._independent.__contains__)
        if self._source in behind:
            return True
        self._independent |= behind
        return False


def through_shape_ops(tensor: tf.Tensor, also: frozenset[str] = frozenset()) -> list[tf.Tensor]:
    """The tensor and those it is made of by reshaping alone, the last one first."""
    chain = [tensor]
    while chain[-1].op.type in SHAPE_OPS | also:
        position = chain[-1].value_index if chain[-1].op.type == "IdentityN" else 0
        chain.append(chain[-1].op.inputs[position])
    return chain


class Part:
    """The part of a graph that leads from some tensors to others, ready to be run again.

    Args:
        feeds: the tensors that get new values; their first axis may be another batch.
        fetches: the tensors that are wanted.
        inputs: the inputs of the whole graph. Values that depend on them, but not on the feeds,
            are taken from the original run and selected by row.

    >>> with tf.Graph().as_default():
    ...     x = tf.compat.v1.placeholder(tf.float32, (None, 2))
    ...     hidden = tf.exp(x)
    ...     head = Part([hidden], [tf.reduce_sum(hidden, -1) + tf.reduce_max(x, -1)], [x])
    ...     head.operations
    ['Sum', 'add']
    """

    def __init__(
        self,
        feeds: Sequence[tf.Tensor],
        fetches: Sequence[tf.Tensor],
        inputs: Sequence[tf.Tensor],
    ) -> None:
        self._feeds = list(feeds)
        self._fetches = list(fetches)
        needed = ancestors(fetches)
        fed = {tensor.ref() for tensor in feeds}
        changed = descendants(feeds, needed)
        self._rows = inputs[0].shape[0]
        self._by_row = descendants(inputs, needed) | {tensor.op for tensor in inputs}
        copied: set[tf.Operation] = set()
        borders: dict[Any, tf.Tensor] = {}
        waiting = list(changed)
        while waiting:
            operation = waiting.pop()
            if operation in copied:
                continue
            copied.add(operation)
            for tensor in operation.inputs:
                if tensor.ref() in fed or tensor.op in copied:
                    continue
                if tensor.op in changed or self._is_recomputed(tensor):
                    waiting.append(tensor.op)
                else:
                    borders[tensor.ref()] = tensor
        self._copied = copied
        self._borders = list(borders.values())
        self._definition = self._graph_def(fetches[0].graph)

    @property
    def operations(self) -> list[str]:
        """The types, or names, of the operations that run again."""
        return sorted(operation.name for operation in self._copied)

    def __call__(self, values: Sequence[tf.Tensor], rows: tf.Tensor) -> list[tf.Tensor]:
        """Run the part again.

        Args:
            values: the new values of the feeds, one row for each of `rows`.
            rows: (rows,) the row of the original batch that each new row comes from.
        """
        # An identity brings a tensor into the graph of a loop's body.
        mapping = {
            feed.name: tf.identity(value) for feed, value in zip(self._feeds, values, strict=True)
        }
        for tensor in self._borders:
            mapping[tensor.name] = self._selected(tensor, rows)
        wanted = [fetch.name for fetch in self._fetches if fetch.op in self._copied]
        copies = iter(
            tf.graph_util.import_graph_def(
                self._definition, input_map=mapping, return_elements=wanted, name="again"
            )
        )
        return [
            _shaped(next(copies), fetch)
            if fetch.op in self._copied
            else self._selected(fetch, rows)
            for fetch in self._fetches
        ]

    def _is_recomputed(self, tensor: tf.Tensor) -> bool:
        """Whether a tensor speaks of the batch's size, as `tf.shape` does, not of its rows."""
        return (
            tensor.op in self._by_row
            and tensor.op.type != "Placeholder"
            and not self._has_row_axis(tensor)
        )

    def _has_row_axis(self, tensor: tf.Tensor) -> bool:
        shape = tensor.shape
        if shape.rank in {None, 0} or shape[0] != self._rows:
            return False
        return shape.rank >= 2 or tensor.dtype.is_floating

    def _selected(self, tensor: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        return tf.gather(tensor, rows) if tensor.op in self._by_row else tf.identity(tensor)

    def _graph_def(self, graph: tf.Graph) -> tf.compat.v1.GraphDef:
        whole = graph.as_graph_def()
        names = {operation.name for operation in self._copied}
        part = tf.compat.v1.GraphDef(library=whole.library, versions=whole.versions)
        for node in whole.node:
            if node.name in names:
                copy = part.node.add()
                copy.CopyFrom(node)
                copy.attr.pop("_class", None)  # names operations that are not copied
                kept = [name for name in node.input if not name.startswith("^")]
                del copy.input[:]
                copy.input.extend(kept)
        return part


def _shaped(copy: tf.Tensor, original: tf.Tensor) -> tf.Tensor:
    """A copy with the shape of its original, but for the batch.

    The body of a loop is given constants as values, and can't tell its shapes from them: not even
    the rank of a mean.
    """
    if original.shape.rank:
        copy.set_shape([None, *original.shape[1:]])
    return copy
