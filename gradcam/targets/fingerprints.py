"""Tells whether a function would still do the same, so that a trace of it may be used again.

A traced function has the values of its closure built in. The same function object with another
value in its closure, its defaults or its globals is another function.
"""

from __future__ import annotations

import functools
import hashlib
import types
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

_VALUES = (bool, int, float, complex, str, bytes, type(None), slice, type(...), np.generic)
# Read when the graph runs, or never changed.
_BY_REFERENCE = (tf.Variable, keras.Variable, keras.Layer, tf.Tensor, tf.DType, type)


class _Unknown(Exception):  # noqa: N818 - a way out of a recursion, not an error
    """A value that nothing can be said about."""


class _Same:
    """Equal to itself alone, and keeps its object alive, so that no other gets its id."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other._value is self._value

    def __hash__(self) -> int:
        return id(self._value)


def fingerprint(function: Callable[..., Any]) -> Hashable:
    """A key that is equal as long as the function would do the same.

    Where that can't be known, as for an object with a `__call__`, every key is a new one.

    >>> def choose(index):
    ...     return lambda scores: scores[:, index]
    >>> first = choose(1)
    >>> fingerprint(first) == fingerprint(first)
    True
    >>> first.__closure__[0].cell_contents = 2
    >>> before = fingerprint(first)
    >>> first.__closure__[0].cell_contents = 3
    >>> fingerprint(first) == before
    False
    """
    try:
        return _of(function, set())
    except _Unknown:
        return _Same(object())


def _of(value: Any, seen: set[int]) -> Hashable:
    """The fingerprint of anything that a function uses."""
    if isinstance(value, _VALUES):
        return type(value), repr(value)
    if id(value) in seen:  # a function that calls itself
        return None
    seen = seen | {id(value)}
    if isinstance(value, list | tuple | set | frozenset):
        entries = value if isinstance(value, list | tuple) else sorted(value, key=repr)
        return type(value), tuple(_of(entry, seen) for entry in entries)
    if isinstance(value, dict):
        return dict, tuple((_of(key, seen), _of(held, seen)) for key, held in value.items())
    if isinstance(value, np.ndarray) and value.dtype != object:
        digest = hashlib.sha256(value.tobytes()).digest()
        return value.shape, value.dtype.str, digest
    return _of_callable(value, seen)


def _of_callable(value: Any, seen: set[int]) -> Hashable:
    if isinstance(value, functools.partial):
        return _Same(value.func), _of([value.func, value.args, value.keywords], seen)
    if isinstance(value, tf.types.experimental.PolymorphicFunction):
        return _Same(value), _of(value.python_function, seen)
    if isinstance(value, types.MethodType):
        return _Same(value.__func__), _of([value.__func__, value.__self__], seen)
    if isinstance(value, types.FunctionType):
        # What belongs to a package is as constant as its code.
        inside = [] if _is_installed(value.__module__) else list(_used(value))
        return _Same(value), _of(inside, seen)
    is_constant = isinstance(value, (*_BY_REFERENCE, types.ModuleType, types.BuiltinFunctionType))
    if is_constant or _is_installed(type(value).__module__):
        return _Same(value)
    raise _Unknown


def _used(function: types.FunctionType) -> Iterator[Any]:
    """What a function reads from outside: closure, defaults, globals and what it takes of modules."""
    yield function.__defaults__
    yield function.__kwdefaults__
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not yet assigned
            yield None
    names = sorted(_names(function.__code__))
    known = [function.__globals__[name] for name in names if name in function.__globals__]
    yield from known
    for module in known:
        if isinstance(module, types.ModuleType) and not _is_installed(module.__name__):
            yield from (vars(module)[name] for name in names if name in vars(module))


def _names(code: types.CodeType) -> set[str]:
    """The names of globals and attributes in a function, and in the functions inside of it."""
    inner = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return set(code.co_names).union(*map(_names, inner))


def _is_installed(module: str | None) -> bool:
    package = (module or "").partition(".")[0]
    return package in {"tensorflow", "keras", "numpy", "math", "functools", "operator"}
