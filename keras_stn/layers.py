"""The layers: SpatialTransformer, and the parts that it joins."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import tensorflow as tf

from keras_stn import checks, recording, transforms
from keras_stn.coordinates import Tensor, base_grid
from keras_stn.family import Transform
from keras_stn.grids import (
    GridGenerator,
    GridSampler,
    OutputSize,
    Sampling,
    family_name,
    make_grid,
    static_shape,
)
from keras_stn.inverse import inverse_points
from keras_stn.localization import localization_network
from keras_stn.theta import ThetaRegression, precise

__all__ = ["GridGenerator", "GridSampler", "SpatialTransformer", "ThetaRegression"]


@keras.saving.register_keras_serializable(package="keras_stn")
class SpatialTransformer(Sampling):
    """Lets a network learn to look at the right part of its images (Jaderberg et al. 2015).

    A localisation network regresses theta from the images, theta gives a grid of points, and the images
    are read there. Starts at the identity.

    Convention: theta maps output coordinates to input coordinates, both (x, y) in [-1, 1].

    Args:
        transform: the family: "translation", "scale", "rotation", "rigid", "similarity", "attention",
            "affine", "projective", "tps", or an instance such as `transforms.ThinPlateSpline(5, 5)`.
        localization: a model or layer from images to theta, best ended by `ThetaRegression`; None builds
            `localization_network` for the images' size.
        output_size: two whole numbers, (height, width), or one for a square; None keeps the images' size.
        interpolation: "bilinear", "nearest" (localisation can't learn) or "bicubic".
        fill_mode: what lies outside the image: "constant", "nearest" or "reflect".
        fill_value: with "constant", a finite number.
        align_corners: whether -1 and 1 are the centres of the corner pixels, or the image's outer edges.
        data_format: "channels_last" or "channels_first"; None takes Keras' setting.

    Example:

    >>> inputs = keras.Input((60, 60, 1))
    >>> keras_stn.SpatialTransformer("affine", output_size=30)(inputs).shape
    (None, 30, 30, 1)
    """

    def __init__(
        self,
        transform: str | dict[str, Any] | Transform = "affine",
        localization: keras.layers.Layer | None = None,
        output_size: OutputSize | None = None,
        interpolation: str = "bilinear",
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        align_corners: bool = True,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(interpolation, fill_mode, fill_value, align_corners, data_format, **kwargs)
        checks.localization(localization)
        self.transform = transforms.get(transform)
        self.localization = localization
        self.output_size = output_size
        if output_size is not None:
            checks.output_size(output_size)
        self._default_network: keras.Model | None = None

    @property
    def _network(self) -> Any:
        return self._default_network if self.localization is None else self.localization

    def _regressed(self, images: Any) -> Any:
        """What the localisation network returns: theta, or a list of it alone.

        A model with `outputs=[theta]` returns a list, and one that Keras 3.5 saved and a later version
        loads does so whatever it was made with.
        """
        theta = self._network(images)
        return theta[0] if isinstance(theta, (list, tuple)) and len(theta) == 1 else theta

    def build(self, input_shape: checks.Shape) -> None:
        """Builds the localisation network, and checks what it gives."""
        checks.images_shape(input_shape)
        if self.localization is None:
            self._default_network = localization_network(
                input_shape[1:],
                self.transform,
                data_format=self.data_format,
                dtype=self.dtype_policy,
            )
        images = keras.KerasTensor(tuple(input_shape), dtype=self.compute_dtype)
        self._check_theta(self._regressed(images), input_shape[0])
        if not self.trainable:
            # Keras tells sublayers when the attribute is set, not when the constructor is given it.
            self._network.trainable = False
        self._built_size = self._image_size(input_shape)
        can_learn = self.trainable and self._network.trainable_variables
        if self.interpolation == "nearest" and can_learn:
            warnings.warn(
                f"The localisation network of {self.name!r} can't learn: with interpolation='nearest' the "
                "output doesn't change with a small change of theta, so theta gets no gradient. Use "
                "'bilinear', or set trainable=False on the localisation network.",
                stacklevel=2,
            )

    def call(self, images: Tensor) -> Tensor:
        """Images to images of `output_size`."""
        theta = self.theta(images)
        outputs = self.warp(images, theta)
        recording.note(self, images, theta, outputs)
        return outputs

    def theta(self, images: Tensor) -> Tensor:
        """What the localisation network makes of the images: `(batch, num_params)`."""
        images = tf.cast(images, self.compute_dtype)
        checks.images_shape(static_shape(images))
        if not self.built:
            self.build(images.shape)
        if images.shape[0] == 0:
            # TensorFlow's convolutions fail on an empty batch.
            return tf.zeros([0, self.transform.num_params], precise(self.compute_dtype))
        theta = self._regressed(images)
        self._check_theta(theta, images.shape[0])
        return theta

    def grid(self, theta: Tensor, size: OutputSize | None = None) -> Tensor:
        """Where each output pixel reads the input: `(batch, height, width, 2)`.

        `size` is that of the output where the layer doesn't say it: `output_size` is None, and the layer
        was built for images of any size.
        """
        return make_grid(self.transform, theta, self._output_size(size), self.align_corners)

    def warp(self, images: Tensor, theta: Tensor) -> Tensor:
        """Reads the images where theta says."""
        images, theta = tf.convert_to_tensor(images), tf.convert_to_tensor(theta)
        checks.images_shape(static_shape(images))
        self._check_theta(theta, images.shape[0])
        known = self._image_size(images.shape)
        size = self._image_size(tf.shape(images)) if None in known else known
        if self.output_size is not None:
            size = checks.output_size(self.output_size)
        return self._sample(images, make_grid(self.transform, theta, size, self.align_corners))

    def inverse_grid(self, theta: Tensor, size: OutputSize) -> Tensor:
        """Where the output shows each pixel of the input: `(batch, height, width, 2)`, (x, y) in [-1, 1].

        NaN where it doesn't show it. `size` is that of the input: whole numbers, or two scalar tensors.
        """
        theta = tf.convert_to_tensor(theta)
        self._check_theta(theta, None)
        theta = tf.cast(theta, precise(theta.dtype.name))
        sizes = tf.nest.flatten(size)
        is_open = any(map(tf.is_tensor, sizes))
        height, width = sizes if is_open else checks.output_size(size, "size")
        points = base_grid(height, width, self.align_corners, theta.dtype)
        return inverse_points(self.transform, theta, points)

    def compute_output_shape(self, input_shape: checks.Shape) -> tuple[int | None, ...]:
        """The images' shape, with the height and width of `output_size`."""
        checks.images_shape(input_shape)
        size = self._image_size(input_shape)
        if self.output_size is not None:
            size = checks.output_size(self.output_size)
        return self._image_shape(input_shape, *size)

    def compute_output_spec(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """The output's shape; its type is the layer's compute type."""
        return keras.KerasTensor(self.compute_output_shape(images.shape), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        network = self.localization
        return {
            **super().get_config(),
            "transform": transforms.serialize(self.transform),
            "localization": None
            if network is None
            else keras.saving.serialize_keras_object(network),
            "output_size": checks.plain_size(self.output_size),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SpatialTransformer:
        """Makes the layer of its config."""
        network = keras.saving.deserialize_keras_object(config.get("localization"))
        return cls(**{**config, "localization": network})

    def _output_size(self, size: OutputSize | None) -> tuple[int, int]:
        if size is None:
            size = self.output_size
        if size is None:
            height, width = getattr(self, "_built_size", (None, None))
            if height is None or width is None:
                raise ValueError(
                    f"The output of {self.name!r} is as large as its images, whose size isn't known here. "
                    "Call grid(theta, size=(height, width)), or give the layer an output_size."
                )
            size = (height, width)
        return checks.output_size(size)

    def _check_theta(self, theta: Any, batch: int | None) -> None:
        family = family_name(self.transform)
        if not isinstance(theta, (keras.KerasTensor, tf.Tensor)):
            received = "None" if theta is None else f"a {type(theta).__name__}"
            raise ValueError(
                f"The localisation network of {self.name!r} must return one tensor, theta. "
                f"Received: {received}. Does every branch of its call() end in `return theta`? In a model "
                "with several outputs, make one of theta alone: keras.Model(inputs, theta)."
            )
        shape = theta.shape.as_list() if isinstance(theta, tf.Tensor) else theta.shape
        checks.floating(
            keras.backend.standardize_dtype(theta.dtype),
            "theta",
            "Regress it with keras_stn.ThetaRegression.",
        )
        checks.theta_shape(shape, family, self.transform.num_params, batch)
