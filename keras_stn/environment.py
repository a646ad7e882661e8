"""Says in one clear error where Keras isn't Keras 3 on TensorFlow; imports neither before it is sure."""

from __future__ import annotations

import os


def require_tensorflow() -> None:
    """Raises ImportError unless Keras 3 computes with TensorFlow."""
    if os.environ.get("TF_USE_LEGACY_KERAS", "").lower() in {"1", "true"}:
        raise ImportError(
            "keras_stn works with Keras 3, and the environment asks for Keras 2. Received: "
            f"TF_USE_LEGACY_KERAS={os.environ['TF_USE_LEGACY_KERAS']}. "
            "Remove TF_USE_LEGACY_KERAS from the environment."
        )
    # A backend that is asked for but not installed would fail in its own words.
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend == "tensorflow":
        import keras  # noqa: PLC0415

        backend = keras.config.backend()
    if backend != "tensorflow":
        raise ImportError(
            f"keras_stn computes with TensorFlow only. Received: the Keras backend {backend!r}. "
            "Set KERAS_BACKEND=tensorflow before Keras is imported."
        )
