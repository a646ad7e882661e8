"""What a model did in one trace: every call of a layer, what went in and what came out."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from gradcam.trace.graph import ancestors
from gradcam.trace.transformers import Thetas

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from gradcam.trace import logits
    from gradcam.trace.watching import Watch


@dataclass(eq=False)
class Call:
    """One call of a layer, or of an operation that is no layer, during the trace.

    Attributes:
        name: the name of the layer.
        kind: the name of its class.
        families: the names of all its classes.
        parent: the call that made this one, None for the model itself.
        inputs: the tensors it was called on.
        outputs: the tensors it returned.
        thetas: where its images were sampled, of a layer that is a spatial transformer.
        path: where it sits below the model, such as `"encoder[1]/conv"`.
        inside: the kind of graph that hides its output, or None when it can be tapped.
        hidden_shape: the shape of an output that is hidden.
        layer: the layer object.
        preactivation: what its activation was given, where the recorder was asked to keep it.
        training: the `training` that it was called with, None where it was not told.
        data_format: `"channels_first"`, `"channels_last"`, or None where the layer has none.
        has_weights: whether it owns weights itself.
        first_op: the number of operations in the graph when it began.
        last_op: and when it ended.
        returned_none: whether it returned None.
        raised: whether an exception came out of it.
        children: the calls that it made.
    """

    name: str
    kind: str
    families: tuple[str, ...]
    parent: Call | None
    layer: Any = None
    inputs: tuple[tf.Tensor, ...] = ()
    outputs: tuple[tf.Tensor, ...] = ()
    thetas: Thetas = field(default_factory=Thetas)
    preactivation: Any = None
    training: Any = None
    path: str = ""
    inside: str | None = None
    hidden_shape: tf.TensorShape | None = None
    data_format: str | None = None
    has_weights: bool = False
    first_op: int = 0
    last_op: int = 0
    returned_none: bool = False
    raised: bool = False
    children: list[Call] = field(default_factory=list)

    @property
    def is_leaf(self) -> bool:
        """Whether nothing inside it can be tapped by itself."""
        return all(child.inside is not None for child in self.children)


def returned_none(calls: Sequence[Call]) -> Call | None:
    """The innermost call that returned None: those around it may only hand its result on."""
    found = next((call for call in calls if call.returned_none), None)
    while found is not None and found.children and found.children[-1].returned_none:
        found = found.children[-1]
    return found


@dataclass(frozen=True, eq=False)
class Recording:
    """Everything a model did in one trace.

    Attributes:
        inputs: the input tensors.
        input_names: their names.
        calls: every call of a layer or operation, in order; the first is the model itself.
        outputs: the outputs, with their logits.
        structure: the outputs as the model nests them.
        makers: the innermost call that made each operation, where the calls were not watched.
        watch: the tape that watched activations, if one did.
        is_seen_by_tapes: whether all that the model does is done where a tape hears of it.
    """

    inputs: list[tf.Tensor]
    input_names: list[str]
    calls: list[Call]
    outputs: list[logits.ModelOutput]
    structure: Any
    makers: Mapping[tf.Operation, Call] | None = None
    watch: Watch | None = None
    is_seen_by_tapes: bool = True

    def gradients(
        self, score: tf.Tensor, activations: Sequence[tf.Tensor]
    ) -> list[tf.Tensor | None]:
        """The gradient of a score towards each of some activations; None where there is none.

        The tape that watched the activations gives it. In two cases no tape can, and the graph is
        asked instead: the operations of a SavedModel are imported into the graph, of which a tape
        is not told; and `tf.recompute_grad` stops every tape for as long as its block runs.
        """
        found = [None] * len(activations)
        if self.watch is not None:
            found = self.watch.tape.gradient(score, list(activations))
        if not self.is_seen_by_tapes and any(gradient is None for gradient in found):
            found = tf.gradients(score, list(activations))
        return [None if one is None else tf.convert_to_tensor(one) for one in found]

    def listening(self) -> AbstractContextManager[Any]:
        """Let the tape hear of what is computed from the outputs."""
        return contextlib.nullcontext() if self.watch is None else self.watch.tape

    def leads_to_output(self, call: Call) -> bool:
        """Whether the model's outputs depend on the call."""
        return any(tensor.op in self._used for tensor in call.outputs)

    @functools.cached_property
    def _used(self) -> set[tf.Operation]:
        return ancestors(output.value for output in self.outputs)

    @functools.cached_property
    def _makers(self) -> Mapping[tf.Operation, Call]:
        if self.makers is not None:
            return self.makers
        operations = self.inputs[0].graph.get_operations()
        makers = {}
        for call in self.calls:  # a call comes after the one that made it, and overrules it
            for operation in operations[call.first_op : call.last_op]:
                makers[operation] = call
        return makers

    def maker(self, operation: tf.Operation) -> Call | None:
        """The innermost call that an operation was made in."""
        return self._makers.get(operation)
