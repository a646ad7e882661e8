"""The tap of a SavedModel: its graph, cut at the tapped layers into functions that tapes follow.

The operations of a SavedModel come from a file and are imported into a graph; a tape is not told of
them. It is told of calls of functions, so the graph is cut at each tapped activation: one function
leads from the images to the first, the next from there to the second, the last one to the outputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from gradcam.errors import GradCamError, ModelError
from gradcam.trace import inputs, sites
from gradcam.trace.graph import ancestors
from gradcam.trace.sites import Site
from gradcam.trace.tap_gradients import TapGradients, check_is_recording, own_errors_kept

if TYPE_CHECKING:
    from gradcam.trace.recording import Call
    from gradcam.trace.sources import Source


class SavedTap:
    """The tap of a SavedModel, called as a `Tap` is; it is no `keras.Model`.

    Attributes:
        layer: the path of the tapped layer; a tuple of paths where a list was given.
    """

    def __init__(self, source: Source, layer: Any, score: str) -> None:
        self._source = source
        several = isinstance(layer, list | tuple)
        wanted = list(layer) if several else [layer]
        if not wanted:
            raise GradCamError("bad-layer", received="an empty list")
        found: list[Call] = []
        self._structure: Any = None

        def trace(*tensors: tf.Tensor) -> list[tf.Tensor]:
            recording = source.record(list(tensors), None)
            found.extend(sites.chosen(recording, one, source.name) for one in wanted)
            is_logit = score == "logit"
            ends = [output.logits if is_logit else output.value for output in recording.outputs]
            self._structure = recording.structure
            return ends

        signature = [tf.TensorSpec(spec.shape, spec.dtype) for spec in source.specs() or ()]
        function = tf.compat.v1.wrap_function(trace, signature)
        tapped = [call.outputs[0] for call in found]
        borders = _in_order(tapped)
        self._places = [next(n for n, one in enumerate(borders) if one is own) for own in tapped]
        self._steps = _cut(function, borders)
        self._several = several
        made = [
            Site(call.path, None, 0, place) for call, place in zip(found, self._places, strict=True)
        ]
        self._gradients = TapGradients(source, made, several=several, score=score)
        self.layer = tuple(site.path for site in made) if several else made[0].path

    @tf.autograph.experimental.do_not_convert
    def __call__(
        self, images: Any, training: bool = False, tape: tf.GradientTape | None = None
    ) -> Any:
        """The activations and the outputs, as `Tap` returns them."""
        with own_errors_kept():
            if training:
                raise ModelError("saved-training")
            if tape is not None:
                check_is_recording(tape)
            leaves = inputs.tensors(self._source, images)
        given = [
            tf.cast(tf.convert_to_tensor(leaf), spec.dtype)
            for leaf, spec in zip(leaves, self._source.specs() or (), strict=True)
        ]
        made: list[tf.Tensor] = []
        for step in self._steps[:-1]:
            made.append(step(*given, *made))
            if tape is not None:
                tape.watch(made[-1])
        ends = self._steps[-1](*given, *made)
        outputs = tf.nest.pack_sequence_as(self._structure, tf.nest.flatten(ends))
        activations = [made[place] for place in self._places]
        if tape is not None:
            self._gradients.remember(tape, activations, outputs)
        return (activations if self._several else activations[0]), outputs

    def gradient(self, tape: tf.GradientTape, score: Any) -> Any:
        """The gradient of a score towards the activations, as `Tap.gradient` gives it."""
        return self._gradients.gradient(tape, score)


def _in_order(activations: list[tf.Tensor]) -> list[tf.Tensor]:
    """Activations without doubles, each behind those that it is computed from.

    A model and the last layer in it have the same one.
    """
    distinct = list({id(one): one for one in activations}.values())
    return sorted(distinct, key=lambda one: len(ancestors([one])))


def _cut(function: Any, activations: list[tf.Tensor]) -> list[Any]:
    """The functions (images, earlier activations) -> next activation, and at last -> outputs."""
    steps = []
    for number, activation in enumerate(activations):
        feeds = [*function.inputs, *activations[:number]]
        steps.append(function.prune(feeds, activation))
    steps.append(function.prune([*function.inputs, *activations], function.outputs))
    return steps
