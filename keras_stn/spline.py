"""The thin-plate spline, the family that bends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_stn.coordinates import Tensor
from keras_stn.family import Transform, identity_vector


@keras.saving.register_keras_serializable(package="keras_stn")
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
        self.identity = identity_vector(*points.ravel())
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
