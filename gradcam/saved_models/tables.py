"""Makes the lookup tables that a graph reads, and fills them as its own initialiser would."""

from __future__ import annotations

import os
import secrets
import weakref
from typing import TYPE_CHECKING

import tensorflow as tf
from tensorflow.core.framework import graph_pb2

from gradcam.saved_models import effects

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

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
    files = assets(folder, meta_graph)
    if not tables:
        return {}
    for frame, node in effects.operations(library, effects.initialisers(meta_graph)):
        if node.op not in IMPORTS | FROM_FILE:
            continue
        name = library.through_identities(frame, node.input[0]).name
        table = tables.get(name)
        if table is None:
            continue
        rest = [library.origin(frame, text) for text in node.input[1:] if text[0] != "^"]
        values = effects.evaluate(library, rest, files)
        if node.op in FROM_FILE:
            options = {key: node.attr[key].i for key in ("key_index", "value_index", "vocab_size")}
            tf.raw_ops.InitializeTableFromTextFileV2(
                table_handle=table.handle,
                filename=values[0],
                delimiter=node.attr["delimiter"].s,
                **options,
            )
        else:
            tf.raw_ops.LookupTableImportV2(
                table_handle=table.handle, keys=values[0], values=values[1]
            )
    return tables


def assets(folder: Path, meta_graph: meta_graph_pb2.MetaGraphDef) -> dict[str, tf.Tensor]:
    """The files that a SavedModel brings along, by the tensor that names them in the program."""
    return {
        asset.tensor_info.name: tf.constant(os.fspath(folder / "assets" / asset.filename))
        for asset in meta_graph.asset_file_def
    }


def _destroy(handle: tf.Tensor) -> None:
    tf.raw_ops.DestroyResourceOp(resource=handle, ignore_lookup_error=True)
