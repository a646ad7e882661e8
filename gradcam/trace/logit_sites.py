"""Where the logits of an output come from in a model that runs eagerly, without a graph to ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gradcam.errors import ModelError
from gradcam.trace.graph import through_shape_ops
from gradcam.trace.sites import Site

if TYPE_CHECKING:
    from gradcam.trace.logits import Output
    from gradcam.trace.recording import Recording


@dataclass(frozen=True)
class LogitSite:
    """The call that turns logits into probabilities.

    Attributes:
        site: the call.
        by_argument: whether its first argument is the logits; else the activation of its layer is
            given them.
    """

    site: Site
    by_argument: bool


def found(recording: Recording) -> list[LogitSite | None]:
    """For each output the call that makes its probabilities; None where it is logits already."""
    return [_of(output, recording) for output in recording.outputs]


def _of(output: Output, recording: Recording) -> LogitSite | None:
    if output.ending == "linear":
        return None
    operation = through_shape_ops(output.value)[-1].op
    call = recording.maker(operation)
    if output.logits is operation.inputs[0] and call is not None and call.layer is not None:
        site = Site.of(call, recording)
        if any(tensor is output.logits for tensor in call.inputs):
            return LogitSite(site, by_argument=True)
        if callable(getattr(call.layer, "activation", None)):
            return LogitSite(site, by_argument=False)
    raise ModelError("logits-eager", name=output.name, activation=output.ending)


def logits(given: dict[int, Any], where: LogitSite | None, output: Any) -> Any:
    """The logits that a run has met, by the layer that was given them."""
    return output if where is None else given[id(where.site.layer)]
