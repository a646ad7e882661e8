"""The operations of a flat graph as plain objects: who uses whom, and what depends on the inputs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from gradcam.loading.saved_models import kinds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tensorflow.core.framework import graph_pb2

# What these return depends on the size of a tensor, not on what is in it.
_SIZES = frozenset({"Shape", "ShapeN", "Size", "Rank"})
_CALL = re.compile(r"(Stateful)?PartitionedCall(_\d+)?")


@dataclass(eq=False, slots=True)
class Operation:
    """One operation.

    Attributes:
        name: its name in the flat graph.
        kind: its type.
        position: its place in the order of the trace.
        parts: the scopes that it was traced in, and its own name, without the calls between them.
        definition: the node itself.
        inputs: the names of its input tensors.
        sources: the operations that make them, where they are part of the graph.
        users: the operations that use its outputs, and the number of the output.
        live: whether it depends on what is in the inputs, and not only on their sizes.
        weights: the weights that it uses, directly or through what is computed from weights alone.
        arrays: constant arrays that it is or hands on; they are weights once they are multiplied.
        learned: whether weights were multiplied with what depends on the inputs, here or before.
    """

    name: str
    kind: str
    position: int
    parts: tuple[str, ...]
    definition: Any
    inputs: list[str]
    sources: list[Operation] = field(default_factory=list)
    users: list[tuple[Operation, int]] = field(default_factory=list)
    live: bool = False
    weights: frozenset[str] = frozenset()
    arrays: frozenset[str] = frozenset()
    learned: bool = False

    @property
    def is_product(self) -> bool:
        """Whether it multiplies two tensors that both depend on the inputs."""
        is_contraction = kinds.CONTRACTIONS.fullmatch(self.kind) is not None
        return is_contraction and sum(source.live for source in self.sources) > 1


def read(
    graph_def: graph_pb2.GraphDef,
    fed: Iterable[str],
    weights: Mapping[str, str],
    arrays: Iterable[str] = (),
) -> list[Operation]:
    """The operations of a flat graph, in its order.

    Args:
        graph_def: the graph.
        fed: the tensors that are the inputs.
        weights: the variables and large constants by their tensor, with the names to show.
        arrays: the tensors of constant arrays that the graph is given.
    """
    given, constants = set(fed), set(arrays)
    known: dict[str, Operation] = {}
    for position, node in enumerate(graph_def.node):
        inputs = [text if ":" in text else f"{text}:0" for text in node.input if text[0] != "^"]
        operation = Operation(node.name, node.op, position, _parts(node.name), node, inputs)
        known[node.name] = operation
    for operation in known.values():
        for text in operation.inputs:
            name, _, index = text.rpartition(":")
            source = known.get(name)
            if source is not None:
                operation.sources.append(source)
                source.users.append((operation, int(index)))
        _describe(operation, given, weights, constants)
    return list(known.values())


def _parts(name: str) -> tuple[str, ...]:
    *scopes, own = name.split("/")
    return (*(scope for scope in scopes if not _CALL.fullmatch(scope)), own)


def _describe(
    operation: Operation, given: set[str], weights: Mapping[str, str], constants: set[str]
) -> None:
    """Fill in what follows from the inputs, which come before."""
    is_contraction = kinds.CONTRACTIONS.fullmatch(operation.kind) is not None
    used = {weights[text] for text in operation.inputs if text in weights}
    arrays = constants.intersection(operation.inputs)
    arrays |= {operation.name} if _is_array(operation) else set()
    for source in operation.sources:
        operation.live |= source.live
        operation.learned |= source.learned
        if not source.live:
            used |= source.weights
            arrays |= source.arrays
    operation.live |= any(text in given for text in operation.inputs)
    operation.live &= operation.kind not in _SIZES
    if operation.live and is_contraction:
        used |= arrays
    operation.weights = frozenset(used)
    operation.arrays = frozenset() if operation.live else frozenset(arrays)
    operation.learned |= is_contraction and bool(used) and operation.live


def _is_array(operation: Operation) -> bool:
    """Whether a constant is an array of floats, as weights are."""
    if operation.kind != "Const" or not operation.definition.attr["value"].tensor.tensor_shape.dim:
        return False
    return tf.dtypes.as_dtype(operation.definition.attr["dtype"].type).is_floating
