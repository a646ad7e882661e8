"""What every group of checks looks at: one recording of the model, and what was asked about it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import tensorflow as tf

from gradcam.cam import run
from gradcam.cam.question import Aim
from gradcam.cam.settings import Settings
from gradcam.doctor.measures import Measures
from gradcam.doctor.user_code import attempt
from gradcam.targets import resolving
from gradcam.trace import blockers
from gradcam.trace.feature_maps import FeatureMaps
from gradcam.trace.graph import ancestors, descendants
from gradcam.trace.recording import Recording
from gradcam.trace.samplings import SHAPE_QUESTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np

    from gradcam.targets.scoring import Outputs, Target
    from gradcam.trace.inputs import Batch
    from gradcam.trace.recording import Call
    from gradcam.trace.sources import Source

# So many operations without a gradient are looked past before it is given up.
_MOST_WITHOUT_GRADIENT = 20


class Explained(NamedTuple):
    """What is explained of each image.

    Attributes:
        target: the target in words.
        scores: (batch,); None where they can't be read.
        arguments: what a target that was given says of each image.
    """

    target: str = "the model's outputs"
    scores: tf.Tensor | None = None
    arguments: tuple[Any, ...] | None = None


@dataclass(frozen=True, eq=False)
class TracedModel:
    """One recording of the model, and what was asked about it.

    Attributes:
        source: the model.
        batch: the images.
        recording: what the model did; without outputs where it raised.
        failure: what it raised.
        layer: the layer that was asked about, None for the automatic choice.
        explained: the explained scores.
        target_error: why there are no scores.
        maps: the feature maps, seen from the explained scores.
        chosen: the layer that is explained.
        choice_error: why there is none.
        python_fails: whether the gradient of a `tf.py_function` raised when it ran, so that it
            counts as none.
    """

    source: Source
    batch: Batch
    recording: Recording
    failure: Exception | None
    layer: Any
    explained: Explained
    target_error: Exception | None
    maps: FeatureMaps
    chosen: Call | None
    choice_error: Exception | None
    python_fails: bool = False

    @property
    def target(self) -> str:
        """What is explained, in words."""
        return self.explained.target

    @property
    def scores(self) -> tf.Tensor | None:
        """(batch,) the explained scores."""
        return self.explained.scores

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
            if call.path and call.is_leaf and len(call.outputs) == 1 and _is_measured(call)
        ]

    @functools.cached_property
    def score_operations(self) -> set[tf.Operation]:
        """The operations that the scores are computed from."""
        return set() if self.scores is None else ancestors([self.scores])

    @functools.cached_property
    def score_calls(self) -> list[Call]:
        """The measured calls that the scores are computed from."""
        return [call for call in self.measured_calls if call.outputs[0].op in self.score_operations]

    @functools.cached_property
    def image_operations(self) -> set[tf.Operation]:
        """The operations whose values depend on those of the inputs, not on their shapes alone."""
        return descendants(
            self.recording.inputs, self._all_operations, lambda op: op.type not in SHAPE_QUESTIONS
        )

    def last_call_before(self, tensors: Iterable[tf.Tensor], not_in: Call | None) -> Call | None:
        """The last measured call that some tensors are computed from, outside of `not_in`."""
        before = ancestors(tensors)
        found = [c for c in self.measured_calls if c.outputs[0].op in before and c is not not_in]
        return found[-1] if found else None

    def operations_after(self, operation: tf.Operation) -> set[tf.Operation]:
        """An operation, and what the scores are computed from that uses it."""
        return {operation} | descendants(operation.outputs, self.score_operations)

    def users(self, tensors: Iterable[tf.Tensor]) -> set[tf.Operation]:
        """Every operation that uses some tensors."""
        return descendants(tensors, self._all_operations)

    def next_calls(self, call: Call, among: Iterable[Call]) -> tuple[list[Call], set[tf.Operation]]:
        """The next calls behind one, and the operations up to their outputs."""
        ends = {other.outputs[0].op: other for other in among if other is not call}
        between = descendants(call.outputs, self.score_operations, lambda op: op not in ends)
        return [ends[op] for op in between if op in ends], between

    def gradients(
        self, score: tf.Tensor, towards: Sequence[Any]
    ) -> tuple[list[Any], list[tf.Operation]]:
        """The gradients, None where there is none, and the operations that have none to hand on.

        Asked of the graph, not of a tape: a tape raises at the first operation without a registered
        gradient and has no `stop_gradients`, by which that operation is looked past, so that what
        lies behind it has its gradient all the same.

        Args:
            score: what is differentiated.
            towards: tensors and variables.
        """
        missing = [op for op in self.score_operations if op.type == "EagerPyFunc"]
        missing = missing if self.python_fails else []
        while True:
            stopped = [output for operation in missing for output in operation.outputs]
            try:
                found = tf.gradients(score, list(towards), stop_gradients=stopped or None)
            except LookupError as error:
                operation = blockers.unregistered_operation(error, self.recording)
                given_up = len(missing) == _MOST_WITHOUT_GRADIENT
                if operation is None or operation in missing or given_up:
                    raise
                missing.append(operation)
                continue
            return [None if one is None else tf.convert_to_tensor(one) for one in found], missing

    @functools.cached_property
    def _all_operations(self) -> set[tf.Operation]:
        return set(self.recording.inputs[0].graph.get_operations())


def trace_model(
    source: Source, batch: Batch, tensors: Sequence[tf.Tensor], layer: Any, target: Any
) -> TracedModel:
    """Record the model on tensors of the graph that is being traced, whatever it does."""
    calls: list[Call] = []
    recording, failure = attempt(lambda: source.record(list(tensors), batch.structure, calls))
    explained, target_error = None, None
    if recording is None:
        names = [spec.name for spec in source.specs() or ()]
        recording = Recording(list(tensors), names, calls, [], None)
    else:
        outputs = run.read_outputs(recording, Settings())
        explained, target_error = attempt(lambda: _explained(outputs, target, len(batch)))
    explained = explained or Explained()
    scores = [] if explained.scores is None else [explained.scores]
    maps = FeatureMaps(recording, recording.outputs, scores)
    chosen, choice_error = None, None
    if scores:
        chosen, choice_error = attempt(
            lambda: run.call_of(recording, maps, layer, explained.target, source.name)
        )
    return TracedModel(
        source,
        batch,
        recording,
        failure,
        layer,
        explained,
        target_error,
        maps,
        chosen,
        choice_error,
    )


def _explained(outputs: Outputs, given: Any, count: int) -> Explained:
    """The scores of the target; without one, those of all outputs together."""
    if given is None:
        each = [outputs.select(number) for number in range(len(outputs.values))]
        aimed = [attempt(functools.partial(_aimed, output))[0] for output in each]
        scores = [
            # An output without a default target, as of features, is explained as a whole.
            tf.reduce_mean(output.values[0], list(range(1, output.values[0].shape.rank)))
            if one is None
            else one.scores[:, 0]
            for one, output in zip(aimed, each, strict=True)
        ]
        first = aimed[0] if len(aimed) == 1 else None
        return Explained("the outputs" if first is None else str(first.target), tf.add_n(scores))
    target = resolving.as_target(given)
    arguments = target.arguments(count)
    one = _aimed(outputs, target, arguments)
    one.target.check(outputs, arguments)
    return Explained(str(one.target), one.scores[:, 0], arguments)


def _aimed(
    outputs: Outputs, target: Target | None = None, arguments: tuple[Any, ...] = ()
) -> run.Aimed:
    constants = tf.nest.map_structure(tf.constant, arguments)
    (aimed,) = run.aimed([Aim(target, None, arguments)], [constants], outputs)
    return aimed


def _is_measured(call: Call) -> bool:
    output = call.outputs[0]
    return bool(output.dtype.is_floating and output.shape.rank)


def describe(call: Call) -> str:
    """A call for a sentence.

    >>> from gradcam.trace.recording import Call
    >>> describe(Call("conv", "Conv2D", (), None, path="backbone/conv"))
    "'backbone/conv'"
    """
    return f"'{call.path}'" if call.path else "the model's own `call`"


def image_numbers(wrong: np.ndarray) -> list[int]:
    """The numbers of the images for which something holds."""
    return [int(number) for number in wrong.nonzero()[0]]
