"""What is asked: images, and what should be explained of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import tensorflow as tf

if TYPE_CHECKING:
    import numpy as np

    from gradcam.targets.scoring import Target
    from gradcam.trace.inputs import Batch


@dataclass(frozen=True)
class Aim:
    """What is explained of each image.

    Attributes:
        target: the target; None for the default of the model's outputs.
        top_k: the number of top classes to explain; None for one target.
        arguments: what the target says of each image.
    """

    target: Target | None
    top_k: int | None
    arguments: tuple[Any, ...] = ()

    def key(self) -> tuple[Any, ...]:
        """Aims with the same key share a trace."""
        return self.target.key if self.target else None, self.top_k


@dataclass(frozen=True)
class Question:
    """Images, and what is asked about them.

    Attributes:
        batch: the images.
        aims: what is explained of each.
    """

    batch: Batch
    aims: tuple[Aim, ...]

    def rows(self, rows: slice) -> Question:
        """The same question about some of the images."""
        aims = tuple(
            replace(
                aim, arguments=tf.nest.map_structure(lambda values: values[rows], aim.arguments)
            )
            for aim in self.aims
        )
        return Question(self.batch.rows(rows), aims)

    def in_floats(self) -> Question | None:
        """The same question about floats; None where the images are floats already."""
        batch = self.batch.in_floats()
        return replace(self, batch=batch) if batch is not None else None

    def key(self) -> tuple[Any, ...]:
        """Questions with the same key are answered by one program."""
        return self.batch.key(), tuple(aim.key() for aim in self.aims)

    def arrays(self) -> list[np.ndarray]:
        """Everything that differs from image to image."""
        return [*self.batch.arrays, *tf.nest.flatten([aim.arguments for aim in self.aims])]

    def signature(self, rows: int | None) -> list[tf.TensorSpec]:
        """What a program for such questions takes; `rows` is None where any number will do."""
        return [tf.TensorSpec((rows, *array.shape[1:]), array.dtype) for array in self.arrays()]
