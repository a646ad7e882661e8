"""One traced function from images to maps, and what was found out while it was traced.

A program is traced once for the shape of the images and the kind of targets, with an open batch
axis, so a last, smaller batch costs nothing. It holds the model's variables by reference: weights
that are trained further are seen. It holds on to the model's layers, but not to the model.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import tensorflow as tf

from gradcam.cam import blank, evidence, heatmaps, run
from gradcam.cam.methods import METHODS
from gradcam.cam.run import Run
from gradcam.trace import paths, pixel_range
from gradcam.trace.feature_maps import FeatureMaps, may_be_chosen
from gradcam.trace.sites import Site
from gradcam.trace.watching import Watch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradcam.cam.blank import LayerFacts, MapFacts
    from gradcam.cam.heatmaps import Drawn
    from gradcam.cam.methods import Method
    from gradcam.cam.question import Question
    from gradcam.cam.run import Tapped
    from gradcam.cam.settings import Settings
    from gradcam.trace.recording import Call
    from gradcam.trace.sources import Source


class Results(NamedTuple):
    """What a program gives for some images.

    Attributes:
        scores: of each aim, (batch, classes).
        indices: of each aim, the explained classes, -1 where what is explained is no class.
        outputs: what the model returned.
        finite_inputs: of each input, whether each image is finite.
        finite_scores: whether each image's scores are.
        layers: what is known of each tapped layer.
        maps: what is known of each layer's map by each method.
        drawn: the maps of each layer, or of all of them fused, by each method.
    """

    scores: Sequence[Any]
    indices: Sequence[Any]
    outputs: Any
    finite_inputs: Sequence[Any]
    finite_scores: Any
    layers: Sequence[LayerFacts]
    maps: Sequence[Sequence[MapFacts]]
    drawn: Sequence[Sequence[Drawn]]


@dataclass(frozen=True, eq=False)
class Program:
    """A traced function.

    Attributes:
        run: what was traced.
        function: what runs.
    """

    run: Run
    function: Any
    _parts: dict[Any, Any] = field(default_factory=dict)

    def __call__(self, question: Question) -> Results:
        """Answer a question of the kind that it was traced for, in arrays."""
        results = self.function(*map(tf.convert_to_tensor, question.arrays()))
        return tf.nest.map_structure(_as_array, results)

    @property
    def is_fixed(self) -> bool:
        """Whether it takes batches of one size alone."""
        return self.run.recording.inputs[0].shape[0] is not None

    def values(self, question: Question, tensors: Sequence[tf.Tensor]) -> list[Any]:
        """What tensors of the traced run are for some images."""
        key = tuple(tensor.ref() for tensor in tensors)
        if key not in self._parts:
            self._parts[key] = self.function.prune(self.function.inputs, list(tensors))
        part = self._parts[key]
        found = part(*map(tf.convert_to_tensor, question.arrays()))
        return [tensor.numpy() for tensor in found]


class _Unheard(Exception):  # noqa: N818 - a way out of a trace, not an error
    """The tape did not listen to the layers that turned out to be meant."""

    def __init__(self, places: list[Site]) -> None:
        self.places = places


def traced(source: Source, settings: Settings, question: Question, rows: int | None) -> Program:
    """Trace a program.

    Args:
        source: the model.
        settings: what was asked for.
        question: a question of the kind to trace for.
        rows: the size of the batch, None to leave it open.
    """
    try:
        return _traced(source, settings, question, rows, [])
    except _Unheard as unheard:
        return _traced(source, settings, question, rows, unheard.places)


def _traced(
    source: Source, settings: Settings, question: Question, rows: int | None, places: list[Site]
) -> Program:
    found: list[Run] = []
    waiting = [source]  # what is traced must not keep the model

    def trace(*tensors: tf.Tensor) -> Results:
        found.append(_run(waiting.pop(), settings, question, tensors, places))
        return _results(found[0])

    # Not tf.function: its automatic control dependencies would run what a model does on the side,
    # such as counting its calls.
    function = tf.compat.v1.wrap_function(trace, question.signature(rows))
    found[0].recording.calls[0].layer = None  # the model itself
    return Program(found[0], function)


def _run(
    source: Source,
    settings: Settings,
    question: Question,
    tensors: Sequence[tf.Tensor],
    places: list[Site],
) -> Run:
    """Run the model in the trace, and find what is explained."""
    count = len(question.batch.arrays)
    nested = [aim.arguments for aim in question.aims]
    arguments = tf.nest.pack_sequence_as(nested, list(tensors[count:]))
    calls: list[Call] = []
    watch = _watch(settings, places, calls)
    with contextlib.nullcontext() if watch is None else watch.tape:
        recording = source.record(list(tensors[:count]), question.batch.structure, calls, watch)
        outputs = run.read_outputs(recording, settings)
        aims = run.aimed(question.aims, arguments, outputs)
    maps = FeatureMaps(recording, outputs.outputs, [aimed.scores for aimed in aims])
    tapped = run.tapped(recording, maps, settings, aims[0].target, source.name)
    if watch is not None and recording.is_seen_by_tapes:
        unheard = [layer.call for layer in tapped if not watch.saw(layer.call)]
        if unheard:
            raise _Unheard([Site.of(layer.call, recording) for layer in tapped])
    known = pixel_range.learned_by(recording)
    return Run(settings, recording, outputs, aims, maps, tapped, known)


def _watch(settings: Settings, places: list[Site], calls: list[Call]) -> Watch | None:
    """The tape, and which calls it watches.

    Where nobody names a layer, it listens from the last call on that looks like the last feature
    map: what it heard before would be differentiated as well.
    """
    if not settings.differentiates:
        return None
    tape = tf.GradientTape(persistent=True, watch_accessed_variables=False)
    if places:
        return Watch(tape, lambda call: any(place.is_of(call, calls) for place in places))
    if settings.layers == (None,):
        return Watch(tape, may_be_chosen, only_the_last=True)
    named = [layer for layer in settings.layers if layer is not None]
    if len(named) == len(settings.layers):
        return Watch(tape, lambda call: any(paths.may_mean(layer, call) for layer in named))
    return Watch(tape, lambda _: True)


def _results(run: Run) -> Results:
    """Evidence, maps and heatmaps of a run."""
    methods = [METHODS[name] for name in run.settings.methods]
    for method in methods:
        evidence.check(method)
    wanted = ["activations", *(name for method in methods for name in method.evidence)]
    known = [evidence.gathered(wanted, tapped, run) for tapped in run.tapped]
    raw = [[_maps(method, of_layer) for method in methods] for of_layer in known]
    return Results(
        scores=[aimed.scores for aimed in run.aims],
        indices=[aimed.index for aimed in run.aims],
        outputs=run.recording.structure,
        finite_inputs=[heatmaps.finite_rows(tensor) for tensor in run.recording.inputs],
        finite_scores=heatmaps.finite_rows(run.scores),
        layers=[blank.layer_facts(of_layer) for of_layer in known],
        maps=[[blank.map_facts(maps) for maps in of_layer] for of_layer in raw],
        drawn=_drawn(run, raw),
    )


def _maps(method: Method, known: Sequence[dict[str, tf.Tensor]]) -> tf.Tensor:
    """The maps of one method, (batch, classes, positions...)."""
    of_classes = [
        method.function(**{name: of_class[name] for name in method.evidence}) for of_class in known
    ]
    return tf.stack(of_classes, axis=1)


def _drawn(run: Run, raw: Sequence[Sequence[tf.Tensor]]) -> list[list[Drawn]]:
    """The maps of each layer, or of all layers fused, by each method."""
    settings = run.settings

    def draw(maps: Sequence[tf.Tensor], tapped: Tapped) -> Drawn:
        kept = [tf.nn.relu(one) if settings.relu else one for one in maps]
        fused = heatmaps.fused(kept, settings.fuse or "mean")
        return heatmaps.drawn(fused, tapped.frame, signed=not settings.relu)

    if settings.fuse is None:
        layers = zip(raw, run.tapped, strict=True)
        return [[draw([maps], tapped) for maps in of_layer] for of_layer, tapped in layers]
    return [[draw(of_method, run.tapped[0]) for of_method in zip(*raw, strict=True)]]


def _as_array(tensor: Any) -> Any:
    return tensor.numpy() if isinstance(tensor, tf.Tensor) else tensor
