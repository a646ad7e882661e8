"""The target of a model that gives each pixel its classes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from gradcam.errors import TargetError
from gradcam.targets.scoring import (
    Outputs,
    Target,
    check_range,
    is_positive,
    looked_up,
    numbers,
    per_image,
    side,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, eq=False)
class Segmentation(Target):
    """A class in an output of (batch, height, width, classes): its scores summed over pixels.

    A single channel behind a sigmoid has two classes: 0 is the background, 1 the foreground. An
    output of (batch, height, width) is read as one channel, one of (batch, classes, height, width)
    as what it is where the model's layers tell.

    Args:
        class_index: the class or its name, or one an image. None takes each image's most frequent
            class, and of a single channel the foreground.
        mask: the pixels, (height, width) or (batch, height, width); other numbers than 0 and 1 are
            weights. None takes those where the class wins.
        axis: where the classes are, 1, or -1 or 3. None takes what the layers of the model say.

    >>> Segmentation(2).key
    ('Segmentation', True, None, None, 'foreground')
    """

    class_index: Any = None
    mask: Any = None
    axis: int | None = None
    _side: str = "foreground"  # of a single channel, where no class is given

    def __post_init__(self) -> None:
        if isinstance(self.axis, bool) or self.axis not in {None, 1, -1, 3}:
            raise TargetError(
                "target-argument",
                received=repr(self.axis),
                argument="the axis of Segmentation",
                expected="1, -1 or 3",
                advice="It is 1 for an output (batch, classes, height, width).",
            )

    @classmethod
    def of_side(cls, positive: bool | None) -> Segmentation:
        """One side of a single channel; None takes the side of most pixels of each image."""
        side_of = {True: "foreground", False: "background", None: "frequent"}
        return cls(_side=side_of[positive])

    def __repr__(self) -> str:
        mask = "" if self.mask is None else ", mask=..."
        return f"Segmentation({self.class_index}{mask})"

    def named(self, class_names: Sequence[str] | None) -> Segmentation:
        """The same classes by index."""
        return replace(self, class_index=looked_up(self.class_index, class_names))

    @property
    def key(self) -> tuple[Any, ...]:
        """Which of the two are given, the size of the mask, and the axis of the classes."""
        shape = None if self.mask is None else self._pixels().shape[-2:]
        return ("Segmentation", self.class_index is not None, shape, self.axis, self._side)

    @property
    def zero_hint(self) -> str:
        """That there are no pixels to sum over."""
        return " (the class wins at no pixel, or the mask is empty)"

    def arguments(self, batch: int) -> tuple[Any, ...]:
        """The class of each image, and the mask of each."""
        given: list[Any] = [(), ()]
        if self.class_index is not None:
            given[0] = per_image(self.class_index, batch, "classes")
        if self.mask is not None:
            mask = self._pixels()
            if len(mask) not in {1, batch}:
                raise TargetError("target-count", count=len(mask), what="masks", batch=batch)
            given[1] = np.broadcast_to(mask, (batch, *mask.shape[1:]))
        return tuple(given)

    def _pixels(self) -> np.ndarray:
        """The mask as (1 or batch, height, width)."""
        expected = "(height, width), or one per image"
        mask = numbers(
            self.mask,
            argument="the mask of Segmentation",
            expected=f"finite numbers of shape {expected}",
            advice="1 marks the pixels that count.",
        )
        has_channel = mask.ndim == 4 or (mask.ndim == 3 and mask.shape[1] > 1)
        if has_channel and mask.shape[-1] == 1:
            mask = mask[..., 0]
        if mask.ndim == 2:
            mask = mask[np.newaxis]
        if mask.ndim != 3:
            raise TargetError("mask-shape", shape=np.shape(self.mask), expected=expected)
        return mask

    def check(self, outputs: Outputs, arguments: tuple[Any, ...]) -> None:
        """The classes must exist."""
        given = arguments[0][:, 0] if self.class_index is not None else ()
        classes = _classes(outputs, channels(outputs, self.axis))
        check_range(given, classes, outputs.class_names)

    def prepare(self, outputs: Outputs, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """The class of each image, and its pixels."""
        value = self._values(outputs)
        winners, classes = _winners(outputs, value), _classes(outputs, value.shape[-1])
        if self.class_index is not None:
            index = arguments[0]
        elif value.shape[-1] == 1 and self._side != "frequent":
            number = classes - 1 if self._side == "foreground" else 0
            index = tf.fill([tf.shape(value)[0], 1], number)
        else:
            index = _most_frequent(winners, classes)
        wins = tf.cast(winners == index[:, :, None], tf.float32)
        mask = wins if self.mask is None else arguments[1]
        if not mask.shape[1:].is_compatible_with(value.shape[1:3]):
            raise TargetError(
                "mask-shape", shape=np.shape(self.mask), expected=tuple(value.shape[1:3])
            )
        return index, mask

    def score(self, outputs: Outputs, prepared: tuple[Any, ...]) -> tf.Tensor:
        """The scores of the class, summed over the pixels."""
        index, mask = prepared
        value = self._values(outputs)
        if value.shape[-1] == 1 and outputs.has_sides():
            chosen = side(outputs, value, index[:, :, None, None])
        else:
            chosen = value * tf.one_hot(index[:, 0], tf.shape(value)[-1])[:, None, None, :]
        return tf.reduce_sum(chosen * mask[..., None], [1, 2, 3])[:, None]

    def _values(self, outputs: Outputs) -> tf.Tensor:
        """The scores of the pixels, (batch, height, width, classes)."""
        output, value = outputs.only()
        if value.shape.rank not in {3, 4}:
            raise TargetError(
                "target-output",
                target=self,
                shape=output.value.shape,
                expected="(batch, height, width, classes)",
                advice="Give a class index, or a function of the outputs.",
            )
        if value.shape.rank == 3:
            return value[..., None]
        return tf.transpose(value, [0, 2, 3, 1]) if _is_first(outputs, self.axis) else value

    def explained_index(self, prepared: tuple[Any, ...]) -> tf.Tensor | None:
        """The class."""
        return prepared[0]


def channels(outputs: Outputs, axis: int | None = None) -> int | None:
    """How many channels the only output has at each pixel."""
    shape = outputs.only()[1].shape
    return 1 if shape.rank == 3 else shape[1 if _is_first(outputs, axis) else -1]


def _is_first(outputs: Outputs, axis: int | None) -> bool:
    """Whether the classes come before the positions."""
    return axis == 1 if axis is not None else outputs.only()[0].data_format == "channels_first"


def _classes(outputs: Outputs, count: int | None) -> Any:
    """How many classes so many channels stand for: a single one has two where it has sides."""
    return 2 if count == 1 and outputs.has_sides() else count


def _winners(outputs: Outputs, value: tf.Tensor) -> tf.Tensor:
    """The class that wins at each pixel; -1 outside of a foreground without a background."""
    if value.shape[-1] != 1:
        return tf.argmax(value, -1, tf.int32)
    foreground, background = (1, 0) if outputs.has_sides() else (0, -1)
    positive = tf.reshape(is_positive(outputs.only()[0]), tf.shape(value)[:-1])
    return tf.where(positive, foreground, background)


def _most_frequent(winners: tf.Tensor, classes: int) -> tf.Tensor:
    """The class that wins at most pixels of each image, (batch, 1)."""
    counts = tf.reduce_sum(tf.one_hot(winners, classes), [1, 2])
    return tf.argmax(counts, -1, tf.int32)[:, None]
