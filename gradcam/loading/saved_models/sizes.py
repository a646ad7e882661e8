"""How large a program gets when it runs, counted before: a short file can ask for very much."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from gradcam.errors import ModelError
from gradcam.files import is_inflated
from gradcam.loading.saved_models.functions import functions_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradcam.loading.saved_models.functions import Library

_MOST_OPERATIONS = 1_000_000
_DEEPEST = 100
"""Calls within calls."""
_LONGEST_NAME = 1000


def check(library: Library) -> None:
    """Raise `ModelError` for a program that nobody could have written, or that would not end."""
    for nodes in _every(library):
        for node in nodes:
            _check_node(library.path, node)
    sizes: dict[str, tuple[int, int]] = {}
    for name in library.functions:
        _measure(library, name, sizes)
    main, _ = _sum(library, library.main.nodes.values(), sizes)
    if main > _MOST_OPERATIONS:
        raise _too_large(library.path, f"its functions unroll to {main} operations")


def _every(library: Library) -> list[Iterable[Any]]:
    functions = [function.node_def for function in library.functions.values()]
    return [library.main.nodes.values(), *functions]


def _check_node(path: str, node: Any) -> None:
    if len(node.name) > _LONGEST_NAME:
        raise _too_large(path, f"the name of an operation has {len(node.name)} characters")
    if node.op != "Const":
        return
    tensor = node.attr["value"].tensor
    claimed = math.prod(max(dim.size, 0) for dim in tensor.tensor_shape.dim) * _item_size(tensor)
    if is_inflated(claimed, tensor.ByteSize()):
        raise _too_large(path, f"the constant '{node.name}' claims {claimed} bytes")


def _item_size(tensor: Any) -> int:
    try:
        return int(tf.as_dtype(tensor.dtype).size or 1)
    except TypeError:
        return 1


def _measure(library: Library, name: str, sizes: dict[str, tuple[int, int]]) -> None:
    """Count the operations of a function with all that it calls, and how deep the calls go."""
    waiting = [name]
    entered: set[str] = set()
    while waiting:
        current = waiting[-1]
        if current in sizes:
            waiting.pop()
            continue
        nodes = library.functions[current].node_def
        called = {
            inner
            for node in nodes
            for inner in functions_of(node)
            if inner in library.functions and inner not in sizes
        }
        if called and current in entered:
            raise _too_large(library.path, f"the function '{current[:100]}' calls itself")
        entered.add(current)
        if called:
            waiting.extend(called)
            continue
        count, depth = _sum(library, nodes, sizes)
        if depth > _DEEPEST or count > _MOST_OPERATIONS:
            what = f"its functions unroll to {count} operations, {depth} calls deep"
            raise _too_large(library.path, what)
        sizes[current] = (count, depth)
        waiting.pop()


def _sum(
    library: Library, nodes: Iterable[Any], sizes: dict[str, tuple[int, int]]
) -> tuple[int, int]:
    count, depth = 0, 0
    for node in nodes:
        count += 1
        for inner in functions_of(node):
            if inner in library.functions:
                count += sizes[inner][0]
                depth = max(depth, sizes[inner][1])
    return count, depth + 1


def _too_large(path: str, what: str) -> ModelError:
    return ModelError("saved-model-too-large", path=path, what=what)
