"""Weights that are all zero by design, as those that let a branch start as nothing.

A layer whose kernel is zero gives the same output for every image and hands no gradient on, until
its first step: that is how ThetaRegression, ReZero and LayerScale begin, and no fault.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from gradcam.trace.recording import Call

_ADDED = re.compile(r".*(bias|beta|mean|seed).*")


def has_zero_kernel(call: Call) -> bool:
    """Whether a weight that the layer multiplies by is zero everywhere."""
    weights = getattr(call.layer, "weights", None) or ()
    multiplied = [weight for weight in weights if not is_added(weight)]
    return any(not np.any(weight.numpy()) for weight in multiplied)


def is_added(weight: Any) -> bool:
    """Whether a weight is added, or counted, and not multiplied by."""
    return _ADDED.fullmatch(weight.name) is not None
