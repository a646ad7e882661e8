"""Callbacks for `fit`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradcam.callbacks.gradient_watch import GradientWatch

__all__ = ["GradientWatch"]

_HOMES = {"GradientWatch": "gradient_watch"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gradcam.callbacks' has no attribute {name!r}")
    return getattr(importlib.import_module(f"gradcam.callbacks.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
