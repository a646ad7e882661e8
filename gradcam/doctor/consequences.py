"""Findings that only repeat another one's cause are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradcam.doctor.diagnosis import Finding

# What follows from a cause, by the beginnings of the codes.
_CONSEQUENCES = {
    # Noise of our own says nothing of the images that the model is for.
    "input-made-up": ("input-range", "forward-constant"),
    "non-finite-images": (
        "non-finite-",
        "forward-",
        "gradient-zero",
        "gradient-dead",
        "weights-zero",
        "weights-nan",
        "explain-",
        "transformer-",
    ),
    "non-finite-weights": (
        "non-finite-gradients",
        "forward-",
        "gradient-",
        "weights-zero",
        "weights-nan",
        "weights-scale",
        "explain-",
        "transformer-",
    ),
    "non-finite-activations": (
        "non-finite-gradients",
        "gradient-zero",
        "gradient-dead",
        "weights-zero",
        "weights-nan",
        "explain-",
    ),
    "forward-dead": ("gradient-dead-relu", "gradient-zero", "forward-constant"),
    "transformer-black": (
        "transformer-outside",
        "transformer-shrunk",
        "transformer-no-gradient",
        "forward-constant",
        "forward-dead",
        "gradient-",
        "weights-zero",
        "explain-",
    ),
    "weights-nan": ("weights-scale",),
    "input-range": ("forward-constant",),
    "input-range-scaled-twice": ("forward-constant",),
    "transformer-nearest": ("gradient-zero",),
    "loss-expects-probabilities": ("weights-zero", "weights-scale"),
    "forward-independent": ("forward-constant", "weights-zero", "gradient-", "explain-"),
}


def without_consequences(found: Sequence[Finding]) -> list[Finding]:
    """The findings without those that follow from another.

    >>> from gradcam.doctor.diagnosis import Finding
    >>> dead = Finding("forward-dead", "error", "relu", "", "")
    >>> echo = Finding("gradient-dead-relu", "error", "relu", "", "")
    >>> [one.code for one in without_consequences([dead, echo])]
    ['forward-dead']
    """
    kept = list(found)
    for cause, consequences in _CONSEQUENCES.items():
        if any(one.code == cause for one in kept):
            kept = [
                one for one in kept if one.code == cause or not one.code.startswith(consequences)
            ]
    return kept
