"""The explanation: whether the chosen layer can say where, and whether the score can say what."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from gradcam.cam import run
from gradcam.cam.methods import METHODS
from gradcam.doctor.diagnosis import Finding, finding
from gradcam.doctor.traced_model import image_numbers
from gradcam.messages import wording
from gradcam.trace.feature_maps import positions
from gradcam.trace.graph import SHAPE_OPS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gradcam.doctor.traced_model import TracedModel
    from gradcam.trace.logits import ModelOutput
    from gradcam.trace.recording import Call

_COARSE = 4
_SURE = 0.9999
_DOMINANT = 0.9
# In a map of few channels one is easily the largest.
_MANY_CHANNELS = 8
_ACTIVATIONS = frozenset(
    {"Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Softplus", "Sigmoid", "Tanh"}
)
# Between a convolution and its activation.
_BETWEEN = frozenset({"BiasAdd", "FusedBatchNormV3", "AddV2", "Add", "Mul", "Sub"}) | (
    SHAPE_OPS - {"StopGradient"}
)


class MapCheck:
    """Grad-CAM's map at the chosen layer."""

    name = "the explanation"

    def __init__(self, traced: TracedModel, gradient: tf.Tensor | None) -> None:
        self._traced = traced
        self._call = traced.chosen
        self.tensors: dict[str, Any] = {}
        self._outputs = [
            output
            for output in traced.recording.outputs
            if output.ending in {"softmax", "sigmoid"} and output.value.shape.rank == 2
        ]
        if traced.recording.outputs:
            self.tensors["probabilities"] = [
                tf.cast(output.value, tf.float32) for output in self._outputs
            ]
        if self._call is not None and gradient is not None:
            self._measure(self._call, gradient)

    def _measure(self, call: Call, gradient: tf.Tensor) -> None:
        activations = tf.cast(call.outputs[0], tf.float32)
        if self._traced.maps.data_format(call) == "channels_first":
            activations, gradient = run.channels_last(activations), run.channels_last(gradient)
        axes = list(range(1, activations.shape.rank - 1))
        weights = tf.reduce_mean(gradient, axes)
        maps = METHODS["gradcam"].function(activations=activations, gradients=gradient)
        self.tensors |= {
            "weights": weights,
            "parts": tf.abs(weights) * tf.reduce_sum(tf.abs(activations), axes),
            "map": [tf.reduce_min(maps, axes), tf.reduce_max(maps, axes)],
        }

    def findings(self, facts: dict[str, Any]) -> Iterable[Finding]:
        """Of the layer, then of its map, then of the score."""
        call = self._call
        if call is not None:
            yield from self._of_layer(call)
            if "weights" in facts:
                yield from self._of_map(call, facts)
        for output, values in zip(self._outputs, facts.get("probabilities", []), strict=False):
            yield from self._of_probabilities(output, np.asarray(values))
        for output in self._traced.recording.outputs:
            if output.hidden:
                texts = {"name": output.name, "activation": output.hidden}
                yield finding("explain-hidden-ending", "warning", output.name, **texts)

    def _of_layer(self, call: Call) -> Iterator[Finding]:
        traced = self._traced
        sizes = positions(call.outputs[0].shape, traced.maps.data_format(call))
        known = [size for size in sizes if size is not None]
        # A map along one axis has few positions for other reasons.
        if len(sizes) > 1 and known and min(known) < _COARSE:
            earlier = [p for p in traced.maps.candidates() if self._is_finer(p)]
            other = f", such as '{earlier[-1]}'" if earlier else ""
            texts = {"size": " x ".join(map(str, sizes)), "share": 1 / math.prod(known)}
            # Whoever did not choose it may never look at the map.
            severity = "note" if traced.layer is None else "warning"
            yield finding(
                "explain-coarse", severity, call.path, path=call.path, other=other, **texts
            )
        if traced.layer is not None:
            activation = self._activation_after(call)
            if activation is not None:
                yield finding(
                    "explain-before-activation",
                    "warning",
                    call.path,
                    path=call.path,
                    activation=activation.path,
                )
        outer = _nested_in(call)
        if outer is not None:
            texts = {"path": call.path, "outer": outer.path, "target": traced.target}
            yield finding("explain-nested", "note", call.path, **texts)

    def _is_finer(self, path: str) -> bool:
        call = next(call for call in self._traced.recording.calls if call.path == path)
        sizes = positions(call.outputs[0].shape, self._traced.maps.data_format(call))
        return all(size is None or size >= _COARSE for size in sizes)

    def _activation_after(self, call: Call) -> Call | None:
        """The layer that applies the activation to a layer's linear output."""
        tensor = call.outputs[0]
        if tensor.op.type in _ACTIVATIONS or not call.has_weights:
            return None
        while True:
            users = [op for op in tensor.consumers() if op in self._traced.score_operations]
            if len(users) != 1 or not users[0].outputs:
                return None
            if users[0].type in _ACTIVATIONS:
                found = self._traced.recording.maker(users[0])
                return found if found is not None and found is not call and found.path else None
            if users[0].type not in _BETWEEN or self._adds_layers(users[0]):
                return None
            tensor = users[0].outputs[0]

    def _adds_layers(self, operation: tf.Operation) -> bool:
        """Whether an operation joins two values that both depend on the images."""
        return sum(tensor.op in self._traced.image_operations for tensor in operation.inputs) > 1

    def _of_map(self, call: Call, facts: dict[str, Any]) -> Iterator[Finding]:
        weights, parts = np.asarray(facts["weights"]), np.asarray(facts["parts"])
        low, high = (np.asarray(extreme) for extreme in facts["map"])
        if not (np.isfinite(weights).all() and np.isfinite(parts).all()):
            return
        path = call.path
        negative = image_numbers((weights <= 0).all(1) & (weights < 0).any(1) & (high <= 0))
        if negative:
            images = wording.Images(negative)
            texts = {"path": path, "target": self._traced.target, "images": images}
            yield finding("explain-all-negative", "warning", path, **texts)
        size = np.maximum(np.abs(low), np.abs(high))
        flat = image_numbers((high - low <= 1e-6 * size) & (size > 0))
        if flat:
            images = wording.Images(flat)
            yield finding("explain-constant-map", "warning", path, path=path, images=images)
        total = parts.sum(1)
        share = parts.max(1) / np.where(total > 0, total, 1)
        single = image_numbers(share > _DOMINANT)
        if single and parts.shape[1] >= _MANY_CHANNELS:
            channels = wording.listing(sorted({int(parts[n].argmax()) for n in single}), limit=6)
            yield finding(
                "explain-one-channel",
                "note",
                path,
                path=path,
                channels=f"number {channels}",
                share=float(share[single].mean()),
                images=wording.Images(single),
            )

    def _of_probabilities(self, output: ModelOutput, values: np.ndarray) -> Iterator[Finding]:
        if not np.isfinite(values).all():
            return
        of_target = values.max(1) if values.shape[1] > 1 else np.maximum(values, 1 - values)[:, 0]
        saturated = image_numbers(of_target > _SURE)
        if saturated and not (output.ending == "softmax" and values.shape[1] == 1):
            yield finding(
                "explain-saturated",
                "note",
                output.name,
                target=self._traced.target,
                low=float(of_target[saturated].min()),
                high=float(of_target[saturated].max()),
                images=wording.Images(saturated),
            )


def _nested_in(call: Call) -> Call | None:
    """The outermost model, other than the whole, that a call runs in."""
    outer = call.parent
    found = None
    while outer is not None and outer.path:
        found = outer
        outer = outer.parent
    return found
