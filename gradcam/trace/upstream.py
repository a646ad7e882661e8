"""What the calls before a tensor tell, worked out for all operations of a graph in one walk.

Asked of each layer of a graph of 100,000 operations, a search of its own would never end.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    import tensorflow as tf

    from gradcam.trace.recording import Call, Recording

Fact = TypeVar("Fact")


class Upstream(Generic[Fact]):
    """A fact of the nearest call upstream that has one.

    Args:
        recording: the calls.
        tell: the fact of a call, None where it has none.
        carry: what an operation makes of the fact of what it uses; None where it stays as it is.
    """

    def __init__(
        self,
        recording: Recording,
        tell: Callable[[Call], Fact | None],
        carry: Callable[[tf.Operation, Fact], Fact] | None = None,
    ) -> None:
        self._recording = recording
        self._tell = tell
        self._carry = carry

    def nearest(self, tensor: tf.Tensor) -> Fact | None:
        """The fact of the call that made the tensor, or of the nearest before; None if none has."""
        found = self._found.get(tensor.op)
        return found[1] if found is not None else None

    @functools.cached_property
    def _found(self) -> dict[tf.Operation, tuple[int, Fact]]:
        """The nearest fact of each operation, and how many operations away it is."""
        facts = {call: self._tell(call) for call in self._recording.calls}
        found: dict[tf.Operation, tuple[int, Fact]] = {}
        # An operation comes after those that it uses, but for the way back of a loop.
        for operation in self._recording.inputs[0].graph.get_operations():
            call = self._recording.maker(operation)
            fact = facts.get(call) if call is not None else None
            if fact is not None:
                found[operation] = (0, fact)
                continue
            before = [found[source.op] for source in operation.inputs if source.op in found]
            if before:
                distance, fact = min(before, key=_distance)
                if self._carry is not None:
                    fact = self._carry(operation, fact)
                found[operation] = (distance + 1, fact)
        return found


def _distance(found: tuple[int, object]) -> int:
    return found[0]
