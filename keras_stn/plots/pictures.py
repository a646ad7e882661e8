"""From the numbers of images and feature maps to colours that can be seen."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_stn import checks
from keras_stn.plots.drawing import Picture

MOST_IMAGES = 64
"""So many fit on a sheet."""

NOT_A_NUMBER = (255, 0, 255)
"""The colour of a pixel that is NaN or infinite."""

Range = tuple[float, float]


def as_array(values: Any, name: str) -> np.ndarray:
    """An array or tensor as a NumPy array of real numbers."""
    if isinstance(values, keras.KerasTensor):
        raise ValueError(
            f"{name} must be numbers. Received a KerasTensor, the placeholder of a functional model. Give "
            "the arrays that go through the model, or come out of it."
        )
    array = np.asarray(values)
    if array.dtype.name in ("bfloat16", "float16"):
        array = array.astype(np.float32)
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} must be an array of numbers. Received: {array.dtype} of shape {array.shape}."
        )
    return array


def as_images(values: Any, name: str, batch: int | None = None) -> np.ndarray:
    """Checks that these are images, channels last, as many as `batch` says."""
    array = as_array(values, name)
    checks.images_shape(array.shape, name)
    if 0 in array.shape:
        raise ValueError(f"{name} must hold at least one image. Received shape {array.shape}.")
    channels_first = array.shape[1] in (1, 3) and array.shape[3] > 4 and array.shape[2] > 4
    if channels_first:
        raise ValueError(
            f"{name} must have their channels last. Received shape {array.shape}, which looks "
            "channels-first. Write np.moveaxis(images, 1, -1)."
        )
    if batch is not None and len(array) != batch:
        raise ValueError(
            f"One of {name} is needed for each image. Received {batch} images and {len(array)} of {name}."
            " Take them from the same batch."
        )
    return array


def few_enough(count: int) -> None:
    """Checks that a batch fits on a sheet."""
    if count > MOST_IMAGES:
        raise ValueError(
            f"A sheet shows at most {MOST_IMAGES} images. Received {count}. "
            f"Choose some, as with images[:{MOST_IMAGES}]."
        )


def pictures(images: Any, value_range: Range | None = None) -> Picture:
    """Images as `(batch, height, width, 3)` RGB bytes, at their own size.

    Args:
        images: `(batch, height, width, channels)`; not 1 or 3 channels are shown by their mean magnitude.
        value_range: what is black and what is white. None guesses for the whole batch: bytes and numbers in
            0..255 as they are, 0..1 times 255, anything else stretched from its least to its largest value.
            Feature maps go from 0 to their largest value.

    Pixels that aren't finite are magenta.

    Example:

    >>> from keras_stn import plots
    >>> plots.pictures(np.array([0.0, 0.5, np.nan]).reshape(1, 1, 3, 1))[0, 0].tolist()
    [[0, 0, 0], [128, 128, 128], [255, 0, 255]]
    """
    array = as_images(images, "images")
    return coloured(array, usual_range(array) if value_range is None else value_range)


def shown(images: np.ndarray) -> np.ndarray:
    """Grey or RGB as it is; other numbers of channels as their mean magnitude, one channel."""
    if images.shape[3] in (1, 3):
        return images
    return np.abs(images.astype(np.float64)).mean(axis=3, keepdims=True)


def coloured(images: np.ndarray, value_range: Range) -> Picture:
    """Images or feature maps as RGB bytes."""
    low, high = checked_range(value_range)
    values = shown(images).astype(np.float64)
    finite = np.isfinite(values)
    values = np.where(finite, values, low)
    scaled = np.clip((values - low) / (high - low), 0, 1)
    rgb = np.broadcast_to(np.rint(scaled * 255).astype(np.uint8), (*images.shape[:3], 3)).copy()
    rgb[~finite.all(axis=-1)] = NOT_A_NUMBER
    return rgb


def usual_range(images: np.ndarray) -> Range:
    """What is black and what is white, guessed from the values of a batch."""
    if images.shape[3] not in (1, 3):
        most = float(np.max(shown(images), where=np.isfinite(shown(images)), initial=0.0))
        return 0.0, most or 1.0
    if images.dtype == np.uint8:
        return 0.0, 255.0
    if images.dtype == bool:
        return 0.0, 1.0
    values = images[np.isfinite(images)]
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    if low >= 0 and high <= 1 and images.dtype.kind == "f":
        return 0.0, 1.0
    # Bytes as floats are seldom all dark; a little above 1 is an image in 0..1 that was sharpened.
    if low >= 0 and high <= 255 and (high > 16 or images.dtype.kind != "f"):
        return 0.0, 255.0
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def checked_range(value_range: Any) -> Range:
    """Checks the argument `value_range`."""
    numbers = np.asarray(value_range, dtype=object).ravel().tolist()
    real = all(isinstance(n, (int, float, np.number)) and np.isfinite(n) for n in numbers)
    if len(numbers) != 2 or not real or not numbers[0] < numbers[1]:
        raise ValueError(
            "value_range must be two finite numbers, black and white, the first less than the second. "
            f"Received: {value_range!r}. For standardised images (-2, 2) does well."
        )
    return float(numbers[0]), float(numbers[1])
