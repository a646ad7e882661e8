"""Methods of a layer as the Python that a `tf.function` was made of, so that what it calls is seen."""

from __future__ import annotations

import inspect
import types
from typing import TYPE_CHECKING, Any

import tensorflow as tf

if TYPE_CHECKING:
    from collections.abc import Callable


def traced_functions(kind: type) -> list[str]:
    """The methods of a layer class, other than `call`, that are a `tf.function`."""
    return [
        name
        for base in kind.__mro__
        if base.__module__.partition(".")[0] != "keras"
        for name, value in vars(base).items()
        if name != "call" and isinstance(value, tf.types.experimental.PolymorphicFunction)
    ]


def plain(operation: Any, name: str) -> Callable[..., Any]:
    """A method as Python, whatever `tf.function` made of it."""
    static = inspect.getattr_static(operation, name)
    if not isinstance(static, tf.types.experimental.PolymorphicFunction):
        return getattr(operation, name)
    function = static.python_function
    is_own = name in vars(operation)  # `layer.call = tf.function(layer.call)`, already bound
    if is_own and not inspect.ismethod(function):
        return tf.autograph.to_graph(function)
    return types.MethodType(
        tf.autograph.to_graph(getattr(function, "__func__", function)), operation
    )
