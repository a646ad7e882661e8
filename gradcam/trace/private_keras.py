"""All that gradcam uses of Keras without its being public, each with what it is for.

No other file names `keras.src` or a private attribute of Keras. `tests/gradcam/trace/test_private.py`
exercises every name here, and fails with that name when Keras changes it. Keras 3.5 to 3.15 have
them all in the same places, but for `remat_mode`.
"""

from __future__ import annotations

import functools
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import keras
from keras.src.backend.common import global_state
from keras.src.backend.common.symbolic_scope import in_symbolic_scope
from keras.src.backend.tensorflow import trainer as trainers
from keras.src.legacy import backend as keras_2_backend
from keras.src.saving import saving_lib
from keras.src.saving.serialization_lib import ObjectSharingScope
from keras.src.utils.naming import to_snake_case
from keras.src.utils.tracking import Tracker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "CALLED",
    "CLASS_MODULES",
    "CLEAR_LOSSES",
    "OPERATION_MODULES",
    "REMATERIALIZED_CALL",
    "SETATTR_HOOK",
    "AssetStore",
    "ObjectSharingScope",  # keeps an object that a config names twice one object
    "Tracker",  # what a layer has been given: its lists of variables and layers
    "WeightStore",
    "all_layers",
    "bookkeeping",
    "direct_layers",
    "direct_variables",
    "give_values",
    "in_symbolic_scope",  # whether Keras calls a layer only to find out shapes
    "keep_words",
    "keras_2_backend",  # `K` of old Lambda layers
    "load_state",
    "new_variables_go_to",
    "optimized_variables",
    "places_as_written",
    "remat_mode",
    "to_snake_case",  # the name of a layer's class as weight files spell it
    "tracker",
    "variables_without_values",
]

# Attributes of a layer, by name for who replaces or restores them.
CALLED = "_called"  # the mark that a layer or model has been called; `export` asks for it
CLEAR_LOSSES = "_clear_losses"  # the method that drops the losses of the last call
REMATERIALIZED_CALL = (
    "rematerialized_call"  # the method that wraps `call` where `remat_mode` is set
)
SETATTR_HOOK = "_setattr_hook"  # the method that hears of every attribute that is set

_WITHOUT_VALUES = "uninitialized_variables"

# The modules of classes that are no layers of their own name in `keras.layers`, as files spell them.
CLASS_MODULES = ("keras.src.models.functional", "keras.src.legacy.layers")
# The modules of operations that are no layers, such as `GetItem`.
OPERATION_MODULES = tuple(
    f"keras.src.ops.{name}" for name in ("numpy", "nn", "core", "image", "math", "linalg")
)

# The reader of `model.weights.h5`; its `get` finds the group of a layer by path.
WeightStore = saving_lib.H5IOStore
# The reader of the files beside the weights, such as vocabularies.
AssetStore = saving_lib.DiskIOStore
# Fills a model from the two; unlike `load_weights`, it also takes them from an open file.
load_state = saving_lib._load_state


def all_layers(model: keras.layers.Layer) -> list[Any]:
    """A layer and every layer below it, held in attributes, lists and dicts alike.

    >>> [layer.name for layer in all_layers(keras.Sequential([keras.layers.ReLU(name="a")]))][1:]
    ['a']
    """
    return list(model._flatten_layers())


def direct_layers(operation: Any) -> list[Any]:
    """The layers that a layer holds itself; none of an operation that is no layer."""
    if not isinstance(operation, keras.layers.Layer):
        return []
    return list(operation._flatten_layers(include_self=False, recursive=False))


def direct_variables(layer: keras.layers.Layer) -> list[Any]:
    """The variables that a layer holds itself, trainable ones first: how `.h5` files order them."""
    return [*layer._trainable_variables, *layer._non_trainable_variables]


def optimized_variables(optimizer: keras.optimizers.Optimizer) -> list[Any]:
    """What an optimizer trains where `apply` is told nothing else."""
    return list(optimizer._trainable_variables)


def places_as_written(model: Any, layer: Any) -> list[int]:
    """The places of a layer's calls, in the order in which a Functional model runs them, in the code.

    A person counts the calls of a shared layer as they wrote them. Empty where the model isn't
    Functional.
    """
    steps = getattr(model, "_nodes_by_depth", {})
    run = [
        node
        for depth in sorted(steps, reverse=True)
        for node in steps[depth]
        if node.operation is layer
    ]
    written = sorted(run, key=layer._inbound_nodes.index)
    return [written.index(node) for node in run]


def remat_mode(layer: Any) -> Any:
    """The `keras.RematScope` that a layer was made in, None for none. Keras 3.5 has no such scope."""
    return getattr(layer, "_remat_mode", None)


def tracker(layer: Any) -> Tracker | None:
    """Where a layer's own lists, dicts and sets tell what is put in and taken out."""
    return getattr(layer, "_tracker", None)


@contextmanager
def new_variables_go_to(variables: list[Any]) -> Iterator[None]:
    """Variables made in a trace have no value yet: this thread's Keras lists them here meanwhile."""
    before = global_state.get_global_attribute(_WITHOUT_VALUES)
    global_state.set_global_attribute(_WITHOUT_VALUES, variables)
    try:
        yield
    finally:
        global_state.set_global_attribute(_WITHOUT_VALUES, [*(before or ()), *variables])


@contextmanager
def variables_without_values() -> Iterator[list[Any]]:
    """Variables made meanwhile take no memory, and are listed; `give_values` gives them theirs."""
    before = global_state.get_global_attribute(_WITHOUT_VALUES)
    made: list[Any] = []
    global_state.set_global_attribute(_WITHOUT_VALUES, made)
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield made
    finally:
        global_state.set_global_attribute(_WITHOUT_VALUES, before)


def give_values(variables: Iterable[Any]) -> None:
    """Give variables that were made without a value the one that they begin with."""
    for variable in variables:
        if variable._value is None:
            variable._deferred_initialize()


def keep_words(error: Exception) -> None:
    """Mark an error so that Keras doesn't make another one with longer words of it.

    Keras adds the arguments of a `call` to every exception that comes out of it, once.
    """
    error._keras_call_info_injected = True  # type: ignore[attr-defined]


@functools.cache
def bookkeeping() -> frozenset[str]:
    """The attributes in which Keras keeps its own books, and that change no prediction."""
    trainer: Any = trainers.TensorFlowTrainer()
    of_layers = set(vars(keras.layers.Layer())) - {
        "_dtype_policy",
        "_layers",
        "_remat_mode",
        "built",
    }
    of_training = {"history", "optimizer", "loss", "metrics", "stop_training"}
    compiled = {"_compile_config", "_compiled_trainable_state", "_eval_epoch_iterator"}
    return frozenset({*of_layers, *vars(trainer), *of_training, *compiled})
