"""Shows where a Keras model looked, and says why when it can't.

>>> import gradcam, keras, numpy as np
>>> backbone = keras.Sequential(
...     [keras.Input((16, 16, 3)), keras.layers.Conv2D(8, 3, activation="relu", name="conv")],
...     name="backbone",
... )
>>> model = keras.Sequential([
...     keras.Input((16, 16, 3)), backbone,
...     keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2, activation="softmax"),
... ])
>>> explanation = gradcam.explain(model, np.ones((1, 16, 16, 3)))
>>> explanation.layer, explanation.heatmaps.shape
('backbone/conv', (1, 16, 16))

TensorFlow is imported with the first name that needs it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gradcam.errors import (
    AmbiguousLayerError,
    BlockedGradientError,
    DisconnectedLayerError,
    GradCamError,
    ImageError,
    LayerNotFoundError,
    ModelError,
    NonFiniteError,
    NotAFeatureMapError,
    TargetError,
)

if TYPE_CHECKING:
    from gradcam import callbacks, targets
    from gradcam.cam.explainer import Explainer, explain
    from gradcam.cam.explanation import Explanation
    from gradcam.cam.methods import METHODS
    from gradcam.doctor import Diagnosis, Finding, diagnose
    from gradcam.loading import load_model
    from gradcam.pictures import read_images
    from gradcam.trace.inspection import LayerInfo, layers
    from gradcam.trace.taps import tap

__all__ = [
    "METHODS",
    "AmbiguousLayerError",
    "BlockedGradientError",
    "Diagnosis",
    "DisconnectedLayerError",
    "Explainer",
    "Explanation",
    "Finding",
    "GradCamError",
    "ImageError",
    "LayerInfo",
    "LayerNotFoundError",
    "ModelError",
    "NonFiniteError",
    "NotAFeatureMapError",
    "TargetError",
    "callbacks",
    "diagnose",
    "explain",
    "layers",
    "load_model",
    "read_images",
    "tap",
    "targets",
]

__version__ = "0.1.0"

_HOMES = {
    "METHODS": "cam.methods",
    "Diagnosis": "doctor",
    "Explainer": "cam.explainer",
    "Explanation": "cam.explanation",
    "Finding": "doctor",
    "callbacks": "callbacks",
    "LayerInfo": "trace.inspection",
    "diagnose": "doctor",
    "explain": "cam.explainer",
    "layers": "trace.inspection",
    "load_model": "loading",
    "read_images": "pictures",
    "tap": "trace.taps",
    "targets": "targets",
}
_WITHOUT_TENSORFLOW = {"read_images"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gradcam' has no attribute {name!r}")
    if name not in _WITHOUT_TENSORFLOW:
        from gradcam.environment import require_tensorflow  # noqa: PLC0415

        require_tensorflow()
    module = importlib.import_module(f"gradcam.{_HOMES[name]}")
    return module if name == _HOMES[name] else getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
