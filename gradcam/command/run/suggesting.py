"""Suggests a preprocessing with its reason, where nobody says one and the model has none inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from gradcam import pictures
from gradcam.command.model import applications
from gradcam.errors import ImageError
from gradcam.trace import pixel_range, sources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradcam.trace.pixel_range import PixelRange

# So many photographs are read for it.
_LOOKED_AT = 4


def suggestion(
    model: Any, photos: Sequence[str], size: tuple[int, int], channels: int, *, first: bool
) -> str:
    """A sentence, with a space behind it; empty where nothing tells.

    Args:
        model: the loaded model.
        photos: the paths of the photographs.
        size: height and width of the model's input.
        channels: 1 or 3.
        first: whether the axis of channels comes first.
    """
    source = sources.open_source(model)
    found: list[tuple[PixelRange | None, list[str]]] = []
    shape = (channels, *size) if first else (*size, channels)
    specs = source.specs()
    count = specs[0].shape[0] if specs else None

    def trace(images: tf.Tensor) -> tf.Tensor:
        recording = source.record([images], None)
        known = pixel_range.learned_by(recording)
        found.append((known, [call.name for call in recording.calls]))
        return known.variance if known is not None and known.variance is not None else images

    run = tf.compat.v1.wrap_function(trace, [tf.TensorSpec((count, *shape), tf.float32)])
    known, names = found[0]
    if known is not None and known.has_learned:
        pixels = [array for path in photos[:_LOOKED_AT] for array in _pixels(path, size, channels)]
        if pixels:
            chosen = [pixels[n % len(pixels)] for n in range(count or len(pixels))]
            images = np.stack(chosen).astype(np.float32)
            images = np.moveaxis(images, -1, 1) if first else images
            said = _by_spread(known, images, run(tf.constant(images)).numpy())
            if said:
                return said
    return _by_name(names)


def _by_spread(known: PixelRange, images: np.ndarray, variance: np.ndarray) -> str:
    """What the photographs give, as pixels from 0 to 255, against what the model learned."""
    misfit = known.misfit(images, variance)
    path = known.norm.path if known.norm is not None else ""
    if misfit is None:
        said = f"with pixels from 0 to 255 these photographs spread as what '{path}' learned"
        return f"Most likely right: --preprocess raw; {said}. "
    if misfit.proposal is None:
        return ""
    option, facts = misfit.proposal.option, misfit.facts
    return (
        f"Most likely right: --preprocess {option}; '{path}' learned inputs with a spread of about"
        f" {facts['expected']:.3g}, pixels from 0 to 255 give {facts['measured']:.3g}, and"
        f" {option} comes nearest. "
    )


def _by_name(names: Sequence[str]) -> str:
    """What a network of keras.applications, by its name, was trained with."""
    for name in names:
        network = applications.named(name)
        if network is not None:
            module = applications.NETWORKS[network]
            return f"Most likely right: --preprocess {module}; the model holds '{name}'. "
    return ""


def _pixels(path: str, size: tuple[int, int], channels: int) -> list[np.ndarray]:
    """The pixels of a photograph; none where it can't be read, which is told of in its turn."""
    try:
        return [pictures.fitted(pictures.read_photo(path), *size, channels)]
    except (ImageError, OSError):
        return []
