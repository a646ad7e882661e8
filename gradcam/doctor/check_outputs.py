"""How the model ends, against what its loss takes the output for: logits or probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from gradcam.doctor import losses
from gradcam.doctor.diagnosis import Finding, finding
from gradcam.doctor.user_code import attempt
from gradcam.trace.graph import through_shape_ops
from gradcam.trace.logits import MAKES_SCORES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gradcam.doctor.traced_model import TracedModel
    from gradcam.trace.logits import ModelOutput

# Keras' losses that take logits or probabilities, without underscores, and the activation for each.
_ACTIVATIONS = {
    "sparsecategoricalcrossentropy": "softmax",
    "categoricalcrossentropy": "softmax",
    "categoricalfocalcrossentropy": "softmax",
    "binarycrossentropy": "sigmoid",
    "binaryfocalcrossentropy": "sigmoid",
}
_CLASSES = {
    "sparsecategoricalcrossentropy": "SparseCategoricalCrossentropy",
    "categoricalcrossentropy": "CategoricalCrossentropy",
    "categoricalfocalcrossentropy": "CategoricalFocalCrossentropy",
    "binarycrossentropy": "BinaryCrossentropy",
    "binaryfocalcrossentropy": "BinaryFocalCrossentropy",
}
_MARGIN = 1e-3


class OutputsCheck:
    """Each output against its loss."""

    name = "the outputs against the loss"

    def __init__(self, traced: TracedModel, loss: Any) -> None:
        self._outputs = traced.recording.outputs
        loss = losses.given_or_compiled(getattr(traced.source, "model", None), loss)
        self._losses = attempt(lambda: losses.by_output(loss, self._outputs))[0] or []
        values = [tf.cast(output.value, tf.float32) for output in self._outputs]
        self.tensors: dict[str, Any] = {
            "extent": [[tf.reduce_min(value), tf.reduce_max(value)] for value in values]
        }

    def findings(self, facts: dict[str, Any]) -> Iterable[Finding]:
        """Of each output: squashed twice, or not what the loss takes it for."""
        for output in self._outputs:
            if output.first is not None:
                texts = {"name": output.name, "first": output.first, "ending": output.ending}
                yield finding("ends-twice", "warning", output.name, **texts)
        extents = facts.get("extent", [])
        for output, loss, extent in zip(self._outputs, self._losses, extents, strict=False):
            yield from _mismatch(output, loss, [float(value) for value in extent])


def _mismatch(output: ModelOutput, loss: Any, extent: list[float]) -> Iterator[Finding]:
    kind, from_logits = _kind(loss)
    if kind is None:
        return
    known = {"name": output.name, "loss": losses.name_of(loss)}
    line = f"loss=keras.losses.{_CLASSES[kind]}(from_logits={not from_logits})"
    if from_logits and output.ending != "linear":
        facts = known | {"ending": output.ending, "line": line}
        yield finding("loss-expects-logits", "warning", output.name, **facts)
    elif not from_logits and output.ending == "linear" and _is_no_probability(output, extent):
        facts = known | {"line": line, "activation": _ACTIVATIONS[kind]}
        code, (low, high) = "loss-expects-probabilities", extent
        yield finding(code, "error", output.name, low=low, high=high, **facts)


def _is_no_probability(output: ModelOutput, extent: list[float]) -> bool:
    """Whether an output comes straight out of a linear layer, or leaves the range from 0 to 1."""
    if output.hidden is None:
        operation = through_shape_ops(output.value)[-1].op
        if operation.type in {"BiasAdd", "AddV2"}:
            operation = through_shape_ops(operation.inputs[0])[-1].op
        if operation.type.startswith(MAKES_SCORES):
            return True
    low, high = extent
    return low < -_MARGIN or high > 1 + _MARGIN


def _kind(loss: Any) -> tuple[str | None, bool]:
    """The name of a loss of Keras in `_ACTIVATIONS`, and whether it takes logits."""
    resolved, _ = attempt(lambda: losses.resolved(loss))
    is_class = hasattr(resolved, "get_config")
    name = type(resolved).__name__ if is_class else getattr(resolved, "__name__", "")
    module = getattr(type(resolved) if is_class else resolved, "__module__", "")
    kind = name.replace("_", "").lower()
    if kind not in _ACTIVATIONS or not module.startswith("keras"):
        return None, False
    config = attempt(resolved.get_config)[0] if is_class else None  # type: ignore[union-attr]
    return kind, bool((config or {}).get("from_logits", False))
