"""Walks what an operation of a program does on the side, and runs small parts of a program once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from gradcam.loading.saved_models.flattening import flatten
from gradcam.loading.saved_models.gradients import import_graph

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tensorflow.core.protobuf import meta_graph_pb2

    from gradcam.loading.saved_models.functions import FunctionUse, Library, Made

_INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op", "saved_model_init_op")


def operations(library: Library, roots: Iterable[str]) -> Iterator[tuple[FunctionUse, Any]]:
    """Every operation that runs with some of the main graph: what they use, wait for and call."""
    seen: set[str] = set()
    waiting = [name.lstrip("^").partition(":")[0] for name in roots]
    while waiting:
        name = waiting.pop()
        node = library.main.nodes.get(name)
        if name in seen or node is None:
            continue
        seen.add(name)
        yield library.main, node
        waiting.extend(text.lstrip("^").partition(":")[0] for text in node.input)
        if library.called(node):
            yield from _inside(library, library.child(library.main, node))


def _inside(library: Library, frame: FunctionUse) -> Iterator[tuple[FunctionUse, Any]]:
    waiting = [frame]
    while waiting:
        frame = waiting.pop()
        for node in frame.nodes.values():
            yield frame, node
            if library.called(node):
                waiting.append(library.child(frame, node))


def initialisers(meta_graph: meta_graph_pb2.MetaGraphDef) -> list[str]:
    """The operations of the main graph that have to run once before it serves."""
    names = [
        name
        for collection in _INIT_COLLECTIONS
        if collection in meta_graph.collection_def
        for name in meta_graph.collection_def[collection].node_list.value
    ]
    signature = meta_graph.signature_def.get("__saved_model_init_op")
    if signature is not None:
        names.extend(info.name for info in signature.outputs.values())
    return names


def evaluate(library: Library, made: list[Made], fed: Mapping[str, tf.Tensor]) -> list[tf.Tensor]:
    """The values of some tensors that depend on nothing but constants and what is fed."""
    flat = flatten(library, made, fed)
    known = dict(fed) | flat.constants

    def run() -> list[tf.Tensor]:
        captured = {name: tf.identity(tensor) for name, tensor in known.items()}
        inside = [tensor.name for tensor in made if tensor.name not in known]
        imported = import_graph(flat.graph_def, captured, inside, name="value")
        results = dict(zip(inside, imported, strict=True)) | captured
        return [results[tensor.name] for tensor in made]

    return tf.compat.v1.wrap_function(run, [])()
