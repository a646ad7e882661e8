"""What users can get wrong, and the sentences that tell them: received, expected, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_stn.interpolation import FILL_MODES, TAPS

Shape = Sequence[int | None]

_FILL_MODES_ELSEWHERE = {
    "mirror": "reflect with align_corners=True, which folds about the centres of the edge pixels",
    "wrap": "none of them: this package doesn't repeat images",
    "zeros": "constant with fill_value=0.0",
    "border": "nearest",
    "reflection": "reflect",
    "edge": "nearest",
    "replicate": "nearest",
}
_INTERPOLATIONS_ELSEWHERE = {
    "cubic": "bicubic",
    "linear": "bilinear",
    "lanczos3": "none of them: bicubic comes closest",
}


def one_of(value: Any, choices: Iterable[str], argument: str, elsewhere: dict[str, str]) -> str:
    """Returns `value` if it is one of `choices`; else suggests what was meant."""
    choices = list(choices)
    if isinstance(value, str) and value in choices:
        return value
    message = f"{argument} must be one of {_listed(choices)}. Received: {value!r}."
    word = value.lower() if isinstance(value, str) else ""
    if word in elsewhere:
        message += f" What other libraries call {value!r} is here {elsewhere[word]}."
    elif near := difflib.get_close_matches(word, choices, n=1):
        message += f" Did you mean {near[0]!r}?"
    raise ValueError(message)


def interpolation(value: Any) -> str:
    """Checks the argument `interpolation`."""
    if isinstance(value, str) and value in FILL_MODES and value not in TAPS:
        raise ValueError(
            f"interpolation must be one of {_listed(TAPS)}. Received: {value!r}, which is a fill mode. "
            f"Use fill_mode={value!r}: it says what lies outside the image."
        )
    return one_of(value, TAPS, "interpolation", _INTERPOLATIONS_ELSEWHERE)


def fill_mode(value: Any) -> str:
    """Checks the argument `fill_mode`."""
    if isinstance(value, str) and value in TAPS and value not in FILL_MODES:
        raise ValueError(
            f"fill_mode must be one of {_listed(FILL_MODES)}. Received: {value!r}, which is an "
            f"interpolation. Use interpolation={value!r}, and fill_mode for what lies outside the image."
        )
    return one_of(value, FILL_MODES, "fill_mode", _FILL_MODES_ELSEWHERE)


def fill_value(value: Any) -> float:
    """Checks the argument `fill_value`."""
    if isinstance(value, (int, float, np.number)) and np.isfinite(value):
        return float(value)
    raise ValueError(f"fill_value must be a finite number. Received: {value!r}.")


def data_format(value: Any) -> str:
    """Checks the argument `data_format`."""
    return one_of(value, ("channels_last", "channels_first"), "data_format", {})


def number(value: Any, argument: str, *, above: float = -np.inf, least: float = -np.inf) -> float:
    """Checks an argument that is one finite number."""
    is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if is_number and np.isfinite(value) and value > above and value >= least:
        return float(value)
    range_ = f" above {above:g}" if above > -np.inf else f" of at least {least:g}"
    raise ValueError(f"{argument} must be a finite number{range_}. Received: {value!r}.")


def whole_number(value: Any, argument: str, least: int = 1) -> int:
    """Checks an argument that counts something."""
    is_whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if is_whole and value >= least:
        return int(value)
    raise ValueError(f"{argument} must be a whole number from {least}. Received: {value!r}.")


def output_size(value: Any, argument: str = "output_size") -> tuple[int, int]:
    """Two positive whole numbers, or one for a square."""
    if isinstance(value, (np.ndarray, tf.TensorShape)):
        value = value.tolist() if isinstance(value, np.ndarray) else value.as_list()
    sizes = value if isinstance(value, Sequence) and not isinstance(value, str) else (value, value)
    whole = all(
        isinstance(s, (int, np.integer)) and not isinstance(s, bool) and s > 0 for s in sizes
    )
    if not whole or len(sizes) != 2:
        raise ValueError(
            f"{argument} must be two positive whole numbers, (height, width), or one for a square. "
            f"Received: {value!r}."
        )
    return int(sizes[0]), int(sizes[1])


def plain_size(value: Any) -> Any:
    """An output size as JSON can hold it: what was given, with NumPy's numbers as Python's."""
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, np.integer):
        return int(value)
    return (
        type(value)(output_size(value))
        if isinstance(value, (list, tuple))
        else list(output_size(value))
    )


def localization(value: Any) -> None:
    """Checks the argument `localization`."""
    if value is None or isinstance(value, keras.layers.Layer):
        return
    hint = ""
    if any(kind.__module__.startswith("tf_keras") for kind in type(value).__mro__):
        hint = " It is made with tf_keras, which is Keras 2: make it with Keras 3 (`import keras`)."
    raise ValueError(
        "localization must be a Keras model or layer from images to theta, or None for a small "
        f"convolutional network. Received: {value!r}.{hint}"
    )


def images_shape(shape: Shape | None, name: str = "images") -> None:
    """Checks that images have a batch axis and channels."""
    if shape is None:
        raise ValueError(f"{name} must have four axes, and their number is unknown. Use set_shape.")
    if isinstance(shape, dict) or not all(size is None or isinstance(size, int) for size in shape):
        raise ValueError(
            f"{name} must be one tensor. Received several, of the shapes {shape}. "
            "For [images, grid] there is keras_stn.GridSampler."
        )
    if len(shape) == 4:
        return
    if len(shape) == 3:
        hint = (
            "One image? Give it a batch axis: images[None]. "
            "Grey images? Give them channels: images[..., None]."
        )
    elif len(shape) == 5:
        hint = "A sequence of images? Put the layer into keras.layers.TimeDistributed."
    else:
        hint = "An image has a height, a width and channels, and a batch stacks images."
    raise ValueError(
        f"{name} must have four axes, (batch, height, width, channels) or, with "
        f"data_format='channels_first', (batch, channels, height, width). "
        f"Received shape {tuple(shape)}. {hint}"
    )


def concrete(*arrays: Any) -> None:
    """Checks that none of them is a placeholder of a functional model."""
    if any(isinstance(array, keras.KerasTensor) for array in arrays):
        raise ValueError(
            "sample() takes arrays or tensors. Received a KerasTensor, the placeholder of a functional "
            "model. Use the layer keras_stn.GridSampler there."
        )


def grid_shape(shape: Shape | None, batch: int | None) -> None:
    """Checks that a grid holds two coordinates a point, for each image."""
    if shape is None or len(shape) != 4:
        received = "an unknown number of axes" if shape is None else f"shape {tuple(shape)}"
        raise ValueError(
            "A grid must have four axes, (batch, height, width, 2): the point (x, y) in [-1, 1] where each "
            f"output pixel reads its image. Received {received}. GridGenerator makes one of theta."
        )
    if shape[3] != 2:
        raise ValueError(
            f"The last axis of a grid must hold two numbers, x and y. Received shape {tuple(shape)}. "
            "GridGenerator makes a grid of theta; to stack your own, use stack([x, y], axis=-1)."
        )
    if batch is not None and shape[0] is not None and shape[0] != batch:
        raise ValueError(
            f"A grid is needed for each image. Received {batch} images and {shape[0]} grids. To use one grid "
            "for all images, repeat it along the batch axis."
        )


def floating(dtype: Any, name: str, advice: str) -> None:
    """Checks that theta or a grid holds real numbers."""
    if not dtype.startswith(("float", "bfloat")):
        raise ValueError(f"{name} must hold floating point numbers. Received: {dtype}. {advice}")


def theta_shape(
    shape: Shape | None, family: str, num_params: int, batch: int | None = None
) -> None:
    """Checks that theta has one row of parameters an image."""
    expected = f"{family!r} takes theta of shape (batch, {num_params})"
    if shape is None or len(shape) != 2:
        received = "an unknown shape" if shape is None else f"shape {tuple(shape)}"
        if shape is not None and len(shape) == 1:
            hint = "One image? Give theta a batch axis: theta[None]."
        else:
            hint = "End a localisation network with keras_stn.ThetaRegression, which gives one row per image."
        raise ValueError(f"The transform {expected}. Received {received}. {hint}")
    if shape[1] != num_params:
        raise ValueError(
            f"The transform {expected}, {num_params} parameters an image. Received {shape[1]} of them: shape "
            f"{tuple(shape)}. End the localisation network with keras_stn.ThetaRegression({family!r}), which "
            "gives the right number and starts at the identity."
        )
    if batch is not None and shape[0] is not None and shape[0] != batch:
        raise ValueError(
            f"One row of theta is needed for each image. Received {batch} images and {shape[0]} rows. "
            "To use one theta for all images, repeat it along the batch axis."
        )


def _listed(choices: Iterable[str]) -> str:
    return ", ".join(repr(choice) for choice in choices)
