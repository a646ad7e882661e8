"""Gradients of a tap: what it returned under a tape, and why a gradient is missing."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from gradcam.errors import DisconnectedLayerError, GradCamError, NonFiniteError
from gradcam.messages.findings import Images
from gradcam.trace import blockers, examples, private_tensorflow
from gradcam.trace.feature_maps import FeatureMaps

if TYPE_CHECKING:
    from gradcam.trace.recording import Recording
    from gradcam.trace.sites import Site
    from gradcam.trace.sources import Source


@dataclass(frozen=True)
class Returned:
    """What a call of a tap returned: the activations of each layer, and the outputs in a row."""

    activations: list[Any]
    outputs: list[tf.Tensor]


class TapGradients:
    """What a tap returned under each tape.

    Args:
        source: the tapped model.
        sites: the tapped calls.
        several: whether the tap was asked for a list of layers.
    """

    def __init__(self, source: Source, sites: list[Site], *, several: bool) -> None:
        self._source = source
        self._sites = sites
        self._several = several
        # By the tape, so that what it returned lives no longer than the tape.
        self._returned: weakref.WeakKeyDictionary[Any, Returned] = weakref.WeakKeyDictionary()

    def remember(self, tape: tf.GradientTape, activations: list[Any], outputs: Any) -> None:
        """Keep what the last call under a tape returned, and let the tape watch the outputs, too.

        By the outputs it can be told later whether a score was computed from them.
        """
        tensors = [one for one in tf.nest.flatten(outputs) if isinstance(one, tf.Tensor)]
        for output in tensors:
            if output.dtype.is_floating:
                tape.watch(output)
        self._returned[tape] = Returned(activations, tensors)

    def gradient(self, tape: tf.GradientTape, score: Any) -> Any:
        """The gradient of a score towards the activations, nested as they are; never None."""
        check_is_tape(tape)
        returned = self._returned.get(tape)
        if returned is None:
            raise GradCamError("tape-unknown")
        _check_score(score)
        flat = tf.nest.flatten(returned.activations)
        found = self._differentiated(tape, score, flat, returned.outputs)
        gradients, by_output = found[: len(flat)], found[len(flat) :]
        if any(gradient is None for gradient in gradients):
            known = iter(gradients)
            lacking = [
                None in [next(known) for _ in tf.nest.flatten(activation)]
                for activation in returned.activations
            ]
            used = [number for number, one in enumerate(by_output) if one is not None]
            raise self._missing(lacking.index(True), used)
        dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
        for activation, gradient in zip(flat, dense, strict=True):
            _check_finite(activation, gradient, self._sites)
        nested = tf.nest.pack_sequence_as(returned.activations, dense)
        return nested if self._several else nested[0]

    def _differentiated(
        self,
        tape: tf.GradientTape,
        score: tf.Tensor,
        activations: list[tf.Tensor],
        outputs: list[tf.Tensor],
    ) -> list[Any]:
        if private_tensorflow.is_spent(tape):
            raise GradCamError("tape-spent")
        try:
            return list(tape.gradient(score, [*activations, *outputs]))
        except LookupError as error:  # an operation without a registered gradient
            raise self._unregistered(error) from error

    def _missing(self, number: int, used: list[int]) -> GradCamError:
        """Why there is no gradient towards the tapped call of this number.

        Args:
            number: of the call.
            used: the numbers of the outputs that the score was computed from.
        """
        if not used:
            return DisconnectedLayerError("score-unrecorded")

        def read(recording: Recording) -> GradCamError:
            call = self._sites[number].call_in(recording)
            outputs = [recording.outputs[place] for place in used if place < len(recording.outputs)]
            score = tf.add_n([tf.reduce_sum(_as_float(output.value)) for output in outputs])
            maps = FeatureMaps(recording, outputs, [score])
            return blockers.missing_gradient(recording, call, score, "the score", maps.candidates())

        return examples.recorded(self._source, read)

    def _unregistered(self, error: LookupError) -> GradCamError:
        def read(recording: Recording) -> GradCamError:
            call = self._sites[0].call_in(recording)
            score = tf.add_n([tf.reduce_sum(_as_float(o.value)) for o in recording.outputs])
            names = [blockers.unregistered(error, call.outputs, score, recording)]
            return blockers.blocked(call.path, "the score", names, ())

        return examples.recorded(self._source, read)


def check_is_tape(tape: Any) -> None:
    """Raise unless a tape is one."""
    if not isinstance(tape, tf.GradientTape):
        raise GradCamError("tape-kind", received=_named(tape))


def check_is_recording(tape: Any) -> None:
    """Raise unless a tape is one, and records in this moment."""
    check_is_tape(tape)
    if not private_tensorflow.is_recording(tape):
        raise GradCamError("tape-not-recording")


def _check_score(score: Any) -> None:
    if not isinstance(score, tf.Tensor):
        raise GradCamError("score-kind", received=_named(score))
    if not score.dtype.is_floating:
        raise GradCamError("score-kind", received=f"a tensor of {score.dtype.name}")


def _named(value: Any) -> str:
    if isinstance(value, np.ndarray | np.generic):
        return "a NumPy array"
    if isinstance(value, keras.KerasTensor):
        return "a KerasTensor, which has no value yet"
    return "None" if value is None else f"a {type(value).__name__}"


def _as_float(tensor: tf.Tensor) -> tf.Tensor:
    return tensor if tensor.dtype == tf.float32 else tf.cast(tensor, tf.float32)


def _check_finite(activation: tf.Tensor, gradient: tf.Tensor, sites: list[Site]) -> None:
    """Raise for a gradient that is not finite, where values are known."""
    if not tf.executing_eagerly() or not hasattr(gradient, "numpy"):
        return
    axes = list(range(1, gradient.shape.rank))
    finite = tf.reduce_all(tf.math.is_finite(gradient), axes).numpy()
    if np.all(finite):
        return
    forward = bool(tf.reduce_all(tf.math.is_finite(activation)))
    raise NonFiniteError(
        "non-finite-gradients" if forward else "non-finite-activations",
        kind="NaN or an infinity" if forward else "NaN",
        target="the score",
        images=Images(np.flatnonzero(~np.atleast_1d(finite)).tolist()),
        path=sites[0].path if forward else f"'{sites[0].path}'",
    )
