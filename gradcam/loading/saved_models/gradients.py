"""Differentiates what TensorFlow can't after an import: custom gradients and compiled functions.

A SavedModel keeps the gradient of a `tf.custom_gradient` as a function of its own, which uses
tensors of the forward run. A function that XLA compiles is differentiated by running it once more,
operation by operation.
"""

from __future__ import annotations

import secrets
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from gradcam.trace import private_tensorflow

if TYPE_CHECKING:
    from collections.abc import Sequence

COMPILED_CALL = "GradcamCompiledCall"
CUSTOM = "GradcamCustomGradient"
# On an operation with a custom gradient: which one, and its own name before the import.
TOKEN, OWN_NAME = "_gradcam_gradient", "_gradcam_name"

_KNOWN: weakref.WeakValueDictionary[bytes, CustomGradient] = weakref.WeakValueDictionary()


@dataclass(eq=False)
class CustomGradient:
    """The gradient of one `tf.custom_gradient` as a flat graph.

    Attributes:
        graph_def: the graph.
        constants: its large constants, by the name of their tensor.
        gradients: the tensors that take the gradients of the outputs.
        captures: the tensors that take what the forward run computed.
        results: the gradient of each input, None where there is none.
        capture_types: the types of the captures, as numbers.
        token: by which an operation names it.
    """

    graph_def: Any
    constants: dict[str, tf.Tensor]
    gradients: list[str]
    captures: list[str]
    results: list[str | None]
    capture_types: list[int]
    token: bytes = field(default_factory=lambda: secrets.token_hex(8).encode())

    def __post_init__(self) -> None:
        _KNOWN[self.token] = self

    def __call__(
        self, gradients: Sequence[tf.Tensor], captures: Sequence[tf.Tensor]
    ) -> list[tf.Tensor | None]:
        """The gradients of the inputs, in the graph that is being traced."""
        given = dict(zip(self.gradients, gradients, strict=True))
        given |= dict(zip(self.captures, captures, strict=True))
        given |= self.constants
        inside = [name for name in self.results if name is not None and name not in given]
        results = import_graph(self.graph_def, given, inside, name="gradient")
        known = given | dict(zip(inside, results, strict=True))
        return [None if name is None else known[name] for name in self.results]


def capture_name(operation: str, number: int) -> str:
    """The name of the operation that keeps a tensor of the forward run for a gradient."""
    return f"{operation}/captured_{number}"


def import_graph(
    graph_def: Any, given: dict[str, tf.Tensor], wanted: list[str], name: str
) -> list[tf.Tensor]:
    """Import a graph into the one that is being traced, with tensors for where it begins."""
    used = {
        text if ":" in text else f"{text}:0"
        for node in graph_def.node
        for text in node.input
        if not text.startswith("^")
    }
    mapping = {key: tensor for key, tensor in given.items() if key in used}
    imported = tf.graph_util.import_graph_def(
        graph_def, input_map=mapping, return_elements=wanted, name=name
    )
    return list(imported or [])


@tf.RegisterGradient(CUSTOM)
def _custom_gradient(operation: tf.Operation, *gradients: Any) -> list[Any]:
    """The gradient that the model's own code gave an operation."""
    gradient = _KNOWN[operation.get_attr(TOKEN)]
    own = operation.get_attr(OWN_NAME).decode()
    prefix = operation.name.removesuffix(own)
    captures = [
        operation.graph.get_tensor_by_name(f"{prefix}{capture_name(own, number)}:0")
        for number in range(len(gradient.captures))
    ]
    filled = [
        tf.zeros_like(output) if given is None else tf.convert_to_tensor(given)
        for given, output in zip(gradients, operation.outputs, strict=True)
    ]
    return gradient(filled, captures)


@tf.RegisterGradient(COMPILED_CALL)
def _gradient_of_call(operation: tf.Operation, *gradients: Any) -> list[Any]:
    """The gradient of a compiled function, by those of the operations in it."""
    name = operation.get_attr("f").name
    library = operation.graph.as_graph_def().library
    definition = next(f for f in library.function if f.signature.name == name)
    body, tensor_names = private_tensorflow.graph_of_function(definition)
    arguments = [argument.name for argument in definition.signature.input_arg]
    for node in [node for node in body.node if node.name in arguments]:
        body.node.remove(node)
    inputs = [tf.identity(tensor) for tensor in operation.inputs]
    given = {f"{name}:0": tensor for name, tensor in zip(arguments, inputs, strict=True)}
    wanted = [
        tensor_names[definition.ret[output.name]] for output in definition.signature.output_arg
    ]
    outputs = import_graph(body, given, wanted, name="compiled")
    return tf.gradients(outputs, inputs, list(gradients))
