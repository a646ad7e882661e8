"""Opens a model from whatever file or directory a person has: the front door.

What lies at the path is decided by its content, never by its name.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradcam.errors import ModelError
from gradcam.loading import file_kinds

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping


def load_model(
    path: str | os.PathLike[str],
    *,
    custom_objects: Mapping[str, Any] | None = None,
    safe_mode: bool = True,
    signature: str | None = None,
) -> Any:
    """Load a model for `explain`, `layers` and the rest, whatever wrote it.

    Args:
        path: a `.keras` file (Keras 3, and Keras 2.12 to 2.15), an `.h5` file (Keras 3 and 2), or the
            directory of a SavedModel.
        custom_objects: the classes and functions of one's own that the file names.
        safe_mode: False also runs the code that the file brings along: `Lambda` layers, and operations
            of a SavedModel that touch files or run Python. Only for files of people you trust.
        signature: for a SavedModel with several signatures, the one to explain.

    Returns:
        A Keras model, never compiled; for a SavedModel an object with `inputs` and `outputs`.

    Raises:
        ModelError: says what was found at the path, and what to do. Nothing is ever written there.

    >>> import keras, pathlib, tempfile
    >>> model = keras.Sequential([
    ...     keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="conv"),
    ...     keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2),
    ... ])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(pathlib.Path(folder, "model.keras"))
    ...     loaded = load_model(pathlib.Path(folder, "model.keras"))
    >>> [layer.name for layer in loaded.layers][0]
    'conv'
    """
    place = Path(path)
    kind = file_kinds.recognise(place)
    if kind == file_kinds.SAVED_MODEL:
        from gradcam.loading.saved_models import open_saved_model  # noqa: PLC0415 - TensorFlow, as below

        return open_saved_model(place, safe_mode=safe_mode, signature=signature)
    if signature is not None:
        raise ModelError("signature-of-a-file", path=str(path), signature=signature)
    from gradcam.loading.keras_files import rebuilding  # noqa: PLC0415 - TensorFlow, once it is a model

    return rebuilding.load(place, kind, dict(custom_objects or {}), safe_mode)
