"""Where the logits of an output come from in a model that runs eagerly, without a graph to ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gradcam.errors import ModelError
from gradcam.trace.graph import through_shape_ops
from gradcam.trace.sites import Site

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradcam.trace.logits import ModelOutput
    from gradcam.trace.recording import Call, Recording


@dataclass(frozen=True)
class LogitSite:
    """The call that turns logits into probabilities.

    Attributes:
        site: the call.
        argument: which of the tensors that it is called on are the logits; None where the
            activation of its layer is given them.
    """

    site: Site
    argument: int | None


def found(recording: Recording) -> list[LogitSite | None]:
    """For each output the call that makes its probabilities; None where it is logits already."""
    return [_of(output, recording) for output in recording.outputs]


def _of(output: ModelOutput, recording: Recording) -> LogitSite | None:
    if output.ending == "linear":
        return None
    operation = through_shape_ops(output.value)[-1].op
    call = recording.maker(operation)
    if output.logits is operation.inputs[0] and call is not None and call.layer is not None:
        site = Site.of(call, recording)
        places = [n for n, tensor in enumerate(call.inputs) if tensor is output.logits]
        if places:
            return LogitSite(site, places[0])
        if callable(getattr(call.layer, "activation", None)):
            return LogitSite(site, None)
    raise ModelError("logits-eager", name=output.name, activation=output.ending)


def logits(calls: Sequence[Call], where: LogitSite | None, output: Any) -> Any:
    """The logits of an output, which is those where nothing turns them into probabilities.

    Args:
        calls: what a run has called.
        where: the call that turns them into probabilities, if one does.
        output: what the run has returned.
    """
    if where is None:
        return output
    call = where.site.among(calls)
    return call.preactivation if where.argument is None else call.inputs[where.argument]
