"""The target's gradient on its way back through the layers: where it stops, and where it dies."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from gradcam.cam.run import HALF_SCALE
from gradcam.doctor.diagnosis import LayerGradient, finding, reworded
from gradcam.doctor.measures import SaturableOperation, norm, saturable_operations
from gradcam.doctor.traced_model import describe, image_numbers
from gradcam.doctor.user_code import finding_of
from gradcam.doctor.weight_values import has_zero_kernel
from gradcam.errors import NotAFeatureMapError
from gradcam.messages import wording
from gradcam.trace import blockers
from gradcam.trace.graph import ancestors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gradcam.doctor.diagnosis import Finding
    from gradcam.doctor.traced_model import TracedModel
    from gradcam.trace.recording import Call

# A gradient this much smaller than the one behind it has died where something is saturated.
_FADED = 1e-5


class GradientsCheck:
    """The gradient of the target at each layer on the way."""

    name = "the gradients towards the layers"

    def __init__(self, traced: TracedModel) -> None:
        self._traced = traced
        self.calls = traced.score_calls
        self.tensors: dict[str, Any] = {}
        self._missing: list[tf.Operation] = []
        self._saturable: list[SaturableOperation] = []
        self._reached: dict[Call, bool] = {}
        self._gradients: dict[Call, Any] = {}
        self._scale = 1.0
        if traced.scores is None or not self.calls:
            return
        outputs = [call.outputs[0] for call in self.calls]
        is_half = any(output.dtype == tf.float16 for output in outputs)
        scale = self._scale = HALF_SCALE if is_half else 1.0
        found, self._missing = traced.gradients(traced.scores * scale, outputs)
        plain = traced.gradients(traced.scores, outputs)[0] if is_half else []
        self._reached = {
            call: gradient is not None for call, gradient in zip(self.calls, found, strict=True)
        }
        self._gradients = dict(zip(self.calls, found, strict=True))
        self._saturable = saturable_operations(traced.score_operations)
        self.tensors = {
            "layers": [
                {} if gradient is None else traced.measures.gradient(gradient) for gradient in found
            ],
            "plain": [
                {} if gradient is None else traced.measures.gradient(gradient) for gradient in plain
            ],
            "saturated_shares": [one.share for one in self._saturable],
        }

    def at(self, call: Call | None) -> tf.Tensor | None:
        """The gradient at a layer, in float32; None where there is none."""
        gradient = None if call is None else self._gradients.get(call)
        return None if gradient is None else tf.cast(gradient, tf.float32) / self._scale

    def table(self, facts: dict[str, Any]) -> tuple[LayerGradient, ...]:
        """The gradient at each layer on the way."""
        return tuple(
            LayerGradient(call.path, norm(known["squares"]) / self._scale, float(known["zeros"]))
            if known
            else LayerGradient(call.path, None, None)
            for call, known in zip(self.calls, facts.get("layers", []), strict=False)
        )

    def findings(self, facts: dict[str, Any]) -> Iterable[Finding]:
        """Errors of the target and the layer, then where the gradient stops, then where it dies."""
        traced = self._traced
        if traced.target_error is not None:
            yield finding_of(traced.target_error, "target", self.name)
        if traced.choice_error is not None:
            # A model without feature maps can be healthy; it just can't be drawn.
            is_error = traced.layer is not None
            is_error = is_error or not isinstance(traced.choice_error, NotAFeatureMapError)
            found = finding_of(
                traced.choice_error, str(traced.layer or traced.source.name), self.name
            )
            yield found if is_error else replace(found, severity="note")
        if not facts:
            return
        yield from self._stops()
        known = dict(zip(self.calls, facts["layers"], strict=True))
        yield from self._not_finite(known)
        # What is left of a gradient in front of operations without any slope is rounding, of a size
        # that depends on the processor.
        unsaturated = self._unsaturated(facts["saturated_shares"])
        norms = {
            call: _size(of_call) if call.outputs[0].op in unsaturated else 0.0
            for call, of_call in known.items()
            if of_call
        }
        if all(np.isfinite(norm) for norm in norms.values()):
            yield from self._underflow(norms, facts["plain"])
            yield from self._vanishes(norms, facts["saturated_shares"])

    def _unsaturated(self, shares: list[Any]) -> set[tf.Operation]:
        """The operations that reach the score past operations that are saturated at all values."""
        saturated = {
            one.operation for one, share in zip(self._saturable, shares, strict=True) if share == 1
        }
        scores = self._traced.scores
        return set() if scores is None else ancestors([scores], saturated.__contains__)

    def _stops(self) -> Iterator[Finding]:
        """Where there is no gradient at all."""
        traced = self._traced
        without = [call for call in self.calls if not self._reached[call]]
        hit = [call for call in without if call.has_weights or call is traced.chosen]
        if not hit or traced.scores is None:
            return
        outputs = [call.outputs[0] for call in hit]
        found = blockers.stops(outputs, traced.scores)
        found += [(op, blockers.without_gradient(op)) for op in self._missing]
        found = found or blockers.custom_stops(outputs, traced.scores)
        seen = set()
        for operation, words in sorted(found, key=lambda pair: pair[0].name):
            owner = traced.recording.maker(operation)
            before = traced.last_call_before(operation.inputs, owner) or hit[-1]
            after = self._first_after(operation)
            blocker = f"{words}{blockers.place(operation, traced.recording)}"
            if (before, blocker) in seen:
                continue
            seen.add((before, blocker))
            yield self._stop(blocker, before, after, without)

    def _stop(
        self,
        blocker: str,
        before: Call,
        after: Call | None,
        without: list[Call],
    ) -> Finding:
        traced = self._traced
        behind = after.path if after is not None else "the output"
        where = f"{before.path} -> {blocker} -> {behind}"
        facts = {
            "target": traced.target,
            "blockers": blocker,
            "before": before.path,
            "after": behind,
        }
        if traced.chosen is not None and traced.chosen in without:
            paths = [path for path in traced.maps.candidates() if self._is_reached(path)]
            return reworded(
                "blocked-gradient",
                "gradient-stops",
                "error",
                where,
                path=traced.chosen.path,
                paths=f": {wording.listing(paths)}" if paths else "",
                count=len(without),
                **facts,
            )
        learns = [call for call in without if _can_learn(call)]
        consequence = (
            f"{wording.listing([describe(call) for call in learns], limit=6)} never learns from it."
            if learns
            else "Nothing in front of it is trainable, so this may be meant."
        )
        severity = "warning" if learns else "note"
        return finding(
            "gradient-stops-elsewhere", severity, where, consequence=consequence, **facts
        )

    def _is_reached(self, path: str) -> bool:
        return any(call.path == path and reached for call, reached in self._reached.items())

    def _first_after(self, operation: tf.Operation) -> Call | None:
        """The first layer behind an operation that the gradient reaches."""
        reached = self._traced.operations_after(operation)
        return next(
            (c for c in self.calls if self._reached[c] and c.outputs[0].op in reached), None
        )

    def _not_finite(self, known: dict[Call, dict[str, Any]]) -> Iterator[Finding]:
        finite = {call: np.isfinite(one["squares"]) for call, one in known.items() if one}
        wrong = [call for call, rows in finite.items() if not rows.all()]
        if wrong:
            rows = ~finite[wrong[-1]]
            yield finding(
                "non-finite-gradients",
                "error",
                wrong[-1].path,
                kind="NaN or an infinity",
                target=self._traced.target,
                images=wording.Images(image_numbers(rows)),
                path=wrong[-1].path,
            )

    def _underflow(self, norms: dict[Call, float], plain: list[Any]) -> Iterator[Finding]:
        lost = [
            call
            for call, known in zip(self.calls, plain, strict=False)
            if norms.get(call, 0.0) > 0 and known and _size(known) == 0
        ]
        if lost:
            facts = {"before": lost[-1].path, "norm": norms[lost[-1]] / self._scale}
            yield finding(
                "gradient-underflow",
                "warning",
                lost[-1].path,
                target=self._traced.target,
                scale=self._scale,
                **facts,
            )

    def _vanishes(self, norms: dict[Call, float], shares: list[Any]) -> Iterator[Finding]:
        """Where a gradient that is there turns to nothing."""
        saturation = {
            one.operation: (one, float(share))
            for one, share in zip(self._saturable, shares, strict=True)
        }
        largest = max(norms.values(), default=0.0)
        for call in self.calls:
            if call not in norms or norms[call] > _FADED * largest:
                continue
            following, between = self._traced.next_calls(call, norms)
            alive = [c for c in following if norms[c] > 0 and norms[c] * _FADED >= norms[call]]
            if not alive or any(has_zero_kernel(other) for other in [call, *following]):
                continue
            yield from self._vanished(
                call, max(alive, key=norms.__getitem__), between, norms, saturation
            )

    def _vanished(
        self,
        call: Call,
        after: Call,
        between: set[tf.Operation],
        norms: dict[Call, float],
        saturation: dict[tf.Operation, tuple[SaturableOperation, float]],
    ) -> Iterator[Finding]:
        traced = self._traced
        after_is = {"after": after.path, "norm_after": norms[after] / self._scale}
        facts = {"target": traced.target, "before": call.path, "norm": norms[call] / self._scale}
        is_hit = traced.chosen is not None and norms.get(traced.chosen, 1.0) <= norms[call]
        severity = "error" if is_hit and norms[call] == 0 else "warning"
        flat = [op for op in between if op.type in blockers.FLAT]
        saturated = [saturation[op] for op in between if op in saturation]
        saturated = [pair for pair in saturated if pair[1] > 0.98]
        if flat:
            words = blockers.FLAT[flat[0].type] + blockers.place(flat[0], traced.recording)
            where = f"{call.path} -> {words} -> {after.path}"
            yield finding("gradient-no-slope", severity, where, operation=words, **facts)
        elif saturated:
            one, share = max(saturated, key=lambda pair: pair[1])
            owner = traced.recording.maker(one.operation)
            path = owner.path if owner is not None and owner.path else traced.source.name
            code = "gradient-dead-relu" if one.word == "ReLU" else "gradient-saturated"
            facts |= {"operation": one.word, "path": path, "share": share}
            yield finding(code, severity, path, **facts, **after_is)
        elif norms[call] == 0:
            yield finding("gradient-zero", "warning", call.path, **facts, **after_is)


def _size(known: dict[str, Any]) -> float:
    """The norm of a gradient, above zero unless it is zero everywhere."""
    smallest = 0.0 if known["zeros"] == 1 else float(np.finfo(np.float32).tiny)
    return max(norm(known["squares"]), smallest)


def _can_learn(call: Call) -> bool:
    return bool(getattr(call.layer, "trainable_variables", ()))
