"""What a program may do unless it is trusted: compute, and nothing else.

The whole program is looked at before any of it runs: the main graph and every function, whether a
signature uses it or not. Only the saver's own functions may read and write checkpoints, and only an
initialiser may fill a table from a file that the SavedModel brings along; neither is ever run here.
What does run is made into a flat graph first, which is looked at again, without exceptions.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gradcam.errors import ModelError
from gradcam.loading.saved_models import effects, kinds, objections, tables
from gradcam.loading.saved_models.functions import functions_of
from gradcam.loading.saved_models.tables import FROM_FILE
from gradcam.messages.wording import listing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from tensorflow.core.protobuf import meta_graph_pb2

    from gradcam.loading.saved_models.functions import Library

_CHECKPOINT = re.compile(r"(Save|Restore)(V2|Slices?)?|MergeV2Checkpoints|ShardedFilespec")


def check(path: Path, library: Library, meta_graph: meta_graph_pb2.MetaGraphDef) -> None:
    """Raise `ModelError` with the list of what a program does beyond computing, if anything."""
    found = list(_refused(path, library, meta_graph))
    opaque = sorted(
        {f"{node.op}, {kinds.OPAQUE[node.op]}" for node, _ in found if node.op in kinds.OPAQUE}
    )
    if opaque:
        raise ModelError("saved-model-opaque", path=str(path), found=listing(opaque))
    objections.refuse(str(path), [objections.described(*refused) for refused in found])


def _refused(
    path: Path, library: Library, meta_graph: meta_graph_pb2.MetaGraphDef
) -> Iterator[tuple[Any, str]]:
    """The operations that are refused, each with the name of its function."""
    served = _served(library, meta_graph)
    reached = {node.name for _, node in effects.operations(library, _roots(meta_graph))}
    own = _from_own_files(path, library, meta_graph)
    for node in library.main.nodes.values():
        if _is_refused(node, library, saves=node.name not in reached, own=own):
            yield node, ""
    for name, function in library.functions.items():
        for node in function.node_def:
            if _is_refused(node, library, saves=name not in served, own=own):
                yield node, name


def _is_refused(node: Any, library: Library, *, saves: bool, own: set[int]) -> bool:
    if node.op in library.functions and not objections.is_known(node.op):
        return False
    if id(node) in own or (saves and _CHECKPOINT.fullmatch(node.op)):
        return False
    return objections.of(node, library.functions)


def _roots(meta_graph: meta_graph_pb2.MetaGraphDef) -> list[str]:
    """Everything of the main graph that serving runs."""
    outputs = [
        info.name
        for signature in meta_graph.signature_def.values()
        for info in signature.outputs.values()
    ]
    return [*outputs, *effects.initialisers(meta_graph)]


def _served(library: Library, meta_graph: meta_graph_pb2.MetaGraphDef) -> set[str]:
    """The functions that something other than the saver can run."""
    direct = list(meta_graph.object_graph_def.concrete_functions)
    for _, node in effects.operations(library, _roots(meta_graph)):
        direct.extend(functions_of(node))
    return set(library.closure(direct))


def _from_own_files(
    path: Path, library: Library, meta_graph: meta_graph_pb2.MetaGraphDef
) -> set[int]:
    """The operations that fill a table from a file that the SavedModel brings along."""
    files = tables.own_files(path, library, meta_graph)
    return {
        id(node)
        for frame, node in effects.operations(library, effects.initialisers(meta_graph))
        if node.op in FROM_FILE and library.through_identities(frame, node.input[1]).name in files
    }
