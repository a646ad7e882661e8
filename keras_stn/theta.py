"""The layer that ends a localisation network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_stn import checks, transforms
from keras_stn.coordinates import Tensor
from keras_stn.family import Transform


def precise(dtype: str) -> str:
    """The type for theta and grids beside data of this type: half precision would misplace pixels."""
    return "float64" if dtype == "float64" else "float32"


@keras.saving.register_keras_serializable(package="keras_stn")
class ThetaRegression(keras.layers.Layer):
    """Regresses theta from features, starting at the identity.

    theta = identity + squash(step_size * (features @ kernel + bias)), with kernel and bias zero at the
    start, so that weight decay, too, pulls towards the identity. With a limit, squash(v) = limit *
    tanh(v / limit); without, squash(v) = v. Computes in float32 under every policy but float64.

    Args:
        transform: the family, as for `SpatialTransformer`.
        step_size: below 1, theta moves more slowly than the rest of the network learns: by this factor under
            Adam, which takes steps of its own size, and by its square under SGD.
        limit: how far each parameter may get from the identity, one number or one a parameter.
        penalty: adds `penalty` times the squared distance of theta from the identity, mean over the batch, to
            the loss.

    Example:

    >>> theta = keras_stn.ThetaRegression("affine")(np.ones((1, 8), "float32"))
    >>> np.asarray(theta).tolist()
    [[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]]
    """

    def __init__(
        self,
        transform: str | dict[str, Any] | Transform = "affine",
        step_size: float = 1.0,
        limit: float | Sequence[float] | None = None,
        penalty: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.transform = transforms.get(transform)
        self.step_size = checks.number(step_size, "step_size", above=0.0)
        self.penalty = checks.number(penalty, "penalty", least=0.0)
        self.limit = _checked_limit(limit, self.transform.num_params)

    def build(self, input_shape: checks.Shape) -> None:
        """Creates kernel and bias, all zero."""
        if len(input_shape) != 2 or input_shape[-1] is None:
            raise ValueError(
                "ThetaRegression needs features of shape (batch, n), n known. Received shape "
                f"{tuple(input_shape)}. Put keras.layers.Flatten, or GlobalAveragePooling2D for images whose "
                "size isn't known, before it."
            )
        shape = (input_shape[-1], self.transform.num_params)
        options = {"initializer": "zeros", "dtype": precise(self.compute_dtype), "autocast": False}
        self.kernel = self.add_weight(name="kernel", shape=shape, **options)
        self.bias = self.add_weight(name="bias", shape=shape[1:], **options)

    def call(self, features: Tensor) -> Tensor:
        """`(batch, n)` features to `(batch, num_params)` theta."""
        features = tf.cast(features, self.kernel.dtype)
        change = self.step_size * (tf.matmul(features, self.kernel) + self.bias)
        if self.limit is not None:
            limit = tf.constant(self.limit, change.dtype)
            change = limit * tf.tanh(change / limit)
        if self.penalty:
            distance = tf.reduce_sum(change**2, axis=-1)
            # Of an empty batch the mean would be NaN.
            mean = tf.math.divide_no_nan(
                tf.reduce_sum(distance), tf.cast(tf.size(distance), distance.dtype)
            )
            self.add_loss(self.penalty * mean)
        return change + tf.constant(self.transform.identity, change.dtype)

    def compute_output_shape(self, input_shape: checks.Shape) -> tuple[int | None, int]:
        """`(batch, num_params)`."""
        return (input_shape[0], self.transform.num_params)

    def compute_output_spec(self, features: keras.KerasTensor) -> keras.KerasTensor:
        """The shape and type of theta."""
        return keras.KerasTensor(
            self.compute_output_shape(features.shape), dtype=precise(self.compute_dtype)
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "transform": transforms.serialize(self.transform),
            "step_size": self.step_size,
            "limit": self.limit,
            "penalty": self.penalty,
        }


def _checked_limit(limit: Any, num_params: int) -> Any:
    if limit is None:
        return None
    numbers = limit.tolist() if isinstance(limit, (np.ndarray, np.number)) else limit
    several = isinstance(numbers, (list, tuple))
    try:
        checked = [
            checks.number(n, "limit", above=0.0) for n in (numbers if several else [numbers])
        ]
    except ValueError:
        checked = []
    if len(checked) != (num_params if several else 1):
        raise ValueError(
            f"limit must be one finite number above 0, or one for each of the {num_params} parameters. "
            f"Received: {limit!r}."
        )
    return type(numbers)(checked) if several else checked[0]
