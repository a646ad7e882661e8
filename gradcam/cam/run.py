"""One traced run of a model: what it did, what is explained of it, and the layers that are tapped."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from gradcam.cam import frames
from gradcam.errors import GradCamError
from gradcam.messages import wording
from gradcam.targets import resolving
from gradcam.targets.scoring import Outputs
from gradcam.trace import blockers, layouts, paths
from gradcam.trace.feature_maps import FeatureMaps, positions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradcam.cam.frames import Frame
    from gradcam.cam.question import Aim
    from gradcam.cam.settings import Settings
    from gradcam.messages.notes import Note
    from gradcam.targets.scoring import Target
    from gradcam.trace.pixel_range import PixelRange
    from gradcam.trace.recording import Call, Recording

# Half precision has no numbers below 6e-8, where gradients of a deep head easily are. A power of
# two only shifts the exponent.
HALF_SCALE = 1024.0


def channels_last(tensor: tf.Tensor) -> tf.Tensor:
    """Move the channels from behind the batch to behind the positions."""
    return tf.transpose(tensor, [0, *range(2, tensor.shape.rank), 1])


@dataclass(frozen=True, eq=False)
class Tapped:
    """A layer that evidence is gathered at.

    Attributes:
        call: what the model did there.
        frame: the input that its map belongs to.
        channels_first: the layout of its output.
        is_chosen: whether nobody named it.
    """

    call: Call
    frame: Frame
    channels_first: bool
    is_chosen: bool

    @property
    def path(self) -> str:
        """The name of the layer."""
        return self.call.path

    @property
    def output(self) -> tf.Tensor:
        """The activations as the layer returned them."""
        return self.call.outputs[0]

    def channels_last(self, tensor: tf.Tensor) -> tf.Tensor:
        """Move the channels behind the positions."""
        return channels_last(tensor) if self.channels_first else tensor

    @functools.cached_property
    def activations(self) -> tf.Tensor:
        """The activations in float32, channels last."""
        return tf.cast(self.channels_last(self.output), tf.float32)


@dataclass(frozen=True, eq=False)
class Aimed:
    """What is explained of each image, resolved for the outputs of a model.

    Attributes:
        aim: what was asked.
        target: what is explained.
        prepared: what the target decided on the unchanged images.
        scores: (batch, classes explained).
    """

    aim: Aim
    target: Target
    prepared: tuple[Any, ...]
    scores: tf.Tensor

    @property
    def index(self) -> tf.Tensor:
        """The explained classes, -1 where what is explained is no class."""
        index = self.target.explained_index(self.prepared)
        return tf.fill(tf.shape(self.scores), -1) if index is None else index


@dataclass(frozen=True, eq=False)
class Run:
    """A traced run of a model with all that is explained of it.

    Attributes:
        settings: what was asked for.
        recording: what the model did.
        outputs: the outputs as targets read them.
        aims: what is explained.
        maps: what is known of the model's feature maps.
        tapped: the layers.
        pixel_range: what the model tells about the pixels that it was trained with.
        said: the notes that hold whatever the images, by what they are about, once they were made.
    """

    settings: Settings
    recording: Recording
    outputs: Outputs
    aims: tuple[Aimed, ...]
    maps: FeatureMaps
    tapped: tuple[Tapped, ...]
    pixel_range: PixelRange | None = None
    said: dict[Any, list[Note]] = field(default_factory=dict)

    @property
    def sign(self) -> float:
        """What scores are multiplied by: a counterfactual explains what speaks against."""
        return -1.0 if self.settings.counterfactual else 1.0

    @functools.cached_property
    def scores(self) -> tf.Tensor:
        """(batch, classes explained) of all aims, negated for a counterfactual."""
        with self.recording.listening():
            return self.sign * tf.concat([aimed.scores for aimed in self.aims], 1)

    def scores_again(self, outputs: Outputs, rows: tf.Tensor) -> tf.Tensor:
        """The scores of another run, on changed images, each with the decisions of its own row."""
        scores = [
            aimed.target.score(
                outputs, tf.nest.map_structure(lambda t: tf.gather(t, rows), aimed.prepared)
            )
            for aimed in self.aims
        ]
        return self.sign * tf.concat(scores, 1)

    def target_of(self, column: int) -> Target:
        """The target that a column of the scores belongs to."""
        for aimed in self.aims:
            if column < aimed.scores.shape[1]:
                return aimed.target
            column -= aimed.scores.shape[1]
        raise IndexError(column)

    @functools.cached_property
    def gradients(self) -> list[list[tf.Tensor]]:
        """For each explained class the gradients towards all tapped layers: one backward pass each."""
        return [self._gradients(column) for column in range(self.scores.shape[1])]

    def _gradients(self, column: int) -> list[tf.Tensor]:
        if not self._is_half():
            return self._differentiated(column, 1.0)
        # Scaled up against underflow, and as it is where that overflows.
        both = zip(
            self._differentiated(column, HALF_SCALE), self._differentiated(column, 1.0), strict=True
        )
        chosen = []
        for scaled, plain in both:
            large = tf.cast(scaled, tf.float32) / HALF_SCALE
            total = tf.reduce_sum(large, list(range(1, large.shape.rank)), keepdims=True)
            chosen.append(tf.where(tf.math.is_finite(total), large, tf.cast(plain, tf.float32)))
        return chosen

    def _differentiated(self, column: int, scale: float) -> list[tf.Tensor]:
        activations, scores = [tapped.output for tapped in self.tapped], self.scores
        with self.recording.listening():
            score = scores[:, column] if scale == 1.0 else scores[:, column] * scale
        target, candidates = self.target_of(column), self.maps.candidates
        try:
            found = self.recording.gradients(score, activations)
        except LookupError as error:  # an operation without a registered gradient
            name = blockers.unregistered(error, activations, score, self.recording)
            raise blockers.blocked(self.tapped[0].path, target, [name], candidates()) from error
        for tapped, gradient in zip(self.tapped, found, strict=True):
            if gradient is None:
                raise blockers.missing_gradient(
                    self.recording, tapped.call, score, target, candidates()
                )
        return [gradient for gradient in found if gradient is not None]

    def _is_half(self) -> bool:
        return any(
            output.dtype == tf.float16 for call in self.recording.calls for output in call.outputs
        )


def aimed(aims: Sequence[Aim], arguments: Sequence[Any], outputs: Outputs) -> tuple[Aimed, ...]:
    """What is explained, with its scores.

    Args:
        aims: what was asked.
        arguments: what each says of each image, as tensors.
        outputs: the outputs of the model.
    """
    found = []
    for aim, of_images in zip(aims, arguments, strict=True):
        target = resolving.resolve(aim.target, outputs, aim.top_k)
        prepared = target.prepare(outputs, of_images)
        found.append(Aimed(aim, target, prepared, target.score(outputs, prepared)))
    return tuple(found)


def tapped(
    recording: Recording, maps: FeatureMaps, settings: Settings, target: Target, name: str
) -> tuple[Tapped, ...]:
    """The layers that were asked for, or the last feature map.

    Raises:
        GradCamError: there is no such layer, it can't be explained, or was given twice.
    """
    found: list[Tapped] = []
    for layer in settings.layers:
        call = call_of(recording, maps, layer, str(target), name, settings.input)
        if any(call is other.call for other in found):
            if settings.fuse is None:
                continue
            raise GradCamError("layer-twice", path=call.path)
        data_format = maps.data_format(call)
        rank = len(positions(call.outputs[0].shape, data_format))
        frame = frames.frame_of(recording, call, rank, settings.input)
        found.append(Tapped(call, frame, data_format == "channels_first", layer is None))
    if settings.fuse is not None:
        _check_frames(found)
    return tuple(found)


def call_of(
    recording: Recording,
    maps: FeatureMaps,
    layer: Any,
    target: str,
    name: str,
    seen: str | None = None,
) -> Call:
    """The call that `layer` names, if it can be explained; None for the last feature map.

    Args:
        recording: what the model did.
        maps: its feature maps.
        layer: what `explain` takes.
        target: what is explained, in words.
        name: the model's name.
        seen: the name of an input that the last feature map has to see.
    """
    if layer is None:
        inputs = dict(zip(recording.input_names, recording.inputs, strict=True))
        return maps.choose(name, inputs.get(seen or ""))
    call = paths.resolve(recording, layer)
    maps.check(call, target)
    return call


def _check_frames(found: Sequence[Tapped]) -> None:
    """Maps of several layers can only be fused in one frame."""
    inputs = sorted({tapped.frame.name for tapped in found})
    if len(inputs) > 1:
        raise GradCamError("fuse-inputs", names=wording.listing(inputs))
    ways = {tapped.path: tapped.frame.way.paths for tapped in found}
    if len(set(ways.values())) > 1:
        seen = [
            f"'{path}' through {wording.listing(way) if way else 'none'}"
            for path, way in ways.items()
        ]
        raise GradCamError("fuse-frames", ways=wording.listing(seen))


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
