"""Opens a SavedModel: reads its program, checks what it does, and brings its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from gradcam.errors import ModelError
from gradcam.loading.saved_models import (
    flattening,
    kinds,
    layers,
    operations,
    reading,
    safety,
    signatures,
    sizes,
    tables,
    variables,
)
from gradcam.loading.saved_models.functions import Library
from gradcam.loading.saved_models.source import SavedModelSource
from gradcam.messages.wording import listing
from gradcam.trace import private_tensorflow
from gradcam.trace.sources import InputSpec

if TYPE_CHECKING:
    from pathlib import Path

    from tensorflow.core.protobuf import meta_graph_pb2

    from gradcam.loading.saved_models.flattening import FlatGraph
    from gradcam.loading.saved_models.operations import Operation
    from gradcam.loading.saved_models.signatures import Port, Signature


# What comes of a program whose parts don't fit, which its writer would never have made.
_BROKEN = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
    tf.errors.OpError,
)


class SavedModel:
    """A SavedModel that `explain`, `layers` and the rest take like a Keras model.

    Attributes:
        name: the name of its directory.
        signature: the signature that is explained.
        inputs: what it takes: specs with a name, a shape and a type.
        outputs: what it returns, in the same way.
    """

    def __init__(self, source: SavedModelSource, signature: str, outputs: list[InputSpec]) -> None:
        self._source = source
        self.name = source.name
        self.signature = signature
        self.inputs = source.specs()
        self.outputs = outputs

    def as_source(self) -> SavedModelSource:
        """What `gradcam.trace.sources.open_source` takes."""
        return self._source

    def __repr__(self) -> str:
        inputs = ", ".join(f"{spec.name} {_written(spec.shape)}" for spec in self.inputs)
        outputs = ", ".join(f"{spec.name} {_written(spec.shape)}" for spec in self.outputs)
        return f"<SavedModel '{self.name}', {self.signature}: {inputs} -> {outputs}>"


def open_saved_model(
    path: Path, *, safe_mode: bool = True, signature: str | None = None
) -> SavedModel:
    """Open the directory of a SavedModel.

    Args:
        path: the directory.
        safe_mode: refuse a program that touches files or runs Python.
        signature: the signature to explain, by default the one that serves.

    Raises:
        ModelError: says what was found at the path, and what to do.
    """
    meta_graph = reading.read(path)
    try:
        return _opened(path, meta_graph, safe_mode, signature)
    except ModelError:
        raise
    except _BROKEN as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise ModelError("saved-model-broken", path=str(path), reason=reason) from error


def _opened(
    path: Path, meta_graph: meta_graph_pb2.MetaGraphDef, safe_mode: bool, signature: str | None
) -> SavedModel:
    library = Library(meta_graph, str(path), safe_mode)
    sizes.check(library)
    if safe_mode:
        safety.check(path, library, meta_graph)
    chosen = signatures.choose(meta_graph, library, signature, str(path))
    flat = flattening.flatten(library, chosen.made, [port.tensor for port in chosen.inputs])
    _check_operations(path, flat)
    if flat.missing:
        raise ModelError(
            "saved-model-unfed",
            path=str(path),
            signature=chosen.name,
            names=listing([name.rpartition(":")[0] for name in flat.missing]),
        )
    names, values = _values(path, library, meta_graph, chosen, flat)
    every = operations.read(
        flat.graph_def,
        [port.tensor for port in chosen.inputs],
        names,
        arrays=[name for name in chosen.bound if _is_array(values.get(name))],
    )
    ports = [port for port in chosen.inputs if not _is_switch(port)]
    specs = [InputSpec(port.name, _shape(port, every), port.dtype) for port in ports]
    plan = layers.plan(
        every,
        [port.tensor for port in chosen.outputs],
        flat.graph_def.library.function,
        has_model_scope=bool(meta_graph.object_graph_def.nodes),
        references=frozenset(
            name for name, made in flat.captured.items() if made.node.op.startswith("Variable")
        ),
    )
    source = SavedModelSource(path.resolve().name, specs, chosen, flat, values, plan)
    outputs = [InputSpec(port.name, port.shape or (), port.dtype) for port in chosen.outputs]
    return SavedModel(source, chosen.name, outputs)


def _check_operations(path: Path, flat: FlatGraph) -> None:
    """Raise for operations that can't be run or explained here, by their names."""
    nodes = [
        *flat.graph_def.node,
        *(node for function in flat.graph_def.library.function for node in function.node_def),
    ]
    used = {node.op for node in nodes}
    defined = {function.signature.name for function in flat.graph_def.library.function}
    opaque = sorted(f"{name}, {kinds.OPAQUE[name]}" for name in used & set(kinds.OPAQUE))
    if opaque:
        raise ModelError("saved-model-opaque", path=str(path), found=listing(opaque))
    unknown = sorted(
        name for name in used - defined if private_tensorflow.operation_definition(name) is None
    )
    if unknown:
        raise ModelError("saved-model-unknown-operations", path=str(path), names=listing(unknown))
    quantised = sorted(name for name in used if kinds.QUANTISED.fullmatch(name))
    if quantised:
        raise ModelError("saved-model-quantised", path=str(path), names=listing(quantised))


def _values(
    path: Path,
    library: Library,
    meta_graph: meta_graph_pb2.MetaGraphDef,
    chosen: Signature,
    flat: FlatGraph,
) -> tuple[dict[str, str], dict[str, Any]]:
    """The names of the weights, and the values of all that the graph begins with."""
    in_graph = {
        name: made for name, made in flat.captured.items() if made.node.op in flattening.VARIABLES
    }
    wanted_tables = {name: made for name, made in flat.captured.items() if name not in in_graph}
    values: dict[str, Any] = dict(flat.constants)
    values |= tables.load(path, library, meta_graph, wanted_tables)
    if in_graph:
        entries = variables.restored_by_graph(library, meta_graph)
        values |= variables.load(path, library, in_graph, entries)
    names = {name: made.node.name for name, made in in_graph.items()}
    bound = {name: number for name, number in chosen.bound.items() if name in flat.outside}
    if bound:
        bound_names, bound_values = _bound(path, library, meta_graph, bound)
        names |= bound_names
        values |= bound_values
    names |= {name: name.rpartition(":")[0] for name in flat.constants}
    return names, values


def _bound(
    path: Path,
    library: Library,
    meta_graph: meta_graph_pb2.MetaGraphDef,
    bound: dict[str, int],
) -> tuple[dict[str, str], dict[str, Any]]:
    """What a function of a module without signatures is given."""
    objects = meta_graph.object_graph_def.nodes
    numbers = {
        name: number for name, number in bound.items() if objects[number].HasField("variable")
    }
    values: dict[str, Any] = {}
    for name, number in bound.items():
        saved = objects[number]
        if saved.HasField("constant"):
            node = library.main.nodes[saved.constant.operation]
            values[name] = tf.constant(tf.make_ndarray(node.attr["value"].tensor))
        elif name not in numbers:
            kind = saved.WhichOneof("kind") or "object"
            raise ModelError("saved-model-bound", path=str(path), kind=kind)
    if numbers:
        entries = variables.restored_by_objects(path, meta_graph, numbers.values())
        values |= variables.load_bound(path, numbers, entries)
    return {name: objects[number].variable.name for name, number in numbers.items()}, values


def _is_array(value: Any) -> bool:
    """Whether a captured constant is an array of floats, as weights are."""
    return isinstance(value, tf.Tensor) and value.dtype.is_floating and value.shape.rank > 0


def _is_switch(port: Port) -> bool:
    """Whether an input is the switch between training and inference of a graph of TensorFlow 1."""
    return port.dtype == "bool" and port.shape == ()


def _shape(port: Port, every: list[Operation]) -> tuple[int | None, ...]:
    """The shape of an input; where not even its rank is known, that of what it goes into."""
    if port.shape is not None:
        return port.shape
    waiting = [operation for operation in every if port.tensor in operation.inputs]
    for operation in waiting:  # it grows
        if "3D" in operation.kind:
            return (None,) * 5
        if operation.kind == "MatMul":
            return (None, None)
        if kinds.CONTRACTIONS.fullmatch(operation.kind):
            break
        if len(waiting) < 1000:
            waiting.extend(user for user, _ in operation.users)
    return (None,) * 4


def _written(shape: tuple[int | None, ...]) -> str:
    return "x".join("?" if size is None else str(size) for size in shape)
