"""Everything that happens inside one trace: tap, target, evidence, map, heatmap.

A program is traced once for the shape of the images and the kind of target, with an open batch
axis, so a last, smaller batch costs nothing. It holds the model's variables by reference: weights
that are trained further are seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from gradcam import targets
from gradcam.cam import blank, frames, heatmaps
from gradcam.cam.evidence import Scene
from gradcam.cam.methods import METHODS
from gradcam.errors import GradCamError
from gradcam.messages import findings
from gradcam.messages.notes import Note
from gradcam.targets import resolving
from gradcam.targets.scoring import Outputs, Target
from gradcam.trace import layouts, paths, pixel_range
from gradcam.trace.feature_maps import FeatureMaps, positions

if TYPE_CHECKING:
    import numpy as np

    from gradcam.trace.inputs import Batch
    from gradcam.trace.pixel_range import PixelRange
    from gradcam.trace.recording import Call, Recording
    from gradcam.trace.sources import Source


@dataclass(frozen=True)
class Settings:
    """What an `Explainer` was asked for; see there."""

    layers: tuple[Any, ...] = (None,)
    method: str = "gradcam"
    score: str = "logit"
    class_names: tuple[str, ...] | None = None
    relu: bool = True
    counterfactual: bool = False
    fuse: str = "mean"
    max_channels: int | None = None
    batch_size: int | None = None
    input: str | None = None


@dataclass(frozen=True)
class Question:
    """Images, and what is asked about them.

    Attributes:
        batch: the images.
        target: what is explained; None for the default of the model's outputs.
        arguments: what the target says of each image.
        top_k: the number of top classes to explain.
    """

    batch: Batch
    target: Target | None
    arguments: tuple[Any, ...]
    top_k: int | None

    def rows(self, rows: slice) -> Question:
        """The same question about some of the images."""
        arguments = tf.nest.map_structure(lambda values: values[rows], self.arguments)
        return Question(self.batch.rows(rows), self.target, arguments, self.top_k)

    def in_floats(self) -> Question | None:
        """The same question about floats; None where the images are floats already."""
        batch = self.batch.in_floats()
        return replace(self, batch=batch) if batch is not None else None

    def key(self) -> tuple[Any, ...]:
        """Questions with the same key are answered by one program."""
        return self.batch.key(), self.target.key if self.target else None, self.top_k

    def arrays(self) -> list[np.ndarray]:
        """Everything that differs from image to image."""
        return [*self.batch.arrays, *tf.nest.flatten(self.arguments)]


class Program:
    """One traced function, and what was found out while it was traced.

    Args:
        source: the model.
        settings: what was asked for.
        question: a question of the kind to trace for.
        rows: the size of the batch, None to leave it open.

    Attributes:
        source: the model.
        settings: what was asked for.
        target: what is explained, resolved for the model's outputs.
        outputs: the outputs, for checks of arguments.
        scenes: the tapped layers.
        notes: what should be said, whatever the images.
        rows: the size of the batch, None where it is open.
        pixel_range: what the model tells about the pixels that it was trained with.
    """

    def __init__(
        self, source: Source, settings: Settings, question: Question, rows: int | None
    ) -> None:
        self.source = source
        self.settings = settings
        self.rows = rows
        self.pixel_range: PixelRange | None = None
        self._structure = question.batch.structure
        self._arguments = tf.nest.map_structure(lambda _: 0, question.arguments)
        self._given = question.target
        self._top_k = question.top_k
        self.target: Target
        self.outputs: Outputs
        self.scenes: list[Scene] = []
        self.notes: list[Note] = []
        signature = [
            tf.TensorSpec((rows, *array.shape[1:]), array.dtype) for array in question.arrays()
        ]
        # Not tf.function: its automatic control dependencies would run what a model does on the
        # side, such as counting its calls.
        self._function = tf.compat.v1.wrap_function(self._trace, signature)

    def __call__(self, question: Question) -> dict[str, Any]:
        """Answer a question of the same kind."""
        return self._function(*[tf.convert_to_tensor(array) for array in question.arrays()])

    def part(self, tensor: tf.Tensor, batch: Batch) -> tf.Tensor:
        """A tensor of the trace for some images, without running what it doesn't need."""
        part = self._function.prune(self._function.inputs[: len(batch.arrays)], tensor)
        return part(*[tf.convert_to_tensor(array) for array in batch.arrays])

    def _trace(self, *tensors: tf.Tensor) -> dict[str, Any]:
        count = len(tensors) - len(tf.nest.flatten(self._arguments))
        recording = self.source.record(list(tensors[:count]), self._structure)
        self.pixel_range = pixel_range.find(recording)
        arguments = tf.nest.pack_sequence_as(self._arguments, list(tensors[count:]))
        self.outputs = read_outputs(recording, self.settings)
        self.target = resolving.resolve(self._given, self.outputs, self._top_k)
        prepared = self.target.prepare(self.outputs, arguments)
        scores = self.target.score(self.outputs, prepared)
        self.scenes = self._set_scenes(recording, prepared, scores)
        self.notes = self._static_notes()
        index = self.target.explained_index(prepared)
        results = {
            "scores": scores if self._top_k else scores[:, 0],
            "outputs": recording.structure,
            "index": tf.fill(tf.shape(scores), -1) if index is None else index,
            "finite_inputs": [heatmaps.finite_rows(tensor) for tensor in recording.inputs],
            "finite_scores": heatmaps.finite_rows(scores),
        }
        return results | self._maps()

    def _set_scenes(
        self, recording: Recording, prepared: tuple[Any, ...], scores: tf.Tensor
    ) -> list[Scene]:
        settings = self.settings
        maps = FeatureMaps(recording, self.outputs.outputs, [scores])
        sign = -1.0 if settings.counterfactual else 1.0
        candidates = maps.candidates()
        scenes: list[Scene] = []
        for layer in settings.layers:
            call = self._call(recording, maps, layer)
            if any(call is scene.call for scene in scenes):
                raise GradCamError("layer-twice", path=call.path)
            data_format = maps.data_format(call)
            rank = len(positions(call.outputs[0].shape, data_format))
            scenes.append(
                Scene(
                    recording=recording,
                    call=call,
                    channels_first=data_format == "channels_first",
                    frame=frames.find(recording, call, rank, settings.input),
                    outputs=self.outputs,
                    target=self.target,
                    prepared=prepared,
                    scores=sign * scores,
                    sign=sign,
                    candidates=candidates,
                    sequence=maps.sequence_after(call) if layer is None else None,
                    hidden=maps.hidden_after(call) if layer is None else (),
                )
            )
        return scenes

    def _call(self, recording: Recording, maps: FeatureMaps, layer: Any) -> Call:
        if layer is None:
            inputs = dict(zip(recording.input_names, recording.inputs, strict=True))
            return maps.choose(self.source.name, inputs.get(self.settings.input or ""))
        call = paths.resolve(recording, layer)
        maps.check(call, str(self.target))
        return call

    def _maps(self) -> dict[str, Any]:
        """Maps, heatmaps and what notes need to know about them."""
        self._check_frames()
        method = METHODS[self.settings.method]
        raw, facts = [], []
        for scene in self.scenes:
            evidence = scene.gather(
                method.evidence, self.settings.max_channels, self.settings.batch_size
            )
            of_classes = [
                method.function(**{name: known[name] for name in method.evidence})
                for known in evidence
            ]
            maps = tf.stack(of_classes, axis=1)
            raw.append(maps)
            facts.append(heatmaps.facts(maps, evidence) | blank.facts(method.name, evidence))
        fused = heatmaps.fused(
            [tf.nn.relu(maps) if self.settings.relu else maps for maps in raw],
            self.settings.fuse,
        )
        frame = self.scenes[0].frame
        pictures = {"maps": fused} | heatmaps.framed(fused, frame, not self.settings.relu)
        if not self._top_k:
            pictures = {
                name: values if name == "coverage" else values[:, 0]
                for name, values in pictures.items()
            }
        return {**pictures, "facts": facts}

    def _check_frames(self) -> None:
        """Maps of several layers can only be fused in one frame."""
        inputs = sorted({scene.frame.name for scene in self.scenes})
        if len(inputs) > 1:
            raise GradCamError("fuse-inputs", names=findings.listing(inputs))
        ways = {scene.call.path: scene.frame.way.paths for scene in self.scenes}
        if len(set(ways.values())) > 1:
            seen = [
                f"'{path}' through {findings.listing(way) if way else 'none'}"
                for path, way in ways.items()
            ]
            raise GradCamError("fuse-frames", ways=findings.listing(seen))

    def _static_notes(self) -> list[Note]:
        settings = self.settings
        notes = [
            Note("warn-probability", {"name": output.name, "activation": output.hidden})
            for output in self.outputs.outputs
            if settings.score == "logit" and output.hidden
        ]
        notes += [
            Note(
                "warn-two-activations",
                {"name": output.name, "first": output.first, "last": output.ending},
            )
            for output in self.outputs.outputs
            if settings.score == "logit" and output.first
        ]
        is_linear_unit = isinstance(self.target, targets.Regression) and self._given is None
        if is_linear_unit:
            notes.append(Note("warn-one-linear-unit"))
        is_aimed = settings.counterfactual or self._given is not None or self._top_k
        if is_aimed and not METHODS[settings.method].needs_target:
            notes.append(Note("warn-class-independent", {"method": settings.method}))
        for scene in self.scenes:
            path, frame = scene.call.path, scene.frame
            if scene.hidden:
                hidden = findings.listing(scene.hidden, limit=6)
                notes.append(Note("warn-hidden-layers", {"path": path, "hidden": hidden}))
            if scene.sequence:
                notes.append(Note("warn-token-layers", {"path": path, "sequence": scene.sequence}))
            if frame.way.unresolved:
                names = findings.listing(frame.way.unresolved)
                notes.append(Note("warn-warped-frame", {"path": path, "names": names}))
            if not frame.axes:
                facts = {
                    "path": path,
                    "map_rank": scene.tapped.shape.rank - 2,
                    "name": frame.name,
                    "shape": tuple(frame.tensor.shape),
                }
                notes.append(Note("warn-no-frame", facts))
        return notes


def read_outputs(recording: Recording, settings: Settings) -> Outputs:
    """The outputs of a recording as targets read them."""
    empty = Outputs(
        layouts.of_outputs(recording),
        (),
        (),
        recording.structure,
        settings.score,
        settings.class_names,
    )
    return empty.fetched(empty.fetches())
