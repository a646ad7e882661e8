"""The tap: a sub-model of the user's own layers that also returns intermediate activations.

Everything else in this package stands on what it does: a call of a layer is watched by a
`tf.GradientTape` in the moment it returns, wherever the layer sits in the model.
"""

from __future__ import annotations

import functools
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from gradcam.errors import GradCamError, LayerNotFoundError
from gradcam.trace import (
    examples,
    inputs,
    logit_sites,
    logits,
    private_keras,
    sites,
    sources,
)
from gradcam.trace.locking import one_trace_at_a_time
from gradcam.trace.recorder import Recorder, operations_of
from gradcam.trace.restoring import Belongings
from gradcam.trace.saved_taps import SavedTap
from gradcam.trace.sites import Site
from gradcam.trace.sources import KerasSource
from gradcam.trace.tap_gradients import TapGradients, check_is_recording, own_errors_kept
from gradcam.trace.watching import Watch

if TYPE_CHECKING:
    from gradcam.trace.logit_sites import LogitSite
    from gradcam.trace.recording import Call, Recording

SCORES = ("probability", "logit")


@dataclass(frozen=True, eq=False)
class _Plan:
    """What a tap does. It lies in an object of its own, so that Keras doesn't track its parts."""

    source: KerasSource
    sites: list[Site]
    several: bool
    score: str
    gradients: TapGradients

    @functools.cached_property
    def logit_sites(self) -> list[LogitSite | None]:
        """Where the logits are in eager code; found when they are first asked for."""
        return examples.recorded(self.source, logit_sites.found)


class Tap(keras.Model):
    """A model of another model's own layers that also returns the activations of some of them.

    `tap(images)` returns `(activations, outputs)`. `tap(images, tape=tape)` lets the tape watch
    each activation in the moment it is made, so that `tap.gradient(tape, score)` has an answer
    wherever the layer sits, and whether weights are frozen or not. Make one with `gradcam.tap`.

    The tapped model is left as it was: what a call would change in it, such as losses, counters
    and moving averages, goes nowhere.

    Attributes:
        layer: the path of the tapped layer; a tuple of paths where a list was given.
    """

    def __init__(self, model: keras.Model, layer: Any, score: str) -> None:
        # The tapped model casts its inputs itself, by its own policy.
        super().__init__(name=f"tap_{model.name}", dtype=model.dtype_policy, autocast=False)
        source = KerasSource(model)
        several = isinstance(layer, list | tuple)
        wanted = list(layer) if several else [layer]
        if not wanted:
            raise GradCamError("bad-layer", received="an empty list")

        def read(recording: Recording) -> list[Site]:
            calls = [sites.chosen(recording, one, source.name) for one in wanted]
            return [Site.of(call, recording) for call in calls]

        found = examples.recorded(source, read)
        gradients = TapGradients(source, found, several=several, score=score)
        self._plan = _Plan(source, found, several, score, gradients)
        self.model = model
        self.layer = tuple(site.path for site in found) if several else found[0].path
        self.built = True
        # Those of the model are the ones of the user's own last call.
        self.__dict__[private_keras.CLEAR_LOSSES] = lambda: None

    def compute_output_spec(
        self, images: Any, training: bool = False, tape: tf.GradientTape | None = None
    ) -> Any:
        """The shapes and types of what it returns; called where a model is built on the tap."""
        with own_errors_kept():
            if tape is not None:
                raise GradCamError("tape-symbolic")
            inputs.tensors(self._plan.source, images)
        return super().compute_output_spec(images, training=training)

    def call(self, images: Any, training: bool = False, tape: tf.GradientTape | None = None) -> Any:
        """Run the model.

        Args:
            images: what the model takes, with the batch axis.
            training: passed on to the model.
            tape: a tape that is recording; it watches the activations.

        Returns:
            The activations, a list of them where the tap was made of a list of layers, and what
            the model returns.
        """
        with own_errors_kept():
            return self._run(images, training, tape)

    def _run(self, images: Any, training: bool, tape: tf.GradientTape | None) -> Any:
        plan = self._plan
        if tape is not None:
            check_is_recording(tape)
        given = [leaf for leaf in inputs.tensors(plan.source, images) if tf.is_tensor(leaf)]
        graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
        wanted = plan.logit_sites if graph is None and plan.score == "logit" else []
        recorder = self._recorder(graph, tape, [where for where in wanted if where is not None])
        with plan.source.errors_named(recorder, given), recorder.watching(self.model):
            returned = self.model(images, training=training)
        activations = [self._activations(site, recorder) for site in plan.sites]
        if plan.score == "logit":
            returned = _with_logits(returned, wanted, recorder)
        if tape is not None:
            plan.gradients.remember(tape, activations, returned)
        return (activations if plan.several else activations[0]), returned

    def _recorder(
        self, graph: tf.Graph | None, tape: tf.GradientTape | None, ends: list[LogitSite]
    ) -> Recorder:
        """What records the calls of the tapped layers, and of those that end the model."""
        plan = self._plan
        calls: list[Call] = []

        def is_tapped(call: Call) -> bool:
            return any(site.is_of(call, calls) for site in plan.sites)

        return Recorder(
            graph,
            calls,
            watch=None if tape is None else Watch(tape, is_tapped),
            only=[site.layer for site in [*plan.sites, *(end.site for end in ends)]],
            activations_of=[end.site.layer for end in ends if end.argument is None],
        )

    def _activations(self, site: Site, recorder: Recorder) -> Any:
        """What a tapped call returned in this run."""
        call = site.among(recorder.calls)
        if call.inside is not None:
            raise LayerNotFoundError("tap-inside", path=site.path, inside=call.inside)
        return call.outputs[0] if len(call.outputs) == 1 else call.outputs

    def gradient(self, tape: tf.GradientTape, score: Any) -> Any:
        """The gradient of a score towards the activations, like those; never None.

        Where the tap was called several times under one tape, the activations are those of the last
        call, also for a score that was computed from others as well.

        Args:
            tape: the tape that `tap(images, tape=tape)` was called with.
            score: what was computed from the tap's outputs while that tape was recording.

        Raises:
            DisconnectedLayerError: the score doesn't depend on the layer.
            BlockedGradientError: an operation between them has no gradient; it says which, where.
            NonFiniteError: the gradient is NaN or infinite, where values are known.
        """
        return self._plan.gradients.gradient(tape, score)

    def get_config(self) -> dict[str, Any]:
        """Say that a tap can't be saved or cloned."""
        raise GradCamError("tap-not-saved", name=self.model.name)

    def save(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Say that a tap can't be saved, before there is a file."""
        self.get_config()

    def export(self, filepath: Any, format: str = "tf_saved_model", **options: Any) -> None:  # noqa: A002
        """Write a SavedModel that returns the activations, then the outputs, in one flat list."""
        if format != "tf_saved_model":
            raise GradCamError(
                "unknown-option",
                option="format",
                value=format,
                hint="",
                expected="'tf_saved_model', the only one that a tap is exported to",
                advice="Leave it out.",
            )
        source = self._plan.source
        signatures, structure = examples.signatures(source)

        def serve(*arrays: tf.Tensor) -> list[tf.Tensor]:
            return tf.nest.flatten(self(source.arguments(list(arrays), structure)))

        # Keras leaves its marks on every layer that it exports.
        with one_trace_at_a_time(), ExitStack() as stack:
            for operation in operations_of(self.model):
                stack.enter_context(Belongings(operation, tf.Graph()).kept())
            archive = keras.export.ExportArchive()
            archive.track(self)
            archive.add_endpoint("serve", serve, input_signature=signatures[0])
            archive.write_out(filepath, **options)


def tap(model: Any, layer: Any = None, *, score: str = "probability") -> Tap | SavedTap:
    """A sub-model that also returns the activations of a layer, for a `tf.GradientTape` to watch.

    Args:
        model: a built Keras model, or a SavedModel from `gradcam.load_model`.
        layer: the path of a layer, a layer object, a list of those, or None for the last feature
            map, found as `explain` finds it.
        score: `"probability"` returns the outputs as they are, `"logit"` what goes into a final
            softmax or sigmoid.

    >>> import keras, numpy as np
    >>> model = keras.Sequential([
    ...     keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
    ...     keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2),
    ... ])
    >>> tap = tap(model)
    >>> with tf.GradientTape() as tape:
    ...     activations, outputs = tap(np.ones((1, 8, 8, 3), "float32"), tape=tape)
    ...     score = outputs[:, 1]
    >>> tap.layer, tap.gradient(tape, score).shape
    ('conv', TensorShape([1, 6, 6, 4]))
    """
    if score not in SCORES:
        raise GradCamError(
            "unknown-option",
            option="score",
            value=score,
            hint="",
            expected="one of: probability, logit",
            advice="The probability is the default: the outputs as they are.",
        )
    source = sources.open_source(model)
    if isinstance(source, KerasSource):
        return Tap(source.model, layer, score)
    return SavedTap(source, layer, score)


def _with_logits(returned: Any, wanted: list[LogitSite | None], recorder: Recorder) -> Any:
    """The outputs with logits in the place of probabilities."""
    flat = tf.nest.flatten(returned)
    if wanted:
        flat = [
            logit_sites.logits(recorder.calls, where, output)
            for where, output in zip(wanted, flat, strict=True)
        ]
    else:
        flat = [logits.output_of(str(number), output).logits for number, output in enumerate(flat)]
    return tf.nest.pack_sequence_as(returned, flat)
