"""The families of transformations: what theta means.

Convention: theta maps *output* coordinates to *input* coordinates, x first, both in [-1, 1]. A family
knows nothing of images. Angles act in normalised coordinates: in an image that isn't square they shear.

To add a family, write one small class with the attributes of `Transform` and register it with Keras;
`MatrixTransform` does the rest where the transformation is a 3x3 matrix.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_stn import checks
from keras_stn.coordinates import Tensor
from keras_stn.family import MatrixTransform, Transform, adjugate, identity_vector, project
from keras_stn.spline import ThinPlateSpline

_FAR_OUTSIDE = 1e6
"""The coordinate of a point behind the camera."""

__all__ = [
    "FAMILIES",
    "Affine",
    "Attention",
    "MatrixTransform",
    "Projective",
    "Rigid",
    "Rotation",
    "Scale",
    "Similarity",
    "ThinPlateSpline",
    "Transform",
    "Translation",
    "get",
    "serialize",
]

_register = keras.saving.register_keras_serializable(package="keras_stn")


def _rows(*rows: Sequence[Tensor | float]) -> Tensor:
    """`(batch, 3, 3)` of nine entries, each `(batch,)` or a number; the last row may be left out."""
    template = next(e for row in rows for e in row if not isinstance(e, float))
    full = [*rows, (0.0, 0.0, 1.0)][:3]
    entries = [
        e if not isinstance(e, float) else tf.fill(tf.shape(template), tf.cast(e, template.dtype))
        for row in full
        for e in row
    ]
    return tf.reshape(tf.stack(entries, axis=-1), [-1, 3, 3])


@_register
class Translation(MatrixTransform):
    """Moves: theta is tx, ty."""

    name = "translation"
    num_params = 2
    identity = identity_vector(0, 0)

    def matrix(self, theta: Tensor) -> Tensor:
        tx, ty = tf.unstack(theta, axis=-1)
        return _rows((1.0, 0.0, tx), (0.0, 1.0, ty))

    def inverse(self, theta: Tensor) -> Tensor:
        return -theta


@_register
class Scale(MatrixTransform):
    """Scales each axis about the centre: theta is sx, sy; above 1 zooms out."""

    name = "scale"
    num_params = 2
    identity = identity_vector(1, 1)

    def matrix(self, theta: Tensor) -> Tensor:
        sx, sy = tf.unstack(theta, axis=-1)
        return _rows((sx, 0.0, 0.0), (0.0, sy, 0.0))

    def inverse(self, theta: Tensor) -> Tensor:
        return 1.0 / theta


def _rotation(
    angle: Tensor, scale: Tensor | float, tx: Tensor | float, ty: Tensor | float
) -> Tensor:
    cos, sin = scale * tf.cos(angle), scale * tf.sin(angle)
    return _rows((cos, -sin, tx), (sin, cos, ty))


def _moved_back(
    scale: Tensor | float, angle: Tensor, tx: Tensor, ty: Tensor
) -> tuple[Tensor, Tensor]:
    """The translation of the inverse of p -> scale R p + t: -R' t / scale."""
    cos, sin = tf.cos(angle) / scale, tf.sin(angle) / scale
    return -(cos * tx + sin * ty), sin * tx - cos * ty


@_register
class Rotation(MatrixTransform):
    """Turns about the centre: theta is the angle in radians.

    The matrix is [[cos, -sin], [sin, cos]], and pi / 2 gives what `numpy.rot90(image)` gives.
    """

    name = "rotation"
    num_params = 1
    identity = identity_vector(0)

    def matrix(self, theta: Tensor) -> Tensor:
        return _rotation(theta[:, 0], 1.0, 0.0, 0.0)

    def inverse(self, theta: Tensor) -> Tensor:
        return -theta


@_register
class Rigid(MatrixTransform):
    """Turns, then moves: theta is angle, tx, ty, and a point p goes to R p + t."""

    name = "rigid"
    num_params = 3
    identity = identity_vector(0, 0, 0)

    def matrix(self, theta: Tensor) -> Tensor:
        angle, tx, ty = tf.unstack(theta, axis=-1)
        return _rotation(angle, 1.0, tx, ty)

    def inverse(self, theta: Tensor) -> Tensor:
        angle, tx, ty = tf.unstack(theta, axis=-1)
        return tf.stack([-angle, *_moved_back(1.0, angle, tx, ty)], axis=-1)


@_register
class Similarity(MatrixTransform):
    """Scales, turns and moves: theta is s, angle, tx, ty, and p goes to s R p + t; s > 1 zooms out."""

    name = "similarity"
    num_params = 4
    identity = identity_vector(1, 0, 0, 0)

    def matrix(self, theta: Tensor) -> Tensor:
        scale, angle, tx, ty = tf.unstack(theta, axis=-1)
        return _rotation(angle, scale, tx, ty)

    def inverse(self, theta: Tensor) -> Tensor:
        scale, angle, tx, ty = tf.unstack(theta, axis=-1)
        return tf.stack([1.0 / scale, -angle, *_moved_back(scale, angle, tx, ty)], axis=-1)


@_register
class Attention(MatrixTransform):
    """Crops a square window: theta is s, tx, ty, and p goes to s p + t (Jaderberg et al. 2015)."""

    name = "attention"
    num_params = 3
    identity = identity_vector(1, 0, 0)

    def matrix(self, theta: Tensor) -> Tensor:
        scale, tx, ty = tf.unstack(theta, axis=-1)
        return _rows((scale, 0.0, tx), (0.0, scale, ty))

    def inverse(self, theta: Tensor) -> Tensor:
        scale, tx, ty = tf.unstack(theta, axis=-1)
        return tf.stack([1.0 / scale, -tx / scale, -ty / scale], axis=-1)


@_register
class Affine(MatrixTransform):
    """Any 2x3 matrix: theta is [[a, b, tx], [c, d, ty]] row by row (Jaderberg et al. 2015)."""

    name = "affine"
    num_params = 6
    identity = identity_vector(1, 0, 0, 0, 1, 0)

    def matrix(self, theta: Tensor) -> Tensor:
        a, b, tx, c, d, ty = tf.unstack(theta, axis=-1)
        return _rows((a, b, tx), (c, d, ty))

    def inverse(self, theta: Tensor) -> Tensor:
        a, b, tx, c, d, ty = tf.unstack(theta, axis=-1)
        determinant = a * d - b * c
        entries = [d, -b, b * ty - d * tx, -c, a, c * tx - a * ty]
        return tf.stack(entries, axis=-1) / determinant[:, None]


@_register
class Projective(MatrixTransform):
    """Any 3x3 matrix whose last entry is 1: theta is the other eight, row by row.

    A point with a denominator of at most 1e-6 is behind the camera: it lies far outside, without a
    gradient.
    """

    name = "projective"
    num_params = 8
    identity = identity_vector(1, 0, 0, 0, 1, 0, 0, 0)

    def matrix(self, theta: Tensor) -> Tensor:
        one = tf.ones_like(theta[:, :1])
        return tf.reshape(tf.concat([theta, one], axis=-1), [-1, 3, 3])

    def grid(self, theta: Tensor, points: Tensor) -> Tensor:
        return project(self.matrix(theta), points, tf.constant(_FAR_OUTSIDE, theta.dtype))

    def inverse(self, theta: Tensor) -> Tensor:
        entries = tf.reshape(adjugate(self.matrix(theta)), [-1, 9])
        return entries[:, :8] / entries[:, 8:]


FAMILIES: dict[str, type[Transform]] = {
    family.name: family
    for family in (
        Translation,
        Scale,
        Rotation,
        Rigid,
        Similarity,
        Attention,
        Affine,
        Projective,
        ThinPlateSpline,
    )
}
"""Name -> family. The README's table and the tests read it."""


def get(identifier: str | dict[str, Any] | Transform) -> Transform:
    """Resolves a family's name, config or instance.

    Example:

    >>> keras_stn.transforms.get("affine").num_params
    6
    """
    if isinstance(identifier, dict):
        identifier = keras.saving.deserialize_keras_object(identifier)
    if isinstance(identifier, type):
        raise ValueError(
            "transform must be a family's name or an instance of its class. Received the class itself. "
            f"Write {identifier.__name__}()."
        )
    if all(hasattr(identifier, name) for name in ("num_params", "identity", "grid")):
        return _checked(identifier)
    elsewhere = {
        "thin_plate_spline": "tps",
        "homography": "projective",
        "perspective": "projective",
    }
    return _default(checks.one_of(identifier, FAMILIES, "transform", elsewhere))


def _checked(family: Any) -> Transform:
    """A family needs the attributes of `Transform`, not the base class."""
    shape = np.shape(family.identity)
    if shape != (family.num_params,):
        raise ValueError(
            f"A family needs an identity of num_params numbers. Received: {type(family).__name__} "
            f"with num_params = {family.num_params} and an identity of shape {shape}."
        )
    return family


@functools.cache
def _default(name: str) -> Transform:
    return FAMILIES[name]()


def serialize(transform: Transform) -> str | dict[str, Any]:
    """A family's name where it has no arguments of its own, else its config.

    Example:

    >>> keras_stn.transforms.serialize(keras_stn.transforms.get("tps"))
    'tps'
    """
    name = getattr(transform, "name", None)
    if name in FAMILIES and transform == _default(name):
        return str(name)
    return keras.saving.serialize_keras_object(transform)
