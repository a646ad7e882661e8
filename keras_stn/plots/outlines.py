"""Where the output samples the input: the frame, or the whole deformed grid, drawn on each image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_stn import checks
from keras_stn.coordinates import to_pixels
from keras_stn.plots import drawing
from keras_stn.plots.drawing import BLUE, INK, ORANGE, RED, Picture
from keras_stn.plots.pictures import (
    Range,
    as_array,
    as_images,
    coloured,
    few_enough,
    usual_range,
)
from keras_stn.plots.sheets import arranged, fitted, numbered, panel_size

_LEAST_MARGIN = 0.08
_MOST_MARGIN = 0.5
"""How much of the surroundings of an image is seen, in images."""

_FARTHEST = 100.0
"""Lines to points farther than so many images away are left out: they are behind the camera."""

_GAP = 6

Draw = Callable[[Picture, np.ndarray, int], None]


def frames(
    images: Any,
    grids: Any,
    outputs: Any = None,
    labels: Sequence[Any] | None = None,
    *,
    align_corners: bool = True,
    columns: int | None = None,
    value_range: Range | None = None,
) -> Picture:
    """Each image with its sampling frame drawn on it, and beside it what was read there.

    The frame joins the points where the output's outermost pixels read the image. Its upper edge, the first
    row of the output, is orange with a dot where that row begins, and so is the output's: a frame whose dot
    is not at its upper left is turned or flipped. What lies outside the image is checkered.

    Args:
        images: `(batch, height, width, channels)`, at most 64; see `pictures` for their values.
        grids: `(batch, h, w, 2)`, as `SpatialTransformer.grid` and `GridGenerator` make them.
        outputs: `(batch, h, w, channels)`, drawn in the colours of the images; None leaves them out.
        labels: what stands below each image; None numbers them.
        align_corners: that of the layer: the meaning of -1 and 1 in `grids`.
        columns: how many images stand side by side; None chooses.
        value_range: what is black and what is white; None guesses from the images.

    Returns:
        A picture: RGB uint8 `(height, width, 3)`.

    Example:

    >>> from keras_stn import plots
    >>> images = np.ones((2, 40, 40, 3), "uint8")
    >>> grids = keras_stn.GridGenerator("attention", 20)(np.array([[0.5, 0, 0], [1, 0.2, 0]], "float32"))
    >>> plots.frames(images, grids, labels=["half", "moved"]).shape[2]
    3
    """
    return _drawn(images, grids, outputs, labels, _frame, align_corners, columns, value_range)


def meshes(
    images: Any,
    grids: Any,
    outputs: Any = None,
    labels: Sequence[Any] | None = None,
    *,
    lines: int = 9,
    align_corners: bool = True,
    columns: int | None = None,
    value_range: Range | None = None,
) -> Picture:
    """As `frames`, with rows and columns of the grid too: how projective and tps bend the image.

    Args:
        images: as for `frames`, and so are the arguments that are not here.
        grids: `(batch, h, w, 2)`.
        outputs: drawn with the same rows and columns, straight.
        labels: what stands below each image.
        lines: so many rows and columns of the grid, at most, spread evenly; at least 2.
        align_corners: that of the layer.
        columns: how many images stand side by side.
        value_range: what is black and what is white.

    Example:

    >>> from keras_stn import plots
    >>> layer = keras_stn.SpatialTransformer("tps", output_size=24)
    >>> images = np.ones((1, 24, 24, 1), "float32")
    >>> plots.meshes(images, layer.grid(layer.theta(images)), lines=5).dtype
    dtype('uint8')
    """
    count = checks.whole_number(lines, "lines", least=2)

    def draw(panel: Picture, grid: np.ndarray, thickness: int) -> None:
        def lattice(below: Picture) -> None:
            for path in _lattice(grid, count):
                drawing.line(below, path, BLUE)

        drawing.faintly(panel, lattice)
        _frame(panel, grid, thickness)

    return _drawn(images, grids, outputs, labels, draw, align_corners, columns, value_range)


def _drawn(
    images: Any,
    grids: Any,
    outputs: Any,
    labels: Sequence[Any] | None,
    draw: Draw,
    align_corners: bool,
    columns: int | None,
    value_range: Range | None,
) -> Picture:
    given = as_images(images, "images")
    few_enough(len(given))
    points = as_array(grids, "grids")
    checks.grid_shape(points.shape, len(given))
    value_range = usual_range(given) if value_range is None else value_range
    size = panel_size(len(given))
    pixels = _pixels(points.astype(np.float64), given.shape[1:3], align_corners)
    margin = _margin(pixels, given.shape[1:3])
    panels = [
        _input_panel(picture, place, draw, size, margin)
        for picture, place in zip(coloured(given, value_range), pixels, strict=True)
    ]
    if outputs is not None:
        read = as_images(outputs, "outputs", len(given))
        if read.shape[1:3] != points.shape[1:3]:
            raise ValueError(
                "outputs must be as large as the grid that they were read at. Received outputs of "
                f"{read.shape[1:3]} and grids of {points.shape[1:3]}. Give the grid of the same call: "
                "layer.grid(theta) and layer.warp(images, theta)."
            )
        rights = [_output_panel(picture, draw, size) for picture in coloured(read, value_range)]
        panels = [_beside(left, right) for left, right in zip(panels, rights, strict=True)]
    return arranged(panels, numbered(labels, len(panels)), columns)


def _pixels(grids: np.ndarray, size: tuple[int, int], align_corners: bool) -> np.ndarray:
    """Grids in pixels of the image; infinite where they are far away."""
    height, width = size
    x, y = np.moveaxis(grids, -1, 0)
    places = [to_pixels(x, width, align_corners), to_pixels(y, height, align_corners)]
    far = (np.abs(grids) > 2 * _FARTHEST).any(axis=-1, keepdims=True)
    return np.where(far, np.inf, np.stack(places, axis=-1))


def _margin(pixels: np.ndarray, size: tuple[int, int]) -> float:
    """How much of the surroundings is shown, in images: enough for all frames, within reason."""
    sides = np.array(size[::-1], float)
    low, high = (_extreme(pixels, sign) / sides for sign in (-1, 1))
    leaves = max(0.0, *(-low - 0.5 / sides), *(high - 1 + 0.5 / sides))
    return float(np.clip(leaves + _LEAST_MARGIN, _LEAST_MARGIN, _MOST_MARGIN))


def _extreme(pixels: np.ndarray, sign: int) -> np.ndarray:
    """The least (-1) or largest (1) x and y, 0 where there is none."""
    outer = np.where(np.isfinite(pixels), sign * pixels, -np.inf).reshape(-1, 2).max(axis=0)
    return np.where(np.isfinite(outer), sign * outer, 0.0)


def _input_panel(
    picture: Picture, place: np.ndarray, draw: Draw, size: int, margin: float
) -> Picture:
    height, width = fitted(picture, size)
    border = max(round(margin * height), round(margin * width), 4)
    panel = drawing.checkered(height + 2 * border, width + 2 * border)
    panel[border : border + height, border : border + width] = drawing.resized(
        picture, height, width
    )
    zoom = np.array([width / picture.shape[1], height / picture.shape[0]])
    moved = (place + 0.5) * zoom - 0.5 + border
    draw(panel, moved, 2 if size > 100 else 1)
    _remark(panel, moved)
    return panel


def _remark(panel: Picture, place: np.ndarray) -> None:
    """Says in words why no frame is to be seen."""
    finite = np.isfinite(place).all(axis=-1)
    inside = finite & (place > -0.5).all(axis=-1) & (place < np.array(panel.shape[1::-1])).all(-1)
    if inside.any():
        return
    words = "NaN" if np.isnan(place).any() else "far outside"
    note = drawing.text(words, min(drawing.text_width(words) + 8, panel.shape[1]), RED, "centre")
    left = (panel.shape[1] - note.shape[1]) // 2
    top = (panel.shape[0] - note.shape[0]) // 2
    panel[top : top + note.shape[0], left : left + note.shape[1]] = note


def _output_panel(picture: Picture, draw: Draw, size: int) -> Picture:
    """What was read, with the grid as the output sees it: straight."""
    height, width = fitted(picture, size)
    border = 4
    panel = drawing.blank(height + 2 * border, width + 2 * border)
    panel[border:-border, border:-border] = drawing.resized(picture, height, width)
    rows = np.linspace(border - 1, border + height, picture.shape[0])
    columns = np.linspace(border - 1, border + width, picture.shape[1])
    draw(panel, np.stack(np.meshgrid(columns, rows), axis=-1), 2 if size > 100 else 1)
    return panel


def _beside(left: Picture, right: Picture) -> Picture:
    height = max(left.shape[0], right.shape[0])
    page = drawing.blank(height, left.shape[1] + _GAP + right.shape[1])
    for panel, start in ((left, 0), (right, left.shape[1] + _GAP)):
        top = (height - panel.shape[0]) // 2
        page[top : top + panel.shape[0], start : start + panel.shape[1]] = panel
    return page


def _frame(panel: Picture, grid: np.ndarray, thickness: int) -> None:
    """The outline, in place: dark below, so that it is seen on white, too."""
    around = np.concatenate([grid[:, -1], grid[-1, ::-1], grid[::-1, 0]])
    for path in (around, grid[0]):
        drawing.line(panel, path, INK, thickness + 2)
    drawing.dot(panel, grid[0, 0], INK, thickness + 3)
    drawing.line(panel, around, BLUE, thickness)
    drawing.line(panel, grid[0], ORANGE, thickness)
    drawing.dot(panel, grid[0, 0], ORANGE, thickness + 2)


def _lattice(grid: np.ndarray, count: int) -> list[np.ndarray]:
    """Some rows and columns of a grid, the first and the last among them."""
    rows, columns = (
        np.unique(np.round(np.linspace(0, length - 1, count)).astype(int))
        for length in grid.shape[:2]
    )
    return [grid[row] for row in rows] + [grid[:, column] for column in columns]
