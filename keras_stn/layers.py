"""The layers that move pixels: GridGenerator, GridSampler, and SpatialTransformer, which joins them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_stn import checks, transforms
from keras_stn.coordinates import Tensor, base_grid
from keras_stn.inverse import inverse_points
from keras_stn.localization import localization_network
from keras_stn.sampler import sample
from keras_stn.theta import precise
from keras_stn.transforms import Transform

_register = keras.saving.register_keras_serializable(package="keras_stn")

OutputSize = int | Sequence[int]


def _make_grid(transform: Transform, theta: Tensor, size: Tensor, align_corners: bool) -> Tensor:
    """`(batch, h, w, 2)`: where each output pixel reads the input."""
    theta = tf.convert_to_tensor(theta)
    checks.floating(theta.dtype.name, "theta", "Regress it with keras_stn.ThetaRegression.")
    checks.theta_shape(_static_shape(theta), _family(transform), transform.num_params)
    theta = tf.cast(theta, precise(theta.dtype.name))
    height, width = size
    return transform.grid(theta, base_grid(height, width, align_corners, theta.dtype))


def _static_shape(tensor: Tensor) -> list[int | None] | None:
    return tensor.shape.as_list() if tensor.shape.rank is not None else None


def _family(transform: Transform) -> str:
    return getattr(transform, "name", type(transform).__name__)


@_register
class GridGenerator(keras.layers.Layer):
    """Turns theta into the grid of points where each output pixel reads its image.

    Convention: the grid has the last axis (x, y) and is normalised to [-1, 1] as `align_corners` says.

    Args:
        transform: the family: "translation", "scale", "rotation", "rigid", "similarity", "attention",
            "affine", "projective", "tps", or an instance such as `transforms.ThinPlateSpline(5, 5)`.
        output_size: two whole numbers, (height, width), or one for a square.
        align_corners: whether -1 and 1 are the centres of the corner pixels, or the image's outer edges.

    Example:

    >>> theta = np.array([[1, 0, 0, 0, 1, 0]], "float32")
    >>> grid = keras_stn.GridGenerator("affine", output_size=3)(theta)
    >>> np.asarray(grid)[0, 0].tolist()
    [[-1.0, -1.0], [0.0, -1.0], [1.0, -1.0]]
    """

    def __init__(
        self,
        transform: str | dict[str, Any] | Transform = "affine",
        output_size: OutputSize | None = None,
        align_corners: bool = True,
        **kwargs: Any,
    ) -> None:
        # Keras would cast theta to half precision under a mixed policy.
        super().__init__(autocast=False, **kwargs)
        self.transform = transforms.get(transform)
        self.output_size = output_size
        self.align_corners = align_corners
        self._size = checks.output_size(output_size)

    def build(self, input_shape: checks.Shape) -> None:
        """Checks the shape of theta."""
        checks.theta_shape(input_shape, _family(self.transform), self.transform.num_params)

    def call(self, theta: Tensor) -> Tensor:
        """`(batch, num_params)` theta to a `(batch, height, width, 2)` grid."""
        return _make_grid(self.transform, theta, self._size, self.align_corners)

    def compute_output_shape(self, input_shape: checks.Shape) -> tuple[int | None, ...]:
        """`(batch, height, width, 2)`."""
        return (input_shape[0], *self._size, 2)

    def compute_output_spec(self, theta: keras.KerasTensor) -> keras.KerasTensor:
        """The grid's shape and type; its theta is checked as in a call."""
        checks.floating(theta.dtype, "theta", "Regress it with keras_stn.ThetaRegression.")
        checks.theta_shape(theta.shape, _family(self.transform), self.transform.num_params)
        return keras.KerasTensor(self.compute_output_shape(theta.shape), dtype=precise(theta.dtype))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "transform": transforms.serialize(self.transform),
            "output_size": self.output_size,
            "align_corners": self.align_corners,
        }


class _Sampling(keras.layers.Layer):
    """The options of sampling, shared by the two layers that read images."""

    def __init__(
        self,
        interpolation: str,
        fill_mode: str,
        fill_value: float,
        align_corners: bool,
        data_format: str | None,
        **kwargs: Any,
    ) -> None:
        # Keras would cast a grid to half precision under a mixed policy, and leaves integer images.
        super().__init__(autocast=False, **kwargs)
        self.interpolation = checks.interpolation(interpolation)
        self.fill_mode = checks.fill_mode(fill_mode)
        self.fill_value = checks.fill_value(fill_value)
        self.align_corners = align_corners
        self.data_format = checks.data_format(data_format or keras.config.image_data_format())

    def _sample(self, images: Tensor, grid: Tensor) -> Tensor:
        return sample(
            tf.cast(images, self.compute_dtype),
            grid,
            self.interpolation,
            self.fill_mode,
            self.fill_value,
            self.align_corners,
            self.data_format,
        )

    def _image_shape(
        self, shape: checks.Shape, height: int | None, width: int | None
    ) -> tuple[int | None, ...]:
        """The shape of images, with another height and width."""
        if self.data_format == "channels_first":
            return (shape[0], shape[1], height, width)
        return (shape[0], height, width, shape[3])

    def _image_size(self, shape: Any) -> tuple[Any, Any]:
        """Height and width, of a shape of images."""
        first = 2 if self.data_format == "channels_first" else 1
        return shape[first], shape[first + 1]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "interpolation": self.interpolation,
            "fill_mode": self.fill_mode,
            "fill_value": self.fill_value,
            "align_corners": self.align_corners,
            "data_format": self.data_format,
        }


@_register
class GridSampler(_Sampling):
    """Reads images at the points of a grid; called on `[images, grid]`. `sample` as a layer.

    Args:
        interpolation: "bilinear", "nearest" or "bicubic".
        fill_mode: what lies outside the image: "constant", "nearest" or "reflect".
        fill_value: with "constant", a finite number.
        align_corners: whether -1 and 1 are the centres of the corner pixels, or the image's outer edges.
        data_format: "channels_last" or "channels_first"; None takes Keras' setting.

    Example:

    >>> images = np.ones((1, 4, 4, 3), "float32")
    >>> grid = keras_stn.GridGenerator("rotation", output_size=(2, 3))(np.zeros((1, 1), "float32"))
    >>> keras_stn.GridSampler()([images, grid]).shape
    TensorShape([1, 2, 3, 3])
    """

    def __init__(
        self,
        interpolation: str = "bilinear",
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        align_corners: bool = True,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(interpolation, fill_mode, fill_value, align_corners, data_format, **kwargs)

    def build(self, input_shape: Any) -> None:
        """Checks the shapes of images and grid."""
        self._check(input_shape)

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        """`[images, grid]` to images of the grid's size."""
        _two_inputs(inputs)
        images, grid = inputs
        return self._sample(images, grid)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """The images' shape, with the grid's height and width."""
        self._check(input_shape)
        images, grid = input_shape
        return self._image_shape(images, grid[1], grid[2])

    def compute_output_spec(self, inputs: Sequence[keras.KerasTensor]) -> keras.KerasTensor:
        """The output's shape; its type is the layer's compute type."""
        _two_inputs(inputs)
        images, grid = inputs
        checks.floating(grid.dtype, "A grid", "Make it with keras_stn.GridGenerator.")
        shape = self.compute_output_shape([images.shape, grid.shape])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def _check(self, shapes: Any) -> None:
        if len(shapes) != 2 or not all(isinstance(s, (list, tuple)) for s in shapes):
            _raise_two_inputs(f"the shape {tuple(shapes)}")
        images, grid = shapes
        checks.images_shape(images)
        checks.grid_shape(grid, images[0])


def _two_inputs(inputs: Any) -> None:
    if not isinstance(inputs, (list, tuple)) or len(inputs) != 2:
        _raise_two_inputs(
            f"{len(inputs)} of them" if isinstance(inputs, (list, tuple)) else "one tensor"
        )


def _raise_two_inputs(received: str) -> None:
    raise ValueError(
        f"GridSampler is called on two inputs, [images, grid]. Received: {received}. Write "
        "GridSampler()([images, grid]); the grid comes from keras_stn.GridGenerator."
    )


@_register
class SpatialTransformer(_Sampling):
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
        self._check_theta(self._network(images), input_shape[0])
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
        return self.warp(images, self.theta(images))

    def theta(self, images: Tensor) -> Tensor:
        """What the localisation network makes of the images: `(batch, num_params)`."""
        images = tf.cast(images, self.compute_dtype)
        checks.images_shape(_static_shape(images))
        if not self.built:
            self.build(images.shape)
        if images.shape[0] == 0:
            # TensorFlow's convolutions fail on an empty batch.
            return tf.zeros([0, self.transform.num_params], precise(self.compute_dtype))
        theta = self._network(images)
        self._check_theta(theta, images.shape[0])
        return theta

    def grid(self, theta: Tensor, size: OutputSize | None = None) -> Tensor:
        """Where each output pixel reads the input: `(batch, height, width, 2)`.

        `size` is that of the output where the layer doesn't say it: `output_size` is None, and the layer
        was built for images of any size.
        """
        return _make_grid(self.transform, theta, self._output_size(size), self.align_corners)

    def warp(self, images: Tensor, theta: Tensor) -> Tensor:
        """Reads the images where theta says."""
        images, theta = tf.convert_to_tensor(images), tf.convert_to_tensor(theta)
        checks.images_shape(_static_shape(images))
        self._check_theta(theta, images.shape[0])
        known = self._image_size(images.shape)
        size = self._image_size(tf.shape(images)) if None in known else known
        if self.output_size is not None:
            size = checks.output_size(self.output_size)
        return self._sample(images, _make_grid(self.transform, theta, size, self.align_corners))

    def inverse_grid(self, theta: Tensor, size: OutputSize) -> Tensor:
        """Where the output shows each pixel of the input: `(batch, height, width, 2)`, (x, y) in [-1, 1].

        NaN where it doesn't show it. `size` is that of the input.
        """
        theta = tf.convert_to_tensor(theta)
        self._check_theta(theta, None)
        theta = tf.cast(theta, precise(theta.dtype.name))
        points = base_grid(*checks.output_size(size), self.align_corners, theta.dtype)
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
            "output_size": self.output_size,
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
        family = _family(self.transform)
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
