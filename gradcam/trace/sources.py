"""The one way into a model: run it in the graph that is being traced, and see what it did.

`Source` is the protocol. A Keras model is one (`KerasSource`). Whatever else can say what its
inputs are and record itself into a graph can be another; nothing behind this module knows which.

A recording is made in a graph without automatic control dependencies
(`tf.compat.v1.wrap_function`): only what the wanted tensors need is ever run, so a model that
counts its calls, or draws from a seed, is not advanced by being explained.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import keras
import tensorflow as tf

from gradcam import environment
from gradcam.errors import BlockedGradientError, GradCamError, ModelError
from gradcam.trace import logits, recomputing
from gradcam.trace.recorder import Recorder
from gradcam.trace.recording import Recording, returned_none

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gradcam.trace.recording import Call
    from gradcam.trace.watching import Watch

# What the user's own code may raise while it is traced.
USER_ERRORS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    tf.errors.OpError,
)


@dataclass(frozen=True)
class InputSpec:
    """What one input of a model takes: `shape` with the batch axis, None where it is open.

    `way` are the keys that lead to it where the model takes its inputs in dicts or lists.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    way: tuple[Any, ...] = ()


class Source(Protocol):
    """What can be explained."""

    name: str

    def specs(self) -> list[InputSpec] | None:
        """What the inputs take; None where only the images can tell."""

    def example_shapes(self) -> Any:
        """Input shapes in the structure of the inputs, for a trace without images."""

    def built_shape(self) -> tuple[int | None, ...] | None:
        """The shape of the only input of a source without specs, where it is known."""

    def built_shapes(self) -> Any:
        """The shapes of all inputs of a source without specs, nested as they are; None if unknown."""

    def built_count(self) -> int | None:
        """The length of the list of inputs of a source without specs; None where it takes none."""

    def record(
        self,
        inputs: list[tf.Tensor],
        structure: Any,
        calls: list[Call] | None = None,
        watch: Watch | None = None,
    ) -> Recording:
        """Run the model on tensors of the graph that is being traced.

        `calls` is a list to be filled with the recording's calls: it holds those that were made
        before an exception, too. `watch` is the tape that watches activations.
        """


@runtime_checkable
class HasSource(Protocol):
    """A model that knows how it is explained, such as a SavedModel."""

    def as_source(self) -> Source:
        """Itself as a source."""


class KerasSource:
    """A Keras model as a source.

    Attributes:
        model: the model.
        name: its name.
        may_build: whether layers may create weights while it is recorded.
    """

    may_build = False

    def __init__(self, model: keras.Model) -> None:
        environment.check_model(model)
        self.model = model
        self.name: str = model.name

    def specs(self) -> list[InputSpec] | None:
        """What a Functional or Sequential model was built for; None for a subclassed one."""
        inputs = getattr(self.model, "inputs", None)
        if not inputs:
            return None
        nest = None if isinstance(self.model, keras.Sequential) else self.model.input
        ways = list(_ways(nest)) if isinstance(nest, dict | list | tuple) else [()] * len(inputs)
        return [
            InputSpec(
                tensor.name, tuple(tensor.shape), keras.backend.standardize_dtype(tensor.dtype), way
            )
            for tensor, way in zip(inputs, ways, strict=True)
        ]

    def example_shapes(self) -> Any:
        """The shapes that a subclassed model was built with; the batch axis is open."""
        shapes = self.built_shapes()
        if shapes is None:
            raise ModelError("unknown-input-shape", name=self.name)
        return shapes

    def built_shapes(self) -> Any:
        """The same, or None where they are not known."""
        config = self.model.get_build_config() or {}
        shapes = config.get("input_shape") or config.get("shapes_dict")
        return _as_shapes(shapes) if shapes else None

    def built_shape(self) -> tuple[int | None, ...] | None:
        """The shape of a subclassed model's only input; None where it is not known."""
        shape = (self.model.get_build_config() or {}).get("input_shape")
        if not isinstance(shape, tuple | list) or any(isinstance(n, tuple | list) for n in shape):
            return None
        return tuple(shape)

    def built_count(self) -> int | None:
        """How many inputs a subclassed model was built with as a list; None for anything else."""
        shapes = (self.model.get_build_config() or {}).get("input_shape")
        if not isinstance(shapes, tuple | list):
            return None
        return len(shapes) if any(isinstance(n, tuple | list | dict) for n in shapes) else None

    def record(
        self,
        inputs: list[tf.Tensor],
        structure: Any,
        calls: list[Call] | None = None,
        watch: Watch | None = None,
    ) -> Recording:
        """Run the model, watched."""
        arguments = self.arguments(inputs, structure)
        graph = inputs[0].graph
        recorder = Recorder(graph, calls, may_build=self.may_build, watch=watch)
        with self.errors_named(recorder, inputs), recorder.watching(self.model):
            result = self.model(arguments, training=False)
        is_recomputed = recomputing.undo(graph)
        if result is None:
            where = _where(returned_none(recorder.calls), self.name)
            raise ModelError("returns-none", where=where)
        outputs = _named_outputs(self.model, result)
        specs = self.specs()
        names = [spec.name for spec in specs] if specs else _names(structure)
        return Recording(
            inputs,
            names,
            recorder.calls,
            outputs,
            result,
            watch=watch,
            is_seen_by_tapes=not is_recomputed,
        )

    @contextmanager
    def errors_named(self, recorder: Recorder, inputs: Sequence[tf.Tensor]) -> Iterator[None]:
        """Say of an exception in the user's own code which layer it came out of."""
        try:
            yield
        except GradCamError:
            raise
        except USER_ERRORS as error:
            raise _failure(self.name, error, recorder, inputs) from error

    def arguments(self, inputs: list[tf.Tensor], structure: Any) -> Any:
        """The tensors of its inputs, nested as the model takes them."""
        if structure is not None:
            return tf.nest.pack_sequence_as(structure, inputs)
        if getattr(self.model, "inputs", None) and not isinstance(self.model, keras.Sequential):
            return keras.tree.pack_sequence_as(self.model.input, inputs)
        return inputs[0]


def open_source(model: Any) -> Source:
    """The source for whatever a person calls their model."""
    if isinstance(model, HasSource):
        return model.as_source()
    return KerasSource(model)


def _as_shapes(shapes: Any) -> Any:
    """Shapes as leaves of a structure: `get_build_config` may give them as lists or tuples."""
    if isinstance(shapes, dict):
        return {name: _as_shapes(shape) for name, shape in shapes.items()}
    if all(size is None or isinstance(size, int) for size in shapes):
        return tf.TensorShape([None, *shapes[1:]])
    return [_as_shapes(shape) for shape in shapes]


def _names(structure: Any) -> list[str]:
    """The name of each input of a subclassed model: the way to it."""
    return ["/".join(map(str, way)) or "0" for way in _ways(structure)]


def _ways(structure: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The keys that lead to each leaf of a structure, in the order of tf.nest."""
    if isinstance(structure, dict):
        parts = [(key, structure[key]) for key in sorted(structure)]
    elif isinstance(structure, list | tuple):
        parts = list(enumerate(structure))
    else:
        yield way
        return
    for key, part in parts:
        yield from _ways(part, (*way, key))


def _named_outputs(model: keras.Model, result: Any) -> list[logits.ModelOutput]:
    """The outputs under their names: of the dict, of the layers that end the model, or numbers."""
    leaves = zip(_names(result), tf.nest.flatten(result), strict=False)
    missing = [name for name, leaf in leaves if leaf is None]
    if missing:
        raise ModelError("returns-none-among", name=model.name, outputs=", ".join(missing))
    values = tf.nest.flatten(result)
    if not values or not all(isinstance(value, tf.Tensor) for value in values):
        raise ModelError("returns-no-tensor", name=model.name, received=type(result).__name__)
    if any(value.shape.rank == 0 for value in values):
        raise ModelError("returns-no-tensor", name=model.name, received="a single number")
    if isinstance(result, dict):
        names = [str(name) for name in sorted(result)]
    else:
        names = [str(name) for name in getattr(model, "output_names", None) or ()]
    if len(names) != len(values) or len(set(names)) != len(names):
        names = [str(number) for number in range(len(values))]
    return [logits.output_of(name, value) for name, value in zip(names, values, strict=True)]


def _failure(
    name: str, error: Exception, recorder: Recorder, inputs: Sequence[tf.Tensor]
) -> GradCamError:
    """What an exception of the user's own code means, with the layer that it came out of."""
    if recorder.unbuilt is not None:
        return ModelError("layer-not-built", name=name, layer=recorder.unbuilt)
    nothing = returned_none(recorder.calls)
    if nothing is not None:
        return ModelError("returns-none", where=_where(nothing, name))
    reason = reason_of(error)
    where = _where(recorder.failed, name)
    text = str(error)
    if "numpy" in text and (
        isinstance(error, NotImplementedError | AttributeError) or "symbolic" in text.lower()
    ):
        return BlockedGradientError("numpy-in-call", where=where.capitalize(), reason=reason)
    shapes = ", ".join(str(tuple(tensor.shape)) for tensor in inputs)
    kind = type(error).__name__
    return ModelError(
        "cannot-run", name=name, error=kind, where=where, shapes=shapes, reason=reason
    )


def reason_of(error: Exception) -> str:
    """The sentence of an error: Keras puts its own first and colours the original."""
    # A KeyError's text is the repr of its argument, which hides line ends and colours.
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    lines = [re.sub(r"\x1b\[\d*m", "", line).strip() for line in text.splitlines()]
    said = [line for line in lines if line and not line.startswith("Exception encountered")]
    # TensorFlow's runtime says where in the graph first, and what last, before the operation.
    number = next((n for n, line in enumerate(said) if line.startswith("[[{{node")), 0)
    if number:
        said = said[number - 1 :]
    return re.sub(r" for '\{\{node.*", "", said[0]).rstrip(".") if said else "without a word"


def _where(call: Call | None, name: str) -> str:
    return f"layer '{call.path}'" if call is not None and call.path else f"the model '{name}'"
