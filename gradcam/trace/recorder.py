"""Watches a Keras model while it is traced: which layer was called, by whom, with which result.

Keras 3 gives no way to reach the output of a layer inside a nested, shared or subclassed model, so
the recorder puts a wrapper in the place of every `call` for the length of one trace and takes it
away again. The model is not changed by that:

- The wrapper lies in the layer's `__dict__`, past Keras' attribute tracking, and is deleted, not
  replaced by the old bound method, which would stay behind as an attribute.
- Whatever a `call` leaves on its layer during the trace, such as a tensor kept for debugging, is
  taken away, also after an exception (see `restoring`). Losses and updates of variables go nowhere.
- A layer that has no weights yet can't create them during the trace: they would get no value.
- Another thread that calls the layer in that moment meets the wrapper; it looks at the thread and
  steps aside. One lock serialises the traces, because two wrappers must not remove each other.

A `call` that is itself a `tf.function` is traced as the Python function that it was made of, and
the layers inside it are seen. A layer of a `keras.RematScope` runs without rematerialisation. What
runs in `while`, `map_fn` or a conditional has a graph of its own, out of which no activation can be
taken; its calls are recorded as unreachable, so that an error can say so.
"""

from __future__ import annotations

import re
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from gradcam.trace import plain_calls, private_keras, transformers
from gradcam.trace.locking import one_trace_at_a_time
from gradcam.trace.recording import Call
from gradcam.trace.restoring import Belongings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gradcam.trace.watching import Watch


def operations_of(model: keras.Model) -> list[Any]:
    """Every layer of the model at any depth, and the operations that are no layer.

    >>> inputs = keras.Input((4,))
    >>> outputs = inputs + keras.layers.Dense(4)(inputs)
    >>> [type(operation).__name__ for operation in operations_of(keras.Model(inputs, outputs))]
    ['Functional', 'InputLayer', 'Dense', 'Add']
    """
    found = {id(layer): layer for layer in private_keras.all_layers(model)}
    for layer in list(found.values()):
        for operation in getattr(layer, "operations", ()):
            found.setdefault(id(operation), operation)
    return list(found.values())


class _NoNewVariables(list[Any]):
    """Stands in for Keras' list of variables to be initialised, and lets none be created.

    The state of a seed is no weight: a `call` may make a Dropout anew each time it runs.
    """

    def __init__(self, *, may_build: bool) -> None:
        super().__init__()
        self.refused: str | None = None
        self._may_build = may_build

    def append(self, variable: Any) -> None:
        """Refuse a variable, before its layer knows of it."""
        if self._may_build:
            return
        if variable.name == "seed_generator_state":
            super().append(variable)
            return
        self.refused = self.refused or variable.path.rpartition("/")[0] or variable.name
        raise RuntimeError(f"the variable {variable.path} does not exist yet")


class Recorder:
    """Records the calls that the current thread makes.

    Args:
        graph: the graph that is being built; None where the code runs eagerly.
        calls: the list that the calls go into, for who wants them also after an exception.
        may_build: whether layers may create weights, for the length of the trace.
        watch: the tape that watches activations, if one does.
        only: the operations whose calls are recorded; None for all of them.
        activations_of: layers whose calls keep what their activation is given.
    """

    def __init__(
        self,
        graph: tf.Graph | None,
        calls: list[Call] | None = None,
        *,
        may_build: bool = False,
        watch: Watch | None = None,
        only: Sequence[Any] | None = None,
        activations_of: Sequence[Any] = (),
    ) -> None:
        self.calls: list[Call] = [] if calls is None else calls
        self.failed: Call | None = None
        self._new_variables = _NoNewVariables(may_build=may_build)
        self._graph = graph
        self._watch = watch
        self._only = None if only is None else {id(operation) for operation in only}
        self._thread = threading.get_ident()
        self._stack: list[Call] = []
        self._activations_of = {id(operation) for operation in activations_of}
        self._began_symbolic = private_keras.in_symbolic_scope()

    @property
    def unbuilt(self) -> str | None:
        """The layer that wanted to create a variable during the trace, None where none did."""
        return self._new_variables.refused

    @contextmanager
    def watching(self, model: keras.Model) -> Iterator[None]:
        """Wrap every `call` of the model, and leave no trace of it behind."""
        operations = operations_of(model)
        # In the scope, losses and updates of variables go nowhere.
        with one_trace_at_a_time(), keras.StatelessScope(), ExitStack() as stack:
            stack.enter_context(private_keras.new_variables_go_to(self._new_variables))
            graph = self._graph or tf.Graph()  # in which nothing is, where nothing is traced
            kept = [Belongings(operation, graph) for operation in operations]
            for belongings in kept:
                stack.enter_context(belongings.kept())
            for operation, belongings in zip(operations, kept, strict=True):
                for name, replacement in self._replacements(operation, belongings):
                    belongings.put(name, replacement)
            try:
                yield
            finally:
                self._name_paths()

    def _replacements(
        self, operation: Any, belongings: Belongings
    ) -> Iterator[tuple[str, Callable[..., Any]]]:
        # The losses of the user's own last call would be dropped when the model is entered.
        instead: dict[str, Callable[..., Any]] = {private_keras.CLEAR_LOSSES: _nothing}
        if private_keras.remat_mode(operation) is not None:
            # Rematerialising saves memory in training, and hides the layers and their gradients.
            instead[private_keras.REMATERIALIZED_CALL] = _as_it_is
        for name, plain in instead.items():
            if hasattr(operation, name):
                yield name, self._in_this_thread(getattr(operation, name), plain)
        for name in plain_calls.traced_functions(type(operation)):
            yield (
                name,
                self._in_this_thread(getattr(operation, name), plain_calls.plain(operation, name)),
            )
        if id(operation) in self._activations_of:
            activation = operation.activation
            yield "activation", self._in_this_thread(activation, self._keeping(operation))
        quantized = getattr(operation, "quantization_mode", None) is not None
        name = "quantized_call" if quantized else "call"
        original, plain = getattr(operation, name), plain_calls.plain(operation, name)
        if self._only is None or id(operation) in self._only:
            if transformers.is_transformer(operation):
                yield from transformers.watched(operation, self._thetas_of)
            yield name, self._wrapped(operation, original, plain, belongings)
        elif plain is not original and plain != original:
            yield name, self._in_this_thread(original, plain)

    def _in_this_thread(
        self, original: Callable[..., Any], plain: Callable[..., Any]
    ) -> Callable[..., Any]:
        def function(*args: Any, **kwargs: Any) -> Any:
            mine = threading.get_ident() == self._thread
            return plain(*args, **kwargs) if mine else original(*args, **kwargs)

        return function

    def _keeping(self, operation: Any) -> Callable[..., Any]:
        """The activation of a layer; the call that is running keeps what it is given."""
        activation = operation.activation

        def function(logits: Any, *args: Any, **kwargs: Any) -> Any:
            if self._stack:
                self._stack[-1].preactivation = logits
            return activation(logits, *args, **kwargs)

        return function

    def _thetas_of(self, operation: Any) -> transformers.Thetas | None:
        """Those of a layer's call, where that is the innermost in this moment."""
        if threading.get_ident() != self._thread or not self._stack:
            return None
        return self._stack[-1].thetas if self._stack[-1].layer is operation else None

    def _wrapped(
        self,
        operation: Any,
        original: Callable[..., Any],
        plain: Callable[..., Any],
        belongings: Belongings,
    ) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != self._thread:
                belongings.shared = True
                return original(*args, **kwargs)
            entry = self._enter(operation, args, kwargs)
            returned = False
            try:
                result = plain(*args, **kwargs)
                returned = True
            finally:
                if not returned:
                    entry.raised = True
                    self.failed = self.failed or entry
                self._stack.pop()
                entry.last_op = self._size()
            if private_keras.in_symbolic_scope() and not self._began_symbolic:
                self._forget(entry)
            else:
                self._leave(entry, result)
            return result

        return call

    def _forget(self, entry: Call) -> None:
        """Drop a call by which Keras only found out what a layer has to build."""
        del self.calls[self.calls.index(entry) :]
        if entry.parent is not None:
            entry.parent.children.remove(entry)

    def _enter(self, operation: Any, args: Any, kwargs: Any) -> Call:
        parent = self._stack[-1] if self._stack else None
        entry = Call(
            name=operation.name,
            kind=type(operation).__name__,
            families=tuple(kind.__name__ for kind in type(operation).__mro__),
            parent=parent,
            layer=operation,
            inputs=tuple(
                leaf for leaf in keras.tree.flatten((args, kwargs)) if isinstance(leaf, tf.Tensor)
            ),
            training=kwargs.get("training"),
            data_format=getattr(operation, "data_format", None),
            has_weights=bool(_own_weights(operation)),
            first_op=self._size(),
        )
        if parent is not None:
            parent.children.append(entry)
        self._stack.append(entry)
        self.calls.append(entry)
        return entry

    def _leave(self, entry: Call, result: Any) -> None:
        leaves = keras.tree.flatten(result)
        if entry.is_leaf and not isinstance(entry.layer, keras.Model):
            # What it calls is hidden: its weights are as good as its own.
            entry.has_weights = bool(getattr(entry.layer, "weights", ()))
        entry.returned_none = result is None
        entry.outputs = tuple(leaf for leaf in leaves if isinstance(leaf, tf.Tensor))
        for output in entry.outputs:
            entry.inside = _inside(output, self._graph)
            if entry.inside is not None:
                entry.outputs = ()
                entry.hidden_shape = output.shape
                break
        if self._watch is not None and entry.inside is None:
            self._watch.made(entry)

    def _size(self) -> int:
        return 0 if self._graph is None else int(self._graph.version)

    def _name_paths(self) -> None:
        """Number the calls that share a name below the same call, and join the names to paths."""
        for parent in self.calls:  # a call comes after its parent, whose path is then known
            for entry in parent.children:
                siblings = [call for call in parent.children if call.name == entry.name]
                number = f"[{_place(entry, parent, siblings)}]" if len(siblings) > 1 else ""
                entry.path = f"{parent.path}/{entry.name}{number}".lstrip("/")


def _place(entry: Call, parent: Call, siblings: list[Call]) -> int:
    """The number of a call among those of the same name.

    A Functional model runs the calls of a shared layer in an order of its own, so there the number
    is that of the layer's node: the order in which the person called it.
    """
    place = siblings.index(entry)
    written = private_keras.places_as_written(parent.layer, entry.layer)
    return written[place] if len(written) == len(siblings) else place


def _own_weights(operation: Any) -> list[Any]:
    inner = {id(w) for layer in private_keras.direct_layers(operation) for w in layer.weights}
    return [w for w in getattr(operation, "weights", ()) if id(w) not in inner]


def _nothing() -> None:
    """Stands in for a method that must not run."""


def _as_it_is(function: Callable[..., Any], *_: Any, **__: Any) -> Callable[..., Any]:
    """Stands in for a method that would wrap a function."""
    return function


def _inside(output: Any, own: tf.Graph | None) -> str | None:
    """What hides an activation, in the words of the code that made it; None where nothing does."""
    graph = getattr(output, "graph", None)
    if graph is None and own is None:
        return None
    if graph is own:
        # `vectorized_map` works on a copy: what it traced leads nowhere.
        is_template = "loop_body/" in output.op.name and "/pfor/" not in output.op.name
        return "`vectorized_map` (TimeDistributed uses it)" if is_template else None
    if graph is None:
        return "eager code (`tf.init_scope` or `tf.py_function`)"
    name = getattr(graph, "name", "")
    if "while" in name:
        return "a loop (`while`, `map_fn`, a recurrent layer or TimeDistributed)"
    if "cond" in name or "branch" in name or "true" in name or "false" in name:
        return "a conditional (`cond` or `switch`)"
    inner = re.sub(r"^__(inference|forward)_|_\d+$", "", name)
    return f"the tf.function '{inner}', which is not a method of a layer"
