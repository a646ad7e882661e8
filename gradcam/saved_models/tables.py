"""Makes the lookup tables that a graph reads, and fills them as its own initialiser would."""

from __future__ import annotations

import os
import secrets
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tensorflow as tf
from tensorflow.core.framework import graph_pb2

from gradcam.errors import ModelError
from gradcam.saved_models import effects

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tensorflow.core.protobuf import meta_graph_pb2

    from gradcam.saved_models.functions import Library, Made

IMPORTS = frozenset(
    {"LookupTableImportV2", "InitializeTableV2", "LookupTableImport", "InitializeTable"}
)
FROM_FILE = frozenset({"InitializeTableFromTextFileV2", "InitializeTableFromTextFile"})


class Table:
    """A lookup table that lives as long as this object."""

    def __init__(self, node: Made) -> None:
        graph_def = graph_pb2.GraphDef()
        copy = graph_def.node.add()
        copy.CopyFrom(node.node)
        copy.attr["shared_name"].s = f"gradcam_{secrets.token_hex(8)}".encode()
        copy.op = f"{copy.op.removesuffix('V2')}V2"

        def make() -> tf.Tensor:
            return tf.graph_util.import_graph_def(
                graph_def, return_elements=[f"{copy.name}:0"], name="table"
            )[0]

        self.handle = tf.compat.v1.wrap_function(make, [])()
        self._finalizer = weakref.finalize(self, _destroy, self.handle)


def load(
    folder: Path,
    library: Library,
    meta_graph: meta_graph_pb2.MetaGraphDef,
    wanted: Mapping[str, Made],
) -> dict[str, Table]:
    """The tables of a graph, filled."""
    tables = {name: Table(made) for name, made in wanted.items()}
    files = own_files(folder, library, meta_graph)
    if not tables:
        return {}
    for frame, node in effects.operations(library, effects.initialisers(meta_graph)):
        if node.op not in IMPORTS | FROM_FILE:
            continue
        name = library.through_identities(frame, node.input[0]).name
        table = tables.get(name)
        if table is None:
            continue
        if node.op in FROM_FILE:
            filename = library.through_identities(frame, node.input[1])
            _fill_from_file(table, node, files.get(filename.name), folder)
        else:
            rest = [library.origin(frame, text) for text in node.input[1:] if text[0] != "^"]
            keys, values = effects.evaluate(library, rest, {})
            tf.raw_ops.LookupTableImportV2(table_handle=table.handle, keys=keys, values=values)
    return tables


def _fill_from_file(table: Table, node: Any, filename: tf.Tensor | None, folder: Path) -> None:
    attributes = node.attr
    try:
        tf.raw_ops.InitializeTableFromTextFileV2(
            table_handle=table.handle,
            filename="" if filename is None else filename,
            key_index=attributes["key_index"].i,
            value_index=attributes["value_index"].i,
            vocab_size=attributes["vocab_size"].i if "vocab_size" in attributes else -1,
            delimiter=attributes["delimiter"].s if "delimiter" in attributes else "\t",
        )
    except tf.errors.OpError as error:
        name = (
            Path(filename.numpy().decode()).name if filename is not None else "no file of its own"
        )
        raise ModelError("saved-model-asset", path=str(folder), name=name) from error


def own_files(
    folder: Path, library: Library, meta_graph: meta_graph_pb2.MetaGraphDef
) -> dict[str, tf.Tensor]:
    """The files that a SavedModel brings along, by the tensors that name them in the program.

    TensorFlow 2 passes each name on in a variable.
    """
    place = (folder / "assets").resolve()
    files = {}
    for asset in meta_graph.asset_file_def:
        file = (place / asset.filename).resolve()
        if file.is_relative_to(place):
            files[asset.tensor_info.name] = tf.constant(os.fspath(file))
    for node in library.main.nodes.values():
        if files and node.op == "AssignVariableOp":
            name = library.through_identities(library.main, node.input[1]).name
            if name in files:
                variable = library.through_identities(library.main, node.input[0]).name
                files[variable] = files[name]
    return files


def _destroy(handle: tf.Tensor) -> None:
    tf.raw_ops.DestroyResourceOp(resource=handle, ignore_lookup_error=True)
