"""A class snapping into place: the mean of what goes in beside the mean of what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_stn.plots import drawing
from keras_stn.plots.drawing import Picture
from keras_stn.plots.pictures import MOST_IMAGES, as_images, coloured, shown
from keras_stn.plots.sheets import arranged, as_labels, fitted, panel_size

_GAP = 4


def means(
    images: Any,
    outputs: Any,
    labels: Sequence[Any] | None = None,
    *,
    columns: int | None = None,
) -> Picture:
    """The mean of the images above the mean of the outputs, for each class.

    Where a transformer brings the things of a class to one place, size and turn, the lower mean is sharp
    where the upper one is a blur. Both are drawn in one range of colours, from the least to the largest mean,
    so that the sharper one is also the brighter one. Images with pixels that aren't finite don't count.

    Args:
        images: `(batch, height, width, channels)`, any number of them.
        outputs: `(batch, h, w, channels)`, what the transformer made of them.
        labels: the class of each image, numbers or words; None for one mean of all.
        columns: how many classes stand side by side; None chooses.

    Returns:
        A picture: RGB uint8 `(height, width, 3)`.

    Example:

    >>> from keras_stn import plots
    >>> images = np.random.rand(10, 28, 28, 1)
    >>> plots.means(images, images[:, 4:24, 4:24], labels=[0, 1] * 5).shape[2]
    3
    """
    inputs = shown(as_images(images, "images"))
    read = shown(as_images(outputs, "outputs", len(inputs)))
    groups = _groups(labels, len(inputs))
    pairs = [(_mean(inputs, rows), _mean(read, rows)) for rows in groups.values()]
    values = np.concatenate([mean.ravel() for pair in pairs for mean in pair])
    values = values[np.isfinite(values)]
    low, high = (values.min(), values.max()) if values.size else (0.0, 1.0)
    value_range = (float(low), float(high if high > low else low + 1))
    size = panel_size(2 * len(pairs))
    panels = [_stacked([_panel(mean, value_range, size) for mean in pair]) for pair in pairs]
    names = [f"{name} ({len(rows)})" for name, rows in groups.items()]
    return arranged(panels, names, columns)


def _groups(labels: Sequence[Any] | None, count: int) -> dict[str, np.ndarray]:
    """The rows of each class, in the order of the labels."""
    if labels is None:
        return {"all": np.arange(count)}
    given = as_labels(labels, count)
    rows: dict[str, list[int]] = {}
    for row in sorted(range(count), key=lambda row: _order(given[row])):
        rows.setdefault(str(given[row]), []).append(row)
    if len(rows) > MOST_IMAGES:
        raise ValueError(
            f"At most {MOST_IMAGES} classes are drawn. Received {len(rows)}. Choose the images of some."
        )
    return {name: np.array(numbers) for name, numbers in rows.items()}


def _order(label: Any) -> tuple[bool, float, str]:
    """Numbers by their size, then words."""
    is_number = isinstance(label, (int, float))
    return not is_number, float(label) if is_number else 0.0, str(label)


def _mean(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The mean of some images, of those that are finite; NaN where none is."""
    finite = rows[np.isfinite(images[rows].astype(np.float64)).all(axis=(1, 2, 3))]
    if not len(finite):
        return np.full(images.shape[1:], np.nan)
    return images[finite].mean(axis=0, dtype=np.float64)


def _panel(mean: np.ndarray, value_range: tuple[float, float], size: int) -> Picture:
    picture = coloured(mean[None], value_range)[0]
    return drawing.resized(picture, *fitted(picture, size))


def _stacked(panels: Sequence[Picture]) -> Picture:
    """Two panels, each below its caption."""
    captions = ("mean input", "mean output")
    width = max(*(panel.shape[1] for panel in panels), *map(drawing.text_width, captions))
    rows = []
    for caption, panel in zip(captions, panels, strict=True):
        padded = drawing.blank(panel.shape[0] + _GAP, width)
        padded[: panel.shape[0], : panel.shape[1]] = panel
        rows += [drawing.text(caption, width), padded]
    return np.concatenate(rows)[: -_GAP or None]
