"""Finds Keras' own classes by the names that files have for them, and the arguments they take."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from types import ModuleType
from typing import Any

import keras

from gradcam.trace import private_keras

# Where files look for a class, in the words of Keras' own configs; the first that has it.
_HOMES = (
    "keras.layers",
    "keras.initializers",
    "keras.regularizers",
    "keras.constraints",
    "keras",
    *private_keras.CLASS_MODULES,
)
# The packages under whose names Keras has been published.
_PACKAGES = {
    "keras",
    "tf_keras",
    "tensorflow",
    "tensorflow_core",
    "keras_core",
    "keras_preprocessing",
}


def locate(name: str, module: str | None = None) -> tuple[str, type] | None:
    """The module and the class that a file means; None for what is not Keras' own.

    >>> locate("Conv2D", "tf_keras.layers.convolutional") == ("keras.layers", keras.layers.Conv2D)
    True
    >>> locate("Conv2D", "my_package") is locate("MyLayer") is None
    True
    """
    if module is not None and module.partition(".")[0] not in _PACKAGES:
        return None
    if module is not None and module.startswith("keras."):
        found = _member(module, name)
        if found is not None:
            return module, found
    for home in _HOMES:
        found = _member(home, name)
        if found is not None:
            return home, found
    return None


def operation(name: str) -> tuple[str, type] | None:
    """The module and the class of an operation that is no layer.

    >>> operation("GetItem")[1].__name__
    'GetItem'
    """
    for home in private_keras.OPERATION_MODULES:
        found = _member(home, name)
        if found is not None:
            return home, found
    return None


@functools.cache
def accepted(kind: type) -> frozenset[str]:
    """The names of the arguments that a class takes, its bases' included.

    >>> "filters" in accepted(keras.layers.Conv2D), "groups" in accepted(keras.layers.DepthwiseConv2D)
    (True, False)
    """
    names: set[str] = set()
    for base in kind.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = inspect.signature(vars(base)["__init__"]).parameters.values()
        names |= {
            parameter.name
            for parameter in parameters
            if parameter.kind in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}
        }
        if not any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters):
            break
    return frozenset(names - {"self"})


def _member(home: str, name: str) -> Any:
    """A class of Keras' own in one of its modules."""
    module = _module(home)
    found = vars(module).get(name) if module is not None else None
    is_own = inspect.isclass(found) and found.__module__.partition(".")[0] == "keras"
    return found if is_own else None


def _module(home: str) -> ModuleType | None:
    """A module of Keras; one that Keras hasn't loaded by itself stays unloaded.

    >>> _module("keras.layers") is keras.layers, _module("keras.backends.other")
    (True, None)
    """
    if home in {*_HOMES, *private_keras.OPERATION_MODULES}:
        return importlib.import_module(home)
    found: Any = keras
    for part in home.split(".")[1:]:
        found = vars(found).get(part)
        if not isinstance(found, ModuleType):
            return sys.modules.get(home)
    return found


def has_function(name: str) -> bool:
    """Whether Keras has an activation of that name.

    >>> has_function("relu"), has_function("my_relu")
    (True, False)
    """
    return inspect.isfunction(getattr(keras.activations, name, None)) or name in _MORE_ACTIVATIONS


# What `keras.activations.get` takes without a public function of that name.
_MORE_ACTIVATIONS = {"swish", "hard_swish", "hard_silu"}


# Where functions do nothing but compute.
_COMPUTING = {
    *("activations", "constraints", "initializers", "losses", "metrics", "ops", "regularizers"),
}


def is_own_module(module: str | None, name: str) -> bool:
    """Whether a function is one of Keras' own that only compute, outside of activations.

    >>> is_own_module("keras.ops", "relu"), is_own_module("my_package", "relu")
    (True, False)
    >>> is_own_module("keras.utils", "get_file")
    False
    """
    package, *parts = (module or "").split(".")
    if package != "keras" or not parts or parts[0] not in _COMPUTING:
        return False
    home: Any = keras
    for part in parts:
        home = getattr(home, part, None)
    return callable(getattr(home, name, None))
