"""theta over training: one small chart a parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_stn import checks, transforms
from keras_stn.family import Transform
from keras_stn.plots import drawing
from keras_stn.plots.drawing import BLUE, FAINT, INK, ORANGE, RED, TEXT_HEIGHT, Picture
from keras_stn.plots.pictures import as_array
from keras_stn.plots.sheets import arranged

_HEIGHT, _WIDTH = 110, 210
_BAND = (190, 232, 255)

_NAMES = {
    "translation": ("tx", "ty"),
    "scale": ("sx", "sy"),
    "rotation": ("angle",),
    "rigid": ("angle", "tx", "ty"),
    "similarity": ("s", "angle", "tx", "ty"),
    "attention": ("s", "tx", "ty"),
    "affine": ("a", "b", "tx", "c", "d", "ty"),
    "projective": ("a", "b", "tx", "c", "d", "ty", "e", "f"),
}


def theta_history(
    thetas: Any,
    transform: str | Transform | None = None,
    steps: Sequence[float] | None = None,
    *,
    columns: int | None = None,
) -> Picture:
    """How theta moved in training: for each parameter its median, and how far the images differ.

    The line is the median of the batch, the dark band its middle half, the light lines its least and largest
    value, the orange line the identity. A step where theta was NaN for some image is marked red at the foot.

    Args:
        thetas: `(steps, batch, num_params)`, theta of the same images at each step; or one
            `(batch, num_params)` array a step.
        transform: the family, which names the parameters and says where the identity is.
        steps: the number of each step, such as epochs; None counts from 0.
        columns: how many charts stand side by side; None chooses.

    Returns:
        A picture: RGB uint8 `(height, width, 3)`.

    Example:

    >>> from keras_stn import plots
    >>> thetas = np.random.rand(12, 8, 3)  # 12 epochs, 8 images
    >>> plots.theta_history(thetas, "attention").shape[2]
    3
    """
    array = _checked(thetas)
    count = array.shape[2]
    family = None if transform is None else transforms.get(transform)
    if family is not None:
        checks.theta_shape(array.shape[1:], getattr(family, "name", "transform"), family.num_params)
    at = np.arange(len(array), dtype=float) if steps is None else as_array(steps, "steps")
    if at.shape != (len(array),) or not np.isfinite(at).all() or (np.diff(at) <= 0).any():
        raise ValueError(
            f"steps must be rising numbers, one for each theta. Received: {steps!r} for {len(array)} of them."
        )
    identity = [None] * count if family is None else family.identity.tolist()
    names = parameter_names(family, count)
    charts = [
        _chart(array[:, :, number].astype(np.float64), at.astype(float), identity[number])
        for number in range(count)
    ]
    return arranged(charts, [f"theta: {name}" for name in names], columns)


def parameter_names(family: Transform | None, count: int) -> list[str]:
    """What the parameters of a family are called; numbers where nobody says."""
    name = getattr(family, "name", "")
    if name == "tps":
        return [f"{axis}{number // 2 + 1}" for number, axis in enumerate("xy" * (count // 2))]
    names = _NAMES.get(name, ())
    return list(names) if len(names) == count else [str(number) for number in range(count)]


def _checked(thetas: Any) -> np.ndarray:
    arrays = (
        [as_array(theta, "thetas") for theta in thetas]
        if isinstance(thetas, (list, tuple))
        else as_array(thetas, "thetas")
    )
    shapes = {array.shape for array in arrays}
    shape = shapes.pop() if len(shapes) == 1 else None
    if shape is None or len(shape) != 2 or 0 in shape:
        received = f"{len(arrays)} of shape {shape}" if shape is not None else "different shapes"
        raise ValueError(
            "thetas must be of shape (steps, batch, num_params), of the same images at each step. "
            f"Received: {received if len(arrays) else 'none'}. Keep layer.theta(images) after each epoch "
            "in a list; of one image, keep the batch axis."
        )
    return np.stack(list(arrays))


def _chart(values: np.ndarray, steps: np.ndarray, identity: float | None) -> Picture:
    """The course of one parameter, `(steps, batch)`."""
    finite = np.isfinite(values)
    courses = [_course(values, finite, share) for share in (0, 25, 50, 75, 100)]
    known = np.concatenate([*courses, [] if identity is None else [identity]])
    known = known[np.isfinite(known)]
    low, high = (known.min(), known.max()) if known.size else (0.0, 1.0)
    spare = max(0.05 * (high - low), 0.01)
    bottom, top = low - spare, high + spare
    plot = drawing.blank(_HEIGHT, _WIDTH)
    across = (
        (steps - steps[0]) / max(steps[-1] - steps[0], 1e-9) if len(steps) > 1 else 0.5 + 0 * steps
    )
    x = 2 + across * (_WIDTH - 5)

    def points(course: np.ndarray) -> np.ndarray:
        return np.stack([x, (top - course) / (top - bottom) * (_HEIGHT - 1)], axis=-1)

    least, lower, middle, upper, most = map(points, courses)
    _fill(plot, lower, upper)
    if identity is not None:
        height = float(points(np.full_like(steps, identity))[0, 1])
        drawing.line(plot, np.array([[0, height], [_WIDTH, height]]), ORANGE)
    for course in (least, most):
        _course_line(plot, course, FAINT, 1)
    _course_line(plot, middle, BLUE, 2)
    for place in x[~finite.all(axis=1)]:
        drawing.dot(plot, np.array([place, _HEIGHT - 4.0]), RED, 3)
    return _with_axes(plot, (bottom, top), (steps[0], steps[-1]))


def _course(values: np.ndarray, finite: np.ndarray, share: int) -> np.ndarray:
    """A percentile of the finite values at each step; NaN where there are none."""
    return np.array(
        [
            np.percentile(row[known], share) if known.any() else np.nan
            for row, known in zip(values, finite, strict=True)
        ]
    )


def _fill(plot: Picture, lower: np.ndarray, upper: np.ndarray) -> None:
    present = np.isfinite(lower).all(axis=-1)
    for first in range(len(lower) - 1):
        if present[first : first + 2].all():
            edge = [lower[first], lower[first + 1], upper[first + 1], upper[first]]
            drawing.area(plot, np.array(edge), _BAND)


def _course_line(plot: Picture, course: np.ndarray, colour: drawing.Colour, width: int) -> None:
    drawing.line(plot, course, colour, width)
    if len(course) == 1:
        drawing.dot(plot, course[0], colour, width)


def _with_axes(
    plot: Picture, vertical: tuple[float, float], horizontal: tuple[float, float]
) -> Picture:
    """The plot with the ends of its axes written beside it."""
    high, low = f"{vertical[1]:.3g}", f"{vertical[0]:.3g}"
    left = drawing.text_width("-0.000888")  # no other three digits take more
    page = drawing.blank(_HEIGHT + TEXT_HEIGHT + 4, left + 6 + _WIDTH + 1)
    page[1 : 1 + _HEIGHT, left + 5 : left + 5 + _WIDTH] = plot
    page[0, left + 4 :] = page[_HEIGHT + 1, left + 4 :] = FAINT
    page[: _HEIGHT + 2, left + 4] = page[: _HEIGHT + 2, -1] = FAINT
    page[0:TEXT_HEIGHT, :left] = drawing.text(high, left, INK, "right")
    page[_HEIGHT - TEXT_HEIGHT + 4 : _HEIGHT + 4, :left] = drawing.text(low, left, INK, "right")
    foot = slice(_HEIGHT + 3, _HEIGHT + 3 + TEXT_HEIGHT)
    half = _WIDTH // 2
    page[foot, left + 5 : left + 5 + half] = drawing.text(f"{horizontal[0]:g}", half)
    end = drawing.text(f"{horizontal[1]:g}", half, INK, "right")
    page[foot, left + 5 + half : left + 5 + 2 * half] = end
    return page
