"""What every group of checks looks at: one recording of the model, inside the one trace."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import tensorflow as tf

from gradcam.cam import program
from gradcam.doctor import differentiate
from gradcam.doctor.diagnosis import Finding
from gradcam.doctor.measures import Measures
from gradcam.doctor.user_code import attempt
from gradcam.targets import resolving
from gradcam.trace import paths
from gradcam.trace.feature_maps import FeatureMaps
from gradcam.trace.graph import ancestors, descendants
from gradcam.trace.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np

    from gradcam.targets.scoring import Outputs, Target
    from gradcam.trace.inputs import Batch
    from gradcam.trace.recording import Call
    from gradcam.trace.sources import Source

# Their result tells of shapes alone, not of the values that go in.
_SHAPE_ONLY = frozenset({"Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"})


class Check(Protocol):
    """One group of checks. It is made inside the trace, and asked when the tensors are known."""

    name: str
    tensors: dict[str, Any]

    def findings(self, facts: dict[str, Any]) -> Iterable[Finding]:
        """What is found, given the values of the tensors."""


@dataclass(eq=False)
class TracedModel:
    """One recording of the model, and what was asked about it.

    Attributes:
        source: the model.
        batch: the images.
        recording: what the model did; without outputs where it raised.
        failure: what it raised.
        layer: the layer that was asked about, None for the automatic choice.
        outputs: the outputs as targets read them; None where there are none.
        target: what is explained, in words.
        scores: (batch,) the explained scores.
        target_error: why there are no scores.
        chosen: the layer that is explained.
        choice_error: why there is none.
        is_opaque: whether the gradient of a `tf.py_function` failed, so that it counts as none.
        given_target: the target and its arguments, where one was given.
    """

    source: Source
    batch: Batch
    recording: Recording
    failure: Exception | None
    layer: Any
    outputs: Outputs | None = None
    target: str = "the model's outputs"
    scores: tf.Tensor | None = None
    target_error: Exception | None = None
    chosen: Call | None = None
    choice_error: Exception | None = None
    is_opaque: bool = False
    given_target: tuple[Target, tuple[Any, ...]] | None = field(default=None, repr=False)

    @functools.cached_property
    def maps(self) -> FeatureMaps:
        """The feature maps, seen from the explained scores."""
        scores = [] if self.scores is None else [self.scores]
        return FeatureMaps(self.recording, self.recording.outputs, scores)

    @functools.cached_property
    def measures(self) -> Measures:
        """What is measured of tensors, each once."""
        return Measures()

    @functools.cached_property
    def measured_calls(self) -> list[Call]:
        """The calls of layers that call no other, with one tensor of floating-point numbers."""
        return [
            call
            for call in self.recording.calls
            if call.path and call.is_leaf and len(call.outputs) == 1 and self._is_measured(call)
        ]

    @functools.cached_property
    def score_operations(self) -> set[tf.Operation]:
        """The operations that the scores are computed from."""
        return set() if self.scores is None else ancestors([self.scores])

    @functools.cached_property
    def opaque(self) -> list[tf.Operation]:
        """The operations whose gradient is known to fail."""
        return (
            [op for op in self.score_operations if op.type == "EagerPyFunc"]
            if self.is_opaque
            else []
        )

    def gradients(
        self, score: tf.Tensor, towards: Sequence[Any]
    ) -> tuple[list[Any], list[tf.Operation]]:
        """See `differentiate.gradients`."""
        return differentiate.gradients(score, towards, self.recording, self.opaque)

    @functools.cached_property
    def score_calls(self) -> list[Call]:
        """The tapped calls that the scores depend on, and the chosen one."""
        return [call for call in self.measured_calls if call.outputs[0].op in self.score_operations]

    @functools.cached_property
    def image_operations(self) -> set[tf.Operation]:
        """The operations whose values depend on those of the inputs, not on their shapes alone."""
        everything = set(self.recording.inputs[0].graph.get_operations())
        return descendants(
            self.recording.inputs, everything, passes=lambda op: op.type not in _SHAPE_ONLY
        )

    def last_call_before(self, tensors: Iterable[tf.Tensor], not_in: Call | None) -> Call | None:
        """The last tapped call that some tensors are computed from, outside of `not_in`."""
        before = ancestors(tensors)
        found = [c for c in self.measured_calls if c.outputs[0].op in before and c is not not_in]
        return found[-1] if found else None

    def operations_after(self, operation: tf.Operation) -> set[tf.Operation]:
        """An operation, and what uses it on the way to the scores."""
        return {operation} | descendants(operation.outputs, self.score_operations)

    def users(self, tensors: Iterable[tf.Tensor]) -> set[tf.Operation]:
        """Every operation that uses some tensors."""
        return descendants(tensors, set(self.recording.inputs[0].graph.get_operations()))

    def next_calls(self, call: Call, among: Iterable[Call]) -> tuple[list[Call], set[tf.Operation]]:
        """The next calls behind one, and the operations up to their outputs."""
        ends = {other.outputs[0].op: other for other in among if other is not call}
        between = descendants(call.outputs, self.score_operations, passes=lambda op: op not in ends)
        return [ends[op] for op in between if op in ends], between

    @staticmethod
    def _is_measured(call: Call) -> bool:
        output = call.outputs[0]
        return bool(output.dtype.is_floating and output.shape.rank)


def trace_model(
    source: Source,
    batch: Batch,
    tensors: Sequence[tf.Tensor],
    layer: Any,
    target: Any,
    *,
    is_opaque: bool = False,
) -> TracedModel:
    """Record the model on tensors of the graph that is being traced, whatever it does."""
    calls: list[Call] = []
    recording, failure = attempt(lambda: source.record(list(tensors), batch.structure, calls))
    if recording is None:
        names = [spec.name for spec in source.specs() or ()]
        recording = Recording(list(tensors), names, calls, [], None)
        return TracedModel(source, batch, recording, failure, layer)
    traced = TracedModel(source, batch, recording, None, layer, is_opaque=is_opaque)
    outputs = traced.outputs = program.read_outputs(recording, program.Settings())
    _, traced.target_error = attempt(lambda: _read_scores(traced, outputs, target))
    if traced.scores is not None:
        traced.chosen, traced.choice_error = attempt(lambda: _choose(traced))
    return traced


def _choose(traced: TracedModel) -> Call:
    if traced.layer is None:
        return traced.maps.choose(traced.source.name)
    call = paths.resolve(traced.recording, traced.layer)
    traced.maps.check(call, traced.target)
    return call


def _read_scores(traced: TracedModel, outputs: Outputs, given: Any) -> None:
    """Read the scores of the target; without one, those of all outputs together."""
    if given is None:
        scores = [_default_score(outputs.select(n)) for n in range(len(outputs.values))]
        traced.scores = tf.add_n(scores)
        is_one = len(scores) == 1
        resolved = attempt(lambda: resolving.resolve(None, outputs, None))[0] if is_one else None
        traced.target = str(resolved) if resolved else "the outputs"
        return
    target = resolving.as_target(given)
    arguments = target.arguments(len(traced.batch))
    target = resolving.resolve(target, outputs, None)
    target.check(outputs, arguments)
    constants = tf.nest.map_structure(tf.constant, arguments)
    traced.scores = target.score(outputs, target.prepare(outputs, constants))[:, 0]
    traced.target = str(target)
    traced.given_target = target, arguments


def _default_score(outputs: Outputs) -> tf.Tensor:
    """The score of one output: its default target, or its mean where it has none."""

    def score() -> tf.Tensor:
        target = resolving.resolve(None, outputs, None)
        return target.score(outputs, target.prepare(outputs, ()))[:, 0]

    value = outputs.values[0]
    found, _ = attempt(score)
    return tf.reduce_mean(value, list(range(1, value.shape.rank))) if found is None else found


def describe(call: Call) -> str:
    """A call for a sentence.

    >>> from gradcam.trace.recorder import Call
    >>> describe(Call("conv", "Conv2D", (), None, path="backbone/conv"))
    "'backbone/conv'"
    """
    return f"'{call.path}'" if call.path else "the model's own `call`"


def image_numbers(wrong: np.ndarray) -> list[int]:
    """The numbers of the images for which something holds."""
    return [int(number) for number in wrong.nonzero()[0]]
