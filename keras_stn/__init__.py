"""A Spatial Transformer layer for Keras 3 on TensorFlow.

>>> inputs = keras.Input((60, 60, 1))
>>> keras_stn.SpatialTransformer("affine", output_size=(30, 30))(inputs).shape
(None, 30, 30, 1)
"""

import importlib as _importlib
from typing import Any as _Any

from keras_stn.environment import require_tensorflow as _require_tensorflow

_require_tensorflow()

from keras_stn import transforms  # noqa: E402
from keras_stn.layers import GridGenerator, GridSampler, SpatialTransformer  # noqa: E402
from keras_stn.localization import localization_network  # noqa: E402
from keras_stn.sampler import sample  # noqa: E402
from keras_stn.theta import ThetaRegression  # noqa: E402

__all__ = [
    "GridGenerator",
    "GridSampler",
    "SpatialTransformer",
    "ThetaRegression",
    "localization_network",
    "sample",
    "transforms",
]

__version__ = "0.1.0"

_LEAVES = ("callbacks", "plots")


def __getattr__(name: str) -> _Any:
    if name in _LEAVES:
        return _importlib.import_module(f"keras_stn.{name}")
    raise AttributeError(f"module 'keras_stn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LEAVES])
