"""Evidence by its name, as methods name it in their parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import tensorflow as tf

    from gradcam.cam.methods import Method
    from gradcam.cam.run import Run, Tapped


@dataclass(frozen=True)
class Evidence:
    """One kind of evidence.

    Attributes:
        name: what methods call it.
        gather: from a tapped layer and its run to a tensor, or to one for each explained class.
        of_class: whether it differs from class to class.
    """

    name: str
    gather: Callable[[Tapped, Run], Any]
    of_class: bool


EVIDENCE: dict[str, Evidence] = {}


def evidence(
    *, of_class: bool
) -> Callable[[Callable[[Tapped, Run], Any]], Callable[[Tapped, Run], Any]]:
    """Register a function under its name."""

    def register(function: Callable[[Tapped, Run], Any]) -> Callable[[Tapped, Run], Any]:
        name = function.__name__
        EVIDENCE[name] = Evidence(name, function, of_class)
        return function

    return register


def check(method: Method) -> None:
    """Raise `TypeError` for a method that asks for evidence of which there is none."""
    unknown = sorted(set(method.evidence) - set(EVIDENCE))
    if unknown:
        raise TypeError(f"{method.name} asks for {unknown}; known evidence: {sorted(EVIDENCE)}")


def gathered(names: Iterable[str], tapped: Tapped, run: Run) -> list[dict[str, tf.Tensor]]:
    """The evidence of these names, for each explained class."""
    kinds = [EVIDENCE[name] for name in dict.fromkeys(names)]
    found = {kind.name: kind.gather(tapped, run) for kind in kinds}
    return [
        {
            kind.name: found[kind.name][column] if kind.of_class else found[kind.name]
            for kind in kinds
        }
        for column in range(run.scores.shape[1])
    ]
