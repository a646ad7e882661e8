"""The walk: images -> one trace -> six groups of checks -> a diagnosis."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from gradcam.doctor import check_activations, check_images, weight_values
from gradcam.doctor.check_activations import ActivationsCheck
from gradcam.doctor.check_gradients import GradientsCheck
from gradcam.doctor.check_images import ImagesCheck
from gradcam.doctor.check_map import MapCheck
from gradcam.doctor.check_outputs import OutputsCheck
from gradcam.doctor.check_transformers import TransformersCheck
from gradcam.doctor.check_weights import WeightsCheck
from gradcam.doctor.consequences import without_consequences
from gradcam.doctor.diagnosis import (
    Diagnosis,
    Finding,
    LayerGradient,
    finding,
    from_error,
    ordered,
    reworded,
)
from gradcam.doctor.traced_model import Check, trace_model
from gradcam.doctor.unbuilt import UnbuiltSource
from gradcam.doctor.user_code import attempt, finding_of, not_looked_at
from gradcam.errors import ModelError
from gradcam.trace import kernels, sources
from gradcam.trace.sources import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradcam.trace.inputs import Batch
    from gradcam.trace.recording import Recording
    from gradcam.trace.sources import Source


def diagnose(
    model: Any, images: Any, layer: Any = None, target: Any = None, loss: Any = None
) -> Diagnosis:
    """Why is it None, why is it blank, why doesn't it learn.

    Never changes the model, and never raises for what is wrong with it: what could not be looked at
    is itself a finding.

    Args:
        model: a Keras model, broken or not, or what `gradcam.load_model` returns.
        images: what the model takes; None for noise.
        layer: the path of the layer that shall be explained; None for the automatic choice.
        target: what is explained, as in `gradcam.explain`; a class, or one an image, is also the
            label that the loss is measured against.
        loss: a Keras loss, its name, or a function of labels and outputs; None takes the one that
            the model was compiled with. Without a class as `target` the labels are what the model
            does *not* say (the class after its top class, its own output plus one), because a model
            that agrees with its labels has no gradient.

    >>> import keras, numpy as np
    >>> model = keras.Sequential([
    ...     keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="conv"),
    ...     keras.layers.Lambda(lambda x: x * np.nan, name="scale"),
    ...     keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2),
    ... ])
    >>> diagnosis = diagnose(model, np.random.rand(2, 8, 8, 3).astype("float32"))
    >>> diagnosis.findings[0].code, diagnosis.findings[0].where
    ('non-finite-activations', 'scale')
    """
    source, found, error = _opened(model)
    if source is None:
        return Diagnosis((finding_of(error or TypeError(), "model", "the model"),))
    found += weight_values.not_finite(source)
    prepared = check_images.prepare(source, images)
    if prepared.batch is None:
        unseen = not_looked_at("everything behind the images", "the model can't take them")
        return Diagnosis(ordered([*found, *prepared.findings, unseen]), model=source.name)
    examination = Examination(source, prepared.batch, layer, target, loss)
    seen = examination.findings()
    if examination.has_opaque_function:
        # Whether the gradient of a Python function fails is only known when it runs.
        examination = Examination(source, prepared.batch, layer, target, loss, is_opaque=True)
        seen = examination.findings()
    found = without_consequences([*found, *prepared.findings, *seen])
    return Diagnosis(ordered(found), examination.gradients, source.name, examination.target)


def _opened(model: Any) -> tuple[Source | None, list[Finding], Exception | None]:
    """The model as a source, also where it is not built yet."""
    source, error = attempt(lambda: sources.open_source(model))
    if isinstance(error, ModelError) and error.code == "not-built":
        unbuilt = UnbuiltSource(model)
        said = reworded("not-built", "model-not-built", "warning", unbuilt.name, name=unbuilt.name)
        return unbuilt, [said], None
    return source, [], error


class Examination:
    """One traced look at a model."""

    def __init__(
        self,
        source: Source,
        batch: Batch,
        layer: Any,
        target: Any,
        loss: Any,
        *,
        is_opaque: bool = False,
    ) -> None:
        self._source, self._batch, self._is_opaque = source, batch, is_opaque
        self.has_opaque_function = False
        self._asked = layer, target, loss
        self._checks: list[Check] = []
        self._found: list[Finding] = []
        self._facts: dict[str, Any] = {}
        self._recording: Recording | None = None
        self.gradients: tuple[LayerGradient, ...] = ()
        self.target = ""

    def findings(self) -> list[Finding]:
        """Everything that is found, in the order of the groups."""
        arrays = self._batch.arrays
        signature = [tf.TensorSpec(array.shape, array.dtype) for array in arrays]
        feeds = [tf.convert_to_tensor(array) for array in arrays]
        # Not tf.function: its automatic control dependencies would run what a model does on the
        # side, such as counting its calls.
        function, error = attempt(lambda: tf.compat.v1.wrap_function(self._trace, signature))
        if function is None:
            return [*self._found, not_looked_at("the model", error or RuntimeError())]
        seen, error = attempt(lambda: function(*feeds))
        if error is not None and not self._is_opaque and _has_python(function.graph):
            self.has_opaque_function = True
            return []
        if error is not None:
            seen = self._run_in_parts(function, feeds, error)
        self._facts = tf.nest.map_structure(_as_numpy, seen)
        for check in self._checks:
            self._collect(check)
        return self._found

    def _trace(self, *tensors: tf.Tensor) -> dict[str, Any]:
        layer, target, loss = self._asked
        traced = trace_model(
            self._source, self._batch, tensors, layer, target, is_opaque=self._is_opaque
        )
        self.target, self._recording = traced.target, traced.recording
        self._found += check_activations.failure(traced)
        self._add_check(ImagesCheck.name, lambda: ImagesCheck(traced))
        self._add_check(ActivationsCheck.name, lambda: ActivationsCheck(traced))
        if traced.failure is None:
            gradients = self._add_check(GradientsCheck.name, lambda: GradientsCheck(traced))
            self._add_check(OutputsCheck.name, lambda: OutputsCheck(traced, loss))
            weights = self._add_check(WeightsCheck.name, lambda: WeightsCheck(traced, loss))
        else:
            gradients = weights = None
            groups = "the gradients and the explanation"
            self._found.append(not_looked_at(groups, "the model does not run to its end"))

        def scales() -> dict[int, float]:
            return weights.by_layer(self._facts.get(weights.name, {})) if weights else {}

        self._add_check(TransformersCheck.name, lambda: TransformersCheck(traced, scales))
        if gradients is not None:
            gradient = gradients.at(traced.chosen)
            self._add_check(MapCheck.name, lambda: MapCheck(traced, gradient))
        return {check.name: check.tensors for check in self._checks}

    def _add_check(self, group: str, make: Callable[[], Any]) -> Any:
        """A group of checks, or what kept it from being made as a finding."""
        check, error = attempt(make)
        if check is None:
            self._found.append(not_looked_at(group, error or RuntimeError()))
        else:
            self._checks.append(check)
        return check

    def _collect(self, check: Check) -> None:
        known = self._facts.get(check.name, {})
        found, error = attempt(lambda: list(check.findings(known)))
        self._found += [not_looked_at(check.name, error)] if error else found or []
        if isinstance(check, GradientsCheck):
            self.gradients = check.table(known)

    def _run_in_parts(
        self, function: Any, feeds: list[tf.Tensor], error: Exception
    ) -> dict[str, Any]:
        """The facts of the groups that can be run where the model raises when it runs."""
        operation = _failing(error, function.graph)
        recording = self._recording
        call = recording.maker(operation) if operation is not None and recording else None
        where = call.path if call is not None and call.path else self._source.name
        self._found.append(_raises(error, where, self._source.name))
        known: dict[str, Any] = {}
        for check in self._checks:
            if isinstance(check, ActivationsCheck) and operation is not None:
                check.keep_before(operation)
            part = function.prune(function.inputs[: len(feeds)], check.tensors)
            values, failed = attempt(functools.partial(part, *feeds))
            if failed is None:
                known[check.name] = values
            else:
                self._found.append(not_looked_at(check.name, "the model raises on the way"))
        return known


def _raises(error: Exception, where: str, model: str) -> Finding:
    """The finding of an error that TensorFlow raised when the model ran."""
    lacking = kernels.missing(error, model)
    if lacking is not None:
        return from_error(lacking, where)
    return finding(
        "raises-when-run",
        "error",
        where,
        where=f"'{where}'",
        error=type(error).__name__,
        reason=reason_of(error),
    )


def _has_python(graph: tf.Graph) -> bool:
    return any(operation.type == "EagerPyFunc" for operation in graph.get_operations())


def _as_numpy(value: Any) -> Any:
    return value.numpy() if isinstance(value, tf.Tensor) else value


def _failing(error: Exception, graph: tf.Graph) -> tf.Operation | None:
    """The operation that an error of TensorFlow's runtime names."""
    names = re.findall(r"\{\{node ([^}]+)\}\}", str(error))
    known = {operation.name: operation for operation in graph.get_operations()}
    return next((known[name] for name in names if name in known), None)
