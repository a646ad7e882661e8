"""Says in one clear error when Keras is not Keras 3 on TensorFlow, or the model is something else.

Nothing here imports TensorFlow or Keras unless they can be used.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from gradcam.errors import ModelError


class LazyModule:
    """Stands in for a module that takes seconds to import, until one of its names is needed.

    >>> LazyModule("math").sqrt(4)
    2.0
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self._name), name)


def require_tensorflow() -> None:
    """Raise `ModelError` unless Keras 3 runs on TensorFlow."""
    if os.environ.get("TF_USE_LEGACY_KERAS", "").lower() in {"1", "true"}:
        raise ModelError("legacy-keras")
    # Where another backend is asked for but not installed, importing keras would fail in its words.
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend in {"", "tensorflow"}:
        import keras  # noqa: PLC0415 - `import gradcam` must not load it

        backend = keras.config.backend()
    if backend != "tensorflow":
        raise ModelError("wrong-backend", backend=backend)


def check_model(model: Any) -> None:
    """Raise `ModelError` unless `model` is a built Keras 3 model."""
    import keras  # noqa: PLC0415 - `import gradcam` must not load it

    kinds = type(model).__mro__
    if any(kind.__module__.partition(".")[0] in {"tf_keras", "tensorflow_keras"} for kind in kinds):
        raise ModelError("legacy-model", kind=type(model).__name__)
    if not isinstance(model, keras.Model):
        raise ModelError("not-a-model", received=_describe(model), advice=_advice(model))
    if not model.built:
        raise ModelError("not-built", name=model.name)


def _describe(model: Any) -> str:
    if isinstance(model, str):
        return f"the string {model!r}"
    return f"the class {model.__name__}" if isinstance(model, type) else f"a {type(model).__name__}"


def _advice(model: Any) -> str:
    if isinstance(model, str | os.PathLike):
        return "Load the file first: gradcam.load_model(path)."
    if isinstance(model, type):
        return "Make an instance of the class."
    if "torch" in sys.modules and isinstance(model, sys.modules["torch"].nn.Module):
        return "This is a PyTorch module; gradcam is for Keras."
    return "Wrap a layer in keras.Sequential([keras.Input(...), layer])."
