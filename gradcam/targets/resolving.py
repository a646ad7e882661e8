"""Targets made of other targets, and which target a person means."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from gradcam.errors import GradCamError, TargetError
from gradcam.targets.scoring import Outputs, Target
from gradcam.targets.segmentation import Segmentation, channels
from gradcam.targets.single_targets import Binary, Class, Regression, Top

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, eq=False)
class Difference(Target):
    """What speaks for one target more than for another: the difference of their scores.

    Args:
        a: a target, or the index or name of a class.
        b: the one that is subtracted.

    >>> Difference(3, 5)
    Difference(a=Class(index=3), b=Class(index=5))
    """

    a: Any
    b: Any

    def __post_init__(self) -> None:
        # Frozen for the caller, but plain numbers and names become targets here.
        object.__setattr__(self, "a", as_target(self.a))
        object.__setattr__(self, "b", as_target(self.b))

    def named(self, class_names: Sequence[str] | None) -> Difference:
        """Both with class names looked up."""
        return Difference(self.a.named(class_names), self.b.named(class_names))

    @property
    def has_code(self) -> bool:
        """Whether a function of one's own is part of it."""
        return self.a.has_code or self.b.has_code

    @property
    def key(self) -> tuple[Any, ...]:
        """Both keys."""
        return ("Difference", self.a.key, self.b.key)

    def arguments(self, batch: int) -> tuple[Any, ...]:
        """Both arguments."""
        return self.a.arguments(batch), self.b.arguments(batch)

    def check(self, outputs: Outputs, arguments: tuple[Any, ...]) -> None:
        """Both must fit."""
        self.a.check(outputs, arguments[0])
        self.b.check(outputs, arguments[1])

    def prepare(self, outputs: Outputs, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """Both decisions."""
        return self.a.prepare(outputs, arguments[0]), self.b.prepare(outputs, arguments[1])

    def score(self, outputs: Outputs, prepared: tuple[Any, ...]) -> tf.Tensor:
        """The difference."""
        return self.a.score(outputs, prepared[0]) - self.b.score(outputs, prepared[1])


@dataclass(frozen=True, eq=False)
class Output(Target):
    """A target in one of several outputs.

    Args:
        name: the name of the output, or its number.
        target: what is explained there, as `explain` takes it; None leaves it to the default, or
            to `top_k`.

    >>> Output("species", 4)
    Output(name='species', target=Class(index=4))
    """

    name: str | int
    target: Any = None

    def __post_init__(self) -> None:
        if isinstance(self.name, bool) or not isinstance(self.name, str | int):
            raise TargetError(
                "target-argument",
                received=repr(self.name),
                argument="the name of Output",
                expected="the name of an output, or its number",
                advice="See model.output_names.",
            )
        if self.target is not None:
            object.__setattr__(self, "target", as_target(self.target))

    def named(self, class_names: Sequence[str] | None) -> Output:
        """The inner target with class names looked up."""
        return Output(self.name, self.target.named(class_names)) if self.target else self

    @property
    def has_code(self) -> bool:
        """Whether a function of one's own is part of it."""
        return self.target is not None and self.target.has_code

    @property
    def key(self) -> tuple[Any, ...]:
        """The output and what is explained in it."""
        return ("Output", self.name, self.target.key if self.target else None)

    @property
    def zero_hint(self) -> str:
        """That of the inner target."""
        return self.target.zero_hint if self.target else ""

    def arguments(self, batch: int) -> tuple[Any, ...]:
        """Those of the inner target."""
        return self.target.arguments(batch) if self.target else ()

    def check(self, outputs: Outputs, arguments: tuple[Any, ...]) -> None:
        """The inner target must fit its output."""
        selected = outputs.select(self.name)
        self._inner(selected).check(selected, arguments)

    def prepare(self, outputs: Outputs, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """The decisions of the inner target."""
        selected = outputs.select(self.name)
        return self._inner(selected).prepare(selected, arguments)

    def score(self, outputs: Outputs, prepared: tuple[Any, ...]) -> tf.Tensor:
        """The score of the inner target."""
        selected = outputs.select(self.name)
        return self._inner(selected).score(selected, prepared)

    def explained_index(self, prepared: tuple[Any, ...]) -> tf.Tensor | None:
        """A class index, where the decision is one tensor of integers."""
        is_index = len(prepared) >= 1 and getattr(prepared[0], "dtype", None) == tf.int32
        return prepared[0] if is_index else None

    def label(self, index: int, class_names: Sequence[str] | None) -> int | str:
        """The words of the inner target."""
        label = self.target.label if self.target else super().label
        return label(index, class_names)

    def _inner(self, outputs: Outputs) -> Target:
        return resolve(self.target, outputs, None)


@dataclass(frozen=True, eq=False)
class Function(Target):
    """A function of the outputs, `outputs -> (batch,)`; what a callable target becomes.

    It is given what the model returns, with logits in the place of probabilities. An `Explainer`
    traces it once, and again where a name that it takes from outside, in its closure, its defaults
    or its globals, stands for another object. What changes in place, such as an entry of a list or
    of an array, isn't seen: a `tf.Variable` is read at every call. Other callables, such as
    objects, methods and `functools.partial`, are traced at every call.
    """

    function: Callable[[Any], Any]

    def __repr__(self) -> str:
        name = getattr(self.function, "__name__", type(self.function).__name__)
        return f"the function {name}"

    @property
    def has_code(self) -> bool:
        """Whether a function of one's own is part of it."""
        return True

    @property
    def key(self) -> tuple[Any, ...]:
        """The function and what it takes from outside: with other objects it is another trace."""
        return ("Function", *map(_Identity, _used(self.function)))

    def score(self, outputs: Outputs, prepared: tuple[Any, ...]) -> tf.Tensor:
        """What the function returns, checked."""
        del prepared
        try:
            result = self.function(outputs.nested())
        except GradCamError:
            raise
        except (TypeError, LookupError, AttributeError, ValueError) as error:
            raise TargetError(
                "target-raised", target=self, error=type(error).__name__, reason=error
            ) from error
        if not isinstance(result, tf.Tensor):
            raise TargetError("target-function", received=f"a {type(result).__name__}")
        if result.shape.rank not in {1, None}:
            raise TargetError("target-function", received=f"shape {result.shape}")
        return tf.reshape(tf.cast(result, tf.float32), (-1, 1))


class _Identity:
    """Equal to itself alone; keeps its object alive, so that no other gets its id."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other._value is self._value

    def __hash__(self) -> int:
        return id(self._value)


def _used(function: Callable[..., Any]) -> list[Any]:
    """A function and the objects that it takes from outside; something new where nobody can know."""
    if not inspect.isfunction(function):
        return [object()]
    try:
        outside = inspect.getclosurevars(function)
    except ValueError:  # a name in its closure stands for nothing yet
        return [object()]
    defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    return [function, *defaults, *outside.nonlocals.values(), *outside.globals.values()]


def as_target(target: Any) -> Target:
    """The target that a number, a name, a list of those or a function stands for.

    Names stay names until `Target.named` looks them up.

    >>> as_target("dog").named(["cat", "dog"])
    Class(index=1)
    """
    if isinstance(target, Target):
        return target
    if isinstance(target, str):
        return Class(target)
    if isinstance(target, list | tuple) and target and all(isinstance(t, str) for t in target):
        return Class(list(target))
    if isinstance(target, type) or target is None or isinstance(target, bool):
        advice = " Make an instance of it." if isinstance(target, type) else ""
        raise TargetError("target-kind", received=repr(target), advice=advice)
    if callable(target):
        return Function(target)
    try:
        array = np.asarray(target)
    except ValueError:
        array = np.asarray(None)
    if array.dtype.kind not in "iu" or array.ndim > 1:
        raise TargetError("target-kind", received=repr(target), advice="")
    return Class(int(array) if array.ndim == 0 else array.tolist())


def default_target(outputs: Outputs, top_k: int | None = None) -> Target:
    """What `target=None` means for a model with these outputs."""
    output, value = outputs.only()
    rank, units = value.shape.rank, value.shape[-1]
    if top_k is not None and (rank != 2 or units == 1):
        raise TargetError(
            "top-k",
            top_k=top_k,
            expected="an output of shape (batch, classes)",
            advice=f"This one has shape {output.value.shape}: leave top_k out.",
        )
    if rank == 4:
        return Segmentation()
    if rank == 1 or (rank == 2 and units == 1):
        return Binary(positive=None) if outputs.has_sides() else Regression(0)
    return Top(top_k or 1)


def resolve(target: Any, outputs: Outputs, top_k: int | None) -> Target:
    """The target to explain, with a class or a side in a segmentation output read as one."""
    if target is None:
        return default_target(outputs, top_k)
    if isinstance(target, Output):
        inner = None if top_k is not None else target.target
        return Output(target.name, resolve(inner, outputs.select(target.name), top_k))
    is_map = len(outputs.values) == 1 and outputs.values[0].shape.rank == 4
    if isinstance(target, Class) and is_map:
        return Segmentation(target.index)
    is_mask = is_map and channels(outputs) == 1 and outputs.has_sides()
    if isinstance(target, Binary) and is_mask:
        return Segmentation.of_side(target.positive)
    return target
