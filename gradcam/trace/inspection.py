"""Lists the layers of a model with what can be explained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gradcam.trace import examples, sources
from gradcam.trace.feature_maps import FeatureMaps

if TYPE_CHECKING:
    from gradcam.trace.recording import Call, Recording


@dataclass(frozen=True)
class LayerInfo:
    """One call of a layer, and whether it can be explained.

    Attributes:
        path: the name that `layer=` takes.
        kind: the class of the layer.
        shape: the shape of its output, None where an axis is open.
        explainable: whether a heatmap can be drawn from it.
        reason: why not, or what it is.
        chosen: whether `layer=None` takes it.
    """

    path: str
    kind: str
    shape: tuple[int | None, ...] | None
    explainable: bool
    reason: str
    chosen: bool = False


def layers(model: Any) -> list[LayerInfo]:
    """Every call of a layer at any depth, in order: its path, and whether it can be explained.

    Args:
        model: a built Keras model.

    >>> import keras
    >>> model = keras.Sequential([
    ...     keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="conv"),
    ...     keras.layers.GlobalMaxPooling2D(name="pool"), keras.layers.Dense(2, name="scores"),
    ... ])
    >>> for info in layers(model):
    ...     print(info.path, info.shape, info.explainable, info.reason, info.chosen)
    conv (None, 6, 6, 4) True the last feature map True
    pool (None, 4) False it has no axes of positions False
    scores (None, 2) False it has no axes of positions False
    """
    return examples.recorded(sources.open_source(model), _described)


def _described(recording: Recording) -> list[LayerInfo]:
    scores = [output.logits for output in recording.outputs]
    maps = FeatureMaps(recording, recording.outputs, scores)
    candidates = [call for call in recording.calls if maps.is_candidate(call)]
    chosen = candidates[-1] if candidates else None
    infos = []
    for call in recording.calls[1:]:
        reason, _ = maps.reason(call)
        connected = maps.is_connected(call)
        if not reason and not connected:
            reason = "the outputs do not depend on it"
        infos.append(
            LayerInfo(
                path=call.path,
                kind=call.kind,
                shape=_shape(call),
                explainable=not reason,
                reason=reason or ("the last feature map" if call is chosen else "a feature map"),
                chosen=call is chosen,
            )
        )
    return infos


def _shape(call: Call) -> tuple[int | None, ...] | None:
    if len(call.outputs) != 1 or call.outputs[0].shape.rank is None:
        return None
    return tuple(call.outputs[0].shape.as_list())
