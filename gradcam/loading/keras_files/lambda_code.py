"""The functions of Lambda layers, from the bytes that Keras stores them as.

Only asked for with `safe_mode=False`: whoever wrote the bytes can do anything with them.
"""

from __future__ import annotations

import base64
import marshal
import types
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from gradcam.trace import private_keras

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# What people's functions call without having it passed: the imports at the top of their notebook.
_USUAL_NAMES = {
    "K": private_keras.keras_2_backend,
    "backend": private_keras.keras_2_backend,
    "keras": keras,
    "layers": keras.layers,
    "np": np,
    "ops": keras.ops,
    "tf": tf,
    "tensorflow": tf,
}


def function_of(stored: Mapping[str, Any], names: Mapping[str, Any]) -> Callable[..., Any]:
    """The function in a config.

    Args:
        stored: `code`, `defaults` and `closure`, or those three as `value`.
        names: what the function may call, beside the usual imports.

    Raises:
        ValueError, TypeError or EOFError where another version of Python wrote the code.
    """
    if "value" in stored:
        code, defaults, closure = stored["value"]
    else:
        code, defaults, closure = (stored.get(name) for name in ("code", "defaults", "closure"))
    loaded = marshal.loads(base64.b64decode(code))  # noqa: S302 - the user asked for it
    if not isinstance(loaded, types.CodeType):
        raise TypeError(f"it is a {type(loaded).__name__}")
    cells = tuple(types.CellType(value) for value in closure or ())
    return types.FunctionType(
        loaded,
        {"__builtins__": __builtins__, **_USUAL_NAMES, **names},
        name=loaded.co_name,
        argdefs=tuple(defaults) if defaults else None,
        closure=cells or None,
    )
