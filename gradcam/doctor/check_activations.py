"""The activations: what raises, returns None, is not finite, constant, dead, or in training mode."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from gradcam.doctor import unbuilt
from gradcam.doctor.diagnosis import Finding, finding, from_error, reworded
from gradcam.doctor.measures import are_alike
from gradcam.doctor.traced_model import describe, image_numbers
from gradcam.doctor.weight_values import has_zero_kernel
from gradcam.errors import GradCamError
from gradcam.messages import wording
from gradcam.trace import recorder, recording
from gradcam.trace.graph import SHAPE_OPS, ancestors, descendants, through_shape_ops
from gradcam.trace.sources import reason_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gradcam.doctor.traced_model import TracedModel
    from gradcam.trace.recording import Call

RELU = frozenset({"Relu", "Relu6"})
CONVOLUTION = re.compile(r"(Base)?(Separable|Depthwise)?Conv\d?D?(Transpose)?|\w*Conv[123]D\w*")
_RANDOM = re.compile(r"\w*Dropout\w*|Random[A-Z]\w*|Gaussian\w+|BatchNormalization")
# With fewer numbers than these, a ReLU may be all zero by chance.
_ENOUGH = 32
_MANY_DEAD = 0.9


def failure(traced: TracedModel) -> Iterator[Finding]:
    """What kept the model from running, with the layer that it happened in."""
    error = traced.failure
    if error is None:
        return
    calls = traced.recording.calls
    model = traced.source.name
    nothing = recording.returned_none(calls)
    code = error.code if isinstance(error, GradCamError) else ""
    if code in {"returns-none", "cannot-run", ""} and nothing is not None:
        where = _name(nothing, model)
        yield finding("returns-none", "error", _path(nothing, model), where=where)
        return
    culprit = next((call for call in reversed(calls) if call.raised), None)
    refusing = _refusing(error, traced) if code in {"cannot-run", ""} else None
    if refusing is not None:
        yield refusing
        return
    if isinstance(error, GradCamError) and code != "cannot-run":
        yield from_error(error, _path(culprit, model))
        return
    cause = error.__cause__
    original = cause if isinstance(cause, Exception) else error
    blamed = (
        None if culprit is not None and culprit.path else unbuilt.blamed(original, traced.source)
    )
    if blamed is not None:
        path, shape = blamed
        where, text = f"layer '{path}'", str(shape) if shape else ""
    else:
        path, where, text = _path(culprit, model), _name(culprit, model), ""
    shapes = ", ".join(str(tuple(t.shape)) for t in culprit.inputs) if culprit else ""
    yield reworded(
        "cannot-run",
        "layer-raises",
        "error",
        path,
        name=model,
        where=where[0].upper() + where[1:],
        error=type(original).__name__,
        shapes=text or shapes or str(tuple(traced.recording.inputs[0].shape)),
        reason=reason_of(original),
    )


def _refusing(error: Exception, traced: TracedModel) -> Finding | None:
    """The finding for a convolution that refuses what a Flatten before it gives."""
    found = re.search(r"of layer ['\"]?(\w+)['\"]? is incompatible", str(error))
    leaves = [call for call in traced.recording.calls if call.is_leaf and not call.raised]
    if found is None or not leaves or "Flatten" not in leaves[-1].families:
        return None
    layers = recorder.operations_of(traced.recording.calls[0].layer)
    refusing = next((layer for layer in layers if layer.name == found[1]), None)
    if refusing is None or not _is_convolution(type(refusing)):
        return None
    flatten, parent = leaves[-1], leaves[-1].parent
    path = f"{parent.path if parent else ''}/{found[1]}".lstrip("/")
    return finding(
        "forward-flatten",
        "error",
        flatten.path,
        flatten=flatten.path,
        path=path,
        before=tuple(flatten.inputs[0].shape),
        after=tuple(flatten.outputs[0].shape),
    )


def _path(call: Call | None, model: str) -> str:
    return call.path if call is not None and call.path else model


def _name(call: Call | None, model: str) -> str:
    return f"layer '{call.path}'" if call is not None and call.path else f"the model '{model}'"


class ActivationsCheck:
    """What the layers make of the images."""

    name = "the activations"

    def __init__(self, traced: TracedModel) -> None:
        self._traced = traced
        self._count = len(traced.batch)
        self.calls = traced.measured_calls
        self._behind_dead: set[tf.Operation] = set()
        self._probabilities = {
            output.value.ref() for output in traced.recording.outputs if output.ending != "linear"
        }
        self.tensors: dict[str, Any] = {
            str(number): self._measured(call) for number, call in enumerate(self.calls)
        }

    def keep_before(self, operation: tf.Operation) -> None:
        """Leave out what depends on an operation that can't run."""
        after = descendants(operation.outputs, set(operation.graph.get_operations()))
        for number, call in enumerate(self.calls):
            if call.outputs[0].op in after or call.outputs[0].op is operation:
                self.tensors.pop(str(number), None)

    def findings(self, facts: dict[str, Any]) -> Iterable[Finding]:
        """In the order of the layers."""
        yield from self._nothing_returned()
        yield from self._flattens()
        yield from self._training_mode()
        yield from self._independent()
        for number, call in enumerate(self.calls):
            known = facts.get(str(number))
            if known is None:
                continue
            sums = known["rows"]["sum"]
            if not np.isfinite(sums).all():
                yield self._not_finite(call, sums)
                return  # whatever follows is not finite for the same reason
            yield from self._of_values(call, known)

    def _measured(self, call: Call) -> dict[str, Any]:
        output, measures = call.outputs[0], self._traced.measures
        known: dict[str, Any] = {"rows": measures.rows(output)}
        if _is_relu(output):
            known["channels"] = measures.channels(output, self._channel_axis(call))
        if output.op in self._traced.image_operations:
            floats = [t for t in call.inputs if t.dtype.is_floating and t.shape.rank]
            known["inputs"] = [measures.rows(tensor) for tensor in floats]
        return known

    def _channel_axis(self, call: Call) -> int:
        rank = int(call.outputs[0].shape.rank)
        is_first = rank > 2 and self._traced.maps.data_format(call) == "channels_first"
        return 1 if is_first else rank - 1

    def _nothing_returned(self) -> Iterator[Finding]:
        if self._traced.failure is None:
            for call in self._traced.recording.calls:
                if call.returned_none:
                    where = describe(call)
                    yield finding("layer-returns-nothing", "warning", call.path, where=where)

    def _flattens(self) -> Iterator[Finding]:
        for call in self._traced.recording.calls:
            if call.is_leaf and call.inputs and _is_convolution(type(call.layer)):
                found = _flattened(self._traced, call)
                if found is not None:
                    yield found

    def _training_mode(self) -> Iterator[Finding]:
        calls = [call for call in self._traced.recording.calls if _is_training(call)]
        if calls:
            kinds = ", ".join(dict.fromkeys(call.kind for call in calls))
            names = [describe(call) for call in calls]
            paths = wording.listing(names, limit=6)
            yield finding("forward-training", "warning", calls[0].path, paths=paths, what=kinds)

    def _independent(self) -> Iterator[Finding]:
        """Where the images stop to matter, if the output does not depend on them."""
        traced = self._traced
        outputs = [output.value for output in traced.recording.outputs]
        if not outputs or any(output.op in traced.image_operations for output in outputs):
            return
        calls = [call for call in self.calls if call.outputs[0].op in ancestors(outputs)]
        lost = [c for c in calls if any(given.op in traced.image_operations for given in c.inputs)]
        path = lost[-1].path if lost else traced.source.name
        yield finding("forward-independent", "error", path, path=path)

    @staticmethod
    def _not_finite(call: Call, sums: np.ndarray) -> Finding:
        return finding(
            "non-finite-activations",
            "error",
            call.path,
            kind="NaN" if np.isnan(sums).any() else "An infinity",
            images=wording.Images(image_numbers(~np.isfinite(sums))),
            path=describe(call),
        )

    def _of_values(self, call: Call, known: dict[str, Any]) -> Iterator[Finding]:
        output, given = call.outputs[0], known.get("inputs", [])
        facts = {"path": call.path, "count": self._count}
        if "channels" in known:
            high = known["channels"]
            if (high <= 0).all():
                yield from self._dead(call, given, facts)
                return
            dead = int((high <= 0).sum())
            if output.shape.rank > 2 and dead >= _MANY_DEAD * len(high):
                facts |= {"dead": dead, "channels": len(high)}
                yield finding("forward-dead-channels", "warning", call.path, **facts)
        # A probability that is 1 for all images is saturated, which is a finding of its own.
        # So are the sums and maxima of one hot.
        is_one_hot = through_shape_ops(output)[-1].op.type in {"Softmax", "OneHot"}
        had_variety = (
            output.ref() not in self._probabilities and not is_one_hot and not are_alike(given)
        )
        if had_variety and are_alike([known["rows"]]) and not has_zero_kernel(call):
            yield finding("forward-constant", "warning", call.path, **facts)

    def _dead(self, call: Call, given: list[Any], facts: dict[str, Any]) -> Iterator[Finding]:
        """A ReLU without any output, unless it was given nothing."""
        output = call.outputs[0]
        nothing = bool(given) and all(not np.any(of_one["max"]) for of_one in given)
        if output.op in self._behind_dead or nothing:
            return
        self._behind_dead |= self._traced.users([output])
        numbers = self._count * int(np.prod([n or 1 for n in output.shape.as_list()[1:]]))
        severity = "error" if numbers >= _ENOUGH else "warning"
        yield finding("forward-dead", severity, call.path, **facts)


def _is_relu(tensor: tf.Tensor) -> bool:
    return through_shape_ops(tensor)[-1].op.type in RELU


def _is_convolution(kind: type) -> bool:
    return any(CONVOLUTION.fullmatch(family.__name__) for family in kind.__mro__)


def _is_training(call: Call) -> bool:
    if not any(_RANDOM.fullmatch(family) for family in call.families) or not call.is_leaf:
        return False
    if call.training is None or isinstance(call.training, tf.Tensor) or not bool(call.training):
        return False
    if "BatchNormalization" in call.families:
        return bool(getattr(call.layer, "trainable", True))
    return getattr(call.layer, "rate", 1) != 0


def _flattened(traced: TracedModel, convolution: Call) -> Finding | None:
    """The finding where positions are flattened away before a convolution."""
    tensor = convolution.inputs[0]
    chain = through_shape_ops(tensor) if tensor.op.type in SHAPE_OPS else [tensor]
    makers = {traced.recording.maker(t.op) for t in chain}
    for call in traced.recording.calls:
        if "Flatten" not in call.families or call not in makers or not call.inputs:
            continue
        before, after = call.inputs[0].shape.as_list(), tensor.shape.as_list()
        if len(before) > 2 and before[1:-1] != after[1:-1]:
            return finding(
                "forward-flatten",
                "warning",
                call.path,
                flatten=call.path,
                path=convolution.path,
                before=tuple(before),
                after=tuple(after),
            )
    return None
