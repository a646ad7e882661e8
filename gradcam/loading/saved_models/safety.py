"""What a program may not do unless it is trusted: touch files, run Python, end the process.

The whole program is looked at before any of it runs: the main graph and every function, whether a
signature uses it or not. Only the saver's own functions may read and write checkpoints; they are
never run here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from gradcam.errors import ModelError
from gradcam.loading.saved_models import effects, tables
from gradcam.loading.saved_models.functions import functions_of
from gradcam.loading.saved_models.tables import FROM_FILE
from gradcam.messages.findings import listing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tensorflow.core.protobuf import meta_graph_pb2

    from gradcam.loading.saved_models.functions import Library

# Newer versions of an operation end in V2 and so on, older ones begin with Experimental.
DANGEROUS = re.compile(
    r"(Experimental)?("
    r"ReadFile|WriteFile|MatchingFiles|ImmutableConst|Abort|RemoteCall|FileSystemSetConfiguration"
    r"|PyFunc|PyFuncStateless|EagerPyFunc|GeneratorDataset|LoadAndRemapMatrix"
    r"|GenerateVocabRemapping|TextLineReader|FixedLengthRecordReader|TFRecordReader|LMDBReader"
    r"|WholeFileReader|BigQueryReader|TFRecordDataset|TextLineDataset|FixedLengthRecordDataset"
    r"|CSVDataset|SqlDataset|LMDBDataset|MatchingFilesDataset|CacheDataset|SnapshotDataset"
    r"|SnapshotDatasetReader|SnapshotChunkDataset|SaveDataset|LoadDataset|DatasetToTFRecord"
    r"|DistributedSave|DataServiceDataset|RegisterDataset|RpcCall|RpcServer.*|TryRpc|Rpc"
    r"|CreateSummaryFileWriter|CreateSummaryDbWriter|Write\w*Summary|ImportEvent|SummaryWriter"
    r"|DebugIdentity|DebugNanCount|DebugNumericSummary|Dump\w*|ConfigureDistributedTPU"
    r")(V\d+)?"
)
CHECKPOINT = re.compile(
    r"(Save|SaveSlices|Restore|RestoreSlice|MergeV2Checkpoints|ShardedFilespec)(V\d+)?"
)


def check(path: Path, library: Library, meta_graph: meta_graph_pb2.MetaGraphDef) -> None:
    """Raise `ModelError` with the list of what a program does beyond computing, if anything."""
    found = sorted(set(_found(path, library, meta_graph)))
    if found:
        raise ModelError("saved-model-unsafe", path=str(path), found=listing(found, limit=12))


def _found(path: Path, library: Library, meta_graph: meta_graph_pb2.MetaGraphDef) -> Iterator[str]:
    served = _served(library, meta_graph)
    reached = {node.name for _, node in effects.operations(library, _roots(meta_graph))}
    for node in library.main.nodes.values():
        if _is_dangerous(node, checkpoints=node.name in reached):
            yield f"{node.op} ('{node.name}')"
    for name, function in library.functions.items():
        for node in function.node_def:
            if _is_dangerous(node, checkpoints=name in served):
                yield f"{node.op} ('{node.name}' in the function {name})"
    yield from _foreign_vocabularies(path, library, meta_graph)


def _is_dangerous(node: Any, *, checkpoints: bool) -> bool:
    if DANGEROUS.fullmatch(node.op):
        return True
    if node.op == "PrintV2":
        return node.attr["output_stream"].s.startswith(b"file:")
    if node.op.startswith(("DecodeProto", "EncodeProto")):
        source = node.attr["descriptor_source"].s
        return bool(source) and not source.startswith((b"local://", b"bytes://"))
    return checkpoints and bool(CHECKPOINT.fullmatch(node.op))


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


def _foreign_vocabularies(
    path: Path, library: Library, meta_graph: meta_graph_pb2.MetaGraphDef
) -> Iterator[str]:
    """Tables that are filled from a file, unless it is one that the SavedModel brings along."""
    own = tables.own_files(path, library, meta_graph)
    checked: set[int] = set()
    for frame, node in effects.operations(library, effects.initialisers(meta_graph)):
        if node.op in FROM_FILE:
            made = library.through_identities(frame, node.input[1])
            checked.add(id(node))
            if made.name not in own:
                yield f"{node.op} ('{node.name}')"
    for nodes in (library.main.nodes.values(), *(f.node_def for f in library.functions.values())):
        for node in nodes:
            if node.op in FROM_FILE and id(node) not in checked:
                yield f"{node.op} ('{node.name}')"
