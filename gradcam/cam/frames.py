"""Which input a heatmap is drawn over, and where in it the positions are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import tensorflow as tf

from gradcam.cam import resizing, warps
from gradcam.errors import ImageError
from gradcam.messages import wording
from gradcam.trace import layouts
from gradcam.trace.graph import ancestors

if TYPE_CHECKING:
    from gradcam.trace.recording import Call, Recording


@dataclass(frozen=True)
class Frame:
    """The input that a map belongs to.

    Attributes:
        name: the name of the input.
        tensor: the input.
        axes: its axes of positions; none where the map's positions are not the input's.
        way: the spatial transformers between the input and the layer.
    """

    name: str
    tensor: tf.Tensor
    axes: tuple[int, ...]
    way: warps.Way = field(default_factory=warps.Way)

    def sizes(self) -> list[int | tf.Tensor]:
        """The size of the input along each axis of positions, as far as it is known when traced."""
        return resizing.sizes(self.tensor, self.axes)

    def as_seen(self, maps: tf.Tensor) -> tf.Tensor:
        """Maps (maps, positions...) at the size of what the layer sees: the input, warped or not."""
        if not self.axes:
            return maps
        return resizing.resize(maps, self.way.warps[-1].after if self.way.warps else self.sizes())

    def carried_back(self, seen: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """What `as_seen` gave for the images `rows`, in the frame of the input."""
        if not self.way.warps:
            return seen
        return resizing.resize(self.way.back(seen, rows), self.sizes())

    def coverage(self, rows: tf.Tensor) -> tf.Tensor:
        """How far the layer sees each pixel of the input, from 0 to 1."""
        everything = tf.ones([tf.shape(rows)[0], *self.way.warps[-1].after])
        return self.carried_back(everything, rows)

    def spread(self, maps: tf.Tensor) -> tf.Tensor:
        """Maps of (batch, positions...) with an axis of one where the input has its channels."""
        missing = [n for n in range(1, self.tensor.shape.rank) if n not in self.axes]
        for axis in missing:
            maps = tf.expand_dims(maps, axis)
        return maps


def frame_of(recording: Recording, call: Call, rank: int, wanted: str | None) -> Frame:
    """The input that the layer sees and that has as many axes of positions as its map.

    Args:
        recording: what the model did.
        call: the layer.
        rank: the number of axes of positions of its map.
        wanted: the name of an input that settles a doubt.
    """
    names = recording.input_names
    if wanted is not None and wanted not in names:
        raise ImageError(
            "input-unknown",
            name=wanted,
            hint=wording.suggestion(wanted, names),
            names=wording.listing(names),
        )
    behind = ancestors(call.outputs)
    pairs = zip(names, recording.inputs, strict=True)
    seen = [(name, tensor) for name, tensor in pairs if tensor.op in behind]
    if wanted is not None:
        known = [name for name, _ in seen]
        if wanted not in known:
            raise ImageError(
                "input-unseen", name=wanted, path=call.path, names=wording.listing(known)
            )
        seen = [pair for pair in seen if pair[0] == wanted]
    fitting = [pair for pair in seen if _axes(recording, pair[1], rank)]
    if len(fitting) > 1:
        raise ImageError(
            "input-in-doubt",
            path=call.path,
            names=wording.listing([name for name, _ in fitting]),
        )
    name, tensor = (fitting or seen or [(names[0], recording.inputs[0])])[0]
    axes = _axes(recording, tensor, rank)
    way = warps.way_between(recording, call, tensor) if axes else warps.Way()
    if len(axes) != 2:  # such as the images of a film, each moved in its own way
        way = warps.Way(unresolved=way.paths)
    return Frame(name, tensor, axes, way)


def _axes(recording: Recording, tensor: tf.Tensor, rank: int) -> tuple[int, ...]:
    """The axes of positions of an input, or none where it has not `rank` of them."""
    # A grey image may lack its axis of channels; of (samples, 1) the one is the channel.
    if tensor.shape.rank == rank + 1 and tensor.shape[-1] != 1:
        return tuple(range(1, rank + 1))
    if tensor.shape.rank != rank + 2:
        return ()
    first = layouts.of_input(recording, tensor)
    return tuple(range(2, rank + 2)) if first == "channels_first" else tuple(range(1, rank + 1))
