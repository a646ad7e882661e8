"""Names the layers of a graph as the code that made it did.

Tracing adds a number to a scope whose name was used before: Keras 3 enters each layer twice, so
`conv1` is traced as `conv1_1`. The variables of a layer keep its real name, so they tell whether
the numbers of a graph are tracing's or the user's own.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from gradcam.loading.saved_models.scopes import names_of, owner_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradcam.loading.saved_models.scopes import Group


class Names:
    """The names of the layers below a root."""

    def __init__(self, root: Group) -> None:
        self._evidence = {group: name for group in _all(root) if (name := _owner(group))}
        votes = Counter(
            "numbered" if group.scope[-1] != name else "plain"
            for group, name in self._evidence.items()
        )
        self._is_numbered = votes["numbered"] > votes["plain"]

    def name(self, group: Group) -> str:
        """The name of a layer without what tracing added to it."""
        traced = group.scope[-1]
        if not group.is_layer:
            return traced.lower() if self._is_numbered else traced  # an operation of Keras 3
        if group in self._evidence:
            return self._evidence[group]
        return min(names_of(traced), key=len) if self._is_numbered else traced


def paths(root: Group, names: Names) -> dict[Group, str]:
    """Where each layer sits below the root; calls that share a name are numbered."""
    found = {root: ""}
    waiting = [root]
    while waiting:
        parent = waiting.pop()
        same: dict[str, list[Group]] = defaultdict(list)
        for child in parent.children:
            same[names.name(child)].append(child)
        for name, children in same.items():
            for number, child in enumerate(children):
                end = f"{name}[{number}]" if len(children) > 1 else name
                found[child] = f"{found[parent]}/{end}".lstrip("/")
        waiting.extend(parent.children)
    return found


def model_scope(root: Group) -> Group | None:
    """The one scope that holds all layers, which is the model itself."""
    children = [child for child in root.children if child.is_layer]
    others = [child for child in root.children if not child.is_layer]
    return children[0] if len(children) == 1 and not others and children[0].children else None


def _owner(group: Group) -> str | None:
    """The name of a layer by its own variables, where it agrees with its scope."""
    if not group.is_layer or not group.scope:
        return None
    known = names_of(group.scope[-1])
    inner = {member for child in group.children if child.is_layer for member in child.members}
    owners = {
        owner_of(weight)
        for member in group.members
        if member not in inner
        for weight in member.weights
    }
    return next(iter(owners & known)) if len(owners & known) == 1 else None


def _all(root: Group) -> Iterator[Group]:
    waiting = [root]
    while waiting:
        group = waiting.pop()
        yield group
        waiting.extend(group.children)
