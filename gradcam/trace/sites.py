"""The place of one call in a model: which layer, and which of its calls, in the order they run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gradcam.errors import LayerNotFoundError
from gradcam.trace import paths
from gradcam.trace.feature_maps import FeatureMaps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradcam.trace.recording import Call, Recording


@dataclass(frozen=True)
class Site:
    """One call of a layer, found again whenever the model runs.

    Attributes:
        path: where it is, such as `"encoder[1]/conv"`.
        layer: the layer object; None in a SavedModel, whose calls have their paths alone.
        number: its number among the calls of the layer, in the order in which they run.
        end: when it returned; of two calls, the one with the smaller number did so earlier.
    """

    path: str
    layer: Any
    number: int
    end: int

    @classmethod
    def of(cls, call: Call, recording: Recording) -> Site:
        """The site of a recorded call."""
        same = [other for other in recording.calls if other.layer is call.layer]
        return cls(call.path, call.layer, same.index(call), call.last_op)

    def is_of(self, call: Call, calls: Sequence[Call]) -> bool:
        """Whether a call that just returned is this one, by the calls that were made so far."""
        if call.layer is not self.layer:
            return False
        same = [other for other in calls if other.layer is self.layer]
        return same.index(call) == self.number

    def among(self, calls: Sequence[Call]) -> Call:
        """The same call among those of another run."""
        if self.layer is None:
            found = [call for call in calls if call.path == self.path]
        else:
            found = [call for call in calls if self.is_of(call, calls)]
        if not found:
            raise LayerNotFoundError("tap-not-called", path=self.path)
        return found[0]


def chosen(recording: Recording, layer: Any, name: str) -> Call:
    """The call that a person means by `layer`; None for the last feature map.

    Args:
        recording: what the model did.
        layer: what `tap` takes.
        name: the model's name, for errors.
    """
    if layer is not None:
        return paths.resolve(recording, layer)
    outputs = recording.outputs
    return FeatureMaps(recording, outputs, [output.logits for output in outputs]).choose(name)
