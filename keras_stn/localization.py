"""Localisation networks: from images to theta."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_stn import checks
from keras_stn.family import Transform
from keras_stn.theta import ThetaRegression

_WORKING_SIZE = 48
"""Images are brought down to at most about this size first: where to look can be told from afar."""

_HALVED_FROM = 24
"""Images of this size or more are halved at least: a quarter of the work, and no worse a guess."""

_STEP_SIZE = 0.1
"""Steps that suit the rest of a network throw theta out of the image, where no gradient leads back."""

_LAST_SIZE = 6
"""The features that theta is regressed from have at most this height and width."""


def localization_network(
    input_shape: Sequence[int | None],
    transform: str | dict[str, Any] | Transform = "affine",
    filters: Sequence[int] = (16, 32),
    units: int = 64,
    *,
    data_format: str | None = None,
    dtype: Any = None,
    **theta_regression_options: Any,
) -> keras.Model:
    """A small convolutional network that regresses theta and starts at the identity.

    It looks at the images at half their size, large ones at about 48 pixels, small ones as they are.

    Args:
        input_shape: (height, width, channels), or (channels, height, width) with "channels_first". Height
            and width may be None; then images are resized to a fixed size first.
        transform: the family, as for `SpatialTransformer`.
        filters: one convolution each, followed by pooling.
        units: of the dense layer before theta.
        data_format: "channels_last" or "channels_first"; None takes Keras' setting.
        dtype: the layers' type or policy; None takes Keras' setting.
        **theta_regression_options: `step_size`, here 0.1 unless given, `limit` and `penalty` of
            `ThetaRegression`.

    Example:

    >>> keras_stn.localization_network((40, 40, 1), "attention").output_shape
    (None, 3)
    """
    data_format = checks.data_format(data_format or keras.config.image_data_format())
    checks.images_shape(
        (None, *input_shape), "A localisation network's images, with their batch axis,"
    )
    if not filters:
        raise ValueError("filters must hold at least one number of filters. Received: ().")
    layers = keras.layers
    options = {"dtype": dtype}
    inputs = keras.Input(
        tuple(input_shape),
        dtype=keras.DTypePolicy(dtype).compute_dtype if isinstance(dtype, str) else None,
    )
    features = inputs
    if data_format == "channels_first":
        # Convolutions with channels first don't run on a CPU.
        features = layers.Permute((2, 3, 1), **options)(features)
    if features.shape[3] is None:
        raise ValueError(
            "A localisation network needs to know the number of channels. Received input_shape="
            f"{tuple(input_shape)}. Height and width may be None."
        )
    features = _summary(features, filters, {**options, "data_format": "channels_last"})
    features = layers.Flatten(**options)(features)
    features = layers.Dense(units, activation="relu", **options)(features)
    theta_regression_options = {"step_size": _STEP_SIZE, **theta_regression_options}
    theta = ThetaRegression(transform, **options, **theta_regression_options)(features)
    return keras.Model(inputs, theta, name="localization")


def _summary(images: Any, filters: Sequence[int], options: dict[str, Any]) -> Any:
    """Brings images down to a working size, and convolutions of them to a few positions."""
    layers = keras.layers
    features = images
    height, width = features.shape[1:3]
    if height is None or width is None:
        features = layers.Resizing(_WORKING_SIZE, _WORKING_SIZE, **options)(features)
    elif (smallest := min(height, width)) >= _HALVED_FROM:
        factor = max(2, smallest // _WORKING_SIZE)
        features = layers.AveragePooling2D(factor, **options)(features)
    for count in filters:
        features = layers.Conv2D(count, 5, padding="same", activation="relu", **options)(features)
        features = _halve(features, layers.MaxPooling2D, 2, options)
    while max(features.shape[1:3]) > _LAST_SIZE:
        features = _halve(features, layers.AveragePooling2D, 1, options)
    return features


def _halve(features: Any, pooling: Any, least: int, options: dict[str, Any]) -> Any:
    """Pools by two along each axis that keeps at least `least` pixels."""
    size = tuple(2 if length >= 2 * least else 1 for length in features.shape[1:3])
    return features if size == (1, 1) else pooling(size, **options)(features)
