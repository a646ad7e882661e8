"""The parts of a spatial transformer as layers of their own: GridGenerator and GridSampler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_stn import checks, transforms
from keras_stn.coordinates import Tensor, base_grid
from keras_stn.family import Transform
from keras_stn.sampler import sample
from keras_stn.theta import precise

_register = keras.saving.register_keras_serializable(package="keras_stn")

OutputSize = int | Sequence[int]


def make_grid(transform: Transform, theta: Tensor, size: Tensor, align_corners: bool) -> Tensor:
    """`(batch, h, w, 2)`: where each output pixel reads the input."""
    theta = tf.convert_to_tensor(theta)
    checks.floating(theta.dtype.name, "theta", "Regress it with keras_stn.ThetaRegression.")
    checks.theta_shape(static_shape(theta), family_name(transform), transform.num_params)
    theta = tf.cast(theta, precise(theta.dtype.name))
    height, width = size
    return transform.grid(theta, base_grid(height, width, align_corners, theta.dtype))


def static_shape(tensor: Tensor) -> list[int | None] | None:
    """The shape of a tensor, as far as it is known."""
    return tensor.shape.as_list() if tensor.shape.rank is not None else None


def family_name(transform: Transform) -> str:
    """What messages call a family."""
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
        checks.theta_shape(input_shape, family_name(self.transform), self.transform.num_params)

    def call(self, theta: Tensor) -> Tensor:
        """`(batch, num_params)` theta to a `(batch, height, width, 2)` grid."""
        return make_grid(self.transform, theta, self._size, self.align_corners)

    def compute_output_shape(self, input_shape: checks.Shape) -> tuple[int | None, ...]:
        """`(batch, height, width, 2)`."""
        return (input_shape[0], *self._size, 2)

    def compute_output_spec(self, theta: keras.KerasTensor) -> keras.KerasTensor:
        """The grid's shape and type; its theta is checked as in a call."""
        checks.floating(theta.dtype, "theta", "Regress it with keras_stn.ThetaRegression.")
        checks.theta_shape(theta.shape, family_name(self.transform), self.transform.num_params)
        return keras.KerasTensor(self.compute_output_shape(theta.shape), dtype=precise(theta.dtype))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "transform": transforms.serialize(self.transform),
            "output_size": checks.plain_size(self.output_size),
            "align_corners": self.align_corners,
        }


class Sampling(keras.layers.Layer):
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
class GridSampler(Sampling):
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
