"""Brings the variables that a graph reads, and no others, from the checkpoint of a SavedModel."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from gradcam.errors import ModelError
from gradcam.files import trouble
from gradcam.loading.saved_models import effects
from gradcam.loading.saved_models.flattening import VARIABLES
from gradcam.messages.wording import listing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tensorflow.core.protobuf import meta_graph_pb2

    from gradcam.loading.saved_models.functions import Library, Made

_SHARD = re.compile(r"variables\.data-(\d+)-of-(\d+)")
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


class Entry(NamedTuple):
    """Where a value lies in the checkpoint."""

    key: str
    slice: str
    dtype: tf.DType


def restored_by_graph(
    library: Library, meta_graph: meta_graph_pb2.MetaGraphDef
) -> dict[str, Entry]:
    """What the saver of the program would read into each variable, by the variable's tensor."""
    entries: dict[str, Entry] = {}
    names: dict[int, list[tuple[str, str]]] = {}
    for frame, node in effects.operations(library, [meta_graph.saver_def.restore_op_name]):
        if node.op not in {"AssignVariableOp", "Assign"}:
            continue
        variable = library.through_identities(frame, node.input[0])
        value = library.through_identities(frame, node.input[1])
        if value.node is None or value.node.op != "RestoreV2" or variable.node is None:
            continue
        if id(value.node) not in names:
            names[id(value.node)] = _restored_names(library, value)
        key, part = names[id(value.node)][value.output]
        dtype = tf.dtypes.as_dtype(value.node.attr["dtypes"].list.type[value.output])
        entries[variable.name] = Entry(key, part, dtype)
    return entries


def _restored_names(library: Library, restore: Made) -> list[tuple[str, str]]:
    columns = []
    for text in restore.node.input[1:3]:
        constant = library.through_identities(restore.frame, text).node
        columns.append([name.decode() for name in tf.make_ndarray(constant.attr["value"].tensor)])
    return list(zip(*columns, strict=True))


def restored_by_objects(
    folder: Path, meta_graph: meta_graph_pb2.MetaGraphDef, numbers: Iterable[int]
) -> dict[int, Entry]:
    """Where the variables of a module without signatures lie, by the number of their object."""
    saved = meta_graph.object_graph_def.nodes
    content = _read(folder, [Entry(_OBJECT_GRAPH, "", tf.string)])[0].numpy()
    kept = trackable_object_graph_pb2.TrackableObjectGraph.FromString(content).nodes
    pairs, waiting = {0: 0}, [0]
    while waiting:
        number = waiting.pop()
        known = {child.local_name: child.node_id for child in kept[pairs[number]].children}
        for child in saved[number].children:
            if child.local_name in known and child.node_id not in pairs:
                pairs[child.node_id] = known[child.local_name]
                waiting.append(child.node_id)
    return {
        number: Entry(
            kept[pairs[number]].attributes[0].checkpoint_key,
            "",
            tf.dtypes.as_dtype(saved[number].variable.dtype),
        )
        for number in numbers
        if number in pairs and kept[pairs[number]].attributes
    }


def load(
    folder: Path, library: Library, wanted: Mapping[str, Made], entries: Mapping[str, Entry]
) -> dict[str, tf.Variable]:
    """The variables of a graph with their values.

    The values go into the variables as they come from the file, without a copy in between.
    """
    found = {name: entries[name] for name in wanted if name in entries}
    values = dict(zip(found, _read(folder, list(found.values())), strict=True)) if found else {}
    for name in wanted:
        if name not in values:
            values[name] = _initial(folder, library, wanted[name])
    return {
        name: tf.Variable(values[name], trainable=False, name=re.sub(r"\W", "_", name))
        for name in wanted
    }


def _initial(folder: Path, library: Library, variable: Made) -> tf.Tensor:
    """The value that a variable begins with, for one that the checkpoint leaves out."""
    for node in library.main.nodes.values():
        if node.op in {"AssignVariableOp", "Assign"}:
            target = library.through_identities(library.main, node.input[0])
            if target.name == variable.name:
                value = library.origin(library.main, node.input[1])
                if not _reads_variables(library, value):
                    return effects.evaluate(library, [value], {})[0]
    raise ModelError(
        "saved-model-no-value", path=str(folder), names=variable.node.name, found=_found(folder)
    )


def _reads_variables(library: Library, value: Made) -> bool:
    used = effects.operations(library, [value.node.name])
    return any(node.op in VARIABLES | {"Placeholder", "RestoreV2"} for _, node in used)


def _read(folder: Path, entries: list[Entry]) -> list[tf.Tensor]:
    prefix = folder / "variables" / "variables"
    _check_files(folder)
    try:
        with tf.device("CPU"):
            return list(
                tf.raw_ops.RestoreV2(
                    prefix=str(prefix),
                    tensor_names=[entry.key for entry in entries],
                    shape_and_slices=[entry.slice for entry in entries],
                    dtypes=[entry.dtype for entry in entries],
                )
            )
    except tf.errors.OpError as error:
        said = re.sub(r"\{\{.*?\}\} ?|\[Op:\w+\].*", "", error.message or type(error).__name__)
        reason = said.splitlines()[0][:300].strip().rstrip(".")
        raise ModelError(
            "saved-model-variables", path=str(folder), found=_found(folder), reason=f": {reason}"
        ) from error


def _check_files(folder: Path) -> None:
    """Raise unless the index and all shards are there."""
    names = _names(folder)
    shards = [match for name in names if (match := _SHARD.fullmatch(name))]
    count = int(shards[0][2]) if shards else 0
    expected = [
        f"variables.data-{number:05}-of-{count:05}" for number in range(min(count, 100_000))
    ]
    missing = [name for name in ("variables.index", *expected) if name not in names]
    if missing or not shards:
        are = "is" if len(missing) == 1 else "are"
        reason = f"; {listing(missing, limit=6)} {are} missing" if names and missing else ""
        raise ModelError(
            "saved-model-variables", path=str(folder), found=_found(folder), reason=reason
        )
    for name in ("variables.index", *expected):
        place = folder / "variables" / name
        reason = trouble(place) or ""
        if reason:
            raise ModelError("saved-model-unreadable", path=str(place), reason=reason)


def _names(folder: Path) -> list[str]:
    place = folder / "variables"
    try:
        return sorted(entry.name for entry in place.iterdir())
    except OSError:
        return []


def _found(folder: Path) -> str:
    sizes = [
        f"{name} ({(folder / 'variables' / name).stat().st_size} bytes)" for name in _names(folder)
    ]
    return listing(sizes, limit=8) if sizes else "nothing"


def load_bound(
    folder: Path, numbers: Mapping[str, int], entries: Mapping[int, Entry]
) -> dict[str, tf.Variable]:
    """The variables that a function is given, by the names of the tensors it takes them from."""
    missing = [name for name, number in numbers.items() if number not in entries]
    if missing:
        raise ModelError(
            "saved-model-no-value",
            path=str(folder),
            names=listing([name.rpartition(":")[0] for name in missing]),
            found=_found(folder),
        )
    unique = list(dict.fromkeys(numbers.values()))
    values = _read(folder, [entries[number] for number in unique])
    made = {
        number: tf.Variable(value, trainable=False)
        for number, value in zip(unique, values, strict=True)
    }
    return {name: made[number] for name, number in numbers.items()}
