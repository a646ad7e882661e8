"""The options of `explain` and `Explainer`, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcam.cam.methods import METHODS
from gradcam.errors import GradCamError, TargetError
from gradcam.messages import wording
from gradcam.targets import Output

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Settings:
    """What an `Explainer` was asked for; see there.

    Attributes:
        layers: what `layer=` says, one entry a layer.
        methods: the names of the methods.
        fuse: how the maps of several layers become one; None keeps them apart.
    """

    layers: tuple[Any, ...] = (None,)
    methods: tuple[str, ...] = ("gradcam",)
    score: str = "logit"
    class_names: tuple[str, ...] | None = None
    relu: bool = True
    counterfactual: bool = False
    fuse: str | None = "mean"
    max_channels: int | None = None
    batch_size: int | None = None
    input: str | None = None

    @property
    def differentiates(self) -> bool:
        """Whether a method needs gradients."""
        return any("gradients" in METHODS[name].evidence for name in self.methods)


def checked(
    *, layer: Any, method: Any, class_names: Sequence[str] | None, **given: Any
) -> Settings:
    """The settings, or an error for an option that doesn't exist."""
    methods = tuple(method) if are_several(method) else (method,)
    if not methods:
        raise _wrong("method", method, "a name, or a list of names", "See gradcam.METHODS.")
    for name in methods:
        _check_choice("method", name, METHODS, "gradcam.METHODS describes them.")
    _check_choice("score", given["score"], ("logit", "probability"), "The logit is the default.")
    if given["fuse"] is not None:
        _check_choice("fuse", given["fuse"], ("mean", "max"), "The mean is the default.")
    for name in ("relu", "counterfactual"):
        if not isinstance(given[name], bool):
            raise _wrong(name, given[name], "True or False", "Check the argument.")
    for name in ("max_channels", "batch_size"):
        _check_count(name, given[name])
    _check_input(given["input"])
    layers = tuple(layer) if isinstance(layer, list | tuple) else (layer,)
    if not layers:
        raise GradCamError("bad-layer", received="an empty list")
    return Settings(
        layers=layers,
        methods=tuple(dict.fromkeys(methods)),
        class_names=_names(class_names),
        **given,
    )


def are_several(method: Any) -> bool:
    """Whether `method=` is a collection of names, such as `gradcam.METHODS`."""
    return isinstance(method, list | tuple | set | frozenset | Mapping)


def check_top_k(top_k: int | None, target: Any) -> None:
    """Raise `TargetError` for a count that is none, or together with a target.

    `Output(name)` is no such target: it only says in which output the classes are.
    """
    if top_k is None:
        return
    if isinstance(top_k, bool) or not isinstance(top_k, int | np.integer) or top_k < 1:
        advice = "Leave it out to explain the top class."
        raise TargetError("top-k", top_k=repr(top_k), expected="a number from 1", advice=advice)
    is_output = isinstance(target, Output)
    if target is not None and not (is_output and target.target is None):
        advice = f"Or give target=Output({target.name!r})." if is_output else ""
        raise TargetError(
            "top-k",
            top_k=top_k,
            expected=f"it without target={target!r}: it chooses the classes itself",
            advice=f"Leave one of the two out. {advice}",
        )


def _check_choice(name: str, value: Any, known: Any, advice: str) -> None:
    if not isinstance(value, str) or value not in known:
        hint = wording.suggestion(str(value), known)
        raise GradCamError(
            "unknown-option",
            option=name,
            value=value,
            hint=hint,
            expected=f"one of: {wording.listing(list(known))}",
            advice=advice,
        )


def _check_count(name: str, value: Any) -> None:
    is_count = isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= 1
    if value is not None and not is_count:
        raise _wrong(name, value, "a number from 1, or None", "None takes the default.")


def _check_input(value: Any) -> None:
    if value is not None and not isinstance(value, str):
        raise _wrong("input", value, "the name of an input", "See model.inputs.")


def _names(class_names: Sequence[str] | None) -> tuple[str, ...] | None:
    if class_names is None:
        return None
    if isinstance(class_names, str):
        expected = "a list of names"
        raise _wrong("class_names", class_names, expected, "Put the name into a list.")
    try:
        return tuple(map(str, class_names))
    except TypeError:
        expected = "a list of names, in the order of the output"
        raise _wrong("class_names", class_names, expected, "Leave it out for numbers.") from None


def _wrong(option: str, value: Any, expected: str, advice: str) -> GradCamError:
    return GradCamError(
        "unknown-option", option=option, value=value, hint="", expected=expected, advice=advice
    )
