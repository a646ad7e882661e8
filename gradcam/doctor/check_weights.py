"""The loss's gradient towards the weights: which layers will never learn, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from gradcam.doctor import losses
from gradcam.doctor.diagnosis import Finding, finding
from gradcam.doctor.user_code import attempt
from gradcam.doctor.weight_values import has_zero_kernel, is_added
from gradcam.messages import wording
from gradcam.trace import blockers, private_keras, private_tensorflow
from gradcam.trace.graph import ancestors, descendants
from gradcam.trace.sources import reason_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gradcam.doctor.traced_model import TracedModel
    from gradcam.trace.recording import Call, Recording

# Mean magnitudes of gradients differ by a few powers of ten between healthy layers.
_FAR = 1e5


class WeightsCheck:
    """The gradient of the loss at each trainable variable."""

    name = "the gradients towards the weights"

    def __init__(self, traced: TracedModel, loss: Any) -> None:
        self._traced = traced
        self._model: Any = getattr(traced.source, "model", None)
        self._loss = losses.given_or_compiled(self._model, loss)
        self._error: Exception | None = None
        self._total: tf.Tensor | None = None
        self._variables: list[Any] = []
        self._found: list[Any] = []
        self.tensors: dict[str, Any] = {}
        if self._model is None or self._loss is None or traced.failure is not None:
            return
        self._total, self._error = attempt(lambda: losses.total(traced, self._loss))
        if self._total is None:
            return
        self._variables = list(self._model.trainable_variables)
        towards = [variable.value for variable in self._variables]
        if towards:
            self._found, _ = traced.gradients(self._total, towards)
        self.tensors = {
            "variables": [
                {} if gradient is None else {"mean": traced.measures.magnitude(gradient)}
                for gradient in self._found
            ]
        }

    def by_layer(self, facts: dict[str, Any]) -> dict[int, float]:
        """The mean magnitude of the gradient of each layer that has one, by the layer's id."""
        known = self._known(facts)
        result: dict[int, float] = {}
        for layer, variables in _grouped(self._model, self._variables):
            # What is added, a bias, has a gradient on another scale than what is multiplied.
            kernels = [v for v in variables if known.get(id(v)) and not is_added(v)]
            scale = max((float(known[id(v)]["mean"]) for v in kernels), default=0.0)
            if scale > 0:
                result[id(layer)] = scale
        return result

    def findings(self, facts: dict[str, Any]) -> Iterable[Finding]:
        """None first, then zero, NaN and scale, then what is not trainable by mistake."""
        if self._model is None or self._traced.failure is not None:
            return
        yield from self._not_trainable()
        if self._loss is None:
            loss = losses.proposed(self._traced.recording.outputs)
            yield finding("weights-no-loss", "note", "loss", loss=loss)
            return
        if self._error is not None:
            yield finding(
                "weights-loss-fails",
                "warning",
                "loss",
                loss=losses.name_of(self._loss),
                error=type(self._error).__name__,
                reason=reason_of(self._error),
            )
            return
        known = self._known(facts)
        yield from self._without_gradient(known)
        if self._is_one_unit_softmax():
            yield finding("weights-one-unit", "error", self._traced.source.name)
            return
        yield from self._of_values(known)
        yield from self._of_scale(facts)

    def _known(self, facts: dict[str, Any]) -> dict[int, dict[str, Any]]:
        known = facts.get("variables", [])
        return {id(v): one for v, one in zip(self._variables, known, strict=False)}

    def _not_trainable(self) -> Iterator[Finding]:
        model, traced = self._model, self._traced
        if model.variables and not model.trainable_variables:
            if self._loss is not None:
                yield finding("weights-none-trainable", "warning", traced.source.name)
            return
        calls = [c for c in traced.recording.calls if c.has_weights and c.path and c.is_leaf]
        learns = [call for call in calls if call.layer.trainable_variables]
        frozen_last = calls and calls[-1] not in learns and learns
        if frozen_last and not calls[-1].layer.trainable and "Normalization" not in calls[-1].kind:
            path, name = calls[-1].path, calls[-1].name
            facts = {"path": path, "name": name, "count": len(learns)}
            yield finding("weights-frozen-head", "warning", path, **facts)
        for call in traced.recording.calls:
            raw = [name for name, value in vars(call.layer).items() if _is_raw(value, model)]
            if raw:
                names = ", ".join(f"'{name}'" for name in raw)
                where = f"{call.path or traced.source.name}: {', '.join(raw)}"
                path = call.path or traced.source.name
                yield finding("weights-untracked", "warning", where, path=path, variables=names)

    def _without_gradient(self, known: dict[int, dict[str, Any]]) -> Iterator[Finding]:
        """The variables whose gradient is None, together where the reason is the same."""
        if self._total is None:
            return
        loss_operations = ancestors([self._total])
        reasons: dict[tuple[str, str], list[Any]] = {}
        for layer, variables in _grouped(self._model, self._variables):
            for variable in variables:
                if not known.get(id(variable)):
                    reason = self._reason(layer, variable, loss_operations)
                    reasons.setdefault(reason, []).append(variable)
        for (code, stops), without in reasons.items():
            where = ", ".join(variable.path for variable in without)
            yield finding(code, "error", where, variables=_names(without), blockers=stops)

    def _reason(self, layer: Any, variable: Any, operations: set[tf.Operation]) -> tuple[str, str]:
        """The code for a variable without a gradient, and where the gradient stops."""
        recording = self._traced.recording
        calls = [call for call in recording.calls if call.layer is layer]
        outputs = [output for call in calls for output in _visible(call).outputs]
        if not calls:
            return "weights-unused", ""
        if not any(output.op in operations for output in outputs):
            return "weights-not-in-loss", ""
        if not _is_read(variable, operations):
            return "weights-unused", ""
        # The stop may be inside the layer itself, before its output.
        inside = [
            word + blockers.place(op, recording)
            for call in calls
            for op in recording.inputs[0].graph.get_operations()[call.first_op : call.last_op]
            if (word := blockers.words(op)) is not None
        ]
        # The labels are made of the outputs: what they went through is looked at last.
        ends = [output.value for output in recording.outputs]
        found = [stop for end in ends for stop in blockers.blockers(outputs, end, recording)]
        found = found or inside
        if not found:
            found = [s for end in ends for s in blockers.custom_gradients(outputs, end, recording)]
        found = found or _python_functions(outputs, ends, recording)
        found = list(dict.fromkeys(found)) or blockers.blockers(outputs, self._total, recording)
        return "weights-stopped", wording.listing(found) or "an operation without a gradient"

    def _is_one_unit_softmax(self) -> bool:
        outputs = self._traced.recording.outputs
        return any(o.ending == "softmax" and o.value.shape[-1] == 1 for o in outputs)

    def _of_values(self, known: dict[int, dict[str, Any]]) -> Iterator[Finding]:
        wrong, zero = [], []
        for layer, variables in _grouped(self._model, self._variables):
            facts = [(v, known[id(v)]) for v in variables if known.get(id(v))]
            wrong += [v for v, one in facts if not np.isfinite(one["mean"])]
            without = [v for v, one in facts if one["mean"] == 0]
            if len(without) == len(variables) and not self._starts_later(layer):
                zero += without
        for code, severity, variables in (
            ("weights-nan", "error", wrong),
            ("weights-zero", "warning", zero),
        ):
            if variables:
                where = ", ".join(variable.path for variable in variables)
                count = len(self._traced.batch)
                yield finding(code, severity, where, variables=_names(variables), count=count)

    def _starts_later(self, layer: Any) -> bool:
        """Whether a kernel that is zero at the start keeps the gradient from a layer."""
        traced = self._traced
        calls = [call for call in traced.recording.calls if call.layer is layer]
        after = {op for call in calls for op in traced.users(call.outputs)}
        return any(
            call.outputs[0].op in after and call.layer is not layer and has_zero_kernel(call)
            for call in traced.measured_calls
        )

    def _of_scale(self, facts: dict[str, Any]) -> Iterator[Finding]:
        """A layer far from both its neighbours: over a deep network gradients may drift."""
        scales = self.by_layer(facts)
        layers = [pair for pair in _grouped(self._model, self._variables) if id(pair[0]) in scales]
        values = [scales[id(layer)] for layer, _ in layers]
        if not np.isfinite(values).all():
            return
        for number in range(1, len(layers) - 1):
            before, own, after = values[number - 1 : number + 2]
            is_large = own > max(before, after)
            near = max(before, after) if is_large else min(before, after)
            factor = own / near if is_large else near / own
            if factor > _FAR:
                variables = layers[number][1]
                yield finding(
                    "weights-scale",
                    "warning",
                    ", ".join(variable.path for variable in variables),
                    variables=_names(variables),
                    measured=own,
                    near=near,
                    factor=factor,
                    direction="larger" if is_large else "smaller",
                )


def _grouped(model: Any, variables: list[Any]) -> list[tuple[Any, list[Any]]]:
    """The layers that own some of the variables, with those."""
    wanted = {id(variable): variable for variable in variables}
    groups = []
    for layer in private_keras.all_layers(model):
        inner = {
            id(v) for sub in private_keras.direct_layers(layer) for v in sub.trainable_variables
        }
        own = [v for v in layer.trainable_variables if id(v) in wanted and id(v) not in inner]
        own = [v for v in own if wanted.pop(id(v), None) is not None]
        if own:
            groups.append((layer, own))
    return groups


def _is_read(variable: Any, operations: set[tf.Operation]) -> bool:
    """Whether one of some operations reads a variable, as far as the graph can tell."""
    handle = getattr(variable.value, "handle", None)
    if handle is None:
        return True
    inside = private_tensorflow.captured(next(iter(operations)).graph, handle)
    return any(tensor.op in operations for tensor in inside)


def _python_functions(
    outputs: list[tf.Tensor], ends: list[tf.Tensor], recording: Recording
) -> list[str]:
    """The functions of `tf.py_function` between a layer and the outputs, in words."""
    between = descendants(outputs, ancestors(ends))
    return [
        blockers.without_gradient(op) + blockers.place(op, recording)
        for op in between
        if op.type == "EagerPyFunc"
    ]


def _visible(call: Call) -> Call:
    """The call, or the one around it whose output can be seen."""
    while not call.outputs and call.parent is not None:
        call = call.parent
    return call


def _names(variables: list[Any]) -> str:
    return wording.listing([f"'{variable.path}'" for variable in variables], limit=6)


def _is_raw(value: Any, model: Any) -> bool:
    """Whether an attribute is a trainable variable of TensorFlow that no Keras variable holds."""
    if not isinstance(value, tf.Variable) or not value.trainable:
        return False
    return all(value is not variable.value for variable in model.variables)
