"""Finds the call that a person means by a path, a bare name or a layer object."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import keras

from gradcam.errors import AmbiguousLayerError, GradCamError, LayerNotFoundError
from gradcam.messages import wording
from gradcam.trace import recorder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradcam.trace.recording import Call, Recording


def resolve(recording: Recording, layer: Any) -> Call:
    """The one call that `layer` stands for.

    Args:
        recording: what the model did.
        layer: `"backbone/conv"`, `"conv"` where only one has that name, `"encoder[1]/conv"` for
            the second call of a shared layer, or the layer object.
    """
    calls = [call for call in recording.calls if call.path]
    if isinstance(layer, str):
        found = _by_name(calls, layer)
        name = layer
    elif isinstance(layer, keras.Operation):
        found = [call for call in calls if call.layer is layer]
        name = layer.name
    else:
        raise GradCamError("bad-layer", received=f"{layer!r} ({type(layer).__name__})")
    if not found:
        raise _not_found(recording, layer, name)
    reachable = [call for call in found if call.inside is None]
    hidden = next((call.inside for call in found if call.inside is not None), None)
    # A loop may run its body once outside to learn its shapes; that call leads nowhere.
    if hidden is not None and not any(recording.leads_to_output(call) for call in reachable):
        raise LayerNotFoundError(
            "layer-unreachable", name=name, inside=hidden, paths=tappable(recording)
        )
    if len(reachable) > 1:
        raise AmbiguousLayerError(
            "ambiguous-layer",
            name=name,
            count=len(reachable),
            paths=wording.listing(sorted(call.path for call in reachable)),
        )
    return reachable[0]


def may_mean(layer: Any, call: Call) -> bool:
    """Whether a call that just returned, and has no path yet, may be the one that `layer` means."""
    if isinstance(layer, str):
        return re.sub(r"\[\d+\]$", "", layer.strip("/").rpartition("/")[2]) == call.name
    return call.layer is layer


def tappable(recording: Recording) -> str:
    """The first and the last paths of the calls that can be tapped, for a sentence."""
    paths = [call.path for call in recording.calls if call.path and recording.leads_to_output(call)]
    return wording.listing(paths, limit=6)


def _by_name(calls: Sequence[Call], name: str) -> list[Call]:
    """The calls whose path is `name`; if none, those whose path ends in it.

    A number in brackets may be left out, so that `"encoder/conv"` finds every call of `conv`.
    """
    wanted = name.strip("/").split("/")
    exact = [call for call in calls if call.path == name.strip("/")]
    if exact:
        return exact
    whole = [call for call in calls if _matches(call.path.split("/"), wanted)]
    return whole or [
        call for call in calls if _matches(call.path.split("/")[-len(wanted) :], wanted)
    ]


def _matches(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    return len(parts) == len(wanted) and all(
        want in {part, re.sub(r"\[\d+\]$", "", part)}
        for part, want in zip(parts, wanted, strict=True)
    )


def _not_found(recording: Recording, layer: Any, name: str) -> LayerNotFoundError:
    """The error for a name that no call has: unknown, or known but never called."""
    calls = [call for call in recording.calls if call.path]
    root = recording.calls[0].layer
    uncalled = isinstance(root, keras.Model) and any(
        operation is layer or operation.name == name for operation in recorder.operations_of(root)
    )
    if uncalled:
        hidden = next((call.inside for call in calls if call.inside), None)
        hint = (
            f" Part of the model runs inside {hidden}, and cannot be looked into."
            if hidden
            else " A `tf.function` that was traced before hides the layers that it calls."
            if _has_function_calls(recording)
            else ""
        )
        return LayerNotFoundError(
            "layer-not-called", name=name, hint=hint, paths=tappable(recording)
        )
    known = [call.path for call in calls] + [call.name for call in calls]
    return LayerNotFoundError(
        "layer-not-found",
        name=name,
        hint=wording.suggestion(name, known),
    )


def _has_function_calls(recording: Recording) -> bool:
    operations = recording.inputs[0].graph.get_operations()
    return any(operation.type.endswith("PartitionedCall") for operation in operations)
