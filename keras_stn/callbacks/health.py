"""Numbers that tell a healthy transformer from a broken one, and the sentences that say so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_stn.callbacks.views import View

SMALLEST_SHARE = 1 / 400
"""A frame below this share of its image has shrunk to nothing, ..."""

LARGEST_MAGNIFICATION = 10
"""... if it also holds less than one pixel for so many of the output."""

SENTENCES = {
    "nan": (
        "theta of {layer!r} is NaN or infinite for {images} {when}. Its output is NaN there, and the weights "
        "soon will be. Expected finite numbers: load the last weights that were good, and train with a "
        "smaller learning rate, clipnorm=1.0 in the optimizer, or a limit in ThetaRegression."
    ),
    "outside": (
        "{layer!r} sees nothing of {images} {when}: no point of the frame lies inside the image, so the "
        "output is {seen}, and no gradient leads back. Expected frames on their images: take smaller steps "
        "(ThetaRegression(step_size=0.1), or a smaller learning rate), or bound theta with limit=1.0."
    ),
    "black": (
        "The output of {layer!r} for {images} is one flat colour {when}, though the image isn't: the frame "
        "lies where there is nothing to see. Expected frames on what matters: take smaller steps "
        "(ThetaRegression(step_size=0.1), or a smaller learning rate), or bound theta with limit=1.0."
    ),
    "shrunk": (
        "The frame of {layer!r} has shrunk to nothing for {images} {when}: it covers less than 1/400 of the "
        "image, and the output is a smear of a few pixels. Expected larger frames: give ThetaRegression "
        "limit=0.5 or penalty=0.01, or choose a family with fewer parameters."
    ),
}
"""What is said once of each layer; what was received, what was expected, what to do."""


def outside_share(pixels: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Which share of each grid lies outside its image, whose pixels reach half a pixel from their centres.

    A point that is NaN counts as outside.
    """
    ends = np.array(size[::-1], float) - 0.5
    inside = ((pixels >= -0.5 - 1e-3) & (pixels <= ends + 1e-3)).all(axis=-1)
    return 1 - inside.mean(axis=(1, 2))


def area_share(pixels: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Which share of its image each frame covers, folded or flipped parts counted as they are; NaN stays."""
    if min(pixels.shape[1:3]) == 1:  # a line has no area: that of the square over it
        steps = np.diff(pixels.reshape(len(pixels), -1, 2), axis=1)
        return np.linalg.norm(steps, axis=-1).sum(axis=1) ** 2 / np.prod(size)
    down = pixels[:, 1:, 1:] - pixels[:, :-1, :-1]
    across = pixels[:, 1:, :-1] - pixels[:, :-1, 1:]
    # The area of a quadrangle is half the cross product of its diagonals.
    cells = np.abs(down[..., 0] * across[..., 1] - down[..., 1] * across[..., 0]) / 2
    return cells.sum(axis=(1, 2)) / np.prod(size)


def seen_outside(layer: Any) -> str:
    """What a transformer makes of a frame that lies outside its image."""
    if layer.fill_mode != "constant":
        return "the image's edge, repeated"
    return "of one colour" if layer.fill_value else "black"


def problems(view: View) -> dict[str, np.ndarray]:
    """The numbers of the images for which something is wrong, by the code of its sentence."""
    size, pixels = view.size, view.pixels
    is_nan = ~np.isfinite(view.theta).all(axis=1)
    # A mirror shows the image wherever the frame lies.
    outside = ~is_nan & (outside_share(pixels, size) == 1) & (view.layer.fill_mode != "reflect")
    area = area_share(pixels, size)
    points = np.prod(pixels.shape[1:3])
    shrunk = ~is_nan & ~outside & (area < SMALLEST_SHARE) & (points > 1)
    shrunk &= area * np.prod(size) * LARGEST_MAGNIFICATION < points
    black = ~is_nan & ~outside & ~shrunk & _flat(view.outputs) & ~_flat(view.images)
    found = {"nan": is_nan, "outside": outside, "shrunk": shrunk, "black": black}
    return {code: np.flatnonzero(where) for code, where in found.items() if where.any()}


def _flat(images: np.ndarray) -> np.ndarray:
    """Whether each image is the same everywhere, but for rounding; one pixel is no image."""
    values = images.astype(np.float64).reshape(len(images), -1, images.shape[3])
    spread = np.ptp(values, axis=1).max(axis=-1)
    scale = np.abs(values).max(axis=(1, 2))
    return (spread <= 1e-6 * scale) & (values.shape[1] > 1)


def listed(numbers: np.ndarray) -> str:
    """Image numbers for a sentence.

    >>> listed(np.array([3])), listed(np.arange(20))
    ('image 3', 'images 0, 1, 2, 3, 4, 5, 6, 7 and 12 more')
    """
    shown = ", ".join(str(number) for number in numbers[:8])
    more = f" and {len(numbers) - 8} more" if len(numbers) > 8 else ""
    return f"image{'s' if len(numbers) > 1 else ''} {shown}{more}"
