"""Finds the layers of a graph by the scopes in which its operations were traced.

A layer's operations share a scope. So do the parts of a single operation (`convolution/...`), which
are no layers, and all calls of a shared layer, which are several. Where a scope ends up holding
separate, equal parts, each is a call of its own.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gradcam.loading.saved_models import kinds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gradcam.loading.saved_models.operations import Operation

Path = tuple[str, ...]

# Scopes that functions of TensorFlow and Keras open within a layer. None is the default name of one.
_INTERNAL = re.compile(
    r"(batchnorm|moments|normalize|l2_normalize|sufficient_statistics|convolution|resize|einsum"
    r"|Tensordot|assert\w*|ones_like|zeros_like|strided_slice|while|cond|map)(_\d+)?"
)
_NUMBERED = re.compile(r"(.+)_\d+")


@dataclass(eq=False)
class Group:
    """The operations of one call of a layer, or of one operation that is no layer.

    Attributes:
        scope: the scopes, outermost first; for an operation its own name is the last.
        members: the operations that depend on the inputs, in order.
        parent: the group around it, None for the whole graph.
        is_layer: whether it is a scope, not a single operation.
        children: the groups in it.
    """

    scope: Path
    members: list[Operation]
    parent: Group | None = None
    is_layer: bool = True
    children: list[Group] = field(default_factory=list)

    @property
    def operations(self) -> Counter[str]:
        """The types of its operations."""
        return Counter(member.kind for member in self.members)

    @property
    def first(self) -> int:
        """The place of its first operation in the trace."""
        return self.members[0].position


def grouped(operations: Iterable[Operation]) -> Group:
    """The whole graph as nested groups."""
    every = list(operations)
    live = [operation for operation in every if operation.live]
    named = {operation.parts for operation in every}
    homes = _homes(live, named)
    root = Group((), live)
    waiting = [root]
    while waiting:
        group = waiting.pop()
        group.children.extend(_children(group, homes))
        waiting.extend(child for child in group.children if child.is_layer)
    return root


def _homes(live: list[Operation], named: set[Path]) -> dict[Operation, Path]:
    """The layer's scope of each operation, with the operation's own name as the last part."""
    cut: dict[Path, Path] = {}

    def folded(scopes: Path) -> Path:
        if scopes not in cut:
            outer = folded(scopes[:-1]) if scopes else ()
            is_part = scopes in named or (bool(scopes) and bool(_INTERNAL.fullmatch(scopes[-1])))
            is_inside = len(outer) < len(scopes) - 1
            cut[scopes] = outer if scopes and (is_inside or is_part) else scopes
        return cut[scopes]

    homes = {
        operation: _named_by_weights(operation) or folded(operation.parts[:-1])
        for operation in live
    }
    owners = {homes[operation] for operation in live if operation.weights} - {()}
    below = {scope[:n] for scope in owners for n in range(1, len(scope))}
    whole = owners - below  # scopes with weights, and none further in
    for operation, home in homes.items():
        outermost = next((home[:n] for n in range(1, len(home) + 1) if home[:n] in whole), home)
        homes[operation] = (*outermost, operation.parts[len(outermost)])
    return homes


def names_of(scope: str) -> set[str]:
    """What a layer may be called that was traced in a scope: as it, or without a number at the end.

    >>> sorted(names_of("conv1_1"))
    ['conv1', 'conv1_1']
    """
    numbered = _NUMBERED.fullmatch(scope)
    return {scope, numbered[1]} if numbered else {scope}


def owner_of(weight: str) -> str | None:
    """The name of the layer that a variable belongs to, None where its name has none.

    >>> owner_of("backbone/conv1/kernel"), owner_of("Variable")
    ('conv1', None)
    """
    return weight.split("/")[-2] if "/" in weight else None


def _named_by_weights(operation: Operation) -> Path | None:
    """The innermost scope that is called as the owner of the weights that an operation uses."""
    owners = {owner_of(weight) for weight in operation.weights}
    scopes = operation.parts[:-1]
    for depth in range(len(scopes), 0, -1):
        if names_of(scopes[depth - 1]) & owners:
            return scopes[:depth]
    return None


def _children(group: Group, homes: dict[Operation, Path]) -> Iterator[Group]:
    depth = len(group.scope)
    scopes: dict[str, list[Operation]] = defaultdict(list)
    single: dict[str, list[Operation]] = defaultdict(list)
    for member in group.members:
        home = homes[member]
        (scopes if len(home) > depth + 1 else single)[home[depth]].append(member)
    if not scopes and group.parent is not None:
        return  # nothing in it but its own operations
    found = [
        Group((*group.scope, name), part, group)
        for name, members in scopes.items()
        for part in _calls(members)
    ]
    found += [
        Group((*group.scope, name), members, group, is_layer=False)
        for name, members in single.items()
        if any(member.kind not in kinds.TRIVIAL for member in members)
    ]
    yield from sorted(found, key=lambda child: child.first)


def _calls(members: list[Operation]) -> list[list[Operation]]:
    """The operations of a scope, call by call, where a shared layer was called several times.

    Such calls are separate, and equal in what they do. Anything else is one call.
    """
    parts: dict[Operation, Operation] = {member: member for member in members}

    def top(member: Operation) -> Operation:
        while parts[member] is not member:
            parts[member] = parts[parts[member]]
            member = parts[member]
        return member

    for member in members:
        for source in member.sources:
            if source in parts:
                parts[top(member)] = top(source)
    found: dict[Operation, list[Operation]] = defaultdict(list)
    for member in members:
        found[top(member)].append(member)
    useful = [part for part in found.values() if any(m.kind not in kinds.TRIVIAL for m in part)]
    contents = [Counter(member.kind for member in part) for part in useful]
    is_shared = len(useful) > 1 and all(content == contents[0] for content in contents)
    return useful if is_shared else [members]
