"""Makes the lookup tables that a graph reads, and fills them as its own initialiser would."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from gradcam.errors import ModelError
from gradcam.files import trouble
from gradcam.loading.saved_models import effects

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tensorflow.core.protobuf import meta_graph_pb2

    from gradcam.loading.saved_models.functions import Library, Made

IMPORTS = frozenset(
    {"LookupTableImportV2", "InitializeTableV2", "LookupTableImport", "InitializeTable"}
)
FROM_FILE = frozenset({"InitializeTableFromTextFileV2", "InitializeTableFromTextFile"})


def _create(made: Made) -> tf.Tensor:
    """An empty table, which lives as long as its handle."""
    kind = "Mutable" if made.node.op.startswith("Mutable") else ""
    create = getattr(tf.raw_ops, f"Anonymous{kind}HashTable")
    types = {name: made.node.attr[name].type for name in ("key_dtype", "value_dtype")}
    return create(**{name: tf.dtypes.as_dtype(number) for name, number in types.items()})


def load(
    folder: Path,
    library: Library,
    meta_graph: meta_graph_pb2.MetaGraphDef,
    wanted: Mapping[str, Made],
) -> dict[str, tf.Tensor]:
    """The tables of a graph, filled."""
    tables = {name: _create(made) for name, made in wanted.items()}
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
            tf.raw_ops.LookupTableImportV2(table_handle=table, keys=keys, values=values)
    return tables


def _fill_from_file(table: tf.Tensor, node: Any, filename: tf.Tensor | None, folder: Path) -> None:
    attributes = node.attr
    try:
        tf.raw_ops.InitializeTableFromTextFileV2(
            table_handle=table,
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

    TensorFlow 2 passes each name on in a variable. A file behind a link, or outside of the directory
    assets, is none that was brought along.
    """
    place = folder.resolve() / "assets"
    files = {}
    for asset in meta_graph.asset_file_def:
        file = place / asset.filename
        if os.path.realpath(file) == os.fspath(file) and not trouble(file):
            files[asset.tensor_info.name] = tf.constant(os.fspath(file))
    for node in library.main.nodes.values():
        if files and node.op == "AssignVariableOp":
            name = library.through_identities(library.main, node.input[1]).name
            if name in files:
                variable = library.through_identities(library.main, node.input[0]).name
                files[variable] = files[name]
    return files
