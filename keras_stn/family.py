"""What every family of transformations offers, and what those with a matrix share.

Convention: a transformation maps *output* coordinates to *input* coordinates, (x, y) in [-1, 1].
"""

from __future__ import annotations

import abc
from typing import Any

import numpy as np
import tensorflow as tf

from keras_stn.coordinates import Tensor


class Transform(abc.ABC):
    """What every family offers.

    Attributes:
        name: the word that `get` resolves.
        num_params: how many numbers theta holds for an image.
        identity: float32 vector, the theta that changes nothing.
    """

    name: str
    num_params: int
    identity: np.ndarray[Any, np.dtype[np.float32]]

    @abc.abstractmethod
    def grid(self, theta: Tensor, points: Tensor) -> Tensor:
        """Where the input shows what the output has at `points`.

        Args:
            theta: `(batch, num_params)`.
            points: `(h, w, 2)` output coordinates.

        Returns:
            `(batch, h, w, 2)` input coordinates.
        """

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Transform:
        """Makes the family of its constructor's arguments."""
        return cls(**config)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.get_config() == other.get_config()

    def __hash__(self) -> int:
        return hash((type(self), repr(self.get_config())))

    def __repr__(self) -> str:
        arguments = ", ".join(f"{k}={v!r}" for k, v in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


class MatrixTransform(Transform):
    """A family whose transformations are 3x3 matrices that act on (x, y, 1).

    Those here also have `inverse(theta)`: the theta, of the same family, of the opposite transformation;
    not finite where there is none.
    """

    @abc.abstractmethod
    def matrix(self, theta: Tensor) -> Tensor:
        """`(batch, 3, 3)`, of theta `(batch, num_params)`."""

    def grid(self, theta: Tensor, points: Tensor) -> Tensor:
        return apply_matrix(self.matrix(theta), points)


def apply_matrix(matrix: Tensor, points: Tensor) -> Tensor:
    """`(batch, 3, 3)` matrices without projection, applied to `(h, w, 2)` points."""
    # reshape and expand_dims, not None in an index: TFLite can't convert that where sizes are unknown.
    first, second, offset = (
        tf.reshape(matrix[:, :2, column], [-1, 1, 1, 2]) for column in range(3)
    )
    x, y = (tf.expand_dims(points[..., axis], -1) for axis in (0, 1))
    return first * x + second * y + offset


def identity_vector(*values: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A float32 vector that can't be changed by mistake."""
    vector = np.array(values, np.float32)
    vector.setflags(write=False)
    return vector


def project(matrix: Tensor, points: Tensor, behind: Tensor) -> Tensor:
    """`(batch, 3, 3)` matrices applied to `(h, w, 2)` points; `behind` where the camera doesn't look."""
    numerator = apply_matrix(matrix, points)
    slant = tf.reshape(matrix[:, 2], [-1, 3, 1, 1])
    denominator = slant[:, 0] * points[..., 0] + slant[:, 1] * points[..., 1] + slant[:, 2]
    denominator = tf.expand_dims(denominator, -1)
    # Not `> 1e-6`: NaN is no place behind the camera.
    visible = tf.logical_not(denominator <= 1e-6)
    # Twice `where`: a gradient through the branch not taken would be 0 * inf.
    return tf.where(visible, numerator / tf.where(visible, denominator, 1.0), behind)


def adjugate(matrix: Tensor) -> Tensor:
    """The inverse of `(batch, 3, 3)` matrices, times their determinant."""
    first, second, third = tf.unstack(matrix, axis=-1)
    cofactors = [
        tf.linalg.cross(second, third),
        tf.linalg.cross(third, first),
        tf.linalg.cross(first, second),
    ]
    return tf.stack(cofactors, axis=1)


def inverse_matrix(matrix: Tensor) -> Tensor:
    """The inverse of `(batch, 3, 3)` matrices; not finite where there is none."""
    adjugated = adjugate(matrix)
    determinant = tf.reduce_sum(adjugated[:, 0, :] * matrix[:, :, 0], axis=-1)
    return adjugated / tf.reshape(determinant, [-1, 1, 1])
