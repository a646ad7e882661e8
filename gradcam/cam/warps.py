"""The way back through spatial transformers: from the frame that a layer sees to the input's.

A layer behind a spatial transformer sees the warped image, so its map lies in the warped frame. Each
pixel of the transformer's input is looked up where the warped image shows it, which gives every
pixel one value, however often it was sampled; where it is not shown, the value is zero.

Convention: transformers speak in normalised coordinates, (x, y) in [-1, 1], which their
`align_corners` turns into pixels. Between two transformers, and before the first, maps are resized
as `gradcam.resizing` does it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import tensorflow as tf

from gradcam.cam import resizing
from gradcam.errors import ModelError
from gradcam.trace import samplings, sources
from gradcam.trace.graph import ancestors
from gradcam.trace.transformers import is_transformer

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from gradcam.trace.recording import Call, Recording


@dataclass(frozen=True)
class Warp:
    """One transformer on the way.

    Attributes:
        path: the path of its call.
        before: the size of the images that went in.
        after: the size of those that came out.
        places: (batch, height, width, 2), in pixels (x, y) of what came out: where it shows each
            pixel of what went in.
        is_shown: (batch, height, width), whether it does.
    """

    path: str
    before: list[int | tf.Tensor]
    after: list[int | tf.Tensor]
    places: tf.Tensor
    is_shown: tf.Tensor

    def back(self, maps: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Maps in the frame of what came out, in the frame of what went in.

        Args:
            maps: (maps, height, width).
            rows: (maps,) the image that each belongs to.
        """
        maps = resizing.resize(maps, self.after)
        values = _interpolated(maps, tf.gather(self.places, rows))
        return tf.where(tf.gather(self.is_shown, rows), values, 0.0)


@dataclass(frozen=True)
class Way:
    """The transformers between an input and a layer.

    Attributes:
        warps: in the order in which images go through them.
        unresolved: what warps the images in a way that can't be followed back; then there are no
            `warps`.
    """

    warps: tuple[Warp, ...] = ()
    unresolved: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """What warps the images."""
        return tuple(warp.path for warp in self.warps) or self.unresolved

    def back(self, maps: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Maps in the frame that the layer sees, in the frame of the first transformer's input."""
        for warp in reversed(self.warps):
            maps = warp.back(maps, rows)
        return maps


def way_between(recording: Recording, call: Call, source: tf.Tensor) -> Way:
    """The transformers between an input of the model and a layer.

    Args:
        recording: what the model did.
        call: the layer.
        source: the input.
    """
    transformers = {
        other.outputs[0].op: other
        for other in recording.calls
        if other.outputs and (is_transformer(other.layer) or "GridSampler" in other.families)
    }
    followed: list[Call] = []
    tensors: Sequence[tf.Tensor] = call.outputs
    unresolved = _hidden_transformers(recording, tensors)
    while True:
        rest = _values_behind(tensors, transformers)
        nearest = [other for operation, other in transformers.items() if operation in rest]
        last = nearest[0] if nearest else None
        is_alone = len(nearest) == 1 and source.op not in rest
        if last is not None and (last.thetas.known is None or not is_alone):
            unresolved += [other.path for other in nearest]
        starts = [source, *(other.outputs[0] for other in nearest)]
        unresolved += samplings.names_of(recording, rest, starts)
        if last is None or unresolved:
            break
        followed.insert(0, last)
        tensors = last.inputs[:1]
    if unresolved:
        return Way(unresolved=tuple(dict.fromkeys(unresolved)))
    return Way(tuple(warp(transformer) for transformer in followed))


def warp(call: Call) -> Warp:
    """The way back through one transformer.

    Args:
        call: a call of one, whose theta is known.

    Raises:
        ModelError: the transformer doesn't say where it shows each pixel.
    """
    axes = samplings.POSITION_AXES[call.data_format or "channels_last"]
    before = resizing.sizes(call.inputs[0], axes)
    after = resizing.sizes(call.outputs[0], axes)
    grid = _inverse_grid(call, before)
    height, width = (tf.cast(size, tf.float32) for size in after)
    x, y = tf.unstack(grid, axis=-1)
    if call.layer.align_corners:
        x, y = (x + 1.0) / 2.0 * (width - 1.0), (y + 1.0) / 2.0 * (height - 1.0)
    else:
        x, y = ((x + 1.0) * width - 1.0) / 2.0, ((y + 1.0) * height - 1.0) / 2.0
    is_shown = tf.math.is_finite(x) & tf.math.is_finite(y)
    places = tf.where(is_shown[..., None], tf.stack([x, y], axis=-1), 0.0)
    return Warp(call.path, before, after, places, is_shown)


def _inverse_grid(call: Call, size: list[int | tf.Tensor]) -> tf.Tensor:
    """What the transformer says of the way back: (batch, height, width, 2)."""
    known = [number if isinstance(number, int) else None for number in size]
    expected = tf.TensorShape([None, *known, 2])
    try:
        grid = tf.cast(call.layer.inverse_grid(call.thetas.known, size), tf.float32)
    except sources.USER_ERRORS as error:
        fault = f"raised {type(error).__name__}: {sources.reason_of(error)}"
        raise ModelError("transformer-broken", path=call.path, fault=fault) from error
    if not expected.is_compatible_with(grid.shape):
        fault = (
            f"returned a tensor of shape {grid.shape} for images of shape {call.inputs[0].shape}"
        )
        raise ModelError("transformer-broken", path=call.path, fault=fault)
    # One for all images will do.
    return tf.broadcast_to(grid, [tf.shape(call.inputs[0])[0], *size, 2])


def _interpolated(maps: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """Bilinear values of `maps` at pixel positions; beyond the edge, those of the edge."""
    count, height, width = tf.unstack(tf.shape(maps))
    flat = tf.reshape(maps, [count, height * width])
    last = tf.cast(tf.stack([width, height]), tf.float32) - 1.0
    places = tf.clip_by_value(places, 0.0, last)
    low = tf.floor(places)
    share_x, share_y = tf.unstack(places - low, axis=-1)
    left, top = tf.unstack(tf.cast(low, tf.int32), axis=-1)
    right, bottom = tf.minimum(left + 1, width - 1), tf.minimum(top + 1, height - 1)

    def row(y: tf.Tensor) -> tf.Tensor:
        start = tf.gather(flat, y * width + left, batch_dims=1)
        return start + share_x * (tf.gather(flat, y * width + right, batch_dims=1) - start)

    return row(top) + share_y * (row(bottom) - row(top))


def _values_behind(
    tensors: Sequence[tf.Tensor], border: Container[tf.Operation] = ()
) -> set[tf.Operation]:
    """What the values of the tensors depend on, as far back as the border, which is part of it."""
    return ancestors(tensors, lambda op: op in border or op.type in samplings.SHAPE_QUESTIONS)


def _hidden_transformers(recording: Recording, tensors: Sequence[tf.Tensor]) -> list[str]:
    """Transformers that run inside a loop which the tensors depend on, by the loop's layer."""
    behind = _values_behind(tensors)
    hidden = []
    for call in recording.calls:
        if not is_transformer(call.layer) or call.outputs:
            continue
        around = call.parent
        while around is not None and not around.outputs:
            around = around.parent
        if around is not None and any(output.op in behind for output in around.outputs):
            hidden.append(call.path)
    return hidden
