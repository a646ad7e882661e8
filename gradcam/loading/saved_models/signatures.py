"""What a SavedModel can be asked: its signatures, or the functions of a module without any."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from gradcam.errors import ModelError
from gradcam.messages.wording import listing, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tensorflow.core.protobuf import meta_graph_pb2

    from gradcam.loading.saved_models.functions import Library, Made

DEFAULTS = ("serving_default", "default", "__call__")
_GENERIC = re.compile(r"output_(\d+)")


@dataclass(frozen=True)
class Port:
    """One input or output of a signature.

    Attributes:
        name: the name that a person uses.
        tensor: the name of its tensor in the flat graph.
        shape: with the batch axis, None where it is open; None where not even the rank is known.
        dtype: the name of its type.
    """

    name: str
    tensor: str
    shape: tuple[int | None, ...] | None
    dtype: str


@dataclass(frozen=True)
class Signature:
    """One way to run a SavedModel.

    Attributes:
        name: its name.
        inputs: what it takes, in the order of the code that was traced.
        outputs: what it returns, in the order of tf.nest.
        made: where each output is made.
        bound: for a module without signatures, the number of the object behind each value
            that the function is given, by the name of its tensor.
    """

    name: str
    inputs: list[Port]
    outputs: list[Port]
    made: list[Made]
    bound: dict[str, int] = field(default_factory=dict)


def choose(
    meta_graph: meta_graph_pb2.MetaGraphDef, library: Library, wanted: str | None, path: str
) -> Signature:
    """The signature that is wanted, or the one that serves by default.

    Raises:
        ModelError: there is no such signature; all are listed.
    """
    signatures = {
        name: signature
        for name, signature in meta_graph.signature_def.items()
        if signature.outputs and signature.inputs
    }
    functions = _functions(meta_graph)
    known = [*sorted(signatures), *sorted(set(functions) - set(signatures))]
    served = sorted(signatures) or known
    name = wanted or next((name for name in DEFAULTS if name in served), None)
    if name is None and len(served) == 1:
        name = served[0]
    if name is None or name not in known:
        if not known:
            raise _without_function(meta_graph, path)
        code = "signature-unknown" if wanted else "signature-in-doubt"
        hint = suggestion(str(wanted), known) if wanted else ""
        raise ModelError(code, path=path, name=wanted, hint=hint, names=listing(known))
    if name in signatures:
        return _of_signature(name, signatures[name], library)
    return _of_function(name, functions[name], meta_graph, library)


def _of_signature(name: str, definition: Any, library: Library) -> Signature:
    ports = [
        Port(key, _tensor_name(info.name), _shape(info.tensor_shape), _dtype(info.dtype))
        for key, info in definition.inputs.items()
    ]
    keys = sorted(definition.outputs, key=_rank if is_listed(definition.outputs) else None)
    infos = [definition.outputs[key] for key in keys]
    made = [library.origin(library.main, info.name) for info in infos]
    outputs = [
        Port(key, tensor.name, _shape(info.tensor_shape), _dtype(info.dtype))
        for key, tensor, info in zip(keys, made, infos, strict=True)
    ]
    order = _order_of_arguments(library, infos[0].name)
    ports.sort(key=lambda port: (order.get(port.tensor, len(order)), port.name))
    return Signature(name, ports, outputs, made)


def is_listed(names: Iterable[str]) -> bool:
    """Whether outputs have no names but numbers, as those of a model that returns a list."""
    return all(_GENERIC.fullmatch(name) for name in names)


def _of_function(
    name: str, function: str, meta_graph: meta_graph_pb2.MetaGraphDef, library: Library
) -> Signature:
    """The traced function of a module as a signature."""
    definition = library.functions[function]
    frame = library.frame_of(definition)
    saved = meta_graph.object_graph_def.concrete_functions[function]
    arguments = definition.signature.input_arg
    given = len(arguments) - len(saved.bound_inputs)
    specs = list(_specs(saved.canonicalized_input_signature))
    frame.arguments = {argument.name: f"{argument.name}:0" for argument in arguments}
    ports = [
        Port(
            spec.name or argument.name, f"{argument.name}:0", _shape(spec.shape), _dtype(spec.dtype)
        )
        for argument, spec in zip(arguments[:given], specs, strict=True)
    ]
    bound = {
        f"{argument.name}:0": number
        for argument, number in zip(arguments[given:], saved.bound_inputs, strict=True)
    }
    made = [library.origin(frame, text) for text in frame.results]
    outputs = [
        Port(f"output_{number}", tensor.name, _shape(spec.shape), _dtype(spec.dtype))
        for number, (tensor, spec) in enumerate(
            zip(made, _specs(saved.output_signature), strict=True)
        )
    ]
    return Signature(name, ports, outputs, made, bound)


def _functions(meta_graph: meta_graph_pb2.MetaGraphDef) -> dict[str, str]:
    """The functions of a module's root, each as it was traced for inference.

    The root may be a traced function itself, as onnx2tf saves it.
    """
    objects = meta_graph.object_graph_def
    signatures = objects.concrete_functions
    found: dict[str, str] = {}
    for name, node in _callables(objects):
        traces = [
            trace
            for trace in _traces(node)
            if any(_specs(signatures[trace].canonicalized_input_signature))
        ]
        if traces:
            found[name] = min(
                traces, key=lambda name: _preference(signatures[name].canonicalized_input_signature)
            )
    return found


def _callables(objects: Any) -> Iterator[tuple[str, Any]]:
    """What can be called of a module, traced or not, by name."""
    root = objects.nodes[0] if objects.nodes else None
    if root is not None and root.HasField("bare_concrete_function"):
        yield "__call__", root
    for child in root.children if root is not None else ():
        node = objects.nodes[child.node_id]
        is_private = child.local_name.startswith("_") and child.local_name != "__call__"
        if node.WhichOneof("kind") in {"function", "bare_concrete_function"} and not is_private:
            yield child.local_name, node


def _traces(node: Any) -> list[str]:
    """The names of the traced functions behind something that can be called."""
    if node.HasField("bare_concrete_function"):
        return [node.bare_concrete_function.concrete_function_name]
    return list(node.function.concrete_functions)


def _variables(objects: Any) -> Iterator[str]:
    """The variables of a module, each by its way from the root."""
    ways = {0: ""}
    waiting = [0] if objects.nodes else []
    while waiting:
        number = waiting.pop()
        if objects.nodes[number].HasField("variable"):
            yield ways[number]
        for child in objects.nodes[number].children:
            if child.node_id not in ways:
                ways[child.node_id] = f"{ways[number]}/{child.local_name}".lstrip("/")
                waiting.append(child.node_id)


def _without_function(meta_graph: meta_graph_pb2.MetaGraphDef, path: str) -> ModelError:
    """The error for a module with nothing to run: what it holds instead."""
    objects = meta_graph.object_graph_def
    names = sorted(_variables(objects))
    waiting = [name for name, _ in _callables(objects)]
    if not names and not waiting:
        return ModelError("saved-model-no-signature", path=path)
    function = "but no function to run"
    if waiting:
        function = f"and of functions only {listing(waiting)}, which was never traced"
    return ModelError(
        "saved-model-no-function", path=path, names=listing(names, limit=6), function=function
    )


def _preference(signature: Any) -> tuple[bool, int]:
    """Smaller for a trace without training=True, then for one whose sizes are open."""
    fixed = [dim for spec in _specs(signature) for dim in spec.shape.dim if dim.size >= 0]
    return any(_truths(signature)), len(fixed)


def _specs(value: Any) -> Any:
    """The tensors in the signature of a function, in the order of its arguments."""
    kind = value.WhichOneof("kind")
    if kind in {"tensor_spec_value", "bounded_tensor_spec_value"}:
        yield getattr(value, kind)
    for inner in _inner(value, kind):
        yield from _specs(inner)


def _truths(value: Any) -> Any:
    """Arguments that are True."""
    kind = value.WhichOneof("kind")
    if kind == "bool_value" and value.bool_value:
        yield True
    for inner in _inner(value, kind):
        yield from _truths(inner)


def _inner(value: Any, kind: str | None) -> list[Any]:
    match kind:
        case "tuple_value" | "list_value":
            return list(getattr(value, kind).values)
        case "dict_value":
            return [value.dict_value.fields[key] for key in sorted(value.dict_value.fields)]
        case "named_tuple_value":
            return [pair.value for pair in value.named_tuple_value.values]
        case _:
            return []


def _order_of_arguments(library: Library, output: str) -> dict[str, int]:
    """The places of the inputs in the innermost call, which is the code that was traced.

    The signature itself is a dict, and says nothing of the order in which a model takes its inputs.
    """
    frame, text = library.main, output
    order: list[str] = []
    seen = set()
    while (id(frame), text) not in seen:
        seen.add((id(frame), text))
        name, _, rest = text.partition(":")
        node = frame.nodes.get(name)
        if node is not None and node.op == "Identity":
            text = node.input[0]
        elif node is not None and library.is_inlined(node):
            inputs = [key for key in node.input if not key.startswith("^")]
            order = [library.origin(frame, key).name for key in inputs]
            frame = library.child(frame, node)
            text = frame.results[int(rest.rpartition(":")[2] or 0)]
        else:
            break
    return {tensor: place for place, tensor in enumerate(order)}


def _rank(name: str) -> int:
    return int(name.rpartition("_")[2])


def _tensor_name(name: str) -> str:
    return name if ":" in name else f"{name}:0"


def _shape(shape: Any) -> tuple[int | None, ...] | None:
    if shape.unknown_rank:
        return None
    return tuple(None if dim.size < 0 else dim.size for dim in shape.dim)


def _dtype(number: int) -> str:
    return str(tf.dtypes.as_dtype(number).name)
