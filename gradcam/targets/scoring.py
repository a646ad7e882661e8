"""How targets read scores from the outputs of a model; the targets themselves are elsewhere.

A target works in three steps. `arguments` gives what differs from image to image as arrays, so that
one trace serves every class. `prepare` decides what depends on the prediction, such as the top
class, once on the unchanged images. `score` then reads the scores, also of changed images, for the
same decision.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from gradcam.errors import TargetError
from gradcam.messages import wording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradcam.trace.logits import ModelOutput


@dataclass(frozen=True)
class Outputs:
    """The outputs of one run, as targets read them.

    Attributes:
        outputs: each output with its logits.
        values: the tensors that scores are taken from, in float32.
        returned: what the model returned, in float32.
        structure: the outputs as the model nests them.
        score: `"logit"` or `"probability"`.
        class_names: the names of the classes, or None.
    """

    outputs: Sequence[ModelOutput]
    values: Sequence[tf.Tensor]
    returned: Sequence[tf.Tensor]
    structure: Any
    score: str = "logit"
    class_names: tuple[str, ...] | None = None

    def only(self) -> tuple[ModelOutput, tf.Tensor]:
        """The only output; an error that names `Output` where there are several."""
        if len(self.outputs) != 1:
            names = wording.listing([repr(output.name) for output in self.outputs])
            raise TargetError("several-outputs", count=len(self.outputs), names=names)
        return self.outputs[0], self.values[0]

    def units(self, target: object) -> tuple[ModelOutput, tf.Tensor]:
        """The only output as (batch, units); an error where it has more axes."""
        output, value = self.only()
        if value.shape.rank == 1:
            return output, value[:, None]
        if value.shape.rank != 2:
            raise TargetError(
                "target-output",
                target=target,
                shape=output.value.shape,
                expected="(batch, classes)",
                advice="Of a mask (batch, height, width), explain gradcam.targets.Segmentation(),"
                " of anything else a function of the outputs.",
            )
        return output, value

    def select(self, name: str | int) -> Outputs:
        """One output by name or number, as if the model had no other."""
        names = [output.name for output in self.outputs]
        aliases = [output.alias for output in self.outputs]
        if str(name) in names:
            index = names.index(str(name))
        elif name in aliases:
            index = aliases.index(str(name))
        elif isinstance(name, int) and 0 <= name < len(names):
            index = name
        else:
            known = [*names, *(alias for alias in aliases if alias)]
            raise TargetError(
                "unknown-output",
                name=name,
                names=wording.listing(known),
                hint=wording.suggestion(str(name), known),
            )
        value, returned = self.values[index], self.returned[index]
        one = [self.outputs[index]]
        return Outputs(one, [value], [returned], value, self.score, self.class_names)

    def nested(self) -> Any:
        """The values as the model nests its outputs."""
        return tf.nest.pack_sequence_as(self.structure, list(self.values))

    def fetches(self) -> list[tf.Tensor]:
        """The tensors that another run has to give."""
        explained = [output.explained_tensor(self.score) for output in self.outputs]
        return [*explained, *(output.value for output in self.outputs)]

    def fetched(self, tensors: Sequence[tf.Tensor]) -> Outputs:
        """The outputs of another run, on changed images."""
        floats = [tf.cast(tensor, tf.float32) for tensor in tensors]
        count = len(self.outputs)
        return replace(self, values=floats[:count], returned=floats[count:])

    def has_sides(self) -> bool:
        """Whether a single unit stands for two classes: 0 its negative side, 1 its positive."""
        is_named_pair = self.class_names is not None and len(self.class_names) == 2
        return is_named_pair or self.only()[0].ending == "sigmoid"


class Target(abc.ABC):
    """What every target offers. A subclass overrides `score` and what it needs of the others."""

    @property
    def zero_hint(self) -> str:
        """What is said where a gradient is zero for a reason of the target's own."""
        return ""

    @property
    def has_code(self) -> bool:
        """Whether a function of one's own is part of it, which may hold on to anything."""
        return False

    @property
    def key(self) -> tuple[Any, ...]:
        """What a trace depends on: two targets with equal keys share one."""
        return (type(self).__name__,)

    def named(self, class_names: Sequence[str] | None) -> Target:
        """The same target with class names looked up."""
        del class_names
        return self

    def arguments(self, batch: int) -> tuple[Any, ...]:
        """What differs from image to image: arrays, nested as the target likes, one row each."""
        del batch
        return ()

    def check(self, outputs: Outputs, arguments: tuple[Any, ...]) -> None:
        """Raise `TargetError` where the arguments don't fit the outputs."""
        del outputs, arguments

    def prepare(self, outputs: Outputs, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """What is decided once, on the unchanged images: tensors with one row an image."""
        del outputs
        return arguments

    @abc.abstractmethod
    def score(self, outputs: Outputs, prepared: tuple[Any, ...]) -> tf.Tensor:
        """The scores, (batch, number of classes explained)."""

    def explained_index(self, prepared: tuple[Any, ...]) -> tf.Tensor | None:
        """The explained class, (batch, number of classes explained); None where there is none."""
        del prepared
        return None

    def label(self, index: int, class_names: Sequence[str] | None) -> int | str:
        """What is explained in words, or the class."""
        if class_names is not None and 0 <= index < len(class_names):
            return class_names[index]
        return index if index >= 0 else str(self)


def looked_up(index: Any, class_names: Sequence[str] | None) -> Any:
    """The indices of a class name, or of a list of names; anything else as it is.

    >>> looked_up(["dog", "cat"], ["cat", "dog"])
    [1, 0]
    """
    if isinstance(index, list | tuple | np.ndarray) and _has_names(index):
        return [looked_up(name, class_names) for name in index]
    if not isinstance(index, str):
        return index
    if class_names is None:
        raise TargetError("no-class-names", name=index)
    if index not in class_names:
        hint = wording.suggestion(index, class_names)
        names = wording.listing(class_names)
        raise TargetError("unknown-class", name=index, names=names, hint=hint)
    places = [place for place, name in enumerate(class_names) if name == index]
    if len(places) > 1:
        raise TargetError("ambiguous-class", name=index, indices=wording.listing(places))
    return places[0]


def _has_names(values: Any) -> bool:
    return len(values) > 0 and all(isinstance(value, str) for value in values)


def per_image(value: Any, batch: int, what: str) -> np.ndarray:
    """One integer an image, (batch, 1), from one for all or one each."""
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in "iu" or array.ndim > 1:
        raise TargetError("target-kind", received=repr(value), advice="")
    if array.ndim == 1 and len(array) != batch:
        raise TargetError("target-count", count=len(array), what=what, batch=batch)
    limits = np.iinfo(np.int32)  # out of range for any output, and still after the cast
    array = np.clip(array.reshape(-1, 1), limits.min, limits.max)
    return np.broadcast_to(array, (batch, 1)).astype(np.int32)


def numbers(given: Any, **facts: str) -> np.ndarray:
    """Finite numbers in float32, or the error that `facts` describe."""
    try:
        array = np.asarray(given)
        is_number = array.dtype.kind in "biuf" or array.dtype.name == "bfloat16"
        array = array.astype(np.float32) if is_number else array
    except ValueError:  # lists of different lengths
        is_number = False
    if not is_number:
        received = f"{given!r:.80}"
    elif np.isfinite(array).all():
        return array
    else:
        received = "NaN" if np.isnan(array).any() else "an infinity"
    raise TargetError("target-argument", received=received, **facts)


def check_range(indices: Any, classes: int | None, class_names: Sequence[str] | None) -> None:
    """Raise unless every class exists, and every class has a name."""
    if classes is None:
        return
    if class_names is not None and len(class_names) != classes:
        has = wording.counted(classes, "class", "classes")
        raise TargetError("class-names-length", count=len(class_names), classes=has)
    for image, index in enumerate(indices):
        if not 0 <= index < classes:
            raise TargetError(
                "class-range",
                index=int(index),
                image=f" for image {image}" if len(indices) > 1 else "",
                classes=wording.counted(classes, "class", "classes"),
                expected=wording.indices(classes),
                advice=" Classes are counted from 0." if index == classes else "",
            )


def side(outputs: Outputs, value: tf.Tensor, positive: tf.Tensor) -> tf.Tensor:
    """The score of one side of a single unit: `value` for 1, what speaks against it for 0."""
    output = outputs.outputs[0]
    is_probability = outputs.score == "probability" and output.ending == "sigmoid"
    negative = 1.0 - value if is_probability else -value
    return tf.where(positive == 1, value, negative)


def is_positive(output: ModelOutput) -> tf.Tensor:
    """Where single units are on their positive side, in the shape of the output.

    The logit's sign says so; behind two activations in a row only what the model returns does. In
    the middle it is the negative side, as in Keras' metrics.
    """
    if output.first is not None and output.ending == "sigmoid":
        return output.value > 0.5
    return output.logits > 0
