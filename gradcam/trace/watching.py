"""Lets a `tf.GradientTape` watch activations in the moment they are made.

A tape differentiates towards what it watched while it recorded what came after. Whoever watches an
activation later gets None: the layers behind it have run by then.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import tensorflow as tf


@dataclass(frozen=True)
class Watch:
    """A tape, and the calls whose outputs it watches.

    Attributes:
        tape: the tape.
        wanted: which calls; their children are complete, their paths not yet. (`recording` holds a
            watch, so its `Call` is no type here.)
        only_the_last: whether the last of these is enough. The tape then forgets what it recorded
            before it, which would be differentiated along with the rest: the whole model.
    """

    tape: tf.GradientTape
    wanted: Callable[[Any], bool]
    only_the_last: bool = False
    _watched: list[Any] = field(default_factory=list)

    def made(self, call: Any) -> None:
        """Watch the outputs of a call that has just returned, if it is wanted."""
        if not self.wanted(call):
            return
        if self.only_the_last:
            self.tape.reset()
            self._watched.clear()
        self._watched.append(call)
        for output in call.outputs:
            if output.dtype.is_floating:
                self.tape.watch(output)

    def saw(self, call: Any) -> bool:
        """Whether the tape knows the way from a call's outputs to those of the model."""
        return call in self._watched
