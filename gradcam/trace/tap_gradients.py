"""Gradients of a tap: what it returned under a tape, and why a gradient is missing."""

from __future__ import annotations

import itertools
import weakref
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from gradcam.errors import (
    BlockedGradientError,
    DisconnectedLayerError,
    GradCamError,
    NonFiniteError,
)
from gradcam.messages.wording import Images
from gradcam.trace import blockers, examples, private_keras, private_tensorflow
from gradcam.trace.feature_maps import FeatureMaps
from gradcam.trace.graph import ancestors
from gradcam.trace.sources import KerasSource

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gradcam.trace.logits import ModelOutput
    from gradcam.trace.recording import Recording
    from gradcam.trace.sites import Site
    from gradcam.trace.sources import Source


@dataclass(frozen=True)
class Returned:
    """What a call of a tap returned.

    Attributes:
        activations: those of each layer; a tuple where a layer has several.
        outputs: the outputs in a row, under their numbers; those of floats alone.
    """

    activations: list[Any]
    outputs: dict[int, tf.Tensor]


class TapGradients:
    """What a tap returned under each tape.

    Args:
        source: the tapped model.
        sites: the tapped calls.
        several: whether the tap was asked for a list of layers.
        score: whether it returns probabilities or logits.
    """

    def __init__(self, source: Source, sites: list[Site], *, several: bool, score: str) -> None:
        self._source = source
        self._sites = sites
        self._several = several
        self._score = score
        # By the tape, so that what it returned lives no longer than the tape.
        self._returned: weakref.WeakKeyDictionary[Any, Returned] = weakref.WeakKeyDictionary()

    def remember(self, tape: tf.GradientTape, activations: list[Any], outputs: Any) -> None:
        """Keep what the last call under a tape returned, and let the tape watch the outputs, too.

        By the outputs it can be told later whether a score was computed from them.
        """
        tensors = {
            number: output
            for number, output in enumerate(tf.nest.flatten(outputs))
            if isinstance(output, tf.Tensor) and output.dtype.is_floating
        }
        for output in tensors.values():
            tape.watch(output)
        self._returned[tape] = Returned(activations, tensors)

    @tf.autograph.experimental.do_not_convert
    def gradient(self, tape: tf.GradientTape, score: Any) -> Any:
        """The gradient of a score towards the activations, nested as they are; never None."""
        with own_errors_kept():
            check_is_tape(tape)
            returned = self._returned.get(tape)
            if returned is None:
                raise GradCamError("tape-unknown")
            _check_score(score)
            gradients = self._gradients(tape, score, returned)
        return gradients if self._several else gradients[0]

    def _gradients(self, tape: tf.GradientTape, score: tf.Tensor, returned: Returned) -> list[Any]:
        flat = tf.nest.flatten(returned.activations)
        if tf.executing_eagerly() and not all(hasattr(one, "numpy") for one in flat):
            raise GradCamError("tape-outside")
        for site, activation in zip(self._sites, returned.activations, strict=True):
            dtypes = [one.dtype for one in tf.nest.flatten(activation)]
            if not all(dtype.is_floating for dtype in dtypes):
                names = " and ".join(dict.fromkeys(dtype.name for dtype in dtypes))
                raise BlockedGradientError("tap-of-integers", path=site.path, dtype=names)
        found = iter(self._differentiated(tape, score, [*flat, *returned.outputs.values()]))
        by_activation = [
            [next(found) for _ in tf.nest.flatten(activation)]
            for activation in returned.activations
        ]
        used = [
            number for number, one in zip(returned.outputs, found, strict=True) if one is not None
        ]
        for number, of_call in enumerate(by_activation):
            if any(gradient is None for gradient in of_call):
                if not used:
                    raise DisconnectedLayerError("score-unrecorded")
                self._check_unused(number, of_call, used)
        gradients = [
            tf.zeros_like(activation) if gradient is None else tf.convert_to_tensor(gradient)
            for activation, gradient in zip(flat, itertools.chain(*by_activation), strict=True)
        ]
        nested = tf.nest.pack_sequence_as(returned.activations, gradients)
        triples = zip(self._sites, returned.activations, nested, strict=True)
        # The way back begins at the call that returned last.
        for site, *pair in sorted(triples, key=lambda triple: triple[0].end, reverse=True):
            _check_finite(site, *map(tf.nest.flatten, pair))
        return nested

    def _differentiated(
        self, tape: tf.GradientTape, score: tf.Tensor, towards: list[tf.Tensor]
    ) -> list[Any]:
        if private_tensorflow.is_spent(tape):
            raise GradCamError("tape-spent")
        try:
            return list(tape.gradient(score, towards))
        except LookupError as error:  # an operation without a registered gradient
            raise self._unregistered(error) from error

    def _check_unused(self, number: int, gradients: list[Any], used: list[int]) -> None:
        """Raise unless a missing gradient is zero, as that of an output that nothing uses.

        A recurrent layer returns its last state beside its sequence, and most models drop it. A
        layer that is not used at all is another matter: whoever taps it is mistaken.

        Args:
            number: of the tapped call.
            gradients: those towards its outputs.
            used: the numbers of the model's outputs that the score was computed from.
        """

        def read(recording: Recording) -> GradCamError | None:
            call = self._sites[number].among(recording.calls)
            outputs = [recording.outputs[place] for place in used]
            score = _sum_of(outputs, self._score)
            lacking = [
                output
                for output, gradient in zip(call.outputs, gradients, strict=True)
                if gradient is None
            ]
            is_used = blockers.connected(lacking, ancestors([score]))
            if not is_used and len(lacking) < len(call.outputs):
                return None
            is_keras = isinstance(self._source, KerasSource)
            if is_used and is_keras and not recording.is_seen_by_tapes:
                names = ["tf.recompute_grad, in whose block no tape records"]
                return blockers.blocked(call.path, "the score", names, ())
            maps = FeatureMaps(recording, outputs, [score])
            return blockers.missing_gradient(recording, call, score, "the score", maps.candidates())

        error = examples.recorded(self._source, read)
        if error is not None:
            raise error

    def _unregistered(self, error: LookupError) -> GradCamError:
        def read(recording: Recording) -> GradCamError:
            call = self._sites[0].among(recording.calls)
            score = _sum_of(recording.outputs, self._score)
            names = [blockers.unregistered(error, call.outputs, score, recording)]
            return blockers.blocked(call.path, "the score", names, ())

        return examples.recorded(self._source, read)


@contextmanager
def own_errors_kept() -> Iterator[None]:
    """Let the errors of this package pass Keras and AutoGraph, which make others of what they meet."""
    try:
        yield
    except GradCamError as error:
        private_keras.keep_words(error)
        private_tensorflow.keep_class(error)
        raise


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


def _sum_of(outputs: Sequence[ModelOutput], score: str) -> tf.Tensor:
    """A number that is computed from all of some outputs, or from their logits."""
    ends = [output.explained_tensor(score) for output in outputs]
    return tf.add_n([tf.reduce_sum(tf.cast(end, tf.float32)) for end in ends])


def _check_finite(site: Site, activations: list[tf.Tensor], gradients: list[tf.Tensor]) -> None:
    """Raise for a gradient that is not finite, where values are known."""
    for activation, gradient in zip(activations, gradients, strict=True):
        if not hasattr(gradient, "numpy"):
            return
        finite = tf.reduce_all(tf.math.is_finite(gradient), list(range(1, gradient.shape.rank)))
        if not np.all(finite):
            forward = bool(tf.reduce_all(tf.math.is_finite(activation)))
            raise NonFiniteError(
                "non-finite-gradients" if forward else "non-finite-activations",
                kind="NaN or an infinity" if forward else "NaN",
                target="the score",
                images=Images(np.flatnonzero(~np.atleast_1d(finite)).tolist()),
                path=site.path if forward else f"'{site.path}'",
            )
