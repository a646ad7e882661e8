"""Why an operation may not be part of a program, by its name and by what its attributes ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tensorflow.core.framework import types_pb2

from gradcam.errors import ModelError
from gradcam.loading.saved_models import allowed
from gradcam.messages.wording import listing
from gradcam.trace import private_tensorflow

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from tensorflow.core.framework import graph_pb2

# Where words may be printed; all else is a file.
_SCREEN = {b"", b"stderr", b"stdout", b"log(info)", b"log(warning)", b"log(error)"}
# As a constant these would name something of this process, or unpack a program.
_HANDLES = {types_pb2.DT_RESOURCE, types_pb2.DT_VARIANT}
_LONGEST_NAME = 100


def check_graph(path: str, graph_def: graph_pb2.GraphDef) -> None:
    """Raise `ModelError` unless a graph and its functions only compute."""
    functions = {function.signature.name for function in graph_def.library.function}
    nodes = [*graph_def.node]
    for function in graph_def.library.function:
        nodes.extend(function.node_def)
    refuse(path, [described(node) for node in nodes if of(node, functions)])


def refuse(path: str, found: list[str]) -> None:
    """Raise `ModelError` with what a program does beyond computing, if anything."""
    if found:
        listed = listing(sorted(set(found)), limit=12)
        raise ModelError("saved-model-unsafe", path=path, found=listed)


def described(node: Any, function: str = "") -> str:
    """An operation that is refused, in words: what it is about, its name, its place."""
    about = allowed.about(node.op)
    place = f" in the function {_short(function)}" if function else ""
    return f"{node.op} ({about + ': ' if about else ''}'{_short(node.name)}'{place})"


def of(node: Any, functions: Container[str]) -> bool:
    """Whether there is an objection to an operation; `functions` are those of its program.

    A name that TensorFlow doesn't know can't be run, and is told of elsewhere.
    """
    if node.op not in allowed.ALLOWED:
        return is_known(node.op)
    match node.op:
        case "PrintV2":
            return node.attr["output_stream"].s not in _SCREEN
        case "DecodeProtoV2" | "EncodeProto":
            source = node.attr["descriptor_source"].s
            return bool(source) and not source.startswith((b"local://", b"bytes://"))
        case "Const":
            return node.attr["dtype"].type in _HANDLES
        case "ParseTensor":
            return node.attr["out_type"].type in _HANDLES
    return any(name not in functions for name in named_functions(node))


def is_known(operation: str) -> bool:
    """Whether this TensorFlow has an operation of that name."""
    return private_tensorflow.operation_definition(operation) is not None


def named_functions(node: Any) -> Iterator[str]:
    """The functions that the attributes of an operation name: the called one, branches, bodies."""
    for attr in node.attr.values():
        kind = attr.WhichOneof("value")
        if kind == "func":
            yield attr.func.name
        elif kind == "list":
            yield from (function.name for function in attr.list.func)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..."
