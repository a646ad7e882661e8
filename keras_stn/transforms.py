"""The families of transformations: what theta means.

Convention: theta maps *output* coordinates to *input* coordinates, x first, both in [-1, 1]. A family
knows nothing of images. Angles act in normalised coordinates: in an image that isn't square they shear.

To add a family, write one small class with the attributes of `Transform` and register it with Keras;
`MatrixTransform` does the rest where the transformation is a 3x3 matrix.
"""

from __future__ import annotations

import abc
import functools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_stn import checks
from keras_stn.coordinates import Tensor

_FAR_OUTSIDE = 1e6
"""The coordinate of a point behind the camera."""

_register = keras.saving.register_keras_serializable(package="keras_stn")


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
    linear, offset = matrix[:, :2, :2], matrix[:, :2, 2]
    x, y = points[..., :1], points[..., 1:]
    first, second, offset = (
        v[:, None, None, :] for v in (linear[:, :, 0], linear[:, :, 1], offset)
    )
    return first * x + second * y + offset


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


def _identity(*values: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    vector = np.array(values, np.float32)
    vector.setflags(write=False)
    return vector


@_register
class Translation(MatrixTransform):
    """Moves: theta is tx, ty."""

    name = "translation"
    num_params = 2
    identity = _identity(0, 0)

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
    identity = _identity(1, 1)

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
    identity = _identity(0)

    def matrix(self, theta: Tensor) -> Tensor:
        return _rotation(theta[:, 0], 1.0, 0.0, 0.0)

    def inverse(self, theta: Tensor) -> Tensor:
        return -theta


@_register
class Rigid(MatrixTransform):
    """Turns, then moves: theta is angle, tx, ty, and a point p goes to R p + t."""

    name = "rigid"
    num_params = 3
    identity = _identity(0, 0, 0)

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
    identity = _identity(1, 0, 0, 0)

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
    identity = _identity(1, 0, 0)

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
    identity = _identity(1, 0, 0, 0, 1, 0)

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
    identity = _identity(1, 0, 0, 0, 1, 0, 0, 0)

    def matrix(self, theta: Tensor) -> Tensor:
        one = tf.ones_like(theta[:, :1])
        return tf.reshape(tf.concat([theta, one], axis=-1), [-1, 3, 3])

    def grid(self, theta: Tensor, points: Tensor) -> Tensor:
        return project(self.matrix(theta), points, tf.constant(_FAR_OUTSIDE, theta.dtype))

    def inverse(self, theta: Tensor) -> Tensor:
        adjugate = tf.reshape(_adjugate(self.matrix(theta)), [-1, 9])
        return adjugate[:, :8] / adjugate[:, 8:]


def project(matrix: Tensor, points: Tensor, behind: Tensor) -> Tensor:
    """`(batch, 3, 3)` matrices applied to `(h, w, 2)` points; `behind` where the camera doesn't look."""
    numerator = apply_matrix(matrix, points)
    slant = matrix[:, 2, :, None, None]
    denominator = slant[:, 0] * points[..., 0] + slant[:, 1] * points[..., 1] + slant[:, 2]
    denominator = denominator[..., None]
    visible = denominator > 1e-6
    # Twice `where`: a gradient through the branch not taken would be 0 * inf.
    return tf.where(visible, numerator / tf.where(visible, denominator, 1.0), behind)


def _adjugate(matrix: Tensor) -> Tensor:
    first, second, third = tf.unstack(matrix, axis=-1)
    cofactors = [
        tf.linalg.cross(second, third),
        tf.linalg.cross(third, first),
        tf.linalg.cross(first, second),
    ]
    return tf.stack(cofactors, axis=1)


def inverse_matrix(matrix: Tensor) -> Tensor:
    """The inverse of `(batch, 3, 3)` matrices; not finite where there is none."""
    adjugate = _adjugate(matrix)
    determinant = tf.reduce_sum(adjugate[:, 0, :] * matrix[:, :, 0], axis=-1)
    return adjugate / determinant[:, None, None]


@_register
class ThinPlateSpline(Transform):
    """Bends the image smoothly: theta says where the input shows each control point.

    theta is x1, y1, x2, y2, ... in input coordinates, in the order of the control points. The map is the
    thin-plate spline through them (Bookstein 1989): affine, plus a sum of r^2 log r^2 around each.

    Args:
        rows: control points along y, on a regular lattice over [-1, 1] squared, row by row.
        cols: control points along x.
        control_points: `(K, 2)` output coordinates, instead of a lattice.

    Example:

    >>> keras_stn.transforms.get("tps").num_params
    32
    """

    name = "tps"

    def __init__(
        self, rows: int = 4, cols: int = 4, control_points: Sequence[Sequence[float]] | None = None
    ) -> None:
        self.rows = rows
        self.cols = cols
        self.control_points = control_points
        points = (
            _lattice(rows, cols)
            if control_points is None
            else np.asarray(control_points, np.float64)
        )
        _check_control_points(points)
        self.num_params = points.size
        self.identity = _identity(*points.ravel())
        self._points = points
        self._solution = _solve_spline(points)

    def get_config(self) -> dict[str, Any]:
        points = self.control_points
        listed = None if points is None else np.asarray(points, np.float64).tolist()
        return {"rows": self.rows, "cols": self.cols, "control_points": listed}

    def grid(self, theta: Tensor, points: Tensor) -> Tensor:
        influence = self._influence(points, theta.dtype)
        sources = tf.reshape(theta, [-1, len(self._points), 2])
        return tf.einsum("hwk,bkc->bhwc", influence, sources)

    def _influence(self, points: Tensor, dtype: tf.DType) -> Tensor:
        """How much each control point moves each point: `(h, w, K)`; each row sums to one."""
        # In float64: with many control points the terms are far larger than their sum.
        points = tf.cast(points, tf.float64)
        squared = tf.reduce_sum((points[..., None, :] - self._points) ** 2, axis=-1)
        terms = tf.concat([_radial(squared), tf.ones_like(points[..., :1]), points], axis=-1)
        return tf.cast(tf.tensordot(terms, self._solution, axes=1), dtype)


def _lattice(rows: int, cols: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    if min(rows, cols) < 2:
        raise ValueError(
            "A thin-plate spline needs at least two rows and two columns of control points. "
            f"Received: rows={rows}, cols={cols}."
        )
    y, x = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, cols), indexing="ij")
    return np.stack([x.ravel(), y.ravel()], axis=-1)


def _check_control_points(points: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3:
        raise ValueError(
            "control_points must be at least three points (x, y), an array of shape (K, 2). "
            f"Received shape {points.shape}."
        )
    if not np.isfinite(points).all():
        raise ValueError(f"control_points must be finite. Received: {points.tolist()}.")
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1) + 4 * np.eye(len(points))
    extent = np.ptp(points, axis=0).max()
    if distance.min() <= 1e-9 * extent or not extent:
        first, second = sorted(np.unravel_index(distance.argmin(), distance.shape))
        raise ValueError(
            "control_points must differ from each other, or the spline is not determined. Received "
            f"{points[first].tolist()} twice, at positions {first} and {second}. Remove one."
        )
    spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    if spread[1] <= 1e-9 * spread[0]:
        raise ValueError(
            "control_points must not all lie on one line, or the spline is not determined across it. "
            f"Received: {points.tolist()}. Add a point beside the line."
        )


def _solve_spline(
    points: np.ndarray[Any, np.dtype[np.float64]],
) -> np.ndarray[Any, np.dtype[Any]]:
    """`(K + 3, K)`: the spline's coefficients, of the positions of its control points."""
    count = len(points)
    squared = ((points[:, None] - points[None]) ** 2).sum(axis=-1)
    affine = np.concatenate([np.ones((count, 1)), points], axis=1)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = squared * np.log(np.where(squared > 0, squared, 1.0))
    system[:count, count:] = affine
    system[count:, :count] = affine.T
    return np.linalg.inv(system)[:, :count]


def _radial(squared: Tensor) -> Tensor:
    """r^2 log r^2, and 0 at 0, with finite gradients."""
    return squared * tf.math.log(tf.where(squared > 0.0, squared, 1.0))


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
    if isinstance(identifier, str) and identifier in FAMILIES:
        return _default(identifier)
    if isinstance(identifier, Transform):
        return identifier
    if all(hasattr(identifier, name) for name in ("num_params", "identity", "grid")):
        return identifier  # type: ignore[return-value]  # a family needs the attributes, not the base class
    elsewhere = {
        "thin_plate_spline": "tps",
        "homography": "projective",
        "perspective": "projective",
    }
    checks.one_of(identifier, FAMILIES, "transform", elsewhere)
    raise AssertionError("unreachable: one_of raises for what is no family")


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
