"""Leaves a layer as it was before a trace, without undoing what other threads did to it.

A `call` may keep things on its layer: a tensor for debugging, a count, a list of what it has seen.
In a trace these are symbolic tensors and steps that never ran, so they have to go. What another
thread sets in the same moment has to stay. Who set an attribute is known: Keras asks a hook of the
layer each time. Who changed a list or a dict is not, so there the rule is:

- what holds a tensor of the trace always goes;
- the rest goes too, unless another thread was seen at the layer since the trace began.

An attribute that is a list, a dict, a set, a deque or an object of the user's own is restored in
place, and so are those that lie in it.
"""

from __future__ import annotations

import functools
import operator
import sys
import threading
from collections import OrderedDict, deque
from collections.abc import Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from gradcam.trace import private_keras, private_tensorflow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ABSENT = object()
_DEPTH = 5  # containers in containers that are looked into
_LENGTH = 1000  # entries up to which they are: a longer one is data, and copied as a whole
_NOT_PLAIN = (keras.Operation, keras.Variable, tf.Module, tf.Tensor, type)
_PACKAGES = (sys.stdlib_module_names - {"types"}) | {"keras", "tensorflow", "numpy", "ml_dtypes"}


class Belongings:
    """What one layer, or operation, holds during a trace in this thread.

    Args:
        operation: the layer.
        graph: the graph that is traced.

    Attributes:
        shared: whether another thread was seen at the layer.

    >>> layer = keras.layers.Identity()
    >>> with Belongings(layer, tf.Graph()).kept():
    ...     layer.seen = True
    >>> hasattr(layer, "seen")
    False
    """

    def __init__(self, operation: Any, graph: tf.Graph) -> None:
        self.shared = False
        self._operation = operation
        self._attributes: dict[str, Any] = vars(operation)
        self._graph = graph
        self._thread = threading.get_ident()
        self._replaced: dict[str, Any] = {}  # by this thread: the value before
        self._others: set[str] = set()  # attributes that another thread set last

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Restore on the way out whatever this thread did to the layer."""
        with self._watched():
            before = dict(self._attributes)
            inside = [
                held
                for value in before.values()
                if isinstance(value, _CONTAINERS) or _is_plain(value)
                for held in _contents(value)
            ]
            try:
                yield
            finally:
                self._restore_attributes(before)
                for container, content in inside:
                    self._restore_container(container, content)

    def put(self, name: str, value: Any) -> None:
        """Set an attribute for the length of the trace, past Keras and past its hook."""
        self._note(name)
        self._attributes[name] = value

    def _note(self, name: str) -> None:
        """Remember what this thread replaces."""
        self._replaced.setdefault(name, self._attributes.get(name, _ABSENT))
        self._others.discard(name)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Hear of every attribute that is set, and of other threads that add to a container."""
        hooks: list[tuple[dict[str, Any], str, Any]] = []

        def put(attributes: dict[str, Any], name: str, value: Any) -> None:
            hooks.append((attributes, name, attributes.get(name, _ABSENT)))
            attributes[name] = value

        name = private_keras.SETATTR_HOOK
        put(self._attributes, name, self._hook(getattr(self._operation, name)))
        tracker = private_keras.tracker(self._operation)
        for name in ("track", "untrack") if tracker is not None else ():
            # Keras' own lists, dicts and sets tell it what is put in and taken out.
            put(vars(tracker), name, self._noticing(getattr(tracker, name)))
        try:
            yield
        finally:
            for attributes, name, before in hooks:  # there may be those of a trace around this one
                if before is _ABSENT:
                    attributes.pop(name, None)
                else:
                    attributes[name] = before

    def _hook(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def hook(name: str, value: Any) -> Any:
            if threading.get_ident() == self._thread:
                self._note(name)
            else:
                self.shared = True
                self._replaced.pop(name, None)
                self._others.add(name)
            return original(name, value)

        return hook

    def _noticing(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def function(value: Any) -> Any:
            self.shared = self.shared or threading.get_ident() != self._thread
            return original(value)

        return function

    def _restore_attributes(self, before: dict[str, Any]) -> None:
        attributes = self._attributes
        for name in {**before, **attributes}:
            now, old = attributes.get(name, _ABSENT), before.get(name, _ABSENT)
            if name in self._replaced:
                old = self._replaced[name]
            elif name in self._others or (self.shared and not self._is_symbolic(now)):
                continue
            if old is _ABSENT:
                attributes.pop(name, None)
            elif old is not now:
                attributes[name] = old

    def _restore_container(self, container: Any, content: Any) -> None:
        if isinstance(content, dict):
            mapping = container if isinstance(container, dict) else vars(container)
            wanted = self._without_symbols(mapping, content) if self.shared else content
            _restore_mapping(mapping, wanted)
        elif not _is_same(container, content):
            _refill(container, self._kept_of(container, content) if self.shared else content)

    def _without_symbols(self, now: dict[Any, Any], content: dict[Any, Any]) -> dict[Any, Any]:
        wanted = {}
        for key, value in dict(now).items():
            if not self._is_symbolic(value) and not self._is_symbolic(key):
                wanted[key] = value
            elif key in content:
                wanted[key] = content[key]
        return wanted

    def _kept_of(self, container: Iterable[Any], content: list[Any]) -> list[Any]:
        kept = []
        for place, value in enumerate(list(container)):
            if not self._is_symbolic(value):
                kept.append(value)
            elif place < len(content) and not isinstance(container, set):
                kept.append(content[place])
        return kept

    def _is_symbolic(self, value: Any, depth: int = _DEPTH) -> bool:
        """Whether a value is, or holds, a tensor of the trace."""
        if isinstance(value, tf.Tensor) or private_tensorflow.is_composite(value):
            leaves = tf.nest.flatten(value, expand_composites=True)
            return any(_is_in(getattr(leaf, "graph", None), self._graph) for leaf in leaves)
        if hasattr(type(value), "deref"):  # tf.Tensor.ref()
            return self._is_symbolic(value.deref(), depth)
        return depth > 0 and any(self._is_symbolic(part, depth - 1) for part in _parts(value))


_CONTAINERS = (list, dict, set, deque, tuple)


def _is_in(graph: Any, whole: tf.Graph) -> bool:
    """Whether a graph is `whole`, or that of a loop or function inside of it."""
    while graph is not None and graph is not whole:
        graph = getattr(graph, "outer_graph", None)
    return graph is whole


def _contents(value: Any, depth: int = _DEPTH) -> Iterator[tuple[Any, Any]]:
    """Each container in a value with what is in it now."""
    if isinstance(value, dict):
        yield value, dict(value)
    elif isinstance(value, list | set | deque):
        yield value, list(value)
    elif _is_plain(value):
        yield value, dict(vars(value))
    if depth:
        for part in _parts(value):
            if isinstance(part, _CONTAINERS) or _is_plain(part):
                yield from _contents(part, depth - 1)


def _parts(value: Any) -> Iterable[Any]:
    """What a container or a plain object holds; nothing for anything else."""
    if isinstance(value, dict):
        parts = [*value, *value.values()]
    elif isinstance(value, _CONTAINERS):
        parts = list(value)
    else:
        parts = list(vars(value).values()) if _is_plain(value) else []
    return parts if len(parts) <= _LENGTH else []


def _is_plain(value: Any) -> bool:
    """Whether a value is an object of the user's own, with attributes, or Keras' list of them."""
    kind: Any = type(value)
    return kind is private_keras.Tracker or (_is_plain_kind(kind) and hasattr(value, "__dict__"))


@functools.lru_cache(maxsize=1024)
def _is_plain_kind(kind: type) -> bool:
    package = (getattr(kind, "__module__", None) or "builtins").partition(".")[0]
    return package not in _PACKAGES and not issubclass(kind, (*_NOT_PLAIN, *_CONTAINERS))


def _is_same(container: Any, content: list[Any]) -> bool:
    return len(container) == len(content) and all(map(operator.is_, container, content))


def _restore_mapping(mapping: dict[Any, Any], wanted: dict[Any, Any]) -> None:
    """Key by key, so that another thread never finds a mapping without what it put in."""
    kind: Any = OrderedDict if isinstance(mapping, OrderedDict) else dict
    for key in list(mapping):
        if key not in wanted:
            kind.__delitem__(mapping, key)
    for key, value in wanted.items():
        if key not in mapping or mapping[key] is not value:
            kind.__setitem__(mapping, key, value)
    if not _is_same(mapping, list(wanted)):  # only the order is left
        for key, value in wanted.items():
            kind.__delitem__(mapping, key)
            kind.__setitem__(mapping, key, value)


def _refill(container: Any, wanted: list[Any]) -> None:
    """The same list, set or deque with other entries, past what Keras does on a change."""
    if isinstance(container, list):
        list.__setitem__(container, slice(None), wanted)
    elif isinstance(container, set):
        set.intersection_update(container, wanted)
        set.update(container, wanted)
    else:
        container.clear()
        container.extend(wanted)
