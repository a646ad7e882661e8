"""The targets that read one output of a row an image: a class, a side, a quantity, an embedding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from gradcam.errors import TargetError
from gradcam.messages import wording
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
class Class(Target):
    """The score of one class: one index or name for all images, or one an image.

    A single sigmoid unit has two classes: 0 is its negative side, 1 its positive.

    >>> Class(2).arguments(batch=3)[0].tolist()
    [[2], [2], [2]]
    """

    index: Any

    def __str__(self) -> str:
        return f"class {self.index}"

    def named(self, class_names: Sequence[str] | None) -> Class:
        """The same classes by index."""
        return Class(looked_up(self.index, class_names))

    def arguments(self, batch: int) -> tuple[Any, ...]:
        """The class of each image, (batch, 1)."""
        return (per_image(self.index, batch, "classes"),)

    def check(self, outputs: Outputs, arguments: tuple[Any, ...]) -> None:
        """The classes must exist; a single unit has two where it is a sigmoid or has two names."""
        classes = outputs.units(self)[1].shape[-1]
        if classes == 1 and not outputs.has_sides():
            wrong = [int(index) for index in arguments[0][:, 0] if index != 0]
            if wrong:
                raise TargetError("one-unit", index=wrong[0])
        else:
            check_range(arguments[0][:, 0], 2 if classes == 1 else classes, outputs.class_names)

    def score(self, outputs: Outputs, prepared: tuple[Any, ...]) -> tf.Tensor:
        """The scores of the classes."""
        _, value = outputs.units(self)
        if value.shape[-1] == 1 and outputs.has_sides():
            return side(outputs, value, prepared[0])
        return tf.gather(value, prepared[0], batch_dims=1)

    def explained_index(self, prepared: tuple[Any, ...]) -> tf.Tensor | None:
        """The classes themselves."""
        return prepared[0]


@dataclass(frozen=True)
class Top(Target):
    """Each image's own top classes; what `target=None` means for a classifier."""

    count: int = 1

    def __str__(self) -> str:
        return "the top class" if self.count == 1 else f"the top {self.count} classes"

    @property
    def key(self) -> tuple[Any, ...]:
        """The number of classes shapes the trace."""
        return ("Top", self.count)

    def check(self, outputs: Outputs, arguments: tuple[Any, ...]) -> None:
        """Each class must have its name."""
        del arguments
        check_range((), outputs.units(self)[1].shape[-1], outputs.class_names)

    def prepare(self, outputs: Outputs, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """The top classes of the unchanged images."""
        del arguments
        _, value = outputs.units(self)
        classes = value.shape[-1]
        if classes is not None and self.count > classes:
            raise TargetError(
                "top-k",
                top_k=self.count,
                expected=f"at most {classes}, the number of classes",
                advice="Ask for fewer.",
            )
        return (tf.math.top_k(value, self.count).indices,)

    def score(self, outputs: Outputs, prepared: tuple[Any, ...]) -> tf.Tensor:
        """The scores of the classes that were on top of the unchanged images."""
        return tf.gather(outputs.units(self)[1], prepared[0], batch_dims=1)

    def explained_index(self, prepared: tuple[Any, ...]) -> tf.Tensor | None:
        """The top classes."""
        return prepared[0]


@dataclass(frozen=True)
class Binary(Target):
    """One side of a single unit: what speaks for "yes", or what speaks for "no".

    Args:
        positive: the side; None takes the side that is predicted for each image.

    >>> Binary(positive=False)
    Binary(positive=False)
    """

    positive: bool | None = True

    def __post_init__(self) -> None:
        if self.positive is not None and not isinstance(self.positive, bool | np.bool_):
            raise TargetError(
                "target-argument",
                received=repr(self.positive),
                argument="the side of Binary",
                expected="True, False or None",
                advice="For one side an image, give target=[1, 0, ...] to a sigmoid unit.",
            )

    def __str__(self) -> str:
        return "the predicted side" if self.positive is None else repr(self)

    @property
    def key(self) -> tuple[Any, ...]:
        """The sides are two traces: they are few."""
        return ("Binary", self.positive)

    def prepare(self, outputs: Outputs, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """1 for the positive side, 0 for the negative, (batch, 1)."""
        del arguments
        output, value = outputs.units(self)
        if value.shape[-1] != 1:
            raise TargetError(
                "target-output",
                target=self,
                shape=output.value.shape,
                expected="(batch, 1)",
                advice="Give the index of a class instead.",
            )
        if self.positive is None:
            return (tf.reshape(tf.cast(is_positive(output), tf.int32), (-1, 1)),)
        return (tf.fill(tf.shape(value), int(self.positive)),)

    def score(self, outputs: Outputs, prepared: tuple[Any, ...]) -> tf.Tensor:
        """The logit, or its negative; the probability, or what is missing to one."""
        return side(outputs, outputs.units(self)[1], prepared[0])

    def explained_index(self, prepared: tuple[Any, ...]) -> tf.Tensor | None:
        """The side."""
        return prepared[0]

    def label(self, index: int, class_names: Sequence[str] | None) -> int | str:
        """The name of the side."""
        if class_names is not None and len(class_names) == 2:
            return class_names[index]
        return "positive" if index else "negative"


@dataclass(frozen=True)
class Regression(Target):
    """A quantity that the model predicts: the output itself.

    >>> Regression(1).label(-1, None)
    'Regression(index=1)'
    """

    index: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.index, bool) or not isinstance(self.index, int | np.integer):
            raise TargetError(
                "target-argument",
                received=repr(self.index),
                argument="the index of Regression",
                expected="the number of a unit",
                advice="Units are counted from 0.",
            )

    @property
    def key(self) -> tuple[Any, ...]:
        """The unit is part of the trace."""
        return ("Regression", self.index)

    def score(self, outputs: Outputs, prepared: tuple[Any, ...]) -> tf.Tensor:
        """The unit, as the model returns it up to the logit."""
        del prepared
        _, value = outputs.units(self)
        units = value.shape[-1]
        if units is not None and not 0 <= self.index < units:
            has = wording.counted(units, "unit", "units")
            expected = wording.indices(units)
            raise TargetError("unit-range", index=self.index, units=has, expected=expected)
        return value[:, self.index : self.index + 1]


@dataclass(frozen=True, eq=False)
class Similarity(Target):
    """How alike an embedding is to a reference: the cosine between the two.

    A reference is taken from an output as the model returns it, so it is that which is compared:
    behind a final softmax or sigmoid the probabilities, not the logits.

    Args:
        reference: (features,) for all images, or (batch, features).

    >>> Similarity([1.0, 0.0]).arguments(batch=2)[0].shape
    (2, 2)
    """

    reference: Any

    def __repr__(self) -> str:
        return "Similarity(reference=...)"

    @property
    def key(self) -> tuple[Any, ...]:
        """The number of features is part of the trace."""
        return ("Similarity", self._numbers().shape[-1:])

    def arguments(self, batch: int) -> tuple[Any, ...]:
        """The reference of each image."""
        reference = self._numbers()
        if reference.ndim == 1:
            reference = np.broadcast_to(reference, (batch, len(reference)))
        if reference.ndim != 2:
            expected = "(features,) or (batch, features)"
            raise TargetError("reference-shape", shape=reference.shape, expected=expected)
        if len(reference) != batch:
            raise TargetError("target-count", count=len(reference), what="references", batch=batch)
        return (reference,)

    def _numbers(self) -> np.ndarray:
        return numbers(
            self.reference,
            argument="the reference of Similarity",
            expected="finite numbers of shape (features,) or (batch, features)",
            advice="Take it from the same output of the model.",
        )

    def score(self, outputs: Outputs, prepared: tuple[Any, ...]) -> tf.Tensor:
        """The cosine."""
        outputs.units(self)
        value = outputs.returned[0]
        if value.shape.rank == 1:
            value = value[:, None]
        if not prepared[0].shape[1:].is_compatible_with(value.shape[1:]):
            expected = f"({value.shape[-1]},) or (batch, {value.shape[-1]})"
            raise TargetError("reference-shape", shape=np.shape(self.reference), expected=expected)
        product = tf.math.l2_normalize(value, -1) * tf.math.l2_normalize(prepared[0], -1)
        return tf.reduce_sum(product, -1, keepdims=True)
