"""What the command needs to know of a model before it asks for a map: inputs, outputs, scaling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from gradcam.errors import ImageError
from gradcam.messages import wording
from gradcam.trace import examples, layouts, paths, sources
from gradcam.trace.feature_maps import FeatureMaps

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradcam.trace.recording import Call, Recording

_SCALING = {"Rescaling", "Normalization"}
_ARITHMETIC = {"Add", "Subtract", "Multiply", "Divide", "TrueDivide"}


@dataclass(frozen=True)
class OutputInfo:
    """An output: its name, the shape with the batch axis, what ends it, and where its channels are."""

    name: str
    shape: tuple[int | None, ...]
    ending: str
    data_format: str

    @property
    def is_yes_or_no(self) -> bool:
        """Whether it is one unit with two sides."""
        return self.shape[1:] == (1,) and self.ending == "sigmoid"

    @property
    def class_axis(self) -> int:
        """The axis of the classes, of one image's output."""
        return 0 if len(self.shape) == 4 and self.data_format == "channels_first" else -1


@dataclass(frozen=True)
class Survey:
    """A model as the command sees it.

    Attributes:
        shape: the shape of its only input, with the batch axis; None where an axis is open.
        dtype: of that input.
        outputs: its outputs.
        scaling: the layers by which it scales the image itself, such as `"Rescaling 'scale'"`.
        doubt: why that scaling may not start from 0 to 255, or an empty string.
        arithmetic: other operations on the image before the first weights.
    """

    shape: tuple[int | None, ...]
    dtype: str
    outputs: tuple[OutputInfo, ...]
    scaling: tuple[str, ...]
    doubt: str
    arithmetic: tuple[str, ...]


def survey(model: Any, layers: Iterable[str | None] = ()) -> Survey:
    """Trace a model once and look at it.

    Args:
        model: as it was loaded.
        layers: what `--layer` names; None is the automatic choice.

    Raises:
        ImageError: it has several inputs, or one that is no image.
        LayerNotFoundError: it has no such layer.

    >>> model = keras.Sequential([
    ...     keras.Input((8, 8, 3)), keras.layers.Rescaling(1 / 255, name="scale"),
    ...     keras.layers.Conv2D(2, 3), keras.layers.Flatten(), keras.layers.Dense(2),
    ... ])
    >>> survey(model).scaling
    ("Rescaling 'scale'",)
    """
    source = sources.open_source(model)
    specs = source.specs()
    if specs is None:
        shapes = tf.nest.flatten(source.example_shapes())
        specs = [
            sources.InputSpec(str(n), tuple(shape), "float32") for n, shape in enumerate(shapes)
        ]
    if len(specs) > 1:
        names = wording.listing([spec.name for spec in specs])
        raise ImageError("model-inputs", count=len(specs), names=names)
    (spec,) = specs
    if len(spec.shape) != 4:
        raise ImageError("model-input-rank", shape=spec.shape)

    def read(recording: Recording) -> Survey:
        for name in layers:
            if name is not None:
                paths.resolve(recording, name)
        return _surveyed(recording, spec)

    return examples.recorded(source, read)


def _surveyed(recording: Recording, spec: sources.InputSpec) -> Survey:
    maps = FeatureMaps(recording, recording.outputs, [])
    early = [
        call
        for call in recording.calls[1:]
        if call.is_leaf
        and call.outputs
        and recording.leads_to_output(call)
        and not maps.is_learned(call)
    ]
    scaling = [call for call in early if _SCALING & set(call.families)]
    return Survey(
        shape=tuple(spec.shape),
        dtype=spec.dtype,
        outputs=tuple(
            OutputInfo(output.name, tuple(output.value.shape), output.ending, output.data_format)
            for output in layouts.of_outputs(recording)
        ),
        scaling=tuple(f"{call.kind} '{call.path}'" for call in scaling),
        doubt=_doubt(scaling[0]) if scaling else "",
        arithmetic=tuple(call.kind for call in early if call.kind in _ARITHMETIC),
    )


def _doubt(call: Call) -> str:
    """Numbers of the first scaling layer that don't look made for pixels from 0 to 255."""
    layer = call.layer
    if layer is None:  # in a SavedModel only the name of the scope is left
        return ""
    if "Rescaling" in call.families:
        scale = np.max(np.abs(np.asarray(layer.scale, np.float64)))
        return f"multiplies by {scale:.3g}" if scale > 0.1 else ""
    mean, variance = (np.asarray(value, np.float64) for value in (layer.mean, layer.variance))
    is_small = np.max(np.abs(mean)) <= 1 and np.max(variance) <= 1
    return f"has a mean of {np.mean(mean):.3g}" if is_small else ""
