"""Lists the layers of a model with what can be explained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradcam.trace import examples, feature_maps, sources

if TYPE_CHECKING:
    from gradcam.trace.feature_maps import LayerInfo


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
    return examples.recorded(sources.open_source(model), feature_maps.describe)
