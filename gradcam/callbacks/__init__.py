"""Keras callbacks for `fit`: TensorFlow is imported with the first of them.

>>> import numpy as np
>>> from gradcam.callbacks import ExplainCallback
>>> ExplainCallback(np.ones((2, 8, 8, 3)), log_dir="logs").every
1
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradcam.callbacks.explain_callback import ExplainCallback
    from gradcam.callbacks.gradient_watch import GradientWatch

__all__ = [
    "ExplainCallback",
    "GradientWatch",
]

_HOMES = {
    "ExplainCallback": "explain_callback",
    "GradientWatch": "gradient_watch",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gradcam.callbacks' has no attribute {name!r}")
    from gradcam.environment import require_tensorflow  # noqa: PLC0415

    require_tensorflow()
    return getattr(importlib.import_module(f"gradcam.callbacks.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
