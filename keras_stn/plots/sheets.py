"""Pictures side by side on one sheet, each with its label."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_stn import checks
from keras_stn.plots import drawing
from keras_stn.plots.drawing import TEXT_HEIGHT, Picture
from keras_stn.plots.pictures import Range, as_images, coloured, few_enough, usual_range

GAP = 10
_BEST_RATIO = 1.6


def sheet(
    images: Any,
    labels: Sequence[Any] | None = None,
    *,
    columns: int | None = None,
    value_range: Range | None = None,
) -> Picture:
    """A batch of images on one sheet, small ones enlarged.

    Args:
        images: `(batch, height, width, channels)`, at most 64.
        labels: what stands below each; None numbers them.
        columns: how many stand side by side; None chooses.
        value_range: as for `pictures`.

    Example:

    >>> from keras_stn import plots
    >>> plots.sheet(np.ones((6, 28, 28, 1)), labels="abcdef").dtype
    dtype('uint8')
    """
    array = as_images(images, "images")
    few_enough(len(array))
    size = panel_size(len(array))
    rgb = coloured(array, usual_range(array) if value_range is None else value_range)
    panels = [drawing.resized(picture, *fitted(picture, size)) for picture in rgb]
    return arranged(panels, numbered(labels, len(panels)), columns)


def panel_size(count: int) -> int:
    """How many pixels long an image is drawn where so many share a sheet."""
    return 160 if count <= 4 else 120 if count <= 16 else 80


def fitted(image: np.ndarray, size: int) -> tuple[int, int]:
    """The height and width of an image when its longer side is brought near `size`.

    It grows by whole factors, so that its pixels stay squares of one size.
    """
    height, width = image.shape[:2]
    longest = max(height, width)
    factor: float = size // longest if longest <= size else size / longest
    return max(round(height * factor), 1), max(round(width * factor), 1)


def numbered(labels: Sequence[Any] | None, count: int) -> list[str]:
    """One label an image: those given, or numbers."""
    if labels is None:
        return [f"image {number}" for number in range(count)]
    return [str(label) for label in as_labels(labels, count)]


def as_labels(labels: Any, count: int) -> list[Any]:
    """Labels as a list of numbers or words, one for each image; they may stand in a column."""
    given = list(labels) if isinstance(labels, str) else labels
    try:
        array = np.asarray(given)
    except ValueError:  # lists of several lengths
        array = np.asarray(given, dtype=object)
    if array.shape not in ((count,), (count, 1)):
        received = f"labels of shape {array.shape}" if array.ndim else f"labels={labels!r}"
        advice = (
            "One-hot labels? Give labels.argmax(axis=-1)."
            if array.ndim == 2
            else "Give a list or an array as long as the batch, or leave labels out."
        )
        raise ValueError(
            f"One label is needed for each image. Received {received} for {count} images. {advice}"
        )
    plain = array.reshape(-1).tolist()
    # The words of a tensor are bytes.
    return [
        label.decode(errors="replace") if isinstance(label, bytes) else label for label in plain
    ]


def arranged(panels: Sequence[Picture], labels: Sequence[str], columns: int | None) -> Picture:
    """Panels of any size in rows, the label below each."""
    height = max(panel.shape[0] for panel in panels) + TEXT_HEIGHT
    width = max(panel.shape[1] for panel in panels)
    count = _columns(columns, len(panels), height + GAP, width + GAP)
    rows = math.ceil(len(panels) / count)
    page = drawing.blank(GAP + rows * (height + GAP), GAP + count * (width + GAP))
    for place, (panel, label) in enumerate(zip(panels, labels, strict=True)):
        top = GAP + place // count * (height + GAP)
        left = GAP + place % count * (width + GAP)
        page[top : top + panel.shape[0], left : left + panel.shape[1]] = panel
        below = top + height - TEXT_HEIGHT
        page[below : below + TEXT_HEIGHT, left : left + width] = drawing.text(label, width)
    return page


def _columns(columns: int | None, count: int, height: int, width: int) -> int:
    if columns is None:
        return min(
            range(1, count + 1),
            key=lambda n: abs(math.log(n * width / (math.ceil(count / n) * height) / _BEST_RATIO)),
        )
    return min(checks.whole_number(columns, "columns"), count)
