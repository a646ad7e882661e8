"""From images to a diagnosis: one trace, groups of checks, what they find."""

from __future__ import annotations

import functools
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import tensorflow as tf

from gradcam.doctor import check_activations, check_images, weight_values
from gradcam.doctor.check_activations import ActivationsCheck
from gradcam.doctor.check_gradients import GradientsCheck
from gradcam.doctor.check_images import ImagesCheck
from gradcam.doctor.check_map import MapCheck
from gradcam.doctor.check_outputs import OutputsCheck
from gradcam.doctor.check_transformers import TransformersCheck
from gradcam.doctor.check_weights import WeightsCheck
from gradcam.doctor.diagnosis import (
    Diagnosis,
    Finding,
    LayerGradient,
    finding,
    from_error,
    ordered,
    reworded,
    without_consequences,
)
from gradcam.doctor.traced_model import TracedModel, trace_model
from gradcam.doctor.unbuilt import UnbuiltSource
from gradcam.doctor.user_code import attempt, finding_of, not_looked_at
from gradcam.errors import ModelError
from gradcam.trace import kernels, sources
from gradcam.trace.sources import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gradcam.trace.inputs import Batch
    from gradcam.trace.sources import Source


class Check(Protocol):
    """One group of checks. It is made inside the trace, and asked when the tensors are known."""

    name: str
    tensors: dict[str, Any]

    def findings(self, facts: dict[str, Any]) -> Iterable[Finding]:
        """What is found, given the values of the tensors."""


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
    seen, examination = _examined(source, prepared.batch, layer, target, loss)
    found = without_consequences([*found, *prepared.findings, *seen])
    gradients, explained = (examination.gradients, examination.target) if examination else ((), "")
    return Diagnosis(ordered(found), gradients, source.name, explained)


def _opened(model: Any) -> tuple[Source | None, list[Finding], Exception | None]:
    """The model as a source, also where it is not built yet."""
    source, error = attempt(lambda: sources.open_source(model))
    if isinstance(error, ModelError) and error.code == "not-built":
        unbuilt = UnbuiltSource(model)
        said = reworded("not-built", "model-not-built", "warning", unbuilt.name, name=unbuilt.name)
        return unbuilt, [said], None
    return source, [], error


def _examined(
    source: Source, batch: Batch, layer: Any, target: Any, loss: Any
) -> tuple[list[Finding], Examination | None]:
    """Everything that is found in one recording of the model, and where it was."""
    made: list[Examination] = []

    def trace(*tensors: tf.Tensor) -> dict[str, Any]:
        made.append(Examination(trace_model(source, batch, tensors, layer, target), loss))
        return made[0].tensors

    signature = [tf.TensorSpec(array.shape, array.dtype) for array in batch.arrays]
    feeds = [tf.convert_to_tensor(array) for array in batch.arrays]
    # Not tf.function: its automatic control dependencies would run what a model does on the
    # side, such as counting its calls.
    function, error = attempt(lambda: tf.compat.v1.wrap_function(trace, signature))
    if function is None:
        return [not_looked_at("the model", error or RuntimeError())], None
    (examination,) = made
    values, error = attempt(lambda: function(*feeds))
    if error is not None and _has_python(function.graph):
        # Whether the gradient of a Python function fails is only known when it runs.
        with function.graph.as_default():
            traced = replace(examination.traced, python_fails=True)
            examination = Examination(traced, loss)
        values, error = attempt(lambda: _run(function, examination.tensors, feeds))
    if error is not None:
        values = examination.run_in_parts(function, feeds, error)
    return examination.findings(tf.nest.map_structure(_as_numpy, values)), examination


class Examination:
    """Every group of checks of a traced model. It is made in the graph of the trace.

    Args:
        traced: the model.
        loss: what `diagnose` was given.

    Attributes:
        traced: the model.
        target: what is explained, in words.
        tensors: what the checks want to know, by their names.
        gradients: the gradient at each layer, once the values of the tensors are known.
    """

    def __init__(self, traced: TracedModel, loss: Any) -> None:
        self.traced = traced
        self.target = traced.target
        self.gradients: tuple[LayerGradient, ...] = ()
        self._checks: list[Check] = []
        self._found = list(check_activations.failure(traced))
        self._values: dict[str, Any] = {}
        gradients, weights = None, None
        self._add(ImagesCheck.name, lambda: ImagesCheck(traced))
        self._add(ActivationsCheck.name, lambda: ActivationsCheck(traced))
        if traced.failure is None:
            gradients = self._add(GradientsCheck.name, lambda: GradientsCheck(traced))
            self._add(OutputsCheck.name, lambda: OutputsCheck(traced, loss))
            weights = self._add(WeightsCheck.name, lambda: WeightsCheck(traced, loss))
        else:
            groups = "the gradients and the explanation"
            self._found.append(not_looked_at(groups, "the model does not run to its end"))

        def scales() -> dict[int, float]:
            return weights.by_layer(self._values.get(weights.name, {})) if weights else {}

        self._add(TransformersCheck.name, lambda: TransformersCheck(traced, scales))
        if gradients is not None:
            gradient = gradients.at(traced.chosen)
            self._add(MapCheck.name, lambda: MapCheck(traced, gradient))
        self.tensors = {check.name: check.tensors for check in self._checks}

    def _add(self, group: str, make: Callable[[], Any]) -> Any:
        """A group of checks, or what kept it from being made as a finding."""
        check, error = attempt(make)
        if check is None:
            self._found.append(not_looked_at(group, error or RuntimeError()))
        else:
            self._checks.append(check)
        return check

    def findings(self, values: dict[str, Any]) -> list[Finding]:
        """Everything that is found, in the order of the groups, given the values of the tensors."""
        self._values = values
        for check in self._checks:
            known = values.get(check.name, {})
            found, error = attempt(functools.partial(_listed, check, known))
            self._found += [not_looked_at(check.name, error)] if error else found or []
            if isinstance(check, GradientsCheck):
                self.gradients = check.table(known)
        return self._found

    def run_in_parts(
        self, function: Any, feeds: list[tf.Tensor], error: Exception
    ) -> dict[str, Any]:
        """The values for the groups that can be run where the model raises when it runs."""
        operation, name = _failing(error, function.graph), self.traced.source.name
        call = self.traced.recording.maker(operation) if operation is not None else None
        where = call.path if call is not None and call.path else name
        self._found.append(_raises(error, where, name))
        known: dict[str, Any] = {}
        for check in self._checks:
            if isinstance(check, ActivationsCheck) and operation is not None:
                check.keep_before(operation)
            values, failed = attempt(functools.partial(_run, function, check.tensors, feeds))
            if failed is None:
                known[check.name] = values
            else:
                self._found.append(not_looked_at(check.name, "the model raises on the way"))
        return known


def _run(function: Any, tensors: dict[str, Any], feeds: list[tf.Tensor]) -> Any:
    """What some tensors of a traced function are."""
    return function.prune(function.inputs[: len(feeds)], tensors)(*feeds)


def _listed(check: Check, values: dict[str, Any]) -> list[Finding]:
    return list(check.findings(values))


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
