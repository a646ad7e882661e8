"""The layers of a flat graph as calls, as if they had been seen being made."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from gradcam.loading.saved_models import kinds, naming, scopes
from gradcam.loading.saved_models.functions import functions_of
from gradcam.trace.recording import Call

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gradcam.loading.saved_models.operations import Operation
    from gradcam.loading.saved_models.scopes import Group

_LOOP = "a loop (`while`, `map_fn`, a recurrent layer or TimeDistributed)"
_BRANCH = "a conditional (`cond` or `switch`)"


@dataclass(frozen=True, eq=False)
class Hidden:
    """A layer inside a loop or a conditional."""

    path: str
    kind: str
    inside: str


@dataclass(frozen=True, eq=False)
class Layer:
    """One call of a layer, before the graph is imported.

    Attributes:
        group: its operations.
        name: its name.
        path: its path below the model.
        exits: the tensors that leave it, by operation and number.
        data_format: where its channels are, None where nothing says.
        has_weights: whether it uses weights that no layer in it uses.
        role: `"attention"`, `"preparation"`, or `""`.
        hidden: the layers in loops and conditionals of its own.
    """

    group: Group
    name: str
    path: str
    exits: list[tuple[Operation, int]]
    data_format: str | None
    has_weights: bool
    role: str = ""
    hidden: list[Hidden] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class LayerPlan:
    """The layers of a graph.

    Attributes:
        root: the whole graph, or the scope of the model in it.
        layers: every call, each after the one that it is part of.
        references: the variables of TensorFlow 1 that are read as values.
    """

    root: Group
    layers: list[Layer]
    references: frozenset[str] = frozenset()


def plan(
    operations: list[Operation],
    fetches: Iterable[str],
    bodies: Any,
    *,
    has_model_scope: bool,
    references: frozenset[str] = frozenset(),
) -> LayerPlan:
    """Find the layers of a graph.

    Args:
        operations: the operations of the graph.
        fetches: the tensors that it returns.
        bodies: the functions of loops and conditionals.
        has_model_scope: whether a scope that holds everything is the model, not a part of it.
        references: the variables of TensorFlow 1 that are read as values.
    """
    root = scopes.grouped(operations)
    names = naming.Names(root)
    model = naming.model_scope(root) if has_model_scope else None
    root = model or root
    root.parent = None
    paths = naming.paths(root, names)
    wanted: dict[str, set[int]] = defaultdict(set)
    for fetch in fetches:
        operation, _, index = fetch.rpartition(":")
        wanted[operation].add(int(index))
    functions = {function.signature.name: function for function in bodies}
    layouts: dict[Operation, str] = {}
    found = [
        _layer(group, names.name(group), paths[group], wanted, functions, layouts)
        for group in _ordered(root)
        if group is not root
    ]
    return LayerPlan(root, found, references)


def calls(
    plan: LayerPlan, graph: tf.Graph, prefix: str, name: str
) -> tuple[list[Call], dict[tf.Operation, Call]]:
    """The calls of the layers in the graph that they were imported into, and who made what."""
    first = Call(name, "SavedModel", ("SavedModel",), None)
    made: dict[Any, Call] = {plan.root: first}
    found = [first]
    makers: dict[tf.Operation, Call] = {}
    for layer in plan.layers:
        outputs = _tensors(layer, graph, prefix)
        if not outputs and not layer.hidden and not layer.group.children:
            continue
        parent = made[layer.group.parent]
        kind, families = _kind(layer, outputs)
        call = Call(
            layer.name,
            kind,
            families,
            parent,
            outputs=outputs,
            path=layer.path,
            data_format=layer.data_format,
            has_weights=layer.has_weights,
        )
        parent.children.append(call)
        made[layer.group] = call
        found.append(call)
        for member in layer.group.members:
            makers[graph.get_operation_by_name(prefix + member.name)] = call
        found.extend(_hidden_calls(layer, call))
    return found, makers


def _ordered(root: Group) -> Iterator[Group]:
    """A group, then what is in it, in the order of the trace."""
    waiting = [root]
    while waiting:
        group = waiting.pop()
        yield group
        waiting.extend(reversed(group.children))


def _layer(
    group: Group,
    name: str,
    path: str,
    wanted: dict[str, set[int]],
    functions: dict[str, Any],
    layouts: dict[Operation, str],
) -> Layer:
    """Describe a layer; `layouts` remembers where the channels of each operation are."""
    inner = {member for child in group.children for member in child.members}
    own = [member for member in group.members if member not in inner]
    return Layer(
        group,
        name,
        path,
        _exits(group, wanted),
        _layout(own, layouts),
        any(member.weights for member in own),
        _role(group),
        list(_hidden(own, path, functions)),
    )


def _exits(group: Group, wanted: dict[str, set[int]]) -> list[tuple[Operation, int]]:
    """The tensors of a group that something else uses, or that the graph returns."""
    members = set(group.members)
    exits: dict[tuple[Operation, int], None] = {}
    for member in group.members:
        for user, index in member.users:
            if user.live and user not in members:
                exits[member, index] = None
    for member in group.members:
        for index in wanted.get(member.name, ()):
            exits[member, index] = None
    return list(exits)


def _tensors(layer: Layer, graph: tf.Graph, prefix: str) -> tuple[tf.Tensor, ...]:
    """What leaves a layer; sizes, which are integers, only where nothing else does."""
    tensors = [
        graph.get_operation_by_name(prefix + operation.name).outputs[index]
        for operation, index in layer.exits
    ]
    floating = tuple(tensor for tensor in tensors if tensor.dtype.is_floating)
    return floating or tuple(
        tensor
        for tensor in tensors
        if tensor.dtype not in {tf.resource, tf.variant}
        and not kinds.is_shape_arithmetic(layer.group.operations)
    )


def _kind(layer: Layer, outputs: tuple[tf.Tensor, ...]) -> tuple[str, tuple[str, ...]]:
    """The class that Keras would have for a layer, and its families."""
    rank = outputs[0].shape.rank if outputs else None
    axes = 2 if rank is None or rank < 3 else rank - 2
    inner = {member for child in layer.group.children for member in child.members}
    own = [member.kind for member in layer.group.members if member not in inner]
    kind = kinds.of_operations(own, axes)
    if kind == "Reshape" and rank == 2:
        kind = "Flatten"
    if layer.has_weights and kinds.is_normalisation(own):
        kind = "BatchNormalization"
    if layer.group.children:
        kind = "Model"
    if layer.role:
        kind = layer.role if layer.role != "Preparation" else _preparation(layer)
    return kind, (kind, "Layer")


def _preparation(layer: Layer) -> str:
    if any(member.kind.startswith("Resize") for member in layer.group.members):
        return "Resizing"
    return "Normalization" if layer.has_weights else "Rescaling"


def _role(group: Group) -> str:
    """What a layer is for, where its operations tell more than each by itself."""
    members = group.members
    operations = group.operations
    if group.parent is not None and kinds.is_attention(
        operations, sum(member.is_product for member in members)
    ):
        return "MultiHeadAttention"
    if any(member.learned for member in members) or group.children:
        return ""
    is_image = not any(kinds.CONTRACTIONS.fullmatch(member.kind) for member in members)
    moves = {"MaxPool", "AvgPool", "Pad", "PadV2", "MirrorPad"}
    computes = is_image and not moves & set(operations) and not kinds.only_moves(operations)
    return "Preparation" if computes else ""


def _layout(own: list[Operation], layouts: dict[Operation, str]) -> str | None:
    """Where the channels are: as the operations say, or as in what they come from."""
    sources = (source for member in own for source in member.sources)
    layout = _data_format(own, next((layouts[s] for s in sources if s in layouts), None))
    if layout is not None:
        layouts.update(dict.fromkeys(own, layout))
    return layout


def _data_format(members: list[Operation], found: str | None) -> str | None:
    """Where the channels are, as the operations say; the last one that turns them decides.

    Args:
        members: the operations.
        found: where the channels are before them.
    """
    for member in members:
        if "data_format" in member.definition.attr:
            text = member.definition.attr["data_format"].s.decode()
            found = "channels_first" if text.startswith("NC") else "channels_last"
        elif kinds.CONVOLUTIONS.fullmatch(member.kind):
            found = "channels_last"  # what is left out where it is the default
        elif member.kind == "Transpose" and found:
            found = _turned(member, found)
    return found


def _turned(transpose: Operation, found: str) -> str:
    """Where the channels are behind a transposition."""
    permutation = transpose.sources[-1]
    if permutation.kind != "Const":
        return found
    order = tf.make_ndarray(permutation.definition.attr["value"].tensor).tolist()
    last = len(order) - 1
    if found == "channels_last" and order == [0, last, *range(1, last)]:
        return "channels_first"
    return "channels_last" if order == [0, *range(2, last + 1), 1] else found


def _hidden(members: list[Operation], path: str, functions: dict[str, Any]) -> Iterator[Hidden]:
    """The layers with weights in the bodies of loops and conditionals."""
    seen: set[str] = set()
    for member in members:
        inside = _LOOP if member.kind in kinds.LOOPS else _BRANCH
        if member.kind not in kinds.LOOPS | kinds.BRANCHES:
            continue
        for node in _nodes(member.definition, functions):
            if kinds.CONTRACTIONS.fullmatch(node.op):
                name = _hidden_name(node.name)
                if name not in seen:
                    seen.add(name)
                    kind = kinds.of_operations([node.op], 2)
                    yield Hidden(f"{path}/{name}".lstrip("/"), kind, inside)


def _nodes(definition: Any, functions: dict[str, Any]) -> Iterator[Any]:
    """The operations of every function that an operation names, at any depth."""
    done: set[str] = set()
    waiting = functions_of(definition)
    while waiting:
        name = waiting.pop()
        if name in functions and name not in done:
            done.add(name)
            for node in functions[name].node_def:
                yield node
                waiting.extend(functions_of(node))


def _hidden_name(name: str) -> str:
    """The name of a layer by an operation in it."""
    *parts, own = [part for part in name.split("/") if "PartitionedCall" not in part]
    return parts[-1] if parts else own


def _hidden_calls(layer: Layer, parent: Call) -> Iterator[Call]:
    for hidden in layer.hidden:
        name = hidden.path.rpartition("/")[2]
        call = Call(name, hidden.kind, (hidden.kind, "Layer"), parent, path=hidden.path)
        call.inside = hidden.inside
        parent.children.append(call)
        yield call
