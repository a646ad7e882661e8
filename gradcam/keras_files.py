"""Rebuilds a Keras model from a `.keras` or `.h5` file of any version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

if TYPE_CHECKING:
    from pathlib import Path


def load(path: Path, kind: str, custom_objects: dict[str, Any], safe_mode: bool) -> keras.Model:  # noqa: ARG001
    """The model in a file of a known kind, never compiled."""
    return keras.models.load_model(
        path, custom_objects=custom_objects, compile=False, safe_mode=safe_mode
    )
